"""What does a function in targets/<system>.py find out?"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime

from pydantic import Field

from watchkeeper.clock import Window
from watchkeeper.errors import ConfigurationError, CouldNotObserve
from watchkeeper.looking.handles import Handles
from watchkeeper.looking.python_code import FunctionName, function_named, where_it_failed
from watchkeeper.looking.reach import Reach, in_thread
from watchkeeper.observation import Answer, Table
from watchkeeper.services import Duration, Model, Service
from watchkeeper.units import duration_s


class Question(Model):
    """A function, called as function(handles, **with).

    `services`: those it enters, the one it needs most first; it can enter no others.
    `deadline`: by default the longest of its services', and 5 seconds without one.
    """

    python: FunctionName
    with_: dict[str, str | int | float | bool] = Field(default_factory=dict)
    services: tuple[str, ...] = ()
    deadline: Duration | None = None
    key: str | None = None


class Python:
    """Calls it in a thread; it returns JSON-like data, kind "returned"."""

    def drivers(self, question: Question) -> tuple[str, ...]:
        return (question.python.partition(":")[0],)

    def services(self, question: Question) -> tuple[str, ...]:
        return question.services

    async def look(self, question: Question, reach: Reach, window: Window | None) -> Answer:
        """Raises CouldNotObserve as the function does; "error" for its mistakes; "timeout"."""
        at, began = reach.clock.now(), time.monotonic()
        source = source_of(question.python, question.with_)
        deadline_s = (
            duration_s(question.deadline)
            if question.deadline
            else max((reach.service(n, Service).deadline_s for n in question.services), default=5.0)
        )
        function = function_named(question.python)
        handles = Handles(reach, window)
        try:
            value = await in_thread(lambda: function(handles, **question.with_), deadline_s, source)
        except ConfigurationError:
            raise
        except CouldNotObserve as error:
            raise CouldNotObserve(
                error.kind,
                error.reason,
                source=source,
                excerpt=error.excerpt,
                duration_s=time.monotonic() - began,
            ) from error
        except Exception as error:
            raise CouldNotObserve(
                "error",
                where_it_failed(error, question.python),
                source=source,
                duration_s=time.monotonic() - began,
            ) from None
        _require_data(value, source)
        return Answer(value, source, at, time.monotonic() - began, kind="returned")


def source_of(name: str, arguments: Mapping[str, object]) -> str:
    """How a report names the call: "targets.shop:lost_files(limit=5)"."""
    given = ", ".join(f"{key}={value}" for key, value in arguments.items())
    return f"{name}({given})"


def _require_data(value: object, source: str) -> None:
    """Refuse what no figure can read, the missing `return` above all."""
    if not isinstance(value, bool | int | float | str | datetime | list | tuple | dict | Table):
        kind = "nothing" if value is None else f"a {type(value).__name__}"
        raise CouldNotObserve("error", f"it returned {kind}, expected data", source=source)


PROBE = Python()
