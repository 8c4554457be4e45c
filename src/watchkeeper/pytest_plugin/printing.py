"""What --plan prints: every look and every change, before anything is touched."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from watchkeeper.nouns import filled
from watchkeeper.plan import Scenario, Step, ordered, without_duplicates
from watchkeeper.pytest_plugin.options import Options
from watchkeeper.targets import Operation, System


def plan_text(scenarios: Sequence[Scenario], options: Options) -> str:
    """One paragraph for each scenario; the last line sums up."""
    lines = [line for scenario in scenarios for line in _scenario(scenario, options)]
    looks = [look for each in scenarios for step in each.steps for look in step.looks]
    distinct = len(without_duplicates(looks))
    lines.append(
        f"\n{len(scenarios)} scenarios, {len(looks)} figures, {distinct} distinct looks; "
        "nothing was touched"
    )
    return "\n".join(lines)


def _scenario(scenario: Scenario, options: Options) -> Iterator[str]:
    row = f" [{scenario.row}]" if scenario.row else ""
    yield f"\n{' '.join(scenario.ids)} {scenario.level} {scenario.name}{row}"
    yield f"  {scenario.system.called}, {options.target}, {scenario.permission}"
    for step in scenario.steps[1:]:
        yield f"  {step.written.keyword} {step.written.text}"
        for look in step.looks:
            asked = described(look.figure.probe, look.question)
            yield f"      looks at   {look.noun}  ({asked})"
        for doing in (step, *(attempt.step for attempt in step.attempts)):
            if doing.operation is not None:
                effect = doing.operation.options.effect
                order = _order(doing, doing.operation, scenario.system)
                yield f"      {effect:9}  {doing.written_verb}  ({order})"


def _order(step: Step, operation: Operation, system: System) -> str:
    """All that will be sent: the digest of a reviewed plan must tell any two orders apart."""
    order = ordered(operation, system).model_dump(by_alias=True, exclude_unset=True, mode="json")
    rest = filled(order, dict(step.verb_arguments))
    return f"{operation.operator} {json.dumps(rest, ensure_ascii=False, sort_keys=True)}"


def described(kind: str, question: object) -> str:
    """A question or order in a few words: "http GET app /health"."""
    for verb in ("get", "head", "post", "put", "patch", "delete"):
        where = getattr(question, verb, None)
        if isinstance(where, str):
            return f"{kind} {verb.upper()} {where}"
    said = getattr(question, kind.replace(" ", "_"), "")
    text = " ".join(said) if isinstance(said, list | tuple) else str(said)
    return f"{kind} {' '.join(text.split())}"
