"""What do a log's lines say: which, how many, by what, and what is their mean?"""

from __future__ import annotations

import time
from typing import Any

from watchkeeper.clock import Window
from watchkeeper.errors import ConfigurationError, CouldNotObserve
from watchkeeper.looking.log_lines import Lines, read_lines
from watchkeeper.looking.reach import Reach
from watchkeeper.observation import Answer, Table
from watchkeeper.services import Log


class Question(Lines):
    """Lines of the log service `log`.

    `among` and `match` are searched in the group `text` of the service's `line`, then in the whole
    line. `unreadable`: those lines that are not as the service's format says.
    """

    log: str
    unreadable: bool = False

    @property
    def takes_window(self) -> bool:
        """Lines have their instants."""
        return True


class LogLines:
    """Asks a reader in a process of its own, which is ended where it misses the deadline."""

    def drivers(self, question: Question) -> tuple[str, ...]:
        return ()

    def services(self, question: Question) -> tuple[str, ...]:
        return (question.log,)

    async def look(self, question: Question, reach: Reach, window: Window | None) -> Answer:
        """Raises CouldNotObserve: "missing", "not permitted", "not a file", "unreadable",
        "not a number", "too large", "changed", "timeout".
        """
        at, began = reach.clock.now(), time.monotonic()
        service = reach.service(question.log, Log)
        asked = _asked(question, service, window)
        try:
            value, kind, files = await read_lines(asked, service.deadline_s)
        except CouldNotObserve as error:
            raise CouldNotObserve(
                error.kind,
                error.reason,
                source=_source(question, [service.log]),
                duration_s=time.monotonic() - began,
            ) from None
        return Answer(value, _source(question, files), at, time.monotonic() - began, kind=kind)


def _asked(question: Question, service: Log, window: Window | None) -> dict[str, Any]:
    if window is not None and service.instant is None:
        raise ConfigurationError(
            f'the log "{question.log}" does not say where its lines tell the time',
            hint='add "instant: …" to the service, or take the window out of the sentence',
        )
    instants = {"since": window.since, "until": window.until} if window is not None else {}
    return {
        "path": service.log,
        "format": service.format,
        "line": service.line,
        "instant": service.instant,
        "instant_format": service.instant_format,
        "keep": Table.KEEP,
        "within_s": service.deadline_s,
        **{name: moment.isoformat() for name, moment in instants.items()},
        **question.model_dump(by_alias=False, exclude={"log"}),
    }


def _source(question: Question, files: list[str]) -> str:
    parts = [f"lines of {' and '.join(files)}"]
    if question.last_lines:
        parts.append(f"(the last {question.last_lines})")
    if question.unreadable:
        parts.append("that can't be read")
    if question.conditions:
        parts.append(f"with {question.conditions}")
    return " ".join(parts)


PROBE = LogLines()
