"""How is a database changed in one transaction that holds or leaves nothing behind?

Imported by the first operation that needs it, as watchkeeper.looking.database.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from watchkeeper.errors import (
    ConfigurationError,
    OperationFailed,
    OperationRefused,
    OperationUnknown,
)

_STEPS_BETWEEN_CHECKS = 100_000  # about a millisecond of work between two looks at the clock
_LOCK_SHARE = 0.8  # of the deadline is waited for a lock, so that "locked" can still be said

_WARNINGS_TOLD = 3

_TRY_AGAIN_S = 0.002  # between two tries to get the lock

BUSY_S = 5.0
"""How long a SQLite database may be locked by another writer, in seconds: what the applications of
these databases allow themselves (PRAGMA busy_timeout = 5000). An operation has a deadline of a
minute; waiting for most of it would tell nobody sooner that another writer does not end."""


class WritableDatabase:
    """One database service, entered for one change.

    `deadline_s`: when its statements are ended. `busy_s`: how long SQLite waits for a lock.
    """

    def __init__(self, url: str, name: str, *, deadline_s: float, busy_s: float = BUSY_S) -> None:
        self._name, self._deadline_s, self._busy_s = name, deadline_s, busy_s
        try:
            self._url = make_url(url)
        except ArgumentError:
            raise self._no_url() from None
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        if not self.is_sqlite and self._url.get_backend_name() != "postgresql":
            raise self._no_url()

    def _no_url(self) -> ConfigurationError:
        return ConfigurationError(
            f'the database of "{self._name}" is none that can be changed',
            hint="write sqlite:///path or postgresql+psycopg://user:password@host/name",
        )

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction: committed at the end of the block, rolled back where it raises.

        Other writers wait (SQLite) or are not seen (PostgreSQL, REPEATABLE READ). Raises
        OperationRefused where the database can't be entered, OperationFailed where a statement
        fails, OperationUnknown where the commit does.
        """
        engine = self._engine()
        try:
            with self._entered(engine) as connection:
                try:
                    yield connection
                except SQLAlchemyError as error:
                    raise OperationFailed(f"{self._clean(error)}; nothing was changed") from None
                self._commit(connection)
        finally:
            engine.dispose()

    @contextmanager
    def outside_a_transaction(self) -> Iterator[Connection]:
        """For the statements that allow none (VACUUM): each takes effect by itself.

        Raises OperationRefused where the database can't be entered, OperationFailed where a
        statement fails or warns, OperationUnknown where the connection was lost meanwhile.
        """
        engine = self._engine()
        warnings: list[str] = []
        try:
            with self._entered(engine, self._begin_nothing) as connection:
                if not self.is_sqlite:
                    driver: Any = connection.connection.driver_connection
                    driver.add_notice_handler(partial(_keep_warning, warnings))
                try:
                    yield connection
                except SQLAlchemyError as error:
                    if _was_lost(error):
                        raise OperationUnknown(
                            f"{self._clean(error)}; how far it had come is unknown"
                        ) from None
                    raise OperationFailed(
                        f"{self._clean(error)}; what it had done until then stays"
                    ) from None
            if warnings:
                some = "; ".join(warnings[:_WARNINGS_TOLD])
                raise OperationFailed(f"it was done but for {len(warnings)} warnings: {some}")
        finally:
            engine.dispose()

    @contextmanager
    def _entered(
        self, engine: Engine, begin: Callable[[Connection], None] | None = None
    ) -> Iterator[Connection]:
        try:
            connection = engine.connect()
        except SQLAlchemyError as error:
            raise OperationRefused(f"{self._clean(error)}; nothing was tried") from None
        with connection:  # rolls back what was not committed
            try:
                (begin or self._begin)(connection)
            except SQLAlchemyError as error:
                raise OperationRefused(f"{self._clean(error)}; nothing was tried") from None
            yield connection

    def _begin_nothing(self, connection: Connection) -> None:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        if self.is_sqlite:
            busy_s = min(self._busy_s, self._deadline_s * _LOCK_SHARE)
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(busy_s * 1000)}")
            return
        for setting, share in (("statement_timeout", 1.0), ("lock_timeout", _LOCK_SHARE)):
            limit_ms = int(self._deadline_s * 1000 * share)
            connection.exec_driver_sql(f"SET {setting} = {limit_ms}")

    def _begin(self, connection: Connection) -> None:
        if self.is_sqlite:
            self._begin_sqlite(connection)
            return
        deadline_ms = int(self._deadline_s * 1000)
        lock_ms = int(deadline_ms * _LOCK_SHARE)
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {deadline_ms}")
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {lock_ms}")

    def _begin_sqlite(self, connection: Connection) -> None:
        """Take the lock. SQLite's own wait tries ten times a second, and beside a program that
        writes without a pause it would never meet the moment in which the lock is free.
        """
        busy_s = min(self._busy_s, self._deadline_s * _LOCK_SHARE)
        ends = time.monotonic() + busy_s
        connection.exec_driver_sql("PRAGMA busy_timeout = 0")
        while True:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            except OperationalError as error:
                if "locked" not in str(error.orig) or time.monotonic() > ends:
                    raise
                time.sleep(_TRY_AGAIN_S)
            else:
                break
        # The commit may have to wait for those who read.
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(busy_s * 1000)}")

    def _commit(self, connection: Connection) -> None:
        try:
            connection.commit()
        except SQLAlchemyError as error:
            if not _was_lost(error):
                raise OperationFailed(f"{self._clean(error)}; nothing was changed") from None
            raise OperationUnknown(
                f"{self._clean(error)}; whether the commit took effect is unknown"
            ) from None

    def _engine(self) -> Engine:
        if self.is_sqlite:
            return create_engine("sqlite://", creator=self._sqlite, poolclass=NullPool)
        return create_engine(
            self._url.set(drivername="postgresql+psycopg"),
            isolation_level="REPEATABLE READ",
            poolclass=NullPool,
            connect_args={
                "connect_timeout": max(2, round(self._deadline_s)),
                "application_name": "watchkeeper (changing)",
            },
        )

    def _sqlite(self) -> sqlite3.Connection:
        path = Path(self._url.database or "")
        connection = sqlite3.connect(
            f"file:{quote(str(path.absolute()))}?mode=rw",  # rw: a missing file is not made
            uri=True,
            check_same_thread=False,
            isolation_level=None,  # the driver would begin and commit by itself
        )
        ends = time.monotonic() + self._deadline_s
        connection.set_progress_handler(lambda: time.monotonic() > ends, _STEPS_BETWEEN_CHECKS)
        return connection

    def _clean(self, error: SQLAlchemyError) -> str:
        original = error.orig if isinstance(error, DBAPIError) else error
        text = str(original).strip().partition("\n")[0]
        password = self._url.password
        return f"{self._name}: {text.replace(password, '…') if password else text}"


def _was_lost(error: SQLAlchemyError) -> bool:
    """Whether the database itself did not answer: it may have done its work."""
    original = getattr(error, "orig", None)
    state = getattr(original, "sqlstate", None)
    return not (isinstance(original, sqlite3.Error) or (state and state not in _ENDED))


_ENDED = ("57P01", "57P02", "57P03")  # it is shutting down, or this connection was ended


def _keep_warning(warnings: list[str], diagnostic: Any) -> None:
    if diagnostic.severity_nonlocalized == "WARNING":
        warnings.append(str(diagnostic.message_primary))
