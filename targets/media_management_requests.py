"""What YAML should not say about requests: exports, the lock, the cache, the index, TMDb's pace."""

from __future__ import annotations

import csv
import io
import os
import sqlite3
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text

from watchkeeper.changing.handles import ChangingHandles
from watchkeeper.errors import (
    CouldNotObserve,
    OperationFailed,
    OperationRefused,
    OperationUnknown,
)
from watchkeeper.looking.handles import Handles

INDEX = "idx_requests_status_service"
ASKED_TMDB = "TMDb request:"
INSTANT_LENGTH = len("2026-02-18 09:00:12,345")
LOCK_SHARE = 0.8  # of the deadline is waited for a lock, so that "locked" can still be said
NAMES_TRIED = 1_000


# ---- Exports


def export(handles: ChangingHandles, name: str, where: str, columns: str = "*") -> dict[str, Any]:
    """Write `columns` of the requests `where` to a new CSV file "NAME_20260218.csv", with header.

    Nothing is overwritten: where the name is taken, "-2" and so on is put behind it. The file is
    there whole or not at all. Returns its path as made "export", and "ids": ",7,9,".
    """
    query = f"SELECT {columns} FROM requests WHERE {where} ORDER BY id"  # noqa: S608 - the target file's own
    bound = {"now": f"{handles.now:%Y-%m-%d %H:%M:%S}"} if ":now" in query else {}
    with handles.database("store") as connection:
        found = connection.execute(text(query), bound)
        header, rows = list(found.keys()), [list(row) for row in found]
    folder = handles.folder("exports")
    partial = folder / f".{name}.{os.getpid()}.partial"
    try:
        with partial.open("x", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows])
            file.flush()
            os.fsync(file.fileno())
        made = _named(partial, folder, f"{name}_{handles.now:%Y%m%d}")
    except OSError as error:
        raise OperationFailed(f"the export {name}: {error.strerror}; no file was made") from error
    finally:
        partial.unlink(missing_ok=True)
    ids = "".join(f"{row[header.index('id')]}," for row in rows)
    return {"ids": f",{ids}", "note": f"{len(rows)} rows to {made}", "made": {"export": str(made)}}


def _named(partial: Path, folder: Path, stem: str) -> Path:
    for number in range(1, NAMES_TRIED):
        made = folder / (f"{stem}-{number}.csv" if number > 1 else f"{stem}.csv")
        with suppress(FileExistsError):
            os.link(partial, made)  # unlike a rename, a link never replaces what is there
            return made
    raise FileExistsError(0, f"{NAMES_TRIED} names like {stem}.csv are taken")


def exported(handles: Handles, file: str) -> list[dict[str, str]]:
    """The rows of the CSV file, by its header."""
    return [dict(row) for row in csv.DictReader(io.StringIO(_content(handles.path(file))))]


def header_of(handles: Handles, file: str) -> str:
    """The first line of the CSV file."""
    return _content(handles.path(file)).partition("\n")[0].rstrip("\r")


def _content(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", newline="") as file:  # line ends inside a field stay
            return file.read()
    except OSError as error:
        raise CouldNotObserve("missing", f"{path}: {error.strerror}") from error


# ---- The database


def write_and_take_back(handles: ChangingHandles) -> dict[str, Any]:
    """Begin a write transaction, write in it, and roll it back: a reader would not be blocked."""
    try:
        with suppress(_TakenBack), handles.connection("store") as connection:
            connection.execute(text("UPDATE requests SET title = title WHERE id < 0"))
            raise _TakenBack
    except OperationRefused as error:
        if "locked" not in str(error):
            raise
        raise OperationFailed(str(error)) from error  # that is what was to be found out
    return {"note": "it could be written to"}


class _TakenBack(Exception):
    """Rolls the transaction back."""


def optimize(handles: ChangingHandles) -> dict[str, Any]:
    """Make the index for status and service, then ANALYZE and VACUUM.

    None of them changes a request. VACUUM can be part of no transaction, so this is none.
    """
    path = handles.database_file("store")
    try:
        with closing(_to_write(path, handles.deadline_s * LOCK_SHARE)) as database:
            for statement in (
                f"CREATE INDEX IF NOT EXISTS {INDEX} ON requests (status, arr_service)",
                "ANALYZE",
                "VACUUM",
            ):
                database.execute(statement)
    except sqlite3.Error as error:
        raise OperationFailed(f"{path.name}: {error}; no request was changed") from error
    return {"note": "index made, analyzed and vacuumed"}


def _to_write(path: Path, timeout_s: float) -> sqlite3.Connection:
    if not path.is_file():
        raise OperationRefused(f"there is no database {path}; nothing was tried")
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=timeout_s, isolation_level=None
    )


def index_used(handles: Handles) -> str:
    """Which index SQLite means to use to find requests by status and service, or "none"."""
    query = "SELECT * FROM requests WHERE status = 'Pending' AND arr_service = 'sonarr'"
    with handles.database("store") as connection:
        steps = [row[-1] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {query}"))]
    _, _, named = " ".join(steps).partition(" INDEX ")
    return named.partition(" ")[0] or "none"


# ---- TMDb


def most_requests_within(handles: Handles, seconds: int, hours: str) -> int:
    """The most requests to TMDb that the log shows within any `seconds` of the last `hours`."""
    since = handles.now - timedelta(hours=float(hours))
    recent: deque[datetime] = deque()
    most = 0
    for at in _asked(handles.log("log")):
        if since <= at <= handles.now:
            recent.append(at)
            while at - recent[0] > timedelta(seconds=seconds):
                recent.popleft()
            most = max(most, len(recent))
    return most


def _asked(log: Path) -> Iterator[datetime]:
    """When the application asked TMDb, as its log tells it."""
    try:
        with log.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                if ASKED_TMDB in line:
                    at = datetime.strptime(line[:INSTANT_LENGTH], "%Y-%m-%d %H:%M:%S,%f")
                    yield at.replace(tzinfo=UTC)
    except OSError as error:
        raise CouldNotObserve("missing", f"{log}: {error.strerror}") from error
    except ValueError as error:
        raise CouldNotObserve("unreadable", f"{log} has a line without an instant") from error


REPEATS = 3
"""How often at most it is classified again: others may ask TMDb meanwhile, a machine may stumble.
One repetition that is quick and asks nobody shows that there is a cache."""

LAG_SHARE = 0.1  # of what the repetition took longer; where this machine is later, nobody can tell
TICK_S = 0.005


def classify_twice(handles: ChangingHandles, title: str) -> dict[str, Any]:
    """Classify `title` and then again, alone, and compare.

    "again": the requests to TMDb that the log shows for the repetition. "share": its duration as a
    share of the first one; at most 1 where the first came from the cache, too. Raises
    OperationUnknown where the log does not follow, or this machine is too busy to tell.
    """
    first_s, asked = _classified(handles, title)
    again, share, lag_s = 0, 0.0, 0.0
    for _ in range(REPEATS):
        lag_s = max(lag_s, _lag_s())
        took_s, again = _classified(handles, title)
        share = took_s / first_s if asked else min(1.0, took_s / first_s)
        if not again and share <= 1:
            break
    if not again and share > 1 and lag_s > LAG_SHARE * (share - 1) * first_s:
        raise OperationUnknown(f"this machine was itself {lag_s * 1000:.0f} ms late; try again")
    note = "" if asked else "; the first came from the cache, too"
    told = f"{first_s * 1000:.1f} ms, then {share:.0%} of that{note}"
    return {"again": again, "share": round(share, 3), "note": told}


def _classified(handles: ChangingHandles, title: str) -> tuple[float, int]:
    """How long a classification took (seconds), and how often TMDb was asked for it."""
    log = handles.log("log")
    offset = log.stat().st_size if log.is_file() else 0
    began = time.perf_counter()
    handles.call("POST", "app /api/classify", {"query": title})
    took_s = time.perf_counter() - began
    lines = _written_since(log, offset)
    if not lines:
        raise OperationUnknown(f"{log} says nothing of the classification, so nobody knows")
    return took_s, sum(ASKED_TMDB in line for line in lines)


def _written_since(log: Path, offset: int) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(offset)
            return file.read().decode("utf-8", "replace").splitlines()
    except OSError as error:
        raise OperationUnknown(f"{log}: {error.strerror}, so nobody knows") from error


def _lag_s() -> float:
    """How much longer than it should this thread sleeps now, in seconds."""
    began = time.perf_counter()
    time.sleep(TICK_S)
    return max(0.0, time.perf_counter() - began - TICK_S)
