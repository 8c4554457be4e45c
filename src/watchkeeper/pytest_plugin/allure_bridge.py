"""How a check's record becomes an Allure result: Gherkin steps, labels, parameters, true colours.

allure-pytest keeps the life of a test; what it knows nothing of is filled in just before a result
is written. Its fixture hooks are muted: they wrote a container for every step definition.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import allure_commons
import allure_pytest.plugin
import pytest
from allure_commons.model2 import (
    Attachment,
    Label,
    Link,
    Parameter,
    Status,
    StatusDetails,
    TestStepResult,
)
from allure_commons.types import AttachmentType
from allure_pytest.listener import AllureListener
from attr import asdict

from watchkeeper.pytest_plugin.collecting import PLAN
from watchkeeper.recording.redaction import Redactor, clean
from watchkeeper.recording.run import CheckRecord, FindingRecord
from watchkeeper.verdicts import Verdict

STATUS = {
    Verdict.PASSED.value: Status.PASSED,
    Verdict.DEGRADED.value: Status.PASSED,
    Verdict.FAILED.value: Status.FAILED,
    Verdict.UNKNOWN.value: Status.BROKEN,
    Verdict.BLOCKED.value: Status.BROKEN,
    Verdict.NOT_RUN.value: Status.SKIPPED,
    Verdict.UNSIGNED.value: Status.SKIPPED,
    Verdict.NOT_APPLICABLE.value: Status.SKIPPED,
}
SEVERITY = {"P0": "blocker", "P1": "critical", "P2": "normal", "P3": "minor", "P4": "trivial"}
LONG = 200
"""Characters above which an excerpt is worth an attachment, in the one file of the scenario."""


class QuietListener(AllureListener):
    """allure-pytest's listener without a container for every fixture."""

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Any:
        yield

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_post_finalizer(self, fixturedef: Any) -> Any:
        yield

    def _update_fixtures_children(self, item: Any) -> None:
        return

    # What allure-pytest finds out about a scenario, its record says better, and `_fill` writes over
    # it: not asking saves a twentieth of a check's cost.

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_setup(self, item: Any) -> Any:
        their_own: Any = super().pytest_runtest_setup
        yield from _nothing() if PLAN in item.stash else their_own(item)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_teardown(self, item: Any) -> Any:
        their_own: Any = super().pytest_runtest_teardown
        yield from _nothing() if PLAN in item.stash else their_own(item)


def _nothing() -> Iterator[None]:
    """A hook wrapper that does nothing around its hook."""
    yield


class RedactingWriter:
    """The one place where Allure's files are written: everything is redacted before it is JSON.

    It stands in for allure-pytest's AllureFileLogger. `current` is the record of the check whose
    result is written next, and `needs_record` says that it is a scenario's: one that was
    interrupted has no record, and allure-pytest would call it passed. `unwritten` says why
    something could not be written, "" where all was.
    """

    redactor: Redactor = Redactor()

    def __init__(self, report_dir: str | Path, clean: bool = False) -> None:
        self._report_dir = Path(report_dir).absolute()
        self._report_dir.mkdir(parents=True, exist_ok=True)
        self.run_folder = self._report_dir.parent
        for old in self._report_dir.iterdir() if clean else ():
            old.unlink()
        self.current: CheckRecord | None = None
        self.needs_record = False
        self.unwritten = ""

    @allure_commons.hookimpl
    def report_result(self, result: Any) -> None:
        record, self.current = self.current, None
        if record is not None:
            self._fill(result, record)
        elif self.needs_record:
            return
        self._write(result)

    @allure_commons.hookimpl
    def report_container(self, container: Any) -> None:
        self._write(container)

    @allure_commons.hookimpl
    def report_globals(self, globals_item: Any) -> None:
        self._write(globals_item)

    @allure_commons.hookimpl
    def report_attached_data(self, body: str | bytes, file_name: str) -> None:
        text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
        self._save(file_name, self.redactor.text(clean(text)))

    def canary(self, text: str, name: str) -> str:
        """Write `text` as an attachment would be, and give back what stands in the file."""
        self.report_attached_data(text, name)
        path = self._report_dir / name
        return path.read_text("utf-8") if path.exists() else ""

    def _write(self, item: Any) -> None:
        data = self.redactor.value(asdict(item, filter=lambda _, value: value or value is False))
        name = item.file_pattern.format(prefix=uuid4())
        self._save(name, json.dumps(data, ensure_ascii=False))

    def _save(self, name: str, text: str) -> None:
        """A disk that is full must not end the run; it is said at its end."""
        try:
            _put(f"{self._report_dir}/{name}", text.encode())
        except OSError as error:
            self.unwritten = f"{self._report_dir} can't be written: {error.strerror or error}"

    def _fill(self, result: Any, record: CheckRecord) -> None:
        result.name = record.title
        result.fullName = record.node
        result.testCaseId = _known_by(record.system, *record.ids)
        result.historyId = _known_by(record.system, *record.ids, record.row)
        result.description = record.advice or None
        result.descriptionHtml = None
        result.titlePath = [record.system, record.feature]
        result.parameters = [Parameter(name="row", value=record.row)] if record.row else []
        result.status = STATUS[record.verdict]
        result.statusDetails = _details(record)
        result.labels = _labels(record)
        result.links = [
            Link(type="link", url=record.runbook, name=" ".join(record.ids))
            for _ in range(1)
            if record.runbook.startswith(("http://", "https://"))
        ]
        result.steps = [self._step(found) for found in record.findings]

    def _step(self, found: FindingRecord) -> TestStepResult:
        begun = _ms(found.started)
        step = TestStepResult(
            name=f"{found.keyword} {found.step}".strip(),
            status=STATUS[found.verdict],
            start=begun,
            stop=begun + round(found.duration_s * 1000),
            parameters=[Parameter(name=name, value=value) for name, value in found.parameters],
        )
        if found.verdict != Verdict.PASSED.value:
            step.statusDetails = StatusDetails(message=found.sentence)
        else:
            step.parameters.append(Parameter(name="seen", value=found.sentence))
        long = _evidence(found)
        if long:
            step.attachments.append(self._attached(long))
        if found.picture:
            step.attachments += self._pictured(found.picture)
        return step

    def _pictured(self, name: str) -> list[Attachment]:
        """The picture in the run's folder as an attachment: a copy, written whole."""
        source = f"{Path(name).stem}-attachment.png"
        try:
            _put(f"{self._report_dir}/{source}", (self.run_folder / name).read_bytes())
        except OSError as error:
            self.unwritten = f"{self._report_dir} can't be written: {error.strerror or error}"
            return []
        return [Attachment(source=source, name="picture", type=AttachmentType.PNG.mime_type)]

    def _attached(self, text: str) -> Attachment:
        name = f"{uuid4()}-attachment.txt"
        self._save(name, self.redactor.text(text))
        return Attachment(source=name, name="evidence", type=AttachmentType.TEXT.mime_type)


def _put(path: str, data: bytes) -> None:
    """Write a file whole or not at all, by four calls of the system.

    A text file of Python's makes more of them, and at each the thread that looks takes the
    interpreter's lock.
    """
    partly = f"{path}.part"
    descriptor = os.open(partly, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)
    os.replace(partly, path)  # noqa: PTH105 - a Path object for each file costs more than this


def _evidence(found: FindingRecord) -> str:
    """What is too long for a parameter: the rows of a list, and a raw answer that was not good."""
    rows = "\n".join(" | ".join(row) for row in found.table)
    excerpt = found.excerpt if len(found.excerpt) > LONG or found.verdict != "passed" else ""
    return "\n\n".join(part for part in (rows, excerpt) if part)


def _details(record: CheckRecord) -> StatusDetails | None:
    if record.verdict == Verdict.PASSED.value:
        return None
    told = [f.sentence for f in record.findings if f.verdict != Verdict.PASSED.value]
    return StatusDetails(message=f"{record.verdict}: " + "\n".join(told))


def _labels(record: CheckRecord) -> list[Label]:
    pairs = [
        ("epic", record.system),
        ("feature", record.feature),
        ("story", record.rule or record.scenario),
        ("parentSuite", record.system),
        ("suite", record.feature),
        ("subSuite", record.rule),
        ("severity", SEVERITY[record.level]),
        ("framework", "pytest-bdd"),
        *(("tag", tag) for tag in dict.fromkeys((*record.ids, record.level, *record.tags))),
        ("tag", record.verdict),
    ]
    return [Label(name=name, value=value) for name, value in pairs if value]


def _known_by(*names: str) -> str:
    """What Allure knows a check by from run to run: no line number, which moves."""
    return hashlib.md5("\0".join(names).encode(), usedforsecurity=False).hexdigest()


def _ms(moment: str) -> int:
    return round(datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp() * 1000)


def install(config: pytest.Config, folder: Path, redactor: Redactor) -> RedactingWriter:
    """Write this run's results into `folder`; taken away with the config."""
    RedactingWriter.redactor = redactor
    make: Callable[[pytest.Config], QuietListener] = QuietListener  # allure-pytest has no types
    listener, writer = make(config), RedactingWriter(folder)
    config.pluginmanager.register(listener, "watchkeeper_allure_listener")
    _register(config, listener)
    _register(config, writer)
    return writer


def _register(config: pytest.Config, plugin: object) -> None:
    allure_commons.plugin_manager.register(plugin)
    config.add_cleanup(lambda: allure_commons.plugin_manager.unregister(plugin))


# Whoever asks allure-pytest for --alluredir as well gets the same redaction.
_plugin: Any = allure_pytest.plugin
_plugin.AllureFileLogger = RedactingWriter
