"""What YAML should not say about the media manager: backups, migration, test request."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import text

from watchkeeper.changing.handles import ChangingHandles
from watchkeeper.changing.sqlite import online_backup
from watchkeeper.errors import CouldNotObserve, OperationRefused
from watchkeeper.looking.handles import Handles
from watchkeeper.looking.sqlite import SOUND_DEADLINE_S, open_read_only, sound

CLASSIFICATION_COLUMNS = {
    "arr_service", "arr_id", "external_id", "confidence_score", "classification_data",
}  # fmt: skip


def latest_backup(handles: Handles) -> str:
    """Whether the newest nightly backup is "sound" or "broken"."""
    files = sorted(handles.folder("backups").glob("db_*.db"), key=lambda path: path.stat().st_mtime)
    if not files:
        raise CouldNotObserve("missing", "there is no file db_*.db among the backups")
    return soundness(handles, str(files[-1]))


def soundness(handles: Handles, file: str) -> str:
    """ "sound" where SQLite finds nothing wrong and the file holds the table requests."""
    if sound(handles, file) == "broken":
        return "broken"
    with closing(open_read_only(Path(file), SOUND_DEADLINE_S)) as connection:
        found = connection.execute("PRAGMA table_info(requests)").fetchall()
    return "sound" if found else "broken"


def requests_in(handles: Handles, file: str) -> int:
    """How many requests the database `file` holds."""
    try:
        with closing(open_read_only(handles.path(file), SOUND_DEADLINE_S)) as connection:
            return int(connection.execute("SELECT COUNT(*) FROM requests").fetchone()[0])
    except sqlite3.Error as error:
        raise CouldNotObserve("corrupt", f"{file}: {error}") from None


def back_up(handles: ChangingHandles) -> dict[str, Any]:
    """Copy the database beside itself, named as the runbook does: ….db.backup.20260218_090012."""
    database = handles.database_file("store").name
    return online_backup(handles, "store", f"{database}.backup.{handles.now:%Y%m%d_%H%M%S}")


def apply_migration(handles: ChangingHandles, script: str) -> dict[str, Any]:
    """Run the migration's statements in one transaction, where none of its columns is there yet.

    A table that has some of them is left as it is: what happened to it is for people to find out.
    """
    statements = (handles.folder("tree") / script).read_text("utf-8").split(";")
    with handles.connection("store") as connection:
        rows = connection.execute(text("SELECT name FROM pragma_table_info('requests')"))
        there = CLASSIFICATION_COLUMNS & {row[0] for row in rows}
        if there:
            return {"note": f"not run, {len(there)} of its columns are there already"}
        for statement in filter(None, map(str.strip, statements)):
            connection.execute(text(statement))
    return {"note": "run"}


def withdraw(handles: ChangingHandles, title: str, after: str) -> dict[str, Any]:
    """Remove the requests for `title` that came after the request `after`, and the film in Radarr.

    The scenario began with neither: what is there now came by it.
    """
    if not after.isdigit():
        raise OperationRefused("the requests were not read before the test, so none is removed")
    with handles.connection("store") as connection:
        gone = connection.execute(
            text("DELETE FROM requests WHERE title = :title AND id > :after"),
            {"title": title, "after": int(after)},
        ).rowcount
    movies = handles.call("GET", "Radarr /api/v3/movie")
    found = [movie for movie in movies if movie["title"] == title] if gone else []  # type: ignore
    for movie in found:
        handles.call("DELETE", f"Radarr /api/v3/movie/{movie['id']}?deleteFiles=false")
    return {"note": f"{gone} request and {len(found)} film of the test removed"}
