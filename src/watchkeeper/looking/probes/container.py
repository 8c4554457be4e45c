"""What does a Docker Engine say about a project's containers, what they use and what they log?"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, TypeVar

from pydantic import Field, model_validator

from watchkeeper.clock import Window
from watchkeeper.errors import CouldNotObserve
from watchkeeper.looking.log_lines import Lines, read_lines
from watchkeeper.looking.reach import Reach, in_thread
from watchkeeper.observation import Answer, Row, Scalar, Table
from watchkeeper.services import Docker

if TYPE_CHECKING:
    from watchkeeper.containers import Container
    from watchkeeper.engine import Engine

T = TypeVar("T")

_GRACE_S = 0.5  # for the conversation's own, better-informed ending at its deadline
_PLACED = re.compile(r"\{[a-z]", re.IGNORECASE)
_OF_LINES = tuple(Lines.model_fields)


class Question(Lines):
    """Of the Engine service `in`: all containers of its project, those of a compose `service`, or
    of these the one with the `number`.

    Without more: what each is and does. `stats: true`: what each uses. `logs: true`: their lines,
    with all that a log may be asked. `unused`: the images or volumes that no container needs.
    `volumes: true`: all volumes that the Engine has.
    """

    in_: str
    service: str | None = None
    number: int | None = Field(default=None, ge=1)
    stats: bool = False
    logs: bool = False
    unused: Literal["images", "volumes"] | None = None
    volumes: bool = False

    @model_validator(mode="after")
    def _one_thing(self) -> Question:
        if sum((self.stats, self.logs, self.volumes, self.unused is not None)) > 1:
            raise ValueError('write only one of "stats", "logs", "volumes" and "unused"')
        if self.number is not None and self.service is None:
            raise ValueError('"number" is one of a service\'s containers; name the "service"')
        if (self.unused is not None or self.volumes) and self.service is not None:
            raise ValueError('an image or a volume belongs to no service; leave "service" out')
        return self

    @model_validator(mode="after")
    def _of_logs(self) -> Question:
        strange = [name for name in _OF_LINES if getattr(self, name) is not None]
        if strange and not self.logs:
            raise ValueError(f'"{strange[0].replace("_", " ")}" is asked of logs; add "logs: true"')
        for name in ("among", "match"):
            if _PLACED.search(getattr(self, name) or ""):
                raise ValueError(f'"{name}" takes no text of a sentence: it could mean more')
        return self

    @property
    def takes_window(self) -> bool:
        """Lines have their instants."""
        return self.logs

    @property
    def is_list(self) -> bool:
        """Of logs, unless they are counted; of all but one service's container."""
        if self.logs:
            return self.count is None and self.mean_of is None
        return self.service is None

    @property
    def container(self) -> str:
        """What is asked, for people."""
        if self.volumes:
            return f"volumes in {self.in_}"
        what = "stats of " if self.stats else "logs of " if self.logs else ""
        what = f"unused {self.unused} of " if self.unused else what
        number = f" {self.number}" if self.number else ""
        return f"{what}{self.service or 'all'}{number} in {self.in_}"


class Containers:
    """Asks the Engine by GET alone.

    The value is a mapping for one container of a service, a Table of containers without `service`,
    of images or of volumes; of logs what the log probe says.
    """

    def drivers(self, question: Question) -> tuple[str, ...]:
        return ("watchkeeper.engine", "watchkeeper.containers")

    def services(self, question: Question) -> tuple[str, ...]:
        return (question.in_,)

    async def look(self, question: Question, reach: Reach, window: Window | None) -> Answer:
        """Raises CouldNotObserve: those of `engine.Engine` and `containers.containers_of`,
        "several" and "no such container" where one is meant, "not running" for its stats, and of
        logs those of the log probe.
        """
        at, began = reach.clock.now(), time.monotonic()
        service = reach.service(question.in_, Docker)
        asking = _Asking(question, service, window)
        try:
            if question.logs:
                value, kind = await asking.logs()
            else:
                value, kind = await asking.in_thread(asking.answer), "200"
        except CouldNotObserve as error:
            raise CouldNotObserve(
                error.kind,
                error.reason,
                source=error.source or asking.source,
                duration_s=time.monotonic() - began,
            ) from None
        return Answer(value, asking.source, at, time.monotonic() - began, kind=kind)


@dataclass(frozen=True)
class _Asking:
    question: Question
    service: Docker
    window: Window | None

    @property
    def source(self) -> str:
        project = f", project {self.service.project}" if self.service.project else ""
        conditions = f" with {self.question.conditions}" if self.question.conditions else ""
        return f"{self.question.container}{project}{conditions}"

    async def in_thread(self, work: Callable[[Engine], T]) -> T:
        deadline_s = self.service.deadline_s

        def asked() -> T:
            from watchkeeper.engine import Engine  # noqa: PLC0415 - heavy

            with Engine(self.service, deadline_s) as engine:
                return work(engine)

        return await in_thread(asked, deadline_s + _GRACE_S, self.source)

    def found(self, engine: Engine) -> tuple[Container, ...]:
        from watchkeeper.containers import containers_of, only_one  # noqa: PLC0415 - heavy

        found = containers_of(engine, self.service.project, self.question.service)
        if self.question.number is None:
            return found
        return (only_one(found, self.question.number),)

    def answer(self, engine: Engine) -> object:
        if self.question.unused is not None:
            return _unused(engine, self.question.unused, self.service.project)
        if self.question.volumes:
            from watchkeeper.containers import volumes  # noqa: PLC0415 - heavy

            return _table(({"name": each.name} for each in volumes(engine)), "name")
        found = self.found(engine)
        rows = _uses(engine, found) if self.question.stats else [_row(each) for each in found]
        if self.question.service is None:
            return _table(rows, "name")
        from watchkeeper.containers import only_one  # noqa: PLC0415 - heavy

        one = only_one(found, self.question.number)
        if self.question.stats and not one.runs:
            raise CouldNotObserve("not running", f"{one.called} is {one.state.status}")
        return rows[0]

    async def logs(self) -> tuple[object, str]:
        """The lines are copied to a file first: a reader of its own can be ended, a regular
        expression in our own process could not.
        """
        from watchkeeper.looking.container_logs import LINE, copy_logs  # noqa: PLC0415 - heavy

        began, deadline_s = time.monotonic(), self.service.deadline_s
        with tempfile.NamedTemporaryFile(prefix="container-logs-") as copy:

            def copied(engine: Engine) -> None:
                found = self.found(engine)
                copy_logs(engine, found, self.window, self.question.last_lines, copy.file)
                copy.flush()

            await self.in_thread(copied)
            left_s = max(_GRACE_S, deadline_s - (time.monotonic() - began))
            asked = {name: getattr(self.question, name) for name in _OF_LINES}
            asked |= {"path": copy.name, "line": LINE, "instant": "at", "last_lines": None}
            value, kind, _ = await read_lines(
                {**asked, "keep": Table.KEEP, "within_s": left_s}, left_s
            )
        return value, kind


def _table(rows: Iterable[Mapping[str, Scalar]], key: str) -> Table:
    listed = [Row.of(row) for row in rows]
    return Table(tuple(listed[: Table.KEEP]), len(listed), key)


def _row(container: Container) -> dict[str, Scalar]:
    return {
        "name": container.called,
        "service": container.service,
        "number": container.number,
        "state": container.state.status,
        "health": container.health,
        "restarts": container.restart_count,
        "image": container.config.image,
        "started": container.started,
        "exit_code": None if container.runs else container.state.exit_code,
        "restart_policy": container.host_config.restart_policy.name or "no",
        "cpus": container.cpus,
        "memory": container.memory,
    }


def _uses(engine: Engine, containers: tuple[Container, ...]) -> list[dict[str, Scalar]]:
    from watchkeeper.looking.container_stats import uses  # noqa: PLC0415 - heavy

    running = {each.called: each for each in containers if each.runs}
    used = uses(engine, running)
    return [
        {
            "name": each.called,
            "service": each.service,
            "cpu_percent": used[each.called].cpu_percent if each.called in used else None,
            "memory": used[each.called].memory if each.called in used else None,
            "memory_percent": used[each.called].memory_percent if each.called in used else None,
        }
        for each in containers
    ]


def _unused(engine: Engine, what: Literal["images", "volumes"], project: str | None) -> Table:
    from watchkeeper.containers import unused_images, unused_volumes  # noqa: PLC0415 - heavy

    if what == "volumes":
        return _table(({"name": each.name} for each in unused_volumes(engine)), "name")
    images = unused_images(engine, project)
    return _table(
        (
            {
                "id": each.id,
                "tags": ", ".join(each.tags) or None,
                "created": datetime.fromtimestamp(each.created, UTC),
                "size": each.size,
            }
            for each in images
        ),
        "id",
    )


PROBE = Containers()
