"""The only package that knows pytest: it collects features, runs them, and tells how it went."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Generator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from watchkeeper.deciding.census import Entry
from watchkeeper.deciding.gate import EXIT_INTERNAL
from watchkeeper.deciding.waivers import Waivers, load
from watchkeeper.errors import WatchkeeperError
from watchkeeper.performing import Performance, Stopped
from watchkeeper.plan import Scenario
from watchkeeper.pytest_plugin import allure_bridge
from watchkeeper.pytest_plugin.account import Account, Asked, run_folder
from watchkeeper.pytest_plugin.collecting import PLAN, FeatureFile
from watchkeeper.pytest_plugin.narrowing import narrowed
from watchkeeper.pytest_plugin.options import Options, add_options
from watchkeeper.pytest_plugin.printing import print_plan
from watchkeeper.pytest_plugin.watch import WATCH, Watch
from watchkeeper.recording.evidence import Recorder
from watchkeeper.recording.ledger import Ledger
from watchkeeper.recording.run import CheckRecord, RunRecord
from watchkeeper.telling.summary import tell
from watchkeeper.verdicts import Verdict

FOLDER = "watchkeeper_folder"
"""The key under which workers are told where the run's results go."""
ACCOUNT = pytest.StashKey[Account]()
RUN = pytest.StashKey[RunRecord]()
WRITER = pytest.StashKey[allure_bridge.RedactingWriter]()
LEDGER = pytest.StashKey[Ledger]()
SUITE = pytest.StashKey[list[tuple[str, Scenario]]]()
REFUSAL = pytest.StashKey[str]()
PERFORMANCE = pytest.StashKey["Running"]()
SKIPPED = (Verdict.NOT_RUN, Verdict.UNSIGNED, Verdict.NOT_APPLICABLE)
GREEN = (Verdict.PASSED, Verdict.DEGRADED, Verdict.WAIVED)


class CouldNotTell(Exception):
    """A check that is unknown or blocked: nobody can say how the system is."""


class Running:
    """One scenario under way in pytest: its plan's steps, in the order pytest-bdd asks for them."""

    def __init__(self, scenario: Scenario, performance: Performance) -> None:
        self.scenario = scenario
        self.performance = performance
        self.began = time.monotonic()
        self.started = datetime.now(UTC)
        self.record: CheckRecord | None = None
        self._steps = iter(scenario.steps)

    def next_step(self) -> None:
        self.performance.perform(next(self._steps))


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    tags = frozenset(line.partition(":")[0].strip() for line in config.getini("markers"))
    watch = Watch(config.rootpath, Options.of(config), tags)
    config.stash[WATCH] = watch
    if watch.options.plan and hasattr(config.option, "dist"):
        config.option.dist, config.option.tx, config.option.numprocesses = "no", [], 0
    if not _is_worker(config):
        config.pluginmanager.register(_Leader(config), "watchkeeper_leader")
    if config.pluginmanager.hasplugin("xdist"):
        config.pluginmanager.register(_Workers(config), "watchkeeper_workers")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> FeatureFile | None:
    if file_path.suffix == ".feature":
        feature: FeatureFile = FeatureFile.from_parent(parent, path=file_path)
        return feature
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Remember the whole suite, before -m, -k and --lf take anything away."""
    config.stash[SUITE] = [(item.nodeid, item.stash[PLAN]) for item in items if PLAN in item.stash]


def pytest_collection_finish(session: pytest.Session) -> None:
    config = session.config
    selected = [(item.nodeid, item.stash[PLAN]) for item in session.items if PLAN in item.stash]
    if not selected or config.option.collectonly:
        return
    if len(selected) == len(session.items):
        _our_own_words(config)
    watch = config.stash[WATCH]
    if watch.options.plan:
        print_plan([scenario for _, scenario in selected], watch.options, sys.stdout)
        session.items.clear()
        return
    try:
        _begin(config, watch, selected)
    except WatchkeeperError as error:
        _end(config)
        if not _is_worker(config):
            raise pytest.UsageError(str(error)) from None
        config.stash[REFUSAL] = str(error)


def _our_own_words(config: pytest.Config) -> None:
    """A finding is told once, in the table: no traceback of it and no list of node ids."""
    if config.option.tbstyle == "auto":
        config.option.tbstyle = "no"
    reporter = config.pluginmanager.getplugin("terminalreporter")
    chosen = any(str(each).startswith("-r") for each in config.invocation_params.args)
    if reporter is not None and not chosen:
        reporter.reportchars = ""


def _begin(config: pytest.Config, watch: Watch, selected: Sequence[tuple[str, Scenario]]) -> None:
    signal.signal(signal.SIGTERM, _interrupt)
    if _is_worker(config):
        folder = Path(config.workerinput[FOLDER])  # type: ignore[attr-defined]
        folder.mkdir(parents=True, exist_ok=True)
        worker = config.workerinput["workerid"]  # type: ignore[attr-defined]
        ledger = Ledger.open(folder / f"ledger-{worker}.jsonl", watch.redactor)
        config.stash[LEDGER] = ledger
    else:
        account = _account(config)
        folder, ledger = account.folder, account.ledger
        suite = config.stash.get(SUITE, [])
        account.select(
            [node for node, _ in selected],
            [Entry(node, frozenset(scenario.tags)) for node, scenario in suite],
            [(each, scenario.row) for _, scenario in suite for each in scenario.ids],
        )
    config.stash[WRITER] = allure_bridge.install(config, folder / "allure-results", watch.redactor)
    watch.begin(selected, ledger)


def _account(config: pytest.Config) -> Account:
    """The run's account, begun when it is first needed: a run without scenarios leaves none."""
    if ACCOUNT not in config.stash:
        watch = config.stash[WATCH]
        folder = config.stash.get(_Workers.FOLDER, None) or run_folder(watch.options.reports)
        asked = Asked(_typed(config), config.option.markexpr, narrowed(config))
        config.stash[ACCOUNT] = Account(folder, watch.options, asked, watch.redactor, _waivers(config))
    return config.stash[ACCOUNT]


def _waivers(config: pytest.Config) -> Waivers:
    path = config.rootpath / "waivers.yml"
    return load(path) if path.exists() else Waivers()


def _typed(config: pytest.Config) -> str:
    """What was asked for, as it was typed: "-m daily"."""
    return " ".join(str(argument) for argument in config.invocation_params.args)


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt(f"signal {signum}")


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


# ---- One scenario ------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    if PLAN in item.stash and REFUSAL not in item.config.stash:
        watch = item.config.stash[WATCH]
        following = nextitem.nodeid if nextitem is not None and _is_worker(item.config) else None
        performance = watch.perform(item.nodeid, following)
        item.stash[PERFORMANCE] = Running(item.stash[PLAN], performance)
    try:
        return (yield)
    finally:
        if PERFORMANCE in item.stash:
            item.config.stash[WATCH].performed(item.nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    if REFUSAL in item.config.stash and PLAN in item.stash:
        raise CouldNotTell(item.config.stash[REFUSAL])
    if PERFORMANCE not in item.stash:
        yield
        return
    running = item.stash[PERFORMANCE]
    try:
        yield
    except Stopped:
        pass  # what stopped it is among the findings
    finally:
        running.performance.finish()
    record = _recorded(item, running)
    _raise_verdict(record)


def _recorded(item: pytest.Item, running: Running) -> CheckRecord:
    recorder = Recorder(item.config.stash[WATCH].redactor)
    running.record = recorder.check(
        running.scenario,
        running.performance,
        item.nodeid,
        running.started,
        time.monotonic() - running.began,
    )
    return running.record


def _raise_verdict(record: CheckRecord) -> None:
    """Tell pytest, in its own way, how the check ended."""
    verdict = Verdict(record.verdict)
    told = "\n".join(f.sentence for f in record.findings if f.verdict != Verdict.PASSED.value)
    if verdict in GREEN:
        return
    if verdict is Verdict.FAILED:
        pytest.fail(told, pytrace=False)
    if verdict in SKIPPED:
        pytest.skip(told or f"{record.scenario} judged nothing")
    raise CouldNotTell(told)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if PLAN not in item.stash:
        return report
    record = _record_of(item, call, report)
    if record is not None:
        report.watchkeeper = asdict(record)
        report.sections = []
        if report.longrepr is not None and report.failed:
            report.longrepr = item.config.stash[WATCH].redactor.text(_message(call, record))
        if WRITER in item.config.stash:
            item.config.stash[WRITER].current = record
    return report


def _record_of(
    item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport
) -> CheckRecord | None:
    """The check's record, once: when its call ended, or where its set-up broke."""
    running = item.stash.get(PERFORMANCE, None)
    if call.when == "call" and running is not None and running.record is not None:
        return running.record
    broke = call.when == "call" or (call.when == "setup" and call.excinfo is not None)
    if not broke or isinstance(getattr(call.excinfo, "value", None), KeyboardInterrupt):
        return None
    reason = str(call.excinfo.value) if call.excinfo is not None else "it left no record"
    if call.excinfo is not None and not isinstance(
        call.excinfo.value, WatchkeeperError | CouldNotTell
    ):
        reason = f"Watchkeeper itself failed: {call.excinfo.typename}: {reason}"
    recorder = Recorder(item.config.stash[WATCH].redactor)
    return recorder.broken(item.stash[PLAN], reason, item.nodeid, datetime.now(UTC), call.duration)


def _message(call: pytest.CallInfo[None], record: CheckRecord) -> str:
    return "\n".join(f.sentence for f in record.findings if f.verdict != Verdict.PASSED.value)


# ---- The whole run -----------------------------------------------------------------------------


class _Workers:
    """xdist: where workers are told of the run, and what the leader hears of them."""

    FOLDER = pytest.StashKey[Path]()

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        watch = self._config.stash[WATCH]
        if self.FOLDER not in self._config.stash:
            self._config.stash[self.FOLDER] = run_folder(watch.options.reports)
        node.workerinput[FOLDER] = str(self._config.stash[self.FOLDER])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        scenarios = [each for each in ids if ".feature::" in each]
        if scenarios:
            _account(self._config).select(scenarios)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        if error and ACCOUNT in self._config.stash:
            self._config.stash[ACCOUNT].say(f"worker {node.gateway.id} crashed: {error}")


class _Leader:
    """The process that keeps the account; workers send their records with their reports."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = getattr(report, "watchkeeper", None)
        if data is not None:
            _account(self._config).add(CheckRecord.read(data))

    def pytest_keyboard_interrupt(self) -> None:
        if ACCOUNT in self._config.stash:
            self._config.stash[ACCOUNT].interrupted = True


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(
    report: pytest.CollectReport | pytest.TestReport, config: pytest.Config
) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    data = getattr(report, "watchkeeper", None)
    if data is None:
        return None
    verdict = Verdict(data["verdict"])
    colour = {"green": True}
    if verdict in (Verdict.FAILED,):
        colour = {"red": True}
    elif verdict is not Verdict.PASSED:
        colour = {"yellow": True}
    category = verdict.value if verdict not in (Verdict.PASSED, Verdict.FAILED) else report.outcome
    return category, verdict.letter, (verdict.value.upper(), colour)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    config = session.config
    _end(config)
    if _is_worker(config) or ACCOUNT not in config.stash:
        return
    account = config.stash[ACCOUNT]
    account.broken = account.broken or _collection_broke(session)
    decision = account.decide()
    writer = config.stash.get(WRITER, None)
    config.stash[RUN] = account.close(decision, writer.canary if writer is not None else str)
    if exitstatus not in (pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.USAGE_ERROR):
        session.exitstatus = EXIT_INTERNAL if account.incomplete_record else decision.exit_code


def _collection_broke(session: pytest.Session) -> bool:
    reporter: Any = session.config.pluginmanager.getplugin("terminalreporter")
    return bool(reporter is not None and reporter.stats.get("error"))


def _end(config: pytest.Config) -> None:
    config.stash[WATCH].end()
    if LEDGER in config.stash:
        config.stash[LEDGER].close()


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if RUN not in config.stash:
        return
    run = config.stash[RUN]
    folder = config.stash[ACCOUNT].folder
    report = folder / "report.html"
    tell(run, report if report.exists() else folder / "run.json")
