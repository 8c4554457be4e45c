"""How a run of scenarios begins and ends, in the one process or in the one that leads."""

from __future__ import annotations

import contextlib
import gc
import re
import signal
import sys
from collections.abc import Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from _pytest.junitxml import xml_key

from watchkeeper.deciding.census import Entry
from watchkeeper.deciding.gate import EXIT_CONFIGURATION
from watchkeeper.deciding.waivers import Waivers, load
from watchkeeper.errors import WatchkeeperError
from watchkeeper.plan import Scenario
from watchkeeper.pytest_plugin import allure_bridge
from watchkeeper.pytest_plugin.account import Account, Asked, run_folder
from watchkeeper.pytest_plugin.attesting import ATTESTED, handovers
from watchkeeper.pytest_plugin.collecting import PLAN
from watchkeeper.pytest_plugin.narrowing import narrowed
from watchkeeper.pytest_plugin.reviewing import needs_reading, refuse_unreviewed, reviewed
from watchkeeper.pytest_plugin.state import (
    ACCOUNT,
    LEDGER,
    REFUSAL,
    RUN,
    SUITE,
    WRITER,
    is_worker,
)
from watchkeeper.pytest_plugin.waiting import tell_terminal
from watchkeeper.pytest_plugin.watch import WATCH, Watch
from watchkeeper.pytest_plugin.workers import (
    CANARY,
    COLLECTED,
    FOLDER,
    REFUSED,
    RUN_FOLDER,
    UNWRITTEN,
)
from watchkeeper.recording.ledger import Ledger
from watchkeeper.recording.redaction import Canary
from watchkeeper.recording.run import CheckRecord
from watchkeeper.telling.summary import tell

OUR_XML = pytest.StashKey[Path]()
"""Where JUnit's file of a run of scenarios goes, where it was asked for."""
PLANNED = pytest.StashKey[bool]()
SIGTERM_HEARD = pytest.StashKey[bool]()
FEATURE = ".feature"


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, object, object]:
    """Remember the whole suite, before -m, -k and --lf take anything away."""
    suite = [(item.nodeid, item.stash[PLAN]) for item in items if PLAN in item.stash]
    result = yield  # raises where -m or -k is wrong; pytest calls pytest_collection_finish even so
    config.stash[SUITE] = suite
    return result


def pytest_collection_finish(session: pytest.Session) -> None:
    config = session.config
    selected = [(item.nodeid, item.stash[PLAN]) for item in session.items if PLAN in item.stash]
    if not selected or config.option.collectonly or SUITE not in config.stash:
        return
    if len(selected) == len(session.items):
        our_own_words(config)
    watch = config.stash[WATCH]
    _interrupt_on_sigterm(config)
    try:
        if watch.options.plan:
            _print_plan(config, watch, selected)
            session.items.clear()
            config.stash[PLANNED] = True
        else:
            _begin(config, watch, selected)
    except WatchkeeperError as error:
        _end(config)
        if not is_worker(config):
            raise pytest.UsageError(str(error)) from None
        config.stash[REFUSAL] = str(error)
        config.workeroutput[REFUSED] = str(error)  # type: ignore[attr-defined]


def project_taken_for_reports(config: pytest.Config) -> str:
    """Why the project was not found, "" where it was.

    pytest looks for the project before it knows our options: in `--reports FOLDER` it takes a
    folder that is there already for one to collect from, and without the equals sign loses its way.
    """
    here, typed = config.invocation_params.dir, _typed(config).split()
    reports = Path(config.option.wk_reports)
    lost = config.inipath is None or not here.is_relative_to(config.rootpath)
    if not lost or "--reports" not in typed or not reports.is_absolute():
        return ""
    return f"pytest took {reports} for the project\n    write --reports={reports}"


def _print_plan(
    config: pytest.Config, watch: Watch, selected: Sequence[tuple[str, Scenario]]
) -> None:
    scenarios = [scenario for _, scenario in selected]
    if needs_reading(scenarios, watch.options):
        watch.begin(selected, partial(tell_terminal, config))
    text, digest = reviewed(scenarios, watch)
    print(f"{text}\ndigest: {digest}")


def our_own_words(config: pytest.Config) -> None:
    """A finding is told once, in the table: no traceback of it and no list of node ids.

    The same goes for JUnit's file: ours tells unknown from failed, so pytest's own is not written.
    """
    if xml_key in config.stash:
        config.pluginmanager.unregister(config.stash[xml_key])
        del config.stash[xml_key]
        config.stash[OUR_XML] = Path(config.option.xmlpath).expanduser().absolute()
    reporter = config.pluginmanager.getplugin("terminalreporter")
    refused = reporter is not None and reporter.stats.get("error")  # what is wrong must be shown
    if config.option.tbstyle == "auto" and not refused:
        config.option.tbstyle = "no"
    chosen = any(str(each).startswith("-r") for each in config.invocation_params.args)
    if reporter is not None and not chosen:
        reporter.reportchars = ""


def _begin(config: pytest.Config, watch: Watch, selected: Sequence[tuple[str, Scenario]]) -> None:
    scenarios = [scenario for _, scenario in selected]
    if not needs_reading(scenarios, watch.options) or not watch.options.digest:
        refuse_unreviewed(scenarios, watch)  # before anything is looked at
    watch.begin(selected, partial(tell_terminal, config))
    if needs_reading(scenarios, watch.options):
        refuse_unreviewed(scenarios, watch)
    folder, ledger = _recording(config, watch, selected)
    watch.keep_ledger(ledger)
    gc.freeze()  # what was collected stays to the end; pytest's last search need not go through it
    config.stash[WRITER] = allure_bridge.install(config, folder / "allure-results", watch.redactor)


def _interrupt_on_sigterm(config: pytest.Config) -> None:
    """A scheduler ends a run by SIGTERM; what was found until then is reported all the same."""
    if SIGTERM_HEARD in config.stash:
        return
    config.stash[SIGTERM_HEARD] = True

    def interrupt(signum: int, frame: object) -> None:
        raise KeyboardInterrupt("SIGTERM")

    before = signal.signal(signal.SIGTERM, interrupt)
    config.add_cleanup(lambda: _restore(before))


def _restore(handler: Any) -> None:
    signal.signal(signal.SIGTERM, handler)


def _recording(
    config: pytest.Config, watch: Watch, selected: Sequence[tuple[str, Scenario]]
) -> tuple[Path, Ledger]:
    """Where this process writes: the run's folder and a ledger of its own."""
    suite = config.stash.get(SUITE, [])
    if is_worker(config):
        given: dict[str, Any] = config.workerinput  # type: ignore[attr-defined]
        folder = Path(given[FOLDER])
        ledger = Ledger.open(folder / f"ledger-{given['workerid']}.jsonl", watch.redactor)
        config.stash[LEDGER] = ledger
        watch.redactor.add(given[CANARY])
        config.workeroutput[COLLECTED] = [  # type: ignore[attr-defined]
            [node, list(each.tags), list(each.ids), each.row] for node, each in suite
        ]
        return folder, ledger
    account = account_of(config)
    account.know(
        [Entry(node, frozenset(scenario.tags)) for node, scenario in suite],
        [(each, scenario.row) for _, scenario in suite for each in scenario.ids],
    )
    account.select([node for node, _ in selected])
    return account.folder, account.ledger


def account_of(config: pytest.Config) -> Account:
    """The run's account, begun when it is first needed: a run without scenarios leaves none."""
    if ACCOUNT not in config.stash:
        _interrupt_on_sigterm(config)
        watch = config.stash[WATCH]
        waivers = waivers_of(config)
        given = config.stash.get(RUN_FOLDER, None)
        folder = given.folder if given is not None else run_folder(watch.options.reports)
        canary = given.canary if given is not None else Canary.planted_in(watch.redactor)
        watch.redactor.add(canary.marker)
        asked = Asked(_typed(config), config.option.markexpr, narrowed(config))
        config.stash[ACCOUNT] = Account(
            folder,
            watch.options,
            asked=asked,
            redactor=watch.redactor,
            waivers=waivers,
            canary=canary,
        )
    return config.stash[ACCOUNT]


def waivers_of(config: pytest.Config) -> Waivers:
    """The project's waivers; raises ConfigurationError where they can't be read."""
    path = config.rootpath / "waivers.yml"
    return load(path) if path.exists() else Waivers()


def _typed(config: pytest.Config) -> str:
    """What was asked for, as it was typed: "-m daily"."""
    return " ".join(str(argument) for argument in config.invocation_params.args)


class Leader:
    """The process that keeps the account; workers send their records with their reports."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._refused: list[str] = []
        self._ours = False

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that was refused; the others run, and the run says what it lacks."""
        if report.failed:
            self._refused.append(str(report.longrepr) or report.nodeid)
            self._ours = self._ours or report.nodeid.endswith(FEATURE)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self._ours and ACCOUNT not in self._config.stash and exitstatus in _NOTHING_RUN:
            session.exitstatus = EXIT_CONFIGURATION
        _finish(self._config, session, exitstatus, self._refused)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = getattr(report, "watchkeeper", None)
        if data is not None:
            account_of(self._config).add(CheckRecord.read(data))

    def pytest_keyboard_interrupt(self) -> None:
        if ACCOUNT in self._config.stash:
            self._config.stash[ACCOUNT].interrupted = True


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a worker: what the leading process can't see from where it stands."""
    config = session.config
    if is_worker(config):
        if WRITER in config.stash:
            _plant_in_worker(config)
        _end(config)


def _finish(
    config: pytest.Config, session: pytest.Session, exitstatus: int, refused: Sequence[str]
) -> None:
    """In the leading process: the account is closed, and the run's exit status is the gate's."""
    _end(config)
    if PLANNED in config.stash and exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        session.exitstatus = pytest.ExitCode.OK  # that nothing ran is what was asked for
    if ACCOUNT not in config.stash:
        return
    account = config.stash[ACCOUNT]
    for reason in refused:
        for complaint in _EACH_LINE.split(reason):
            account.refuse(complaint)
    if exitstatus == pytest.ExitCode.INTERNAL_ERROR:
        account.fail("pytest ended with an internal error; what it printed says where")
    elif exitstatus == pytest.ExitCode.USAGE_ERROR:
        account.refuse("the run was refused")
    run = account.close(
        config.stash.get(WRITER, None),
        config.stash.get(OUR_XML, None),
        tuple(handovers(config, config.stash[WATCH])),
    )
    config.stash[RUN] = run
    session.exitstatus = run.exit_code


_EACH_LINE = re.compile(r"\n(?! )")
"""Between complaints; an indented line is the advice of the one before."""
_NOTHING_RUN = (
    pytest.ExitCode.TESTS_FAILED,
    pytest.ExitCode.INTERRUPTED,
    pytest.ExitCode.NO_TESTS_COLLECTED,
)


def _plant_in_worker(config: pytest.Config) -> None:
    """The leader's canary goes through this worker's writers too; the leader searches for it."""
    given: dict[str, Any] = config.workerinput  # type: ignore[attr-defined]
    writer = config.stash[WRITER]
    writer.canary(f"canary {given[CANARY]}", f"canary-{given['workerid']}.txt")
    try:
        config.stash[LEDGER].append("canary", text=given[CANARY])
    except OSError as error:
        writer.unwritten = f"{config.stash[LEDGER].path}: {error.strerror or error}"
    if writer.unwritten:
        config.workeroutput[UNWRITTEN] = writer.unwritten  # type: ignore[attr-defined]


def _end(config: pytest.Config) -> None:
    config.stash[WATCH].end()
    if LEDGER in config.stash:
        with contextlib.suppress(OSError):  # the full disk was said when it was met
            config.stash[LEDGER].close()


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(config: pytest.Config) -> None:
    if RUN not in config.stash:
        return
    folder = config.stash[ACCOUNT].folder
    report = folder / "report.html"
    sys.stdout.flush()
    tell(config.stash[RUN], report if report.exists() else folder / "run.json")
    if OUR_XML in config.stash:
        print(f"JUnit: {config.stash[OUR_XML]}")
    if ATTESTED in config.stash:
        print(f"statement: {config.stash[ATTESTED].attesting.path}")
