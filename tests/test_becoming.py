"""Tests of what becomes of rows, of trying in turn, of what an operation leaves, and of trends."""

from __future__ import annotations

import re
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.stage import Shop, stage
from tests.test_performing import ended, makes_order
from watchkeeper.holding import Became, Touched, came_to, compared
from watchkeeper.meaning import Change, Changed, Extent
from watchkeeper.observation import Row, Table
from watchkeeper.plan import Complaint, Scenario, services_needed
from watchkeeper.verdicts import Verdict

PASSED, FAILED, UNKNOWN = Verdict.PASSED, Verdict.FAILED, Verdict.UNKNOWN
NOT_RUN = Verdict.NOT_RUN


def table(**rows: int) -> Table:
    return Table(tuple(Row((("id", key), ("n", n))) for key, n in rows.items()), len(rows), "id")


def with_orders(shop: Shop, *states: str) -> None:
    for number, state in enumerate(states, 1):
        shop.sql(f"INSERT INTO orders VALUES ({number}, 'o{number}', '{state}', '2026-01-01')")


def test_rows_are_changed_gone_or_new() -> None:
    """Two looks tell the three apart, by key and by every cell."""
    became = compared(table(a=1, b=1, c=1), table(a=1, b=2, d=1), "id", alone=True)
    assert became == Became(frozenset("b"), frozenset("c"), frozenset("d"), surely_ours=True)


def test_a_transactions_own_keys_are_changed_or_gone() -> None:
    """What it touched and is no longer there is gone; nothing else is spoken of."""
    became = Touched("SELECT 1", "orders", frozenset("ab"), frozenset("b")).became
    assert (became.changed, became.gone) == (frozenset("a"), frozenset("b"))


@pytest.mark.parametrize(
    ("extent", "found", "ours", "verdict"),
    [
        (Extent.EXACTLY, "ab", True, PASSED),
        (Extent.EXACTLY, "a", True, FAILED),
        (Extent.EXACTLY, "abc", True, FAILED),
        (Extent.EXACTLY, "abc", False, UNKNOWN),
        (Extent.EXACTLY, "", False, FAILED),
        (Extent.ONLY, "a", True, PASSED),
        (Extent.ONLY, "", True, PASSED),
        (Extent.ONLY, "c", True, FAILED),
        (Extent.ONLY, "c", False, UNKNOWN),
        (Extent.NONE, "c", False, PASSED),
        (Extent.NONE, "a", True, FAILED),
        (Extent.NONE, "a", False, UNKNOWN),
    ],
)
def test_exactly_only_and_none(extent: Extent, found: str, ours: bool, verdict: Verdict) -> None:
    """Beyond the selection is failed where only we write and unknown elsewhere; short is failed."""
    meaning = Changed("orders", extent, "the failed orders", Change.CHANGED)
    became = Became(frozenset(found), frozenset(), frozenset(), surely_ours=ours)
    assert came_to(meaning, became, frozenset("ab"))[0] is verdict


def test_exactly_the_selected_rows_change(tmp_path: Path) -> None:
    """The operation's own transaction tells which; each of them is then judged."""
    text = (
        "When the operator resets the failed orders\n"
        "Then of its orders exactly the failed orders changed\n"
        'And the state of each of the changed orders is "new"'
    )
    with stage(tmp_path) as it:
        with_orders(it.shop, "failed", "sold", "failed")
        found = ended(it.perform(text, "changes"))
        assert it.shop.sql("SELECT status FROM orders") == [("new",), ("sold",), ("new",)]
    assert [verdict for verdict, _ in found] == [PASSED] * 3
    assert found[1][1] == "orders of the shop: 2 changed: 1, 3"
    assert found[2][1] == 'the state of each of the 2 changed orders is "new"'


def test_one_of_the_changed_rows_that_is_not_so_is_named(tmp_path: Path) -> None:
    """The finding says which row, and how many more are like it."""
    text = (
        "When the operator resets the failed orders\n"
        "Then of its orders exactly the failed orders changed\n"
        'And the state of each of the changed orders is "sold"'
    )
    with stage(tmp_path) as it:
        with_orders(it.shop, "failed", "failed")
        verdict, told = ended(it.perform(text, "changes"))[-1]
    assert verdict is FAILED
    assert re.search(r"the state of each of the changed orders \(id [12]\) was \"new\"", told)
    assert told.endswith("and 1 more like it")


def test_an_operation_that_would_touch_others_is_rolled_back(tmp_path: Path) -> None:
    """The system is as it was, and the scenario failed."""
    with stage(tmp_path) as it:
        with_orders(it.shop, "failed", "sold")
        found = ended(
            it.perform("When the operator resets all orders\nThen its mood is calm", "changes")
        )
        assert it.shop.sql("SELECT status FROM orders") == [("failed",), ("sold",)]
    assert found[0][0] is FAILED
    assert "1 rows were selected and 2 would have changed" in found[0][1]


def test_exactness_holds_beside_a_live_writer(tmp_path: Path) -> None:
    """Rows that somebody else writes meanwhile are not taken for ours."""
    text = (
        "When the operator resets the failed orders\n"
        "Then of its orders exactly the failed orders changed"
    )
    stop = threading.Event()

    def writes(database: Path) -> None:
        with closing(sqlite3.connect(database, timeout=5, isolation_level=None)) as store:
            while not stop.is_set():
                store.execute("UPDATE orders SET made = datetime('now', 'subsec') WHERE id = 2")

    with stage(tmp_path) as it:
        with_orders(it.shop, "failed", "sold")
        writer = threading.Thread(target=writes, args=(it.shop.database,))
        writer.start()
        try:
            found = [ended(it.perform(text, "changes"))]
            it.shop.sql("UPDATE orders SET status = 'failed' WHERE id = 1")
            found.append(ended(it.perform(text, "changes")))
        finally:
            stop.set()
            writer.join()
    assert [[verdict for verdict, _ in each] for each in found] == [[PASSED, PASSED]] * 2


def test_rows_that_are_selected_between_look_and_change_are_no_strangers(tmp_path: Path) -> None:
    """What counts is what the transaction itself selected, while others fail all the time."""
    text = (
        "When the operator resets the failed orders\n"
        "Then of its orders exactly the failed orders changed"
    )
    stop = threading.Event()

    def fails(database: Path) -> None:
        failed = "INSERT INTO orders (name, status, made) VALUES ('o', 'failed', '2026-01-01')"
        with closing(sqlite3.connect(database, timeout=5, isolation_level=None)) as store:
            while not stop.wait(0.001):
                store.execute(failed)

    with stage(tmp_path) as it:
        with_orders(it.shop, "failed", "sold")
        writer = threading.Thread(target=fails, args=(it.shop.database,))
        writer.start()
        try:
            found = [ended(it.perform(text, "changes")) for _ in range(5)]
        finally:
            stop.set()
            writer.join()
    assert [[verdict for verdict, _ in each] for each in found] == [[PASSED, PASSED]] * 5


def test_that_row_alone_is_touched_and_its_text_stays_a_text(tmp_path: Path) -> None:
    """A name with a quote in it is a name."""
    text = (
        "And one of its failed orders\n"
        "When the operator renames that order to \"O'Neill'; DROP TABLE orders; --\"\n"
        "Then of its orders exactly that failed order changed"
    )
    with stage(tmp_path) as it:
        with_orders(it.shop, "sold", "failed")
        planned = it.planned(text, "changes")
        assert not isinstance(planned, tuple) or isinstance(planned[0], Complaint)
        renamed = text.replace("its failed orders", "its orders").replace(
            "that failed order", "that order"
        )
        found = ended(it.perform(renamed, "changes"))
        names = it.shop.sql("SELECT name FROM orders ORDER BY id")
    assert [verdict for verdict, _ in found] == [PASSED] * 3
    assert "O'Neill'; DROP TABLE orders; --" in {name for (name,) in names}


def test_a_picked_row_is_found_again_where_it_left_its_list(tmp_path: Path) -> None:
    """One of the failed orders is still that order when it has failed no more."""
    text = (
        "And one of its failed orders\n"
        "When the operator resets the failed orders\n"
        'Then the state of that failed order is "new"'
    )
    with stage(tmp_path) as it:
        with_orders(it.shop, "sold", "failed")
        found = ended(it.perform(text, "changes"))
    assert [verdict for verdict, _ in found] == [PASSED] * 3
    assert "(id 2)" in found[2][1]


def test_what_it_must_leave_is_verified(tmp_path: Path) -> None:
    """An operation that was accepted and had no effect has failed."""
    text = "When the operator orders with care\nThen its mood is calm"
    with stage(tmp_path, order=makes_order) as it:
        assert [verdict for verdict, _ in ended(it.perform(text, "changes"))] == [PASSED, PASSED]
        it.shop.answers["/order"] = {"state": "taken"}
        verdict, told = ended(it.perform(text, "changes"))[0]
    assert verdict is FAILED
    assert "the operator orders with care" in told
    assert "; but then number of orders of the shop was 1, expected 1 higher than before" in told


def test_what_it_must_leave_may_take_a_while(tmp_path: Path) -> None:
    """What comes true in time is waited for; each figure is compared with its own before."""
    text = "When the operator orders with patience\nThen its mood is calm"
    stocks = iter([5, 5, 6])
    with stage(tmp_path, stock=lambda _: {"count": next(stocks)}) as it:
        assert [verdict for verdict, _ in ended(it.perform(text, "changes"))] == [PASSED, PASSED]
        it.shop.answers["/stock"] = {"count": 6}
        moods = iter(["ok", "bad"])
        it.shop.answers["/mood"] = lambda _: {"mood": next(moods)}
        verdict, told = ended(it.perform(text, "changes"))[0]
    assert verdict is FAILED
    assert "mood of the shop was busy, expected the same as before (calm)" in told


def test_what_is_tried_in_turn_needs_its_services(tmp_path: Path) -> None:
    """Variables that only an operation of the table names are asked for before anything begins."""
    with stage(tmp_path) as it:
        scenario = it.planned(TRIES, "changes")
        assert isinstance(scenario, Scenario)
        steps = tuple(step for step in scenario.steps if step.attempts)
        assert services_needed([replace(scenario, steps=steps)], it.observer.target) == {"app"}
        assert [step.written_verb for step in scenario.every_step if step.operation] == [
            "calls for help",
            "wakes it up",
        ]


TRIES = (
    "When the operator tries in turn, until its app connection is up:\n"
    "| operation      | for at most |\n"
    "| calls for help | 0 seconds   |\n"
    "| wakes it up    | 5 seconds   |\n"
    "Then its app connection is up"
)


def test_what_is_well_is_left_alone(tmp_path: Path) -> None:
    """Where the judgement holds already nothing is done."""
    with stage(tmp_path) as it:
        found = ended(it.perform(TRIES, "changes"))
        assert not [asked for asked in it.shop.asked if asked.startswith("POST")]
    assert found[0][0] is PASSED
    assert found[0][1].startswith("nothing had to be done; app connection of the shop was up")


def test_one_thing_after_another_is_tried_until_it_is_well(tmp_path: Path) -> None:
    """The first does not help, the second does; both are told."""

    def wakes(shop: Shop) -> object:
        shop.answers["/health"] = {}
        return {}

    with stage(tmp_path, health=(503, b"{}"), wake=wakes) as it:
        found = ended(it.perform(TRIES, "changes"))
        assert it.shop.asked["POST /help"] == it.shop.asked["POST /wake"] == 1
    assert [verdict for verdict, _ in found] == [PASSED, PASSED]
    assert "calls for help" in found[0][1]
    assert "wakes it up" in found[0][1]


def test_what_no_attempt_mends_is_failed(tmp_path: Path) -> None:
    """And the scenario ends there."""
    text = TRIES.replace("5 seconds", "0 seconds")
    with stage(tmp_path, health=(503, b"{}")) as it:
        found = ended(it.perform(text, "changes"))
        assert it.shop.asked["POST /wake"] == 1
    assert [verdict for verdict, _ in found] == [FAILED]


def test_a_closed_lock_ends_the_attempts(tmp_path: Path) -> None:
    """Nothing is sent, and the check did not run."""
    with stage(tmp_path, health=(503, b"{}"), allowed="looking") as it:
        found = ended(it.perform(TRIES, "changes"))
        assert not [asked for asked in it.shop.asked if asked.startswith("POST")]
    assert [verdict for verdict, _ in found] == [NOT_RUN]


def test_figures_are_shown_beside_those_before(tmp_path: Path) -> None:
    """The stretch before ends where this one begins; numbers have their trend."""
    text = (
        "Then over the last 24 hours the report lists its figures "
        "beside those of the 24 hours before:\n"
        "| figure           |\n"
        "| number of orders |"
    )
    with stage(tmp_path) as it:
        for age in ("-1 hour", "-2 hours", "-3 hours", "-30 hours", "-40 hours", "-60 hours"):
            it.shop.sql(f"INSERT INTO orders (made) VALUES (datetime('now', '{age}'))")
        found = ended(it.perform(text))
    assert found == [
        (PASSED, "number of orders of the shop over the last 24 hours: 3, before that 2 (+50%)")
    ]


def test_nothing_is_tried_where_nobody_can_say_how_it_is(tmp_path: Path) -> None:
    """A refused login is no outage: what would be done about one could do harm."""
    with stage(tmp_path, health=(401, b"{}")) as it:
        performance = it.perform(TRIES, "changes")
        assert performance.verdict is Verdict.UNKNOWN
        assert (it.shop.asked["POST /help"], it.shop.asked["POST /wake"]) == (0, 0)
