"""How one scenario runs as a pytest item, and how pytest is told what it found."""

from __future__ import annotations

import time
from collections.abc import Generator
from datetime import UTC, datetime

import pytest

from watchkeeper.errors import WatchkeeperError
from watchkeeper.performing import Stopped
from watchkeeper.pytest_plugin.collecting import PLAN
from watchkeeper.pytest_plugin.state import PERFORMANCE, REFUSAL, WRITER, Running, is_worker
from watchkeeper.pytest_plugin.waiting import Waiting
from watchkeeper.pytest_plugin.watch import WATCH
from watchkeeper.recording.evidence import Ran, Recorder
from watchkeeper.recording.run import CheckRecord
from watchkeeper.verdicts import Verdict

SKIPPED = (Verdict.NOT_RUN, Verdict.UNSIGNED, Verdict.NOT_APPLICABLE)
GREEN = (Verdict.PASSED, Verdict.DEGRADED, Verdict.WAIVED)


class CouldNotTell(Exception):
    """A check that is unknown or blocked: nobody can say how the system is."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    if WRITER in item.config.stash:
        item.config.stash[WRITER].needs_record = PLAN in item.stash
    if PLAN not in item.stash or REFUSAL in item.config.stash:
        return (yield)
    watch = item.config.stash[WATCH]
    if not watch.left_out(item.nodeid):
        following = nextitem.nodeid if nextitem is not None and is_worker(item.config) else None
        performance = watch.perform(item.nodeid, Waiting(item.config), following)
        item.stash[PERFORMANCE] = Running(item.stash[PLAN], performance)
    try:
        return (yield)
    finally:
        watch.performed(item.nodeid)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if PLAN not in item.stash:
        return
    if REFUSAL in item.config.stash:
        raise CouldNotTell(item.config.stash[REFUSAL])
    left_out = item.config.stash[WATCH].left_out(item.nodeid)
    if left_out:
        pytest.skip(left_out)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    if PERFORMANCE not in item.stash:
        yield
        return
    running = item.stash[PERFORMANCE]
    try:
        yield
        if not running.all_performed:
            raise CouldNotTell("not every step of the scenario was carried out")
    except Stopped:
        pass  # what stopped it is among the findings
    finally:
        running.performance.finish()
    running.record = _recorder(item).check(
        running.scenario,
        running.performance,
        Ran(item.nodeid, running.started, time.monotonic() - running.began),
    )
    _raise_verdict(running.record)


def _recorder(item: pytest.Item) -> Recorder:
    writer = item.config.stash.get(WRITER, None)
    folder = writer.run_folder if writer is not None else None
    return Recorder(item.config.stash[WATCH].redactor, folder)


def _raise_verdict(record: CheckRecord) -> None:
    """Tell pytest, in its own way, how the check ended."""
    verdict = Verdict(record.verdict)
    if verdict in GREEN:
        return
    told = _told(record)
    if verdict is Verdict.FAILED:
        pytest.fail(told, pytrace=False)
    if verdict in SKIPPED:
        pytest.skip(told or f"{record.scenario} judged nothing")
    raise CouldNotTell(told)


def _told(record: CheckRecord) -> str:
    return "\n".join(f.sentence for f in record.findings if f.verdict != Verdict.PASSED.value)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if PLAN not in item.stash:
        return report
    record = _record_of(item, call)
    if record is not None:
        # xdist sends a report's plain data to the leading process, and nothing else.
        report.watchkeeper = record.data  # type: ignore[attr-defined]
        report.sections = []
        if report.failed:
            report.longrepr = _told(record)
        if WRITER in item.config.stash:
            item.config.stash[WRITER].current = record
    elif report.failed:  # a plugin of somebody: its traceback may show anything
        report.longrepr = _recorder(item).text(report.longreprtext)
        report.sections = []
    return report


def _record_of(item: pytest.Item, call: pytest.CallInfo[None]) -> CheckRecord | None:
    """The check's record, once: when its call ended, or where it never came to be called."""
    if call.excinfo is not None and isinstance(call.excinfo.value, KeyboardInterrupt):
        return None
    running = item.stash.get(PERFORMANCE, None)
    if call.when == "call":
        record = running.record if running is not None else None
        return record or _broken(item, call)
    if call.when == "setup" and call.excinfo is not None:
        return _broken(item, call)
    return None


def _broken(item: pytest.Item, call: pytest.CallInfo[None]) -> CheckRecord:
    """The record of a scenario that could not run: left out, refused, or our own fault."""
    error = call.excinfo.value if call.excinfo is not None else None
    verdict = Verdict.UNKNOWN
    if isinstance(error, pytest.skip.Exception):
        verdict, reason = Verdict.NOT_APPLICABLE, str(error.msg)
    elif isinstance(error, WatchkeeperError | CouldNotTell):
        reason = str(error)
    else:
        reason = f"Watchkeeper itself failed: {type(error).__name__}: {error}"
    return _recorder(item).unperformed(
        item.stash[PLAN], verdict, reason, Ran(item.nodeid, datetime.now(UTC), call.duration)
    )


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(
    report: pytest.CollectReport | pytest.TestReport,
) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    data = getattr(report, "watchkeeper", None)
    if data is None:
        return None
    verdict = Verdict(data["verdict"])
    colour = {Verdict.PASSED: "green", Verdict.FAILED: "red"}.get(verdict, "yellow")
    category = verdict.value if verdict not in (Verdict.PASSED, Verdict.FAILED) else report.outcome
    return category, verdict.letter, (verdict.value.upper(), {colour: True})
