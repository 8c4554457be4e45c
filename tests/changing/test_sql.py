"""Does the SQL operator change exactly what was selected, or nothing?"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import ValidationError

from tests.postgres import PASSWORD, Postgres, running_postgres
from watchkeeper.changing.database import WritableDatabase
from watchkeeper.changing.operator import Done
from watchkeeper.changing.operators import OPERATORS, ORDERS, python, script, sql
from watchkeeper.clock import Clock
from watchkeeper.errors import OperationFailed, OperationRefused
from watchkeeper.looking.reach import Reach
from watchkeeper.services import Database

EXACT = {
    "touches sql": "SELECT id FROM requests WHERE status = 'Failed'",
    "table sql": "SELECT * FROM requests",
    "key": "id",
}
RESET = "UPDATE requests SET status = 'Pending' WHERE status = 'Failed'"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE requests (id INTEGER PRIMARY KEY, status TEXT, cost REAL)")
        rows = [(n, "Failed" if n <= 2 else "Sent") for n in range(1, 6)]
        connection.executemany("INSERT INTO requests VALUES (?, ?, 1)", rows)
        connection.commit()
    return path


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as cluster:
        with psycopg.connect(cluster.url(), autocommit=True) as connection:
            connection.execute("CREATE TABLE requests (id int PRIMARY KEY, status text)")
        yield cluster


def reach_to(url: str) -> Reach:
    return Reach({"store": Database.model_validate({"database": url})}, Clock())


def do(url: str, statement: str, **order: Any) -> Done:
    wanted = sql.Order.model_validate({"sql": statement, "in": "store", **order})
    return asyncio.run(sql.OPERATOR.operate(wanted, reach_to(url)))


def run_script(url: str, path: Path) -> Done:
    wanted = script.Order.model_validate({"sql script": str(path), "in": "store"})
    return asyncio.run(script.OPERATOR.operate(wanted, reach_to(url)))


def statuses(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT status FROM requests ORDER BY id")]


def test_exactly_what_was_selected(store: Path) -> None:
    """What was selected is changed, counted and named."""
    done = do(f"sqlite:///{store}", RESET, **EXACT)
    assert done.value == {"changed": 2, "keys": [1, 2], "gone": []}
    assert done.source == f"{RESET} in store"
    assert statuses(store) == ["Pending", "Pending", "Sent", "Sent", "Sent"]


@pytest.mark.parametrize(
    ("statement", "counts"),
    [
        ("UPDATE requests SET status = 'Pending'", "2 rows were selected and 5 would"),
        ("UPDATE requests SET status = 'Pending' WHERE id = 1", "2 rows were selected and 1 would"),
        ("UPDATE requests SET cost = 2 WHERE id IN (4, 5)", "2 that were not selected would have"),
        ("DELETE FROM requests", "2 rows were selected and 5 would"),
        ("INSERT INTO requests VALUES (9, 'Failed', 1)", "1 that were not selected"),
        (RESET + " AND 1 = 0", "2 rows were selected and 0 would"),
    ],
)
def test_anything_else_is_rolled_back(store: Path, statement: str, counts: str) -> None:
    """More, fewer, other, gone or new rows: all is rolled back, and the counts are told."""
    before = statuses(store)
    with pytest.raises(OperationFailed, match=counts):
        do(f"sqlite:///{store}", statement, **EXACT)
    assert statuses(store) == before


def test_removing_exactly(store: Path) -> None:
    """Rows that are removed count as changed."""
    done = do(f"sqlite:///{store}", "DELETE FROM requests WHERE status = 'Failed'", **EXACT)
    assert done.value == {"changed": 2, "keys": [1, 2], "gone": [1, 2]}
    assert statuses(store) == ["Sent"] * 3


def test_exact_beside_a_live_writer(store: Path) -> None:
    """Another program that writes all the time neither reddens the comparison nor is lost."""
    stop, written = threading.Event(), [0]

    def write() -> None:
        with closing(sqlite3.connect(store, timeout=10, isolation_level=None)) as connection:
            while not stop.is_set():
                connection.execute("INSERT INTO requests (status) VALUES ('Sent')")
                written[0] += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        done = do(f"sqlite:///{store}", RESET, **EXACT)
        assert done.value == {"changed": 2, "keys": [1, 2], "gone": []}
    finally:
        stop.set()
        thread.join()
    assert len(statuses(store)) == 5 + written[0]


def test_failing_statement(store: Path) -> None:
    """A statement that the database refuses changes nothing and says why."""
    with pytest.raises(OperationFailed, match="no such column: colour; nothing was changed"):
        do(f"sqlite:///{store}", "UPDATE requests SET colour = 1")


def test_locked_and_missing(store: Path, tmp_path: Path) -> None:
    """A database that can't be entered was not tried; a missing one is not made."""
    with closing(sqlite3.connect(store, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OperationRefused, match="locked; nothing was tried"):
            do(f"sqlite:///{store}", RESET, deadline="300 ms")
    with pytest.raises(OperationRefused):
        do(f"sqlite:///{tmp_path}/none.db", RESET)
    assert not (tmp_path / "none.db").exists()


def test_a_lock_is_waited_for_shortly(store: Path) -> None:
    """A writer that does not end is told after the wait for locks, not near the deadline."""
    database = WritableDatabase(f"sqlite:///{store}", "store", deadline_s=60.0, busy_s=0.2)
    began = time.monotonic()
    with closing(sqlite3.connect(store, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with (
            pytest.raises(OperationRefused, match="locked; nothing was tried"),
            database.transaction(),
        ):
            pass
    assert 0.2 <= time.monotonic() - began < 3.0


def test_orders_are_checked() -> None:
    """Two statements, an own transaction, and half a comparison are refused when read."""
    for wrong in (
        {"sql": "SELECT 1; SELECT 2"},
        {"sql": "COMMIT"},
        {"sql": RESET, "touches sql": "x"},
    ):
        with pytest.raises(ValidationError):
            sql.Order.model_validate({"in": "store", **wrong})
    sql.Order.model_validate({"in": "store", "sql": "UPDATE t SET x = 'a;b'; -- done; really"})
    assert OPERATORS.keys() == ORDERS.keys()


def test_script_is_one_transaction(store: Path, tmp_path: Path) -> None:
    """A script that fails in its last statement has changed nothing; a good one is whole."""
    path = tmp_path / "migration.sql"
    good = (
        "BEGIN;\n-- adds; a column\nALTER TABLE requests ADD COLUMN score REAL;\n"
        "CREATE TRIGGER t AFTER UPDATE ON requests BEGIN UPDATE requests SET cost = 1; END;\n"
        "UPDATE requests SET status = 'a;b: 100%';\nCOMMIT;\n"
    )
    path.write_text(good.replace("COMMIT", "UPDATE absent SET x = 1;\nCOMMIT"))
    with pytest.raises(OperationFailed, match="statement 4: no such table: absent"):
        run_script(f"sqlite:///{store}", path)
    assert "Failed" in statuses(store)
    path.write_text(good)
    assert run_script(f"sqlite:///{store}", path).value == {"statements": 3}
    assert statuses(store) == ["a;b: 100%"] * 5


@pytest.mark.parametrize("line", ["COMMIT;", "PRAGMA foreign_keys = OFF;", "VACUUM;", "ROLLBACK;"])
def test_script_that_leaves_its_transaction(store: Path, tmp_path: Path, line: str) -> None:
    """A script that commits by itself, or holds what no transaction can, is not begun."""
    path = tmp_path / "x.sql"
    path.write_text(f"DELETE FROM requests;\n{line}\nSELECT 1;")
    with pytest.raises(OperationRefused):
        run_script(f"sqlite:///{store}", path)
    assert len(statuses(store)) == 5


def back_up(store: Path, to: str) -> Done:
    order = python.Order.model_validate(
        {
            "python": "watchkeeper.changing.sqlite:online_backup",
            "with": {"of": "store", "to": to},
            "services": ["store"],
        }
    )
    return asyncio.run(python.OPERATOR.operate(order, reach_to(f"sqlite:///{store}")))


def test_online_backup(store: Path, tmp_path: Path) -> None:
    """A backup of a database in use is sound, new, and never in the place of another file."""
    (tmp_path / "backups").mkdir()
    with closing(sqlite3.connect(store)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("INSERT INTO requests (status) VALUES ('new')")
        writer.commit()
        ((_, first),) = back_up(store, "backups/now.db").made
        ((_, second),) = back_up(store, "backups/now.db").made
    assert (Path(first).name, Path(second).name) == ("now.db", "now-2.db")
    assert statuses(Path(first)) == statuses(store)
    assert sorted(path.name for path in (tmp_path / "backups").iterdir()) == ["now-2.db", "now.db"]
    with pytest.raises(OperationRefused, match="no folder"):
        back_up(store, "nowhere/now.db")


def test_backup_of_a_damaged_database(store: Path, tmp_path: Path) -> None:
    """A backup that would not be sound is not made."""
    raw = store.read_bytes()
    store.write_bytes(raw[:4096] + b"\xff" * (len(raw) - 4096))
    with pytest.raises(OperationFailed, match="no backup was made"):
        back_up(store, "now.db")
    assert [path.name for path in tmp_path.iterdir()] == ["store.db"]


@pytest.fixture
def rows(postgres: Postgres) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("DELETE FROM requests")
        connection.execute(
            "INSERT INTO requests SELECT n, CASE WHEN n < 3 THEN 'Failed' ELSE 'Sent' END"
            " FROM generate_series(1, 5) n"
        )
        yield connection


def test_postgresql_exactly(postgres: Postgres, rows: psycopg.Connection[Any]) -> None:
    """On PostgreSQL too: exactly those selected, or nothing."""
    with pytest.raises(OperationFailed, match="2 rows were selected and 5 would"):
        do(postgres.url(), "UPDATE requests SET status = 'x'", **EXACT)
    assert do(postgres.url(), RESET, **EXACT).value == {"changed": 2, "keys": [1, 2], "gone": []}
    found = rows.execute("SELECT count(*) FROM requests WHERE status = 'Pending'").fetchone()
    assert found == (2,)


def test_postgresql_script(
    postgres: Postgres, rows: psycopg.Connection[Any], tmp_path: Path
) -> None:
    """A PostgreSQL script is one transaction, with dollar-quoted functions and percent signs."""
    path = tmp_path / "x.sql"
    good = (
        "DO $$ BEGIN UPDATE requests SET status = 'b; c' WHERE id = 1; END $$;\n"
        "UPDATE requests SET status = '100%' WHERE id = 2;\n"
    )
    path.write_text(good + "UPDATE absent SET x = 1;")
    with pytest.raises(OperationFailed, match='"absent" does not exist; all was rolled back'):
        run_script(postgres.url(), path)
    found = rows.execute("SELECT count(*) FROM requests WHERE status = 'Failed'").fetchone()
    assert found == (2,)
    path.write_text(good)
    run_script(postgres.url(), path)
    assert rows.execute("SELECT status FROM requests WHERE id = 2").fetchone() == ("100%",)
    path.write_text("DELETE FROM requests; COMMIT; SELECT 1;")
    with pytest.raises(OperationRefused, match="COMMIT"):
        run_script(postgres.url(), path)


def test_postgresql_refused_tells_no_password(postgres: Postgres) -> None:
    """A login that is refused was not tried, and its password is not told."""
    with pytest.raises(OperationRefused) as caught:
        do(postgres.url(password="wrong-" + PASSWORD), RESET)
    assert PASSWORD not in str(caught.value)
