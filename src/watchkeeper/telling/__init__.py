"""How a run is told: in the terminal, and on pages that open from disk."""
