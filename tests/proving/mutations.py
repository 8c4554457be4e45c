"""Which drills notice that a check was blunted? Every check, blunted in every way we know.

python -m tests.proving.mutations: all of them, in some minutes; it names those that nobody noticed.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

import steps.given
import steps.then
import steps.when  # noqa: F401 - the words
from tests.proving.projects import ROOT
from watchkeeper.errors import WatchkeeperError
from watchkeeper.kinds import KINDS
from watchkeeper.meaning import JUDGEMENTS
from watchkeeper.plan import Heading, Scenario, Written, plan
from watchkeeper.proving.checks import checks_of, only_reports, standings
from watchkeeper.proving.drilling import wrong_of
from watchkeeper.proving.drills import Drill, drills_path, load_drills
from watchkeeper.proving.replicas import start_replica
from watchkeeper.proving.stage import NotSo, Stage
from watchkeeper.pytest_plugin import bdd_internals
from watchkeeper.pytest_plugin.drilling import known_checks
from watchkeeper.pytest_plugin.linting import ID
from watchkeeper.pytest_plugin.words import DICTIONARY, SentenceError, meaning_of
from watchkeeper.recording.ledger import Ledger
from watchkeeper.recording.redaction import Redactor
from watchkeeper.target_file import load_system
from watchkeeper.targets import PERMISSIONS, System

SLUG = "media-management"
TARGET = ROOT / "targets" / f"{SLUG}.yml"
FEATURES = ROOT / "features" / SLUG

_LIMIT = re.compile(r"^(?P<what>.*?\b(?:its|the) .+?) (?:is|are|was|were|stayed) .+$")
_NONE = re.compile(r"^(?P<time>(?:over the last .+? )?)it (?:has|have|had) no (?P<noun>.+)$")
_ROWS = re.compile(r"^(?P<time>(?:(?:over|within) .+? )?)its (?P<noun>.+?) includes?\b.*:$")
_BECAME = re.compile(r"^of its (?P<noun>.+?) (?:exactly|only|none of) .+$")
_ALWAYS = "known"
"""The limit that whatever can be read keeps."""


@dataclass(frozen=True)
class Line:
    """A step of a feature, as it is written."""

    kind: str
    text: str
    number: int
    table: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Case:
    """A scenario, or a row of an outline, as it is written."""

    heading: Heading
    lines: tuple[Line, ...]

    def planned(self, system: System) -> Scenario | None:
        """The scenario, None where `system` does not take it so."""
        try:
            written = [
                Written(line.kind.title(), line.text, line.number,
                        meaning_of(line.kind, line.text, line.table or None))
                for line in self.lines
            ]  # fmt: skip
            found = plan(self.heading, written, {system.called: system})
        except (SentenceError, WatchkeeperError, ValueError):
            return None
        return found if isinstance(found, Scenario) else None


@dataclass(frozen=True)
class Mutant:
    """A check that was blunted, and how."""

    name: str
    scenario: Scenario


# ---- Reading the features ---------------------------------------------------------------------


def cases() -> Iterator[Case]:
    for path in sorted(FEATURES.glob("*.feature")):
        feature = bdd_internals.document(path).feature
        for child in feature.children:
            rule = child.rule
            for each in rule.children if rule is not None else [child]:
                if each.scenario is not None:
                    tags = [tag.name.lstrip("@") for tag in (*feature.tags, *each.scenario.tags)]
                    yield from _cases(each.scenario, tags, path)


def _cases(scenario: Any, tags: list[str], path: Path) -> Iterator[Case]:
    rows = [
        dict(zip((c.value for c in examples.table_header.cells), (c.value for c in row.cells),
                 strict=True))
        for examples in scenario.examples for row in examples.table_body
    ] or [{}]  # fmt: skip
    may = [each for each in PERMISSIONS if each in tags]
    for row in rows:
        heading = Heading(
            tuple(tag for tag in tags if ID.fullmatch(tag)), "P2", scenario.name,
            ", ".join(row.values()), may[-1] if may else "looking", "", "", path, 1,
        )  # fmt: skip
        yield Case(heading, tuple(_lines(scenario, row)))


def _lines(scenario: Any, row: Mapping[str, str]) -> Iterator[Line]:
    def filled(text: str) -> str:
        for name, value in row.items():
            text = text.replace(f"<{name}>", value)
        return text

    kind = "given"
    for number, step in enumerate(scenario.steps, 1):
        word = step.keyword.strip().lower()
        kind = word if word in ("given", "when", "then") else kind
        table = step.datatable
        cells = [tuple(filled(c.value) for c in r.cells) for r in table.rows] if table else []
        yield Line(kind, filled(step.text), number, tuple(cells))


# ---- Blunting ---------------------------------------------------------------------------------


def blunted_sentences(case: Case) -> Iterator[tuple[str, Case]]:
    """Each judging sentence with its limit loosened, a row dropped, or made a mere report."""
    for place, line in enumerate(case.lines):
        if line.kind != "then":
            continue
        for how, new in _blunted(line):
            if new.text == line.text and new.table == line.table:
                continue  # it asked no more than that before
            lines = (*case.lines[:place], new, *case.lines[place + 1 :])
            yield f"{how}: {line.text}", replace(case, lines=lines)


def _blunted(line: Line) -> Iterator[tuple[str, Line]]:
    if line.text.endswith("within these limits:"):
        for place, row in enumerate(line.table[1:], 1):
            table = (*line.table[:place], (row[0], _ALWAYS), *line.table[place + 1 :])
            yield f"the limit of {row[0]} loosened", replace(line, table=table)
    elif found := _NONE.match(line.text):
        text = f"{found['time']}the report lists its {found['noun']}"
        yield "made a report", replace(line, text=text)
    elif found := _ROWS.match(line.text):
        for place, row in enumerate(line.table[1:], 1):
            if len(line.table) > 2:
                table = (*line.table[:place], *line.table[place + 1 :])
                yield f"without the row {' '.join(row)}", replace(line, table=table)
            for column in range(1, len(line.table[0])):
                rows = tuple(r[:column] + r[column + 1 :] for r in line.table)
                if place == 1:
                    yield f"without the column {line.table[0][column]}", replace(line, table=rows)
        text = f"{found['time']}the report lists its {found['noun']}"
        yield "made a report", replace(line, text=text, table=())
    elif found := _BECAME.match(line.text):
        yield "made a report", replace(line, text=f"the report lists its {found['noun']}")
    elif (found := _LIMIT.match(line.text)) and not line.text.endswith(f" is {_ALWAYS}"):
        yield "loosened", replace(line, text=f"{found['what']} is {_ALWAYS}")


def blunted_figures(data: dict[str, Any], name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The figure `name` of a target file, made to say what is good or nothing at all."""
    figure = data["figures"][name]
    for key, value in _blunt_values(figure):
        yield (
            f"{name}: {key} is {value}",
            {
                **data,
                "figures": {**data["figures"], name: {**figure, **_nested(figure, key, value)}},
            },
        )


def _nested(figure: Mapping[str, Any], key: str, value: object) -> dict[str, Any]:
    if key == "outcomes":
        return {"http": {**figure["http"], key: value}}
    return {key: value}


def _blunt_values(figure: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    if "where" in figure:
        yield "where", "1 = 0"
    if "among" in figure:
        yield "among", "$^"
    if "match" in figure and "group by" not in figure and "columns" not in figure:
        yield "match", "(?P<confidence>1)"
    if isinstance(figure.get("counts as"), dict):
        yield "counts as", dict.fromkeys(figure["counts as"], "up")
    if "exit codes" in figure:
        yield "exit codes", dict.fromkeys(figure["exit codes"], figure["values"][0])
    outcomes = figure.get("http", {}).get("outcomes") if "http" in figure else None
    if outcomes:
        good = next((w for w in outcomes.values() if w in ("refused", "accepted")), "refused")
        yield "outcomes", dict.fromkeys(outcomes, good)
    if isinstance(figure.get("values"), dict):
        yield "values", dict.fromkeys(figure["values"], next(iter(figure["values"].values())))
    if isinstance(figure.get("sql"), str) and " WHERE " in figure["sql"]:
        yield "sql", figure["sql"].partition(" WHERE ")[0]
    if "older than" in figure:
        yield "older than", "9000 days"
    if "file" in figure and figure.get("pick") == ".age":
        yield "pick", ".size | 0"


# ---- Drilling ---------------------------------------------------------------------------------


class Range:
    """The replica on which mutants are tried, many under one turn of a dial."""

    def __init__(self, folder: Path) -> None:
        bdd_internals.install()
        self.folder = folder
        self.system = load_system(TARGET, KINDS)
        DICTIONARY.load([self.system])
        self.cases = tuple(cases())
        planned = [case.planned(self.system) for case in self.cases]
        self.originals = tuple(each for each in planned if each is not None)
        self.unplanned = [c.heading.name for c, p in zip(self.cases, planned, strict=True) if not p]
        self.reporting = {i for each in self.originals if only_reports(each) for i in each.ids}
        replica = start_replica(ROOT, SLUG)
        redactor = Redactor()
        self._ledger = Ledger.open(folder / "ledger.jsonl", redactor)
        self.stage = Stage(self.system, self.originals, replica, self._ledger, redactor)
        known = frozenset(known_checks(FEATURES))
        drills = load_drills(drills_path(ROOT, SLUG), self.system.name, known)
        turned = {dial.name for dial in replica.dials()}
        self.whose = drills.whose
        there = [drill for drill in drills.drills if turned.issuperset(drill.turns)]
        self.drills = sorted(there, key=lambda drill: drill.hangs)  # the quick ones are tried first
        self.proven = {each.check.id for drill in there for each in drill.red}

    def close(self) -> None:
        self.stage.close()
        self._ledger.close()

    def mutants(self) -> list[Mutant]:
        """Every one, in the order of the features; of an outline, those of its first row."""
        found: list[Mutant] = []
        seen: set[tuple[Path, str]] = set()
        data = YAML(typ="safe").load(TARGET.read_text("utf-8"))
        by_figure = self._blunt_systems(data)
        for case in self.cases:
            original = case.planned(self.system)
            known = (case.heading.path, case.heading.name)
            if original is None or only_reports(original) or known in seen:
                continue
            seen.add(known)
            ids = "+".join(case.heading.ids)
            found += [
                Mutant(f"{ids} {how}", scenario)
                for how, mutant in blunted_sentences(case)
                if (scenario := mutant.planned(self.system)) is not None
            ]
            judged = {look.figure.name for step in original.steps
                      if isinstance(step.meaning, JUDGEMENTS) and not step.precondition
                      for look in step.looks}  # fmt: skip
            for name in sorted(judged & by_figure.keys()):
                found += [
                    Mutant(f"{ids} {how}", scenario)
                    for how, system in by_figure[name]
                    if (scenario := case.planned(system)) is not None
                ]
        return found

    def provable(self) -> tuple[list[Mutant], list[Mutant]]:
        """The mutants of checks that a drill proves, and all others."""
        mutants = self.mutants()
        yes = [each for each in mutants if self.proven.intersection(each.scenario.ids)]
        no = [each for each in mutants if not self.proven.intersection(each.scenario.ids)]
        return yes, no

    def _blunt_systems(self, data: dict[str, Any]) -> dict[str, list[tuple[str, System]]]:
        found: dict[str, list[tuple[str, System]]] = defaultdict(list)
        path = self.folder / "targets" / f"{SLUG}.yml"
        shutil.copytree(TARGET.parent, path.parent)  # with what stands beside it in Python
        writer = YAML()
        writer.width = 10_000  # a pattern that is folded would mean something else
        for name in data["figures"]:
            for how, mutated in blunted_figures(data, name):
                with path.open("w", encoding="utf-8") as file:
                    writer.dump(mutated, file)
                try:
                    found[name].append((how, load_system(path, KINDS)))
                except WatchkeeperError:
                    continue  # the loader refuses it: nobody can blunt it so
        return found

    def noticed(self, mutants: Sequence[Mutant]) -> dict[str, str]:
        """Of `mutants` the noticed ones, to the fault that told them from the original."""
        found: dict[str, str] = {}
        wanted = {check for each in mutants for check in checks_of(each.scenario)}
        originals = [s for s in self.originals if wanted.intersection(checks_of(s))]
        before = self._stands((), [*originals, *(m.scenario for m in mutants)], 0.5)
        healthy = {c: s for stand in before[: len(originals)] for c, s in stand.items()}
        for mutant, stand in zip(mutants, before[len(originals) :], strict=True):
            if any(not each.good for each in stand.values()):
                found[mutant.name] = "red without any fault"
        for drill in self._chosen(wanted):
            about = {each.check for each in drill.red}
            left = (each for each in mutants if each.name not in found)
            tried = [each for each in left if about.intersection(checks_of(each.scenario))]
            if not tried:
                continue
            try:
                stands = self._stands(drill.turns, [m.scenario for m in tried], drill.deadline_s)
            except NotSo:
                continue
            for mutant, stand in zip(tried, stands, strict=True):
                wrong = wrong_of(drill.among(tuple(stand)), healthy, stand)
                if any("should have become" in each for each in wrong):
                    found[mutant.name] = drill.fault
        return found

    def _chosen(self, wanted: Collection[Any]) -> list[Drill]:
        """Drills that prove one of `wanted`: two for each sentence that must come."""
        often: dict[tuple[Any, str], int] = defaultdict(int)
        chosen = []
        for drill in self.drills:
            keys = [(each.check, each.says) for each in drill.red if each.check in wanted]
            if any(often[key] < 2 for key in keys):
                chosen.append(drill)
            for key in keys:
                often[key] += 1
        return chosen

    def _stands(
        self, turns: Sequence[str], scenarios: Sequence[Scenario], deadline_s: float
    ) -> list[Any]:
        """How each of `scenarios` stands. Eyes remember a figure by its name, so that one that was
        blunted is looked at by eyes of its own.
        """
        batches: dict[int, list[int]] = defaultdict(list)
        for number, scenario in enumerate(scenarios):
            batches[id(scenario.system)].append(number)
        stands: list[Any] = [None] * len(scenarios)
        for batch in batches.values():
            ordered = sorted(batch, key=lambda n: not scenarios[n].only_looks)
            ran = self.stage.run(turns, [scenarios[n] for n in ordered], deadline_s)
            for place, (scenario, findings) in zip(ordered, ran, strict=True):
                stands[place] = standings(scenario, findings, self.whose)
        return stands


def told(mutants: Sequence[Mutant], noticed: Mapping[str, str], took_s: float) -> str:
    """The share, and each that nobody noticed."""
    left = [each.name for each in mutants if each.name not in noticed]
    share = f"{len(noticed)} of {len(mutants)} blunted checks noticed"
    lines = (f"  not noticed: {name}" for name in left)
    return "\n".join([f"{share} ({len(noticed) / len(mutants):.0%}) in {took_s:.0f} s", *lines])


def main() -> int:
    """Try every mutant; 1 where fewer are noticed than the share that was asked for (in %)."""
    least = float(sys.argv[1]) / 100 if sys.argv[1:] else 0.0
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        proving = Range(Path(folder))
        try:
            mutants, undrilled = proving.provable()
            noticed = proving.noticed(mutants)
        finally:
            proving.close()
    print(told(mutants, noticed, time.monotonic() - began))
    for each in undrilled:
        print(f"  no drill proves it, so not tried: {each.name}")
    return int(len(noticed) < least * len(mutants))


if __name__ == "__main__":
    sys.exit(main())
