"""Tests of how a scenario runs: what it finds, what it does, and what it leaves behind."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from tests.stage import Shop, stage
from watchkeeper.performing import Performance
from watchkeeper.plan import Scenario
from watchkeeper.verdicts import Verdict

UNKNOWN, FAILED, PASSED = Verdict.UNKNOWN, Verdict.FAILED, Verdict.PASSED
BLOCKED, NOT_RUN, DEGRADED = Verdict.BLOCKED, Verdict.NOT_RUN, Verdict.DEGRADED
AT = r" at \d\d:\d\d:\d\dZ, [\d.]+ m?s\)$"


def ended(performance: Performance) -> list[tuple[Verdict, str]]:
    """Each finding, without where and when it was seen."""
    findings = [account.finding for account in performance.accounts]
    return [
        (found.verdict, re.sub(rf" \({re.escape(found.source)}{AT}", "", found.sentence))
        for found in findings
    ]


def makes_order(shop: Shop) -> object:
    shop.sql("INSERT INTO orders (name, status, made) VALUES ('tea', 'new', datetime('now'))")
    return {"state": "taken", "id": 7}


def test_a_finding_reads_like_the_runbook(tmp_path: Path) -> None:
    """Subject, what was found, what was expected, where and when: in this order."""
    with stage(tmp_path, stats={"rate": 0.123}) as it:
        account = it.found("Then over the last 24 hours its error rate was below 10%")
    assert re.fullmatch(
        r"error rate of the shop over the last 24 hours was 12\.3%, expected below 10% "
        r"\(GET /stats\?hours=24 of app at \d\d:\d\d:\d\dZ, [\d.]+ m?s\)",
        account.finding.sentence,
    )
    assert account.finding.verdict is FAILED


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"count": None}, "the answer has no .count"),
        ({"count": ""}, "it said nothing, expected one value"),
        ({"count": []}, "it said a list, expected one value"),
        ({"count": {"n": 5}}, "it said a mapping, expected one value"),
        ({}, "the answer has no .count"),
        ([], "the answer has another shape than .count expects"),
        (b'{"count": NaN}', ""),
        (b"<html><title>Login</title></html>", ""),
        (b'{"count": 5', ""),
        ((401, b"{}"), ""),
        ((500, b"<html>Oops</html>"), ""),
    ],
)
def test_what_says_nothing_is_unknown_and_never_failed(
    tmp_path: Path, said: object, reason: str
) -> None:
    """Null, empty, lists, NaN, HTML, half JSON, a login: nobody knows how much there is."""
    with stage(tmp_path, stock=said) as it:
        finding = it.found("Then its stock is at least 1").finding
    assert finding.verdict is UNKNOWN
    assert finding.sentence.startswith(f"stock of the shop could not be seen: {reason}")


@pytest.mark.parametrize("said", ["5", True, "n/a"])
def test_a_value_of_another_kind_is_unknown(tmp_path: Path, said: object) -> None:
    """ "5" is a text: whether it is below 10 is for whoever changed the API to say."""
    with stage(tmp_path, stock={"count": said}) as it:
        assert it.found("Then its stock is at least 1").finding.verdict is UNKNOWN


def test_a_word_that_nobody_declared_is_unknown(tmp_path: Path) -> None:
    """A new state is neither good nor bad until the target file says so."""
    with stage(tmp_path, mood={"mood": "weird"}) as it:
        verdict, sentence = ended(it.perform("Then its mood is calm"))[0]
    assert verdict is UNKNOWN
    assert sentence == (
        'mood of the shop could not be seen: it said "weird", understood are: ok, bad'
    )


def test_a_service_that_is_down_blocks_its_other_figures(tmp_path: Path) -> None:
    """Down is one finding; all else that asks it says by what it is blocked."""
    with stage(tmp_path, health=(503, b"{}"), stock=(503, b"{}")) as it:
        found = ended(it.perform("Then its app connection is up\nAnd its stock is at least 1"))
    assert found == [
        (FAILED, "app connection of the shop was down, expected up"),
        (BLOCKED, "stock of the shop is blocked, since its app connection is down"),
    ]


def test_a_refused_login_of_a_service_that_is_up_stays_unknown(tmp_path: Path) -> None:
    """A 401 says nothing about what was asked, and nothing about the service being down."""
    with stage(tmp_path, stock=(401, b"{}")) as it:
        assert it.found("Then its stock is at least 1").finding.verdict is UNKNOWN


def test_readings_go_on_after_a_bad_one(tmp_path: Path) -> None:
    """The worst finding is the verdict, and the other ones are shown."""
    text = "Then its stock is below 1\nAnd its mood is calm"
    with stage(tmp_path) as it:
        performance = it.perform(text)
    assert [account.finding.verdict for account in performance.accounts] == [FAILED, PASSED]
    assert performance.verdict is FAILED


def test_two_tiers_degrade_between(tmp_path: Path) -> None:
    """Below 5 is good, up to 10 is degraded, and both numbers are in the sentence."""
    with stage(tmp_path) as it:
        found = ended(it.perform("Then its stock is below 5, at worst 10"))
    assert found == [(DEGRADED, "stock of the shop was 5, expected below 5, at worst 10")]


def test_nothing_performed_is_not_run(tmp_path: Path) -> None:
    """Nothing run is never green."""
    with stage(tmp_path) as it:
        assert it.ready("Then its mood is calm").verdict is NOT_RUN


# ---- Lists -----------------------------------------------------------------------------------


def test_a_list_that_should_be_empty_names_its_rows(tmp_path: Path) -> None:
    """Who reads it at night need not open the database first."""
    with stage(tmp_path) as it:
        it.shop.sql("INSERT INTO orders VALUES (61, 'tea', 'failed', datetime('now', '-1 hour'))")
        found = ended(it.perform("Then over the last 24 hours it had no failed orders"))
    assert found == [
        (
            FAILED,
            "the shop had 1 failed orders over the last 24 hours (61 failed tea), expected none",
        )
    ]


def test_an_empty_list_is_said_plainly(tmp_path: Path) -> None:
    """And a number is not needed for none."""
    with stage(tmp_path) as it:
        found = ended(it.perform("Then it has no failed orders"))
    assert found == [(PASSED, "the shop had no failed orders, expected none")]


@pytest.mark.parametrize(
    ("table", "verdict", "told"),
    [
        ("| name | price |\n| tea | 3 |", PASSED, "there is name tea, price 3"),
        (
            "| name | price |\n| tea | 4 |",
            FAILED,
            "no row with name tea, price 4; there is name tea, price 3",
        ),
        ("| name |\n| salt |", FAILED, "no row with name salt"),
        ("| name |\n| tea |\n| tea |", FAILED, "no row with name tea"),
        ("| name | price |\n| milk | |", PASSED, "there is name milk, price empty"),
    ],
)
def test_what_a_list_includes(tmp_path: Path, table: str, verdict: Verdict, told: str) -> None:
    """A row that differs is shown beside the one that was wanted; no row answers for two."""
    with stage(tmp_path) as it:
        found = ended(it.perform(f"Then its goods include:\n{table}"))
    assert found == [(verdict, f"goods of the shop: {told}")]


@pytest.mark.parametrize(
    ("how", "table", "verdict", "told"),
    [
        ("include only", "| name |\n| tea |", FAILED, "there is 1 row too many"),
        ("include only", "| name |\n| milk |\n| tea |", PASSED, "there is name milk; name tea"),
        (
            "include in this order",
            "| name |\n| milk |\n| tea |",
            FAILED,
            "the rows stand in another order; name tea comes too early",
        ),
        (
            "include in this order",
            "| name |\n| tea |\n| milk |",
            PASSED,
            "there is name tea; name milk",
        ),
    ],
)
def test_only_and_in_this_order(
    tmp_path: Path, how: str, table: str, verdict: Verdict, told: str
) -> None:
    """Each has its own way of not being so."""
    with stage(tmp_path) as it:
        found = ended(it.perform(f"Then its goods {how}:\n{table}"))
    assert found == [(verdict, f"goods of the shop: {told}")]


def test_a_column_that_the_system_does_not_give_is_unknown(tmp_path: Path) -> None:
    """A renamed column is not a wrong value."""
    with stage(tmp_path, goods=[{"id": 1, "title": "tea"}]) as it:
        found = ended(it.perform("Then its goods include:\n| name |\n| tea |"))
    assert found == [(UNKNOWN, 'goods of the shop: no row has a column "name"')]


def test_rows_without_their_key_are_unknown(tmp_path: Path) -> None:
    """Which row is which cannot be told then."""
    with stage(tmp_path, goods=[{"name": "tea"}]) as it:
        found = ended(it.perform("Then it has no goods"))
    assert found == [
        (UNKNOWN, "goods of the shop could not be seen: a row has no id, "
         "which tells the rows apart")
    ]  # fmt: skip


def test_a_mapping_is_no_list(tmp_path: Path) -> None:
    """{"error": …} is not one row called error."""
    with stage(tmp_path, goods={"error": "try later"}) as it:
        found = ended(it.perform("Then it has no goods"))
    assert found[0][0] is UNKNOWN


def test_the_sentences_text_reaches_jq_as_a_text(tmp_path: Path) -> None:
    """Unfilled, the selection would be empty and "exactly 0" green for ever."""
    with stage(tmp_path) as it:
        found = it.perform(
            'Then its goods called "tea" is exactly 1\nAnd its goods called "\\" is exactly 0'
        )
    assert [account.finding.verdict for account in found.accounts] == [PASSED, PASSED]


def test_the_sentences_text_reaches_sql_as_a_text(tmp_path: Path) -> None:
    """An apostrophe is a letter of a name, and ends no statement."""
    with stage(tmp_path) as it:
        it.shop.sql("INSERT INTO orders VALUES (1, 'Zoe''s', 'new', '2026-01-01')")
        found = ended(it.perform('Then its orders of "Zoe\'s" is exactly 1'))
    assert found == [(PASSED, 'the shop had 1 orders of "Zoe\'s", expected exactly 1')]


def test_no_data_is_unknown_unless_the_sentence_allows_for_it(tmp_path: Path) -> None:
    """A mean of nothing is not 0; ", where there were any" passes and says so."""
    with stage(tmp_path) as it:
        found = ended(
            it.perform(
                "Then its mean price is at least 1\n"
                "And its mean price is at least 1, where there were any"
            )
        )
    assert found == [
        (UNKNOWN, "mean price of the shop: there was no data to measure"),
        (PASSED, "mean price of the shop: there were none to measure"),
    ]


def test_a_report_passes_once_it_was_read(tmp_path: Path) -> None:
    """And what could not be read is unknown there as everywhere."""
    with stage(tmp_path, stock=(500, b"")) as it:
        found = ended(
            it.perform(
                "Then the report lists its figures:\n"
                "| figure |\n| goods |\n| mean price |\n| stock |"
            )
        )
    assert found[:2] == [
        (PASSED, "goods of the shop: 2 rows"),
        (PASSED, "mean price of the shop: no data"),
    ]
    assert found[2][0] is UNKNOWN


# ---- Time ------------------------------------------------------------------------------------


def test_within_waits_until_it_is_so(tmp_path: Path) -> None:
    """The first good look ends the wait."""
    with stage(tmp_path, stock=lambda shop: {"count": shop.asked["GET /stock"]}) as it:
        performance = it.perform("Then within 10 seconds its stock is at least 3")
    assert performance.verdict is PASSED
    assert it.shop.asked["GET /stock"] == 3


def test_within_says_how_long_was_waited(tmp_path: Path) -> None:
    """After the time is over the last look is judged."""
    with stage(tmp_path) as it:
        found = ended(it.perform("Then within 300 ms its stock is at least 6"))
    assert found == [(FAILED, "stock of the shop was 5, expected at least 6 within 300 ms")]


def test_throughout_keeps_the_worst(tmp_path: Path) -> None:
    """A short dip is found, also where the end is good."""

    def dips(shop: Shop) -> object:
        return {"count": 7 if shop.asked["GET /stock"] == 2 else 5}

    with stage(tmp_path, stock=dips) as it:
        found = ended(
            it.perform("Then throughout the next 1 second its stock is at most 5, at worst 9")
        )
    assert [verdict for verdict, _ in found] == [DEGRADED]


def test_throughout_ends_at_the_first_bad_look(tmp_path: Path) -> None:
    """There is nothing left to hold."""
    with stage(tmp_path) as it:
        began = time.monotonic()
        assert (
            it.found("Then throughout the next 1 hour its stock is below 5").finding.verdict
            is FAILED
        )
        assert time.monotonic() - began < 5


# ---- Changing --------------------------------------------------------------------------------


def test_an_unmet_precondition_blocks_and_nothing_is_done(tmp_path: Path) -> None:
    """It is not the scenario's own failure, and the sentence says whose it is."""
    text = "And its stock is exactly 0\nWhen the operator orders something\nThen its mood is calm"
    with stage(tmp_path) as it:
        performance = it.perform(text, "changes")
    assert ended(performance) == [
        (BLOCKED, "blocked, since stock of the shop was 5, expected exactly 0")
    ]
    assert performance.accounts[0].finding.cause == "failed"
    assert not it.shop.asked["POST /order"]


def test_a_failed_operation_is_a_finding_and_ends_the_scenario(tmp_path: Path) -> None:
    """What comes after it would judge something that was never done."""
    text = "When the operator orders and breaks\nThen its mood is calm"
    with stage(tmp_path, refused=(409, b"{}")) as it:
        performance = it.perform(text, "changes")
    assert [account.finding.verdict for account in performance.accounts] == [FAILED]
    assert performance.accounts[0].finding.sentence.startswith("the operator orders and breaks: ")


def test_a_changing_scenario_stops_at_its_first_bad_finding(tmp_path: Path) -> None:
    """And undoes what it did."""
    text = (
        "And that afterwards the operator takes it back\n"
        "When the operator orders something\n"
        "Then its stock is below 5\n"
        "And its mood is calm"
    )
    with stage(tmp_path) as it:
        performance = it.perform(text, "changes")
    verdicts = [account.finding.verdict for account in performance.accounts]
    assert verdicts == [PASSED, FAILED, PASSED]
    assert (it.shop.asked["POST /back"], it.shop.asked["GET /mood"]) == (1, 0)


@pytest.mark.parametrize(("limit", "helped"), [("below 5", 1), ("exactly 5", 0)])
def test_on_failure_undoes_only_then(tmp_path: Path, limit: str, helped: int) -> None:
    """What is undone whatever happens comes after what was asked for later."""
    text = (
        "And that afterwards the operator takes it back\n"
        "And that on failure the operator calls for help\n"
        f"When the operator orders something\nThen its stock is {limit}"
    )
    with stage(tmp_path) as it:
        it.perform(text, "changes")
    assert (it.shop.asked["POST /help"], it.shop.asked["POST /back"]) == (helped, 1)


def test_a_scenario_that_was_broken_off_is_undone_as_failed(tmp_path: Path) -> None:
    """Ctrl-C after the operation: all findings so far were good."""
    text = (
        "And that on failure the operator calls for help\n"
        "When the operator orders something\nThen its mood is calm"
    )
    with stage(tmp_path) as it:
        performance = it.ready(text, "changes")
        for step in performance.scenario.steps[:-1]:
            performance.perform(step)
        performance.finish()
    assert it.shop.asked["POST /help"] == 1


def test_every_undo_runs_where_one_fails(tmp_path: Path) -> None:
    """A failed undo is a finding, and keeps no other from running."""
    text = (
        "And that afterwards the operator takes it back\n"
        "And that afterwards the operator calls for help\n"
        "When the operator orders something\nThen its mood is calm"
    )
    with stage(tmp_path, help=(409, b"{}")) as it:
        performance = it.perform(text, "changes")
    assert performance.verdict is FAILED
    assert (it.shop.asked["POST /help"], it.shop.asked["POST /back"]) == (1, 1)


@pytest.mark.parametrize(
    ("tagged", "allowed", "environment", "told"),
    [
        ("changes", "destroys", "replica", "is not tagged @destroys"),
        ("destroys", "looking", "replica", "was not given --allow destroys"),
        ("destroys", "destroys", "careful", "careful allows looking"),
    ],
)
def test_each_lock_alone_keeps_the_system_as_it_is(
    tmp_path: Path, tagged: str, allowed: str, environment: str, told: str
) -> None:
    """Proven on the system: nothing but looks reached it."""
    text = "When the operator removes the new ones\nThen its mood is calm"
    with stage(tmp_path, allowed=allowed, environment=environment) as it:  # type: ignore[arg-type]
        it.shop.sql("INSERT INTO orders VALUES (3, 'tea', 'new', '2026-01-01')")
        planned = it.planned(text, tagged)  # type: ignore[arg-type]
        if isinstance(planned, tuple):
            assert told in planned[0].problem
        else:
            found = ended(it.perform(text, tagged))  # type: ignore[arg-type]
            assert [verdict for verdict, _ in found] == [NOT_RUN]
            assert told in found[0][1]
    assert not [asked for asked in it.shop.asked if asked.startswith("POST")]
    assert "about to" not in it.ledger.read_text()


def test_the_ledger_knows_before_and_after(tmp_path: Path) -> None:
    """A crash in between leaves "about to" without its end."""
    text = "When the operator orders something\nThen its mood is calm"
    with stage(tmp_path) as it:
        it.perform(text, "changes")
    kinds = re.findall(r'"(about to|done)"', it.ledger.read_text())
    assert kinds == ["about to", "done"]


def test_an_order_with_a_gap_is_never_sent(tmp_path: Path) -> None:
    """Nothing was seen before, so "newer than that" would be anything."""
    text = "When the operator removes the new ones\nThen its mood is calm"
    with stage(tmp_path) as it:
        found = ended(it.perform(text, "destroys"))
    assert found == [
        (
            NOT_RUN,
            "the operator removes the new ones: not done, since the highest order before the "
            "operation is not known",
        )
    ]
    assert not [asked for asked in it.shop.asked if asked.startswith("POST")]


def test_before_and_that_are_filled_in(tmp_path: Path) -> None:
    """The undo removes what came after the highest there was, and no row older."""
    text = (
        "And that afterwards the operator removes the new ones\n"
        "When the operator orders something\n"
        "Then exactly one of its orders is new\n"
        "And the name of that order is tea\n"
        "And its name of that order is tea\n"
        "And its number of orders is 1 higher than before\n"
        'And the state of the answer is "taken"\n'
        "And the number of the answer is exactly 7\n"
        "And no more than 1 minute have passed since the start"
    )
    with stage(tmp_path, order=makes_order) as it:
        it.shop.sql("INSERT INTO orders VALUES (3, 'old', 'new', '2026-01-01')")
        performance = it.perform(text, "destroys")
    found = ended(performance)
    assert [verdict for verdict, _ in found] == [PASSED] * 9
    assert found[1] == (PASSED, "orders of the shop: one is new, id 4")
    assert found[2] == (PASSED, "the name of that order (id 4) was tea, expected tea")
    assert it.shop.asked["POST /remove/3"] == 1


def test_two_new_rows_are_not_one(tmp_path: Path) -> None:
    """Nobody knows which of them the scenario made."""

    def makes_two(shop: Shop) -> object:
        return (makes_order(shop), makes_order(shop))[1]

    text = "When the operator orders something\nThen exactly one of its orders is new"
    with stage(tmp_path, order=makes_two) as it:
        found = ended(it.perform(text, "changes"))
    assert found[-1] == (FAILED, "orders of the shop: 2 are new, expected exactly one")


def test_a_part_of_the_answer_that_is_missing_is_unknown(tmp_path: Path) -> None:
    """The system answered, and did not say."""
    text = 'When the operator orders something\nThen the state of the answer is "taken"'
    with stage(tmp_path, order={"id": 1}) as it:
        found = ended(it.perform(text, "changes"))
    assert found[-1][0] is UNKNOWN
    assert "the answer has no state" in found[-1][1]


def test_one_of_none_is_not_run(tmp_path: Path) -> None:
    """There is nothing to try it on, which is neither good nor bad."""
    with stage(tmp_path) as it:
        found = ended(it.perform("And one of its orders\nThen its mood is calm"))
    assert found == [(NOT_RUN, "orders of the shop: there is no row to try it on")]


def test_every_finding_can_be_written_down(tmp_path: Path) -> None:
    """Tables and parameters are texts: what JSON and Allure take."""
    with stage(tmp_path) as it:
        account = it.found("Then its goods include:\n| name |\n| tea |")
    assert account.table[0] == ("id", "name", "price")
    json.dumps([account.table, account.parameters])


GOODS_OF_THREE = [
    {"id": 1, "name": "tea", "price": 3},
    {"id": 2, "name": "milk", "price": 9},
    {"id": 3, "name": "salt", "price": 12},
]


def test_every_row_of_a_list_is_judged_and_the_worst_is_named(tmp_path: Path) -> None:
    """One bad row among good ones is the finding, with its key, and how many are like it."""
    with stage(tmp_path, goods=GOODS_OF_THREE) as it:
        good = ended(it.perform("Then the price of each of its goods is below 20"))
        bad = ended(it.perform("Then the price of each of its goods is below 5"))
    assert good == [(PASSED, "the price of each of the 3 goods is below 20")]
    assert bad == [(FAILED, "the price of 2 was 9, expected below 5, and 1 more like it")]


def test_each_of_no_rows_is_unknown_unless_the_sentence_allows_it(tmp_path: Path) -> None:
    """What holds for every row of an empty list holds for nothing: nobody has looked."""
    with stage(tmp_path, goods=[]) as it:
        unknown = ended(it.perform("Then the price of each of its goods is below 5"))
        allowed = it.found("Then the price of each of its goods is below 5, where there were any")
    assert unknown[0][0] is UNKNOWN
    assert "there are none to judge" in unknown[0][1]
    assert allowed.finding.verdict is PASSED


def test_an_empty_cell_passes_only_where_there_need_not_be_one(tmp_path: Path) -> None:
    """A service without a health check is not a healthy one, unless the sentence says so."""
    with stage(tmp_path) as it:
        strict = it.found("Then the price of each of its goods is below 5")
        lenient = it.found("Then the price of each of its goods is below 5, where there is one")
    assert (strict.finding.verdict, lenient.finding.verdict) == (UNKNOWN, PASSED)


DIAGNOSIS = """\
Then its mood is calm, or else for one of these causes:
  | cause             | sign        | is      |
  | the shelf is bare | stock       | below 1 |
  | it rains          | other stock | above 3 |
"""


def test_a_diagnosis_names_the_cause_whose_sign_is_there(tmp_path: Path) -> None:
    """Bad, and the sign is there: failed, with the cause and what was seen of it."""
    with stage(tmp_path, mood={"mood": "bad"}, stock={"count": 0, "other": 1}) as it:
        verdict, sentence = ended(it.perform(DIAGNOSIS))[0]
    assert verdict is FAILED
    assert sentence.startswith("mood of the shop was busy, expected calm")
    assert sentence.endswith("; the cause: the shelf is bare (stock: 0)")


def test_a_healthy_figure_needs_no_cause(tmp_path: Path) -> None:
    """Where all is well the signs are not even judged: an empty shelf alone is no finding."""
    with stage(tmp_path, stock={"count": 0, "other": 9}) as it:
        assert it.found(DIAGNOSIS).finding.verdict is PASSED


def test_bad_for_no_known_cause_is_unknown(tmp_path: Path) -> None:
    """A guess would send somebody to mend the wrong thing; what could not be seen is told."""
    with stage(tmp_path, mood={"mood": "bad"}, stock={"count": 5}) as it:
        verdict, sentence = ended(it.perform(DIAGNOSIS))[0]
    assert verdict is UNKNOWN
    assert "none of its 2 known causes was found" in sentence
    assert "nobody could see whether it rains" in sentence


def test_a_wait_leaves_its_trail(tmp_path: Path) -> None:
    """What was found on the way to the last finding stands beside it, with its time."""
    counts = iter([1, 1, 2, 3])
    with stage(tmp_path, stock=lambda _: {"count": next(counts, 3)}) as it:
        account = it.found("Then within 5 seconds its stock is exactly 3")
    assert account.finding.verdict is PASSED
    assert [found for _, found in account.table] == ["found", "stock: 1", "stock: 2", "stock: 3"]


def test_whoever_waits_is_told_what_was_found_so_far(tmp_path: Path) -> None:
    """A long wait shows that something moves, and how it stands."""
    counts, told = iter([1, 2]), []
    with stage(tmp_path, stock=lambda _: {"count": next(counts, 2)}) as it:
        scenario = it.planned("Then within 5 seconds its stock is exactly 2")
        assert isinstance(scenario, Scenario)
        performance = Performance(scenario, it.observer, it.hands, told.append)
        for step in scenario.steps:
            performance.perform(step)
    assert "stock of the shop was 1, expected exactly 2 within 5 seconds" in told[0]


def test_the_time_since_the_start_comes_with_what_was_done_until_then(tmp_path: Path) -> None:
    """An incident's timeline: every sentence with the time at which it was over."""
    text = "Then its stock is at least 1\nThen no more than 5 minutes have passed since the start"
    with stage(tmp_path) as it:
        account = it.perform(text).accounts[-1]
    assert account.table[0] == ("since the start", "what was done and seen", "verdict")
    assert account.table[1][1:] == ("its stock is at least 1", "passed")


def test_a_team_that_cannot_be_told_keeps_nobody_from_mending(tmp_path: Path) -> None:
    """The message failed and makes the check red; what was to be done is done all the same."""
    text = "When the operator tells everybody\nWhen the operator wakes it up\nThen its mood is calm"
    with stage(tmp_path, told=(503, b"{}")) as it:
        performance = it.perform(text, "changes")
        assert it.shop.asked["POST /wake"] == 1
    assert [account.finding.verdict for account in performance.accounts] == [
        UNKNOWN,
        PASSED,
        PASSED,
    ]
    assert performance.verdict is UNKNOWN


def test_what_could_only_not_be_shown_keeps_nobody_from_mending(tmp_path: Path) -> None:
    """A report that can't be read is told, and what comes next does not rest on it."""
    text = (
        "When the operator calls for help\nThen the report lists its stock\n"
        "When the operator wakes it up\nThen its mood is calm"
    )
    with stage(tmp_path, stock={}) as it:
        performance = it.perform(text, "changes")
        assert it.shop.asked["POST /wake"] == 1
    assert performance.verdict is UNKNOWN


def test_a_message_behind_a_closed_lock_ends_the_scenario(tmp_path: Path) -> None:
    """Not allowed is not tried: what comes next is not allowed either."""
    text = "When the operator tells everybody\nWhen the operator wakes it up\nThen its mood is calm"
    with stage(tmp_path, allowed="looking") as it:
        performance = it.perform(text, "changes")
        assert it.shop.asked["POST /wake"] == 0
    assert performance.verdict is NOT_RUN
