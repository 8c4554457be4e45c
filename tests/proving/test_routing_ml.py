"""Does each way out of a severe incident of the routing platform work, and no other one hide it?

The fault is turned, the chapter is carried out on the drill's moved clock, and the sentence that
tries in turn says what had to be done. The whole matrix of faults is `make drill`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

import steps.given
import steps.then
import steps.when  # noqa: F401 - the words
from tests.proving.blunting import cases
from tests.proving.projects import ROOT
from watchkeeper.kinds import KINDS
from watchkeeper.plan import Scenario
from watchkeeper.proving.replicas import start_replica
from watchkeeper.proving.stage import Stage
from watchkeeper.pytest_plugin import bdd_internals
from watchkeeper.pytest_plugin.words import DICTIONARY
from watchkeeper.recording.ledger import Ledger
from watchkeeper.recording.redaction import Redactor
from watchkeeper.target_file import load_system
from watchkeeper.verdicts import Verdict, worst

SLUG = "routing-ml"
TRIES = "the operator tries in turn"
RESTART, RELEASE, ALL, RESTORE = (
    "the operator restarts the back end",
    "the operator checks out the stable release",
    "the operator restarts every service",
    "the operator restores the database from the last backup",
)
GOOD = (Verdict.PASSED, Verdict.DEGRADED)
LOOK_S = 2.0  # as the drill file says for all its drills


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The replica, and its two chapters of severe incidents."""
    bdd_internals.install()
    system = load_system(ROOT / "targets" / f"{SLUG}.yml", KINDS)
    DICTIONARY.load([system])
    planned = [case.planned(system) for case in cases(ROOT / "features" / SLUG)]
    severe = [each for each in planned if each is not None and each.ids[0].startswith("RML-SEV")]
    redactor = Redactor()
    ledger = Ledger.open(tmp_path_factory.mktemp("severe") / "ledger.jsonl", redactor)
    made = Stage(system, severe, start_replica(ROOT, SLUG), ledger, redactor)
    yield made
    made.close()
    ledger.close()


def scenario_of(stage: Stage, id_: str) -> Scenario:
    (found,) = (each for each in stage.scenarios if id_ in each.ids)
    return found


class Chapter(NamedTuple):
    """How a chapter ended under some dials."""

    verdict: Verdict
    tried: str  # what the sentence that tries in turn says
    why: list[str]  # what any sentence says that is not good


def carried_out(stage: Stage, id_: str, *dials: str) -> Chapter:
    ((_, findings),) = stage.run(dials, [scenario_of(stage, id_)], LOOK_S)
    tried = [found.sentence for found in findings if found.step.startswith(TRIES)]
    assert len(tried) == 1, [found.sentence for found in findings]
    bad = [each for each in findings if each.verdict not in GOOD]
    why = [f"{each.verdict}: {each.sentence}" for each in bad]
    return Chapter(worst(each.verdict for each in findings), tried[0], why)


@pytest.mark.parametrize(
    ("dials", "done", "spared"),
    [
        ((), (), (RESTART, RELEASE, ALL, RESTORE)),
        (("back end down",), (RESTART,), (RELEASE, ALL, RESTORE)),
        (("back end hangs until it is restarted",), (RESTART,), (RELEASE, ALL, RESTORE)),
        (("the release is broken",), (RESTART, RELEASE, ALL), (RESTORE,)),
        (("routing_data is lost",), (RESTART, RELEASE, ALL, RESTORE), ()),
    ],
    ids=lambda value: " and ".join(value) if isinstance(value, tuple) else str(value),
)
def test_production_is_brought_back_by_the_mildest_means_that_helps(
    stage: Stage, dials: tuple[str, ...], done: tuple[str, ...], spared: tuple[str, ...]
) -> None:
    """A restart, else the stable release, else the backup: no more is done than is needed."""
    verdict, told, why = carried_out(stage, "RML-SEV-1", *dials)
    assert verdict in GOOD, why
    assert [each for each in done if each not in told] == [], told
    assert [each for each in spared if each in told] == [], told


def test_production_that_nothing_brings_back_is_failed_and_all_was_tried(stage: Stage) -> None:
    """Red, and the sentence says everything that was done in vain."""
    verdict, told, _ = carried_out(stage, "RML-SEV-1", "back end does not come back")
    assert verdict is Verdict.FAILED
    assert RESTART in told


def test_predictions_that_a_restart_mends_need_no_other_release(stage: Stage) -> None:
    """SEV-2: what hangs is restarted; the release stays. Only who was affected nobody can say:
    what hangs can't be measured."""
    verdict, told, why = carried_out(stage, "RML-SEV-2", "back end hangs until it is restarted")
    assert verdict in (*GOOD, Verdict.UNKNOWN), why
    assert [each for each in why if "endpoints" not in each] == []
    assert RESTART in told
    assert RELEASE not in told


def test_predictions_that_nothing_mends_are_failed(stage: Stage) -> None:
    """SEV-2: both means were tried, and the chapter says so."""
    verdict, told, _ = carried_out(stage, "RML-SEV-2", "predictions fail")
    assert verdict is Verdict.FAILED
    assert RESTART in told
    assert RELEASE in told
