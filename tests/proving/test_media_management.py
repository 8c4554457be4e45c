"""Has every check of media management been seen red, and would a blunted one be found?

The whole matrix, every fault against every check, is `make drill`. Here a part of it is run: for
each check the first fault that the drills say must redden it. That is chosen from the file, not by
chance, so that each run of the tests turns the same dials.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.proving.projects import ROOT, Ran, begin, copy_project, ended, run
from watchkeeper.proving.checks import Check
from watchkeeper.proving.drills import drills_path, load_drills
from watchkeeper.pytest_plugin.drilling import known_checks
from watchkeeper.verdicts import Verdict

FEATURES = "features/media-management"
DAILY, DEPLOYMENT, PREDEPLOYMENT = (
    f"{FEATURES}/{chapter}.feature" for chapter in ("daily", "deployment", "predeployment")
)
IN_REAL_TIME = (DAILY, DEPLOYMENT, PREDEPLOYMENT)  # chapters that do not wait for minutes
SAMPLE = ("radarr down", "success rate is low", "database is gone", "new requests are not stored")

CHECKS = frozenset(known_checks(ROOT / FEATURES))
DRILLS = load_drills(drills_path(ROOT, "media-management"), "media management", CHECKS)


def first_faults() -> Mapping[Check, str]:
    """Of each check the first fault that must redden it."""
    first: dict[Check, str] = {}
    for drill in DRILLS.drills:
        for each in drill.red:
            first.setdefault(each.check, drill.fault)
    return first


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Each check's first fault against every check, on two workers."""
    faults = dict.fromkeys(first_faults().values())
    dials = [part for fault in faults for part in ("--dial", fault)]
    reports = tmp_path_factory.mktemp("matrix")
    return run(["--drill", "-n", "2", *dials, FEATURES], ROOT, reports)


def test_every_check_has_a_fault_that_must_redden_it() -> None:
    """Each id, row by row of an outline, is named by a drill."""
    assert sorted(CHECKS - first_faults().keys()) == []


def test_every_check_has_been_seen_red(matrix: Ran) -> None:
    """By its first fault, its verdict and its sentence."""
    proven = {Check(e["id"], e["row"]) for e in matrix.proof["checks"] if e["proven"]}
    assert sorted(first_faults().keys() - proven) == [], matrix.told


def test_every_fault_reddens_what_it_must_and_nothing_else(matrix: Ran) -> None:
    """No drill complains, and pytest ends with 0."""
    wrong = {d["fault"]: d["complaints"] for d in matrix.proof["drills"] if not d["ok"]}
    assert wrong == {}
    assert matrix.exit_code == 0, matrix.told


# ---- The short path and the long one ----------------------------------------------------------


def of_the_drill(proof: Mapping[str, Any], fault: str, ids: list[str], row: str) -> str:
    """The verdict of a scenario, as the drill found it: the worst of its checks."""
    (drill,) = [each for each in proof["drills"] if each["fault"] == fault]
    found = [e["verdict"] for e in drill["reddened"] if e["id"] in ids and e["row"] == row]
    return max(found, key=lambda each: Verdict(each).badness, default="passed")


def test_a_whole_run_of_pytest_finds_the_same(tmp_path: Path) -> None:
    """The short path of a drill gives every check the verdict that a run with --dial gives it."""
    dials = [part for fault in SAMPLE for part in ("--dial", fault)]
    drilled = run(["--drill", *dials, *IN_REAL_TIME], ROOT, tmp_path / "drill")
    for number, fault in enumerate(SAMPLE):
        whole = run(["--dial", fault, *IN_REAL_TIME], ROOT, tmp_path / str(number))
        for check in whole.run["checks"]:
            short = of_the_drill(drilled.proof, fault, check["ids"], check["row"])
            assert short == check["verdict"], (fault, check["ids"], check["row"])


# ---- Blunted checks ---------------------------------------------------------------------------

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
