"""Does Python in targets/ get what it needs to look, and tell nothing that it should not?"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from watchkeeper.clock import Clock
from watchkeeper.errors import ConfigurationError, CouldNotObserve
from watchkeeper.looking.handles import Handles
from watchkeeper.looking.probes import PROBES, QUESTIONS
from watchkeeper.looking.probes.python import PROBE, Question
from watchkeeper.looking.reach import Reach
from watchkeeper.services import Database, Folder

HERE = "tests.looking.test_python"


def count(handles: Handles, table: str) -> int:
    with handles.database("store") as connection:
        return int(connection.execute(text(f"SELECT COUNT(*) FROM {table}")).scalar_one())


def write(handles: Handles) -> None:
    with handles.database("store") as connection:
        connection.execute(text("DELETE FROM requests"))


def names(handles: Handles) -> list[str]:
    return sorted(path.name for path in handles.folder("data").iterdir())


def mistake(handles: Handles, password: str) -> object:
    return {}[password]  # type: ignore[var-annotated]


def nothing(handles: Handles) -> None:
    return None


def slow(handles: Handles) -> int:
    time.sleep(2)
    return 1


def look(folder: Path, function: str, module: str = HERE, **options: Any) -> Any:
    services = {
        "store": Database.model_validate({"database": f"sqlite:///{folder}/x.db"}),
        "data": Folder.model_validate({"folder": str(folder)}),
    }
    asked = Question.model_validate({"python": f"{module}:{function}", **options})
    return asyncio.run(PROBE.look(asked, Reach(services, Clock()), None)).value


def refusal(folder: Path, function: str, module: str = HERE, **options: Any) -> CouldNotObserve:
    with pytest.raises(CouldNotObserve) as caught:
        look(folder, function, module, **options)
    return caught.value


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.execute("CREATE TABLE requests (id)")
        connection.execute("INSERT INTO requests VALUES (1)")
        connection.commit()
    return tmp_path


def test_handles(folder: Path) -> None:
    """A function is called with its arguments and enters databases and folders by name."""
    assert look(folder, "count", **{"with": {"table": "requests"}, "services": ["store"]}) == 1
    assert look(folder, "names", services=["data"]) == ["x.db"]


def test_it_cannot_write(folder: Path) -> None:
    """The database it gets can't be written."""
    assert refusal(folder, "write").kind == "would write"
    assert look(folder, "count", **{"with": {"table": "requests"}}) == 1


def test_mistakes_tell_their_place_and_no_value(folder: Path) -> None:
    """A mistake is told by file, line and kind; a value in its message is not."""
    refused = refusal(folder, "mistake", **{"with": {"password": "hunter2"}})
    assert refused.kind == "error"
    assert refused.reason.startswith("tests/looking/test_python.py line ")
    assert refused.reason.endswith(": KeyError")


def test_nothing_is_no_answer(folder: Path) -> None:
    """A function that forgot its `return` did not observe anything."""
    assert refusal(folder, "nothing").reason == "it returned nothing, expected data"


def test_deadline(folder: Path) -> None:
    """A function that takes too long is given up."""
    assert refusal(folder, "slow", deadline="200 ms").kind == "timeout"


def test_unknown_functions(folder: Path) -> None:
    """A function that is not there is a mistake in the target file."""
    with pytest.raises(ConfigurationError, match="has no function"):
        look(folder, "unheard_of")
    with pytest.raises(ConfigurationError, match="can't be imported"):
        look(folder, "f", module="no.such.module")


def test_sound(folder: Path) -> None:
    """A whole database is sound, a damaged one broken, a missing one neither."""
    sqlite = "watchkeeper.looking.sqlite"
    asked = {"with": {"file": str(folder / "x.db")}}
    assert look(folder, "sound", sqlite, **asked) == "sound"
    raw = (folder / "x.db").read_bytes()
    (folder / "x.db").write_bytes(raw[:4096] + b"\xff" * (len(raw) - 4096))
    assert look(folder, "sound", sqlite, **asked) == "broken"
    (folder / "x.db").write_bytes(b"nonsense" * 1000)
    assert look(folder, "sound", sqlite, **asked) == "broken"
    (folder / "x.db").unlink()
    assert refusal(folder, "sound", sqlite, **asked).kind == "missing"


def test_every_probe_has_its_question() -> None:
    """The tables of probes and of questions name the same words."""
    assert PROBES.keys() == QUESTIONS.keys()
