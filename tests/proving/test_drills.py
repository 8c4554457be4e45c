"""Are drills read strictly, turned truly, judged row by row, and remembered?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from tests.proving.projects import ROOT, run
from tests.stage import planned, system_in
from watchkeeper.errors import ConfigurationError
from watchkeeper.kinds import KINDS
from watchkeeper.plan import Scenario
from watchkeeper.proving.checks import Check, Standing
from watchkeeper.proving.drilling import Outcome, wrong_of
from watchkeeper.proving.drills import Drill, Drills, load_drills
from watchkeeper.proving.following import NotSo
from watchkeeper.proving.proof import proof_of, record
from watchkeeper.proving.replicas import Replica, start_replica
from watchkeeper.proving.stage import Stage
from watchkeeper.recording.evidence import Recorder
from watchkeeper.recording.ledger import Ledger
from watchkeeper.recording.proof import CheckProof, Proof, publish
from watchkeeper.recording.redaction import Redactor
from watchkeeper.target_file import load_systems
from watchkeeper.verdicts import Finding, Verdict

SYSTEM = "media management"
RADARR = Check("MM-DAY-4", "Radarr")
KNOWN = (Check("MM-DAY-1"), Check("MM-DAY-2"), RADARR, Check("MM-DAY-4", "Sonarr"))
DOWN = """\
system: media management
drills:
  - fault: radarr down
    red:
      MM-DAY-4, Radarr: {verdict: failed, says: was down}
    also: {blocked: [MM-DAY-2]}
"""


def load(folder: Path, text: str) -> Drills:
    path = folder / "drills.yml"
    path.write_text(text)
    return load_drills(path, SYSTEM, KNOWN)


def standing(verdict: Verdict, sentence: str = "", *, shared: bool = False) -> Standing:
    found = Finding("a step", verdict, sentence, "somewhere", datetime.now(UTC), 0.0)
    good = verdict is Verdict.PASSED
    if shared:
        return Standing(verdict, (), (found,), reached=False)
    return Standing(verdict, () if good else (found,))


def complaints(drill: Drill, **stand: Standing) -> list[str]:
    """What is wrong when the checks MM_DAY_1, MM_DAY_2 and Radarr stand so; all passed before."""
    checks = {"day_1": Check("MM-DAY-1"), "day_2": Check("MM-DAY-2"), "radarr": RADARR}
    before = dict.fromkeys(checks.values(), standing(Verdict.PASSED))
    return list(wrong_of(drill, before, {**before, **{checks[k]: v for k, v in stand.items()}}))


# ---- Reading --------------------------------------------------------------------------------


def test_a_drill_is_read(tmp_path: Path) -> None:
    """Fault, row, verdict and part of the sentence come out as they were written."""
    (drill,) = load(tmp_path, DOWN).drills
    assert drill.fault == "radarr down"
    assert [(str(e.check), e.verdict, e.says) for e in drill.red] == [
        ("MM-DAY-4, Radarr", Verdict.FAILED, "was down")
    ]
    assert drill.also == {Check("MM-DAY-2"): Verdict.BLOCKED}


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("MM-DAY-2", "MM-DAY-3", 6, 'did you mean "MM-DAY-2"?'),
        ("Radarr:", "Radar:", 5, 'has no row "Radar"; it has: Radarr, Sonarr'),
        ("MM-DAY-4, Radarr", "MM-DYA-4", 5, 'no scenario carries "MM-DYA-4"'),
        ("verdict: failed", "verdict: blocked", 5, "failed"),
        ("verdict: failed", "verdict: faild", 5, "failed"),
        ("says: was down", 'says: ""', 5, "says"),
        (", says: was down", "", 5, "says"),
        ("red:", "reds:", 4, 'unknown key "reds"'),
        ("blocked:", "blokced:", 6, "blocked"),
        ("[MM-DAY-2]", '["MM-DAY-4, Radarr"]', 6, "expected twice"),
        ("fault: radarr down", "about: nothing", 3, '"fault" or "each of"'),
        ("system: media management", "system: routing", 1, '"system" is not'),
        ("drills:", "drill:", 2, 'did you mean "drills"?'),
    ],
)
def test_a_mistake_is_refused(tmp_path: Path, old: str, new: str, line: int, said: str) -> None:
    """What does not exist is refused, with its line and what to write instead."""
    with pytest.raises(ConfigurationError) as refused:
        load(tmp_path, DOWN.replace(old, new, 1))
    assert said in str(refused.value)
    assert f"drills.yml:{line}:" in str(refused.value)


def test_chapters_say_on_their_own_what_a_fault_does(tmp_path: Path) -> None:
    """Several entries of one fault are one drill, which expects what all of them say."""
    more = "  - each of: [sonarr down, radarr down]\n    deadline: 2 seconds\n    may: [MM-DAY-1]\n"
    first, second = load(tmp_path, DOWN + more).drills
    assert (first.fault, second.fault) == ("radarr down", "sonarr down")
    assert first.named == {RADARR, Check("MM-DAY-1"), Check("MM-DAY-2")}
    assert (first.place.line, first.deadline_s) == (3, 2)


def test_a_check_is_expected_once_for_a_fault(tmp_path: Path) -> None:
    """A second entry about the same check is refused, with the line of the first."""
    more = "  - each of: [sonarr down, radarr down]\n    may: [MM-DAY-2]\n"
    with pytest.raises(ConfigurationError, match="drilled twice for MM-DAY-2") as refused:
        load(tmp_path, DOWN + more)
    assert "line 3" in str(refused.value)
    slow, quick = (f"  - fault: sonarr down\n    deadline: {n} seconds\n" for n in (2, 3))
    with pytest.raises(ConfigurationError, match="two deadlines"):
        load(tmp_path, DOWN + slow + quick)


@pytest.mark.parametrize(
    ("sentence", "refused"),
    [
        ("Then the report lists its failed orders", ""),
        ("Then it has no failed orders", '"T-A-1" judges a limit'),
        ("Then the report lists its orders\nAnd it has no failed orders", '"T-A-1" judges a limit'),
    ],
)
def test_unknown_proves_what_merely_reports(tmp_path: Path, sentence: str, refused: str) -> None:
    """Nothing but a failing question can redden a report; of a limit it proves nothing."""
    text = DOWN.replace("MM-DAY-4, Radarr: {verdict: failed", "T-A-1: {verdict: unknown")
    path = tmp_path / "drills.yml"
    path.write_text(text)
    drills = load_drills(path, SYSTEM, (*KNOWN, Check("T-A-1")))
    scenario = planned(system_in(tmp_path), sentence)
    assert isinstance(scenario, Scenario)
    if not refused:
        drills.check_owners([scenario])
        return
    with pytest.raises(ConfigurationError, match=refused):
        drills.check_owners([scenario])


def test_a_dial_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A dial that the replica does not have is refused with the nearest one."""
    with pytest.raises(ConfigurationError, match='did you mean "radar down"') as refused:
        load(tmp_path, DOWN).for_dials(["radar down", "lidarr hangs"])
    assert "drills.yml:3:" in str(refused.value)


def test_a_dial_without_a_drill_must_redden_nothing(tmp_path: Path) -> None:
    """Each dial that no drill names is turned, too, and every check must stay as it was."""
    drills = load(tmp_path, DOWN).for_dials(["radarr down", "mail down"])
    (neighbour,) = [drill for drill in drills.drills if drill.fault == "mail down"]
    assert not complaints(neighbour)
    assert complaints(neighbour, day_1=standing(Verdict.UNKNOWN, "could not be seen")) == [
        "MM-DAY-1 should have stayed passed; it became unknown: could not be seen"
    ]


# ---- Judging --------------------------------------------------------------------------------


@pytest.fixture
def down(tmp_path: Path) -> Drill:
    return load(tmp_path, DOWN).drills[0]


BLOCKED = standing(Verdict.BLOCKED, "is blocked")


def test_what_reddens_as_told_is_right(down: Drill) -> None:
    """The named verdict and sentence in the named row, and what is drawn along."""
    radarr = standing(Verdict.FAILED, "Radarr was down, expected up")
    assert not complaints(down, radarr=radarr, day_2=BLOCKED)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (standing(Verdict.PASSED), "it is passed"),
        (standing(Verdict.UNKNOWN, "was down"), "it is unknown"),
        (standing(Verdict.FAILED, "answered 401"), "it is failed: answered 401"),
        (standing(Verdict.FAILED, "was down", shared=True), "it is failed"),
    ],
)
def test_what_reddens_otherwise_is_no_proof(down: Drill, found: Standing, said: str) -> None:
    """Green, unknown, another sentence, or the sentence of another id: the complaint says which."""
    (complaint,) = complaints(down, radarr=found, day_2=BLOCKED)
    assert complaint.startswith('MM-DAY-4, Radarr should have become failed, saying "was down"')
    assert said in complaint


def test_a_neighbour_that_reddens_is_named(down: Drill) -> None:
    """A check that the fault is not about must stay as it was."""
    radarr = standing(Verdict.FAILED, "was down")
    found = complaints(down, radarr=radarr, day_2=BLOCKED, day_1=standing(Verdict.FAILED, "was 3%"))
    assert found == ["MM-DAY-1 should have stayed passed; it became failed: was 3%"]


def test_what_is_drawn_along_is_not_left_to_chance(down: Drill) -> None:
    """A check under "also" that stays green is a complaint as well."""
    found = complaints(down, radarr=standing(Verdict.FAILED, "was down"))
    assert found == ["MM-DAY-2 should have become blocked; it is passed"]


# ---- Turning --------------------------------------------------------------------------------


class Deaf:
    """A replica that says it turns a dial and does not."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    def turn(self, name: str, *, on: bool = True) -> None:
        """Nothing happens."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._replica, name)


@pytest.fixture(scope="module")
def replica() -> Iterator[Replica]:
    started = start_replica(ROOT, "media-management")
    yield started
    started.close()


def stage_of(replica: Replica, folder: Path) -> Stage:
    systems = {each.slug: each for each in load_systems(ROOT / "targets", KINDS).values()}
    ledger = Ledger.open(folder / "ledger.jsonl", Redactor())
    return Stage(systems["media-management"], (), replica, ledger, Redactor())


def test_a_dial_that_was_never_turned_counts_for_nothing(replica: Replica, tmp_path: Path) -> None:
    """The replica itself is asked whether the fault is on; where it is not, nothing is judged."""
    stage = stage_of(cast(Replica, Deaf(replica)), tmp_path)
    with pytest.raises(NotSo, match='was told "radarr down", and does not show it'):
        stage.run(("radarr down",), (), 0.5)


def test_after_a_drill_the_fault_is_gone(replica: Replica, tmp_path: Path) -> None:
    """The replica is put right after each fault, and asked whether it is."""
    stage_of(replica, tmp_path).run(("radarr down", "an error is logged"), (), 0.5)
    assert not replica.is_on("radarr down")
    assert not any(dial.on for dial in replica.dials())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--target", "production"), "is no replica"),
        (("--dial", "radar down"), 'did you mean "radarr down"?'),
        (("--plan",), "choose one"),
    ],
)
def test_what_cannot_be_drilled_is_refused(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    """Another target than the replica, a fault that is not there, and --plan: usage errors."""
    ran = run(["--drill", "-k", "Radarr", *arguments, "features/media-management"], ROOT, tmp_path)
    assert ran.exit_code == pytest.ExitCode.USAGE_ERROR, ran.told
    assert said in ran.told
    assert not (tmp_path / "proof.json").exists()


# ---- Remembering ----------------------------------------------------------------------------


def outcome(drill: Drill, **stand: Standing) -> Outcome:
    wrong = tuple(complaints(drill, **stand))
    proven = () if wrong else (RADARR,)
    reddened = {RADARR: stand["radarr"]}
    return Outcome(drill, proven, reddened, wrong, (), datetime.now(UTC), 0.5)


def test_a_proof_comes_back_as_it_was_written(down: Drill, tmp_path: Path) -> None:
    """proof.json holds drills, checks, what must redden and what did, and is read again."""
    red = outcome(down, radarr=standing(Verdict.FAILED, "it was down"), day_2=BLOCKED)
    proof = proof_of("run", [record(red, Recorder(Redactor()))], KNOWN, all_faults=True)
    proof.write(tmp_path / "proof.json")
    assert Proof.read(tmp_path / "proof.json") == proof
    assert [str(check) for check in proof.unproven] == ["MM-DAY-1", "MM-DAY-2", "MM-DAY-4, Sonarr"]
    (proven,) = [each for each in proof.checks if each.proven]
    assert (proven.id, proven.row, proven.faults) == ("MM-DAY-4", "Radarr", ("radarr down",))
    assert proven.last_seen_red


def test_the_latest_of_each_check_is_kept(down: Drill, tmp_path: Path) -> None:
    """Runs are merged check by check; the day on which one was last red stays known."""
    recorder = Recorder(Redactor())
    red = outcome(down, radarr=standing(Verdict.FAILED, "it was down"), day_2=BLOCKED)
    green = outcome(down, radarr=standing(Verdict.PASSED), day_2=BLOCKED)
    runs = [tmp_path / "1", tmp_path / "2"]
    for folder, found in zip(runs, (red, green), strict=True):
        folder.mkdir()
        proof = proof_of(folder.name, [record(found, recorder)], [RADARR], all_faults=True)
        merged = publish(proof, folder, tmp_path)
    (check,) = merged.checks
    assert not check.proven
    assert check.last_seen_red
    (drill,) = merged.drills
    assert not drill.ok
    assert Proof.read(runs[0] / "proof.json").checks[0].proven


def test_a_few_faults_say_nothing_of_other_checks(down: Drill) -> None:
    """Where only some faults were turned, only what they are about is proven or unproven."""
    red = outcome(down, radarr=standing(Verdict.FAILED, "it was down"), day_2=BLOCKED)
    proof = proof_of("run", [record(red, Recorder(Redactor()))], KNOWN, all_faults=False)
    assert [(each.id, each.row) for each in proof.checks] == [("MM-DAY-4", "Radarr")]


def test_a_broken_proof_is_replaced(tmp_path: Path) -> None:
    """What stands in reports/proof.json and can't be read does not stop a run from proving."""
    (tmp_path / "proof.json").write_text("{")
    folder = tmp_path / "run"
    folder.mkdir()
    proof = Proof("run", (), (CheckProof("MM-DAY-1", "", proven=False),))
    assert publish(proof, folder, tmp_path).checks == proof.checks
