"""What the whole run comes to: its checks, the gate's decision, and everything that is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from watchkeeper.deciding.gate import Decision, Level, Vote, decide
from watchkeeper.errors import ConfigurationError
from watchkeeper.pytest_plugin.options import Options
from watchkeeper.recording import history
from watchkeeper.recording.ledger import Ledger
from watchkeeper.recording.redaction import Canary, Redactor
from watchkeeper.recording.run import CheckRecord, FindingRecord, RunRecord, instant
from watchkeeper.telling.report import make_index, make_report
from watchkeeper.verdicts import Verdict


def run_folder(reports: Path) -> Path:
    """A folder for a run that begins now; two that begin in one second get two."""
    stamp = f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}"
    for number in range(1_000):
        folder = reports / "runs" / (f"{stamp}-{number}" if number else stamp)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise ConfigurationError(
                f"{folder} can't be made: {error.strerror or error}",
                hint="give another folder by --reports",
            ) from error
        return folder
    raise ConfigurationError(f"{reports} has a thousand runs of this second")


class Account:
    """The run as it grows. One process keeps it: the only one, or the one that leads the workers."""

    def __init__(self, folder: Path, options: Options, expression: str, redactor: Redactor) -> None:
        self.folder = folder
        self.started = datetime.now(UTC)
        self.ledger = Ledger.open(folder / "ledger.jsonl", redactor)
        self.messages: list[str] = []
        self.interrupted = False
        self.broken = False
        self.partial = ""
        self._options = options
        self._expression = expression
        self._redactor = redactor
        self._canary = Canary.planted_in(redactor)
        self._checks: dict[str, CheckRecord] = {}
        self._selected: tuple[str, ...] = ()
        self._past = history.runs(options.reports)
        self.ledger.append(
            "begin", expression=expression, target=options.target, allow=options.allow
        )

    def select(self, nodes: Sequence[str]) -> None:
        """The scenarios that the run is to execute; one that leaves no record is missing."""
        if not self._selected:
            self._selected = tuple(nodes)
            self.ledger.append("selected", nodes=list(nodes))
            self._write(self._record("running", 0))

    def add(self, check: CheckRecord) -> None:
        """A check has ended; it is in the ledger before the next one begins."""
        red = self._past.red.get(history.key(check), "")
        if check.verdict == Verdict.FAILED.value:
            red = check.started
        check = replace(check, last_seen_red=red)
        self._checks[check.node] = check
        worst = check.worst_finding
        self.ledger.append(
            "check",
            node=check.node,
            ids=list(check.ids),
            row=check.row,
            verdict=check.verdict,
            sentence=worst.sentence if worst else "",
            sources=[found.source for found in check.findings],
        )

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(node for node in self._selected if node not in self._checks)

    def decide(self) -> Decision:
        votes = [_vote(check) for check in self._checks.values() if not check.waiver]
        return decide(
            votes,
            Level(self._options.gate),
            interrupted=self.interrupted,
            configuration_error=self.broken,
            missing=self.missing,
        )

    def close(self, decision: Decision) -> RunRecord:
        """Write run.json, the ledger's end and the report; what can't be written is said."""
        self._plant()
        self.ledger.append("end", verdict=decision.verdict, exit_code=decision.exit_code)
        self.ledger.close()
        run = self._record(decision.verdict, decision.exit_code)
        self._write(run)
        if self._options.report == "html":
            self._report(run)
        leaks = self._canary.searches(self.folder)
        if leaks:
            names = ", ".join(sorted(path.name for path in leaks))
            self.messages.append(f"a planted secret came through into {names}; do not publish them")
        return replace(run, messages=tuple(self.messages))

    def _report(self, run: RunRecord) -> None:
        make_report(self.folder, run, self._past.before(run))
        make_index(self._options.reports)

    def _record(self, verdict: str, exit_code: int) -> RunRecord:
        checks = tuple(self._checks.values())
        return RunRecord(
            run=self.folder.name,
            expression=self._expression,
            target=self._options.target,
            started=instant(self.started),
            finished=instant(datetime.now(UTC)),
            verdict=verdict,
            exit_code=exit_code,
            checks=checks,
            partial=self.partial,
            gate=self._options.gate,
            messages=tuple(self.messages),
            missing=self.missing,
            ledger_head=self.ledger.head,
            counts=_counts(checks),
        )

    def _write(self, run: RunRecord) -> None:
        run.write(self.folder / "run.json")

    def _plant(self) -> None:
        """Send the canary through the writers that have no other witness."""
        self._canary.feed("ledger", lambda text: self.ledger.append("canary", text=text))


def _vote(check: CheckRecord) -> Vote:
    worst = check.worst_finding
    return Vote(Level(check.level), Verdict(check.verdict), _cause(worst), " ".join(check.ids))


def _cause(finding: FindingRecord | None) -> Verdict | None:
    if finding is None or not finding.cause:
        return None
    return Verdict(finding.cause)


def _counts(checks: Iterable[CheckRecord]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(Counter(check.verdict for check in checks).items()))
