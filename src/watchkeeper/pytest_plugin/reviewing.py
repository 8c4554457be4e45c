"""Is what runs what somebody has read? A plan's text, what it would select, and its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from watchkeeper.changing.operator import Settles
from watchkeeper.changing.operators import OPERATORS
from watchkeeper.errors import (
    ConfigurationError,
    CouldNotObserve,
    OperationFailed,
    OperationRefused,
)
from watchkeeper.holding import cut
from watchkeeper.observation import Table
from watchkeeper.plan import Scenario, Step, ordered
from watchkeeper.pytest_plugin.options import Options
from watchkeeper.pytest_plugin.printing import plan_text
from watchkeeper.pytest_plugin.watch import Watch
from watchkeeper.targets import REPLICA

DIGEST_LENGTH = 12
"""Characters of a plan's digest: enough that no other plan has it by chance."""
NAMED = 20
"""Keys that a plan names."""


def needs_review(scenarios: Sequence[Scenario], options: Options) -> bool:
    """Whether the run destroys something outside replicas."""
    destroys = any(scenario.permission == "destroys" for scenario in scenarios)
    return destroys and options.target != REPLICA and options.allow == "destroys"


def needs_reading(scenarios: Sequence[Scenario], options: Options) -> bool:
    """Whether a plan says what is selected now, so that the system must be looked at for it."""
    return needs_review(scenarios, options) and any(
        _touched(doing) or _is_open(doing) for scenario in scenarios for doing in scenario.doings
    )


def reviewed(scenarios: Sequence[Scenario], watch: Watch) -> tuple[str, str]:
    """The plan for people, and its digest.

    Where something is destroyed outside replicas, what it would select now is read and belongs to
    both; then `watch` must have begun. Raises ConfigurationError where that can't be read.
    """
    text = plan_text(scenarios, watch.options)
    if needs_reading(scenarios, watch.options):
        text += "\n" + "\n".join(_selections(scenarios, watch))
    meant = [f"{step.written.text} {step.meaning!r}" for each in scenarios for step in each.steps]
    digest = hashlib.sha256("\n".join([text, *meant]).encode()).hexdigest()[:DIGEST_LENGTH]
    return text, digest


def refuse_unreviewed(scenarios: Sequence[Scenario], watch: Watch) -> None:
    """Outside replicas nothing is destroyed without the digest of what somebody has read."""
    if not needs_review(scenarios, watch.options):
        return
    given = watch.options.digest
    if given and given == reviewed(scenarios, watch)[1]:
        return
    raise ConfigurationError(
        f"this run destroys something at {watch.options.target}, and "
        + (
            "the plan of that --digest is another, or the system has changed since"
            if given
            else "has no --digest"
        ),
        hint="read what the same command prints with --plan, then give its digest",
    )


def _selections(scenarios: Sequence[Scenario], watch: Watch) -> Iterator[str]:
    """What each operation that names what it touches would touch now."""
    for scenario in scenarios:
        for doing in scenario.doings:
            touches = _touched(doing)
            if touches:
                yield f"  {doing.written_verb}: {_selected(scenario, doing, touches, watch)}"
            if _is_open(doing):
                yield f"  {doing.written_verb}: {_settled(scenario, doing, watch)}"


def _touched(doing: Step) -> str:
    """The list of which it touches rows; "" where that is known only while it runs."""
    touches = doing.operation.options.touches if doing.operation is not None else None
    return "" if touches is None or touches.startswith("that ") else touches


def _selected(scenario: Scenario, doing: Step, touches: str, watch: Watch) -> str:
    look = doing.look(touches)
    try:
        seen = watch.observer_of(scenario.system).now(look, fresh=True)
    except CouldNotObserve as reason:
        raise ConfigurationError(
            f'what "{doing.written_verb}" would touch could not be read: {reason.reason}'
        ) from None
    assert isinstance(seen.value, Table)
    if cut(seen.value):
        raise ConfigurationError(
            f'"{doing.written_verb}" would touch {seen.value.total:,} {touches}, more than anybody '
            "can review",
            hint="narrow the list that it touches",
        )
    return _named([str(row.get(look.figure.options.key or "")) for row in seen.value], touches)


def _is_open(doing: Step) -> bool:
    """Whether its order leaves open what exactly it touches."""
    if doing.operation is None:
        return False
    operator = OPERATORS[doing.operation.operator]
    return isinstance(operator, Settles) and operator.leaves_open(doing.operation.order)


def _settled(scenario: Scenario, doing: Step, watch: Watch) -> str:
    assert doing.operation is not None
    operator = OPERATORS[doing.operation.operator]
    assert isinstance(operator, Settles)
    order = ordered(doing.operation, scenario.system)
    observer = watch.observer_of(scenario.system)
    try:
        _, exactly = observer.run(lambda reach: operator.settle(order, reach))
    except (OperationRefused, OperationFailed) as reason:
        raise ConfigurationError(
            f'what "{doing.written_verb}" would touch could not be read: {reason}'
        ) from None
    return _named(exactly, "to be touched")


def _named(keys: Sequence[str], what: str) -> str:
    # The digest must tell any two selections apart, also where not all keys are named.
    mark = hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()[:DIGEST_LENGTH]
    named = ", ".join(sorted(keys, key=lambda key: (len(key), key))[:NAMED])
    more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
    return f"{len(keys)} {what} ({mark})" + (f": {named}{more}" if keys else "")
