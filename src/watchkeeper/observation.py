"""What was seen: a value with its unit, and where, when and in how long it was seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from watchkeeper.units import Unit

Scalar: TypeAlias = int | float | str | bool | datetime | None
"""One cell. None is a field that was there and empty (SQL NULL, JSON null): "absent"."""


@dataclass(frozen=True)
class Row:
    """One row of a list: named cells in the order in which the system gave them."""

    cells: tuple[tuple[str, Scalar], ...]

    @classmethod
    def of(cls, cells: Mapping[str, Scalar]) -> Row:
        return cls(tuple(cells.items()))

    def __getitem__(self, column: str) -> Scalar:
        """The cell of `column`; raises KeyError where the row has none."""
        for name, value in self.cells:
            if name == column:
                return value
        raise KeyError(column)

    def get(self, column: str) -> Scalar:
        """The cell of `column`; None where it is empty or the row has none."""
        return next((value for name, value in self.cells if name == column), None)

    def __contains__(self, column: object) -> bool:
        return any(name == column for name, _ in self.cells)

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.cells)


@dataclass(frozen=True)
class Table:
    """A list: a count to judge, its rows as evidence.

    `total` may exceed `len(rows)` where only the first rows are kept (`Table.KEEP`).
    `measure`: the column that says how much, where all others only say of what.
    """

    KEEP = 1_000  # rows kept as evidence; a report with more is not read by anybody

    rows: tuple[Row, ...]
    total: int
    key: str | None = None
    measure: str | None = None

    def __len__(self) -> int:
        return self.total

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)


Value: TypeAlias = Scalar | Table
"""What can be judged. None only as a row's empty cell: a figure that says nothing is unknown."""


@dataclass(frozen=True)
class Picture:
    """What was seen as people see it: a PNG.

    A picture can't be redacted, so `shows` is all the text on it: where that holds a secret, the
    picture is not kept.
    """

    png: bytes
    shows: str


@dataclass(frozen=True)
class Answer:
    """What a probe got, before a figure's `pick`, `unit` and `values` are applied to it.

    `value`: JSON-like data (None, bool, int, float, str, datetime, list, mapping) or a Table.
    `kind`: how it answered, for `counts as` ("200", "exit 0", "present").
    `source`: what was asked, without secrets ("GET /api/stats?hours=24", "SELECT … in store").
    `at`: when the look began, UTC. `duration_s`: how long it took, seconds.
    `excerpt`: the raw answer, cut to `EXCERPT` characters; redacted before it is written.
    `disturbed`: whether our own lag may have lengthened `duration_s`.
    `word`: what it comes to, for a figure that picks nothing.
    """

    EXCERPT = 2_000

    value: object
    source: str
    at: datetime
    duration_s: float
    kind: str = ""
    excerpt: str = ""
    disturbed: bool = False
    word: str = ""
    picture: Picture | None = None


@dataclass(frozen=True)
class Observation:
    """A figure's value as it was seen.

    `value` in `unit` (None for text, yes/no, instants, lists and plain counts).
    `no_data`: the system answered properly that there was nothing to measure (an average of no
    rows); `value` is then 0 and counts for nothing.
    """

    figure: str
    value: Value
    unit: Unit | None
    source: str
    at: datetime
    duration_s: float
    excerpt: str = ""
    no_data: bool = False
    picture: Picture | None = None
