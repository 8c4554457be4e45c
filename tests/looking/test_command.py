"""Does the command probe understand what a program says, and end what does not end?"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from watchkeeper.clock import Clock
from watchkeeper.errors import CouldNotObserve
from watchkeeper.looking.probes.command import PROBE, Question
from watchkeeper.looking.reach import Reach
from watchkeeper.observation import Answer
from watchkeeper.services import Folder


def look(*command: str, folder: Path | None = None, **question: Any) -> Answer:
    services = {"tree": Folder.model_validate({"folder": str(folder)})} if folder else {}
    where = {"in": "tree"} if folder else {}
    asked = Question.model_validate({"command": command, **where, **question})
    return asyncio.run(PROBE.look(asked, Reach(services, Clock()), None))


def refusal(*command: str, **question: Any) -> CouldNotObserve:
    with pytest.raises(CouldNotObserve) as caught:
        look(*command, **question)
    return caught.value


def alive(marker: str) -> bool:
    return any(
        marker in (process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])
    )


def gone(marker: str) -> bool:
    """Whether it is gone within two seconds: a signal takes its time to be delivered."""
    end = time.monotonic() + 2
    while alive(marker) and time.monotonic() < end:
        time.sleep(0.02)
    return not alive(marker)


def test_output(tmp_path: Path) -> None:
    """The output is the value, without its last newline; it runs in its folder, without a shell."""
    answer = look("echo", "$HOME; ls", folder=tmp_path)
    assert (answer.value, answer.kind, answer.source) == ("$HOME; ls", "exit 0", "echo $HOME; ls")
    assert look("pwd", folder=tmp_path).value == str(tmp_path)


def test_exit_codes() -> None:
    """A listed exit code is its word; one that is not listed is no answer, with the last error."""
    listed = {"exit codes": {0: "same", 1: "different"}}
    assert look("sh", "-c", "exit 1", **listed).value == "different"
    refused = refusal("sh", "-c", "echo first >&2; echo worst >&2; exit 3", **listed)
    assert (refused.kind, refused.reason) == ("exit 3", "sh: exit 3: worst")
    assert refusal("false").kind == "exit 1"
    assert refusal("sh", "-c", "kill -9 $$").kind == "signal 9"


def test_not_there(tmp_path: Path) -> None:
    """A program that is missing or may not be run is told apart."""
    (tmp_path / "plain").write_text("x")
    assert refusal("no-such-program-at-all").kind == "missing"
    assert refusal(str(tmp_path / "plain")).kind == "not permitted"
    assert refusal("true", folder=tmp_path / "gone").kind == "missing"


def test_hanging_program_is_ended_with_all_it_forked() -> None:
    """At the deadline the program and its children are ended, and nothing else is."""
    bystander = subprocess.Popen(["sleep", "47.1"])
    try:
        began = time.monotonic()
        script = "sleep 47.11 & sleep 47.12 & echo begun; wait"
        refused = refusal("sh", "-c", script, deadline="300 ms")
        assert (refused.kind, refused.excerpt) == ("timeout", "begun\n")
        assert time.monotonic() - began < 2
        assert gone("47.11")
        assert gone("47.12")
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_nothing_outlives_a_look() -> None:
    """What a program puts into the background ends with the look, and does not hold it up."""
    began = time.monotonic()
    assert look("sh", "-c", "sleep 47.21 & echo done").value == "done"
    assert time.monotonic() - began < 2
    assert gone("47.21")


def test_flood_is_ended() -> None:
    """A program that writes without end is ended, in bounded memory."""
    assert refusal("yes").kind == "too large"


def test_it_reads_nothing_and_knows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that waits for input gets none; of our environment it sees no secret."""
    monkeypatch.setenv("MM_PASSWORD", "hunter2")
    assert look("cat").value == ""
    said = str(look("env", environment={"COLOUR": "blue"}).value)
    assert "hunter2" not in said
    assert "COLOUR=blue" in said
    assert "GIT_TERMINAL_PROMPT=0" in said


def test_cancelled_look_ends_its_program() -> None:
    """A run that is interrupted leaves no program behind."""

    async def interrupted() -> None:
        asked = Question.model_validate({"command": ["sleep", "47.31"], "deadline": "30 seconds"})
        task = asyncio.ensure_future(PROBE.look(asked, Reach({}, Clock()), None))
        await asyncio.sleep(0.5)
        assert alive("47.31")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(interrupted())
    assert gone("47.31")


def test_closed_output_is_no_end() -> None:
    """A program that closes its output and goes on is waited for."""
    script = "import os, time; os.close(1); os.close(2); time.sleep(0.4); os._exit(4)"
    assert refusal(sys.executable, "-c", script).kind == "exit 4"
