"""Does what was seen keep what the feature says, in words that people read?"""

from __future__ import annotations

from dataclasses import dataclass

from watchkeeper.limits.comparing import Beside, CannotJudge, NothingEarlier, Outcome, Seen
from watchkeeper.limits.forms import FORMS, Form, History
from watchkeeper.limits.parsing import meaning_of, without_suffixes
from watchkeeper.limits.rules import Rule
from watchkeeper.observation import Observation, Scalar, Table
from watchkeeper.units import Unit
from watchkeeper.verdicts import Verdict

__all__ = ["FORMS", "Beside", "Form", "History", "Judgement", "Limit", "parse_limit"]


@dataclass(frozen=True)
class Judgement:
    """A verdict, what was found and what was expected, both as people read them.

    `note` says what these two cannot: "there were none to measure", or why it is unknown; `found`
    is then "". An unknown's note goes on after the subject: "there was no data to measure".
    """

    verdict: Verdict
    found: str
    expected: str
    note: str = ""

    def told(self, subject: str, verb: str = "was") -> str:
        """The sentence; `subject` and `verb` as the feature has them."""
        if not self.found:
            return f"{subject}: {self.note}"
        note = f" ({self.note})" if self.note else ""
        return f"{subject} {verb} {self.found}, expected {self.expected}{note}"


@dataclass(frozen=True)
class Limit:
    """A limit as it was written and understood.

    `core`: the text without its ", where …" and ", tolerating …".
    `others`: the other figures it names, as `Beside.others` wants them; where it `needs_after`, the
    one other is the figure whose before and after are meant.
    `words`: the unquoted state words it names.
    `dimension`: of its bounds ("share", "duration", "size"); None for plain numbers and no numbers.
    `where_any`: None where that was not said, "" without a noun, else the noun.
    `where_one`: no value, or nothing earlier to compare with, passes and says so.
    `tolerating_s`: seconds that it may be broken before that counts.
    """

    text: str
    core: str
    rule: Rule
    others: tuple[str, ...] = ()
    needs_before: bool = False
    needs_after: bool = False
    history: History | None = None
    words: tuple[str, ...] = ()
    dimension: str | None = None
    where_any: str | None = None
    where_one: bool = False
    tolerating_s: float | None = None

    def judge(self, seen: Observation, beside: Beside | None = None) -> Judgement:
        """The judgement of a figure; a value of the wrong kind is unknown, never failed."""
        beside = beside or Beside()
        decided = self._where_any(self.where_any, beside) if self.where_any else None
        if decided:
            return decided
        if not seen.no_data:
            return self.judge_value(seen.value, seen.unit, beside)
        return (
            self._passed(_NONE)
            if self.lets_none_pass
            else self._unknown("there was no data to measure")
        )

    def judge_value(
        self, value: Scalar | Table, unit: Unit | None = None, beside: Beside | None = None
    ) -> Judgement:
        """The judgement of one cell, or of a figure's value in `unit`."""
        if value is None and self.lets_none_pass:
            return self._passed(_NONE)
        try:
            return self._judged(self.rule.judge(Seen(value, unit), beside or Beside()))
        except NothingEarlier:
            if self.where_one:
                return self._passed("there is no earlier one to compare with")
            return self._unknown("there is no earlier one to compare with")
        except CannotJudge as problem:
            return self._unknown(str(problem))

    def check(self, unit: Unit | None, states: tuple[str, ...] | None = None) -> str | None:
        """Why it fits no figure of `unit` and declared values `states`, and what to write instead.

        None where it fits. `unit` None: texts, instants, lists and plain numbers.
        """
        problem = self.rule.misfit(unit, states)
        return f'"{self.core}" does not fit: {problem}' if problem else None

    @property
    def lets_none_pass(self) -> bool:
        """Whether it is kept where there is nothing to judge."""
        return self.where_any == "" or self.where_one

    def _where_any(self, noun: str, beside: Beside) -> Judgement | None:
        """The judgement where there were none of `noun`, or nobody knows; else None."""
        if beside.any_data is None:
            return self._unknown(
                f"its {noun} were not seen, so nobody knows whether there were any"
            )
        if beside.any_data.no_data:
            return self._passed(f"there were no {noun}")
        try:
            count = Seen(beside.any_data.value, beside.any_data.unit).number
        except CannotJudge as problem:
            return self._unknown(f"the number of its {noun} {problem}")
        return None if count else self._passed(f"there were no {noun}")

    def _passed(self, note: str) -> Judgement:
        return Judgement(Verdict.PASSED, "", self.core, note)

    def _unknown(self, note: str) -> Judgement:
        return Judgement(Verdict.UNKNOWN, "", self.core, note)

    def _judged(self, outcome: Outcome) -> Judgement:
        if outcome.short and not self.where_one:
            return self._unknown(f"was {outcome.found}, with {outcome.short} to compare with")
        against = f" ({outcome.against})" if outcome.against else ""
        return Judgement(outcome.verdict, outcome.found, self.core + against, outcome.short)


_NONE = "there were none to measure"


def parse_limit(text: str) -> Limit:
    """The limit written `text`.

    Raises ValueError with a sentence: what is wrong, and the nearest form or what to write instead.
    """
    core, said = without_suffixes(" ".join(text.split()))
    meaning = meaning_of(core)
    return Limit(text=text, core=core, **vars(meaning), **vars(said))
