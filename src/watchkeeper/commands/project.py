"""Which systems does this project have, and how is one opened for looking?"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path

from watchkeeper.clock import Clock
from watchkeeper.errors import ConfigurationError
from watchkeeper.kinds import KINDS
from watchkeeper.looking.loop import LookingLoop
from watchkeeper.looking.observe import Observer
from watchkeeper.looking.probes import PROBES
from watchkeeper.proving.replicas import start_replica
from watchkeeper.recording.redaction import Redactor
from watchkeeper.target_file import load_systems
from watchkeeper.target_secrets import secrets_of
from watchkeeper.targets import REPLICA, System, Target, services_in, variables_of
from watchkeeper.yaml_file import nearest


def systems(root: Path) -> Mapping[str, System]:
    """The project's systems by their slugs; raises ConfigurationError."""
    sys.path.insert(0, str(root))  # targets/<system>.py are imported by name
    return {system.slug: system for system in load_systems(root / "targets", KINDS).values()}


def system(root: Path, slug: str) -> System:
    """The system called `slug`; raises ConfigurationError naming the nearest."""
    known = systems(root)
    if slug not in known:
        raise ConfigurationError(
            f'there is no system "{slug}"; there are: {", ".join(known)}', hint=nearest(slug, known)
        )
    return known[slug]


@contextmanager
def opened(root: Path, found: System, target: str, redactor: Redactor) -> Iterator[Observer]:
    """An observer of all the system's services; a replica is started and taken away again.

    `redactor` learns what they hold, and what a login gives, before anything is looked at.
    """
    if target not in found.environments:
        raise ConfigurationError(
            f"{found.called} has no target {target}; there are: {', '.join(found.environments)}",
            hint=nearest(target, found.environments),
        )
    replica = start_replica(root, found.slug) if target == REPLICA else None
    looking = LookingLoop()
    try:
        variables = replica.variables if replica is not None else variables_of()
        where = Target(found, found.environments[target], variables)
        asked = (services_in(figure.question) for figure in found.figures.values())
        services = where.services(frozenset(chain.from_iterable(asked)))
        redactor.add_secrets(secrets_of(where, services))
        observer = Observer(where, services, PROBES, looking, Clock(), learn=redactor.add)
        with closing(observer):
            yield observer
    finally:
        looking.close()
        if replica is not None:
            replica.close()
