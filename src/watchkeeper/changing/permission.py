"""May this be done here? Three locks, all of which must be open."""

from __future__ import annotations

from watchkeeper.targets import PERMISSIONS, Environment, Operation, Permission


def includes(given: Permission, needed: Permission) -> bool:
    """Whether `given` allows `needed`: destroys includes changes, changes includes looking."""
    return PERMISSIONS.index(given) >= PERMISSIONS.index(needed)


def closed_lock(
    operation: Operation, tagged: Permission, allowed: Permission, environment: Environment
) -> str:
    """The first lock that is closed, as a sentence; "" where all are open.

    `tagged` is the scenario's tag, `allowed` the run's --allow, then the environment's `allows`.
    """
    effect = operation.options.effect
    if not includes(tagged, effect):
        return f'"{operation.name}" {effect} something, and the scenario is not tagged @{effect}'
    if not includes(allowed, effect):
        return f'"{operation.name}" {effect} something; this run was not given --allow {effect}'
    if not includes(environment.options.allows, effect):
        return (
            f'"{operation.name}" {effect} something, and {environment.name} allows '
            f"{environment.options.allows} ({environment.place})"
        )
    return ""
