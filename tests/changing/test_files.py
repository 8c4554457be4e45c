"""Does the files operator copy, put in place and remove without losing anything else?"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from watchkeeper.changing.handles import ChangingHandles
from watchkeeper.changing.operator import Done
from watchkeeper.changing.operators import python
from watchkeeper.changing.operators.files import OPERATOR, Order
from watchkeeper.clock import Clock
from watchkeeper.errors import OperationFailed, OperationRefused, OperationUnknown
from watchkeeper.looking.handles import Handles
from watchkeeper.looking.reach import Reach
from watchkeeper.services import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    made.mkdir()
    for name in ("a", "b", "c"):
        (made / name).write_text(name)
    (made / "a").chmod(0o640)
    return made


def do(folder: Path, **order: Any) -> Done:
    reach = Reach({"data": Folder.model_validate({"folder": str(folder)})}, Clock())
    return asyncio.run(OPERATOR.operate(Order.model_validate({"in": "data", **order}), reach))


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


def test_copy(folder: Path) -> None:
    """A copy is whole, under a new name, and is told."""
    done = do(folder, copy="a", to="d")
    assert contents(folder) == {"a": "a", "b": "b", "c": "c", "d": "a"}
    assert done.made == (("copy", str(folder / "d")),)


def test_copy_never_overwrites(folder: Path) -> None:
    """A file in the way, a link to nowhere too, refuses the copy."""
    (folder / "link").symlink_to("nowhere")
    for taken in ("b", "link"):
        with pytest.raises(OperationRefused, match="is there already"):
            do(folder, copy="a", to=taken)
    assert contents(folder) == {"a": "a", "b": "b", "c": "c"}


def test_put_in_place(folder: Path) -> None:
    """What was in place is kept aside, and its rights are kept."""
    done = do(folder, put="b", **{"in place of": "a"})
    ((name, aside),) = done.made
    assert name == "aside"
    assert (folder / "a").read_text() == "b"
    assert Path(aside).read_text() == "a"
    assert (folder / "a").stat().st_mode & 0o777 == 0o640
    again = do(folder, put="c", **{"in place of": "a"})
    assert again.made[0][1] != aside
    assert Path(aside).read_text() == "a"


def test_put_without_keeping(folder: Path) -> None:
    """On request nothing is kept aside."""
    assert do(folder, put="b", **{"in place of": "a", "keep aside": False}).made == ()
    assert contents(folder) == {"a": "b", "b": "b", "c": "c"}


def test_database_in_use_is_not_replaced(folder: Path) -> None:
    """A database with a journal beside it is in use: replacing it would destroy both."""
    with closing(sqlite3.connect(folder / "x.db")) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE t (x)")
        writer.commit()
        with pytest.raises(OperationRefused, match="stop it first"):
            do(folder, put="b", **{"in place of": "x.db"})


def test_remove_exactly(folder: Path) -> None:
    """Exactly the files of the list are removed."""
    done = do(folder, remove=["a", "b"])
    assert done.value == {"changed": 2, "removed": [str(folder / "a"), str(folder / "b")]}
    assert contents(folder) == {"c": "c"}


@pytest.mark.parametrize("wrong", ["gone", "*", "deep", "../outside", "link/x", ".."])
def test_remove_all_or_nothing(folder: Path, tmp_path: Path, wrong: str) -> None:
    """One name that is no file of the folder, and none of the list is removed."""
    (folder / "deep").mkdir()
    (tmp_path / "outside").write_text("x")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x").write_text("x")
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OperationRefused, match="nothing was changed"):
        do(folder, remove=["a", wrong])
    assert contents(folder) == {"a": "a", "b": "b", "c": "c"}
    assert (tmp_path / "outside").exists()
    assert (tmp_path / "elsewhere" / "x").exists()


def test_orders_are_checked() -> None:
    """An order is one verb with both its ends."""
    for wrong in ({}, {"copy": "a"}, {"put": "a"}, {"copy": "a", "to": "b", "remove": ["c"]}):
        with pytest.raises(ValidationError):
            Order.model_validate(wrong)


def touch(handles: ChangingHandles, name: str) -> dict[str, object]:
    path = handles.folder("data") / name
    path.write_text("made")
    return {"made": {"file": str(path)}, "outcome": "made", "note": "by Python"}


def mistake(handles: ChangingHandles, password: str) -> None:
    raise ValueError(password)


def refuse(handles: ChangingHandles) -> None:
    handles.folder("data").rmdir()
    handles.folder("data")


def call(folder: Path, function: str, **given: str) -> Done:
    reach = Reach({"data": Folder.model_validate({"folder": str(folder)})}, Clock())
    name = f"tests.changing.test_files:{function}"
    order = python.Order.model_validate({"python": name, "with": given, "services": ["data"]})
    return asyncio.run(python.OPERATOR.operate(order, reach))


def test_python(folder: Path) -> None:
    """A function of the target's own says what it made, its outcome and a note."""
    done = call(folder, "touch", name="d")
    assert done.made == (("file", str(folder / "d")),)
    assert (done.outcome, done.note) == ("made", "by Python")


def test_python_mistakes(folder: Path, tmp_path: Path) -> None:
    """A mistake leaves the outcome unknown and tells no value; a reason is a failure."""
    with pytest.raises(OperationUnknown) as caught:
        call(folder, "mistake", password="hunter2")
    assert "hunter2" not in str(caught.value)
    assert "tests/changing/test_files.py line" in str(caught.value)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(OperationFailed, match="there is no folder"):
        call(empty, "refuse")


def old_ones(handles: Handles) -> list[dict[str, str]]:
    """The files whose names are of one letter, as a target's Python would list them."""
    return [{"path": str(path)} for path in sorted(handles.folder("data").glob("?"))]


THOSE = f"{__name__}:old_ones"


def removing(folder: Path, between: Callable[[], object] = lambda: None) -> tuple[Done, list[str]]:
    """Remove those; `between` happens after they were listed."""
    reach_of = {"data": Folder.model_validate({"folder": str(folder)})}
    order = Order.model_validate({"remove those": THOSE, "services": ["data"]})

    async def both() -> tuple[Done, list[str]]:
        reach = Reach(reach_of, Clock())
        settled, listed = await OPERATOR.settle(order, reach)
        between()
        return await OPERATOR.operate(settled, reach), list(listed)

    return asyncio.run(both())


def test_what_a_function_lists_is_removed_and_nothing_else(folder: Path) -> None:
    """The list is known before anything goes, and what came in between stays."""
    done, listed = removing(folder, lambda: (folder / "z").write_text("new"))
    assert listed == [str(folder / name) for name in "abc"]
    assert contents(folder) == {"z": "new"}
    assert done.value == {"changed": 3, "removed": listed}


def test_a_file_that_changes_after_it_was_listed_keeps_all(folder: Path) -> None:
    """Somebody writes to what seemed old: it is not, so nothing of the list is touched."""
    with pytest.raises(OperationRefused, match="has changed since it was listed"):
        removing(folder, lambda: (folder / "c").write_text("written again"))
    assert set(contents(folder)) == {"a", "b", "c"}


def test_a_link_in_the_place_of_a_listed_file_is_not_followed(folder: Path) -> None:
    """Neither the link nor what it leads to goes."""

    def swap() -> None:
        (folder / "b").unlink()
        (folder / "b").symlink_to(folder / "a")

    with pytest.raises(OperationRefused, match="no ordinary file"):
        removing(folder, swap)
    assert (folder / "a").read_text() == "a"
