"""Does a window hold the same rows whoever is asked: a database, a log, or jq?"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from watchkeeper.clock import Clock, Window
from watchkeeper.errors import Place
from watchkeeper.looking import log_reader
from watchkeeper.looking.probes.sql import PROBE, Question
from watchkeeper.looking.reach import Reach
from watchkeeper.looking.reading import read
from watchkeeper.observation import Answer, Table
from watchkeeper.services import Database, Model
from watchkeeper.targets import Figure, FigureOptions

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECONDS = st.integers(-7_200, 7_200)
INSTANTS = SECONDS.map(lambda seconds: NOON + timedelta(seconds=seconds))
WINDOWS = st.tuples(INSTANTS, st.integers(0, 7_200)).map(
    lambda found: Window(found[0], found[0] + timedelta(seconds=found[1]))
)
EDGE = Window(NOON, NOON + timedelta(hours=1))


@settings(deadline=None)  # a busy machine takes its time
@given(INSTANTS, st.floats(0, 1e6), st.floats(0, 1e6))
def test_windows_that_follow_one_another_share_no_instant(
    start: datetime, first_s: float, second_s: float
) -> None:
    """A window is as long as its ends are apart; of two that meet, the second has the border."""
    border = start + timedelta(seconds=first_s)
    before, after = Window(start, border), Window(border, border + timedelta(seconds=second_s))
    assert before.seconds == pytest.approx(first_s, abs=1e-6)
    both = (after.until - before.since).total_seconds()
    assert before.seconds + after.seconds == pytest.approx(both, abs=1e-6)
    if second_s >= 1e-3:  # shorter than an instant can tell, it is empty
        assert (_by_jq([border], before), _by_jq([border], after)) == ([], [0])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60,
          deadline=None)  # fmt: skip
@given(st.lists(INSTANTS, max_size=12), WINDOWS)
@example([EDGE.since, EDGE.until, EDGE.since - timedelta(seconds=1),
          EDGE.until - timedelta(seconds=1)], EDGE)  # fmt: skip
def test_database_log_and_jq_agree(tmp_path: Path, moments: list[datetime], window: Window) -> None:
    """At `since` is in, at `until` is out, and what lies between is in, for rows of the same data
    in SQLite, in a text log, in a JSON log and in an answer read by jq.
    """
    wanted = [n for n, at in enumerate(moments) if window.since <= at < window.until]
    assert _by_jq(moments, window) == wanted
    assert _by_sql(tmp_path, moments, window) == wanted
    in_order = sorted(moments)
    logged = [n for n, at in enumerate(in_order) if window.since <= at < window.until]
    for layout in ("text", "json"):
        assert _by_log(tmp_path, layout, in_order, window) == logged


def _by_jq(moments: list[datetime], window: Window) -> list[int]:
    said = [{"n": n, "at": at.isoformat()} for n, at in enumerate(moments)]
    options = FigureOptions(rows=".[]", at="at", key="n")
    figure = Figure("rows", "http", Model(), options, Place(Path("shop.yml")))
    found = read(figure, "rows", Answer(said, "GET /", NOON, 0.0, "200"), window).value
    assert isinstance(found, Table)
    return [int(str(row.get("n"))) for row in found]


def _by_sql(folder: Path, moments: list[datetime], window: Window) -> list[int]:
    path = folder / "rows.db"
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as store, store:
        store.execute("CREATE TABLE rows (n INTEGER, at TEXT)")
        rows = [(n, f"{at:%Y-%m-%d %H:%M:%S}") for n, at in enumerate(moments)]
        store.executemany("INSERT INTO rows VALUES (?, ?)", rows)

    async def ask() -> Answer:
        reach = Reach(
            {"store": Database.model_validate({"database": f"sqlite:///{path}"})}, Clock()
        )
        sql = "SELECT n FROM rows WHERE at >= :since AND at < :until ORDER BY n"
        try:
            return await PROBE.look(Question(sql=sql, in_="store", key="n"), reach, window)
        finally:
            await reach.close()

    found = asyncio.run(ask()).value
    assert isinstance(found, Table)
    return [int(str(row.get("n"))) for row in found]


def _by_log(folder: Path, layout: str, moments: list[datetime], window: Window) -> list[int]:
    path = folder / f"{layout}.log"
    text = layout == "text"
    lines = [f"{at.isoformat()} {n}" if text else json.dumps({"at": at.isoformat(), "n": n})
             for n, at in enumerate(moments)]  # fmt: skip
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    asked = log_reader.Asked(
        str(path), format=layout, line=r"^(?P<at>\S+) (?P<n>\d+)$" if text else None, instant="at",
        last=1_000, since=window.since.isoformat(), until=window.until.isoformat(),
    )  # fmt: skip
    try:
        found = log_reader.read(asked).rows
    except log_reader.Unreadable as silent:
        assert silent.kind in ("silent", "missing", "empty"), silent  # it could not look
        return [n for n, at in enumerate(moments) if window.since <= at < window.until]
    return [int(row["n"]) for row in found]
