"""Does breaking a check by hand make the drills fail and name it, for every check?

Each check is blunted in every way that tests.proving.blunting knows; the drills that are about it
are then run on one replica, with its original beside it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import pytest

from tests.proving.mutations import NO_FAULT, Mutant, Noticed, Range, told
from watchkeeper.plan import Scenario
from watchkeeper.proving.checks import Check

LEAST = 0.95
SURVIVORS: Mapping[str, str] = {}
"""Mutants that are known to be noticed by no drill, with what would have to be there for it."""


@pytest.fixture(scope="module")
def proving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Range]:
    """A replica, and every check as it is written."""
    opened = Range(tmp_path_factory.mktemp("mutations"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def noticed(proving: Range) -> Mapping[str, Noticed]:
    """Every mutant that a drill noticed; the share is printed."""
    began = time.monotonic()
    found = proving.noticed(proving.mutants)
    print(told(proving.mutants, found, time.monotonic() - began))
    return found


def test_every_check_can_be_blunted(proving: Range) -> None:
    """Each check, row by row, has a mutant, and no two mutants have one name."""
    assert proving.unplanned == []
    names = [each.name for each in proving.mutants]
    assert sorted({name for name in names if names.count(name) > 1}) == []
    blunted = {check for each in proving.mutants for check in each.checks}
    assert sorted(proving.known - blunted) == [], "a new way to write a limit can't be blunted yet"


def test_a_mutant_that_nobody_notices_is_named(
    proving: Range, noticed: Mapping[str, Noticed]
) -> None:
    """Nothing survives but what is listed above with its reason, and nothing listed is noticed."""
    left = [each.name for each in proving.mutants if each.name not in noticed]
    assert sorted(left) == sorted(SURVIVORS), "not noticed, or noticed though listed as not"


def test_the_share_that_is_noticed(proving: Range, noticed: Mapping[str, Noticed]) -> None:
    """At least 95 % of all mutants, and as many of those that are not red by themselves."""
    asking = [m for m in proving.mutants if _fault_of(m, noticed) != NO_FAULT]
    told_apart = [each for each in asking if each.name in noticed]
    assert len(noticed) >= LEAST * len(proving.mutants)
    assert len(told_apart) >= LEAST * len(asking)


def _fault_of(mutant: Mutant, noticed: Mapping[str, Noticed]) -> str:
    return noticed[mutant.name].fault if mutant.name in noticed else ""


def test_every_check_is_named_when_it_is_blunted(
    proving: Range, noticed: Mapping[str, Noticed]
) -> None:
    """Of each check, row by row, a mutant makes a drill fail that then names this very check."""
    named = {check for each in noticed.values() for check in each.checks}
    assert sorted(proving.known - named) == []


def test_every_step_of_an_upgrade_is_seen_failing(proving: Range) -> None:
    """Each operation and each limit of it stops the upgrade under a fault that is about this step.

    Backup, source, migrations, dependencies, installation, connections, restart, requests, and the
    migrations a second time.
    """
    (upgrade,) = (each for each in proving.originals if "MM-UPG-1" in each.ids)
    red = proving.seen_red(Check("MM-UPG-1"))
    silent = [text for line, text in judged_lines(upgrade) if line not in red]
    assert silent == []


def judged_lines(scenario: Scenario) -> Iterator[tuple[int, str]]:
    """What is done and judged, from the first operation on; a report can't fail by itself."""
    begun = False
    for step in scenario.steps:
        begun = begun or step.changes_something
        if begun and "the report lists" not in step.written.text:
            yield step.written.line, step.written.text


def test_a_check_that_was_not_blunted_is_not_noticed(proving: Range) -> None:
    """Originals, tried as mutants are, pass for what they are."""
    sound = [
        Mutant(f"{each.ids[0]} {each.row}", each, frozenset(range(len(each.steps) + 1)),
               frozenset(c for c in proving.known if c.id in each.ids and c.row == each.row), True)
        for each in proving.originals
        if {"MM-DAY-1", "MM-DAY-4", "MM-PRE-2", "MM-MNT-2"} & set(each.ids)
    ]  # fmt: skip
    assert proving.noticed(sound) == {}
