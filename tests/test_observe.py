"""Tests of the only path that looks: how often, how many at once, how old, how disturbed."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from tests.stage import Shop, Stage, stage
from watchkeeper.clock import Clock
from watchkeeper.errors import CouldNotObserve
from watchkeeper.looking.observe import TRIES_UNDISTURBED, throughout, within
from watchkeeper.plan import Look, Scenario


def looks(it: Stage, text: str) -> list[Look]:
    scenario = it.planned(text)
    assert isinstance(scenario, Scenario)
    return [look for step in scenario.steps for look in step.looks]


def test_one_look_for_each_distinct_question(tmp_path: Path) -> None:
    """Two figures of one answer ask once, however often they are judged."""
    text = "Then its stock is 5\nAnd its other stock is 1\nAnd its stock is below 9"
    with stage(tmp_path, patience="1 minute", stock={"count": 5, "other": 1}) as it:
        it.perform(text)
        it.perform(text)
    assert it.shop.asked["GET /stock"] == 1


def test_looks_ahead_are_under_way_together(tmp_path: Path) -> None:
    """Four at once is what the service allows; eight looks take two rounds of four together."""
    four = threading.Barrier(4, timeout=30)  # whoever comes alone is answered with an error

    def answer(_: Shop) -> object:
        four.wait()
        return {"count": 5}

    with stage(tmp_path, patience="1 minute") as it:
        it.shop.answers = {f"/{n}": answer for n in range(8)}
        names = looks(it, "Then its stock is 5")
        distinct = [_asking(names[0], f"app /{number}") for number in range(8)]
        it.observer.ahead(distinct)
        seen = [it.observer.now(look).value for look in distinct]
    assert seen == [5] * 8
    assert it.shop.most_at_once == 4


def _asking(look: Look, where: str) -> Look:
    question = look.figure.question.model_copy(update={"get": where})
    figure = type(look.figure)(
        f"figure at {where}", "http", question, look.figure.options, look.figure.place
    )
    return Look(figure.name, figure, ())


@pytest.mark.parametrize("noun", ["lone stock", "time to answer"])
def test_alone_is_alone(tmp_path: Path, noun: str) -> None:
    """A duration too: beside other looks it would measure our own crowd."""
    alone_with: list[int] = []

    def answer(shop: Shop) -> object:
        alone_with.append(shop.at_once)
        return {"count": 5}

    with stage(tmp_path, patience="1 minute", stock=answer) as it:
        it.shop.wait_s = 0.1
        (lone,) = looks(it, f"Then its {noun} is below 9{' s' * (noun == 'time to answer')}")
        others = [_asking(lone, f"app /{n}") for n in range(12)]
        crowd = [_plain(look) for look in others]
        it.observer.ahead(crowd)
        time.sleep(0.05)
        it.observer.now(lone)
        for look in crowd:
            it.observer.now(look)
    assert alone_with == [1]


def _plain(look: Look) -> Look:
    options = look.figure.options.model_copy(
        update={"alone": False, "measures": None, "pick": ".count"}
    )
    figure = type(look.figure)(
        look.figure.name, "http", look.figure.question, options, look.figure.place
    )
    return Look(figure.name, figure, ())


def test_one_that_waits_to_be_alone_goes_before_what_comes_later(tmp_path: Path) -> None:
    """A long queue must not keep it waiting to the end."""
    order: list[str] = []
    queued = threading.Event()

    def of_the_crowd(shop: Shop, number: int) -> object:
        queued.wait(30)
        order.append(str(number))
        return {"count": 5}

    with stage(tmp_path, patience="1 minute") as it:
        it.shop.answers = {f"/{n}": partial(of_the_crowd, number=n) for n in range(30)}
        it.shop.answers["/stock"] = lambda _: order.append("alone") or {"count": 5}
        (lone,) = looks(it, "Then its lone stock is 5")
        crowd = [_plain(_asking(lone, f"app /{n}")) for n in range(30)]
        it.observer.ahead(crowd)
        threading.Timer(0.3, queued.set).start()  # by then the lone one waits, too
        it.observer.now(lone)
        it.observer.forget()
    assert order.index("alone") < 20


def test_a_duration_shares_its_look_with_nobody(tmp_path: Path) -> None:
    """The same question, asked in a crowd, took another time."""
    with stage(tmp_path, patience="1 minute") as it:
        it.perform("Then its stock is 5\nAnd its time to answer is below 5 s")
    # Once for each, and again as often as this machine was itself late while it measured.
    assert it.shop.asked["GET /stock"] in range(2, 2 + TRIES_UNDISTURBED)


def test_a_barrier_lets_nothing_through(tmp_path: Path) -> None:
    """What was seen before a change says nothing about after it, and nothing is still under way."""
    with stage(tmp_path, patience="1 minute") as it:
        it.shop.wait_s = 0.2
        (look,) = looks(it, "Then its stock is 5")
        it.observer.ahead([look])
        it.observer.forget()
        assert it.shop.asked["GET /stock"] == 1
        assert it.shop.at_once == 0
        it.observer.now(look)
        assert it.shop.asked["GET /stock"] == 2


def test_after_an_operation_every_look_is_new(tmp_path: Path) -> None:
    """Also that of the same sentence."""
    text = (
        "And its stock is 5\nWhen the operator orders something\n"
        "Then its stock is 5\nAnd its stock is 5"
    )
    with stage(tmp_path, patience="1 minute") as it:
        it.perform(text, "changes")
    assert it.shop.asked["GET /stock"] == 3


def test_a_changing_scenario_has_nothing_looked_at_ahead(tmp_path: Path) -> None:
    """Nor has a sentence that waits, nor what runs alone."""
    with stage(tmp_path) as it:
        changing = it.planned("When the operator orders something\nThen its stock is 5", "changes")
        waiting = it.planned("Then within 1 minute its stock is 5\nAnd its lone stock is 5")
    assert isinstance(changing, Scenario)
    assert isinstance(waiting, Scenario)
    assert [*changing.looks_ahead, *waiting.looks_ahead] == []


def test_what_is_too_old_is_looked_at_again(tmp_path: Path) -> None:
    """`max age` counts from when its look began."""
    with stage(tmp_path, patience="1 minute") as it:
        (look,) = looks(it, "Then its stock is 5")
        options = look.figure.options.model_copy(update={"max_age": "1 second"})
        figure = type(look.figure)(
            "stock", "http", look.figure.question, options, look.figure.place
        )
        short = Look("stock", figure, ())
        it.observer.now(short)
        it.observer.now(short)
        assert it.shop.asked["GET /stock"] == 1
        time.sleep(1.01)
        it.observer.now(short)
        assert it.shop.asked["GET /stock"] == 2


def test_a_look_is_given_up_at_its_deadline(tmp_path: Path) -> None:
    """A service that accepts and never answers is a sentence after one second."""
    with stage(tmp_path) as it:
        it.shop.wait_s = 3  # the answer would come, and be taken by whoever waits for it
        (look,) = looks(it, "Then its stock is 5")
        with pytest.raises(CouldNotObserve) as caught:
            it.observer.now(look)
    assert caught.value.kind == "timeout"
    assert "1 s" in caught.value.reason


def test_closing_does_not_wait_for_what_hangs(tmp_path: Path) -> None:
    """Ctrl-C must not take as long as the slowest service."""
    over, asked = threading.Event(), threading.Event()

    def hang(_: Shop) -> object:
        asked.set()
        over.wait()
        return {"count": 5}

    with stage(tmp_path, patience="1 minute", stock=hang) as it:
        (look,) = looks(it, "Then its stock is 5")
        it.observer.ahead([look])
        assert asked.wait(10)
        began = time.monotonic()
        it.observer.close()
        took_s = time.monotonic() - began
        over.set()
    assert took_s < 50, "it waited for the answer, which would have been given up after a minute"


def test_a_moved_clock_moves_the_window(tmp_path: Path) -> None:
    """A drill sees yesterday's rows as older, without waiting a day."""
    text = "Then over the last 24 hours it had no orders"
    for offset, count in ((timedelta(), 1), (timedelta(days=2), 0)):
        folder = tmp_path / str(count)
        folder.mkdir()
        with stage(folder, patience="1 minute", clock=Clock(offset)) as it:
            it.shop.sql("INSERT INTO orders VALUES (1, 'tea', 'new', datetime('now', '-1 hour'))")
            assert it.found(text).parameters == (("orders", str(count)),)


def test_within_and_throughout_judge_at_least_once() -> None:
    """A wait of no time at all is one look."""
    clock = Clock()
    assert within(0, lambda: 1, lambda found: found > 1, clock) == 1
    assert (
        throughout(0, lambda: 1, lambda found: found > 0, clock, badness=lambda found: found) == 1
    )


def test_throughout_gives_the_worst_and_latest() -> None:
    """Of two that are as bad, the one that still holds."""
    found = iter([(1, "a"), (2, "b"), (2, "c"), (0, "d")])
    last = [(0, "e")] * 100
    worst = throughout(
        0.5,
        lambda: next(found, last[0]),
        lambda each: each[0] < 3,
        Clock(),
        badness=lambda each: each[0],
    )
    assert worst[0] == 2
