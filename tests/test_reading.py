"""Tests of what an answer says about a figure: strictly, and nothing where it says nothing."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from watchkeeper.clock import Window
from watchkeeper.errors import CouldNotObserve, Place
from watchkeeper.looking.reading import instant_of, read, read_refusal, selected
from watchkeeper.observation import Answer, Row, Table
from watchkeeper.services import Model
from watchkeeper.targets import Figure, FigureOptions

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def figure(probe: str = "http", **options: Any) -> Figure:
    return Figure("stock", probe, Model(), FigureOptions(**options), Place(Path("shop.yml")))


def answer(value: object, kind: str = "200") -> Answer:
    return Answer(value, "GET /stock", NOON, 0.25, kind, excerpt="raw")


def value(said: object, **options: Any) -> object:
    return read(figure(**options), "stock", answer(said)).value


def unseen(said: object, **options: Any) -> CouldNotObserve:
    with pytest.raises(CouldNotObserve) as caught:
        read(figure(**options), "stock", answer(said))
    return caught.value


def rows(*cells: dict[str, Any], total: int | None = None) -> Table:
    return Table(tuple(Row.of(each) for each in cells), len(cells) if total is None else total)


@pytest.mark.parametrize("said", [None, "", [], {}, [1], {"a": 1}, ()])
def test_nothing_and_trees_are_no_value(said: object) -> None:
    """Never None, 0 or "" for "no answer"."""
    assert unseen(said).kind == "missing"


@pytest.mark.parametrize("said", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("unit", [None, "s"])
def test_what_is_not_finite_is_no_number(said: float, unit: str | None) -> None:
    """NaN compares as false with everything, so "below 5" would fail and "above 5" too."""
    assert unseen(said, unit=unit).kind == "not a number"


@pytest.mark.parametrize("said", ["5", True, "n/a", "12%"])
def test_a_figure_with_a_unit_takes_numbers_only(said: object) -> None:
    """A text that looks like a number is the system's mistake or ours; nobody guesses which."""
    assert unseen(said, unit="s").kind == "not a number"


def test_a_word_is_translated_or_unknown() -> None:
    """Yes and no are words as well."""
    words = {"values": {"ok": "calm", "yes": "calm", "0": "busy"}}
    assert [value(said, **words) for said in ("ok", True, 0)] == ["calm", "calm", "busy"]
    assert 'it said "odd", understood are: ok, yes, 0' in unseen("odd", **words).reason


def test_pick_gives_one_value() -> None:
    """Two are one too many, none is missing, null is missing."""
    tree = {"a": [1, 2], "b": None}
    assert value(tree, pick=".a[0]") == 1
    assert unseen(tree, pick=".a[]").kind == "unexpected"
    assert unseen(tree, pick=".b").kind == "missing"
    assert unseen(tree, pick=".c").kind == "missing"
    assert unseen("text", pick=".c").kind == "unexpected"


def test_false_and_zero_are_values() -> None:
    """jq's null is not the same as its false."""
    assert value({"a": False}, pick=".a") is False
    assert value({"a": 0}, pick=".a") == 0


def test_rows_are_rows() -> None:
    """Of mappings by their columns, of scalars by one; nested cells as text."""
    seen = value([{"id": 1, "tags": ["a"]}, 5], rows=".[]")
    assert isinstance(seen, Table)
    assert [row.cells for row in seen] == [(("id", 1), ("tags", "['a']")), (("value", 5),)]


@pytest.mark.parametrize("said", [{"error": "later"}, None, "text"])
def test_what_is_no_list_has_no_rows(said: object) -> None:
    """A mapping above all, whose values jq would take for rows."""
    assert unseen(said, rows=".[]").kind == "unexpected"


def test_rows_of_a_part_and_a_window() -> None:
    """`where` is jq, `at` an instant; a row without one is unknown, not outside."""
    window = Window(NOON - timedelta(hours=1), NOON)
    said = [
        {"id": 1, "at": "2026-03-01T11:30:00Z", "ok": True},
        {"id": 2, "at": "2026-03-01T10:30:00Z", "ok": True},
        {"id": 3, "at": "2026-03-01T11:45:00+00:00", "ok": False},
        {"id": 4, "at": "2026-03-01T12:00:00Z", "ok": True},
    ]
    options: dict[str, Any] = {"rows": ".[]", "where": ".ok", "at": "at", "key": "id"}
    seen = read(figure(**options), "stock", answer(said), window).value
    assert isinstance(seen, Table)
    assert [row["id"] for row in seen] == [1]
    with pytest.raises(CouldNotObserve, match="an empty field is no instant"):
        read(figure(**options), "stock", answer([{"id": 1, "ok": True}]), window)


def test_rows_are_sorted_as_asked() -> None:
    """Newest first by instant, lowest first by number, those without one last."""
    said = [
        {"n": 2, "at": "2026-03-01"},
        {"n": None, "at": "2026-03-03"},
        {"n": 1, "at": "2026-03-02"},
    ]
    newest = value(said, rows=".[]", at="at", newest_first=True)
    lowest = value(said, rows=".[]", lowest_first="n")
    assert isinstance(newest, Table)
    assert isinstance(lowest, Table)
    assert [row["n"] for row in newest] == [None, 1, 2]
    assert [row["n"] for row in lowest] == [1, 2, None]


def test_a_count_counts_all_and_keeps_some() -> None:
    """What a report shows is bounded; what is judged is not."""
    many = [{"id": n} for n in range(Table.KEEP + 1)]
    assert value(many, rows=".[]", count=True) == Table.KEEP + 1
    listed = value(many, rows=".[]", key="id")
    assert isinstance(listed, Table)
    assert (len(listed.rows), listed.total) == (Table.KEEP, Table.KEEP + 1)


def test_the_rows_of_a_function_need_no_jq() -> None:
    """`python: "targets.x:lost_files", key: path` returns a list."""
    seen = read(figure("python", key="path"), "stock", answer([{"path": "a"}])).value
    assert isinstance(seen, Table)
    assert seen.total == 1


@pytest.mark.parametrize(
    ("table", "found"),
    [
        (rows({"n": 5}), (5, False)),
        (rows(), (0, True)),
        (rows({"n": None}), (0, True)),
    ],
)
def test_one_cell_is_one_value(table: Table, found: tuple[int, bool]) -> None:
    """No row, or NULL, is no data: an average of nothing."""
    seen = read(figure("sql"), "stock", answer(table, "rows"))
    assert (seen.value, seen.no_data) == found


@pytest.mark.parametrize("table", [rows({"a": 1, "b": 2}), rows({"a": 1}, {"a": 2})])
def test_more_than_one_cell_is_no_value(table: Table) -> None:
    """Which one was meant?"""
    with pytest.raises(CouldNotObserve, match="expected one"):
        read(figure("sql"), "stock", answer(table, "rows"))


def test_an_empty_text_in_a_cell_is_nothing() -> None:
    """NULL is no data; "" is an answer that says nothing."""
    with pytest.raises(CouldNotObserve, match="it said nothing"):
        read(figure("sql"), "stock", answer(rows({"n": ""}), "rows"))


def test_a_part_of_a_list_that_was_cut_is_unknown() -> None:
    """Rows that were not kept may belong to it."""
    cut = rows({"id": 1}, total=5_000)
    with pytest.raises(CouldNotObserve, match="5,000 rows are more than are selected from"):
        read(figure("log", key="id", where=".id == 1"), "stock", answer(cut, "lines"))


def test_availability_counts_ways_of_answering() -> None:
    """A status that the file does not name is neither up nor down."""
    up = {"200": "up", "refused": "down"}
    assert value({}, counts_as=up) == "up"
    with pytest.raises(CouldNotObserve, match='it answered "418", understood are: 200, refused'):
        read(figure(counts_as=up), "stock", answer({}, "418"))


def test_a_refusal_is_down_only_where_the_file_says_so() -> None:
    """A certificate that expired is not a service that is down."""
    up = figure(counts_as={"200": "up", "refused": "down"})
    refused = CouldNotObserve("refused", "connection refused", source="GET /")
    assert read_refusal(up, "app connection", refused, NOON).value == "down"
    with pytest.raises(CouldNotObserve, match="expired"):
        read_refusal(up, "app connection", CouldNotObserve("certificate", "expired"), NOON)


def test_a_duration_is_the_looks_own() -> None:
    """In seconds, whatever was answered."""
    seen = read(figure(measures="duration"), "stock", answer("anything"))
    assert (seen.value, seen.unit.name if seen.unit else "") == (0.25, "s")


def test_a_reason_keeps_where_was_looked() -> None:
    """Without it nobody can look for themselves."""
    reason = unseen(None)
    assert (reason.source, reason.excerpt, reason.duration_s) == ("GET /stock", "raw", 0.25)


@pytest.mark.parametrize(
    ("said", "moment"),
    [
        ("2026-03-01T12:00:00Z", NOON),
        ("2026-03-01 12:00:00", NOON),
        ("2026-03-01T13:00:00+01:00", NOON),
        (datetime(2026, 3, 1, 12), NOON),
    ],
)
def test_instants_are_utc(said: object, moment: datetime) -> None:
    """Without a zone they are UTC, as the target files say."""
    assert instant_of(said) == moment


@pytest.mark.parametrize("said", ["yesterday", "2026-02-30", 5, None, ""])
def test_what_is_no_instant_is_unknown(said: object) -> None:
    """Never the epoch, never now."""
    with pytest.raises(CouldNotObserve, match="is no instant"):
        instant_of(said)


def test_jq_sees_instants_and_tables() -> None:
    """A function's datetime and a database's rows are JSON to it."""
    assert selected(".[0].at", rows({"at": NOON})) == ["2026-03-01T12:00:00+00:00"]
