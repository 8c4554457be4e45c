"""What a probe may use to reach a system: its services, one run's open connections, the time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Any, Protocol, TypeVar

from watchkeeper.clock import Clock, Window
from watchkeeper.errors import ConfigurationError, CouldNotObserve
from watchkeeper.observation import Answer
from watchkeeper.services import Model, Service

S = TypeVar("S", bound=Service)
T = TypeVar("T")
Q = TypeVar("Q", bound=Model, contravariant=True)  # noqa: PLC0105 - Q as in Question


class Probe(Protocol[Q]):
    """A way of looking: `look` returns an Answer or raises CouldNotObserve, and changes nothing.

    `services(question)` names the services a question asks, the one that it needs most first.
    `drivers(question)` names the modules that it imports late; they are imported before the first
    look, so that no look's duration holds an import.
    """

    def drivers(self, question: Q) -> tuple[str, ...]: ...

    def services(self, question: Q) -> tuple[str, ...]: ...

    async def look(self, question: Q, reach: Reach, window: Window | None) -> Answer: ...


class Kept:
    """What several reaches have one after another: a browser, which takes seconds to start.

    It may hold nothing of the system that is looked at. Lives on one event loop.
    """

    def __init__(self) -> None:
        self._resources: dict[Hashable, asyncio.Task[Any]] = {}
        self._closers: list[Callable[[], Awaitable[None]]] = []

    async def resource(
        self,
        key: Hashable,
        make: Callable[[], Awaitable[T]],
        close: Callable[[T], Awaitable[None]] | None = None,
    ) -> T:
        """What `make` makes, made once for `key` however many ask at the same time.

        A failure to make it is kept as well: a refused login is refused for all that need it.
        """
        task = self._resources.get(key)
        if task is None:
            task = self._resources[key] = asyncio.ensure_future(make())
            if close is not None:
                self._closers.append(lambda: _closed(task, close))
        return await asyncio.shield(task)

    def forget(self, key: Hashable) -> None:
        """Let the next `resource(key)` be made anew (a login that lapsed)."""
        self._resources.pop(key, None)

    async def close(self) -> None:
        for closer in reversed(self._closers):
            await closer()


class Reach(Kept):
    """One target's services and connections, for the length of a run.

    What `resource` makes is made once and closed by `close`; what is in `kept` outlives it. `learn`
    is told each secret that comes up during the run, so that no record shows it.
    """

    def __init__(
        self,
        services: Mapping[str, Service],
        clock: Clock,
        learn: Callable[[str], object] = lambda secret: None,
        kept: Kept | None = None,
    ) -> None:
        super().__init__()
        self.kept = kept or self
        self._given = services
        self._services = dict(services)
        self.clock = clock
        self.learn = learn

    def service(self, name: str, kind: type[S]) -> S:
        """The service called `name`; raises ConfigurationError where it is of another kind."""
        found = self._services.get(name)
        if not isinstance(found, kind):
            raise ConfigurationError(f'there is no {kind.__name__.lower()} service "{name}"')
        return found

    def renew(self, name: str, service: Service) -> None:
        """From now on enter `name` as `service` says: what opened its door was changed."""
        self._services[name] = service
        self.forget(("web client", name))

    def as_given(self) -> None:
        """Enter every service as at the beginning: a replica that was reset has its old keys."""
        for name, service in self._given.items():
            if self._services[name] is not service:
                self.renew(name, service)


async def _closed(task: asyncio.Task[T], close: Callable[[T], Awaitable[None]]) -> None:
    if task.done() and not task.cancelled() and task.exception() is None:
        await close(task.result())
    else:
        task.cancel()


async def in_thread(work: Callable[[], T], deadline_s: float, what: str) -> T:
    """The result of blocking `work`, in a daemon thread of its own.

    Not in the loop's executor: a driver that hangs there would keep the process from ending.
    Raises CouldNotObserve of kind "timeout" after `deadline_s`; the thread is then left behind.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as raised:
            error = raised
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:  # the loop has closed: nobody waits any more
            return

    threading.Thread(target=run, name=f"look: {what}", daemon=True).start()
    try:
        return await asyncio.wait_for(done, deadline_s)
    except TimeoutError as late:
        if done.done() and not done.cancelled():
            raise
        raise CouldNotObserve(
            "timeout", f"no answer within {deadline_s:g} s", source=what, duration_s=deadline_s
        ) from late
