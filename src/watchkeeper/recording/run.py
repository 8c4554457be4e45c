"""The machine-readable record of a run: what stands in run.json, and its schema's number."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from watchkeeper.verdicts import Verdict

SCHEMA = "watchkeeper/run/1"


@dataclass(frozen=True)
class FindingRecord:
    """One judged sentence. `started` is ISO 8601 UTC, `duration_s` seconds.

    `keyword` is Given, When or Then; `parameters` are what the report shows beside the step: names
    and values of observations, redacted. `excerpt` is what is too long for a parameter.
    `cause` is the verdict of what blocks this one, "" where nothing does. `picture` is the name of
    a PNG in the run's folder, "" where there is none.
    """

    step: str
    verdict: str
    sentence: str
    source: str
    started: str
    duration_s: float
    keyword: str = ""
    parameters: tuple[tuple[str, str], ...] = ()
    table: tuple[tuple[str, ...], ...] = ()
    excerpt: str = ""
    cause: str = ""
    picture: str = ""


@dataclass(frozen=True)
class CheckRecord:
    """One scenario, or one row of an outline, as it ended.

    `row` is "" outside outlines. `level` is P0 to P4. `waiver` is the waiver's sentence, or "".
    `last_seen_red` is ISO 8601 UTC or "" where no run and no drill ever saw it red; `red_by` is the
    fault that a drill turned then, "" where it was a real run. `proven`: a drill has seen each of
    its ids red as it is now; `unproven` says why not. `fingerprint` is of its sentences and looks.
    """

    ids: tuple[str, ...]
    scenario: str
    row: str
    system: str
    level: str
    verdict: str
    findings: tuple[FindingRecord, ...]
    started: str
    duration_s: float
    waiver: str = ""
    last_seen_red: str = ""
    red_by: str = ""
    proven: bool = False
    unproven: str = ""
    fingerprint: str = ""
    node: str = ""
    feature: str = ""
    rule: str = ""
    place: str = ""
    runbook: str = ""
    advice: str = ""
    tags: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The scenario as people tell it from others; its row where the name does not hold it."""
        held = not self.row or self.row in self.scenario
        return self.scenario if held else f"{self.scenario} [{self.row}]"

    @property
    def data(self) -> dict[str, Any]:
        """The check as JSON-like data; dataclasses.asdict copies texts, in ten times the time."""
        return {**vars(self), "findings": tuple(dict(vars(each)) for each in self.findings)}

    @property
    def worst_finding(self) -> FindingRecord | None:
        """The finding that gave the verdict, or None where nothing was judged."""
        return next((found for found in self.findings if found.verdict == self.verdict), None)

    @classmethod
    def read(cls, data: dict[str, Any]) -> CheckRecord:
        """A check out of JSON; keys that this version does not know are left out."""
        known = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        known["ids"] = tuple(known.get("ids", ()))
        known["tags"] = tuple(known.get("tags", ()))
        known["findings"] = tuple(
            FindingRecord(
                **{
                    name: _tuples(found[name])
                    for name in FindingRecord.__dataclass_fields__
                    if name in found
                }
            )
            for found in data["findings"]
        )
        return cls(**known)


@dataclass(frozen=True)
class RunRecord:
    """A run. `verdict`: go, no-go, inconclusive, incomplete, interrupted, or running.

    `selected` are the node ids the run was to execute; one without a check is missing.
    `partial` says in words why the run claims less than its profile, "" where it does not.
    `messages` are findings of the run itself: census, waivers, lint, a crashed worker.
    `proof_required`: unproven checks count (--require-proof).
    `ledger_head` is the hash of the ledger's last record. `canaries` are the planted secrets as
    they came out of each writer: redacted, or the run says so among its messages.
    """

    run: str
    expression: str
    target: str
    started: str
    finished: str
    verdict: str
    exit_code: int
    checks: tuple[CheckRecord, ...] = ()
    schema: str = SCHEMA
    partial: str = ""
    gate: str = ""
    proof_required: bool = False
    messages: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    ledger_head: str = ""
    canaries: tuple[str, ...] = ()
    counts: tuple[tuple[str, int], ...] = field(default=())

    def write(self, path: Path) -> None:
        """Write run.json whole or not at all; raises OSError (a full disk)."""
        data = {
            **vars(self),
            "checks": [check.data for check in self.checks],
            "counts": dict(self.counts),
        }
        partly = path.with_suffix(".part")
        partly.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", "utf-8")
        partly.replace(path)

    @classmethod
    def read(cls, path: Path) -> RunRecord:
        """The record in `path`; raises OSError, or ValueError where it is none of this schema."""
        data = json.loads(path.read_text("utf-8"))
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            raise ValueError(f"{path} is no record of schema {SCHEMA}")
        known = {name: _tuples(data[name]) for name in cls.__dataclass_fields__ if name in data}
        known["checks"] = tuple(CheckRecord.read(check) for check in data["checks"])
        known["counts"] = tuple(data.get("counts", {}).items())
        return cls(**known)

    @property
    def unproven(self) -> tuple[CheckRecord, ...]:
        """The checks that no drill has seen red as they are now, but for those that do not apply
        here."""
        applies = (c for c in self.checks if c.verdict != Verdict.NOT_APPLICABLE.value)
        return tuple(check for check in applies if not check.proven)


def instant(moment: datetime) -> str:
    """`moment` as ISO 8601 in UTC with milliseconds: 2026-02-18T09:00:12.345Z."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _tuples(value: Any) -> Any:
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value
