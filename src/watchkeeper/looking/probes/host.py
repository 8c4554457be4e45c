"""How full and how busy is this machine?"""

from __future__ import annotations

import os
import time
from typing import Literal

import psutil
from pydantic import model_validator

from watchkeeper.clock import Window
from watchkeeper.errors import CouldNotObserve
from watchkeeper.looking.reach import Reach, in_thread
from watchkeeper.observation import Answer
from watchkeeper.services import Folder, Model

CPU_INTERVAL_S = 0.5
"""Over how long the processors' use is measured."""

DEADLINE_S = 5.0
"""When a look is given up: statvfs of a dead network mount never returns."""


class Question(Model):
    """`disk` (of `path`, or of the folder service `in`), `memory`, `cpu` or `load`.

    Values: disk and memory {total, used, free, share} in bytes and 0..1; cpu {total, used, free} in
    processors and `share`; load {one, five, fifteen, total, share}, share per processor over one
    minute.
    """

    host: Literal["disk", "memory", "cpu", "load"]
    path: str | None = None
    in_: str | None = None

    @model_validator(mode="after")
    def _where(self) -> Question:
        if (self.host == "disk") != (self.path is not None or self.in_ is not None):
            raise ValueError('"disk" needs a "path" or "in", and nothing else has one')
        return self


class Host:
    """Asks the operating system by psutil; kind "present"."""

    def drivers(self, question: Question) -> tuple[str, ...]:
        return ()

    def services(self, question: Question) -> tuple[str, ...]:
        return (question.in_,) if question.in_ else ()

    async def look(self, question: Question, reach: Reach, window: Window | None) -> Answer:
        """Raises CouldNotObserve: "missing", "not permitted", "timeout"."""
        at, began = reach.clock.now(), time.monotonic()
        folder = reach.service(question.in_, Folder).folder if question.in_ else ""
        path = os.path.join(folder, question.path or "")  # noqa: PTH118 - an absolute path wins
        source = f"{question.host} of {path}" if path else f"{question.host} of this machine"
        value = await in_thread(lambda: _measured(question, path, source), DEADLINE_S, source)
        return Answer(value, source, at, time.monotonic() - began, kind="present")


def _measured(question: Question, path: str, source: str) -> dict[str, float]:
    match question.host:
        case "disk":
            return _disk(path, source)
        case "memory":
            memory = psutil.virtual_memory()
            used = memory.total - memory.available  # what programs could not get any more
            return _shares(memory.total, used, memory.available)
        case "cpu":
            count = psutil.cpu_count() or 1
            used_share = psutil.cpu_percent(CPU_INTERVAL_S) / 100
            return _shares(count, count * used_share, count * (1 - used_share))
        case "load":
            one, five, fifteen = psutil.getloadavg()
            count = psutil.cpu_count() or 1
            return {
                "one": one, "five": five, "fifteen": fifteen, "total": count, "share": one / count
            }  # fmt: skip


def _disk(path: str, source: str) -> dict[str, float]:
    try:
        disk = psutil.disk_usage(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CouldNotObserve("missing", f"there is no {path}", source=source) from error
    except OSError as error:
        raise CouldNotObserve(
            "not permitted", f"{path}: {error.strerror}", source=source
        ) from error
    # As df counts: what is reserved for root is neither used nor free.
    return {**_shares(disk.total, disk.used, disk.free), "share": disk.percent / 100}


def _shares(total: float, used: float, free: float) -> dict[str, float]:
    return {"total": total, "used": used, "free": free, "share": used / total}


PROBE = Host()
