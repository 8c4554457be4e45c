"""What is wrong with a feature file, line by line, before anything of it runs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_bdd.gherkin_parser import Feature, GherkinDocument, Rule, Scenario

from watchkeeper.plan import Complaint
from watchkeeper.pytest_plugin.words import is_sentence
from watchkeeper.yaml_file import nearest

ID = re.compile(r"[A-Z]{2,4}-[A-Z0-9]+-\d+")
LEVEL = re.compile(r"P[0-4]")
KEYWORDS = ("Feature", "Rule", "Background", "Scenario", "Scenario Outline", "Examples")
_PARAMETER = re.compile(r"<([^<>]+)>")


@dataclass
class Seen:
    """What earlier files of this collection hold: ids and where each stands."""

    ids: dict[str, str]


def lint(
    path: Path,
    document: GherkinDocument,
    tags: Iterable[str],
    systems: Mapping[str, str],
    seen: Seen,
) -> tuple[Complaint, ...]:
    """Everything wrong with the shape of `document`.

    `tags`: the registered ones. `systems`: the slugs that a feature may be tagged with.
    """
    known = {*tags, *systems}
    feature = document.feature
    complaints = [*_tags(feature, known), *_misspelt_keywords(feature)]
    own = names_of(feature.tags)
    tagged = sorted(own & set(systems))
    if len(tagged) > 1:
        complaints.append(
            Complaint(
                feature.location.line,
                f'"{feature.name}" is tagged with several systems, {" and ".join(tagged)}; '
                "give each its own file",
            )
        )
    if not tagged:
        complaints.append(
            Complaint(
                feature.location.line,
                f'"{feature.name}" is tagged with no system; add one of: '
                + ", ".join(f"@{slug}" for slug in systems),
            )
        )
    scenarios = list(_scenarios(feature))
    if not scenarios:
        complaints.append(Complaint(feature.location.line, f'"{feature.name}" has no scenario'))
    names: dict[str, int] = {}
    for scenario, inherited in scenarios:
        complaints += _scenario(path, scenario, {*own, *inherited}, known, seen)
        if scenario.name in names:
            complaints.append(
                Complaint(
                    scenario.location.line,
                    f'"{scenario.name}" is also the name on line {names[scenario.name]}; only one '
                    "of two scenarios of one name would run, so give this one another",
                )
            )
        names.setdefault(scenario.name, scenario.location.line)
    return tuple(complaints)


def names_of(tags: Iterable[Any]) -> set[str]:
    """The tags' names without their @."""
    return {tag.name.removeprefix("@") for tag in tags}


def _scenarios(feature: Feature) -> Iterator[tuple[Scenario, set[str]]]:
    for child in feature.children:
        if child.scenario is not None:
            yield child.scenario, set()
        elif child.rule is not None:
            tags = names_of(child.rule.tags)
            for inner in child.rule.children:
                if inner.scenario is not None:
                    yield inner.scenario, tags


def _scenario(
    path: Path, scenario: Scenario, inherited: set[str], known: set[str], seen: Seen
) -> Iterator[Complaint]:
    line = scenario.location.line
    yield from _tags(scenario, known)
    tags = names_of(scenario.tags) | inherited
    if not scenario.name:
        yield Complaint(line, "the scenario has no name; say what it checks")
    yield from _misspelt_steps(scenario)
    if not scenario.steps:
        yield Complaint(line, f'"{scenario.name}" has no steps, so it would pass whatever happens')
    ids = [tag for tag in tags if ID.fullmatch(tag)]
    if not ids:
        yield Complaint(line, f'"{scenario.name}" has no id; tag it with its procedure, @MM-DAY-1')
    levels = [tag for tag in tags if LEVEL.fullmatch(tag)]
    if len(levels) != 1:
        found = "no level" if not levels else f"the levels {', '.join(sorted(levels))}"
        yield Complaint(line, f'"{scenario.name}" has {found}; tag it with one of @P0 to @P4')
    for each in ids:
        place = f"{path}:{line}"
        if seen.ids.setdefault(each, place) != place:
            yield Complaint(line, f"@{each} stands at {seen.ids[each]} already")
    yield from _outline(scenario, known)


def _misspelt_keywords(feature: Feature) -> Iterator[Complaint]:
    """Gherkin takes "Scenaro: …", above the first scenario, for a description."""
    parts: list[Feature | Rule] = [feature]
    parts += [child.rule for child in feature.children if child.rule is not None]
    for part in parts:
        for line in (part.description or "").splitlines():
            keyword, colon, _ = line.strip().partition(":")
            near = difflib.get_close_matches(keyword, KEYWORDS, 1, 0.75) if colon else []
            if near:
                yield Complaint(
                    part.location.line,
                    f'"{line.strip()}" below it is taken for a description; '
                    f'did you mean "{near[0]}:"?',
                )


def _misspelt_steps(scenario: Scenario) -> Iterator[Complaint]:
    """Gherkin takes "Givn the shop", above the first step, for a description."""
    for number, line in enumerate((scenario.description or "").splitlines(), 1):
        keyword, _, sentence = line.strip().partition(" ")
        if is_sentence(sentence):
            near = nearest(keyword.title(), ("Given", "When", "Then", "And", "But"))
            yield Complaint(
                scenario.location.line + number,
                f'"{line.strip()}" is no step' + (f"; {near}" if near else ""),
            )


def _outline(scenario: Scenario, known: set[str]) -> Iterator[Complaint]:
    used = {name for text in _texts(scenario) for name in _PARAMETER.findall(text)}
    columns: set[str] = set()
    for examples in scenario.examples:
        yield from _tags(examples, known)
        header = examples.table_header
        if header is None or not examples.table_body:
            yield Complaint(
                examples.location.line,
                f'the Examples of "{scenario.name}" have no rows; it would run once with '
                "its <placeholders> as they stand",
            )
            continue
        columns |= {str(cell.value) for cell in header.cells}
        rows = [tuple(cell.value for cell in row.cells) for row in examples.table_body]
        for number, (row, written) in enumerate(zip(rows, examples.table_body, strict=True)):
            if row in rows[:number]:
                yield Complaint(
                    written.location.line, f"the row {' | '.join(map(str, row))} is there twice"
                )
    if "Outline" in scenario.keyword and not scenario.examples:
        yield Complaint(scenario.location.line, f'"{scenario.name}" is an outline without Examples')
    for name in sorted(used - columns) if columns or not scenario.examples else ():
        near = nearest(name, columns)
        yield Complaint(
            scenario.location.line,
            f'"{scenario.name}" speaks of <{name}>, which no column of its Examples is called'
            + (f"; {near}" if near else ""),
        )
    for name in sorted(columns - used):
        yield Complaint(scenario.location.line, f'"{scenario.name}" never uses its column "{name}"')


def _texts(scenario: Scenario) -> Iterator[str]:
    yield scenario.name
    for step in scenario.steps:
        yield step.text
        if step.docstring is not None:
            yield step.docstring.content
        if step.datatable is not None:
            yield from (str(cell.value) for row in step.datatable.rows for cell in row.cells)


def _tags(tagged: Any, known: set[str]) -> Iterator[Complaint]:
    for tag in tagged.tags:
        name = tag.name.removeprefix("@")
        if name in known or ID.fullmatch(name):
            continue
        near = nearest(name, known)
        yield Complaint(
            tag.location.line,
            f"@{name} is no registered tag" + (f"; {near}" if near else "; see pyproject.toml"),
        )
