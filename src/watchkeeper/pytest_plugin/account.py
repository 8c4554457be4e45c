"""What the whole run comes to: its checks, the gate's decision, and all that is written."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from watchkeeper.deciding import census
from watchkeeper.deciding.gate import Decision, Level, Vote, decide
from watchkeeper.deciding.waivers import Applied, Waivers
from watchkeeper.errors import ConfigurationError
from watchkeeper.pytest_plugin.allure_bridge import RedactingWriter
from watchkeeper.pytest_plugin.options import Options
from watchkeeper.recording import history, unended
from watchkeeper.recording.ledger import Ledger
from watchkeeper.recording.proof import Known
from watchkeeper.recording.redaction import Canary, Redactor, clean
from watchkeeper.recording.run import CheckRecord, FindingRecord, RunRecord, instant
from watchkeeper.telling import junit, summary
from watchkeeper.telling.report import make_index, make_report
from watchkeeper.verdicts import Verdict

STOPS = "-x"
"""The option that ends a run before its end; what it leaves out is not missing."""


@dataclass(frozen=True)
class Asked:
    """What the run was asked for.

    `typed`: the command line. `expression`: of -m. `narrowed`: the options that took checks away.
    """

    typed: str
    expression: str
    narrowed: tuple[str, ...]


def run_folder(reports: Path, *, drill: bool = False) -> Path:
    """A folder for a run that begins now, marked as living; two that begin in one second get two.

    Raises ConfigurationError where it can't be made (no permission, a full disk).
    """
    stamp = f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}"
    for number in range(1_000):
        folder = reports / "runs" / (f"{stamp}-{number}" if number else stamp)
        try:
            folder.mkdir(parents=True)
            unended.begin(folder, drill=drill)
        except FileExistsError:
            continue
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)  # a run that never was leaves none
            raise _unwritable(folder, error) from error
        return folder
    raise ConfigurationError(f"{reports} has a thousand runs of this second")


def _unwritable(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"{path} can't be written: {error.strerror or error}",
        hint="make room, or give another folder by --reports",
    )


class Account:
    """The run as it grows, kept by one process: the only one, or the one that leads the workers."""

    def __init__(
        self,
        folder: Path,
        options: Options,
        *,
        asked: Asked,
        redactor: Redactor,
        waivers: Waivers,
        canary: Canary,
    ) -> None:
        self.folder = folder
        self.started = datetime.now(UTC)
        self.interrupted = False
        self.broken = False
        self.canary = canary
        self._messages: list[str] = []
        self._options = options
        self._asked = asked
        self._redactor = redactor
        self._waivers = waivers
        self._applied: list[Applied] = []
        self._checks: dict[str, CheckRecord] = {}
        self._selected: tuple[str, ...] = ()
        self._suite: tuple[census.Entry, ...] = ()
        self._known: tuple[tuple[str, str], ...] = ()
        self._canaries: list[str] = []
        self._full = ""
        cut_off = unended.close_dead(options.reports)
        self._past = history.runs(options.reports)
        self._proven = Known.of(options.reports)
        try:
            self.ledger = Ledger.open(folder / "ledger.jsonl", redactor)
            self.ledger.append(
                "begin", expression=asked.typed, target=options.target, allow=options.allow
            )
        except OSError as error:
            raise _unwritable(folder, error) from error
        for told in (*cut_off, self._proven.problem):
            self.say(told)

    def know(self, suite: Iterable[census.Entry], known: Iterable[tuple[str, str]]) -> None:
        """All that was collected before anything was deselected; `known`: its ids and rows."""
        self._suite, self._known = tuple(suite), tuple(known)

    def select(self, nodes: Sequence[str]) -> None:
        """The scenarios that the run is to execute; one that leaves no record is missing."""
        if self._selected:
            return
        self._selected = tuple(nodes)
        self._note("selected", nodes=list(nodes))
        self._write(self._record("running", 0))

    def say(self, message: str) -> None:
        """A finding about the run itself; the same one is said once, and "" never."""
        told = self._redactor.text(clean(message))
        if told and told not in self._messages:
            self._messages.append(told)

    def fail(self, reason: str) -> None:
        """Watchkeeper itself could not do its work, whatever the checks found."""
        self._full = reason
        self.say(reason)

    def refuse(self, reason: str) -> None:
        """Nothing can be run, for a mistake in the configuration."""
        self.broken = True
        self.say(reason)

    def add(self, check: CheckRecord) -> None:
        """A check has ended; it is in the ledger before the next one begins."""
        applied = self._waivers.apply(
            check.ids, check.row, Verdict(check.verdict), self.started.date()
        )
        self._applied.append(applied)
        check = self._proven.told_of(check, self._past.red.get(history.key(check), ""))
        check = replace(check, waiver=applied.sentence)
        self._checks[check.node] = check
        worst = check.worst_finding
        self._note(
            "check",
            node=check.node,
            ids=list(check.ids),
            row=check.row,
            verdict=check.verdict,
            waiver=check.waiver,
            sentence=worst.sentence if worst else "",
            sources=[found.source for found in check.findings],
        )

    def decide(self) -> Decision:
        return decide(
            [_vote(check, self._options.require_proof) for check in self._checks.values()],
            Level(self._options.gate),
            interrupted=self.interrupted,
            configuration_error=self.broken,
            internal_error=bool(self._full),
            missing=self._missing(),
        )

    def close(
        self,
        writer: RedactingWriter | None,
        xml: Path | None = None,
        handovers: Sequence[Callable[[RunRecord], None]] = (),
    ) -> RunRecord:
        """Decide, write run.json, the ledger's end and the report; what can't be written is said.

        `writer` is this process' own of Allure's files; None where only workers have one. `xml`:
        where JUnit's XML is wanted. `handovers` write outside the run's folder, once all is
        decided.
        """
        run = self._closed(writer, xml)
        for write in handovers:
            try:
                write(run)
            except OSError as error:
                run = self._failed(run, self._unwritten(error))
        return run

    def _closed(self, writer: RedactingWriter | None, xml: Path | None) -> RunRecord:
        self._plant(writer)
        if writer is not None and writer.unwritten:
            self.fail(writer.unwritten)
        decision = self.decide()
        for said in self._waivers.messages(self._known, self._applied, self.started.date()):
            self.say(said)
        self._note("end", verdict=decision.verdict, exit_code=decision.exit_code)
        run = self._record(decision.verdict, decision.exit_code)
        try:
            self.ledger.close()
            run = replace(run, ledger_head=self.ledger.head)
            run.write(self.folder / "run.json")
            (self.folder / "summary.md").write_text(summary.markdown(run), "utf-8")
            if xml is not None:
                junit.write(run, xml)
            if self._options.report == "html":
                make_report(self.folder, run, self._past.before(run))
                make_index(self._options.reports)
            beside = [*self._options.reports.glob("*"), *filter(None, (xml,))]
            leak = self.canary.leak(self.folder, *beside)
            unended.end(self.folder)
        except OSError as error:
            return self._failed(run, self._unwritten(error))
        return self._failed(run, leak) if leak else run

    def _failed(self, run: RunRecord, reason: str) -> RunRecord:
        """The record once more, with what went wrong while it was written."""
        self.fail(reason)
        decision = self.decide()
        told = replace(
            run,
            verdict=decision.verdict,
            exit_code=decision.exit_code,
            messages=tuple(self._messages),
        )
        self._write(told)
        return told

    def _unwritten(self, error: OSError) -> str:
        return f"{error.filename or self.folder} can't be written: {error.strerror or error}"

    def _note(self, kind: str, **fields: Any) -> None:
        """A ledger record; a disk that is full must not end the run, and is said at its end."""
        try:
            self.ledger.append(kind, **fields)
        except OSError as error:
            self.fail(f"{self.ledger.path} can't be written: {error.strerror or error}")

    def _census(self) -> census.Census:
        return census.take(self._suite, self._checks, self._asked.expression, self._asked.narrowed)

    def _record(self, verdict: str, exit_code: int) -> RunRecord:
        checks = tuple(self._checks.values())
        return RunRecord(
            run=self.folder.name,
            expression=self._redactor.text(clean(self._asked.typed)),
            target=self._options.target,
            started=instant(self.started),
            finished=instant(datetime.now(UTC)),
            verdict=verdict,
            exit_code=exit_code,
            checks=checks,
            partial=self._census().partial,
            gate=self._options.gate,
            proof_required=self._options.require_proof,
            messages=tuple(self._messages),
            missing=() if verdict == "running" else self._missing(),
            ledger_head=self.ledger.head,
            canaries=tuple(self._canaries),
            counts=_counts(checks),
        )

    def _missing(self) -> tuple[str, ...]:
        """What was selected, or belongs to the profile, and left no record."""
        if STOPS in self._asked.narrowed:
            return ()  # the rest was not to run
        wanted = dict.fromkeys((*self._selected, *self._census().expected))
        return census.missing(wanted, self._checks)

    def _write(self, run: RunRecord) -> None:
        try:
            run.write(self.folder / "run.json")
        except OSError as error:
            self.fail(self._unwritten(error))

    def _plant(self, writer: RedactingWriter | None) -> None:
        """Send the canary through each writer, and keep what came out of it."""
        came_out = self._canaries.append
        self.canary.feed("ledger", lambda text: self._note("canary", text=text))
        self.canary.feed("run.json", lambda text: came_out(self._redactor.text(text)))
        if writer is not None:
            self.canary.feed("allure", lambda text: came_out(writer.canary(text, "canary.txt")))


def _vote(check: CheckRecord, require_proof: bool) -> Vote:
    return Vote(
        Level(check.level),
        Verdict.WAIVED if check.waiver else Verdict(check.verdict),
        _cause(check.worst_finding),
        " ".join(check.ids),
        unproven=require_proof and not check.proven,
    )


def _cause(finding: FindingRecord | None) -> Verdict | None:
    return Verdict(finding.cause) if finding is not None and finding.cause else None


def _counts(checks: Iterable[CheckRecord]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(Counter(check.verdict for check in checks).items()))
