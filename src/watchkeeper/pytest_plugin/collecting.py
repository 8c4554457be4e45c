"""How a .feature file becomes pytest items, each with its plan, or a clear refusal."""

from __future__ import annotations

import itertools
import types
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from pytest_bdd.parser import Scenario as BddScenario

from watchkeeper.errors import ConfigurationError
from watchkeeper.plan import Complaint, Heading, Scenario, Written, plan
from watchkeeper.pytest_plugin import bdd_internals
from watchkeeper.pytest_plugin.linting import ID, LEVEL, lint, names_of
from watchkeeper.pytest_plugin.watch import WATCH, Watch
from watchkeeper.pytest_plugin.words import SentenceError, meaning_of
from watchkeeper.recording.redaction import Redactor
from watchkeeper.targets import PERMISSIONS, Permission

PLAN = pytest.StashKey[Scenario]()
WRONG = pytest.StashKey[str]()
"""The complaint about the target files that was told last."""
SHOWN_COMPLAINTS = 40


class FeatureFile(pytest.Module):
    """A feature file: `pytest features/media-management/daily.feature::Scenario name` works."""

    def _getobj(self) -> types.ModuleType:
        """A module with one test function for each scenario; no .py file holds it."""
        module = types.ModuleType(self.path.stem.replace("-", "_"))
        module.__file__ = str(self.path)
        for name in self._names():
            setattr(module, name, bdd_internals.bound(self.path, name))
        return module

    def funcnamefilter(self, name: str) -> bool:
        return True  # what is in the module is a scenario

    def collect(self) -> Iterable[Any]:
        watch = self.config.stash[WATCH]
        try:
            watch.load()
        except ConfigurationError as error:
            raise self.CollectError(self._told_once(error)) from None
        self._lint(watch)
        items = list(super().collect())
        complaints: list[Complaint] = []
        redacted = _Redacted(watch.redactor)
        for item in items:
            redacted.rename(cast(pytest.Function, item))
            planned = _planned(cast(pytest.Function, item), watch, redacted)
            if isinstance(planned, Scenario):
                item.stash[PLAN] = planned
            else:
                complaints += planned
        self._refuse(dict.fromkeys(complaints))
        return items

    def _told_once(self, error: ConfigurationError) -> str:
        """The complaint, in full for the first feature only: all of them need the target files."""
        before = self.config.stash.get(WRONG, "")
        self.config.stash[WRONG] = str(error)
        if before == str(error):
            return f"not read: {error.place or 'a target file'} is wrong, as told above"
        return str(error)

    def _names(self) -> Iterator[str]:
        for child in bdd_internals.document(self.path).feature.children:
            if child.scenario is not None:
                yield child.scenario.name
            elif child.rule is not None:
                yield from (c.scenario.name for c in child.rule.children if c.scenario is not None)

    def _lint(self, watch: Watch) -> None:
        try:
            document = bdd_internals.document(self.path)
        except bdd_internals.Unreadable as error:
            self._refuse([Complaint(error.line, str(error))])
            return
        slugs = {system.slug: called for called, system in watch.systems.items()}
        self._refuse(lint(self._here, document, watch.tags, slugs, watch.seen))
        for tag in _ids(document.feature):
            self.config.addinivalue_line("markers", f"{tag}: procedure")

    @property
    def _here(self) -> Path:
        """The file as people name it: from the root, where it lies below it."""
        root = self.config.rootpath
        return self.path.relative_to(root) if self.path.is_relative_to(root) else self.path

    def _refuse(self, complaints: Iterable[Complaint]) -> None:
        found = sorted(complaints, key=lambda complaint: complaint.line)
        if not found:
            return
        lines = [f"{self._here}:{each.line}: {each.problem}" for each in found[:SHOWN_COMPLAINTS]]
        if len(found) > SHOWN_COMPLAINTS:
            lines.append(f"and {len(found) - SHOWN_COMPLAINTS} more")
        told = self.config.stash[WATCH].redactor.text("\n".join(lines))
        raise self.CollectError(told)


class _Redacted:
    """Takes secrets out of what a row of an outline is called by.

    Names and node ids are printed, recorded and sent by pytest itself, so that it has to be done
    before any of that. Rows that are the same without their secrets are numbered.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._taken: set[tuple[str, str]] = set()

    def rename(self, item: pytest.Function) -> None:
        name = self._told(item.name)
        if name != item.name:
            bdd_internals.rename(item, name)

    def heading(self, heading: Heading) -> Heading:
        """The same without secrets; its row is what history and proof know a check by."""
        name = self._redactor.text(heading.name)
        if not heading.row:
            return replace(heading, name=name)
        return replace(heading, name=name, row=self._told(heading.row, of=" ".join(heading.ids)))

    def _told(self, text: str, of: str = "") -> str:
        """`text` without secrets; where it had one, different from all that was told of `of`."""
        told = self._redactor.text(text)
        if told != text:
            numbered = (f"{told}-{number}" for number in itertools.count(2))
            told = next(e for e in itertools.chain((told,), numbered) if (of, e) not in self._taken)
        self._taken.add((of, told))
        return told


def _ids(feature: Any) -> set[str]:
    scenarios = [child.scenario for child in feature.children if child.scenario]
    for child in feature.children:
        if child.rule:
            scenarios += [inner.scenario for inner in child.rule.children if inner.scenario]
    tagged = names_of([tag for each in (feature, *scenarios) for tag in each.tags])
    return {tag for tag in tagged if ID.fullmatch(tag)}


def _planned(
    item: pytest.Function, watch: Watch, redacted: _Redacted
) -> Scenario | tuple[Complaint, ...]:
    rendered = bdd_internals.rendered(item)
    assert rendered is not None, "a feature file holds scenarios only"
    written: list[Written] = []
    complaints: list[Complaint] = []
    for step in rendered.steps:
        try:
            meaning = meaning_of(step.type, step.name, bdd_internals.table_of(step))
        except SentenceError as error:
            complaints.append(Complaint(step.line_number, f'"{step.keyword} {step.name}": {error}'))
            continue
        written.append(Written(step.type.title(), step.name, step.line_number, meaning))
    if complaints:
        return tuple(complaints)
    heading = heading_of(rendered, bdd_internals.example_of(item))
    return plan(redacted.heading(heading), written, watch.systems)


def heading_of(scenario: BddScenario, row: dict[str, str]) -> Heading:
    """What stands above the steps: ids, level, permission, chapter, advice."""
    rule_tags = scenario.rule.tags if scenario.rule is not None else set()
    tags = tuple(sorted({*scenario.tags, *scenario.feature.tags, *rule_tags}))
    return Heading(
        ids=tuple(tag for tag in _in_file_order(tags) if ID.fullmatch(tag)),
        level=next(tag for tag in tags if LEVEL.fullmatch(tag)),
        name=scenario.name,
        row=", ".join(row.values()),
        permission=_permission(tags),
        feature=scenario.feature.name or "",
        rule=scenario.rule.name if scenario.rule is not None else "",
        path=Path(scenario.feature.filename),
        line=scenario.line_number,
        advice=" ".join(scenario.description.split()),
        tags=tags,
    )


def _permission(tags: Iterable[str]) -> Permission:
    given = [permission for permission in PERMISSIONS if permission in tags]
    return given[-1] if given else "looking"


def _in_file_order(tags: Iterable[str]) -> list[str]:
    """MM-DEP-2 before MM-DEP-10."""

    def number(tag: str) -> tuple[str, int]:
        head, _, tail = tag.rpartition("-")
        return (head, int(tail)) if tail.isdigit() else (tag, 0)

    return sorted(tags, key=number)
