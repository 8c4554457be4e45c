"""How is a living SQLite database copied whole?"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from watchkeeper.changing.handles import ChangingHandles
from watchkeeper.errors import CouldNotObserve, OperationFailed, OperationRefused

_PAGES = 1_024  # copied between two looks at the clock
_NAMES_TRIED = 1_000


class _TookTooLong(Exception):
    """The copy was given up at its deadline."""


def online_backup(handles: ChangingHandles, of: str, to: str) -> dict[str, Any]:
    """Copy the SQLite service `of` to the new file `to` while others use it.

    `to` is relative to the database's folder; where it is taken, "-2" and so on is put before its
    suffix. Nothing is ever overwritten, and a copy that failed leaves nothing. Returns
    {"size": bytes, "made": {"backup": path}}. Raises OperationRefused and OperationFailed.
    """
    source = _source(handles, of)
    wanted = source.parent / to
    if not wanted.parent.is_dir():
        raise OperationRefused(f"there is no folder {wanted.parent} for the backup")
    partial = wanted.with_name(f".{wanted.name}.{os.getpid()}.partial")
    try:
        _copy(source, partial, time.monotonic() + handles.deadline_s)
        made = _named(partial, wanted)
    except (sqlite3.Error, OSError, _TookTooLong) as error:
        raise OperationFailed(f"backing up {of}: {error}; no backup was made") from error
    finally:
        partial.unlink(missing_ok=True)
    return {"size": made.stat().st_size, "made": {"backup": str(made)}}


def _source(handles: ChangingHandles, of: str) -> Path:
    try:
        source = handles.database_file(of)
    except CouldNotObserve as error:
        raise OperationRefused(error.reason) from error
    if not source.is_file():
        raise OperationRefused(f"there is no database {source}")
    return source


def _copy(source: Path, partial: Path, end: float) -> None:
    def watch(_status: int, _remaining: int, _total: int) -> None:
        if time.monotonic() > end:
            raise _TookTooLong("not done at its deadline")

    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    uri = f"file:{quote(str(source.absolute()))}?mode=ro"
    with (
        closing(sqlite3.connect(uri, uri=True)) as old,
        closing(sqlite3.connect(partial)) as new,
    ):
        old.backup(new, pages=_PAGES, progress=watch, sleep=0.01)
        new.execute("PRAGMA journal_mode = DELETE")  # one file, with no journal beside it
        found = new.execute("PRAGMA integrity_check(1)").fetchone()
        if found != ("ok",):
            raise sqlite3.DatabaseError(f"the copy is not sound: {found[0]}")
    _to_disk(partial)


def _named(partial: Path, wanted: Path) -> Path:
    for number in range(1, _NAMES_TRIED):
        suffix = f"-{number}" if number > 1 else ""
        name = wanted.with_name(f"{wanted.stem}{suffix}{wanted.suffix}")
        try:
            os.link(partial, name)  # unlike a rename, a link never replaces what is there
        except FileExistsError:
            continue
        _to_disk(wanted.parent)
        return name
    raise FileExistsError(f"{wanted} and {_NAMES_TRIED} names like it are taken")


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
