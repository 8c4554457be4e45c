"""How a system is looked at."""
