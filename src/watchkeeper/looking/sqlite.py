"""How is an SQLite file read without any chance of changing it, and is it sound?"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from watchkeeper.errors import CouldNotObserve

if TYPE_CHECKING:
    from watchkeeper.looking.handles import Handles

VALUE_MAX = 10_000_000
"""Bytes of the largest value that is read; a larger one is refused as "too large"."""

SOUND_DEADLINE_S = 60.0
"""How long a check of a whole file may take; longer is "timeout"."""

_STEPS_BETWEEN_CHECKS = 100_000  # about a millisecond of work between two looks at the clock

_MAY = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
    sqlite3.SQLITE_TRANSACTION,
}
_PRAGMAS_ABOUT = {  # those whose argument says what to describe; any other's argument is a setting
    "table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo",
    "foreign_key_list", "foreign_key_check", "integrity_check", "quick_check",
}  # fmt: skip
_PRAGMAS_THAT_ACT = {"wal_checkpoint", "optimize", "incremental_vacuum", "shrink_memory"}


def _only_reading(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    # mode=ro guards this file only: ATTACH could still make and fill another. This guards all.
    if action == sqlite3.SQLITE_PRAGMA:
        name = (first or "").lower()
        asks = name in _PRAGMAS_ABOUT or (second is None and name not in _PRAGMAS_THAT_ACT)
        return sqlite3.SQLITE_OK if asks else sqlite3.SQLITE_DENY
    # A table-valued function (json_each) is declared by a pretended update of the schema.
    declares = action == sqlite3.SQLITE_UPDATE and first == "sqlite_master"
    return sqlite3.SQLITE_OK if action in _MAY or declares else sqlite3.SQLITE_DENY


def connect_read_only(
    path: Path, deadline_s: float, *, mode: str = "mode=ro"
) -> sqlite3.Connection:
    """A connection through which nothing can be written, attached or made.

    Its queries end `deadline_s` after `connect_read_only`, by sqlite3.OperationalError
    "interrupted". Raises sqlite3.Error as the driver does.
    """
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?{mode}",
        uri=True,
        timeout=deadline_s * 0.8,  # so that "locked" is said before the deadline cuts it off
        check_same_thread=False,
        isolation_level=None,
    )
    connection.execute("PRAGMA query_only = ON")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_MAX)
    connection.set_authorizer(_only_reading)
    ends = time.monotonic() + deadline_s
    connection.set_progress_handler(lambda: time.monotonic() > ends, _STEPS_BETWEEN_CHECKS)
    return connection


def open_read_only(path: Path, deadline_s: float) -> sqlite3.Connection:
    """As connect_read_only, for every kind of file, and tried: its first page was read.

    A file in WAL mode that has no open writer, in a folder where nothing may be made, is read as
    immutable. Raises sqlite3.Error; CouldNotObserve "missing", "not a file" or "not permitted".
    """
    _require_file(path)
    if _is_idle_wal(path):
        # Opened otherwise it gets -wal and -shm beside it, and looking leaves nothing behind.
        return _tried(connect_read_only(path, deadline_s, mode="mode=ro&immutable=1"))
    return _tried(connect_read_only(path, deadline_s))


def _tried(connection: sqlite3.Connection) -> sqlite3.Connection:
    try:
        connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _require_file(path: Path) -> None:
    try:
        with path.open("rb"):
            return
    except FileNotFoundError as error:
        raise CouldNotObserve("missing", f"there is no database {path}") from error
    except IsADirectoryError as error:
        raise CouldNotObserve("not a file", f"{path} is a folder") from error
    except OSError as error:
        raise CouldNotObserve(
            "not permitted", f"{path} can't be opened: {error.strerror}"
        ) from error


_WAL_FORMAT = 2  # byte 18 of the header: which journal the file is written with
_JOURNAL_BYTE = 18


def _is_idle_wal(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            header = file.read(_JOURNAL_BYTE + 1)
    except OSError:  # opening it says why
        return False
    wal = path.with_name(path.name + "-wal")
    return header[_JOURNAL_BYTE:] == bytes([_WAL_FORMAT]) and not wal.exists()


@contextmanager
def observing(what: str, wal_of: Path | None = None) -> Iterator[None]:
    """Turn sqlite3's errors into CouldNotObserve with a kind; `what` names the file."""
    idle = wal_of is not None and _is_idle_wal(wal_of)
    before = wal_of.stat() if idle and wal_of is not None else None
    try:
        yield
    except sqlite3.Error as error:
        raise could_not_observe(error, what) from error
    if before is not None and wal_of is not None:
        after = wal_of.stat()
        if not _is_idle_wal(wal_of) or before.st_mtime_ns != after.st_mtime_ns:
            raise CouldNotObserve("changed", f"{what} was written to while it was read")


_KINDS: tuple[tuple[Callable[[int, str], bool], str], ...] = (
    (lambda code, _: code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED), "locked"),
    (lambda code, _: code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB), "corrupt"),
    (lambda code, _: code == sqlite3.SQLITE_INTERRUPT, "timeout"),
    (lambda code, _: code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_AUTH), "would write"),
    (lambda code, _: code == sqlite3.SQLITE_TOOBIG, "too large"),
    (lambda code, _: code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM), "not permitted"),
    (lambda code, _: code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL), "disk"),
    (lambda _, text: "one statement at a time" in text, "would write"),
)
_SENTENCES = {
    "locked": "the database is locked by another program",
    "corrupt": "the file is damaged or no database",
    "timeout": "the query had not ended at its deadline",
    "would write": "the statement would change something, and looking may not",
}
_PRIMARY = 0xFF  # the low byte of an extended result code is the code itself


def could_not_observe(error: sqlite3.Error, what: str) -> CouldNotObserve:
    """What sqlite3 raised, as the reason why there is no answer."""
    code, text = getattr(error, "sqlite_errorcode", 0) & _PRIMARY, str(error)
    kind = next((kind for fits, kind in _KINDS if fits(code, text)), "query")
    said = f"{_SENTENCES[kind]} ({text})" if kind in _SENTENCES else text
    return CouldNotObserve(kind, f"{what}: {said}")


def sound(handles: Handles, file: str) -> str:
    """ "sound" or "broken": whether SQLite's own integrity check of `file` finds nothing.

    Raises CouldNotObserve where it can't be opened, is locked, or takes over a minute.
    """
    path = handles.path(file)
    try:
        with (
            observing(str(path), path if path.is_file() else None),
            closing(open_read_only(path, SOUND_DEADLINE_S)) as connection,
        ):
            found = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except CouldNotObserve as error:
        if error.kind == "corrupt":
            return "broken"
        raise
    return "sound" if found == ("ok",) else "broken"
