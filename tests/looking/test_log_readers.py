"""Do lasting readers answer each question in its time, whatever becomes of another?"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from watchkeeper import child
from watchkeeper.looking.log_readers import KEPT, NoAnswer, Readers

HOPELESS = r"(a+)+$"  # takes longer than anybody waits for it


@pytest.fixture
def readers() -> Iterator[Readers]:
    readers = Readers()
    yield readers
    readers.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "app.log"
    path.write_text("a" * 40 + "!\n")
    return path


def ask(readers: Readers, path: Path, match: str = "a", deadline_s: float = 10.0) -> Any:
    asked = {"path": str(path), "match": match, "count": "lines", "within_s": deadline_s}
    return json.loads(readers.ask(json.dumps(asked).encode(), deadline_s))


def hope(readers: Readers, path: Path, deadline_s: float = 0.5) -> None:
    with pytest.raises(child.TookTooLong):
        ask(readers, path, HOPELESS, deadline_s)


def running() -> list[psutil.Process]:
    return [
        process
        for process in psutil.Process().children()
        if any("log_reader.py" in part for part in process.cmdline())
    ]


def test_one_program_answers_many_questions(readers: Readers, log: Path) -> None:
    """The same process answers, and sees what was written in between."""
    before = {process.pid for process in running()}
    assert ask(readers, log)["total"] == 1
    (mine,) = {process.pid for process in running()} - before
    with log.open("a") as file:
        file.write("a second line\n")
    assert ask(readers, log)["total"] == 2
    assert {process.pid for process in running()} - before == {mine}


def test_a_hopeless_question_ends_alone(readers: Readers, log: Path) -> None:
    """It is ended at its deadline; those asked meanwhile and later are answered at once."""
    ended: list[float] = []
    began = time.monotonic()

    def hoped() -> None:
        hope(readers, log, 1.0)
        ended.append(time.monotonic() - began)

    hoping = threading.Thread(target=hoped)
    hoping.start()
    time.sleep(0.01)
    assert ask(readers, log)["total"] == 1
    assert time.monotonic() - began < 0.9
    hoping.join()
    assert 1.0 <= ended[0] < 2.0
    assert ask(readers, log)["total"] == 1


def test_one_that_died_while_it_waited_is_replaced(readers: Readers, log: Path) -> None:
    """Whoever ended it: the question is asked again."""
    before = {process.pid for process in running()}
    ask(readers, log)
    (mine,) = {process.pid for process in running()} - before
    os.kill(mine, signal.SIGKILL)
    assert ask(readers, log)["total"] == 1


def test_one_that_is_ended_over_its_first_question_is_told(readers: Readers, log: Path) -> None:
    """The sentence says by what."""
    before = {process.pid for process in running()}

    def end() -> None:
        while not (found := {process.pid for process in running()} - before):
            time.sleep(0.01)
        os.kill(found.pop(), signal.SIGKILL)

    ending = threading.Thread(target=end)
    ending.start()
    with pytest.raises(NoAnswer, match="ended by signal 9"):
        ask(readers, log, HOPELESS)
    ending.join()


def test_few_are_kept(readers: Readers, log: Path) -> None:
    """After a rush only a few wait; after the end none."""
    before = {process.pid for process in running()}
    rush = [
        *(threading.Thread(target=hope, args=(readers, log)) for _ in range(3)),
        *(threading.Thread(target=ask, args=(readers, log)) for _ in range(6)),
    ]
    for thread in rush:
        thread.start()
    for thread in rush:
        thread.join()
    assert len({process.pid for process in running()} - before) <= KEPT
    readers.close()
    assert {process.pid for process in running()} - before == set()
