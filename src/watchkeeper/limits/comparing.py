"""How are two values compared, and when do they not go together?"""

from __future__ import annotations

import math
import operator
import statistics
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from watchkeeper.limits.amounts import Amount, Number, converted, in_base, rounded
from watchkeeper.limits.showing import (
    kind_of,
    listed,
    rows,
    shown,
    shown_apart,
    shown_base,
    unit_name,
    wrong_kind,
)
from watchkeeper.observation import Observation, Row, Scalar, Table
from watchkeeper.units import Unit
from watchkeeper.verdicts import Verdict

OPERATORS: dict[str, Callable[[Number, Number], bool]] = {
    "below": operator.lt,
    "above": operator.gt,
    "at most": operator.le,
    "at least": operator.ge,
    "exactly": operator.eq,
    "lower than": operator.lt,
    "higher than": operator.gt,
    "no higher than": operator.le,
    "no lower than": operator.ge,
}
INSTANT_OPERATORS: dict[str, Callable[[datetime, datetime], bool]] = {
    "earlier than": operator.lt,
    "later than": operator.gt,
    "no later than": operator.le,
    "no earlier than": operator.ge,
}


class CannotJudge(Exception):
    """The value and the limit do not go together: the verdict is unknown, never failed."""


class NothingEarlier(Exception):
    """There is no earlier value to compare with."""


@dataclass(frozen=True)
class Beside:
    """What stands beside the value that is judged.

    `others`: the other figures a limit names, by the noun as it stands in the limit.
    `before`: the figure before the first When; in "between its F before and after" that of F, and
    `after` is what F is now. `earlier`: earlier values of the figure in base units (ratio, seconds,
    bytes). `any_data`: the noun in "where there were any NOUN", a list or a count.
    """

    others: Mapping[str, Observation] = field(default_factory=dict)
    before: Observation | None = None
    after: Observation | None = None
    earlier: tuple[float, ...] = ()
    any_data: Observation | None = None


@dataclass(frozen=True)
class Seen:
    """A value that is judged; `unit` is None for all but measured numbers."""

    value: Scalar | Table
    unit: Unit | None = None

    def __str__(self) -> str:
        return shown(self.value, self.unit)

    @property
    def number(self) -> Number:
        """The number, or a list's count; raises CannotJudge for anything else."""
        if isinstance(self.value, Table):
            return self.value.total
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise CannotJudge(wrong_kind(self.value, self.unit, "a number"))
        if not math.isfinite(self.value):
            raise CannotJudge(f"was {self.value}, which is no number")
        return self.value

    @property
    def base(self) -> Number:
        """The number in base units; raises CannotJudge where there is none."""
        return in_base(self.number, self.unit)

    @property
    def instant(self) -> datetime:
        """The instant; raises CannotJudge for anything else, and without a time zone."""
        if not isinstance(self.value, datetime):
            raise CannotJudge(wrong_kind(self.value, self.unit, "an instant"))
        if self.value.tzinfo is None:
            raise CannotJudge(f"was {self}, an instant without a time zone")
        return self.value

    def number_like(self, limit: Amount) -> Number:
        """The number in the unit of `limit`; raises CannotJudge where they do not go together.

        A share may be judged by a plain number, in the figure's own unit.
        """
        number = self.number
        if limit.unit is None and (self.unit is None or self.unit.dimension == "share"):
            return number
        same_dimension(self.unit, limit.unit)
        return converted(number, self.unit, limit.unit) if self.unit and limit.unit else number


@dataclass(frozen=True)
class Outcome:
    """What a rule says.

    `against`: what was compared with, where the limit itself does not show it.
    `short`: why fewer values were compared with than the limit asks for, or "".
    """

    verdict: Verdict
    found: str
    against: str = ""
    short: str = ""


def verdict(kept: bool) -> Verdict:
    """Passed or failed; the tiers know of degraded, and nobody here of unknown."""
    return Verdict.PASSED if kept else Verdict.FAILED


def same_dimension(first: Unit | None, second: Unit | None) -> None:
    """Raises CannotJudge for a share beside a duration, or a plain number beside either."""
    if (first and first.dimension) != (second and second.dimension):
        raise CannotJudge(
            f"was in {unit_name(first)}, which cannot be compared with {unit_name(second)}"
        )


def compare_numbers(
    word: str, seen: Seen, other: Seen, *, times: Number = 1, plus: Number = 0
) -> Outcome:
    """`seen` against `other` times `times` plus `plus` base units; raises CannotJudge."""
    found, reference = seen.base, other.base
    same_dimension(seen.unit, other.unit)
    kept, limit = kept_from(word, found, reference, times=times, plus=plus)
    return Outcome(
        verdict(kept),
        shown_base(found, seen.unit, limit),
        shown_base(reference, other.unit),
    )


def kept_from(
    word: str, found: Number, reference: Number, *, times: Number = 1, plus: Number = 0
) -> tuple[bool, Number]:
    """Whether `found` is `word` the reference times `times` plus `plus`, and what that comes to.

    Only what was computed is rounded: 0.92 - 0.02 is 0.9 here, and what was merely seen is exact.
    """
    if times == 1 and plus == 0:
        return OPERATORS[word](found, reference), reference
    limit = rounded(reference * times + plus)
    return OPERATORS[word](rounded(found), limit), limit


def compare_instants(word: str, seen: Seen, other: Seen) -> Outcome:
    """`seen` against `other` in time; raises CannotJudge where one of them is no instant."""
    kept = INSTANT_OPERATORS[word](seen.instant, other.instant)
    return Outcome(verdict(kept), str(seen), str(other))


def compare_sameness(seen: Seen, other: Seen) -> Outcome:
    """Whether two values are the same; raises CannotJudge where they are of two kinds."""
    if isinstance(seen.value, Table) and isinstance(other.value, Table):
        return same_rows(seen.value, other.value)
    if seen.value is not None and kind_of(seen.value) != kind_of(other.value):
        raise CannotJudge(wrong_kind(seen.value, seen.unit, kind_of(other.value) or "nothing"))
    if kind_of(seen.value) == "a number":
        return compare_numbers("exactly", seen, other)
    if isinstance(seen.value, str) and isinstance(other.value, str):
        found = shown_apart(seen.value, other.value)
        return Outcome(verdict(seen.value == other.value), found, str(other))
    if isinstance(seen.value, datetime):
        return Outcome(verdict(seen.instant == other.instant), str(seen), str(other))
    return Outcome(verdict(seen.value == other.value), str(seen), str(other))


def same_rows(seen: Table, other: Table) -> Outcome:
    """Whether two lists hold the same rows, in any order; cells are compared as they read.

    A file knows only texts, so 5 and "5", and an empty field and "", are the same here.
    Raises CannotJudge where columns differ or not all rows were kept.
    """
    found, against = rows(seen.total), rows(other.total)
    if seen.total != other.total or not seen.total:
        return Outcome(verdict(seen.total == other.total), found, against)
    mine, theirs = _counted(seen, other), _counted(other, seen)
    differing = (mine - theirs).total()
    if not differing:
        return Outcome(Verdict.PASSED, found, against)
    return Outcome(Verdict.FAILED, f"{found}, {differing:,} of them not among those", against)


def _counted(table: Table, other: Table) -> Counter[tuple[str, ...]]:
    if len(table.rows) < table.total:
        raise CannotJudge(f"only {len(table.rows):,} of {rows(table.total)} were kept to compare")
    columns = sorted(table.rows[0].columns)
    if columns != sorted(other.rows[0].columns):
        others = listed(other.rows[0].columns)
        raise CannotJudge(f"had the columns {listed(columns)}, where {others} were expected")
    return Counter(_cells(row, columns) for row in table)


def _cells(row: Row, columns: list[str]) -> tuple[str, ...]:
    for column in columns:
        if column not in row:
            raise CannotJudge(f'had a row without the column "{column}"')
    return tuple(_as_text(row[column]) for column in columns)


def _as_text(cell: Scalar) -> str:
    if cell is None:
        return ""
    return cell.isoformat() if isinstance(cell, datetime) else str(cell)


def usual(earlier: tuple[float, ...]) -> Number:
    """The median of the earlier values; raises NothingEarlier, or CannotJudge for no numbers."""
    if not earlier:
        raise NothingEarlier
    if not all(math.isfinite(value) for value in earlier):
        raise CannotJudge("an earlier value is no number, so there is nothing to compare with")
    return statistics.median(earlier)


def seen_in(observation: Observation | None, called: str) -> Seen:
    """The value to compare with; raises CannotJudge where there is none."""
    if observation is None:
        raise CannotJudge(f"{called} was not seen, so there is nothing to compare with")
    if observation.no_data:
        raise CannotJudge(f"{called} had no data, so there is nothing to compare with")
    return Seen(observation.value, observation.unit)
