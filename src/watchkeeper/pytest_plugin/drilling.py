"""How pytest --drill runs: one item per fault, each with the checks that were selected."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from watchkeeper.errors import ConfigurationError, WatchkeeperError
from watchkeeper.leftovers import clean_up
from watchkeeper.plan import Scenario
from watchkeeper.proving.checks import Check
from watchkeeper.proving.drilling import Drilling
from watchkeeper.proving.drills import Drill, Drills, drills_path, load_drills
from watchkeeper.proving.proof import About, about, proof_of, record
from watchkeeper.proving.replicas import EMBEDDED, start_replica
from watchkeeper.proving.stage import Stage
from watchkeeper.pytest_plugin import bdd_internals
from watchkeeper.pytest_plugin.account import run_folder
from watchkeeper.pytest_plugin.collecting import PLAN
from watchkeeper.pytest_plugin.linting import ID, names_of
from watchkeeper.pytest_plugin.state import is_worker
from watchkeeper.pytest_plugin.waiting import tell_terminal
from watchkeeper.pytest_plugin.watch import WATCH, Watch
from watchkeeper.pytest_plugin.workers import CANARY, FOLDER, RUN_FOLDER, Shared
from watchkeeper.recording import unended
from watchkeeper.recording.evidence import Recorder
from watchkeeper.recording.ledger import Ledger
from watchkeeper.recording.proof import NAME, DrillRecord, Proof, publish
from watchkeeper.recording.redaction import Canary, clean
from watchkeeper.recording.run import instant
from watchkeeper.targets import REPLICA, System
from watchkeeper.telling.drilled import tell
from watchkeeper.telling.report import make_drill_report, make_index
from watchkeeper.yaml_file import nearest

DRILL = "drill/"
"""How the names of drills begin, where pytest's other items have the path of a file."""
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
    if options.replicas != EMBEDDED and (
        is_worker(config) or getattr(config.option, "numprocesses", None)
    ):
        raise pytest.UsageError(f"one replica in {options.replicas} at a time: run without -n")
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
    about: Mapping[Check, About]


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
                node = f"{DRILL}{slug}::{drill.fault}"
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
        kind = watch.options.replicas
        tell = partial(tell_terminal, self._config)
        replica = start_replica(watch.root, system.slug, kind, tell)
        try:
            scenarios = [each for each in scenarios if not set(each.ids) & set(replica.leaves_out)]
            for check, reason in replica.leaves_out.items():
                tell(f"left out: {check}: {reason}")
            dials = [dial.name for dial in replica.dials()]
            drills = drills.for_dials(dials, all_there=kind == EMBEDDED)
            stage = Stage(system, scenarios, replica, self._ledger_of(watch), watch.redactor)
        except BaseException:
            replica.close()
            raise
        drilling = Drilling(stage, drills.whose, drills.deadline_s)
        prepared = _Prepared(drills, stage, drilling, about(scenarios))
        self._prepared.append(prepared)
        return prepared

    def _ledger_of(self, watch: Watch) -> Ledger:
        if self._ledger is None:
            worker = ""
            if is_worker(self._config):
                given: dict[str, Any] = self._config.workerinput  # type: ignore[attr-defined]
                shared = Shared(Path(given[FOLDER]), Canary(given[CANARY]))
                worker = f"-{given['workerid']}"
            else:
                folder = run_folder(watch.options.reports, drill=True)
                self._config.add_cleanup(lambda: unended.end(folder))
                shared = Shared(folder, Canary.planted_in(watch.redactor))
                self._config.stash[ALONE] = shared
            watch.redactor.add(shared.canary.marker)
            ledger = Ledger.open(shared.folder / f"ledger{worker}.jsonl", watch.redactor)
            shared.canary.feed("ledger", lambda text: ledger.append("canary", text=text))
            self._ledger = ledger
        return self._ledger

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if call.when == "call" and isinstance(item, DrillItem) and OUTCOME in item.stash:
            # xdist sends a report's plain data to the leading process, and nothing else.
            known = item.prepared.about
            checks = [(asdict(each), asdict(known[each])) for each in item.prepared.drilling.checks]
            report.watchkeeper_drill = asdict(item.stash[OUTCOME])  # type: ignore[attr-defined]
            report.watchkeeper_checks = checks  # type: ignore[attr-defined]
        return report

    def pytest_sessionfinish(self) -> None:
        while self._prepared:
            self._prepared.pop().stage.close()
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None


ALONE = pytest.StashKey[Shared]()
"""The run's folder and canary where there are no workers."""


class _DrillLeader:
    """The process that hears of every drill, and writes and tells what they prove."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._records: dict[str, DrillRecord] = {}
        self._checks: dict[Check, About] = {}
        self._proof: Proof | None = None
        self._page: Path | None = None
        self._wrong = ""
        self._started = datetime.now(UTC)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = getattr(report, "watchkeeper_drill", None)
        if data is not None:
            self._records[report.nodeid] = DrillRecord.read(data)
            for check, known in report.watchkeeper_checks:
                self._checks[Check(**check)] = About(**known)
        elif report.failed and report.nodeid.startswith(DRILL):
            self._records.setdefault(report.nodeid, self._undrilled(report))

    def _undrilled(self, report: pytest.TestReport) -> DrillRecord:
        """A drill that came to no outcome: our own fault, or that of a worker that crashed."""
        slug, _, fault = report.nodeid.removeprefix(DRILL).partition("::")
        told = Recorder(self._config.stash[WATCH].redactor).text(report.longreprtext)
        last = ([line for line in told.splitlines() if line.strip()] or ["no reason was left"])[-1]
        complaint = f"it could not be drilled: {last.removeprefix('E ').strip()}"
        return DrillRecord(slug.replace("-", " "), fault, (), (), ok=False, complaints=(complaint,))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if not self._records:
            return
        ended = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        cut_short = session.shouldstop or session.shouldfail or not ended
        watch = self._config.stash[WATCH]
        options = watch.options
        shared = self._config.stash.get(RUN_FOLDER, None) or self._config.stash[ALONE]
        folder = shared.folder
        proof = proof_of(
            folder.name,
            sorted(self._records.values(), key=lambda each: (each.system, each.fault)),
            sorted(self._checks),
            all_faults=not (
                options.dials or cut_short or self._config.getoption("lf", default=False)
            ),
            known=self._checks,
        )
        typed = " ".join(map(str, self._config.invocation_params.args))
        watch.redactor.add(shared.canary.marker)
        canaries: list[str] = []
        for writer in ("proof.json", "report"):
            shared.canary.feed(writer, lambda text: canaries.append(watch.redactor.text(text)))
        self._proof = replace(
            proof,
            expression=watch.redactor.text(clean(typed)),
            started=instant(self._started),
            finished=instant(datetime.now(UTC)),
            canaries=tuple(canaries),
        )
        try:
            publish(self._proof, folder, options.reports)
            self._page = folder / NAME
            if options.report == "html":
                self._page = make_drill_report(folder, self._proof)
                make_index(options.reports)
            self._wrong = shared.canary.leak(folder, *options.reports.glob("*"))
        except OSError as error:
            self._wrong = f"{error.filename or folder} can't be written: {error.strerror}"
        if self._wrong:
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
        if not self._proof.ok and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED  # an unproven check is not as told

    def pytest_terminal_summary(self) -> None:
        if self._proof is not None:
            sys.stdout.flush()
            tell(self._proof, self._page, (self._wrong,))


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
