"""One run's state: systems, replicas, observers, and what is looked at ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from watchkeeper.changing.operate import Hands
from watchkeeper.changing.operators import OPERATORS
from watchkeeper.clock import Clock
from watchkeeper.errors import ConfigurationError
from watchkeeper.kinds import KINDS
from watchkeeper.leftovers import clean_up
from watchkeeper.looking.loop import LookingLoop
from watchkeeper.looking.observe import Observer
from watchkeeper.looking.probes import PROBES
from watchkeeper.performing import Performance
from watchkeeper.plan import Scenario, services_needed
from watchkeeper.proving.following import FollowedHands, followed
from watchkeeper.proving.replicas import EMBEDDED, Replica, start_replica
from watchkeeper.pytest_plugin import bdd_internals
from watchkeeper.pytest_plugin.linting import Seen
from watchkeeper.pytest_plugin.options import Options
from watchkeeper.pytest_plugin.words import DICTIONARY
from watchkeeper.recording.ledger import Ledger
from watchkeeper.recording.redaction import Redactor
from watchkeeper.target_file import load_systems
from watchkeeper.target_secrets import early_secrets, secrets_of
from watchkeeper.targets import REPLICA, System, Target, variables_of
from watchkeeper.yaml_file import nearest

WATCH = pytest.StashKey["Watch"]()

AHEAD = 512
"""Scenarios looked at ahead: enough to keep services busy, few enough to stay fresh."""


class Watch:
    """A run of scenarios in one process.

    `load` reads the target files, `begin` starts what the selected scenarios need, `perform` gives
    each its performance, `end` takes everything away again.
    """

    def __init__(self, root: Path, options: Options, tags: frozenset[str]) -> None:
        self.root = root
        self.options = options
        self.tags = tags
        self.systems: Mapping[str, System] = {}
        self.seen = Seen({})
        self.redactor = Redactor()
        self.clock = Clock()
        self.taken: tuple[str, ...] = ()
        self._looking: LookingLoop | None = None
        self._replicas: dict[str, Replica] = {}
        self._observers: dict[str, Observer] = {}
        self._hands: dict[str, Hands] = {}
        self._order: dict[str, int] = {}
        self._scenarios: list[Scenario] = []
        self._next_ahead = 0

    def load(self) -> None:
        """Read targets/*.yml once; raises ConfigurationError."""
        if self.systems:
            return
        self.systems = load_systems(self.root / "targets", KINDS)
        self._know_secrets()
        DICTIONARY.load(self.systems.values())
        bdd_internals.install()

    def begin(
        self, selected: Sequence[tuple[str, Scenario]], tell: Callable[[str], object] = str
    ) -> None:
        """Start the replicas and connections that `selected` need; raises ConfigurationError.

        Nothing is looked at before every target, variable and dial was found. `tell` hears what a
        replica waits for.
        """
        self._order = {node: place for place, (node, _) in enumerate(selected)}
        self._scenarios = [scenario for _, scenario in selected]
        systems = {scenario.system.slug: scenario.system for scenario in self._scenarios}
        self.taken = clean_up()
        if self.options.target != REPLICA and self.options.replicas != EMBEDDED:
            raise ConfigurationError(
                f"--replicas is about replicas, and the target is {self.options.target}"
            )
        if self.options.target != REPLICA and self.options.dials:
            raise ConfigurationError(
                f"--dial turns a replica's dial, and the target is {self.options.target}"
            )
        for system in systems.values():
            self._require_target(system)
        if self.options.target == REPLICA:
            self._start_replicas(systems, tell)
        targets = {slug: self._target(system) for slug, system in systems.items()}
        self._looking = LookingLoop()
        for slug, target in targets.items():
            self._open(slug, target)
        self._turn_dials()

    def keep_ledger(self, ledger: Ledger) -> None:
        """From here on things may be changed, since what is done is recorded."""
        for slug, observer in self._observers.items():
            hands = FollowedHands(observer.target, observer, OPERATORS, ledger, self.options.allow)
            hands.follow = self._following(slug)
            self._hands[slug] = hands

    def _following(self, slug: str) -> Callable[[], None]:
        """What lets the replica's dials spoil what was done; nothing where none is turned."""
        replica, turned = self._replicas.get(slug), self.options.dials
        if replica is None or not turned:
            return lambda: None
        following = [each.name for each in replica.dials() if each.follows and each.name in turned]
        return partial(followed, replica, following)

    def observer_of(self, system: System) -> Observer:
        """The eyes of a system that this run has begun."""
        return self._observers[system.slug]

    def left_out(self, node: str) -> str:
        """Why the scenario does not apply at this target; "" where it does."""
        scenario = self._scenarios[self._order[node]]
        target = self._observers[scenario.system.slug].target
        leaves_out = dict(target.environment.options.leaves_out)
        if scenario.system.slug in self._replicas:
            leaves_out |= self._replicas[scenario.system.slug].leaves_out
        return next((leaves_out[each] for each in scenario.ids if each in leaves_out), "")

    def perform(
        self, node: str, waiting: Callable[[str], None], following: str | None = None
    ) -> Performance:
        """The performance of the scenario `node`, with the looks of those after it under way.

        `waiting` is told what was found while a sentence waits. `following`: under xdist, the one
        item that is known to come next in this process.
        """
        place = self._order[node]
        scenario = self._scenarios[place]
        slug = scenario.system.slug
        if self.options.lookahead:
            self._look_ahead(place, following)
        if not scenario.only_looks:
            self._observers[slug].forget()
        return Performance(scenario, self._observers[slug], self._hands[slug], waiting)

    def performed(self, node: str) -> None:
        """After a scenario that changes nothing seen before it counts any more."""
        place = self._order[node]
        scenario = self._scenarios[place]
        if not scenario.only_looks:
            self._observers[scenario.system.slug].forget()
            self._next_ahead = place + 1

    def end(self) -> None:
        """Close connections and take the replicas away; safe to call twice."""
        for observer in self._observers.values():
            observer.close()
        self._observers.clear()
        if self._looking is not None:
            self._looking.close()
            self._looking = None
        for replica in self._replicas.values():
            replica.close()
        self._replicas.clear()

    def _know_secrets(self) -> None:
        """Before features are read: what stands in one is shown where it is refused.

        A replica's secrets are made when it starts, so that no feature can hold one.
        """
        for system in self.systems.values():
            environment = system.environments.get(self.options.target)
            if environment is not None and environment.name != REPLICA:
                for held in early_secrets(Target(system, environment, variables_of())):
                    self.redactor.add_secrets(held)

    def _require_target(self, system: System) -> None:
        name = self.options.target
        if name not in system.environments:
            raise ConfigurationError(
                f"{system.called} has no target {name}; {system.path.name} has: "
                f"{', '.join(system.environments)}",
                hint=nearest(name, system.environments),
            )

    def _target(self, system: System) -> Target:
        replica = self._replicas.get(system.slug)
        variables = variables_of() if replica is None else replica.variables
        return Target(system, system.environments[self.options.target], variables)

    def _start_replicas(self, slugs: Iterable[str], tell: Callable[[str], object]) -> None:
        """Side by side: each takes a second or two, which it spends waiting for its programs.

        Each is known as soon as it runs, so that `end` takes it away whatever becomes of the rest.
        """

        def start(slug: str) -> None:
            self._replicas[slug] = start_replica(self.root, slug, self.options.replicas, tell)

        with ThreadPoolExecutor(thread_name_prefix="replica") as starting:
            begun = [starting.submit(start, slug) for slug in slugs]
        for each in begun:
            each.result()

    def _open(self, slug: str, target: Target) -> None:
        assert self._looking is not None
        own = [scenario for scenario in self._scenarios if scenario.system.slug == slug]
        services = target.services(services_needed(own, target))
        self.redactor.add_secrets(secrets_of(target, services))
        observer = Observer(
            target, services, PROBES, self._looking, self.clock, learn=self.redactor.add
        )
        observer.make_ready(
            look for scenario in own for step in scenario.steps for look in step.looks
        )
        self._observers[slug] = observer

    def _turn_dials(self) -> None:
        for name in self.options.dials:
            owners = [
                replica
                for replica in self._replicas.values()
                if name in {dial.name for dial in replica.dials()}
            ]
            if not owners:
                names = [dial.name for each in self._replicas.values() for dial in each.dials()]
                raise ConfigurationError(
                    f'no dial is called "{name}"',
                    hint=nearest(name, names) or "`watchkeeper dials` lists them",
                )
            for replica in owners:
                replica.turn(name)

    def _look_ahead(self, place: int, following: str | None) -> None:
        """Start the looks of the scenarios from `place` on, up to the next one that changes."""
        if following is not None or len(self._order) != len(self._scenarios):
            reach = [place, *([self._order[following]] if following in self._order else [])]
            self._start([self._scenarios[each] for each in reach])
            return
        self._next_ahead = max(self._next_ahead, place)
        if self._next_ahead - place > AHEAD // 2:
            return
        until = self._next_ahead
        while until < min(place + AHEAD, len(self._scenarios)):
            if not self._scenarios[until].only_looks:
                break
            until += 1
        self._start(self._scenarios[self._next_ahead : until])
        self._next_ahead = until

    def _start(self, scenarios: Sequence[Scenario]) -> None:
        for slug, observer in self._observers.items():
            observer.ahead(
                look
                for scenario in scenarios
                if scenario.system.slug == slug
                for look in scenario.looks_ahead
            )
