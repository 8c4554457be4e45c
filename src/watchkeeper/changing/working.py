"""How is blocking work done that changes something, so that a time-out never reads as a failure?"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from watchkeeper.errors import CouldNotObserve, OperationUnknown
from watchkeeper.looking.reach import in_thread

T = TypeVar("T")

_GRACE_S = 1.0  # for the work's own, better-informed ending at its deadline


async def working(work: Callable[[], T], deadline_s: float, what: str) -> T:
    """The result of `work` in a thread; raises OperationUnknown when it is late.

    What is late may still take effect: nobody can end a thread.
    """
    began = time.monotonic()
    try:
        return await in_thread(work, deadline_s + _GRACE_S, what)
    except CouldNotObserve as error:
        if error.kind == "timeout" and time.monotonic() - began >= deadline_s + _GRACE_S:
            raise OperationUnknown(
                f"{what} had not ended within {deadline_s:g} s, and may still take effect"
            ) from error
        raise


def since(began: float) -> float:
    """Seconds since `began`, a reading of time.monotonic."""
    return time.monotonic() - began


def stamp(at: datetime) -> str:
    """An instant as part of a file name: 20260131T090012Z."""
    return at.strftime("%Y%m%dT%H%M%SZ")
