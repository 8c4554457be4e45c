"""Which checks does a scenario hold, which sentences are whose, and how did each check end?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from watchkeeper.meaning import JUDGEMENTS, Operate, Report, Undo
from watchkeeper.plan import Scenario, Step
from watchkeeper.verdicts import Finding, Verdict, worst

GOOD = (Verdict.PASSED, Verdict.DEGRADED)


@dataclass(frozen=True, order=True)
class Check:
    """A procedure's id, and the row of an outline ("" outside outlines)."""

    id: str
    row: str = ""

    def __str__(self) -> str:
        return f"{self.id}, {self.row}" if self.row else self.id

    @classmethod
    def named(cls, text: str) -> Check:
        """The check that people write as "MM-DAY-4, Radarr"."""
        name, _, row = text.partition(",")
        return cls(name.strip(), row.strip())


@dataclass(frozen=True)
class Standing:
    """How one check stands: its verdict, and its bad findings: its `own`, and those it shares.

    `reached`: whether a sentence of its own was judged; a scenario stops at what goes wrong before.
    `siblings`: the other ids of its scenario.
    """

    verdict: Verdict
    own: tuple[Finding, ...] = ()
    shared: tuple[Finding, ...] = ()
    reached: bool = True
    siblings: frozenset[str] = frozenset()

    @property
    def good(self) -> bool:
        return self.verdict in GOOD

    @property
    def sentence(self) -> str:
        """What its worst finding says, "" where nothing was found."""
        found = (*self.own, *self.shared)
        return next((each.sentence for each in found if each.verdict is self.verdict), "")


@dataclass(frozen=True)
class Whose:
    """Whose sentences are whose in scenarios with several ids: by id, parts of its sentences."""

    parts: Mapping[str, tuple[str, ...]]

    def owners(self, sentence: str) -> tuple[str, ...]:
        """The ids of which a part stands in `sentence`."""
        return tuple(i for i, parts in self.parts.items() if any(p in sentence for p in parts))

    def problem(self, scenario: Scenario) -> tuple[str, str] | None:
        """(id or "", what is wrong) where the parts do not tell whose a sentence is, else None."""
        if len(scenario.ids) == 1:
            return None
        for each in scenario.ids:
            if each not in self.parts:
                return "", f'"{scenario.name}" has several ids; say which sentences are {each}\'s'
        for step in _proving(scenario):
            owners = [i for i in self.owners(step.written.text) if i in scenario.ids]
            if not owners:
                return "", f'nobody\'s sentence: "{step.written.text}" of {scenario.name}'
            if len(owners) > 1:
                both = " and of ".join(owners)
                return owners[0], f'"{step.written.text}" is said to be of {both}'
        texts = [step.written.text for step in scenario.steps]
        for each in scenario.ids:
            for part in self.parts[each]:
                if not any(part in text for text in texts):
                    return each, f'no sentence of "{scenario.name}" has "{part}"'
        return None


def _proving(scenario: Scenario) -> Iterable[Step]:
    """The steps that can go red for a fault of the system: not what was only assumed."""
    for step in scenario.steps:
        if isinstance(step.meaning, Undo) or step.precondition:
            continue
        if isinstance(step.meaning, (Operate, *JUDGEMENTS)):
            yield step


def only_reports(scenario: Scenario) -> bool:
    """Whether it keeps no limit at all, but shows figures."""
    judging = [step.meaning for step in scenario.steps if isinstance(step.meaning, JUDGEMENTS)]
    return all(isinstance(meaning, Report) for meaning in judging)


def checks_of(scenario: Scenario) -> tuple[Check, ...]:
    return tuple(Check(each, scenario.row) for each in scenario.ids)


def standings(
    scenario: Scenario, findings: Sequence[Finding], whose: Whose
) -> Mapping[Check, Standing]:
    """How each check of `scenario` stands after `findings`.

    In a scenario with several ids a finding belongs to the id whose sentence it judges; one that is
    nobody's, such as an unmet precondition, counts for all of them.
    """
    if len(scenario.ids) == 1:
        return {Check(scenario.ids[0], scenario.row): _standing(findings)}
    owned = [(found, whose.owners(found.step)) for found in findings]
    shared = _bad(found for found, owners in owned if not owners)
    return {
        check: _standing(
            [found for found, owners in owned if check.id in owners],
            shared,
            frozenset(scenario.ids) - {check.id},
        )
        for check in checks_of(scenario)
    }


def _standing(
    own: Sequence[Finding],
    shared: tuple[Finding, ...] = (),
    siblings: frozenset[str] = frozenset(),
) -> Standing:
    verdict = worst(each.verdict for each in (*own, *shared))
    return Standing(verdict, _bad(own), shared, reached=bool(own), siblings=siblings)


def _bad(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(each for each in findings if each.verdict not in GOOD)
