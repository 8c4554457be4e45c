"""A run of media-management with every verdict in it, and the Allure results of it."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import replace
from pathlib import Path

from watchkeeper.recording.history import counts
from watchkeeper.recording.run import CheckRecord, FindingRecord, RunRecord
from watchkeeper.verdicts import Verdict

AT = "2026-02-18T09:00:12.345Z"

HOSTILE = (
    '<img src=x onerror="window.pwned=1"><script>window.pwned=2</script>'
    "[click](javascript:window.pwned=3) <a href='javascript:window.pwned=4'>x</a>"
    "\x1b[31mred\x1b[0m \x1b]8;;http://evil.invalid\x07link\x1b]8;;\x07 "
    "</script><b>bold</b> \"'`${1} [bold red]rich[/]"
)


def finding(step: str, verdict: Verdict, sentence: str, source: str = "") -> FindingRecord:
    return FindingRecord(
        step=step,
        verdict=verdict.value,
        sentence=sentence,
        source=source,
        started=AT,
        duration_s=0.041,
        keyword="Then",
        parameters=(("success rate", "71.4 %"),),
    )


def check(
    ids: str,
    scenario: str,
    level: str,
    verdict: Verdict,
    found: FindingRecord | None,
    **more: str,
) -> CheckRecord:
    return CheckRecord(
        ids=tuple(ids.split()),
        scenario=scenario,
        system="media management",
        level=level,
        verdict=verdict.value,
        findings=(found,) if found else (),
        started=AT,
        duration_s=0.05,
        feature="Morning check of media management",
        rule="Every service answers",
        **{"row": "", "place": "features/media-management/daily.feature:12"} | more,
    )


def checks() -> tuple[CheckRecord, ...]:
    rate = "its success rate is at least 80%, where there were any"
    service = "its {} is up"
    return (
        check("MM-DAY-0", "The application answers", "P0", Verdict.PASSED,
              finding("its web page is up", Verdict.PASSED, "web page was up", "GET /")),
        check("MM-DAY-1", "Yesterday's requests were handled", "P2", Verdict.FAILED,
              finding(rate, Verdict.FAILED,
                      "success rate of media management was 71.4%, expected at least 80% "
                      "(SELECT … in store at 09:00:12Z, 41 ms)", "SELECT … in store"),
              advice="Read the failed requests first; if one service refuses them all, restart it.",
              runbook="seeds/media-management.md#check-system-health",
              last_seen_red="2026-02-11T09:00:00.000Z"),
        check("MM-DAY-4", "Each service answers", "P1", Verdict.FAILED,
              finding(service.format("Radarr"), Verdict.FAILED,
                      "Radarr of media management was down, expected up "
                      "(GET /api/v3/system/status: connection refused at 09:00:12Z, 2 ms)",
                      "GET /api/v3/system/status"),
              row="Radarr", advice="Restart Radarr, then requeue what failed.",
              runbook="https://wiki.example/media#services"),
        check("MM-DAY-4", "Each service answers", "P1", Verdict.PASSED,
              finding(service.format("Sonarr"), Verdict.PASSED, "Sonarr was up"), row="Sonarr"),
        check("MM-DAY-6", "Radarr has room for films", "P2", Verdict.BLOCKED,
              finding("its free space is above 10 GB", Verdict.BLOCKED,
                      "free space of Radarr could not be read, because Radarr was down",
                      "GET /api/v3/diskspace")),
        check("MM-DAY-4", "Each service answers", "P1", Verdict.UNKNOWN,
              finding(service.format("Lidarr"), Verdict.UNKNOWN,
                      "Lidarr of media management could not be seen: it answered 401, "
                      "so its key is wrong or has expired", "GET /api/v1/system/status"),
              row="Lidarr", advice="Renew LIDARR_API_KEY."),
        check("MM-DAY-3", "Few classifications are doubtful", "P4", Verdict.DEGRADED,
              finding("its number of doubtful classifications is below 5, at worst 10",
                      Verdict.DEGRADED,
                      "number of doubtful classifications was 7, expected below 5, at worst 10",
                      "SELECT … in store")),
        check("MM-MON-1", "Nothing has been pending for an hour", "P3", Verdict.WAIVED,
              finding("it has no stale requests", Verdict.FAILED, "there were 2 stale requests"),
              waiver="until 28 February, OPS-1234: the old processor is replaced (ada)"),
        check("MM-WK-2", "The restore was tried", "P2", Verdict.NOT_RUN, None),
        check("MM-WK-3", "A person looked at the dashboards", "P3", Verdict.UNSIGNED,
              finding("a person has signed this off within the last 7 days", Verdict.UNSIGNED,
                      "nobody has signed this off since 3 February")),
        check("MM-PRE-1", "The tree is clean", "P2", Verdict.NOT_APPLICABLE, None),
    )  # fmt: skip


def run(**changes: object) -> RunRecord:
    record = RunRecord(
        run="2026-02-18T09-00-00Z-1a2b",
        expression="daily",
        target="replica",
        started="2026-02-18T09:00:00.000Z",
        finished="2026-02-18T09:00:14.000Z",
        verdict="no-go",
        exit_code=1,
        checks=checks(),
        gate="P2",
        ledger_head="ab" * 32,
        messages=("the waiver of MM-OLD-1 was not used",),
    )
    record = replace(record, **changes)  # type: ignore[arg-type]
    return replace(record, counts=counts(record))


def hostile_run() -> RunRecord:
    """A run in which every text is an attack."""
    return run(
        checks=tuple(
            replace(
                each,
                scenario=HOSTILE,
                row=HOSTILE,
                system=HOSTILE,
                advice=HOSTILE,
                runbook="javascript:window.pwned=5",
                feature=HOSTILE,
                place=HOSTILE,
                findings=tuple(
                    replace(found, sentence=HOSTILE, source=HOSTILE, step=HOSTILE)
                    for found in each.findings
                ),
            )
            for each in checks()
        ),
        expression=HOSTILE,
        target=HOSTILE,
        messages=(HOSTILE,),
        partial=HOSTILE,
        gate=HOSTILE,
        missing=(HOSTILE,),
    )


def several() -> RunRecord:
    """Two systems that need attention, one that does not, and one that nobody heard of."""

    def of(system: str, folder: str, *verdicts: Verdict) -> list[CheckRecord]:
        node = f"features/{folder}/daily.feature::x"
        made = (check(f"X-{i}", "s", "P1", each, None) for i, each in enumerate(verdicts))
        return [replace(each, system=system, node=node) for each in made]

    good, bad, soso = Verdict.PASSED, Verdict.FAILED, Verdict.DEGRADED
    return run(
        checks=(
            *of("media management", "media-management", good, good),
            *of("routing platform", "routing-ml", good, bad, soso),
            *of("music", "melodee", soso),
        ),
        missing=("features/catalogai/daily.feature::y", "features/melodee/daily.feature::z"),
        messages=(),
    )


def many(number: int) -> RunRecord:
    """A run of `number` checks, every tenth as bad as one of the sample's."""
    samples = checks()
    made = (
        replace(samples[i // 10 % len(samples)] if i % 10 == 0 else samples[0], ids=(f"MM-X-{i}",))
        for i in range(number)
    )
    return run(checks=tuple(made))


_STATUS = {"failed": "failed", "unknown": "broken", "blocked": "broken"}
_SKIPPED = ("not run", "unsigned", "not applicable")


def allure_results(folder: Path, record: RunRecord) -> Path:
    """Write `folder`/allure-results as allure-pytest would."""
    results = folder / "allure-results"
    results.mkdir(parents=True, exist_ok=True)
    for each in record.checks:
        result = _result(each)
        path = results / f"{result['uuid']}-result.json"
        path.write_text(json.dumps(result), "utf-8")
    return results


def _result(each: CheckRecord) -> dict[str, object]:
    status = _STATUS.get(each.verdict, "skipped" if each.verdict in _SKIPPED else "passed")
    found = each.worst_finding
    name = f"{each.scenario} [{each.row}]" if each.row else each.scenario
    times = {"start": 1_771_405_212_345, "stop": 1_771_405_212_395}
    labels = {"epic": each.system, "feature": each.feature, "story": each.rule, "owner": "ops",
              "severity": "critical", "tag": "daily"}  # fmt: skip
    digest = hashlib.md5(f"{each.ids}{name}".encode(), usedforsecurity=False).hexdigest()
    return {
        "uuid": str(uuid.uuid4()),
        "name": name,
        "status": status,
        "statusDetails": {"message": found.sentence if found else "", "trace": HOSTILE},
        "description": each.rule,
        "steps": [
            {"name": "Given media management", "status": "passed", "steps": [], **times},
            *(
                {
                    "name": f"Then {one.step}",
                    "status": status,
                    "statusDetails": {"message": one.sentence},
                    "parameters": [{"name": a, "value": b} for a, b in one.parameters],
                    "steps": [],
                    **times,
                }
                for one in each.findings
            ),
        ],
        "labels": [{"name": label, "value": value} for label, value in labels.items()],
        "parameters": [{"name": "row", "value": each.row}],
        "links": [{"type": "link", "name": "runbook", "url": each.runbook}],
        "fullName": f"{each.place}::{name}",
        "historyId": digest,
        "testCaseId": digest,
        **times,
    }
