"""Does the process operator touch exactly the one process that is meant?"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from pydantic import ValidationError

from watchkeeper.changing.operator import Done
from watchkeeper.changing.operators.process import OPERATOR, WRITES_ITSELF_S, Order
from watchkeeper.clock import Clock
from watchkeeper.errors import OperationFailed, OperationRefused
from watchkeeper.looking.reach import Reach
from watchkeeper.services import Process

SERVER = """
import os, pathlib, signal, subprocess, sys, time
if "stubborn" in sys.argv: signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "writes" in sys.argv: pathlib.Path("server.pid").write_text(str(os.getpid()))
if "late" in sys.argv:
    time.sleep(0.5)
    pathlib.Path("server.pid").write_text(str(os.getpid()))
if "fails" in sys.argv: sys.exit("no such setting")
if "forks" in sys.argv: subprocess.Popen(["sleep", "48.1"])
print(os.environ.get("COLOUR"), flush=True)
time.sleep(60)
"""


class Bench:
    """A folder with a server in it, and what was started there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.pid_file = folder, folder / "server.pid"
        (folder / "server.py").write_text(SERVER)

    def do(
        self, verb: str, *modes: str, command: str = "server.py", deadline: str = "5 seconds"
    ) -> Done:
        service = {
            "pid file": str(self.pid_file),
            "command": command,
            "start": [sys.executable, "server.py", *modes],
            "in": str(self.folder),
            "environment": {"COLOUR": "blue"},
            "output": str(self.folder / "out.log"),
        }
        reach = Reach({"unit": Process.model_validate(service)}, Clock())
        order = Order.model_validate({"process": {verb: "unit"}, "deadline": deadline})
        return asyncio.run(OPERATOR.operate(order, reach))

    @property
    def pid(self) -> int:
        return int(self.pid_file.read_text())

    def mine(self) -> list[psutil.Process]:
        return [
            process
            for process in psutil.process_iter(["cwd"])
            if process.info["cwd"] == str(self.folder)
        ]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    for process in made.mine():
        process.kill()


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_start_and_stop(bench: Bench) -> None:
    """It starts with its variables, its output appended, and stops by SIGTERM."""
    done = bench.do("start", "writes")
    assert (done.outcome, done.value, done.note) == ("running", {"pid": bench.pid}, "")
    end = time.monotonic() + 2
    while "blue" not in (bench.folder / "out.log").read_text() and time.monotonic() < end:
        time.sleep(0.02)
    assert "blue" in (bench.folder / "out.log").read_text()
    assert alive(bench.pid)
    assert bench.do("stop").outcome == "stopped"
    assert not alive(bench.pid)


def test_pid_file_is_written_for_it(bench: Bench) -> None:
    """A program that writes no pid file gets one, and can be stopped by it."""
    done = bench.do("start")
    assert done.note == "its pid file was written for it"
    assert done.duration_s < WRITES_ITSELF_S
    assert alive(bench.pid)
    bench.do("stop")
    assert not alive(bench.pid)


def test_a_late_number_of_its_own(bench: Bench) -> None:
    """A program that writes its number late finds the same one there, and a stale one is gone."""
    bench.pid_file.write_text("4194304")
    done = bench.do("start", "late")
    assert done.value == {"pid": bench.pid}
    time.sleep(0.6)
    assert [process.pid for process in bench.mine()] == [bench.pid]


def test_start_as_one_text() -> None:
    """What starts it may be one text, as a variable holds it, split as a shell would."""
    service = {"pid file": "p", "command": "x", "start": "sleep '4 8' --in a\\ b", "in": "/"}
    assert Process.model_validate(service).start == ("sleep", "4 8", "--in", "a b")
    with pytest.raises(ValidationError, match="No closing quotation"):
        Process.model_validate({**service, "start": "sleep '48"})
    with pytest.raises(ValidationError, match="start"):
        Process.model_validate({**service, "start": ""})


def test_twice(bench: Bench) -> None:
    """Starting what runs and stopping what does not says so, and does nothing."""
    assert bench.do("stop").note == "it was not running"
    first = bench.do("start", "writes").value
    second = bench.do("start", "writes")
    assert (second.value, second.note) == (first, "it was running already")
    assert len(bench.mine()) == 1
    bench.do("stop")
    assert bench.do("stop").note == "it was not running"


def test_restart(bench: Bench) -> None:
    """A restart leaves one process, which is another one."""
    before = bench.do("start", "writes").value
    after = bench.do("restart", "writes").value
    assert before != after
    assert [process.pid for process in bench.mine()] == [bench.pid]


def test_stubborn(bench: Bench) -> None:
    """What does not end by itself is killed at the deadline, and that is said."""
    bench.do("start", "writes", "stubborn")
    time.sleep(0.3)
    assert "was killed" in bench.do("stop", deadline="300 ms").note
    assert not alive(bench.pid)


def test_its_children_are_not_touched(bench: Bench) -> None:
    """Exactly one process is ended: neither its children nor a twin are."""
    bench.do("start", "writes", "forks")
    twin = subprocess.Popen([sys.executable, "server.py"], cwd=bench.folder)
    try:
        time.sleep(0.3)
        before = {process.pid for process in bench.mine()}
        stopped = bench.pid
        bench.do("stop")
        assert before - {process.pid for process in bench.mine()} == {stopped}
        assert twin.poll() is None
    finally:
        twin.kill()
        twin.wait()


def test_another_program_is_never_touched(bench: Bench) -> None:
    """A pid file that names another program is refused, for stop, start and restart."""
    with subprocess.Popen(["sleep", "48.2"]) as other:
        bench.pid_file.write_text(str(other.pid))
        for verb in ("stop", "start", "restart"):
            with pytest.raises(OperationRefused, match="nothing was touched"):
                bench.do(verb)
        assert other.poll() is None
        assert bench.mine() == []
        other.kill()


def test_a_number_that_was_given_again(bench: Bench) -> None:
    """A process that began after the pid file was written is another one."""
    with subprocess.Popen([sys.executable, "server.py"], cwd=bench.folder) as other:
        bench.pid_file.write_text(str(other.pid))
        os.utime(bench.pid_file, (time.time() - 60, time.time() - 60))
        with pytest.raises(OperationRefused, match="got the number"):
            bench.do("stop")
        assert other.poll() is None
        other.kill()


@pytest.mark.parametrize("text", ["", "x", "-1", "0", "1", "12 13"])
def test_pid_file_without_a_number(bench: Bench, text: str) -> None:
    """A pid file that holds no process number is refused; -1 and 1 would be everybody."""
    bench.pid_file.write_text(text)
    with pytest.raises(OperationRefused, match="no process number"):
        bench.do("stop")


def test_ends_at_once(bench: Bench) -> None:
    """A program that ends at once has failed to start, and its last words are told."""
    with pytest.raises(OperationFailed, match="no such setting"):
        bench.do("start", "fails")


def test_cannot_be_started(bench: Bench) -> None:
    """A program whose folder is gone has failed to start."""
    bench.folder = bench.folder / "gone"
    with pytest.raises(OperationFailed, match="can't be started"):
        bench.do("start")


def test_unrecognisable_program_is_ended_again(bench: Bench) -> None:
    """What nobody could find again is not left running."""
    with pytest.raises(OperationFailed, match="ended again"):
        bench.do("start", command="another.py")
    time.sleep(0.1)
    assert bench.mine() == []


def test_one_verb() -> None:
    """An order is one verb."""
    with pytest.raises(ValidationError, match="exactly one"):
        Order.model_validate({"process": {"start": "a", "stop": "b"}})
