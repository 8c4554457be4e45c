"""How what a scenario found becomes its record: redacted, cleaned, and in the order it was found."""

from __future__ import annotations

from datetime import datetime

from watchkeeper.performing import Account, Performance
from watchkeeper.plan import Scenario
from watchkeeper.recording.redaction import Redactor, clean
from watchkeeper.recording.run import CheckRecord, FindingRecord, instant
from watchkeeper.verdicts import Finding, Verdict


class Recorder:
    """Turns accounts into records; the one place where evidence is redacted and made plain text."""

    def __init__(self, redactor: Redactor) -> None:
        self.redactor = redactor

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
            table=tuple(tuple(self.text(cell) for cell in row) for row in account.table),
            excerpt=self.text(account.excerpt) if found.verdict is not Verdict.PASSED else "",
            cause=found.cause,
        )

    def check(
        self,
        scenario: Scenario,
        performance: Performance,
        node: str,
        started: datetime,
        duration_s: float,
    ) -> CheckRecord:
        """The record of a scenario that ran to its end or stopped."""
        accounts = performance.accounts
        return self._check(
            scenario,
            performance.verdict,
            tuple(self.finding(account) for account in accounts),
            node,
            started,
            duration_s,
        )

    def unperformed(
        self,
        scenario: Scenario,
        verdict: Verdict,
        reason: str,
        node: str,
        started: datetime,
        duration_s: float,
    ) -> CheckRecord:
        """The record of a scenario that did not run: left out here, or nobody knows how it is."""
        finding = Finding(scenario.name, verdict, reason, str(scenario.path), started, duration_s)
        record = self.finding(Account(finding, "Given"))
        return self._check(scenario, verdict, (record,), node, started, duration_s)

    def _check(
        self,
        scenario: Scenario,
        verdict: Verdict,
        findings: tuple[FindingRecord, ...],
        node: str,
        started: datetime,
        duration_s: float,
    ) -> CheckRecord:
        return CheckRecord(
            ids=scenario.ids,
            scenario=scenario.name,
            row=scenario.row,
            system=scenario.system.name,
            level=scenario.level,
            verdict=verdict.value,
            findings=findings,
            started=instant(started),
            duration_s=round(duration_s, 6),
            node=node,
            feature=scenario.feature,
            rule=scenario.rule,
            place=f"{scenario.path.name}:{scenario.line}",
            runbook=scenario.system.runbook,
            advice=scenario.advice,
            tags=scenario.tags,
        )
