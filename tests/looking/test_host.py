"""Does the host probe say what the operating system says?"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from watchkeeper.clock import Clock
from watchkeeper.errors import CouldNotObserve
from watchkeeper.looking.probes.host import PROBE, Question
from watchkeeper.looking.reach import Reach
from watchkeeper.services import Folder


def look(folder: Path | None = None, **question: Any) -> Any:
    services = {"data": Folder.model_validate({"folder": str(folder)})} if folder else {}
    asked = Question.model_validate(question)
    return asyncio.run(PROBE.look(asked, Reach(services, Clock()), None)).value


def test_disk(tmp_path: Path) -> None:
    """A disk's bytes are those of the file system of its path; its share is within 0 and 1."""
    found = look(host="disk", path=str(tmp_path))
    assert found["total"] == shutil.disk_usage(tmp_path).total
    assert 0 <= found["share"] <= 1
    assert look(tmp_path, **{"host": "disk", "in": "data"})["total"] == found["total"]


def test_memory_cpu_and_load() -> None:
    """Memory is in bytes, processors and load are shares too."""
    memory = look(host="memory")
    assert memory["used"] + memory["free"] == memory["total"]
    assert 0 <= look(host="cpu")["share"] <= 1
    assert look(host="load")["one"] >= 0


def test_missing_path() -> None:
    """A path that is not there is "missing"."""
    with pytest.raises(CouldNotObserve) as caught:
        look(host="disk", path="/no/such/place")
    assert caught.value.kind == "missing"


def test_questions_are_checked() -> None:
    """A disk needs a path; the rest has none."""
    for wrong in ({"host": "disk"}, {"host": "memory", "path": "/"}, {"host": "fan"}):
        with pytest.raises(ValidationError):
            Question.model_validate(wrong)
