"""Tests of the plan: what a scenario will look at and do, before anything is touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.stage import planned, shop, system_in
from watchkeeper.errors import CouldNotObserve
from watchkeeper.plan import (
    Complaint,
    Look,
    Scenario,
    bound,
    key_of,
    missing_late,
    services_needed,
    without_duplicates,
)
from watchkeeper.targets import Permission, System, Target


@pytest.fixture
def system(tmp_path: Path) -> System:
    return system_in(tmp_path)


def scenario(system: System, text: str, permission: Permission = "looking") -> Scenario:
    found = planned(system, text, permission)
    assert isinstance(found, Scenario), found
    return found


def problems(system: System, text: str, permission: Permission = "looking") -> list[str]:
    found = planned(system, text, permission)
    assert not isinstance(found, Scenario)
    return [each.problem for each in found]


def looks(found: Scenario) -> list[Look]:
    return [look for step in found.steps for look in step.looks]


def test_a_plan_touches_nothing(tmp_path: Path, system: System) -> None:
    """Not even a variable: --plan works where no secret is set."""
    with shop(tmp_path) as untouched:
        scenario(system, "Then its stock is 5\nAnd it has no orders")
    assert not untouched.asked


def test_every_figure_of_a_sentence_is_a_look(system: System) -> None:
    """Also those that the limit names beside it."""
    found = scenario(system, "Then its stock is above its other stock, where there were any orders")
    assert [look.noun for look in looks(found)] == ["stock", "other stock", "orders"]


def test_the_window_is_in_the_question(system: System) -> None:
    """As hours in a path, as conditions in SQL; another window is another question."""
    day, hour = (
        looks(scenario(system, f"Then over the last {window} its error rate was below 1%"))[0]
        for window in ("24 hours", "1 hour")
    )
    assert day.question.model_dump()["params"] == {"hours": "24"}
    assert key_of(day, day.question) != key_of(hour, hour.question)
    (listed,) = looks(scenario(system, "Then over the last 24 hours it had no failed orders"))
    assert "made >= :since AND made < :until" in listed.question.model_dump()["sql"]


def test_texts_are_quoted_for_where_they_go(system: System) -> None:
    """An apostrophe in SQL, a backslash in jq: letters, and nothing else."""
    text = 'Then its orders of "Zoe\'s" is 1\nAnd its goods called "a\\" is 1'
    in_sql, in_jq = looks(scenario(system, text))
    assert in_sql.question.model_dump()["sql"].endswith("name = 'Zoe''s'")
    assert in_jq.figure.options.pick == '[.[] | select(.name == "a\\\\")] | length'


def test_two_sentences_of_one_question_are_one_look(system: System) -> None:
    """But a duration has a look of its own."""
    text = "Then its stock is 5\nAnd its other stock is 1\nAnd its time to answer is below 1 s"
    found = scenario(system, text)
    assert [look.noun for look in without_duplicates(looks(found))] == [
        "other stock",
        "time to answer",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Then its stock is the same as before", "compares with before, but nothing is done"),
        ("Then meanwhile its stock is 5", '"meanwhile" needs something that is going on'),
        ("Then its stock is at most last week's", "earlier values, which are not kept yet"),
        (
            "Then its stock is at most last week's, where there is one",
            "earlier values, which are not kept yet",
        ),
        ("Then its stock is 5, tolerating 2 minutes", "which only alerts can do"),
        ("Then over the last 1 hour its stock is 5", "can't be read over a time"),
        ("Then its error rate is below 1%", '"error rate" is read over a time'),
        ("Then over the last 1 hour its error rate was below 5 s", "does not fit"),
        ("Then its mood is clam", 'did you mean "calm"?'),
        ("Then the state of the answer is new", "there is no answer yet"),
        ("Then the state of that order is new", '"that order" was not named before'),
        ("Then its stock includes:\n| name |\n| tea |", '"stock" is one value'),
        ("Then its orders include:\n| nme |\n| tea |", 'it has: state, name; did you mean "name"?'),
        ("When the operator orders something\nThen its stock is 5", "is not tagged @changes"),
    ],
)
def test_what_can_not_be_carried_out_is_refused(system: System, text: str, problem: str) -> None:
    """At collection, with what to write instead."""
    (told,) = problems(system, text)
    assert problem in told


def test_a_scenario_without_a_judgement_is_refused(system: System) -> None:
    """A precondition counts; an operation alone proves nothing."""
    text = "When the operator orders something"
    assert problems(system, text, "changes") == ['"It works" judges nothing; add a Then']


def test_all_that_is_wrong_is_told_at_once(system: System) -> None:
    """Line by line."""
    found = planned(system, "Then its mood is clam\nAnd over the last 1 hour its stock is 5")
    assert isinstance(found, tuple)
    assert all(isinstance(each, Complaint) for each in found)
    assert [each.line for each in found] == [2, 3]


def test_a_given_judgement_is_a_precondition(system: System) -> None:
    """A Then is not."""
    found = scenario(system, "And its stock is 5\nThen its stock is 5")
    assert [step.precondition for step in found.steps] == [False, True, False]


def test_an_operation_looks_at_what_its_order_needs_from_before(system: System) -> None:
    """{before.highest order} is a figure like any other."""
    text = "When the operator removes the new ones\nThen its stock is 5"
    found = scenario(system, text, "destroys")
    assert [look.noun for look in found.steps[1].looks] == ["highest order"]
    assert found.steps[1].operation is not None
    assert missing_late(found.steps[1].operation.order, {}) == (
        "the highest order before the operation",
    )
    assert missing_late(found.steps[1].operation.order, {"before.highest order": "3"}) == ()


def test_a_question_with_a_gap_is_not_asked(tmp_path: Path, system: System) -> None:
    """{that.id} as it stands would be another question."""
    text = (
        "When the operator orders something\nThen exactly one of its orders is new\n"
        "And its name of that order is tea"
    )
    late = looks(scenario(system, text, "changes"))[-1]
    target = Target(system, system.environments["replica"], {"URL": "http://x", "DB": "y"})
    assert late.late
    with pytest.raises(CouldNotObserve, match="the id of the new one is not known"):
        bound(late, target)
    filled = json.loads(bound(late, target, {"that.id": "7"}).model_dump_json())
    assert filled["sql"].endswith("WHERE id = '7'")


def test_the_services_that_are_needed_are_those_of_the_sentences(system: System) -> None:
    """So that a run of one needs no secrets of another."""
    target = Target(system, system.environments["replica"], {})
    assert services_needed([scenario(system, "Then it has no orders")], target) == {"store"}
    assert services_needed([scenario(system, "Then its stock is 5")], target) == {"app"}
