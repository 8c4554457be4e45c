"""The only path that looks: now, ahead, within and throughout."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent import futures
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from pydantic import ValidationError

from watchkeeper.clock import Clock, Window
from watchkeeper.errors import ConfigurationError, CouldNotObserve
from watchkeeper.looking.loop import LagMeter, LookingLoop
from watchkeeper.looking.reach import Kept, Probe, Reach
from watchkeeper.looking.reading import read, read_refusal
from watchkeeper.observation import Answer, Observation
from watchkeeper.plan import Look, bound, key_of
from watchkeeper.services import Model, Service
from watchkeeper.targets import Figure, Target, services_in
from watchkeeper.units import duration_s

T = TypeVar("T")

TRIES_UNDISTURBED = 3
"""How often a duration is measured again when this machine itself was slow."""
LAG_SHARE = 0.1
"""The share of a measured duration that our own lag may have."""
GRACE_S = 5.0
"""How long past its deadline a probe is waited for, before it is given up from outside."""
UNBOUNDED_AT_ONCE = 8
"""How many looks at once for questions that ask no service."""
POLL_S = 0.1
"""How soon a tense looks again at first; each pause is twice the one before."""


@dataclass
class _Asked:
    """A question under way or answered; `began_s`: when its look began, by the monotonic clock."""

    answer: Future[Answer]
    began_s: float | None = None

    def older_than(self, seconds: float) -> bool:
        if not self.answer.done() or self.began_s is None:
            return False
        return time.monotonic() - self.began_s > seconds


class Observer:
    """One target's eyes for the length of a run.

    Not thread-safe: one thread judges, the loop's thread looks.
    """

    def __init__(
        self,
        target: Target,
        services: Mapping[str, Service],
        probes: Mapping[str, Probe[Any]],
        looking: LookingLoop,
        clock: Clock,
        *,
        learn: Callable[[str], object] = lambda secret: None,
        kept: Kept | None = None,
    ) -> None:
        self.target = target
        self.clock = clock
        self._probes = probes
        self._looking = looking
        self._reach = Reach(services, clock, learn, kept)
        self._services = services
        self._asked: dict[str, _Asked] = {}
        self._turns = _Turns(services)
        self._keys: dict[tuple[Any, ...], tuple[Model, str]] = {}

    def make_ready(self, looks: Iterable[Look]) -> None:
        """Import what `looks` will need, so that no duration holds an import."""
        for look in looks:
            for driver in self._probes[look.figure.probe].drivers(look.figure.question):
                if driver not in sys.modules:
                    with contextlib.suppress(Exception):  # the look itself says what is wrong
                        importlib.import_module(driver)

    def ahead(self, looks: Iterable[Look]) -> None:
        """Start `looks` now, each distinct question once, so that judging finds them done."""
        new: list[tuple[Model, Look, _Asked]] = []
        for look in looks:
            question, key = self._question(look, None)
            if key not in self._asked:
                asked = self._asked[key] = _Asked(Future())
                new.append((question, look, asked))
        if new:
            self._looking.loop.call_soon_threadsafe(self._start_all, new)

    def _start_all(self, new: list[tuple[Model, Look, _Asked]]) -> None:
        for question, look, asked in new:
            task = asyncio.ensure_future(self._look(look, question, asked))
            task.add_done_callback(_retrieved)

    def now(
        self, look: Look, *, fresh: bool = False, late: Mapping[str, str] | None = None
    ) -> Observation:
        """What `look` sees: the answer started ahead, where it is not too old, else a new one.

        Raises CouldNotObserve.
        """
        try:
            question, key = self._question(look, late)
        except (ConfigurationError, ValidationError) as error:
            raise CouldNotObserve("configuration", _in_one_line(error)) from None
        asked = self._asked.get(key)
        if asked is None or fresh or asked.older_than(duration_s(look.figure.options.max_age)):
            asked = self._asked[key] = _Asked(Future())
            self._looking.loop.call_soon_threadsafe(self._start_all, [(question, look, asked)])
        return self._observation(look, asked)

    def _observation(self, look: Look, asked: _Asked) -> Observation:
        figure = look.figure
        try:
            answer = asked.answer.result()
        except CouldNotObserve as reason:
            if figure.is_availability:
                return read_refusal(figure, look.noun, reason, self.clock.now())
            raise
        return read(figure, look.noun, answer, self._window(look, answer.at))

    def availability(self, look: Look, *, fresh: bool) -> tuple[Figure, Observation] | None:
        """The availability figure of the first service that `look` asks, and what it says.

        None where the service has none, or where that too could not be observed.
        """
        for service in look.services[:1]:
            figure = self.target.system.availability_of(service)
            if figure is None or figure.name == look.figure.name:
                return None
            try:
                return figure, self.now(Look(figure.name, figure, ()), fresh=fresh)
            except CouldNotObserve:
                return None
        return None

    def forget(self) -> None:
        """A barrier: wait for all that is under way, and use nothing of it afterwards.

        Each look has its own deadline, so this ends.
        """
        futures.wait([asked.answer for asked in self._asked.values()])
        self._asked.clear()

    def as_given(self) -> None:
        """Use the credentials of the beginning again; see Reach."""
        self._reach.as_given()

    def run(self, work: Callable[[Reach], Any]) -> Any:
        """The result of what `work` makes of this target's reach, on the loop."""
        return self._looking.start(work(self._reach)).result()

    def close(self) -> None:
        self._looking.start(self._reach.close()).result(GRACE_S)

    def _question(self, look: Look, late: Mapping[str, str] | None) -> tuple[Model, str]:
        if late or look.late:
            question = bound(look, self.target, late)
            return question, key_of(look, question)
        known = (look.figure.name, look.arguments, look.window_s, look.ago_s)
        if known not in self._keys:
            question = bound(look, self.target)
            self._keys[known] = (question, key_of(look, question))
        return self._keys[known]

    def _window(self, look: Look, at: datetime) -> Window | None:
        if look.window_s is None:
            return None
        until = at - timedelta(seconds=look.ago_s)
        return Window(until - timedelta(seconds=look.window_s), until)

    async def _look(self, look: Look, question: Model, asked: _Asked) -> None:
        """Ask, and settle the answer whatever happens: a probe's fault must not hang the run."""
        future = asked.answer
        try:
            async with self._turns.turn(question, alone=look.figure.alone):
                asked.began_s = time.monotonic()
                answer = await self._ask(look, question)
        except CouldNotObserve as reason:
            future.set_exception(reason)
        except ConfigurationError as error:
            future.set_exception(CouldNotObserve("configuration", _in_one_line(error)))
        except asyncio.CancelledError:
            future.set_exception(
                CouldNotObserve("stopped", "the run was stopped before it answered")
            )
            raise
        except Exception as error:
            future.set_exception(
                CouldNotObserve("error", f"the {look.figure.probe} probe failed: {error!r}")
            )
        else:
            future.set_result(answer)

    async def _ask(self, look: Look, question: Model) -> Answer:
        if look.figure.options.measures != "duration":
            return await self._once(look, question)
        for _ in range(TRIES_UNDISTURBED):
            async with LagMeter() as lag:
                answer = await self._once(look, question)
            if lag.worst_s <= LAG_SHARE * answer.duration_s:
                return answer
        raise CouldNotObserve(
            "disturbed",
            f"this machine was itself {lag.worst_s * 1000:.0f} ms late while it measured "
            f"{answer.duration_s * 1000:.0f} ms, {TRIES_UNDISTURBED} times",
            source=answer.source,
            duration_s=answer.duration_s,
        )

    async def _once(self, look: Look, question: Model) -> Answer:
        deadline_s = self._turns.deadline_s(question) + GRACE_S
        window = self._window(look, self.clock.now())
        probe = self._probes[look.figure.probe]
        try:
            async with asyncio.timeout(deadline_s):
                return await probe.look(question, self._reach, window)
        except TimeoutError:
            raise CouldNotObserve(
                "timeout", f"no answer within {deadline_s:g} s", duration_s=deadline_s
            ) from None


def _in_one_line(error: Exception) -> str:
    """A mistake's sentence; of pydantic's without the value, which may be a secret."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return " ".join(first["msg"].removeprefix("Value error, ").split())
    return " ".join(str(error).split())


def _retrieved(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()


class _Turns:
    """Who may look when: at most `at_once` on each service, nothing beside an `alone` figure."""

    def __init__(self, services: Mapping[str, Service]) -> None:
        self._services = services
        self._semaphores: dict[str, asyncio.Semaphore] = {}
        self._under_way = 0
        self._alone = False
        self._alone_waiting = 0
        self._changed: asyncio.Condition | None = None

    def turn(self, question: Model, *, alone: bool) -> _Turn:
        return _Turn(self, None if alone else self._semaphore(question))

    def deadline_s(self, question: Model) -> float:
        asked = [self._services.get(name) or Service() for name in services_in(question)]
        own = vars(question).get("deadline")
        limits = [each.deadline_s for each in asked or [Service()]]
        return max([*limits, duration_s(own)] if own else limits)

    def _semaphore(self, question: Model) -> asyncio.Semaphore:
        name = next(iter(services_in(question)), "")
        if name not in self._semaphores:
            service = self._services.get(name)
            at_once = service.at_once if service is not None else UNBOUNDED_AT_ONCE
            self._semaphores[name] = asyncio.Semaphore(at_once)
        return self._semaphores[name]

    async def enter(self, semaphore: asyncio.Semaphore) -> None:
        await semaphore.acquire()
        try:
            # Without an alone figure in sight this costs no more than a comparison.
            await self._until(lambda: not (self._alone or self._alone_waiting))
        except asyncio.CancelledError:
            semaphore.release()
            raise
        self._under_way += 1

    async def enter_alone(self) -> None:
        """One that waits goes before all that come later, or a long queue would hold it to the end.

        It needs no place on its service: nothing else is under way there.
        """
        self._alone_waiting += 1
        try:
            await self._until(lambda: not (self._alone or self._under_way))
        finally:
            self._alone_waiting -= 1
        self._alone = True

    async def leave(self, semaphore: asyncio.Semaphore | None) -> None:
        if semaphore is None:
            self._alone = False
        else:
            self._under_way -= 1
            semaphore.release()
        if self._changed is not None:
            async with self._changed:
                self._changed.notify_all()

    async def _until(self, free: Callable[[], bool]) -> None:
        while not free():
            if self._changed is None:
                self._changed = asyncio.Condition()
            async with self._changed:
                await self._changed.wait()


@dataclass(frozen=True)
class _Turn:
    """`semaphore`: its service's; None for a look that is alone."""

    turns: _Turns
    semaphore: asyncio.Semaphore | None

    async def __aenter__(self) -> None:
        if self.semaphore is None:
            await self.turns.enter_alone()
        else:
            await self.turns.enter(self.semaphore)

    async def __aexit__(self, *_: object) -> None:
        await self.turns.leave(self.semaphore)


def within(seconds: float, judge: Callable[[], T], good: Callable[[T], bool], clock: Clock) -> T:
    """The first good judgement within `seconds`, else the last one."""
    return _repeated(seconds, judge, stop=good, clock=clock, pause=clock.sleep)


def throughout(
    seconds: float,
    judge: Callable[[], T],
    good: Callable[[T], bool],
    clock: Clock,
    *,
    badness: Callable[[T], int],
) -> T:
    """The first judgement that is not good within `seconds`, else the worst, latest one."""
    found: list[T] = []

    def judged() -> T:
        found.append(judge())
        return found[-1]

    _repeated(seconds, judged, stop=lambda each: not good(each), clock=clock, pause=clock.watch)
    return max(reversed(found), key=badness)


def _repeated(
    seconds: float,
    judge: Callable[[], T],
    *,
    stop: Callable[[T], bool],
    clock: Clock,
    pause: Callable[[float], None],
) -> T:
    until = clock.now() + timedelta(seconds=seconds)
    pause_s = POLL_S
    while True:
        found = judge()
        left = (until - clock.now()).total_seconds()
        if stop(found) or left <= 0:
            return found
        pause(min(pause_s, left))
        pause_s = min(pause_s * 2, clock.longest_pause_s)
