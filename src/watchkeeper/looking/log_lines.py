"""Which lines are asked for, and what does a reader say about them?

For logs that are files, and for those that were copied into one from elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import Field, model_validator

from watchkeeper import child
from watchkeeper.errors import CouldNotObserve
from watchkeeper.looking.log_readers import OUTPUT_MAX, READERS, NoAnswer
from watchkeeper.looking.reach import in_thread
from watchkeeper.observation import Row, Scalar, Table
from watchkeeper.services import Model

_GRACE_S = 1.0  # for the wait for a reader, and for the end of one that missed its deadline


class Lines(Model):
    """Which lines, and what of them.

    `among`: a regular expression that a line must hold. `match`: another, whose named groups become
    columns. `last`: only the last so many that match. `last lines`: only the log's last so many.
    `group by`, `mean of`: a group's or field's name (of JSON a dotted path). `count: lines`: how
    many.
    """

    among: str | None = None
    match: str | None = None
    last: int | None = Field(default=None, ge=1, le=Table.KEEP)
    last_lines: int | None = Field(default=None, ge=1)
    group_by: str | None = None
    mean_of: str | None = None
    count: Literal["lines"] | None = None

    @model_validator(mode="after")
    def _one_result(self) -> Lines:
        wanted = [name for name in ("group_by", "mean_of", "count") if getattr(self, name)]
        if len(wanted) > 1:
            raise ValueError(f"one result is enough; there are: {', '.join(wanted)}")
        return self

    @model_validator(mode="after")
    def _regular(self) -> Lines:
        for name in ("among", "match"):
            pattern = getattr(self, name)
            try:
                re.compile(pattern or "")
            except re.error as error:
                raise ValueError(f'"{name}" is no regular expression: {error}') from None
        return self

    @property
    def conditions(self) -> str:
        """What a line must hold, for people: "/a/ and /b/"."""
        return " and ".join(f"/{each}/" for each in (self.among, self.match) if each)


async def read_lines(asked: Mapping[str, Any], deadline_s: float) -> tuple[object, str, list[str]]:
    """The value, its kind and the files read: what `log_reader.Asked` asks, off the loop.

    The value is a Table of entries or groups (kind "lines"), the number of lines, or the mean; a
    mean of no lines is None, of kind "no data". Raises CouldNotObserve.
    """
    said = await _read(asked, deadline_s)
    value, kind = _value(asked["group_by"], said)
    return value, kind, said["files"]


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


def _value(group_by: str | None, said: Mapping[str, Any]) -> tuple[object, str]:
    match said["kind"]:
        case "count":
            return said["total"], "lines"
        case "mean":
            return said["mean"], "no data" if said["mean"] is None else "lines"
        case _:
            rows = tuple(Row(tuple((k, _cell(v)) for k, v in row.items())) for row in said["rows"])
            return Table(rows, said["total"], group_by), "lines"


def _cell(value: Any) -> Scalar:
    if isinstance(value, dict):
        return datetime.fromisoformat(value["instant"])
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
