"""What --plan prints: every look and every change, before anything is touched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO

from watchkeeper.plan import Scenario, without_duplicates
from watchkeeper.pytest_plugin.options import Options


def print_plan(scenarios: Sequence[Scenario], options: Options, out: IO[str]) -> None:
    """One paragraph for each scenario; the last line sums up."""
    looks = 0
    for scenario in scenarios:
        row = f" [{scenario.row}]" if scenario.row else ""
        print(f"\n{' '.join(scenario.ids)} {scenario.level} {scenario.name}{row}", file=out)
        print(f"  {scenario.system.called}, {options.target}, {scenario.permission}", file=out)
        for step in scenario.steps:
            for look in step.looks:
                print(
                    f"  looks at   {look.noun}  ({described(look.figure.probe, look.question)})",
                    file=out,
                )
                looks += 1
            if step.operation is not None:
                effect = step.operation.options.effect
                print(f"  {effect:9}  {step.operation.name}  ({step.operation.operator})", file=out)
    distinct = len(
        without_duplicates(look for each in scenarios for s in each.steps for look in s.looks)
    )
    print(
        f"\n{len(scenarios)} scenarios, {looks} figures, {distinct} distinct looks; nothing was touched",
        file=out,
    )


def described(probe: str, question: object) -> str:
    """A question in a few words: "http GET app /health"."""
    for verb in ("get", "head", "post"):
        where = getattr(question, verb, None)
        if isinstance(where, str):
            return f"{probe} {verb.upper()} {where}"
    said = getattr(question, probe, "")
    text = " ".join(said) if isinstance(said, list | tuple) else str(said)
    return f"{probe} {' '.join(text.split())[:80]}"
