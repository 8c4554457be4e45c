"""Tests of SQL that acts beside the rows: a query ended and no other, a VACUUM and its like."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import ValidationError

from tests.changing.test_sql import do
from tests.postgres import Postgres, running_postgres
from watchkeeper.changing.operators import sql
from watchkeeper.errors import OperationFailed, OperationRefused, OperationUnknown

# A backend's number is given out again, and its next query is another one: both are in the key.
RUNNING = (
    "SELECT pid || '/' || extract(epoch FROM query_start) AS id, pid, query"
    " FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()"
    " AND backend_type = 'client backend'"
)
END = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
    " WHERE pid || '/' || extract(epoch FROM query_start) = '{id}' AND state = 'active'"
    " AND now() - query_start > interval '{least} seconds'"
)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as cluster:
        with psycopg.connect(cluster.url(), autocommit=True) as connection:
            connection.execute("CREATE TABLE facts AS SELECT n FROM generate_series(1, 1000) n")
            connection.execute("CREATE ROLE clerk LOGIN PASSWORD 'hunter2-canary'")
            connection.execute("GRANT SELECT, INSERT ON facts TO clerk")
            connection.execute("GRANT pg_monitor TO clerk")  # sees the others' queries
        yield cluster


@contextmanager
def sleeping(postgres: Postgres, seconds: float) -> Iterator[list[str]]:
    """A query that runs, on a connection of its own; how it ended, once it has."""
    ended: list[str] = []
    connection = psycopg.connect(postgres.url(), autocommit=True)

    def run() -> None:
        try:
            connection.execute(f"SELECT pg_sleep({seconds}), 'marked'")
        except psycopg.Error as error:
            ended.append(str(error.sqlstate))
        else:
            ended.append("done")

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield ended
    finally:
        connection.cancel_safe()
        thread.join()
        connection.close()


def running(postgres: Postgres) -> dict[str, int]:
    """The ids of the queries that run, to their backends."""
    with psycopg.connect(postgres.url()) as connection:
        return {row[0]: row[1] for row in connection.execute(RUNNING)}


def awaited(postgres: Postgres, number: int) -> list[str]:
    end = time.monotonic() + 10
    while len(found := running(postgres)) != number:
        assert time.monotonic() < end, found
        time.sleep(0.05)
    return list(found)


def test_one_query_is_ended_and_no_other(postgres: Postgres) -> None:
    """Of two that run, the named one is gone when the operation says done."""
    with sleeping(postgres, 60) as first:
        (named,) = awaited(postgres, 1)
        with sleeping(postgres, 60) as second:
            awaited(postgres, 2)
            done = do(postgres.url(), END.format(id=named, least=0), exactly=1)
            assert done.value == {"changed": 1, "keys": []}
            assert named not in running(postgres)
            assert len(running(postgres)) == 1
            assert second == []
        time.sleep(0.1)
        assert first == ["57P01"]


def test_a_query_under_the_limit_is_left(postgres: Postgres) -> None:
    """The limit stands in the order itself, so that it holds at the moment of acting."""
    with sleeping(postgres, 60) as it:
        (named,) = awaited(postgres, 1)
        with pytest.raises(OperationFailed, match="nothing to act on, expected 1; nothing was don"):
            do(postgres.url(), END.format(id=named, least=30), exactly=1)
        assert (it, len(running(postgres))) == ([], 1)


def test_a_query_that_ended_in_between(postgres: Postgres) -> None:
    """Nothing is ended, and the operation does not say that it was."""
    with sleeping(postgres, 0.3) as it:
        (named,) = awaited(postgres, 1)
        awaited(postgres, 0)
        with pytest.raises(OperationFailed, match="no longer there, or no longer as it was"):
            do(postgres.url(), END.format(id=named, least=0), exactly=1)
    assert it == ["done"]


def test_the_next_query_of_the_same_backend_is_left(postgres: Postgres) -> None:
    """The same number, whether its backend is the same or new, is not the same query."""
    connection = psycopg.connect(postgres.url(), autocommit=True)
    again = threading.Thread(target=lambda: connection.execute("SELECT pg_sleep(2)"))
    first = threading.Thread(target=lambda: connection.execute("SELECT pg_sleep(0.3)"))
    first.start()
    (named,) = awaited(postgres, 1)
    first.join()
    again.start()
    try:
        (other,) = awaited(postgres, 1)
        assert named.partition("/")[0] == other.partition("/")[0]
        with pytest.raises(OperationFailed, match="nothing to act on"):
            do(postgres.url(), END.format(id=named, least=0), exactly=1)
    finally:
        again.join()  # it raises in its thread, and so here, where it was ended
    assert connection.execute("SELECT 1").fetchone() == (1,)
    connection.close()


def test_who_may_not_and_who_says_no(postgres: Postgres) -> None:
    """A login without the right has done nothing; an answer "no" is none that it was done."""
    with sleeping(postgres, 60) as it:
        (named,) = awaited(postgres, 1)
        with pytest.raises(OperationFailed, match="permission denied"):
            do(postgres.url("clerk"), END.format(id=named, least=0), exactly=1)
        assert it == []
    with pytest.raises(OperationFailed, match="said no to 1 of 1"):
        do(postgres.url(), "SELECT pg_terminate_backend(1)", exactly=1)
    with pytest.raises(OperationUnknown, match="it acted 2 times, expected 1"):
        do(postgres.url(), "SELECT true FROM generate_series(1, 2)", exactly=1)


def test_an_exact_number_of_rows(postgres: Postgres) -> None:
    """What changes more or fewer is rolled back."""
    for n, changed in ((5, "0"), (7, "1000")):
        with pytest.raises(OperationFailed, match=f"changed {changed} rows, expected 1; all was"):
            do(postgres.url(), f"UPDATE facts SET n = n WHERE {n} = 7", exactly=1)
    done = do(postgres.url(), "UPDATE facts SET n = n WHERE n = 7", exactly=1)
    assert done.value == {"changed": 1, "keys": []}


# Outside a transaction -------------------------------------------------------------------------


def outside(url: str, statement: str, **order: Any) -> object:
    return do(url, statement, **{"outside a transaction": True, **order}).value


def last_analyze(postgres: Postgres) -> Any:
    with psycopg.connect(postgres.url()) as connection:
        asked = "SELECT last_analyze FROM pg_stat_user_tables WHERE relname = 'facts'"
        return connection.execute(asked).fetchone()


def test_vacuum(postgres: Postgres) -> None:
    """It can't run in a transaction; outside one it is done, and the statistics are of now."""
    with pytest.raises(OperationFailed, match="cannot run inside a transaction block"):
        do(postgres.url(), "VACUUM ANALYZE facts")
    outside(postgres.url(), "VACUUM ANALYZE facts")
    first = last_analyze(postgres)
    outside(postgres.url(), "VACUUM ANALYZE")
    assert last_analyze(postgres) > first


def test_vacuum_that_leaves_a_table_out(postgres: Postgres) -> None:
    """PostgreSQL warns, skips it and says that all went well; the operation does not."""
    before = last_analyze(postgres)
    with pytest.raises(OperationFailed, match=r"but for \d warnings: .*denied to .*\"facts\""):
        outside(postgres.url("clerk"), "VACUUM ANALYZE facts")
    assert last_analyze(postgres) == before


def test_vacuum_that_fails(postgres: Postgres) -> None:
    """No such table, no turn, and no database: failed or not tried, and it says so."""
    with pytest.raises(OperationFailed, match='"absent" does not exist; what it had done until'):
        outside(postgres.url(), "VACUUM absent")
    with psycopg.connect(postgres.url()) as holder:
        holder.execute("LOCK TABLE facts")
        with pytest.raises(OperationFailed, match="timeout; what it had done until then stays"):
            outside(postgres.url(), "VACUUM facts", deadline="500 ms")
    with pytest.raises(OperationRefused, match="nothing was tried"):
        outside(Postgres(1).url(), "VACUUM")


def test_a_connection_that_is_lost_meanwhile(postgres: Postgres) -> None:
    """Whoever is cut off can't know how far it had come."""
    outcome: list[BaseException] = []

    def vacuum() -> None:
        try:
            outside(postgres.url(), "VACUUM facts")
        except OperationUnknown as error:
            outcome.append(error)

    with psycopg.connect(postgres.url()) as holder:
        holder.execute("LOCK TABLE facts")
        thread = threading.Thread(target=vacuum)
        thread.start()
        awaited(postgres, 1)
        holder.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'VACUUM facts'"
        )
        thread.join()
    assert "how far it had come is unknown" in str(outcome[0])


def test_vacuum_of_sqlite(tmp_path: Path) -> None:
    """A file database has the same statement, and the same answer."""
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.executemany("INSERT INTO t VALUES (?)", [("y" * 500,)] * 2000)
        connection.commit()
        connection.execute("DELETE FROM t")
        connection.commit()
    before = path.stat().st_size
    outside(f"sqlite:///{path}", "VACUUM")
    assert path.stat().st_size < before / 10


def test_orders_that_are_refused() -> None:
    """What can't be rolled back can't be held to a number."""
    for wrong in ({"exactly": 1}, {"touches sql": "x", "table sql": "x", "key": "id"}):
        with pytest.raises(ValidationError, match="nothing can be rolled back"):
            sql.Order.model_validate(
                {"sql": "VACUUM", "in": "store", "outside a transaction": True, **wrong}
            )
