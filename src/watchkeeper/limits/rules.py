"""Does a value keep a limit? One rule for each thing that a limit can ask."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Protocol

from watchkeeper.limits.amounts import Amount, Number, in_base, rounded
from watchkeeper.limits.comparing import (
    INSTANT_OPERATORS,
    OPERATORS,
    Beside,
    CannotJudge,
    Outcome,
    Seen,
    compare_instants,
    compare_numbers,
    compare_sameness,
    kept_from,
    same_dimension,
    seen_in,
    usual,
    verdict,
)
from watchkeeper.limits.showing import listed, shown_base, shown_text, wrong_kind
from watchkeeper.observation import Scalar, Table
from watchkeeper.units import RATIO, Unit
from watchkeeper.verdicts import Verdict

States = tuple[str, ...] | None

_BEFORE = "its value before the operation"
_EXAMPLES = {"share": '"below 10%"', "duration": '"below 5 s"', "size": '"below 5 GB"'}


class Rule(Protocol):
    """One thing that a limit can ask."""

    def judge(self, seen: Seen, beside: Beside) -> Outcome:
        """The outcome; raises CannotJudge or NothingEarlier."""

    def misfit(self, unit: Unit | None, states: States) -> str:
        """Why no figure of `unit` and declared `states` can keep this, or "" where one can."""


@dataclass(frozen=True)
class Bound:
    """below, above, at most, at least or exactly an amount."""

    word: str
    limit: Amount

    def judge(self, seen: Seen, beside: Beside) -> Outcome:
        found = seen.number_like(self.limit)
        kept = OPERATORS[self.word](found, self.limit.number)
        return Outcome(verdict(kept), self._scale(seen.unit).show(found, self.limit.number))

    def _scale(self, unit: Unit | None) -> Amount:
        """The unit that the value is shown in: the limit's, else the figure's own."""
        if self.limit.unit or unit is None or unit == RATIO:
            return self.limit
        return Amount(self.limit.number, unit, unit.name)

    def misfit(self, unit: Unit | None, states: States) -> str:
        return _amount_misfit(self.limit, unit, states)


@dataclass(frozen=True)
class Both:
    """Two bounds that must both be kept: "above 0 and at most 1", "between 1 and 5 s"."""

    lower: Bound
    upper: Bound

    def judge(self, seen: Seen, beside: Beside) -> Outcome:
        lower, upper = self.lower.judge(seen, beside), self.upper.judge(seen, beside)
        return lower if lower.verdict is Verdict.FAILED else upper

    def misfit(self, unit: Unit | None, states: States) -> str:
        return self.lower.misfit(unit, states) or self.upper.misfit(unit, states)


@dataclass(frozen=True)
class Tiers:
    """A limit with "at worst": what only the looser one lets through is degraded."""

    strict: Rule
    loose: Rule

    def judge(self, seen: Seen, beside: Beside) -> Outcome:
        outcome = self.strict.judge(seen, beside)
        if outcome.verdict is Verdict.PASSED:
            return outcome
        worst = self.loose.judge(seen, beside)
        let_through = worst.verdict is Verdict.PASSED
        return Outcome(Verdict.DEGRADED, outcome.found) if let_through else worst

    def misfit(self, unit: Unit | None, states: States) -> str:
        return self.strict.misfit(unit, states) or self.loose.misfit(unit, states)


@dataclass(frozen=True)
class AgainstOther:
    """Above, below, later than … another figure, or so many times that figure."""

    word: str
    other: str
    times: Number = 1

    def judge(self, seen: Seen, beside: Beside) -> Outcome:
        other = seen_in(beside.others.get(self.other), f"its {self.other}")
        if self.word in INSTANT_OPERATORS:
            return compare_instants(self.word, seen, other)
        return compare_numbers(self.word, seen, other, times=self.times)

    def misfit(self, unit: Unit | None, states: States) -> str:
        return _comparison_misfit(self.word, unit, states)


@dataclass(frozen=True)
class AgainstBefore:
    """Lower than, higher than, later than before, or exactly `step` away from it."""

    word: str
    step: Amount | None = None

    def judge(self, seen: Seen, beside: Beside) -> Outcome:
        before = seen_in(beside.before, _BEFORE)
        if self.word in INSTANT_OPERATORS:
            return compare_instants(self.word, seen, before)
        if self.step is None:
            return compare_numbers(self.word, seen, before)
        same_dimension(seen.unit, self.step.unit)
        plus = in_base(self.step.number, self.step.unit)
        return compare_numbers(self.word, seen, before, plus=plus)

    def misfit(self, unit: Unit | None, states: States) -> str:
        problem = _comparison_misfit(self.word, unit, states)
        if problem or self.step is None:
            return problem
        if unit is not None and unit.dimension == "share" and self.step.unit is None:
            return 'the figure is a share; write for example "2 points higher than before"'
        return _amount_misfit(self.step, unit, states)


@dataclass(frozen=True)
class Bracketed:
    """Between what another figure was before and what it is after, both ends included."""

    other: str

    def judge(self, seen: Seen, beside: Beside) -> Outcome:
        before = seen_in(beside.before, f"its {self.other} before")
        after = seen_in(beside.after, f"its {self.other} after")
        found, ends = seen.base, sorted((before.base, after.base))
        for each in (before, after):
            same_dimension(seen.unit, each.unit)
        kept = ends[0] <= found <= ends[1]
        against = " and ".join(shown_base(each, seen.unit) for each in ends)
        apart_from = ends[0] if found < ends[0] else ends[1]
        return Outcome(verdict(kept), shown_base(found, seen.unit, apart_from), against)

    def misfit(self, unit: Unit | None, states: States) -> str:
        return _comparison_misfit("between", unit, states)


@dataclass(frozen=True)
class AgainstEarlier:
    """Against the median of `count` earlier values times `times` plus `plus` (in base units)."""

    word: str
    count: int
    times: Number = 1
    plus: Number = 0

    def judge(self, seen: Seen, beside: Beside) -> Outcome:
        reference, found = usual(beside.earlier), seen.base
        kept, limit = kept_from(self.word, found, reference, times=self.times, plus=self.plus)
        return Outcome(
            verdict(kept),
            shown_base(found, seen.unit, limit),
            shown_base(reference, seen.unit),
            _short(self.count, beside),
        )

    def misfit(self, unit: Unit | None, states: States) -> str:
        if self.plus and (unit is None or unit.dimension != "share") and states is None:
            return 'points are between shares; write for example "at most 25% above last week\'s"'
        return _comparison_misfit(self.word, unit, states)


@dataclass(frozen=True)
class NearEarlier:
    """Within `share` (a ratio) of the median of `count` earlier values, both ends included."""

    share: Number
    count: int

    def judge(self, seen: Seen, beside: Beside) -> Outcome:
        reference, found = usual(beside.earlier), seen.base
        allowed = rounded(abs(reference) * self.share)
        away = rounded(abs(found - reference))
        edge = rounded(reference + (allowed if found > reference else -allowed))
        return Outcome(
            verdict(away <= allowed),
            shown_base(found, seen.unit, edge),
            shown_base(reference, seen.unit),
            _short(self.count, beside),
        )

    def misfit(self, unit: Unit | None, states: States) -> str:
        return _comparison_misfit("within", unit, states)


@dataclass(frozen=True)
class Words:
    """One of these texts, or none of them where `negated`; `quoted` ones are no state words."""

    words: tuple[str, ...]
    negated: bool = False
    quoted: bool = False

    def judge(self, seen: Seen, beside: Beside) -> Outcome:
        if seen.value is None and not self.negated:
            return Outcome(Verdict.FAILED, "absent")  # an empty field surely is not this word
        if not isinstance(seen.value, str):
            raise CannotJudge(wrong_kind(seen.value, seen.unit, "a text"))
        kept = (seen.value in self.words) is not self.negated
        return Outcome(verdict(kept), shown_text(seen.value, quoted=self.quoted))

    def misfit(self, unit: Unit | None, states: States) -> str:
        if unit is not None:
            return f"the figure is a number in {unit.name}; write for example {_example(unit)}"
        strange = [word for word in self.words if states is not None and word not in states]
        return _no_state(strange[0], states or ()) if strange else ""


@dataclass(frozen=True)
class YesNo:
    """yes or no, and nothing that merely looks like it."""

    expected: bool

    def judge(self, seen: Seen, beside: Beside) -> Outcome:
        if not isinstance(seen.value, bool):
            raise CannotJudge(wrong_kind(seen.value, seen.unit, "a yes or no"))
        return Outcome(verdict(seen.value is self.expected), str(seen))

    def misfit(self, unit: Unit | None, states: States) -> str:
        if states is not None:
            return _states_misfit(states)
        if unit is not None:
            return f"the figure is a number in {unit.name}; write for example {_example(unit)}"
        return ""


@dataclass(frozen=True)
class Presence:
    """present, absent or known.

    An empty text is neither present nor absent: both fail on it and say so. "unknown", the word
    that systems send where they do not know, is present but not known. A probe that answers with
    the words "present" and "absent" is taken at its word.
    """

    word: str

    def judge(self, seen: Seen, beside: Beside) -> Outcome:
        if isinstance(seen.value, bool):
            expected = "a value that can be present or absent"
            raise CannotJudge(wrong_kind(seen.value, seen.unit, expected))
        if _is_absent(seen.value):
            return Outcome(verdict(self.word == "absent"), "absent")
        return Outcome(verdict(self.word in _presence(seen.value)), str(seen))

    def misfit(self, unit: Unit | None, states: States) -> str:
        return ""


@dataclass(frozen=True)
class Same:
    """The same as another figure, or as before (`other` None); of lists: the same rows."""

    other: str | None

    def judge(self, seen: Seen, beside: Beside) -> Outcome:
        if self.other is None:
            return compare_sameness(seen, seen_in(beside.before, _BEFORE))
        return compare_sameness(seen, seen_in(beside.others.get(self.other), f"its {self.other}"))

    def misfit(self, unit: Unit | None, states: States) -> str:
        return ""


def _is_absent(value: Scalar | Table) -> bool:
    return value is None or value == "absent" or (isinstance(value, Table) and not value.total)


def _presence(value: Scalar | Table) -> tuple[str, ...]:
    """Which words a value that is there deserves."""
    if not isinstance(value, str):
        return ("present", "known")
    if not value.strip():
        return ()
    return ("present",) if value.strip().lower() == "unknown" else ("present", "known")


def _short(count: int, beside: Beside) -> str:
    there = len(beside.earlier)
    return f"only {there} of the {count} before it there" if there < count else ""


def _amount_misfit(limit: Amount, unit: Unit | None, states: States) -> str:
    if states is not None:
        return _states_misfit(states)
    if limit.unit is None:
        return _bare_misfit(limit, unit)
    if unit is None:
        return "the figure has no unit; write a plain number, or give the figure its unit"
    if unit.dimension != limit.unit.dimension:
        return f"the figure is in {unit.name}; write for example {_example(unit)}"
    return ""


def _bare_misfit(limit: Amount, unit: Unit | None) -> str:
    """A plain number fits a plain figure, and a share where nobody can take 90 for 90%."""
    if unit is None or limit.number == 0:
        return ""
    if unit.dimension != "share":
        return f'the figure is in {unit.name}, "{limit}" has no unit; write "{limit} {unit.name}"'
    large = abs(limit.number) > 1
    if large is (unit != RATIO):
        return ""
    meant = Amount(limit.number if large else rounded(limit.number * 100))
    return f'the figure is in {unit.name}, so "{limit}" can be taken two ways; write "{meant}%"'


def _comparison_misfit(word: str, unit: Unit | None, states: States) -> str:
    if states is not None:
        return _states_misfit(states)
    if word in INSTANT_OPERATORS and unit is not None:
        return f'"{word}" compares instants, the figure is in {unit.name}; write above or below'
    return ""


def _states_misfit(states: tuple[str, ...]) -> str:
    return f"the figure is one of {listed(states)}; write one of these words"


def _no_state(word: str, states: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(word, states, 1)
    advice = f'did you mean "{near[0]}"?' if near else "write one of these"
    return f'"{word}" is none of the figure\'s values ({listed(states)}); {advice}'


def _example(unit: Unit) -> str:
    return _EXAMPLES.get(unit.dimension, f'"below 5 {unit.name}"')
