"""The ledger: what was written can't be changed unseen, and a killed run loses a line at most."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.errors import ConfigurationError
from watchkeeper.recording.ledger import Ledger, verify
from watchkeeper.recording.redaction import Redactor

RECORDS = 6


def written(path: Path, records: int = RECORDS) -> str:
    """Write a closed ledger of `records` and the end; gives its head."""
    with Ledger.open(path) as ledger:
        for number in range(records):
            ledger.append("about to", operation="restarts Radarr", number=number, share=0.5)
    return ledger.head


@given(st.data())
def test_any_single_change_is_found(data: st.DataObject) -> None:
    """Each byte edited, line removed, swapped, doubled, and each truncation gives a problem."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.jsonl"
        head = written(path)
        whole = path.read_bytes()
        changed = data.draw(st.sampled_from((edited, removed, swapped, doubled, cut)))(data, whole)
        path.write_bytes(changed)
        found = verify(path, head)
        assert found
        assert all(str(problem) for problem in found)


def edited(data: st.DataObject, whole: bytes) -> bytes:
    place = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[place]))
    return whole[:place] + bytes([other]) + whole[place + 1 :]


def removed(data: st.DataObject, whole: bytes) -> bytes:
    lines = whole.splitlines(keepends=True)
    del lines[data.draw(st.integers(0, RECORDS))]
    return b"".join(lines)


def swapped(data: st.DataObject, whole: bytes) -> bytes:
    lines = whole.splitlines(keepends=True)
    a = data.draw(st.integers(0, RECORDS))
    b = data.draw(st.integers(0, RECORDS).filter(lambda other: other != a))
    lines[a], lines[b] = lines[b], lines[a]
    return b"".join(lines)


def doubled(data: st.DataObject, whole: bytes) -> bytes:
    lines = whole.splitlines(keepends=True)
    line = lines[data.draw(st.integers(0, RECORDS))]
    lines.insert(data.draw(st.integers(0, RECORDS + 1)), line)
    return b"".join(lines)


def cut(data: st.DataObject, whole: bytes) -> bytes:
    return whole[: data.draw(st.integers(0, len(whole) - 1))]


def test_a_whole_ledger_has_no_problems(tmp_path: Path) -> None:
    """What we wrote ourselves is believed."""
    head = written(tmp_path / "l")
    assert verify(tmp_path / "l") == ()
    assert verify(tmp_path / "l", head) == ()


def test_an_edit_is_named_by_its_line(tmp_path: Path) -> None:
    """The problem says which line, and no other line is blamed."""
    path = tmp_path / "l"
    written(path)
    path.write_text(path.read_text().replace('"number":3', '"number":4'))
    (problem,) = verify(path)
    assert (problem.line, problem.kind) == (4, "touched")
    assert "edited" in str(problem)


def test_a_rewritten_chain_is_found_by_its_head(tmp_path: Path) -> None:
    """Whoever forges the whole file does not know the head that run.json holds."""
    head = written(tmp_path / "real")
    written(tmp_path / "forged", RECORDS - 1)
    assert verify(tmp_path / "forged") == ()
    (problem,) = verify(tmp_path / "forged", head)
    assert "rewritten" in problem.text


def test_an_interrupted_ledger_is_not_closed_and_not_touched(tmp_path: Path) -> None:
    """Without its end record a ledger is called interrupted."""
    path = tmp_path / "l"
    ledger = Ledger.open(path)
    ledger.append("began")
    (problem,) = verify(path)
    assert problem.kind == "not closed"
    ledger.close()


def test_a_head_remembered_on_the_way_fits_an_interrupted_ledger(tmp_path: Path) -> None:
    """run.json of a killed run holds an earlier head: that is no sign of touching."""
    ledger = Ledger.open(tmp_path / "l")
    head = ledger.append("began").hash
    ledger.append("about to")
    assert [problem.kind for problem in verify(tmp_path / "l", head)] == ["not closed"]
    ledger.close()
    assert "inserted" in str(verify(tmp_path / "l", head)[0])


def test_a_torn_last_line_is_called_torn(tmp_path: Path) -> None:
    """Half a line at the end is the mark of a kill, and is said so."""
    path = tmp_path / "l"
    written(path)
    path.write_bytes(path.read_bytes()[:-20])
    (problem,) = verify(path)
    assert (problem.kind, problem.line) == ("torn", RECORDS + 1)


def test_a_missing_ledger_is_a_problem(tmp_path: Path) -> None:
    """No file is not a whole ledger."""
    (problem,) = verify(tmp_path / "none")
    assert problem.kind == "unreadable"


def test_a_killed_writer_leaves_whole_lines(tmp_path: Path) -> None:
    """SIGKILL in mid-work loses or tears the last line at most."""
    path = tmp_path / "l"
    script = (
        "import sys, pathlib; from watchkeeper.recording.ledger import Ledger\n"
        "ledger = Ledger.open(pathlib.Path(sys.argv[1]))\n"
        "while True: ledger.append('about to', text='x' * 500)"
    )
    child = subprocess.Popen([sys.executable, "-c", script, str(path)])
    while not path.exists() or path.stat().st_size < 50_000:
        assert child.poll() is None
    child.send_signal(signal.SIGKILL)
    child.wait()
    (problem,) = verify(path)
    assert problem.kind in ("not closed", "torn")


def test_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    """A write that the disk takes in part is taken back, and raises."""
    path = tmp_path / "l"
    ledger = Ledger.open(path)
    ledger.append("began")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 50, before[1]))
    try:
        with pytest.raises(OSError, match="bytes"):
            ledger.append("too much", text="x" * 500)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    ledger.append("room again")
    ledger.close()
    assert verify(path, ledger.head) == ()


def test_threads_share_a_ledger(tmp_path: Path) -> None:
    """Records of several threads stand one after the other."""
    path = tmp_path / "l"
    with Ledger.open(path) as ledger:
        threads = [
            threading.Thread(target=lambda: [ledger.append("did") for _ in range(50)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert verify(path, ledger.head) == ()
    assert len(path.read_text().splitlines()) == 4 * 50 + 1


def test_secrets_do_not_reach_the_ledger(tmp_path: Path) -> None:
    """The ledger redacts values before it hashes them."""
    path = tmp_path / "l"
    with Ledger.open(path, redactor=Redactor(["hunter22"])) as ledger:
        ledger.append("about to", url="/x?y=hunter22", password="x", at=datetime.now(UTC))
    assert "hunter22" not in path.read_text()
    assert json.loads(path.read_text().splitlines()[0])["data"]["password"] == "‹redacted›"
    assert verify(path, ledger.head) == ()


@pytest.mark.parametrize("value", [float("nan"), object(), "x" * 2_000_000])
def test_what_is_no_record_is_refused_and_nothing_is_written(tmp_path: Path, value: object) -> None:
    """A refused record leaves the chain as it was."""
    path = tmp_path / "l"
    with Ledger.open(path) as ledger:
        with pytest.raises((TypeError, ValueError)):
            ledger.append("about to", value=value)
        ledger.append("done", durable=True)
    assert verify(path, ledger.head) == ()


def test_a_ledger_is_never_continued(tmp_path: Path) -> None:
    """A second ledger in one file is refused, and a closed one takes nothing."""
    path = tmp_path / "l"
    with Ledger.open(path) as ledger, pytest.raises(ConfigurationError, match="already"):
        Ledger.open(path)
    with pytest.raises(ValueError, match="closed"):
        ledger.append("late")
    assert path.stat().st_mode & 0o007 == 0
