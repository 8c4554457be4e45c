"""How are a project's containers restarted, scaled and limited, and what is unused removed?"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, model_validator

from watchkeeper.changing.operator import Done
from watchkeeper.changing.working import since, working
from watchkeeper.errors import OperationFailed, OperationRefused
from watchkeeper.looking.reach import Reach
from watchkeeper.observation import Answer
from watchkeeper.services import Docker, Duration, Model
from watchkeeper.units import duration_s, size_bytes

if TYPE_CHECKING:
    from watchkeeper.changing.engine_at_work import AtWork

T = TypeVar("T")

ALL = "all services"
"""In place of a service: every one of the project."""

_VERBS = ("restart", "start", "stop", "scale", "limit", "run", "remove")


_LATE = r"\{[a-z]"  # what an earlier sentence saw is filled in, and then is checked once more


def _size(text: str) -> str:
    if not re.search(_LATE, text):
        size_bytes(text)
    return text


Size = Annotated[str, AfterValidator(_size)]
Late = Annotated[str, Field(pattern=_LATE)]
Count = Annotated[int, Field(ge=0, le=100)]
Cpus = Annotated[float, Field(gt=0)]


class Order(Model):
    """Exactly one of, in the project of the Engine service `in`:

    `restart`, `start`, `stop`: a compose service, or "all services"; all its containers.
    `scale`: a service, `to` so many containers. `limit`: a service, to so many `cpus` and so much
    `memory` ("8 GiB"). `run`: an argument list (no shell), inside the one container of `service`,
    or its `number`; `exit codes`: those that mean it is done; a word is its outcome.
    `remove`: what no container needs; `exactly`: of that only these, else what there is when the
    order is given, which is in the ledger before anything is removed.
    """

    in_: str
    restart: str | None = None
    start: str | None = None
    stop: str | None = None
    scale: str | None = None
    to: Count | Late | None = None
    limit: str | None = None
    cpus: Cpus | Late | None = None
    memory: Size | None = None
    run: tuple[str, ...] | None = Field(default=None, min_length=1)
    service: str | None = None
    number: int | None = Field(default=None, ge=1)
    exit_codes: dict[int, str | Literal[True]] = Field(default={0: True})
    remove: Literal["dangling images", "unused images", "unused volumes"] | None = None
    exactly: tuple[str, ...] | None = None
    deadline: Duration = "60 seconds"

    @model_validator(mode="after")
    def _one_verb(self) -> Order:
        given = [verb for verb in _VERBS if getattr(self, verb) is not None]
        if len(given) != 1:
            raise ValueError(f"write exactly one of {', '.join(_VERBS)}; found: {given or 'none'}")
        if (self.scale is None) != (self.to is None):
            raise ValueError('"scale" and "to" belong together')
        limits = self.cpus is not None or self.memory is not None
        if (self.limit is not None) != limits:
            raise ValueError('"limit" goes with "cpus" or "memory" or both')
        if (self.run is None) != (self.service is None):
            raise ValueError('"run" and "service" belong together')
        if self.exactly is not None and self.remove is None:
            raise ValueError('"exactly" goes with "remove"')
        return self

    @property
    def verb(self) -> str:
        return next(verb for verb in _VERBS if getattr(self, verb) is not None)

    @property
    def container(self) -> str:
        """What is ordered, for people."""
        said = getattr(self, self.verb)
        what = " ".join(said) if isinstance(said, tuple) else said
        more = {
            "scale": f" to {self.to}",
            "limit": "".join(
                f" to {each}" for each in (self.cpus and f"{self.cpus:g} CPUs", self.memory) if each
            ),
            "run": f" inside {self.service}",
        }
        return f"{self.verb} {what}{more.get(self.verb, '')}"


@dataclass(frozen=True)
class Outcome:
    """What a piece of work hands back, before it is a Done."""

    value: object
    word: str = ""
    kind: str = "done"
    excerpt: str = ""
    made: tuple[tuple[str, str], ...] = ()


class ContainerOperator:
    """Touches only containers that carry the project's label, and exactly those that are meant."""

    def services(self, order: Order) -> tuple[str, ...]:
        return (order.in_,)

    def leaves_open(self, order: Model) -> bool:
        return isinstance(order, Order) and order.remove is not None

    async def settle(self, order: Order, reach: Reach) -> tuple[Order, tuple[str, ...]]:
        """The order with the list of what is removed."""
        if order.remove is None:
            return order, ()
        listed = await self._at_work(order, reach, lambda work: work.removable(order.remove))
        exactly = tuple(each for each in listed if order.exactly is None or each in order.exactly)
        return order.model_copy(update={"exactly": exactly}), exactly

    async def operate(self, order: Order, reach: Reach) -> Done:
        """Value: {"containers": […]}, {"removed": […]}, or what the program said.

        Raises OperationRefused where what is meant is not there or is not the project's,
        OperationFailed where the Engine said no or could not be reached, OperationUnknown where an
        answer to a change never came or was a 5xx.
        """
        at, began = reach.clock.now(), time.monotonic()
        notes: list[str] = []

        def done(work: AtWork) -> Outcome:
            outcome = _DOING[order.verb](order, work)
            notes.extend(work.notes)
            return outcome

        return _done(order, await self._at_work(order, reach, done), at, since(began), notes)

    async def _at_work(self, order: Order, reach: Reach, do: Callable[[AtWork], T]) -> T:
        service = reach.service(order.in_, Docker)
        project, deadline_s = service.project, duration_s(order.deadline)
        if not project:
            raise OperationRefused(
                f'"{order.in_}" names no compose project, and containers of no project are never '
                'touched; add "project: …" to the service'
            )

        def work() -> T:
            from watchkeeper.changing.engine_at_work import at_work  # noqa: PLC0415 - heavy

            with at_work(service, project, deadline_s) as working_engine:
                return do(working_engine)

        return await working(work, deadline_s, order.container)


def _done(
    order: Order, outcome: Outcome, at: datetime, duration_s: float, notes: list[str]
) -> Done:
    return Done(
        value=outcome.value,
        outcome=outcome.word,
        source=order.container,
        at=at,
        duration_s=duration_s,
        kind=outcome.kind,
        excerpt=outcome.excerpt[: Answer.EXCERPT],
        made=outcome.made,
        note="; ".join(notes),
    )


def _restart(order: Order, work: AtWork) -> Outcome:
    return Outcome({"containers": work.restart(_service(order.restart))})


def _start(order: Order, work: AtWork) -> Outcome:
    return Outcome({"containers": work.start(_service(order.start))})


def _stop(order: Order, work: AtWork) -> Outcome:
    return Outcome({"containers": work.stop(_service(order.stop))})


def _service(said: str | None) -> str | None:
    return None if said == ALL else said


def _scale(order: Order, work: AtWork) -> Outcome:
    assert order.scale is not None
    assert isinstance(order.to, int)
    created, removed = work.scale(order.scale, order.to)
    return Outcome(
        {"created": created, "removed": removed},
        made=tuple(("container", name) for name in created),
    )


def _limit(order: Order, work: AtWork) -> Outcome:
    assert order.limit is not None
    assert not isinstance(order.cpus, str)
    memory = None if order.memory is None else round(size_bytes(order.memory))
    return Outcome({"containers": work.limit(order.limit, order.cpus, memory)})


def _run(order: Order, work: AtWork) -> Outcome:
    assert order.run is not None
    assert order.service is not None
    code, out, err = work.run(order.service, order.number, order.run)
    meaning = order.exit_codes.get(code)
    kind = f"exit {code}"
    if meaning is None:
        last = (err.strip() or out.strip()).rpartition("\n")[2] or "it said nothing"
        raise OperationFailed(f"{order.run[0]}: {kind}: {last}")
    word = "" if meaning is True else meaning
    return Outcome(out.removesuffix("\n"), word, kind, out or err)


def _remove(order: Order, work: AtWork) -> Outcome:
    assert order.remove is not None
    if order.exactly is None:
        raise OperationRefused("what is to be removed was not listed first; nothing was removed")
    return Outcome({"removed": work.remove(order.remove, order.exactly)})


_DOING: dict[str, Callable[[Order, AtWork], Outcome]] = {
    "restart": _restart,
    "start": _start,
    "stop": _stop,
    "scale": _scale,
    "limit": _limit,
    "run": _run,
    "remove": _remove,
}

OPERATOR = ContainerOperator()
