"""Which units people write, and how one is turned into another of its kind."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

NUMBER = r"-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
"""A number as people write it: 5, 0.6, 1,000; no "nan", no e-notation."""


@dataclass(frozen=True)
class Unit:
    """A unit of `dimension`; one of it is `factor` base units (ratio, second, byte, one)."""

    name: str
    dimension: str
    factor: float

    def to(self, value: float, other: Unit) -> float:
        """`value` of this unit, in `other`; raises ValueError across dimensions."""
        if self.dimension != other.dimension:
            raise ValueError(f"{self.name} ({self.dimension}) is no {other.dimension}")
        return value if self.factor == other.factor else value * self.factor / other.factor


# A dozen factors, read at every start: a units library costs more to import than all the rest.
_TABLE: tuple[tuple[str, float, tuple[str, ...]], ...] = (
    ("share", 1, ("ratio",)),
    ("share", 0.01, ("%", "percent")),
    ("duration", 0.001, ("ms", "millisecond", "milliseconds")),
    ("duration", 1, ("s", "second", "seconds")),
    ("duration", 60, ("min", "minute", "minutes")),
    ("duration", 3_600, ("h", "hour", "hours")),
    ("duration", 86_400, ("day", "days")),
    ("duration", 604_800, ("week", "weeks")),
    ("size", 1, ("bytes", "byte", "B")),
    ("size", 1e3, ("kB", "KB")),
    ("size", 1e6, ("MB",)),
    ("size", 1e9, ("GB",)),
    ("size", 1e12, ("TB",)),
    ("size", 1_024, ("KiB",)),
    ("size", 1_048_576, ("MiB",)),
    ("size", 1_073_741_824, ("GiB",)),
)

UNITS: dict[str, Unit] = {
    name: Unit(names[0], dimension, factor) for dimension, factor, names in _TABLE for name in names
}
"""Every spelling people may write, to its unit."""

RATIO, SECOND, BYTE = UNITS["ratio"], UNITS["s"], UNITS["bytes"]


def unit_named(name: str) -> Unit:
    """The unit spelled `name`; raises ValueError naming the nearest, or all there are."""
    if name in UNITS:
        return UNITS[name]
    near = difflib.get_close_matches(name, UNITS, 1)
    advice = (
        f'did you mean "{near[0]}"?'
        if near
        else f"there are: {', '.join(names[0] for _, _, names in _TABLE)}"
    )
    raise ValueError(f'no unit is called "{name}"; {advice}')


def duration_s(text: str) -> float:
    """Seconds in a duration as people write it: "24 hours", "2 minutes", "500 ms", "1 day".

    Raises ValueError for anything else.
    """
    return _amount(text, "duration", "24 hours")


def size_bytes(text: str) -> float:
    """Bytes in a size as people write it: "8 GiB", "500 MB". Raises ValueError for the rest."""
    return _amount(text, "size", "8 GiB")


def _amount(text: str, dimension: str, example: str) -> float:
    match = re.fullmatch(rf"({NUMBER}) (\S+)", text.strip())
    unit = UNITS.get(match[2]) if match else None
    if match is None or unit is None or unit.dimension != dimension or match[1].startswith("-"):
        raise ValueError(f'"{text}" is no {dimension}; write for example "{example}"')
    return float(match[1].replace(",", "")) * unit.factor
