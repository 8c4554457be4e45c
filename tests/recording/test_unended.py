"""A run that was killed is told of by the next one, however early it was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from watchkeeper.recording import unended
from watchkeeper.recording.history import runs
from watchkeeper.recording.ledger import Ledger
from watchkeeper.recording.run import RunRecord

STAMP = "2026-02-18T09-00-12Z"
DIES = """
import os, signal, sys
from pathlib import Path
from watchkeeper.recording import unended
unended.begin(Path(sys.argv[1]), drill=sys.argv[2] == "drill")
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(reports: Path, kind: str = "run") -> Path:
    """The folder of a run whose process marked it and was killed."""
    folder = reports / "runs" / STAMP
    folder.mkdir(parents=True)
    ended = subprocess.run([sys.executable, "-c", DIES, str(folder), kind], check=False)
    assert ended.returncode == -signal.SIGKILL
    return folder


def record(folder: Path) -> RunRecord:
    return RunRecord.read(folder / "run.json")


def test_a_run_killed_before_its_first_record_is_interrupted(tmp_path: Path) -> None:
    """It is told once, gets a record that claims nothing, and history can read it."""
    folder = killed(tmp_path)
    (told,) = unended.close_dead(tmp_path)
    assert told.startswith(f"the run {STAMP} never ended: its process is gone")
    found = record(folder)
    assert (found.verdict, found.exit_code, found.checks) == ("interrupted", 2, ())
    assert found.messages == (told,)
    assert unended.close_dead(tmp_path) == ()
    history = runs(tmp_path)
    assert [(run.run, run.verdict) for run in history.runs] == [(STAMP, "interrupted")]
    assert history.broken == ()


def test_what_its_ledger_had_is_kept(tmp_path: Path) -> None:
    """What was asked for and selected stands in the record, and which record was the last."""
    folder = killed(tmp_path)
    ledger = Ledger.open(folder / "ledger.jsonl")
    ledger.append("begin", expression="-m daily", target="live", allow="looking")
    ledger.append("selected", nodes=["a", "b"])
    os.write(ledger._descriptor, b'{"kind": "che')  # torn, as a kill leaves it
    unended.close_dead(tmp_path)
    found = record(folder)
    assert (found.expression, found.target, found.missing) == ("-m daily", "live", ("a", "b"))
    assert found.ledger_head == ledger.head


def test_a_killed_drill_is_told_and_gets_no_record(tmp_path: Path) -> None:
    """A drill run says nothing of how systems are, so it is no run in the history."""
    folder = killed(tmp_path, "drill")
    (told,) = unended.close_dead(tmp_path)
    assert told == f"the drill run {STAMP} never ended: its process is gone; it proved nothing"
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("left", [(), ("running.json.part",)])
def test_a_folder_without_a_mark_is_told_when_it_is_old(
    tmp_path: Path, left: tuple[str, ...]
) -> None:
    """Killed between making the folder and marking it; a young one may be about to be marked."""
    folder = tmp_path / "runs" / STAMP
    folder.mkdir(parents=True)
    for name in left:
        (folder / name).write_text("{")
    assert unended.close_dead(tmp_path) == ()
    before = time.time() - 2 * unended.YOUNG_S
    os.utime(folder, (before, before))
    assert len(unended.close_dead(tmp_path)) == 1
    assert record(folder).verdict == "interrupted"


def test_a_run_that_lives_is_left_alone(tmp_path: Path) -> None:
    """Its mark names this process."""
    folder = tmp_path / "runs" / STAMP
    folder.mkdir(parents=True)
    unended.begin(folder)
    assert unended.close_dead(tmp_path) == ()
    assert [each.name for each in folder.iterdir()] == ["running.json"]
