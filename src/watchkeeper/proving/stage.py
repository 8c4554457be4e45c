"""How do scenarios run on a replica, one fault after the other, fast and without a trace?"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from watchkeeper.changing.operate import Hands
from watchkeeper.changing.operators import OPERATORS
from watchkeeper.clock import Clock
from watchkeeper.errors import ConfigurationError
from watchkeeper.looking.loop import LookingLoop
from watchkeeper.looking.observe import Observer
from watchkeeper.looking.probes import PROBES
from watchkeeper.looking.reach import Kept
from watchkeeper.performing import Performance, Stopped
from watchkeeper.plan import Scenario, Step, services_needed
from watchkeeper.proving.following import FollowedHands, NotSo, comes_to, followed
from watchkeeper.proving.replicas import Replica
from watchkeeper.recording.ledger import Ledger
from watchkeeper.recording.redaction import Redactor
from watchkeeper.services import Database, Docker, Service, Web
from watchkeeper.target_secrets import secrets_of
from watchkeeper.targets import REPLICA, System, Target
from watchkeeper.verdicts import Finding, Verdict

REAL_SHARE = 1 / 200
"""The share of a wait that passes in truth: two minutes are 0.6 s, time for a system to work."""

WATCHED_SHARE = 1 / 1000
"""The same while all must stay as it is: what is to break does so by the clock that is moved."""

PAUSE_S = 10.0
"""How far apart the looks of a wait come to be: two minutes hold 17 of them."""

OPERATION_S = 3.0
"""When an operation is given up; those on a healthy replica take milliseconds."""

ENGINE_S = 15.0
"""The same of a Docker Engine, and of a look at it: restarting all programs can take seconds."""

HURRIED = {"python": OPERATION_S, "command": OPERATION_S, "sql": OPERATION_S, "container": ENGINE_S}
"""Operators whose operations a fault can make wait; the rest has a service's deadline."""

CLOSING_S = 10.0
"""How long a browser may take to close, seconds."""


@dataclass
class DrillClock(Clock):
    """A clock that is moved on by waiting, here and in the replica."""

    longest_pause_s: float = PAUSE_S
    replica: Replica | None = None
    moved: bool = field(default=False, init=False)

    def sleep(self, seconds: float) -> None:
        self._pass(seconds, REAL_SHARE)

    def watch(self, seconds: float) -> None:
        self._pass(seconds, WATCHED_SHARE)

    def begin_again(self) -> None:
        """Be as right as the clock of a replica that was reset: else it has no present at ours."""
        self.offset = timedelta(0)

    def _pass(self, seconds: float, share: float) -> None:
        if self.replica is not None and self.replica.real_time:
            time.sleep(seconds)
            return
        time.sleep(seconds * share)
        self.offset += timedelta(seconds=seconds * (1 - share))
        self.moved = True
        if self.replica is not None:
            self.replica.move_clock(self.offset.total_seconds())


class Stage:
    """A replica, and the scenarios of its system that are run on it again and again.

    Nothing but a replica can be the stage: it is made of one. Not thread-safe.
    """

    def __init__(
        self,
        system: System,
        scenarios: Sequence[Scenario],
        replica: Replica,
        ledger: Ledger,
        redactor: Redactor,
    ) -> None:
        if any(scenario.system.slug != system.slug for scenario in scenarios):
            raise ConfigurationError("a replica is the stage of one system")
        # A real-time replica's faults do not hang, and its machine may be busy.
        hurried = scenarios if replica.real_time else map(_in_haste, scenarios)
        # Those that change come last: what they leave behind must not meet those that look.
        self.scenarios = tuple(sorted(hurried, key=lambda scenario: not scenario.only_looks))
        self.replica = replica
        self._ledger = ledger
        self._target = Target(system, system.environments[REPLICA], replica.variables)
        self._services = self._target.services(services_needed(self.scenarios, self._target))
        redactor.add_secrets(secrets_of(self._target, self._services))
        self._learn = redactor.add
        self._following = frozenset(dial.name for dial in replica.dials() if dial.follows)
        self._looking = LookingLoop()
        self._kept = Kept()
        self._ready = False

    def run(
        self, turns: Sequence[str], scenarios: Sequence[Scenario], deadline_s: float
    ) -> tuple[tuple[Scenario, tuple[Finding, ...]], ...]:
        """What `scenarios` find while the dials `turns` are on; then the replica is put right.

        Before each scenario that changes, the replica is fresh but for the dials. Raises NotSo
        where the replica does not show a fault or does not lose it, and ConfigurationError where a
        dial can't be turned.
        """
        found: list[tuple[Scenario, tuple[Finding, ...]]] = []
        try:
            self._turn(turns)
            clock = DrillClock(replica=self.replica)
            if self.replica.real_time:
                clock.longest_pause_s = Clock().longest_pause_s
            with self._observing(turns, deadline_s, clock) as (observer, hands):
                lookers = [each for each in scenarios if each.only_looks]
                observer.ahead(look for each in lookers for look in each.looks_ahead)
                found += [(each, _performed(each, observer, hands)) for each in lookers]
                clean = True
                for scenario in (each for each in scenarios if not each.only_looks):
                    observer.forget()
                    if not clean:
                        self._reset(turns)
                        clock.begin_again()
                        observer.as_given()
                        self._turn(turns)
                    clean = False
                    found.append((scenario, _performed(scenario, observer, hands)))
        finally:
            self._reset(turns)
        return tuple(found)

    def close(self) -> None:
        """Stop looking and take the replica away."""
        with suppress(TimeoutError):  # it is ended with this process at the latest
            self._looking.start(self._kept.close()).result(CLOSING_S)
        self._looking.close()
        self.replica.close()

    def _turn(self, turns: Iterable[str]) -> None:
        for name in turns:
            self.replica.turn(name)
        for name in turns:
            if not comes_to(self.replica, name, on=True):
                raise NotSo(f'the replica was told "{name}", and does not show it')

    def _reset(self, turns: Iterable[str]) -> None:
        self.replica.reset()
        for name in turns:
            if not comes_to(self.replica, name, on=False):
                raise NotSo(f'the replica was reset, and still shows "{name}"')

    @contextmanager
    def _observing(
        self, turns: Sequence[str], deadline_s: float, clock: DrillClock
    ) -> Iterator[tuple[Observer, Hands]]:
        """Eyes and hands that know nothing of the fault before: no answer, session or refusal."""
        services = self._services
        if not self.replica.real_time:
            services = {name: _hurried(each, deadline_s) for name, each in services.items()}
        observer = Observer(
            self._target,
            services,
            PROBES,
            self._looking,
            clock,
            learn=self._learn,
            kept=self._kept,
        )
        if not self._ready:
            steps = (step for scenario in self.scenarios for step in scenario.steps)
            observer.make_ready(look for step in steps for look in step.looks)
            self._ready = True
        try:
            hands = FollowedHands(self._target, observer, OPERATORS, self._ledger, "destroys")
            following = [name for name in turns if name in self._following]
            hands.follow = partial(followed, self.replica, following)
            yield observer, hands
        finally:
            observer.close()
            if clock.moved:
                self.replica.move_clock(0)


def _in_haste(scenario: Scenario) -> Scenario:
    """The scenario with a short deadline for operations that would wait for a lock or an answer."""
    return replace(scenario, steps=tuple(_in_haste_step(step) for step in scenario.steps))


def _in_haste_step(step: Step) -> Step:
    operation = step.operation
    if operation is None or operation.operator not in HURRIED:
        return step
    order = operation.order.model_copy(
        update={"deadline": f"{HURRIED[operation.operator]:g} seconds"}
    )
    return replace(step, operation=replace(operation, order=order))


def _hurried(service: Service, deadline_s: float) -> Service:
    """The service with a short deadline, where it is one that a fault can make wait."""
    if isinstance(service, Web | Database):
        return service.model_copy(update={"deadline": f"{deadline_s:g} seconds"})
    if isinstance(service, Docker):
        return service.model_copy(update={"deadline": f"{ENGINE_S:g} seconds"})
    return service


def _performed(scenario: Scenario, observer: Observer, hands: Hands) -> tuple[Finding, ...]:
    """All findings of one scenario, to its end or to where it stopped, with its undoing."""
    performance = Performance(scenario, observer, hands)
    broken: list[Finding] = []
    step = scenario.steps[0]
    try:
        for step in scenario.steps:
            performance.perform(step)
    except Stopped:
        pass  # what stopped it is among the findings
    except Exception as error:  # our own fault tells nothing about the system
        told = f"Watchkeeper itself failed: {type(error).__name__}: {error}"
        at = datetime.now(UTC)
        broken = [Finding(step.written.text, Verdict.UNKNOWN, told, str(scenario.path), at, 0.0)]
    performance.finish()
    return (*(account.finding for account in performance.accounts), *broken)
