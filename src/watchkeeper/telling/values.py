"""How is a value written for people?"""

from __future__ import annotations

from watchkeeper.limits.showing import shown
from watchkeeper.observation import Observation, Table

FIRST = 3
"""Rows of a list that are named."""
LENGTH = 60
"""Characters of such a row."""


def shown_value(seen: Observation) -> str:
    """The value with its unit; of a list the number of its rows and the first of them."""
    if seen.no_data:
        return "no data"
    if not isinstance(seen.value, Table):
        return shown(seen.value, seen.unit)
    told = [[str(cell) for _, cell in row.cells if cell is not None] for row in seen.value]
    named = "; ".join(" ".join(cells)[:LENGTH] for cells in told[:FIRST])
    return f"{seen.value.total:,} rows" + (f": {named}" if named else "")
