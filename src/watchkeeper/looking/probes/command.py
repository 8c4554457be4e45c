"""What does a program answer that only looks?"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from watchkeeper import child
from watchkeeper.clock import Window
from watchkeeper.errors import CouldNotObserve
from watchkeeper.libpq import variables_of
from watchkeeper.looking.reach import Reach
from watchkeeper.observation import Answer
from watchkeeper.services import Database, Duration, Folder, Model
from watchkeeper.units import duration_s


class Question(Model):
    """A program by its argument list (no shell), run in the folder service `in`.

    `exit codes`: those it is understood by. `true`: its output is the value; a word: the word is.
    `environment`: variables besides the minimum, which holds no secret of ours. `database`: the
    database service that PostgreSQL's programs enter (libpq's variables; read-only transactions).
    `deadline`: by default the folder's, and 5 seconds without one.
    """

    command: tuple[str, ...] = Field(min_length=1)
    in_: str | None = None
    exit_codes: dict[int, str | Literal[True]] = Field(default={0: True})
    environment: dict[str, str] = Field(default_factory=dict)
    database: str | None = None
    deadline: Duration | None = None


class Command:
    """Runs it in a session of its own, and ends all of it at the deadline."""

    def drivers(self, question: Question) -> tuple[str, ...]:
        return ()

    def services(self, question: Question) -> tuple[str, ...]:
        return tuple(name for name in (question.in_, question.database) if name)

    async def look(self, question: Question, reach: Reach, window: Window | None) -> Answer:
        """Kind "exit 0". Raises CouldNotObserve: "exit N", "signal N", "missing", "not permitted",
        "timeout", "too large".
        """
        at, began = reach.clock.now(), time.monotonic()
        source = " ".join(question.command)
        try:
            ended = await _run(question, reach)
            value, excerpt = _value(question, ended)
        except CouldNotObserve as error:
            raise CouldNotObserve(
                error.kind,
                error.reason,
                source=source,
                excerpt=error.excerpt,
                duration_s=time.monotonic() - began,
            ) from error
        kind = f"exit {ended.code}"
        return Answer(value, source, at, ended.duration_s, kind=kind, excerpt=excerpt)


async def _run(question: Question, reach: Reach) -> child.Ended:
    folder, deadline_s = None, DEADLINE_S
    if question.in_:
        service = reach.service(question.in_, Folder)
        folder, deadline_s = Path(service.folder), service.deadline_s
    if question.deadline:
        deadline_s = duration_s(question.deadline)
    name = question.command[0]
    if folder is not None and not folder.is_dir():
        raise CouldNotObserve("missing", f"there is no folder {folder}")
    try:
        return await child.run(
            question.command,
            folder=folder,
            extra={**_entering(question.database, reach), **question.environment},
            deadline_s=deadline_s,
        )
    except FileNotFoundError as error:
        raise CouldNotObserve("missing", f"there is no program {name}") from error
    except OSError as error:
        raise CouldNotObserve("not permitted", f"{name} can't be run: {error.strerror}") from error
    except child.TookTooLong as error:
        raise CouldNotObserve(
            "timeout",
            f"{name} had not ended within {deadline_s:g} s and was ended",
            excerpt=error.output.decode("utf-8", "replace")[: Answer.EXCERPT],
        ) from error
    except child.SaidTooMuch as error:
        raise CouldNotObserve(
            "too large", f"{name} wrote over {child.OUTPUT_MAX // 1_000_000} MB and was ended"
        ) from error


def _entering(database: str | None, reach: Reach) -> Mapping[str, str]:
    if database is None:
        return {}
    url = reach.service(database, Database).database.get_secret_value()
    return variables_of(url, database, read_only=True)


DEADLINE_S = 5.0
"""When a program without a folder service and a deadline of its own is ended."""


def _value(question: Question, ended: child.Ended) -> tuple[str, str]:
    """The value, and the output as its excerpt."""
    out = ended.out.decode("utf-8", "replace")
    meaning = question.exit_codes.get(ended.code)
    if meaning is None:
        err = ended.err.decode("utf-8", "replace").strip()
        kind = f"exit {ended.code}" if ended.code >= 0 else f"signal {-ended.code}"
        last = err.rpartition("\n")[2] or "it said nothing"
        raise CouldNotObserve(
            kind, f"{question.command[0]}: {kind}: {last}", excerpt=(err or out)[: Answer.EXCERPT]
        )
    if meaning is True:
        return out.removesuffix("\n"), out[: Answer.EXCERPT]
    said = out or ended.err.decode("utf-8", "replace")
    return meaning, said[: Answer.EXCERPT]


PROBE = Command()
