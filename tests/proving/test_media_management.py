"""Has every check of media management been seen red, and would a blunted one be found?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.proving.projects import ROOT, Ran, begin, copy_project, ended, run
from watchkeeper.verdicts import Verdict

FEATURES = "features/media-management"
IDS = {
    *(f"MM-PRE-{n}" for n in range(1, 5)),
    *(f"MM-DEP-{n}" for n in range(6)),
    *(f"MM-DAY-{n}" for n in range(1, 8)),
    "MM-TRB-5", "MM-BAK-1", "MM-SEC-2",
}  # fmt: skip
SAMPLE = ("radarr down", "success rate is low", "database is gone", "new requests are not stored")


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Every fault and every check, on two workers."""
    return run(["--drill", "-n", "2", FEATURES], ROOT, tmp_path_factory.mktemp("matrix"))


def test_every_check_has_been_seen_red(matrix: Ran) -> None:
    """Each id, row by row of an outline, was reddened by a fault, by its verdict and sentence."""
    checks = matrix.proof["checks"]
    assert {each["id"] for each in checks} >= IDS, matrix.told
    assert [(e["id"], e["row"]) for e in checks if e["id"] in IDS and not e["proven"]] == []


def test_every_fault_reddens_what_it_must_and_nothing_else(matrix: Ran) -> None:
    """No drill complains, and pytest ends with 0."""
    wrong = {d["fault"]: d["complaints"] for d in matrix.proof["drills"] if not d["ok"]}
    assert wrong == {}
    assert matrix.exit_code == 0, matrix.told


def test_the_matrix_is_whole(matrix: Ran) -> None:
    """Every dial of the replica was turned, and some are turned together."""
    faults = [drill["fault"] for drill in matrix.proof["drills"]]
    assert len(faults) == len(set(faults))
    assert {"radarr down", "mail is lost", "sonarr down and lidarr down"} <= set(faults)


# ---- The short path and the long one ----------------------------------------------------------


def of_the_drill(proof: Mapping[str, Any], fault: str, ids: list[str], row: str) -> str:
    """The verdict of a scenario, as the drill found it: the worst of its checks."""
    (drill,) = [each for each in proof["drills"] if each["fault"] == fault]
    found = [e["verdict"] for e in drill["reddened"] if e["id"] in ids and e["row"] == row]
    return max(found, key=lambda each: Verdict(each).badness, default="passed")


def test_a_whole_run_of_pytest_finds_the_same(tmp_path: Path) -> None:
    """The short path of a drill gives every check the verdict that a run with --dial gives it."""
    dials = [part for fault in SAMPLE for part in ("--dial", fault)]
    drilled = run(["--drill", *dials, FEATURES], ROOT, tmp_path / "drill")
    for number, fault in enumerate(SAMPLE):
        whole = run(["--dial", fault, FEATURES], ROOT, tmp_path / str(number))
        for check in whole.run["checks"]:
            short = of_the_drill(drilled.proof, fault, check["ids"], check["row"])
            assert short == check["verdict"], (fault, check["ids"], check["row"])


# ---- Blunted checks ---------------------------------------------------------------------------

DAILY, DEPLOYMENT, PREDEPLOYMENT = (
    f"{FEATURES}/{chapter}.feature" for chapter in ("daily", "deployment", "predeployment")
)
TARGET = "targets/media-management.yml"
MUTATIONS = [
    (DAILY, "at least 80%", "at least 70%", DAILY, "success rate is low", "MM-DAY-1"),
    (DAILY, "below 1 second", "below 3 seconds", DAILY, "classification is slow", "MM-TRB-5"),
    (DAILY, "below 26 hours", "below 96 hours", DAILY, "backup is stale", "MM-BAK-1"),
    (TARGET, "LIKE 'Failed%'", "LIKE 'Lost%'", DAILY, "a request failed today", "MM-DAY-2"),
    (TARGET, "{200: let in", "{200: refused", DEPLOYMENT, "the api answers without a login",
     "MM-SEC-2"),
    (PREDEPLOYMENT, "        | arr_id              | TEXT |\n", "", PREDEPLOYMENT,
     "a column is missing", "MM-PRE-4"),
]  # fmt: skip


def test_a_blunted_check_is_found_and_named(tmp_path: Path) -> None:
    """Loosen a limit, swap a field, drop a row: the drill fails and names the check."""
    started = []
    for number, (path, old, new, feature, fault, check) in enumerate(MUTATIONS):
        root = copy_project(tmp_path / str(number))
        text = (root / path).read_text("utf-8")
        assert old in text, old
        (root / path).write_text(text.replace(old, new), "utf-8")
        reports = root / "reports"
        process = begin(["--drill", "--dial", fault, feature], root, reports)
        started.append((process, reports, check))
    for process, reports, check in started:
        ran = ended(process, reports)
        assert ran.exit_code == 1, ran.told
        assert f"{check} should have become failed" in ran.told


def test_nothing_is_left_behind(matrix: Ran) -> None:
    """The run's folder holds its ledgers and its proof; the replicas are gone."""
    (folder,) = (matrix.reports / "runs").iterdir()
    assert {path.name for path in folder.iterdir()} == {
        "ledger-gw0.jsonl", "ledger-gw1.jsonl", "proof.json",
    }  # fmt: skip
