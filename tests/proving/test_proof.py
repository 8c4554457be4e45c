"""Does a proof hold for what was proven, and for nothing else?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.proving.projects import Ran, run
from tests.proving.shop import change, shop
from watchkeeper.proving.checks import Check
from watchkeeper.proving.proof import proof_of
from watchkeeper.recording.proof import (
    CHANGED,
    NEVER,
    CheckProof,
    DrillRecord,
    Known,
    MustRedden,
    Proof,
)
from watchkeeper.recording.run import CheckRecord

MAY, JUNE = "2026-05-01T00:00:00.000Z", "2026-06-01T00:00:00.000Z"
PROVEN = CheckProof("MM-A-1", "", proven=True, faults=("radarr down",), last_seen_red=MAY,
                    red_by="radarr down", fingerprint="as it is")  # fmt: skip


def check(*ids: str, verdict: str = "passed", fingerprint: str = "as it is") -> CheckRecord:
    return CheckRecord(ids, "A check", "", "shop", "P1", verdict, (), JUNE, 0.1,
                       fingerprint=fingerprint)  # fmt: skip


def known(*proofs: CheckProof) -> Known:
    return Known({each.key: each for each in proofs})


# ---- What is told of a check ------------------------------------------------------------------


def test_a_proven_check_says_when_and_by_which_fault() -> None:
    """Last seen red is the drill's day, and the fault has a name."""
    told = known(PROVEN).told_of(check("MM-A-1"), "")
    assert (told.proven, told.unproven) == (True, "")
    assert (told.last_seen_red, told.red_by) == (MAY, "radarr down")


@pytest.mark.parametrize(
    ("verdict", "failed_before", "red"),
    [("passed", "2026-05-02T00:00:00.000Z", "2026-05-02T00:00:00.000Z"), ("failed", "", JUNE)],
)
def test_a_later_real_failure_has_no_fault(verdict: str, failed_before: str, red: str) -> None:
    """What a real run saw red after the drill counts as last seen, by nothing that was turned."""
    told = known(PROVEN).told_of(check("MM-A-1", verdict=verdict), failed_before)
    assert (told.last_seen_red, told.red_by) == (red, "")


def test_an_earlier_real_failure_is_not_the_last() -> None:
    """The later of the two counts."""
    told = known(PROVEN).told_of(check("MM-A-1"), "2026-04-30T00:00:00.000Z")
    assert (told.last_seen_red, told.red_by) == (MAY, "radarr down")


def test_a_real_failure_proves_nothing() -> None:
    """Only a drill proves: it alone says which fault it was and that nothing else reddened."""
    told = Known().told_of(check("MM-A-1", verdict="failed"), "")
    assert (told.proven, told.unproven, told.last_seen_red) == (False, NEVER, JUNE)


def test_a_check_that_changed_is_unproven_again() -> None:
    """Another fingerprint than the drill saw: unproven, though it was red once."""
    told = known(PROVEN).told_of(check("MM-A-1", fingerprint="edited"), "")
    assert (told.proven, told.unproven, told.last_seen_red) == (False, CHANGED, MAY)


def test_every_id_of_a_scenario_has_to_be_proven() -> None:
    """Of several ids the unproven ones are named."""
    two = known(PROVEN, replace(PROVEN, id="MM-A-2", proven=False))
    told = two.told_of(check("MM-A-1", "MM-A-2", "MM-A-3"), "")
    assert (told.proven, told.unproven) == (False, f"MM-A-2, MM-A-3: {NEVER}")


# ---- Reading proof.json -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"schema": "watchkeeper/proof/2", "run": "r", "checks": []}',
        b'{"run": "r", "checks": 3}',
        b'{"run": "r", "checks": [{"id": "MM-A-1"}]}',
        b'{"run": "r", "checks": [{"id": "MM-A-1", "row": "", "proven": "yes"}]}',
        b'{"run": "r", "checks": [{"id": "A", "row": "", "proven": true, "last_seen_red": 3}]}',
        b'{"run": "r", "drills": [{"fault": null}]}',
    ],
)
def test_a_broken_proof_proves_nothing_and_is_said(tmp_path: Path, content: bytes) -> None:
    """Cut off, of another schema, with wrong types: a sentence in one line, and no proof."""
    (tmp_path / "proof.json").write_bytes(content)
    found = Known.of(tmp_path)
    assert found.checks == {}
    assert "proof.json" in found.problem
    assert "nothing counts as proven" in found.problem
    assert "\n" not in found.problem


def test_a_missing_or_unreadable_proof_is_said(tmp_path: Path) -> None:
    """No file, and a folder in its place."""
    assert "there is no" in Known.of(tmp_path).problem
    (tmp_path / "proof.json").mkdir()
    assert "nothing counts as proven" in Known.of(tmp_path).problem


def test_a_whole_proof_is_known(tmp_path: Path) -> None:
    """What was written is what is known."""
    Proof("run", (), (PROVEN,)).write(tmp_path / "proof.json")
    assert Known.of(tmp_path) == known(PROVEN)


# ---- Merging ----------------------------------------------------------------------------------


def drill(fault: str, red: bool) -> DrillRecord:
    key = ("MM-A-1", "")
    must = (MustRedden(*key, "failed", "was down"),)
    return DrillRecord("shop", fault, must, (), red, (key,) if red else (), started=JUNE)


def ran(*drills: DrillRecord, whole: bool, fingerprint: str = "as it is") -> Proof:
    proof = proof_of("run", drills, [Check("MM-A-1")], all_faults=whole)
    return replace(
        proof, checks=tuple(replace(each, fingerprint=fingerprint) for each in proof.checks)
    )


def test_a_few_faults_leave_the_proof_by_others() -> None:
    """One fault that no longer reddens takes its own proof away, and not that of another."""
    both = ran(drill("one", True), drill("two", True), whole=True)
    (merged,) = ran(drill("one", False), whole=False).merged_into(both).checks
    assert (merged.proven, merged.faults) == (True, ("two",))
    (merged,) = ran(drill("one", False), whole=True).merged_into(both).checks
    assert (merged.proven, merged.faults) == (False, ())
    assert merged.last_seen_red == JUNE


def test_a_few_faults_do_not_revive_the_proof_of_a_changed_check() -> None:
    """Faults that reddened the check as it was before say nothing of what it is now."""
    before = ran(drill("one", True), drill("two", True), whole=True, fingerprint="before")
    (merged,) = ran(drill("one", True), whole=False).merged_into(before).checks
    assert (merged.proven, merged.faults) == (True, ("one",))
    (merged,) = ran(drill("one", False), whole=False).merged_into(before).checks
    assert not merged.proven


# ---- From end to end --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drilled(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The shop, all faults turned."""
    root = shop(tmp_path_factory.mktemp("shop"))
    return run(["--drill", "--report=html"], root, root / "reports")


@pytest.fixture
def proven(drilled: Ran, tmp_path: Path) -> Path:
    """The shop with its proof, for a test to change."""
    root = shop(tmp_path)
    (root / "reports").mkdir()
    (root / "reports" / "proof.json").write_bytes((drilled.reports / "proof.json").read_bytes())
    return root


def daily(root: Path, *more: str, reports: str = "reports") -> Ran:
    return run(["-m", "daily", "--require-proof", *more], root, root / reports)


def why(ended: Ran) -> dict[str, str]:
    return {", ".join((*e["ids"], e["row"])): e["unproven"] for e in ended.run["checks"]}


def test_a_drill_run_proves_and_reports(drilled: Ran) -> None:
    """Exit 0, every row proven, a report of its own, listed as a drill and not as a run."""
    assert drilled.exit_code == 0, drilled.told
    assert "3 of 3 checks proven, 3 of 3 drills as told" in drilled.told
    (folder,) = (drilled.reports / "runs").iterdir()
    assert "3 of 3 checks proven" in (folder / "report.html").read_text()
    index = (drilled.reports / "index.html").read_text()
    assert "<h2>Drills</h2>" in index
    assert f"runs/{folder.name}/report.html" in index
    assert "Not readable" not in index
    assert "There is no report yet" in (drilled.reports / "latest.html").read_text()
    assert not (folder / "running.json").exists()


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_a_drill_plants_a_secret_in_every_writer(tmp_path: Path, workers: Sequence[str]) -> None:
    """It went into ledgers, proof.json and report, and came out redacted: the run says so."""
    root = shop(tmp_path)
    ended = run(["--drill", "--report=html", *workers], root, root / "reports")
    assert ended.exit_code == 0, ended.told
    (folder,) = (ended.reports / "runs").iterdir()
    assert ended.proof["canaries"] == [
        f"canary ‹redacted› of {writer}" for writer in ("proof.json", "report")
    ]
    assert "canary ‹redacted› of report" in (folder / "report.html").read_text()
    ledgers = list(folder.glob("ledger*.jsonl"))
    assert len(ledgers) == (2 if workers else 1)
    for path in ledgers:
        said = [json.loads(line) for line in path.read_text().splitlines()]
        planted = [each["data"]["text"] for each in said if each["kind"] == "canary"]
        assert planted == ["canary ‹redacted› of ledger"]


LEAK = """
from watchkeeper.recording.redaction import Redactor
Redactor.{entrance} = lambda self, data: data
"""


@pytest.mark.parametrize(
    ("entrance", "where"),
    [("value", "ledger.jsonl"), ("text", "ledger.jsonl, proof.json, proof.json, report.html")],
)
def test_a_drill_that_lets_secrets_through_fails(tmp_path: Path, entrance: str, where: str) -> None:
    """The planted secret is found wherever it came through, and the exit status is 3."""
    root = shop(tmp_path)
    with (root / "conftest.py").open("a") as conftest:
        conftest.write(LEAK.format(entrance=entrance))
    ended = run(["--drill", "--report=html"], root, root / "reports")
    assert ended.exit_code == 3, ended.told
    assert f"came through into {where}" in " ".join(ended.told.split())


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_what_is_proven_is_go_and_says_so(proven: Path, workers: Sequence[str]) -> None:
    """--require-proof lets a proven run be go, also on workers; run.json says by which fault."""
    ended = daily(proven, *workers)
    assert ended.exit_code == 0, ended.told
    assert "unproven" not in ended.told
    assert ended.run["proof_required"] is True
    by = {(e["ids"][0], e["row"]): e["red_by"] for e in ended.run["checks"]}
    assert by[("SH-B-1", "large")] == "large orders wait"
    assert all(e["proven"] and e["last_seen_red"] for e in ended.run["checks"])


FEATURE, TARGET = "features/shop/shop.feature", "targets/shop.yml"
LIMIT = (FEATURE, "below 5", "below 6")
WORD = (FEATURE, "mood is calm", "mood is not busy")
QUERY = (TARGET, "SELECT small FROM", "SELECT small + 0 FROM")
VALUES = (TARGET, "[calm, busy]", "[calm, busy, closed]")
NAME = (FEATURE, "The shop is calm", "All is calm")
LEVEL = (FEATURE, "@P3", "@P2")
ABOUT = (TARGET, "[calm, busy]}", "[calm, busy], about: how it feels}")


@pytest.mark.parametrize(
    ("edits", "changed"),
    [
        ((WORD, QUERY), {"SH-A-1, ", "SH-B-1, small"}),
        ((VALUES, LIMIT), {"SH-A-1, ", "SH-B-1, small", "SH-B-1, large"}),
        ((NAME, LEVEL, ABOUT), set()),
    ],
)
def test_an_edited_check_is_unproven(
    proven: Path, edits: Sequence[tuple[str, str, str]], changed: set[str]
) -> None:
    """A limit, a query, the words of a figure change a check; its name and level do not."""
    for file, old, new in edits:
        change(proven / file, old, new)
    ended = daily(proven)
    assert {check for check, reason in why(ended).items() if reason == CHANGED} == changed
    assert ended.exit_code == (11 if changed else 0), ended.told


def test_unproven_ones_count_only_where_that_is_asked_and_at_their_level(proven: Path) -> None:
    """Without the option they are told; below the gate they do not count; a failure comes first."""
    change(proven / "features/shop/shop.feature", "below 5", "below 6")
    plain = run(["-m", "daily"], proven, proven / "reports")
    assert plain.exit_code == 0
    assert "2 checks are unproven: SH-B-1, small; SH-B-1, large; run" in plain.told
    gated = daily(proven, "--gate", "P2", reports="gated")
    assert gated.exit_code == 11  # reports/gated has no proof.json: SH-A-1 is unproven too
    assert "there is no gated/proof.json" in gated.told
    (proven / "again").mkdir()
    (proven / "again/proof.json").write_bytes((proven / "reports/proof.json").read_bytes())
    assert daily(proven, "--gate", "P2", reports="again").exit_code == 0
    failed = daily(proven, "--dial", "a rush", reports="failed")
    assert (failed.exit_code, failed.run["verdict"]) == (1, "no-go")


def test_a_broken_proof_does_not_break_a_run(proven: Path) -> None:
    """It is said, everything is unproven, and there is no traceback."""
    (proven / "reports/proof.json").write_text("{")
    ended = daily(proven)
    assert ended.exit_code == 11
    assert any("nothing counts as proven" in each for each in ended.run["messages"])
    assert set(why(ended).values()) == {NEVER}
    assert "Traceback" not in ended.told


def test_an_unproven_check_fails_the_drill(tmp_path: Path) -> None:
    """Every drill is as told, and one check is reddened by none of them: exit 1."""
    root = shop(tmp_path)
    wait = "    red:\n      SH-B-1, large: {verdict: failed, says: was 9}\n"
    change(root / "fixtures/drills/shop.yml", wait, '    may: ["SH-B-1, large"]\n')
    ended = run(["--drill"], root, root / "reports")
    assert ended.exit_code == 1, ended.told
    assert "2 of 3 checks proven, 3 of 3 drills as told" in ended.told
    assert "unproven: SH-B-1, large: no drill says" in ended.told


def test_a_drill_that_breaks_is_told(tmp_path: Path) -> None:
    """A replica that dies under a fault: the drill is not as told, and the run ends with 1."""
    root = shop(tmp_path)
    dies = 'column, value = DIALS[self.name()]\n            if column == "large":'
    change(
        root / "fixtures/replicas/shop/__main__.py",
        "            column, value = DIALS[self.name()]\n",
        f"            {dies}\n                import os; os._exit(1)\n",
    )
    ended = run(["--drill"], root, root / "reports")
    assert ended.exit_code == 1, ended.told
    assert "large orders wait: it could not be drilled" in ended.told
    assert "large orders wait" in {each["fault"] for each in ended.proof["drills"]}


def test_fingerprints_do_not_depend_on_the_process(proven: Path, drilled: Ran) -> None:
    """Two processes with other hash seeds see the same check; it holds no address of memory."""
    before = {(e["id"], e["row"]): e["fingerprint"] for e in drilled.proof["checks"]}
    for seed in ("1", "2"):
        reports = proven / seed
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "--report=results", f"--reports={reports}"],
            cwd=proven,
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        (path,) = reports.glob("runs/*/run.json")
        checks = json.loads(path.read_text())["checks"]
        assert {(e["ids"][0], e["row"]): e["fingerprint"] for e in checks} == before
