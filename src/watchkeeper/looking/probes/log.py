"""What do a log's lines say: which, how many, by what, and what is their mean?"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import Field, model_validator

from watchkeeper import child
from watchkeeper.clock import Window
from watchkeeper.errors import ConfigurationError, CouldNotObserve
from watchkeeper.looking.log_readers import OUTPUT_MAX, READERS, NoAnswer
from watchkeeper.looking.reach import Reach, in_thread
from watchkeeper.observation import Answer, Row, Scalar, Table
from watchkeeper.services import Log, Model


class Question(Model):
    """Lines of the log service `log`.

    `among`: a regular expression that a line must hold. `match`: another, whose named groups become
    columns. Both are searched in the group `text` of the service's `line`, then in the whole line.
    `last`: only the last so many that match. `last lines`: only the file's last so many lines.
    `group by`, `mean of`: a group's or field's name (of JSON a dotted path). `count: lines`: how
    many. `unreadable`: those lines that are not as the service's format says.
    """

    log: str
    among: str | None = None
    match: str | None = None
    last: int | None = Field(default=None, ge=1, le=Table.KEEP)
    last_lines: int | None = Field(default=None, ge=1)
    group_by: str | None = None
    mean_of: str | None = None
    count: Literal["lines"] | None = None
    unreadable: bool = False

    @model_validator(mode="after")
    def _one_result(self) -> Question:
        wanted = [name for name in ("group_by", "mean_of", "count") if getattr(self, name)]
        if len(wanted) > 1:
            raise ValueError(f"one result is enough; there are: {', '.join(wanted)}")
        return self

    @model_validator(mode="after")
    def _regular(self) -> Question:
        for name in ("among", "match"):
            pattern = getattr(self, name)
            try:
                re.compile(pattern or "")
            except re.error as error:
                raise ValueError(f'"{name}" is no regular expression: {error}') from None
        return self


class LogLines:
    """Asks a reader in a process of its own, which is ended where it misses the deadline.

    The value is a Table of entries or groups (kind "lines"), the number of lines, or the mean;
    a mean of no lines is None, of kind "no data".
    """

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
            said = await _read(asked, service.deadline_s)
        except CouldNotObserve as error:
            raise CouldNotObserve(
                error.kind,
                error.reason,
                source=_source(question, [service.log]),
                duration_s=time.monotonic() - began,
            ) from None
        value, kind = _value(question, said)
        source = _source(question, said["files"])
        return Answer(value, source, at, time.monotonic() - began, kind=kind)


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


async def _read(asked: Mapping[str, Any], deadline_s: float) -> dict[str, Any]:
    question, path = json.dumps(asked).encode(), asked["path"]
    try:
        answer = await in_thread(
            lambda: READERS.ask(question, deadline_s), deadline_s + _GRACE_S, path
        )
        said: dict[str, Any] = json.loads(answer)
    except child.TookTooLong:
        raise CouldNotObserve(
            "timeout", f"{path} was not read to its end within {deadline_s:g} s"
        ) from None
    except child.SaidTooMuch:
        raise CouldNotObserve(
            "too large", f"what was found in {path} is over {OUTPUT_MAX // 1_000_000} MB"
        ) from None
    except NoAnswer as ending:
        raise CouldNotObserve("error", f"{path} was not read: {ending}") from None
    except ValueError:
        raise CouldNotObserve(
            "error", f"{path} was not read: what its reader said is no answer"
        ) from None
    if "error" in said:
        raise CouldNotObserve(*said["error"])
    return said


_GRACE_S = 1.0  # for the wait for a reader, and for the end of one that missed its deadline


def _value(question: Question, said: Mapping[str, Any]) -> tuple[object, str]:
    match said["kind"]:
        case "count":
            return said["total"], "lines"
        case "mean":
            return said["mean"], "no data" if said["mean"] is None else "lines"
        case _:
            rows = tuple(Row(tuple((k, _cell(v)) for k, v in row.items())) for row in said["rows"])
            return Table(rows, said["total"], question.group_by), "lines"


def _cell(value: Any) -> Scalar:
    if isinstance(value, dict):
        return datetime.fromisoformat(value["instant"])
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _source(question: Question, files: list[str]) -> str:
    parts = [f"lines of {' and '.join(files)}"]
    if question.last_lines:
        parts.append(f"(the last {question.last_lines})")
    if question.unreadable:
        parts.append("that can't be read")
    conditions = [f"/{each}/" for each in (question.among, question.match) if each]
    if conditions:
        parts.append("with " + " and ".join(conditions))
    return " ".join(parts)


PROBE = LogLines()
