"""How what a scenario found becomes its record: redacted, cleaned, in the order of finding."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from watchkeeper.observation import Picture
from watchkeeper.performing import Account, Performance
from watchkeeper.plan import Scenario
from watchkeeper.recording.fingerprint import fingerprint
from watchkeeper.recording.redaction import Redactor, clean
from watchkeeper.recording.run import CheckRecord, FindingRecord, instant
from watchkeeper.verdicts import Finding, Verdict


@dataclass(frozen=True)
class Ran:
    """Where and when a scenario ran: pytest's node id, UTC, seconds."""

    node: str
    started: datetime
    duration_s: float


class Recorder:
    """Turns accounts into records; the one place where evidence is redacted and made plain text."""

    def __init__(self, redactor: Redactor, folder: Path | None = None) -> None:
        """`folder`: the run's, for pictures; None keeps none."""
        self.redactor = redactor
        self._folder = folder

    def text(self, text: str) -> str:
        return self.redactor.text(clean(text))  # an escape inside a secret would hide it

    def finding(self, account: Account) -> FindingRecord:
        found = account.finding
        return FindingRecord(
            step=self.text(found.step),
            verdict=found.verdict.value,
            sentence=self.text(found.sentence),
            source=self.text(found.source),
            started=instant(found.started),
            duration_s=round(found.duration_s, 6),
            keyword=account.keyword,
            parameters=tuple((self.text(k), self.text(v)) for k, v in account.parameters),
            table=self.redactor.table([[clean(cell) for cell in row] for row in account.table]),
            excerpt=self.text(account.excerpt) if found.verdict is not Verdict.PASSED else "",
            cause=found.cause,
            picture=self._kept(account.picture),
        )

    def _kept(self, picture: Picture | None) -> str:
        """The name of the picture in the run's folder; "" where it may not or can't be kept.

        Named by what is in it: several sentences about one page share its picture.
        """
        if (
            picture is None
            or self._folder is None
            or self.text(picture.shows) != clean(picture.shows)
        ):
            return ""
        name = f"picture-{hashlib.sha256(picture.png).hexdigest()[:16]}.png"
        try:
            (self._folder / name).write_bytes(picture.png)
        except OSError:
            return ""  # a disk that is full is told by what must be written
        return name

    def check(
        self,
        scenario: Scenario,
        performance: Performance,
        ran: Ran,
    ) -> CheckRecord:
        """The record of a scenario that ran to its end or stopped."""
        accounts = performance.accounts
        return self._check(
            scenario,
            performance.verdict,
            tuple(self.finding(account) for account in accounts),
            ran,
        )

    def unperformed(
        self,
        scenario: Scenario,
        verdict: Verdict,
        reason: str,
        ran: Ran,
    ) -> CheckRecord:
        """The record of a scenario that did not run: left out here, or nobody knows how it is."""
        where = str(scenario.path)
        finding = Finding(scenario.name, verdict, reason, where, ran.started, ran.duration_s)
        record = self.finding(Account(finding, "Given"))
        return self._check(scenario, verdict, (record,), ran)

    def _check(
        self,
        scenario: Scenario,
        verdict: Verdict,
        findings: tuple[FindingRecord, ...],
        ran: Ran,
    ) -> CheckRecord:
        return CheckRecord(
            ids=scenario.ids,
            scenario=scenario.name,
            row=scenario.row,
            system=scenario.system.name,
            level=scenario.level,
            verdict=verdict.value,
            findings=findings,
            started=instant(ran.started),
            duration_s=round(ran.duration_s, 6),
            fingerprint=fingerprint(scenario),
            node=ran.node,
            feature=scenario.feature,
            rule=scenario.rule,
            place=f"{scenario.path.name}:{scenario.line}",
            runbook=scenario.system.runbook,
            advice=scenario.advice,
            tags=scenario.tags,
        )
