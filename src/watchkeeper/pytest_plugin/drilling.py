"""How pytest --drill runs: one item per fault, each with the checks that were selected."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from watchkeeper.errors import ConfigurationError, WatchkeeperError
from watchkeeper.plan import Scenario
from watchkeeper.proving.checks import Check
from watchkeeper.proving.drilling import Drilling
from watchkeeper.proving.drills import Drill, Drills, drills_path, load_drills
from watchkeeper.proving.proof import (
    DrillRecord,
    Proof,
    drill_record,
    proof_of,
    publish,
    record,
    slowest,
)
from watchkeeper.proving.replicas import clean_up, start_replica
from watchkeeper.proving.stage import Stage
from watchkeeper.pytest_plugin import bdd_internals
from watchkeeper.pytest_plugin.account import run_folder
from watchkeeper.pytest_plugin.collecting import PLAN
from watchkeeper.pytest_plugin.linting import ID, names_of
from watchkeeper.pytest_plugin.state import is_worker
from watchkeeper.pytest_plugin.watch import WATCH, Watch
from watchkeeper.pytest_plugin.workers import FOLDER, RUN_FOLDER
from watchkeeper.recording.evidence import Recorder
from watchkeeper.recording.ledger import Ledger
from watchkeeper.targets import REPLICA, System
from watchkeeper.yaml_file import nearest

SHOWN_SLOWEST = 3
CHECKS = "watchkeeper_drilled"
"""The key under which a worker tells the leading process which checks it drilled."""


def install_drills(config: pytest.Config) -> None:
    """With --drill, let faults be the items; raises pytest.UsageError where that can't be."""
    options = config.stash[WATCH].options
    if not options.drill:
        return
    if options.target != REPLICA:
        raise pytest.UsageError(
            f"--drill breaks what it looks at, and --target {options.target} is no replica"
        )
    if options.plan:
        raise pytest.UsageError("--drill turns faults and --plan touches nothing: choose one")
    config.pluginmanager.register(_Drilled(config), "watchkeeper_drills")
    if not is_worker(config):
        config.pluginmanager.register(_DrillLeader(config), "watchkeeper_drill_leader")


class DrillFailed(Exception):
    """The checks did not stand under the fault as the drill says; one line for each."""


@dataclass(frozen=True)
class _Prepared:
    """A system's drills, its stage and what compares."""

    drills: Drills
    stage: Stage
    drilling: Drilling


class DrillItem(pytest.Item):
    """One fault."""

    drill: Drill
    prepared: _Prepared

    def runtest(self) -> None:
        watch = self.config.stash[WATCH]
        outcome = self.prepared.drilling.run(self.drill)
        drilled = record(outcome, Recorder(watch.redactor))
        self.stash[OUTCOME] = drilled
        if not drilled.ok:
            raise DrillFailed("\n".join(drilled.complaints))

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        if isinstance(excinfo.value, DrillFailed):
            return f"{self.drill.fault} ({self.drill.place}):\n{excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        place = self.drill.place
        return place.path, (place.line or 1) - 1, f"drill: {self.drill.fault}"


OUTCOME = pytest.StashKey[DrillRecord]()


class _Drilled:
    """The process that turns the dials: the only one, or each worker with a replica of its own."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._prepared: list[_Prepared] = []
        self._ledger: Ledger | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, session: pytest.Session, items: list[pytest.Item]
    ) -> None:
        """In place of the selected scenarios: the faults that they are to notice."""
        scenarios = [item.stash[PLAN] for item in items if PLAN in item.stash]
        others = [item for item in items if PLAN not in item.stash]
        if not scenarios or self._config.option.collectonly:
            return
        try:
            drills = list(self._items(session, scenarios))
        except WatchkeeperError as error:
            self.pytest_sessionfinish()
            raise pytest.UsageError(str(error)) from None
        # Those that wait come first, so that no worker is left with them at the end.
        items[:] = [*others, *sorted(drills, key=lambda item: not item.drill.hangs)]

    def _items(self, session: pytest.Session, scenarios: list[Scenario]) -> Iterator[DrillItem]:
        watch = self._config.stash[WATCH]
        systems = {scenario.system.slug: scenario.system for scenario in scenarios}
        if not is_worker(self._config):
            clean_up()
        wanted = list(watch.options.dials)
        names: set[str] = set()
        for slug, system in systems.items():
            own = [scenario for scenario in scenarios if scenario.system.slug == slug]
            prepared = self._prepare(watch, system, own)
            for drill in prepared.drills.drills:
                names.add(drill.fault)
                if wanted and drill.fault not in wanted:
                    continue
                node = f"drill/{slug}::{drill.fault}"
                item: DrillItem = DrillItem.from_parent(session, name=drill.fault, nodeid=node)
                item.drill, item.prepared = drill, prepared
                yield item
        for name in wanted:
            if name not in names:
                hint = nearest(name, names) or "watchkeeper dials SYSTEM lists the dials"
                raise ConfigurationError(f'no fault is called "{name}"', hint=hint)

    def _prepare(self, watch: Watch, system: System, scenarios: list[Scenario]) -> _Prepared:
        folder = watch.root / "features" / system.slug
        path = drills_path(watch.root, system.slug)
        drills = load_drills(path, system.name, frozenset(known_checks(folder)))
        drills.check_owners(scenarios)
        replica = start_replica(watch.root, system.slug)
        try:
            drills = drills.for_dials([dial.name for dial in replica.dials()])
            stage = Stage(system, scenarios, replica, self._ledger_of(watch), watch.redactor)
        except BaseException:
            replica.close()
            raise
        prepared = _Prepared(drills, stage, Drilling(stage, drills.whose))
        self._prepared.append(prepared)
        return prepared

    def _ledger_of(self, watch: Watch) -> Ledger:
        if self._ledger is None:
            worker = ""
            if is_worker(self._config):
                given: dict[str, Any] = self._config.workerinput  # type: ignore[attr-defined]
                folder, worker = Path(given[FOLDER]), f"-{given['workerid']}"
            else:
                folder = run_folder(watch.options.reports)
                self._config.stash[DRILL_FOLDER] = folder
            self._ledger = Ledger.open(folder / f"ledger{worker}.jsonl", watch.redactor)
        return self._ledger

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if call.when == "call" and isinstance(item, DrillItem) and OUTCOME in item.stash:
            # xdist sends a report's plain data to the leading process, and nothing else.
            checks = [(check.id, check.row) for check in item.prepared.drilling.checks]
            report.watchkeeper_drill = asdict(item.stash[OUTCOME])  # type: ignore[attr-defined]
            report.watchkeeper_checks = checks  # type: ignore[attr-defined]
        return report

    def pytest_sessionfinish(self) -> None:
        while self._prepared:
            self._prepared.pop().stage.close()
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None


DRILL_FOLDER = pytest.StashKey[Path]()


class _DrillLeader:
    """The process that hears of every drill and writes what they prove."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._records: list[DrillRecord] = []
        self._checks: dict[Check, None] = {}
        self._proof: Proof | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = getattr(report, "watchkeeper_drill", None)
        if data is not None:
            self._records.append(drill_record(data))
            self._checks.update(dict.fromkeys(Check(*each) for each in report.watchkeeper_checks))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if not self._records:
            return
        ended = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        cut_short = session.shouldstop or session.shouldfail or not ended
        options = self._config.stash[WATCH].options
        shared = self._config.stash.get(RUN_FOLDER, None)
        folder = shared.folder if shared is not None else self._config.stash[DRILL_FOLDER]
        self._proof = proof_of(
            folder.name,
            sorted(self._records, key=lambda each: (each.system, each.fault)),
            sorted(self._checks),
            all_faults=not (
                options.dials or cut_short or self._config.getoption("lf", default=False)
            ),
        )
        publish(self._proof, folder, options.reports)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self._proof is not None:
            for line in summary(self._proof):
                terminalreporter.write_line(line)


def summary(proof: Proof) -> Iterator[str]:
    """What the drills came to, in lines for people."""
    wrong = [drill for drill in proof.drills if not drill.ok]
    yield (
        f"{len(proof.drills)} faults × {len(proof.checks)} checks: "
        + (f"{len(wrong)} faults not noticed as they should be" if wrong else "all as told")
        + f"; {len(proof.checks) - len(proof.unproven)} checks proven"
    )
    for check in proof.unproven:
        yield f"unproven: {check}: no fault turned it red"
    for drill in proof.drills:
        for each in drill.unsteady:
            check = Check(each.id, each.row)
            yield f"unsteady: {check} under {drill.fault}: first {each.verdict}, {each.sentence}"
    hanging = [drill for drill in proof.drills if drill.hangs]
    yield _time("faults", [drill for drill in proof.drills if not drill.hangs])
    if hanging:
        yield _time("faults that hang", hanging)


def _time(what: str, drills: Sequence[DrillRecord]) -> str:
    took = sum(drill.duration_s for drill in drills)
    longest = ", ".join(
        f"{each.fault} {each.duration_s:.1f} s" for each in slowest(drills, SHOWN_SLOWEST)
    )
    return f"time: {len(drills)} {what}: {took:.1f} s (longest: {longest})"


def known_checks(folder: Path) -> Iterator[Check]:
    """Every check of the feature files in `folder`, selected or not; unreadable ones hold none."""
    for path in sorted(folder.rglob("*.feature")):
        try:
            feature = bdd_internals.document(path).feature
        except bdd_internals.Unreadable:
            continue  # collecting it says what is wrong
        for child in feature.children:
            inner = child.rule.children if child.rule is not None else [child]
            for scenario in (each.scenario for each in inner if each.scenario is not None):
                for row in _rows(scenario):
                    for tag in names_of(scenario.tags):
                        if ID.fullmatch(tag):
                            yield Check(tag, row)


def _rows(scenario: Any) -> list[str]:
    """What tells the rows of an outline apart, as it stands behind an id; [""] outside outlines."""
    rows = [row for examples in scenario.examples for row in examples.table_body or ()]
    return [", ".join(str(cell.value) for cell in row.cells) for row in rows] or [""]
