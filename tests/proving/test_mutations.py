"""Would the drills notice a blunted check? Some are tried here, all by tests.proving.mutations."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.proving.mutations import Mutant, Range, told

SAMPLE = (
    "MM-DAY-1 loosened", "MM-DAY-2 made a report", "MM-DAY-4 loosened: its Sonarr connection",
    "MM-DAY-5 loosened: over the last 24 hours its number of lines", "MM-DAY-7 made a report",
    "MM-BAK-1 loosened: its age", "MM-PRE-2 loosened", "MM-PRE-4 without the row arr_id",
    "MM-DEP-0 loosened: its app connection",
    "MM-DAY-3 requests with a confidence below 0.6: where", "MM-DEP-1 loosened: its first match",
)  # fmt: skip


@pytest.fixture(scope="module")
def proving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Range]:
    """A replica, and every check as it is written."""
    opened = Range(tmp_path_factory.mktemp("mutations"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def mutants(proving: Range) -> list[Mutant]:
    return proving.mutants()


def test_every_scenario_can_be_blunted(proving: Range, mutants: list[Mutant]) -> None:
    """Each scenario with a limit has a mutant, and no two mutants have one name."""
    assert proving.unplanned == []
    names = [each.name for each in mutants]
    assert len(names) == len(set(names))
    blunted = {one for each in mutants for one in each.scenario.ids}
    unblunted = proving.proven - blunted - {"MM-TRB-7", *proving.reporting}
    assert unblunted == set(), "a new way to write a limit needs a new way to blunt it"


def test_blunted_checks_are_noticed(proving: Range, mutants: list[Mutant]) -> None:
    """A limit loosened, a row dropped or a list merely reported: the drills of the check fail."""
    began = time.monotonic()
    chosen = [next(each for each in mutants if each.name.startswith(name)) for name in SAMPLE]
    noticed = proving.noticed(chosen)
    print(told(chosen, noticed, time.monotonic() - began))
    assert [each.name for each in chosen if each.name not in noticed] == []


def test_a_check_that_was_not_blunted_is_not_noticed(proving: Range) -> None:
    """The originals, tried as mutants are, pass for what they are."""
    sound = [Mutant(f"{each.ids[0]} {each.row}", each) for each in proving.originals
             if {"MM-DAY-1", "MM-DAY-4", "MM-PRE-2"} & set(each.ids)]  # fmt: skip
    assert proving.noticed(sound) == {}
