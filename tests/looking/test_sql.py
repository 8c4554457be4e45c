"""Does the SQL probe read what is there, and can nothing be written through it?"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from tests.postgres import PASSWORD, Postgres, running_postgres
from watchkeeper.clock import Clock, Window
from watchkeeper.errors import ConfigurationError, CouldNotObserve
from watchkeeper.looking.probes.sql import PROBE, Question, scalar
from watchkeeper.looking.reach import Reach
from watchkeeper.observation import Answer, Table
from watchkeeper.services import Database

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "with space & ü.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE requests (id INTEGER, status TEXT, at TEXT)")
        connection.executemany(
            "INSERT INTO requests VALUES (?, ?, ?)",
            [(n, "Failed" if n % 2 else "Sent", f"2026-01-0{n} 10:00:00") for n in range(1, 6)],
        )
        connection.commit()
    return path


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as cluster:
        with psycopg.connect(cluster.url(), autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE requests (id int PRIMARY KEY, cost numeric, at timestamptz)"
            )
            connection.execute(
                "INSERT INTO requests SELECT n, n / 2.0, now() FROM generate_series(1, 5) n"
            )
            for setting in ("", "SET LOCAL transaction_read_only = off;"):
                connection.execute(
                    f"CREATE FUNCTION writes{'_' * bool(setting)}() RETURNS int LANGUAGE plpgsql AS"
                    f" $$ BEGIN {setting} DELETE FROM requests; RETURN 1; END $$"
                )
        yield cluster


def ask(
    url: str,
    sql: str,
    window: Window | None = None,
    deadline: str = "2 seconds",
    key: str | None = None,
) -> Answer:
    async def look() -> Answer:
        service = Database.model_validate({"database": url, "deadline": deadline})
        reach = Reach({"store": service}, Clock())
        try:
            return await PROBE.look(Question(sql=sql, in_="store", key=key), reach, window)
        finally:
            await reach.close()

    return asyncio.run(look())


def table(answer: Answer) -> Table:
    assert isinstance(answer.value, Table)
    return answer.value


def refusal(url: str, sql: str, deadline: str = "2 seconds") -> CouldNotObserve:
    with pytest.raises(CouldNotObserve) as caught:
        ask(url, sql, deadline=deadline)
    assert PASSWORD not in caught.value.reason + caught.value.source
    return caught.value


def test_rows(store: Path) -> None:
    """A SELECT gives its rows by column, and says what was asked where."""
    answer = ask(f"sqlite:///{store}", "SELECT id,\n  status FROM requests ORDER BY id", key="id")
    assert table(answer).total == 5
    assert table(answer).rows[0].cells == (("id", 1), ("status", "Failed"))
    assert table(answer).key == "id"
    assert answer.source == "SELECT id, status FROM requests ORDER BY id in store"
    assert answer.kind == "rows"


def test_window_is_bound(store: Path) -> None:
    """:since and :until are bound as SQLite writes instants; other colons are left alone."""
    window = Window(datetime(2026, 1, 2, 10, tzinfo=UTC), datetime(2026, 1, 4, 10, tzinfo=UTC))
    sql = """SELECT id, '{"a":1}' AS a FROM requests WHERE at >= :since AND at < :until"""
    found = table(ask(f"sqlite:///{store}", sql, window))
    assert [row["id"] for row in found] == [2, 3]
    assert found.rows[0]["a"] == '{"a":1}'


def test_window_is_missed(store: Path) -> None:
    """A query that needs a window is refused by name in a sentence that has none."""
    with pytest.raises(ConfigurationError, match=":since"):
        ask(f"sqlite:///{store}", "SELECT 1 WHERE '2026' > :since")


def test_many_rows_are_counted_and_few_kept() -> None:
    """A million rows are counted in bounded memory, the first thousand kept."""
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
        "from tests.looking.test_sql import *\n"
        "import tempfile; path = Path(tempfile.mkdtemp()) / 'x.db'; sqlite3.connect(path).close()\n"
        "sql = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)"
        " SELECT i, hex(zeroblob(200)) AS x FROM n'\n"
        "found = table(ask(f'sqlite:///{path}', sql, deadline='60 seconds'))\n"
        "assert (found.total, len(found.rows)) == (1_000_000, Table.KEEP)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ})


WRITES = [
    "INSERT INTO requests VALUES (9, '', '')",
    "UPDATE requests SET status = 'x'",
    "DELETE FROM requests",
    "DROP TABLE requests",
    "CREATE TABLE other (id int)",
    "CREATE TEMP TABLE other (id int)",
    "PRAGMA user_version = 7",
    "PRAGMA query_only = OFF",
    "PRAGMA journal_mode = WAL",
    "PRAGMA writable_schema = ON",
    "ATTACH DATABASE 'planted.db' AS planted",
    "VACUUM INTO 'planted.db'",
    "SELECT 1; DELETE FROM requests",
]


@pytest.mark.parametrize("sql", WRITES)
def test_sqlite_cannot_be_written(
    store: Path, sql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the statement, the file and its folder are byte for byte what they were."""
    monkeypatch.chdir(tmp_path)
    before = (store.read_bytes(), sorted(tmp_path.iterdir()))
    assert refusal(f"sqlite:///{store}", sql).kind == "would write"
    assert (store.read_bytes(), sorted(tmp_path.iterdir())) == before


def test_reading_pragmas_and_functions_are_allowed(store: Path) -> None:
    """What describes the database can be asked, as a pragma and as a table."""
    asked = "SELECT name FROM pragma_table_info('requests')"
    assert [row["name"] for row in table(ask(f"sqlite:///{store}", asked))] == [
        "id",
        "status",
        "at",
    ]
    assert table(ask(f"sqlite:///{store}", "PRAGMA integrity_check")).rows[0].cells[0][1] == "ok"


def test_missing_database_stays_missing(tmp_path: Path) -> None:
    """A missing file is "missing", and is not made by looking."""
    assert refusal(f"sqlite:///{tmp_path}/none.db", "SELECT 1").kind == "missing"
    assert list(tmp_path.iterdir()) == []


def test_corrupt_database(tmp_path: Path) -> None:
    """A file that is no database is "corrupt"."""
    (tmp_path / "x.db").write_bytes(b"not a database, surely" * 1000)
    assert refusal(f"sqlite:///{tmp_path}/x.db", "SELECT * FROM t").kind == "corrupt"


def test_damaged_database(tmp_path: Path) -> None:
    """A database with overwritten pages is "corrupt" once they are read."""
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.executemany("INSERT INTO t VALUES (?)", [("y" * 500,)] * 200)
        connection.commit()
    raw = bytearray(path.read_bytes())
    raw[4096:] = b"\xff" * (len(raw) - 4096)
    path.write_bytes(raw)
    assert refusal(f"sqlite:///{path}", "SELECT COUNT(x) FROM t").kind == "corrupt"


def test_folder_is_no_database(tmp_path: Path) -> None:
    """A folder is "not a file"."""
    assert refusal(f"sqlite:///{tmp_path}", "SELECT 1").kind == "not a file"


def test_locked_database(store: Path) -> None:
    """A database that another program holds is "locked", before the deadline."""
    with closing(sqlite3.connect(store, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        assert refusal(f"sqlite:///{store}", "SELECT 1 FROM requests", "500 ms").kind == "locked"


def test_hanging_query_ends(store: Path) -> None:
    """A query without an end ends at the deadline, as "timeout"."""
    began = time.monotonic()
    assert refusal(f"sqlite:///{store}", ENDLESS, "300 ms").kind == "timeout"
    assert time.monotonic() - began < 2


def test_wrong_query_says_why(store: Path) -> None:
    """A query that the database does not understand is "query", with its own words."""
    refused = refusal(f"sqlite:///{store}", "SELECT colour FROM requests")
    assert (refused.kind, refused.reason) == ("query", "store: no such column: colour")


def test_wal_database_is_left_alone(store: Path, tmp_path: Path) -> None:
    """A WAL database that nobody has open is read without leaving -wal and -shm beside it."""
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    assert table(ask(f"sqlite:///{store}", "SELECT * FROM requests")).total == 5
    assert [path.name for path in tmp_path.iterdir()] == [store.name]


def test_wal_database_with_a_writer(store: Path) -> None:
    """Of a WAL database in use, what was committed last is seen."""
    with closing(sqlite3.connect(store)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("INSERT INTO requests VALUES (6, 'Sent', '')")
        writer.commit()
        assert table(ask(f"sqlite:///{store}", "SELECT * FROM requests")).total == 6


def test_thousand_looks_are_quick(store: Path) -> None:
    """A thousand looks at a small table take under ten seconds, on a slow machine too."""

    async def looks() -> None:
        reach = Reach(
            {"store": Database.model_validate({"database": f"sqlite:///{store}"})}, Clock()
        )
        for _ in range(1_000):
            await PROBE.look(Question(sql="SELECT * FROM requests", in_="store"), reach, None)
        await reach.close()

    began = time.monotonic()
    asyncio.run(looks())
    assert time.monotonic() - began < 10


def test_cells() -> None:
    """Every kind of value becomes a number, a text, a yes or no, an instant, or nothing."""
    assert scalar(b"abc") == "3 bytes"
    assert scalar(datetime(2026, 1, 1)) == datetime(2026, 1, 1, tzinfo=UTC)
    assert scalar(timedelta(minutes=1)) == 60.0
    assert scalar({"a": 1}) == '{"a": 1}'
    assert scalar(None) is None


def test_postgresql_rows(postgres: Postgres) -> None:
    """PostgreSQL's numerics and instants come as numbers and UTC instants; the window is bound."""
    now = datetime.now(UTC)
    window = Window(now - timedelta(hours=1), now + timedelta(hours=1))
    sql = "SELECT id, cost, at, '5'::int AS five FROM requests WHERE at >= :since ORDER BY id"
    found = table(ask(postgres.url(), sql, window))
    assert (found.total, found.rows[0]["cost"], found.rows[0]["five"]) == (5, 0.5, 5)
    at = found.rows[0]["at"]
    assert isinstance(at, datetime)
    assert at.utcoffset() == timedelta(0)


POSTGRES_WRITES = [
    "INSERT INTO requests VALUES (9)",
    "UPDATE requests SET cost = 0",
    "DELETE FROM requests",
    "CREATE TABLE planted (id int)",
    "CREATE TEMP TABLE planted (id int)",
    "WITH gone AS (DELETE FROM requests RETURNING *) SELECT * FROM gone",
    "SELECT 1; COMMIT; DELETE FROM requests",
    "COMMIT; DELETE FROM requests",
    "COPY requests TO PROGRAM 'touch {planted}'",
    "COPY (SELECT 1) TO '{planted}'",
    "SET TRANSACTION READ WRITE",
    "SELECT set_config('transaction_read_only', 'off', false)",
    "SELECT pg_terminate_backend(pg_backend_pid())",
    'SELECT "pg_cancel_backend" (1)',
    "SELECT pg_advisory_lock(1)",
    "SELECT lo_create(4711)",
    "DO $$ BEGIN DELETE FROM requests; END $$",
    "SELECT * FROM requests FOR UPDATE",
    "SELECT writes()",
    "SELECT writes_()",
    "EXPLAIN ANALYZE DELETE FROM requests",
    "VACUUM requests",
    "TRUNCATE requests",
    "SELECT * INTO planted FROM requests",
    "PREPARE planted AS DELETE FROM requests",
]


@pytest.mark.parametrize("sql", POSTGRES_WRITES)
def test_postgresql_cannot_be_written(postgres: Postgres, sql: str, tmp_path: Path) -> None:
    """Even a superuser's statement, or two, changes no row, no server and no file."""
    planted = Path("/tmp") / f"watchkeeper-planted-{os.getpid()}"  # noqa: S108 - the server's user
    refused = refusal(postgres.url(), sql.format(planted=planted))
    assert refused.kind in ("would write", "query")
    assert not planted.exists()
    with psycopg.connect(postgres.url()) as connection:
        assert connection.execute("SELECT count(*), sum(cost) FROM requests").fetchone() == (5, 7.5)
        assert connection.execute("SELECT to_regclass('planted')").fetchone() == (None,)


def test_postgresql_tells_of_itself(postgres: Postgres) -> None:
    """Who is connected, how full it is, and when the planner last looked at each table."""
    sql = "SELECT * FROM pg_stat_activity WHERE application_name = 'watchkeeper (looking)'"
    (row,) = table(ask(postgres.url(), sql))
    assert row["state"] == "active"
    assert isinstance(row["query_start"], datetime)
    pool = "SELECT numbackends::float / current_setting('max_connections')::int AS share FROM "
    (row,) = table(ask(postgres.url(), pool + "pg_stat_database WHERE datname = 'postgres'"))
    share = row["share"]
    assert isinstance(share, float)
    assert 0 < share < 1
    fresh = "SELECT relname, last_analyze FROM pg_stat_user_tables WHERE relname = 'requests'"
    before = table(ask(postgres.url(), fresh)).rows[0]["last_analyze"]
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("ANALYZE requests")
    after = table(ask(postgres.url(), fresh)).rows[0]["last_analyze"]
    assert isinstance(after, datetime)
    assert before is None or (isinstance(before, datetime) and before < after)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles"])
def test_postgresql_window_whatever_the_servers_zone(postgres: Postgres, zone: str) -> None:
    """An instant is an instant: a server, or a column, of another zone holds the same rows."""
    noon = datetime(2026, 3, 29, 12, tzinfo=UTC)  # the day on which many clocks are put forward
    url = postgres.url() + f"?options=-c%20TimeZone%3D{zone}"
    moments = (
        "SELECT at, at AT TIME ZONE 'UTC' AS unzoned FROM (VALUES "
        "('2026-03-29 11:59:59+00'::timestamptz), ('2026-03-29 12:00:00+00'),"
        " ('2026-03-29 13:59:59.5+01'), ('2026-03-29 13:00:00+00')) AS moments (at)"
    )
    window = Window(noon, noon + timedelta(hours=1))
    for column in ("at", "unzoned"):
        where = f"WHERE {column} >= :since AND {column} < :until"
        found = table(ask(url, f"SELECT * FROM ({moments}) AS m {where} ORDER BY at", window))
        assert [row["at"] for row in found] == [
            noon,
            noon + timedelta(minutes=59, seconds=59, microseconds=500_000),
        ]
        assert [row["unzoned"] for row in found] == [row["at"] for row in found]


def test_postgresql_that_goes_away_meanwhile() -> None:
    """A query whose connection is ended, or whose server dies, is closed: no answer, no verdict."""
    with running_postgres() as cluster:
        for last_word in (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name LIKE 'watchkeeper%'",
            None,
        ):
            end = threading.Timer(1.0, _end, (cluster, last_word))
            end.start()
            refused = refusal(cluster.url(), "SELECT pg_sleep(9)", "8 seconds")
            end.join()
            assert refused.kind == "closed", refused.reason


def _end(cluster: Postgres, last_word: str | None) -> None:
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        if last_word is not None:
            connection.execute(last_word)
            return
        found = connection.execute("SHOW data_directory").fetchone()
    assert found is not None
    number = int((Path(found[0]) / "postmaster.pid").read_text().splitlines()[0])
    os.kill(number, signal.SIGQUIT)  # it ends at once, as a machine does


def test_postgresql_hanging_query_ends(postgres: Postgres) -> None:
    """A slow query is ended by the server at the deadline."""
    assert refusal(postgres.url(), "SELECT pg_sleep(30)", "400 ms").kind == "timeout"
    with psycopg.connect(postgres.url()) as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%sleep(30)%'"
            " AND state = 'active' AND pid <> pg_backend_pid()"
        ).fetchone()
    assert found == (0,)


def test_postgresql_locked(postgres: Postgres) -> None:
    """A table that another session holds is "locked"."""
    with psycopg.connect(postgres.url()) as holder:
        holder.execute("LOCK TABLE requests IN ACCESS EXCLUSIVE MODE")
        assert refusal(postgres.url(), "SELECT * FROM requests", "600 ms").kind == "locked"


def test_postgresql_refusals(postgres: Postgres) -> None:
    """No server, no login, no database and no column are told apart, and no password is told."""
    nobody = Postgres(1).url()
    assert refusal(nobody, "SELECT 1").kind == "refused"
    assert refusal(postgres.url(password="wrong-" + PASSWORD), "SELECT 1").kind == "login refused"
    assert refusal(postgres.url(database="none"), "SELECT 1").kind == "missing"
    assert refusal(postgres.url(), "SELECT colour FROM requests").kind == "query"


def test_other_databases_are_refused() -> None:
    """A URL of another database is a mistake in the target file."""
    with pytest.raises(ConfigurationError, match="none that can be read"):
        ask("mysql://u:p@h/d", "SELECT 1")
