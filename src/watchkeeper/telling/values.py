"""How is a value written for people?"""

from __future__ import annotations

from watchkeeper.limits.showing import shown
from watchkeeper.observation import Observation, Table

FIRST = 3
"""Rows of a list that are named."""


def shown_value(seen: Observation) -> str:
    """The value with its unit; of a list the number of its rows and the first of them."""
    if seen.no_data:
        return "no data"
    if not isinstance(seen.value, Table):
        return shown(seen.value, seen.unit)
    rows = [" ".join(str(value) for _, value in row.cells if value is not None) for row in seen.value]
    named = "; ".join(row[:60] for row in rows[:FIRST])
    return f"{seen.value.total:,} rows" + (f": {named}" if named else "")
