"""Which drills notice that a check was blunted? Every check, blunted in every way we know.

python -m tests.proving.mutations [LEAST] [WORD …]: all of them, or those with a WORD in their
names, in some minutes; it names those that nobody noticed, and ends with 1 where fewer than LEAST %
were noticed.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ruamel.yaml import CommentedMap

from tests.proving.blunting import (
    blunted_figures,
    blunted_sentences,
    cannot_fail,
    cases,
    unasked_figures,
)
from tests.proving.projects import ROOT
from watchkeeper.errors import ConfigurationError, WatchkeeperError
from watchkeeper.kinds import KINDS
from watchkeeper.meaning import Cell, Contains, Reading, Undo
from watchkeeper.plan import Scenario, Step
from watchkeeper.proving.checks import Check, Standing, checks_of, only_reports, standings
from watchkeeper.proving.drilling import wrong_of
from watchkeeper.proving.drills import DEADLINE_S, Drill, drills_path, load_drills
from watchkeeper.proving.following import NotSo
from watchkeeper.proving.replicas import Replica, start_replica
from watchkeeper.proving.stage import Stage
from watchkeeper.pytest_plugin import bdd_internals
from watchkeeper.pytest_plugin.drilling import known_checks
from watchkeeper.pytest_plugin.words import DICTIONARY
from watchkeeper.recording.ledger import Ledger
from watchkeeper.recording.redaction import Redactor
from watchkeeper.target_file import load_system, system_in
from watchkeeper.targets import System
from watchkeeper.verdicts import Finding, Verdict
from watchkeeper.yaml_file import plain, read_yaml

SLUG = "media-management"
TARGET = ROOT / "targets" / f"{SLUG}.yml"
FEATURES = ROOT / "features" / SLUG
LOG = logging.getLogger(__name__)
NO_FAULT = "red without any fault"
MENDED = ("an upgrade is waiting", "sonarr down", "radarr down", "lidarr down")
"""Dials that some operation is there to deal with: what is good under them must go on being so."""
COULD_NOT_SEE = (Verdict.UNKNOWN, Verdict.BLOCKED)

Stand = Mapping[Check, Standing]
Ran = tuple[Stand, tuple[Finding, ...]]
Blunting = Callable[[str, Mapping[str, Any]], Iterator[tuple[str, dict[str, Any]]]]


@dataclass(frozen=True)
class Mutant:
    """A check that was blunted, and how.

    `lines`: the steps of the original (counted from 1) whose finding it may change; `checks`: those
    that these are sentences of. `may_redden`: it asks something else, so that it may be red by
    itself; one that only asks less is not.
    """

    name: str
    scenario: Scenario
    lines: frozenset[int]
    checks: frozenset[Check]
    may_redden: bool


@dataclass(frozen=True)
class Noticed:
    """By which fault a mutant was told from its original, and the checks that the drill named."""

    fault: str
    checks: frozenset[Check]


@dataclass(frozen=True)
class _Lent:
    """A replica that a stage uses and does not take away."""

    replica: Replica

    def __getattr__(self, name: str) -> Any:
        return getattr(self.replica, name)

    def close(self) -> None:
        """The next stage needs it."""


class Range:
    """The replica on which mutants are tried, and every check as it is written."""

    def __init__(self, folder: Path) -> None:
        bdd_internals.install()
        self.system = load_system(TARGET, KINDS)
        DICTIONARY.load([self.system])
        self.cases = tuple(cases(FEATURES))
        planned = [case.planned(self.system) for case in self.cases]
        self.originals = tuple(each for each in planned if each is not None)
        self.unplanned = [c.heading.name for c, p in zip(self.cases, planned, strict=True) if not p]
        self.known = frozenset(known_checks(FEATURES))
        drills = load_drills(drills_path(ROOT, SLUG), self.system.name, self.known)
        self.whose = drills.whose
        self.drills = sorted(drills.drills, key=_quick_ones_first)
        self._redactor = Redactor()
        self._ledger = Ledger.open(folder / "ledger.jsonl", self._redactor)
        self._replica = start_replica(ROOT, SLUG)

    def close(self) -> None:
        self._replica.close()
        self._ledger.close()

    # ---- Mutants

    @cached_property
    def mutants(self) -> tuple[Mutant, ...]:
        """Every one, in the order of the features."""
        blunted = list(self._systems(blunted_figures))
        unasked = list(self._systems(unasked_figures))
        found: list[Mutant] = []
        for case in self.cases:
            original = case.planned(self.system)
            if original is None:
                continue
            for how, line, mutated in blunted_sentences(case, original):
                scenario, does = mutated.planned(self.system), case.lines[line - 1].kind == "when"
                # What was done is judged by what comes after it.
                lines = {n for n in range(line, len(case.lines) + 1) if does or n == line}
                if scenario is not None:
                    found.append(self._mutant(how, scenario, original, lines, may_redden=does))
            # What a mere report shows is not judged, only that it can be read.
            for how, system in unasked if only_reports(original) else blunted:
                scenario = case.planned(system)
                lines = _asked_otherwise(original, scenario) if scenario is not None else set()
                if scenario is not None and lines:
                    found.append(self._mutant(how, scenario, original, lines, may_redden=True))
        return tuple(found)

    def _mutant(
        self, how: str, scenario: Scenario, original: Scenario, lines: set[int], *, may_redden: bool
    ) -> Mutant:
        checks = frozenset(checks_of(original))
        if len(checks) > 1:
            texts = [s.written.text for s in original.steps if s.written.line in lines]
            owners = {owner for text in texts for owner in self.whose.owners(text)}
            checks = frozenset(each for each in checks if each.id in owners)
        row = f", {original.row}" if original.row else ""
        name = f"{'+'.join(original.ids)}{row} {how}"
        return Mutant(name, scenario, frozenset(lines), checks, may_redden)

    def _systems(self, blunting: Blunting) -> Iterator[tuple[str, System]]:
        """The target file with one figure blunted: read once, since reading takes its time."""
        node = read_yaml(TARGET)
        figures = node.data["figures"]
        for name, figure in list(figures.items()):
            for how, blunted in blunting(name, plain(figure)):
                figures[name] = CommentedMap(blunted)
                try:
                    yield how, system_in(node, KINDS)
                except WatchkeeperError:
                    continue  # the loader refuses it: nobody can blunt it so
            figures[name] = figure

    # ---- Trying them

    def noticed(self, mutants: Sequence[Mutant]) -> dict[str, Noticed]:
        """Of `mutants` the noticed ones, by name.

        Noticed is what makes a drill say that a check should have become something else than it is,
        where the original under the same fault went as told, by a sentence that was blunted. Of
        faults that imply the same sentence the first one is tried, then a second one.
        """
        healthy, found = self._without_fault(mutants)
        self._under_each(mutants, healthy, found, times=1)
        left = [each for each in mutants if each.name not in found]
        found |= self._not_mended(left, healthy)
        self._under_each(mutants, healthy, found, times=2)
        return found

    def _under_each(
        self, mutants: Sequence[Mutant], healthy: Stand, found: dict[str, Noticed], times: int
    ) -> None:
        """Add what drills notice: of those that imply one sentence so many `times`, and at the
        second time also those that draw a check along.
        """
        done: Counter[tuple[Check, str]] = Counter()
        for drill in self.drills:
            left = [each for each in mutants if each.name not in found]
            wanted = {check for each in left for check in each.checks}
            about = {(e.check, e.says) for e in drill.red if e.check in wanted}
            about |= {(c, str(drill.place)) for c in drill.also if c in wanted and times > 1}
            if any(done[each] < times for each in about):
                done.update(about)
                found |= self._under(drill.among({check for check, _ in about}), left, healthy)
                LOG.debug("%s: %s of %s", drill.fault, len(found), len(mutants))

    def seen_red(self, check: Check) -> set[int]:
        """The lines of its scenario that go red, each under a fault that is about them."""
        healthy, _ = self._without_fault(())
        lines: set[int] = set()
        told: set[str] = set()
        for drill in (each.among({check}) for each in self.drills):
            if drill.red and drill.red[0].says not in told:
                told.add(drill.red[0].says)
                lines |= self._evidence(drill, healthy)[check]
        return lines

    def _not_mended(self, mutants: Sequence[Mutant], healthy: Stand) -> dict[str, Noticed]:
        """Those that are red under a dial that their originals deal with."""
        found: dict[str, Noticed] = {}
        checks = {check for each in mutants for check in each.checks}
        originals = [s for s in self.originals if checks.intersection(checks_of(s))]
        for name in MENDED:
            both = [*originals, *(each.scenario for each in mutants)]
            ran = self._run((name,), both, DEADLINE_S) if mutants else []
            right = {
                check for stand, _ in ran[: len(originals)] for check in stand if stand[check].good
            }
            for mutant, (stand, _) in zip(mutants, ran[len(originals) :], strict=True):
                red = {c for c in mutant.checks & right if healthy[c].good and not stand[c].good}
                if red:
                    found[mutant.name] = Noticed(name, frozenset(red))
        return found

    def _without_fault(self, mutants: Sequence[Mutant]) -> tuple[Stand, dict[str, Noticed]]:
        """How the originals stand, and the mutants that are red where nothing is wrong.

        What could not be seen is tried again: a busy machine does that once, and not twice.
        """
        healthy: dict[Check, Standing] = {}
        left: Sequence[Scenario] = self.originals
        for _ in range(2):
            for stand, _ in self._run((), left, DEADLINE_S) if left else []:
                healthy.update(stand)
            left = [s for s in left if any(not healthy[c].good for c in checks_of(s))]
        found: dict[str, Noticed] = {}
        left_mutants: Sequence[Mutant] = [each for each in mutants if each.may_redden]
        for again in (False, True):
            unseen = []
            ran = self._run_each((), left_mutants, DEADLINE_S)
            for mutant, (stand, _) in zip(left_mutants, ran, strict=True):
                red = {c for c in mutant.checks if healthy[c].good and not stand[c].good}
                if red and not again and any(stand[c].verdict in COULD_NOT_SEE for c in red):
                    unseen.append(mutant)
                elif red:
                    found[mutant.name] = Noticed(NO_FAULT, frozenset(red))
            left_mutants = unseen
        return healthy, found

    def _under(self, drill: Drill, mutants: Sequence[Mutant], healthy: Stand) -> dict[str, Noticed]:
        """Those of `mutants` that this fault tells from their originals."""
        evidence = self._evidence(drill, healthy)
        found: dict[str, Noticed] = {}
        left = [m for m in mutants if any(evidence[c] & m.lines for c in m.checks)]
        for again in (False, True):
            unseen = []
            ran = self._run_each(drill.turns, left, drill.deadline_s)
            for mutant, (stand, _) in zip(left, ran, strict=True):
                named = {c for c in mutant.checks if evidence[c] & mutant.lines}
                named = {c for c in named if _is_named(drill, c, healthy, stand)}
                if named and not again and any(stand[c].verdict in COULD_NOT_SEE for c in named):
                    unseen.append(mutant)  # a busy machine does that, too
                elif named:
                    found[mutant.name] = Noticed(drill.fault, frozenset(named))
            left = unseen
        return found

    def _evidence(self, drill: Drill, healthy: Stand) -> Mapping[Check, frozenset[int]]:
        """Of each check the lines whose findings make it what the drill says that it becomes."""
        says = {each.check: (each.verdict, each.says) for each in drill.red}
        says |= {check: (verdict, "") for check, verdict in drill.also.items()}
        originals = [s for s in self.originals if says.keys() & set(checks_of(s))]
        evidence: dict[Check, frozenset[int]] = defaultdict(frozenset)
        try:
            ran = self._run(drill.turns, originals, drill.deadline_s)
        except (NotSo, ConfigurationError):  # it tells nothing; a drill would say so
            return evidence
        for scenario, (stand, findings) in zip(originals, ran, strict=True):
            for check in says.keys() & stand.keys():
                if not _is_named(drill, check, healthy, stand):
                    verdict, part = says[check]
                    bad = [f for f in findings if f.verdict is verdict and part in f.sentence]
                    evidence[check] = frozenset(_lines_of(scenario.steps, bad))
        return evidence

    def _run_each(
        self, turns: Sequence[str], mutants: Sequence[Mutant], deadline_s: float
    ) -> list[Ran]:
        try:
            return self._run(turns, [each.scenario for each in mutants], deadline_s)
        except (NotSo, ConfigurationError):  # it tells nothing; a drill would say so
            stands = [
                {c: Standing(Verdict.UNKNOWN) for c in checks_of(m.scenario)} for m in mutants
            ]
            return [(stand, ()) for stand in stands]

    def _run(
        self, turns: Sequence[str], scenarios: Sequence[Scenario], deadline_s: float
    ) -> list[Ran]:
        """How each of `scenarios` stands, and its findings; those of one system side by side."""
        batches: dict[int, list[int]] = defaultdict(list)
        for number, scenario in enumerate(scenarios):
            batches[id(scenario.system)].append(number)
        found: dict[int, Ran] = {}
        for batch in batches.values():
            ordered = sorted(batch, key=lambda n: not scenarios[n].only_looks)  # as a stage does
            chosen = [scenarios[n] for n in ordered]
            lent: Any = _Lent(self._replica)
            stage = Stage(chosen[0].system, chosen, lent, self._ledger, self._redactor)
            try:
                ran = stage.run(turns, stage.scenarios, deadline_s)
            finally:
                stage.close()
            for number, (scenario, findings) in zip(ordered, ran, strict=True):
                found[number] = (standings(scenario, findings, self.whose), findings)
        return [found[number] for number in range(len(scenarios))]


def _quick_ones_first(drill: Drill) -> tuple[bool, int, float]:
    return (drill.hangs, len(drill.turns), drill.deadline_s)


def _asked_otherwise(original: Scenario, mutated: Scenario) -> set[int]:
    """The lines that judge or do by figures that are other ones now."""
    pairs = zip(original.steps, mutated.steps, strict=True)
    return {
        old.written.line
        for old, new in pairs
        if not (old.precondition or isinstance(old.meaning, Undo) or cannot_fail(old, original))
        and _asked(old) != _asked(new)
    }


def _asked(step: Step) -> list[Any]:
    """What its looks ask, and which of their columns it speaks of."""
    meaning = step.meaning
    columns = meaning.columns if isinstance(meaning, Contains) else ()
    if isinstance(meaning, Reading) and isinstance(meaning.subject, Cell):
        columns = (meaning.subject.column,)
    asked = [(each.figure.question, each.figure.options) for each in step.looks]
    return [
        (
            question,
            options.model_copy(update={"columns": {}}),
            list(map(options.columns.get, columns)),
        )
        for question, options in asked
    ]


def _lines_of(steps: Iterable[Step], findings: Iterable[Finding]) -> Iterator[int]:
    """A finding about a table's row goes on after the text of its step."""
    texts = [found.step for found in findings]
    return (s.written.line for s in steps if any(t.startswith(s.written.text) for t in texts))


def _is_named(drill: Drill, check: Check, healthy: Stand, stand: Stand) -> bool:
    """Whether the drill would complain of this check."""
    complaints = wrong_of(drill.among({check}), healthy, {check: stand[check]})
    return any(f"{check} should have become" in each for each in complaints)


def told(mutants: Sequence[Mutant], noticed: Mapping[str, Noticed], took_s: float) -> str:
    """The share, and each that nobody noticed."""
    left = [each.name for each in mutants if each.name not in noticed]
    by_itself = sum(each.fault == NO_FAULT for each in noticed.values())
    share = f"{len(noticed) / max(1, len(mutants)):.1%}"
    return "\n".join([
        f"{len(noticed)} of {len(mutants)} blunted checks noticed ({share}) in {took_s:.0f} s, "
        f"{by_itself} of them since they are {NO_FAULT}",
        *(f"  not noticed: {name}" for name in left),
    ])  # fmt: skip


def main() -> int:
    """Try the mutants that are asked for; 1 where too few are noticed."""
    least = float(sys.argv[1]) / 100 if sys.argv[1:] else 0.0
    words = sys.argv[2:]
    LOG.setLevel(logging.DEBUG)
    logging.basicConfig(format="%(relativeCreated)d ms %(message)s")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        proving = Range(Path(folder))
        try:
            mutants = [m for m in proving.mutants if not words or any(w in m.name for w in words)]
            noticed = proving.noticed(mutants)
        finally:
            proving.close()
    print(told(mutants, noticed, time.monotonic() - began))
    for name, each in noticed.items():
        print(f"  {name}: {each.fault}")
    return int(len(noticed) < least * len(mutants))


if __name__ == "__main__":
    sys.exit(main())
