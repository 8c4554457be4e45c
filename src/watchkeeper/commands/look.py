"""What does every figure of a system say now?"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from watchkeeper.commands.project import opened, system
from watchkeeper.errors import ConfigurationError, CouldNotObserve
from watchkeeper.looking.observe import Observer
from watchkeeper.observation import Observation, Table
from watchkeeper.plan import Look, needs_window
from watchkeeper.recording.redaction import Redactor, clean
from watchkeeper.recording.run import instant
from watchkeeper.targets import Figure, System
from watchkeeper.telling.values import shown_value
from watchkeeper.units import duration_s

SCHEMA = "watchkeeper/look/1"
PIPED = 120
"""Columns where nobody says how wide the terminal is."""
UNKNOWN = 10
"""The exit status where a figure could not be seen, as the gate's."""


@dataclass(frozen=True)
class Line:
    """One figure as it was seen; `unknown` says why it was not, `window` is in seconds."""

    figure: str
    value: object
    shown: str
    unit: str
    source: str
    at: str
    duration_s: float
    unknown: str
    window_s: float | None


def run(root: Path, slug: str, target: str, over: str, as_json: bool) -> int:
    """Look at every figure of `slug` at once and print them; 10 where one is unknown."""
    found = system(root, slug)
    try:
        window_s = duration_s(over)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    began = time.monotonic()
    redactor = Redactor()
    with opened(root, found, target, redactor) as observer:
        looks = _looks(found, window_s)
        observer.make_ready(looks)
        observer.ahead(look for look in looks if not look.figure.options.alone)
        lines = [_line(observer, look, redactor) for look in looks]
    took_s = time.monotonic() - began
    if as_json:
        _print_json(found, target, lines, took_s)
    else:
        _print_table(found, target, lines, took_s)
    return UNKNOWN if any(line.unknown for line in lines) else 0


def _looks(found: System, window_s: float) -> list[Look]:
    """Every figure that needs no text of a sentence and nothing that a scenario makes."""
    looks = []
    for figure in found.figures.values():
        if "{" in figure.name:
            continue
        window = window_s if needs_window(figure) else None
        look = Look(figure.name, figure, (), window)
        if not look.late:
            looks.append(look)
    return looks


def _line(observer: Observer, look: Look, redactor: Redactor) -> Line:
    def text(said: str) -> str:
        return redactor.text(clean(said))

    try:
        seen: Observation = redactor.value(observer.now(look))  # before it is cut to be shown
    except CouldNotObserve as reason:
        return Line(look.noun, None, "", "", text(reason.source), "", reason.duration_s,
                    text(reason.reason), look.window_s)  # fmt: skip
    return Line(
        look.noun,
        _value(seen),
        text(shown_value(seen)),
        _unit(look.figure),
        text(seen.source),
        instant(seen.at),
        seen.duration_s,
        "",
        look.window_s,
    )


def _unit(figure: Figure) -> str:
    return figure.unit.name if figure.unit is not None else ""


def _value(seen: Observation) -> object:
    if seen.no_data:
        return None
    if isinstance(seen.value, Table):
        return [dict(row.cells) for row in seen.value]
    return seen.value


def _print_json(found: System, target: str, lines: list[Line], took_s: float) -> None:
    figures = [asdict(line) for line in lines]
    for figure in figures:
        del figure["shown"]
    document = {
        "schema": SCHEMA,
        "system": found.name,
        "target": target,
        "took_s": round(took_s, 3),
        "figures": figures,
    }
    json.dump(document, sys.stdout, ensure_ascii=False, indent=1, default=str)
    print()


def _print_table(found: System, target: str, lines: list[Line], took_s: float) -> None:
    console = Console(width=None if sys.stdout.isatty() else PIPED, highlight=False, markup=False)
    table = RichTable(box=None, pad_edge=False, header_style="bold", expand=True)
    table.add_column("figure", ratio=4, overflow="fold")
    table.add_column("now", ratio=3, overflow="fold")
    table.add_column("seen", ratio=5, style="dim", overflow="ellipsis", no_wrap=True)
    for line in lines:
        name = Text(line.figure)
        if line.window_s is not None:
            name.append(f" (over {line.window_s / 3600:g} h)", "dim")
        told = Text(f"unknown: {line.unknown}", "magenta") if line.unknown else Text(line.shown)
        table.add_row(name, told, Text(f"{line.source}, {line.duration_s * 1000:.0f} ms"))
    console.print(table)
    unknown = sum(bool(line.unknown) for line in lines)
    console.print(
        Text(
            f"\n{len(lines)} figures of {found.called} at {target} in {took_s:.1f} s"
            + (f", {unknown} unknown" if unknown else "")
        )
    )
