"""What --plan prints: every look and every change, before anything is touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from watchkeeper.plan import Scenario, without_duplicates
from watchkeeper.pytest_plugin.options import Options


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
    for step in scenario.steps:
        for look in step.looks:
            yield f"  looks at   {look.noun}  ({described(look.figure.probe, look.question)})"
        if step.operation is not None:
            effect = step.operation.options.effect
            order = described(step.operation.operator, step.operation.order)
            yield f"  {effect:9}  {step.operation.name}  ({order})"


def described(kind: str, question: object) -> str:
    """A question or order in a few words: "http GET app /health"."""
    for verb in ("get", "head", "post", "put", "patch", "delete"):
        where = getattr(question, verb, None)
        if isinstance(where, str):
            return f"{kind} {verb.upper()} {where}"
    said = getattr(question, kind.replace(" ", "_"), "")
    text = " ".join(said) if isinstance(said, list | tuple) else str(said)
    return f"{kind} {' '.join(text.split())}"
