"""How is a database of either kind opened so that it can only be read?

Imported by the first look that needs it: SQLAlchemy takes 140 ms, which other runs need not spend.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from watchkeeper.errors import ConfigurationError, CouldNotObserve
from watchkeeper.looking.sqlite import could_not_observe, observing, open_read_only

_SQLSTATES = {
    "28P01": "login refused",
    "28000": "login refused",
    "3D000": "missing",
    "42501": "not permitted",
    "55P03": "locked",
    "57014": "timeout",
    "53300": "too many connections",
    "57P03": "closed",
    "57P01": "closed",
    "08P01": "closed",
    "25006": "would write",
    "42601": "query",
}
_CONNECT_WORDS = (  # a failed connection has no SQLSTATE, only the text of libpq
    ("password authentication failed", "login refused"),
    ("no password supplied", "login refused"),
    ("Connection refused", "refused"),
    ("could not translate host name", "no such name"),
    ("Name or service not known", "no such name"),
    ("failed to resolve host", "no such name"),
    ("does not exist", "missing"),
    ("too many clients", "too many connections"),
    ("starting up", "closed"),
    ("certificate", "certificate"),
    ("timeout", "timeout"),
    ("No such file", "refused"),
)

# A read-only transaction stops writes to tables; these act on the server all the same. The sure
# lock is a login that may only SELECT; this one catches the runbook's own verbs among the nouns.
_ACTS = re.compile(
    r'\b"?(pg_(terminate|cancel)_backend|pg_reload_conf|pg_rotate_logfile|pg_switch_wal|pg_promote'
    r"|pg_create_\w+|pg_drop_\w+|pg_(try_)?advisory_\w+|pg_stat_(statements_)?reset\w*|pg_notify"
    r'|pg_file_\w+|pg_backup_\w+|pg_start_backup|pg_stop_backup|lo_\w+|dblink\w*|set_config)"?\s*\(',
    re.IGNORECASE,
)
_LOCK_SHARE = 0.8  # of the deadline is waited for a lock, so that "locked" can still be said


class ReadOnlyDatabase:
    """One database service, entered for reading. Safe to use from several threads.

    `deadline_s`: when a statement is ended, by the database itself.
    """

    def __init__(self, url: str, name: str, *, deadline_s: float, at_once: int = 1) -> None:
        """Raises ConfigurationError for a URL that is neither SQLite's nor PostgreSQL's."""
        self.name, self._deadline_s = name, deadline_s
        try:
            self._url = make_url(url)
        except ArgumentError:
            raise self._no_url() from None
        self.kind = self._url.get_backend_name()
        if self.kind not in ("sqlite", "postgresql"):
            raise self._no_url()
        self._engine = self._sqlite() if self.kind == "sqlite" else self._postgresql(at_once)

    def _no_url(self) -> ConfigurationError:
        return ConfigurationError(
            f'the database of "{self.name}" is none that can be read',
            hint="write sqlite:///path or postgresql+psycopg://user:password@host/name",
        )

    @property
    def path(self) -> Path | None:
        """The file, of an SQLite database."""
        return Path(self._url.database or "") if self.kind == "sqlite" else None

    def _sqlite(self) -> Engine:
        path = Path(self._url.database or "")
        return create_engine(
            "sqlite://",
            creator=lambda: open_read_only(path, self._deadline_s),
            poolclass=NullPool,
        )

    def _postgresql(self, at_once: int) -> Engine:
        wait_s = max(2, round(self._deadline_s))  # libpq takes no less than two seconds
        engine = create_engine(
            _with_driver(self._url),
            connect_args={"connect_timeout": wait_s, "application_name": "watchkeeper (looking)"},
            pool_size=at_once,
            max_overflow=0,
            pool_timeout=self._deadline_s,
            pool_pre_ping=True,
        )
        event.listen(engine, "handle_error", _close_cursor)
        return engine

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection on which nothing can be written; raises CouldNotObserve with a kind."""
        try:
            with observing(self.name, self._existing()), self._engine.connect() as connection:
                yield self._restricted(connection)
        except DBAPIError as error:
            raise self._unanswered(error) from None  # the chain would show the URL's parameters
        except SQLAlchemyError as error:
            raise CouldNotObserve("query", self._clean(str(error))) from None

    def _existing(self) -> Path | None:
        path = self.path
        return path if path is not None and path.is_file() else None

    def _restricted(self, connection: Connection) -> Connection:
        # Streaming is more than thrift here: PostgreSQL then gets DECLARE … CURSOR FOR, which takes
        # a single SELECT and nothing else, neither COPY … TO PROGRAM nor a second statement.
        options: dict[str, Any] = {"stream_results": True, "max_row_buffer": 200}
        if self.kind == "sqlite":
            return connection.execution_options(**options)
        connection = connection.execution_options(postgresql_readonly=True, **options)
        deadline_ms = int(self._deadline_s * 1000)
        for setting in (
            f"statement_timeout = {deadline_ms}",
            f"lock_timeout = {int(deadline_ms * _LOCK_SHARE)}",
            "TIME ZONE 'UTC'",
        ):
            connection.exec_driver_sql(
                f"SET LOCAL {setting}", execution_options={"stream_results": False}
            )
        return connection

    def refuse_acting(self, sql: str) -> None:
        """Raises CouldNotObserve "would write" for a SELECT that calls a function which acts."""
        found = _ACTS.search(sql) if self.kind == "postgresql" else None
        if found:
            raise CouldNotObserve(
                "would write", f"{self.name}: {found[1]} acts on the server, and looking may not"
            )

    def _unanswered(self, error: DBAPIError) -> CouldNotObserve:
        if isinstance(error.orig, sqlite3.Error):
            return could_not_observe(error.orig, self.name)
        text = str(error.orig)
        state = getattr(error.orig, "sqlstate", None)
        kind = _SQLSTATES.get(state or "") if state else _by_words(text)
        if "DECLARE CURSOR" in text or "cursor" in text.lower().partition("\n")[0]:
            kind = "would write"
        return CouldNotObserve(kind or "query", self._clean(text.strip().partition("\n")[0]))

    def _clean(self, text: str) -> str:
        password = self._url.password
        return f"{self.name}: {text.replace(password, '…') if password else text}"

    def close(self) -> None:
        self._engine.dispose()


def _close_cursor(context: ExceptionContext) -> None:
    """SQLAlchemy leaves a lost connection's cursor open, and the driver then warns of it."""
    if context.is_disconnect and context.execution_context is not None:
        context.execution_context.cursor.close()


def _by_words(text: str) -> str:
    return next((kind for words, kind in _CONNECT_WORDS if words in text), "closed")


def _with_driver(url: URL) -> URL:
    """The URL for psycopg 3, which is the driver that comes with us."""
    return url.set(drivername="postgresql+psycopg")
