"""The history: what the last runs left, quickly, and whatever state it is in."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

from watchkeeper.recording import history
from watchkeeper.recording.proof import CheckProof, Proof
from watchkeeper.recording.run import CheckRecord, RunRecord


def check(number: int, verdict: str, row: str = "") -> CheckRecord:
    return CheckRecord(
        ids=(f"X-{number}",),
        scenario=f"Check {number}",
        row=row,
        system="s",
        level="P1",
        verdict=verdict,
        findings=(),
        started="2026-02-01T00:00:00.000Z",
        duration_s=0.1,
    )


def put(reports: Path, day: int, *checks: CheckRecord, target: str = "replica") -> RunRecord:
    """Write the run of a day in February."""
    at = f"2026-02-{day:02}T09:00:00.000Z"
    dated = tuple(replace(each, started=at) for each in checks)
    run = RunRecord(f"run-{day}", "daily", target, at, at, "go", 0, dated)
    folder = reports / "runs" / f"2026-02-{day:02}T09-00-00Z"
    folder.mkdir(parents=True, exist_ok=True)
    run.write(folder / "run.json")
    return run


def test_verdicts_and_streaks_are_told_per_check_and_row(tmp_path: Path) -> None:
    """Rows of one outline have histories of their own, and a streak ends with its verdict."""
    put(tmp_path, 1, check(1, "failed", "a"), check(1, "passed", "b"))
    put(tmp_path, 2, check(1, "passed", "a"), check(1, "failed", "b"))
    put(tmp_path, 3, check(1, "passed", "a"), check(1, "failed", "b"))
    known = history.runs(tmp_path)
    assert [verdict for _, verdict in known.verdicts("X-1 [a]")] == ["passed", "passed", "failed"]
    assert known.since("X-1 [a]", "passed") == "2026-02-02T09:00:00.000Z"
    assert known.since("X-1 [a]", "failed") == ""
    assert known.red == {
        "X-1 [a]": "2026-02-01T09:00:00.000Z",
        "X-1 [b]": "2026-02-03T09:00:00.000Z",
    }
    assert known.runs[0].counts == (("failed", 1), ("passed", 1))


def test_broken_runs_are_named_and_do_not_hide_the_others(tmp_path: Path) -> None:
    """A cut-off, a foreign and a missing run.json are told by folder."""
    put(tmp_path, 1, check(1, "passed"))
    for day, content in ((2, '{"schema"'), (3, '{"schema": "other"}'), (4, "[]"), (5, None)):
        folder = tmp_path / "runs" / f"2026-02-{day:02}"
        folder.mkdir()
        if content is not None:
            (folder / "run.json").write_text(content)
    known = history.runs(tmp_path)
    assert len(known.runs) == 1
    assert [each.split(":")[0][-2:] for each in known.broken] == ["05", "04", "03", "02"]
    assert "no run.json" in known.broken[0]


def test_the_index_is_only_a_short_cut(tmp_path: Path) -> None:
    """Deleted, broken or older than a run.json, it changes nothing in what is told."""
    for day in range(1, 5):
        put(tmp_path, day, check(1, "failed" if day % 2 else "passed"))
    first = history.runs(tmp_path)
    assert history.runs(tmp_path) == first
    index = tmp_path / history.INDEX
    for content in ("", "[]", "{}", '{"schema": "watchkeeper/history/2", "runs": [], "red": 3}'):
        index.write_text(content)
        assert history.runs(tmp_path) == first
    index.unlink()
    assert history.runs(tmp_path) == first
    put(tmp_path, 4, check(1, "failed"), check(2, "passed"))
    assert history.runs(tmp_path).runs[0].counts == (("failed", 1), ("passed", 1))


def test_the_last_red_outlives_the_runs_that_count(tmp_path: Path) -> None:
    """A check that was red 20 runs ago is still known to have been."""
    put(tmp_path, 1, check(1, "failed"))
    history.runs(tmp_path, last=5)
    for day in range(2, 20):
        put(tmp_path, day, check(1, "passed"))
    known = history.runs(tmp_path, last=5)
    assert len(known.runs) == 5
    assert known.red["X-1"] == "2026-02-01T09:00:00.000Z"
    assert known.older[0] == "2026-02-14T09-00-00Z"


def test_before_leaves_out_the_run_itself_and_other_targets(tmp_path: Path) -> None:
    """A run is compared with earlier ones of its own target."""
    put(tmp_path, 1, check(1, "passed"), target="production")
    put(tmp_path, 2, check(1, "passed"))
    now = put(tmp_path, 3, check(1, "failed"))
    put(tmp_path, 4, check(1, "failed"))
    assert [run.run for run in history.runs(tmp_path).before(now).runs] == ["run-2"]


def test_no_reports_folder_is_no_history(tmp_path: Path) -> None:
    """The first run of all has no past."""
    assert history.runs(tmp_path / "none") == history.History()


def test_thirty_runs_of_a_thousand_checks_are_read_quickly(tmp_path: Path) -> None:
    """With the index it takes a fraction of a second."""
    checks = tuple(check(number, "passed") for number in range(1000))
    for day in range(1, 31):
        put(tmp_path, day, *checks)
    history.runs(tmp_path)
    began = time.process_time()
    assert len(history.runs(tmp_path).runs) == 30
    took = time.process_time() - began
    assert took < 0.5
    assert json.loads((tmp_path / history.INDEX).read_text())["schema"] == history.SCHEMA


def test_drill_runs_are_no_runs(tmp_path: Path) -> None:
    """They take no place among the last runs, and no check's verdict or day comes from them."""
    for day in (1, 3):
        put(tmp_path, day, check(1, "passed"))
    for day in (2, 4, 5):
        folder = tmp_path / "runs" / f"2026-02-{day:02}T09-00-00Z"
        folder.mkdir()
        proven = CheckProof("X-1", "", proven=True, last_seen_red="2026-02-05T09:00:00.000Z")
        Proof(folder.name, (), (proven,)).write(folder / "proof.json")
    for _ in range(2):  # the second time from the index
        known = history.runs(tmp_path, last=2)
        assert [each.run for each in known.runs] == ["run-3", "run-1"]
        assert [each.folder[:10] for each in known.drills] == [
            "2026-02-05", "2026-02-04", "2026-02-02"
        ]  # fmt: skip
        assert (known.broken, known.red, known.older) == ((), {}, ())
