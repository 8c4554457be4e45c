"""Does the file probe say what is there, how old and how large?"""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from watchkeeper.clock import Clock
from watchkeeper.errors import CouldNotObserve
from watchkeeper.looking.probes.file import PROBE, Question
from watchkeeper.looking.reach import Reach
from watchkeeper.observation import Table
from watchkeeper.services import Folder


def look(folder: Path, clock: Clock | None = None, **question: Any) -> Any:
    async def ask() -> Any:
        service = Folder.model_validate({"folder": str(folder)})
        reach = Reach({"backups": service}, clock or Clock())
        asked = Question.model_validate({"in": "backups", **question})
        return (await PROBE.look(asked, reach, None)).value

    return asyncio.run(ask())


def refusal(folder: Path, **question: Any) -> str:
    with pytest.raises(CouldNotObserve) as caught:
        look(folder, **question)
    return caught.value.kind


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for hours, name in enumerate(("db_3.sql", "db_2.sql", "db_1.sql"), 1):
        path = tmp_path / name
        path.write_text("x" * hours)
        then = (datetime.now(UTC) - timedelta(hours=hours)).timestamp()
        os.utime(path, (then, then))
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "db_0.sql").write_text("old")
    return tmp_path


def test_newest(folder: Path) -> None:
    """Of all that match, the newest is told by path, name, size in bytes and age in seconds."""
    found = look(folder, file="db_*.sql", newest=1)
    assert (found["name"], found["size"]) == ("db_3.sql", 1)
    assert found["path"] == str(folder / "db_3.sql")
    assert found["age"] == pytest.approx(3600, abs=5)
    assert found["modified"].tzinfo is UTC
    assert found["mode"] == f"{(folder / 'db_3.sql').stat().st_mode & 0o7777:04o}"


def test_age_follows_our_clock(folder: Path) -> None:
    """A drill that moves the clock ages the files."""
    found = look(folder, Clock(timedelta(days=2)), file="db_3.sql")
    assert found["age"] == pytest.approx(2 * 86_400 + 3_600, abs=5)


def test_list(folder: Path) -> None:
    """A glob gives a table, newest first; ** goes through folders; nothing is an empty one."""
    found = look(folder, file="db_*.sql")
    assert isinstance(found, Table)
    assert [row["name"] for row in found] == ["db_3.sql", "db_2.sql", "db_1.sql"]
    assert found.key == "path"
    assert look(folder, file="**/*.sql").total == 4
    assert look(folder, file="deep/**").total == 1
    assert look(folder, file="*.gz").total == 0


def test_older_than(folder: Path) -> None:
    """Only those older than so much are listed."""
    found = look(folder, file="db_*.sql", **{"older than": "90 minutes"})
    assert [row["name"] for row in found] == ["db_2.sql", "db_1.sql"]


def test_missing(folder: Path) -> None:
    """A missing file, no match for the newest, and a missing folder are "missing", never 0."""
    assert refusal(folder, file="none.sql") == "missing"
    assert refusal(folder, file="none_*.sql", newest=1) == "missing"
    assert refusal(folder, file="gone/*.sql") == "missing"
    assert refusal(folder / "gone", file="*.sql") == "missing"
    assert refusal(folder, file="deep") == "not a file"


def test_links_are_told_and_not_followed(folder: Path, tmp_path_factory: Any) -> None:
    """A link is one row with where it leads; a linked folder is not entered."""
    other = tmp_path_factory.mktemp("other")
    (other / "secret.sql").write_text("x" * 500)
    (folder / "link.sql").symlink_to(other / "secret.sql")
    (folder / "linked").symlink_to(other)
    names = {row["name"]: row for row in look(folder, file="**/*.sql")}
    assert "secret.sql" not in names
    assert names["link.sql"]["link to"] == str(other / "secret.sql")
    assert names["link.sql"]["size"] != 500


def test_content(folder: Path) -> None:
    """JSON and text are read strictly, and not without bound."""
    (folder / "a.json").write_text('{"version": 3}')
    (folder / "b.json").write_text("<html>")
    (folder / "c.txt").write_bytes(b"\xff")
    with (folder / "d.txt").open("wb") as file:
        file.truncate(11_000_000)
    assert look(folder, file="a.json", format="json") == {"version": 3}
    assert look(folder, file="a.json", format="text") == '{"version": 3}'
    assert refusal(folder, file="b.json", format="json") == "not JSON"
    assert refusal(folder, file="c.txt", format="text") == "not text"
    assert refusal(folder, file="d.txt", format="text") == "too large"
    with pytest.raises(ValidationError, match="reads one file"):
        Question.model_validate({"file": "*.json", "format": "json"})
