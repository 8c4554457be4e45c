"""Does the command operator say done, failed and unknown as it is?"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from watchkeeper.changing.operator import Done
from watchkeeper.changing.operators.command import OPERATOR, Order
from watchkeeper.clock import Clock
from watchkeeper.errors import OperationFailed, OperationRefused, OperationUnknown
from watchkeeper.looking.reach import Reach
from watchkeeper.services import Folder


def do(folder: Path, *command: str, **order: Any) -> Done:
    reach = Reach({"tree": Folder.model_validate({"folder": str(folder)})}, Clock())
    wanted = Order.model_validate({"command": command, "in": "tree", **order})
    return asyncio.run(OPERATOR.operate(wanted, reach))


def test_done(tmp_path: Path) -> None:
    """What it did is done, with its output and the word for its exit code."""
    codes = {"exit codes": {0: "applied", 4: "already applied"}}
    done = do(tmp_path, "sh", "-c", "echo hello > made; echo done; exit 4", **codes)
    assert (done.value, done.outcome, done.kind) == ("done", "already applied", "exit 4")
    assert (tmp_path / "made").read_text() == "hello\n"


def test_failed(tmp_path: Path) -> None:
    """An exit code that is not listed is a failure, with the last of its errors."""
    with pytest.raises(OperationFailed, match="sh: exit 2: no space"):
        do(tmp_path, "sh", "-c", "echo no space >&2; exit 2")


def test_refused(tmp_path: Path) -> None:
    """A program that can't be started was not tried."""
    with pytest.raises(OperationRefused):
        do(tmp_path, "no-such-program-at-all")
    with pytest.raises(OperationRefused):
        do(tmp_path / "gone", "true")


def test_unknown(tmp_path: Path) -> None:
    """A program that had to be ended may have done anything."""
    with pytest.raises(OperationUnknown, match="how far it had come is unknown"):
        do(tmp_path, "sh", "-c", "touch made; sleep 30", deadline="200 ms")
    assert (tmp_path / "made").exists()
    with pytest.raises(OperationUnknown):
        do(tmp_path, "yes")
