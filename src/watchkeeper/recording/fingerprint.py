"""Is a check still what it was? A fingerprint of all that its sentences say, look at and do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from watchkeeper.plan import Look, Scenario, Step

LENGTH = 16
"""Characters: enough that no other check has it by chance."""


def fingerprint(scenario: Scenario) -> str:
    """A hash of the scenario's sentences, tables, figures and operations, its row filled in.

    Where it stands, its name, level and tags are not in it: they change nothing of what a fault
    can redden. Nor is the environment: a check is proven on the replica.
    """
    whole = hashlib.sha256()
    for step in scenario.steps:
        for part in _parts(step, scenario):
            whole.update(part.encode("utf-8", "surrogatepass") + b"\0")
    return whole.hexdigest()[:LENGTH]


def _parts(step: Step, scenario: Scenario) -> Iterator[str]:
    yield f"{step.written.keyword} {step.written.text} {step.meaning!r}"
    for look in step.looks:
        yield _look(look)
        yield _code(look.question, scenario)
    for doing in (step, *(attempt.step for attempt in step.attempts)):
        if doing.operation is not None:
            order, options = doing.operation.order, doing.operation.options
            said = f"{order.model_dump_json()} {options.model_dump_json(exclude={'about'})}"
            yield f"{doing.operation.operator} {said}"
            yield _code(order, scenario)


def _look(look: Look) -> str:
    options = look.figure.options.model_dump_json(exclude={"about"})
    asked = look.question.model_dump_json()
    return f"{look.noun} {look.figure.probe} {asked} {options} {look.window_s} {look.ago_s}"


def _code(asked: object, scenario: Scenario) -> str:
    """A hash of the Python file that answers or obeys, "" where none does."""
    name = getattr(asked, "python", None)
    if not isinstance(name, str):
        return ""
    module = name.partition(":")[0].replace(".", "/") + ".py"
    path = scenario.system.path.parent.parent / module  # targets/<system>.py beside <system>.yml
    try:
        return _hash(path, path.stat().st_mtime_ns)
    except OSError:
        return ""  # installed elsewhere: its name has to do


@cache
def _hash(path: Path, changed_ns: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
