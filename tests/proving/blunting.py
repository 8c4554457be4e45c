"""How can a check be blunted by hand, in its feature or in its target file?

Each way stands here once. What no state of a system could tell from the original is left out, with
the reason on its line: it would be a survivor that nobody can catch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import steps.given
import steps.then
import steps.when  # noqa: F401 - the words
from watchkeeper.errors import WatchkeeperError
from watchkeeper.meaning import Elapsed, Report
from watchkeeper.plan import Heading, Scenario, Step, Written, plan
from watchkeeper.proving.checks import only_reports
from watchkeeper.pytest_plugin import bdd_internals
from watchkeeper.pytest_plugin.linting import ID
from watchkeeper.pytest_plugin.words import SentenceError, meaning_of
from watchkeeper.targets import PERMISSIONS, System
from watchkeeper.units import duration_s

_LIMIT = re.compile(r"^(?P<what>.*?\b(?:its|the) .+?) (?:is|are|was|were|stayed) .+$")
_NONE = re.compile(r"^(?P<time>(?:over the last .+? )?)it (?:has|have|had) no (?P<noun>.+)$")
_ROWS = re.compile(r"^(?P<time>(?:(?:over|within) .+? )?)its (?P<noun>.+?) includes?\b.*:$")
_BECAME = re.compile(r"^of its (?P<noun>.+?) (?P<extent>exactly|only) (?P<rest>.+)$")
_HOLDS = re.compile(r"^throughout the next .+? (?P<what>its .+)$")
_ELAPSED = re.compile(r"^no more than .+ have passed since the start$")
_ALWAYS = "known"
"""The limit that whatever can be read keeps."""


@dataclass(frozen=True)
class Line:
    """A step of a feature, as it is written."""

    kind: str
    text: str
    number: int
    table: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Case:
    """A scenario, or a row of an outline, as it is written."""

    heading: Heading
    lines: tuple[Line, ...]

    def planned(self, system: System) -> Scenario | None:
        """The scenario, None where `system` does not take it so."""
        try:
            written = [
                Written(line.kind.title(), line.text, line.number,
                        meaning_of(line.kind, line.text, line.table or None))
                for line in self.lines
            ]  # fmt: skip
            found = plan(self.heading, written, {system.called: system})
        except (SentenceError, WatchkeeperError, ValueError):
            return None
        return found if isinstance(found, Scenario) else None


# ---- Reading the features ---------------------------------------------------------------------


def cases(features: Path) -> Iterator[Case]:
    for path in sorted(features.glob("*.feature")):
        feature = bdd_internals.document(path).feature
        for child in feature.children:
            rule = child.rule
            for each in rule.children if rule is not None else [child]:
                if each.scenario is not None:
                    tags = [tag.name.lstrip("@") for tag in (*feature.tags, *each.scenario.tags)]
                    yield from _cases(each.scenario, tags, path)


def _cases(scenario: Any, tags: list[str], path: Path) -> Iterator[Case]:
    rows = [
        dict(zip((c.value for c in examples.table_header.cells), (c.value for c in row.cells),
                 strict=True))
        for examples in scenario.examples for row in examples.table_body
    ] or [{}]  # fmt: skip
    may = [each for each in PERMISSIONS if each in tags]
    for row in rows:
        heading = Heading(
            ids=tuple(tag for tag in tags if ID.fullmatch(tag)), level="P2", name=scenario.name,
            row=", ".join(row.values()), permission=may[-1] if may else "looking",
            feature="", rule="", path=path, line=1,
        )  # fmt: skip
        yield Case(heading, tuple(_lines(scenario, row)))


def _lines(scenario: Any, row: Mapping[str, str]) -> Iterator[Line]:
    def filled(text: str) -> str:
        for name, value in row.items():
            text = text.replace(f"<{name}>", value)
        return text

    kind = "given"
    for number, step in enumerate(scenario.steps, 1):
        word = step.keyword.strip().lower()
        kind = word if word in ("given", "when", "then") else kind
        table = step.datatable
        cells = [tuple(filled(c.value) for c in r.cells) for r in table.rows] if table else []
        yield Line(kind, filled(step.text), number, tuple(cells))


# ---- Blunting a feature -----------------------------------------------------------------------


def blunted_sentences(case: Case, original: Scenario) -> Iterator[tuple[str, int, Case]]:
    """What was done to which line, and the case without its edge.

    A judging sentence: its limit loosened, a row or an order dropped, made a mere report, left out.
    An operation: left out, where a judgement follows it. One of several that lead to one judgement
    is judged by nothing of its own.
    """
    for place, line in enumerate(case.lines):
        step = original.steps[place]
        followed = case.lines[place + 1].kind == "then" if place + 1 < len(case.lines) else False
        ways = [("left out", None)] if line.kind == "when" and followed else []
        if line.kind == "then" and not cannot_fail(step, original):
            ways = list(_blunted(line))
        for how, new in ways:
            if new is not None and (new.text, new.table) == (line.text, line.table):
                continue  # it asked no more than that before
            lines = (*case.lines[:place], *([new] if new else []), *case.lines[place + 1 :])
            yield f"{how}: {line.text}", line.number, replace(case, lines=lines)


def cannot_fail(step: Step, original: Scenario) -> bool:
    """Whether no state of a system can make this sentence fail where the others do not."""
    if isinstance(step.meaning, Report) and not only_reports(original):
        return True  # it keeps no limit, and that it could not be read proves nothing of the limits
    before = original.steps[: original.steps.index(step)]
    done = next((each.operation for each in reversed(before) if each.operation), None)
    if done is None:
        return False
    if done.options.touches is not None and _BECAME.match(step.written.text):
        return True  # Sql commits only where exactly these rows changed: it, or nothing, is judged
    if isinstance(step.meaning, Elapsed):
        deadline = getattr(done.order, "deadline", "0 s")
        return duration_s(deadline) <= step.meaning.seconds  # what lasts longer is given up there
    return False


def _blunted(line: Line) -> Iterator[tuple[str, Line | None]]:
    if line.text.endswith("within these limits:"):
        for place, row in enumerate(line.table[1:], 1):
            table = (*line.table[:place], (row[0], _ALWAYS), *line.table[place + 1 :])
            yield f"the limit of {row[0]} loosened", replace(line, table=table)
    elif found := _NONE.match(line.text):
        text = f"{found['time']}the report lists its {found['noun']}"
        yield "made a report", replace(line, text=text)
    elif found := _ROWS.match(line.text):
        yield from _with_less_rows(line, found)
    elif found := _BECAME.match(line.text):
        if found["extent"] == "exactly":
            yield "only", replace(line, text=line.text.replace(" exactly ", " only ", 1))
        change = found["rest"].rpartition(" ")[2]
        text = f"of its {found['noun']} only the {found['noun']} {change}"
        yield "whatever changed", replace(line, text=text)
    elif "the report lists its figures" in line.text:
        for place, row in enumerate(line.table[1:], 1):
            table = (*line.table[:place], *line.table[place + 1 :])
            yield f"without the figure {row[0]}", replace(line, table=table)
    elif found := _ELAPSED.match(line.text):
        yield "loosened", replace(line, text="no more than 5 hours have passed since the start")
    elif line.text.endswith((f" is {_ALWAYS}", " is present")):
        yield "left out", None  # no limit is looser for what must be there
    elif found := _LIMIT.match(line.text):
        yield "loosened", replace(line, text=f"{found['what']} is {_ALWAYS}")
        if held := _HOLDS.match(line.text):
            yield "at once only", replace(line, text=held["what"])


def _with_less_rows(line: Line, found: re.Match[str]) -> Iterator[tuple[str, Line | None]]:
    for place, row in enumerate(line.table[1:], 1):
        if len(line.table) > 2:
            table = (*line.table[:place], *line.table[place + 1 :])
            yield f"without the row {' '.join(row)}", replace(line, table=table)
    for column in range(1, len(line.table[0])):
        rows = tuple(r[:column] + r[column + 1 :] for r in line.table)
        yield f"without the column {line.table[0][column]}", replace(line, table=rows)
    text = f"{found['time']}the report lists its {found['noun']}"
    yield "made a report", replace(line, text=text, table=())
    yield "in any order", replace(line, text=line.text.replace(" in this order:", ":"))


# ---- Blunting a target file -------------------------------------------------------------------


def blunted_figures(name: str, figure: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The figure of a target file, made to say what is good, or less, or another field."""
    for key, value in _blunt_values(figure):
        yield f"{name}: {key} is {value}", {**figure, **_nested(figure, key, value)}


def unasked_figures(name: str, figure: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The figure, made to ask nothing, so that its question can't fail: for mere reports."""
    if "sql" in figure:
        sql = f"SELECT 'nothing' AS {figure.get('key', 'found')}"
        yield f"{name}: asks nothing", {**figure, "sql": sql}


def _nested(figure: Mapping[str, Any], key: str, value: object) -> dict[str, Any]:
    if key == "outcomes":
        return {"http": {**figure["http"], key: value}}
    return {key: value}


def _blunt_values(figure: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from _blunt_questions(figure)
    yield from _blunt_words(figure)


def _blunt_questions(figure: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """It asks for less, or for another field."""
    if "where" in figure:
        yield "where", "1 = 0"
    if "among" in figure:
        yield "among", "$^"
    if "match" in figure and "group by" not in figure and "columns" not in figure:
        yield "match", "(?P<confidence>1)"
    if isinstance(figure.get("sql"), str) and " WHERE " in figure["sql"]:
        yield "sql", figure["sql"].partition(" WHERE ")[0]
    if "older than" in figure:
        yield "older than", "9000 days"
    if "file" in figure and figure.get("pick") == ".age":
        yield "pick", ".size | 0"
    if figure.get("pick") == ".version":
        yield "pick", ".appName"
    columns = figure.get("columns", {})
    for column, other in zip(columns, [*list(columns)[1:], *list(columns)[:1]], strict=True):
        if column != other:
            yield "columns", {**columns, column: columns[other]}


def _blunt_words(figure: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Whatever it finds, it says the good word."""
    if isinstance(figure.get("counts as"), dict):
        yield "counts as", dict.fromkeys(figure["counts as"], "up")
    if "exit codes" in figure:
        yield "exit codes", dict.fromkeys(figure["exit codes"], figure["values"][0])
    outcomes = figure.get("http", {}).get("outcomes") if "http" in figure else None
    if outcomes:
        for good in dict.fromkeys(w for w in outcomes.values() if w in ("refused", "accepted")):
            yield "outcomes", dict.fromkeys(outcomes, good)
    if isinstance(figure.get("values"), dict):
        yield "values", dict.fromkeys(figure["values"], next(iter(figure["values"].values())))
