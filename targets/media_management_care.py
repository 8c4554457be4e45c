"""What YAML should not say about caring for the media manager: restoring, upgrading, new keys."""

from __future__ import annotations

import json
import os
import re
import secrets
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from sqlalchemy import Connection, text

from targets.media_management import soundness
from watchkeeper import child
from watchkeeper.changing.handles import ChangingHandles
from watchkeeper.changing.operators.script import sqlite_statements
from watchkeeper.changing.sqlite import online_backup
from watchkeeper.errors import (
    CouldNotObserve,
    OperationFailed,
    OperationRefused,
    OperationUnknown,
)
from watchkeeper.looking.handles import Handles
from watchkeeper.looking.sqlite import SOUND_DEADLINE_S, open_read_only

# Classification failures ------------------------------------------------------------------------


def tmdb_key(handles: Handles, file: str) -> str:
    """Whether the application's configuration `file` holds a key for TMDb: "set" or "missing"."""
    return "set" if _settings(handles.path(file)).get("tmdb", {}).get("key") else "missing"


def _settings(path: Path) -> dict[str, Any]:
    """What the configuration says. A complaint quotes nothing of it: it holds keys."""
    try:
        found = YAML(typ="safe").load(path.read_text("utf-8"))
    except OSError as error:
        raise CouldNotObserve("missing", f"{path}: {error.strerror}") from None
    except (YAMLError, UnicodeDecodeError):
        raise CouldNotObserve("not YAML", f"{path} is no YAML") from None
    if not isinstance(found, dict):
        raise CouldNotObserve("not YAML", f"{path} holds no settings")
    return {name: each if isinstance(each, dict) else {} for name, each in found.items()}


# Restoring --------------------------------------------------------------------------------------


def restored_requests(handles: Handles, file: str) -> int:
    """How many requests the database has among those that are as old as the backup `file`.

    Later ones may come in as soon as the application runs again.
    """
    try:
        with closing(open_read_only(handles.path(file), SOUND_DEADLINE_S)) as backup:
            newest = backup.execute("SELECT COALESCE(MAX(id), 0) FROM requests").fetchone()[0]
    except sqlite3.Error as error:
        raise CouldNotObserve("corrupt", f"{file}: {error}") from None
    with handles.database("store") as connection:
        counted = text("SELECT COUNT(*) FROM requests WHERE id <= :newest")
        return int(connection.execute(counted, {"newest": newest}).scalar_one())


# Upgrading --------------------------------------------------------------------------------------

_ADDS = re.compile(r"\s*ALTER\s+TABLE\s+(\w+)\s+ADD\s+(?:COLUMN\s+)?(\w+)\b.*", re.I | re.S)
_MIGRATIONS = "schema_migrations"


def pending_migrations(handles: Handles) -> list[dict[str, str]]:
    """The scripts in migrations/ that were not applied yet, in the order of their names."""
    folder = handles.folder("tree") / "migrations"
    with handles.database("store") as connection:
        return [{"name": path.name} for path in _pending(folder, connection)]


def _pending(folder: Path, connection: Connection) -> Iterator[Path]:
    recorded = _recorded(connection)
    for path in sorted(folder.glob("*.sql")):
        if path.name not in recorded and not _told_by_columns(path, connection):
            yield path


def _recorded(connection: Connection) -> set[str]:
    if not _columns(connection, _MIGRATIONS):
        return set()
    return set(connection.execute(text("SELECT name FROM schema_migrations")).scalars())


def _columns(connection: Connection, table: str) -> set[str]:
    found = connection.execute(text("SELECT name FROM pragma_table_info(:table)"), {"table": table})
    return set(found.scalars())


def _told_by_columns(path: Path, connection: Connection) -> bool:
    """Whether the script does nothing but add columns, and all of them are there."""
    try:
        statements = sqlite_statements(path, path.read_text("utf-8"))
    except OperationRefused:  # what it does can't be told; applying it says why
        return False
    adds = [_ADDS.fullmatch(re.sub(r"--[^\n]*", "", each)) for each in statements]
    return bool(adds) and all(
        found is not None and found[2] in _columns(connection, found[1]) for found in adds
    )


def apply_pending(handles: ChangingHandles) -> dict[str, Any]:
    """Apply what is pending in order, each in a transaction that records it; stop at a failure."""
    folder = handles.folder("tree") / "migrations"
    with handles.database("store") as connection:
        pending = list(_pending(folder, connection))
    applied: list[str] = []
    for path in pending:
        try:
            with handles.connection("store") as connection:
                _apply(path, connection, handles)
        except (OperationFailed, OperationRefused) as error:
            before = f"; applied before it: {', '.join(applied)}" if applied else ""
            raise OperationFailed(f"{path.name} failed: {error}{before}") from None
        applied.append(path.name)
    told = f"applied {', '.join(applied)}" if applied else "none was pending"
    return {"applied": len(applied), "note": told}


def _apply(path: Path, connection: Connection, handles: ChangingHandles) -> None:
    for statement in sqlite_statements(path, path.read_text("utf-8")):
        connection.exec_driver_sql(statement)
    if _columns(connection, _MIGRATIONS):
        connection.execute(
            text("INSERT INTO schema_migrations (name, applied_at) VALUES (:name, :now)"),
            {"name": path.name, "now": f"{handles.now:%Y-%m-%d %H:%M:%S}"},
        )


_INSTALLED = """
import importlib.metadata as metadata, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


def update_dependencies(handles: ChangingHandles, interpreter: str, index: str) -> dict[str, Any]:
    """Install what requirements.txt asks for and is missing or too old; else nothing is run.

    `index`: "no" lets pip look nowhere but at this machine, so that what is missing is a failure.
    """
    folder = handles.folder("tree")
    wanted = _requirements(folder / "requirements.txt")
    there = _installed(handles, interpreter, folder, [each.name for each in wanted])
    missing = [str(each) for each in wanted if not _is_met(each, there)]
    if not missing:
        return {"note": f"all {len(wanted)} are there"}
    offline = {"PIP_NO_INDEX": "1"} if index == "no" else {}
    pip = [interpreter, "-m", "pip", "install", "--quiet", "-r", "requirements.txt"]
    _ran(handles, pip, folder, f"{', '.join(missing)} could not be installed", offline)
    return {"note": f"installed {', '.join(missing)}"}


def _requirements(path: Path) -> list[Requirement]:
    try:
        lines = [line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines()]
        return [Requirement(line) for line in lines if line and not line.startswith("-")]
    except (OSError, ValueError) as error:
        raise OperationFailed(f"{path}: {error}") from None


def _installed(
    handles: ChangingHandles, interpreter: str, folder: Path, names: list[str]
) -> dict[str, str]:
    """The versions of those that are there, by name."""
    asked = [interpreter, "-I", "-c", _INSTALLED, *names]
    found: dict[str, str] = json.loads(_ran(handles, asked, folder, "what is there is unknown"))
    return found


def _is_met(wanted: Requirement, there: dict[str, str]) -> bool:
    if wanted.marker is not None and not wanted.marker.evaluate():
        return True
    version = there.get(wanted.name)
    return version is not None and wanted.specifier.contains(version, prereleases=True)


def _ran(
    handles: ChangingHandles,
    arguments: list[str],
    folder: Path,
    otherwise: str,
    variables: dict[str, str] | None = None,
) -> str:
    """What the program wrote; raises OperationFailed that begins with `otherwise`."""
    try:
        done = subprocess.run(  # noqa: S603 - an argument list, no shell
            arguments,
            cwd=folder,
            env=child.environment(variables or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=handles.deadline_s,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise OperationFailed(f"{otherwise}: {error}") from None
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2] or "it said nothing"
        raise OperationFailed(f"{otherwise}: exit {done.returncode}: {last}")
    return done.stdout


def roll_back_database(handles: ChangingHandles, backup: str) -> dict[str, Any]:
    """Give the database the schema and the requests of `backup` again, where it lost them.

    A database that still has both is left as it is, and so is every one while the backup is broken:
    no step after it ran then. What the database held is kept aside first. SQLite's own copying
    writes it in one transaction, so that whoever has it open sees the one or the other.
    """
    store = handles.database_file("store")
    if soundness(handles, backup) == "broken":
        return {"note": f"nothing was put back, since {backup} is broken"}
    with closing(open_read_only(Path(backup), SOUND_DEADLINE_S)) as old:
        wanted = _known_by(old)
        with closing(open_read_only(store, SOUND_DEADLINE_S)) as now:
            found = _known_by(now)
        if wanted["schema"] == found["schema"] and wanted["requests"] <= found["requests"]:
            return {"note": "nothing had to be put back"}
        stamp = f"{handles.now:%Y%m%d_%H%M%S}"
        aside = online_backup(handles, "store", f"{store.name}.upgraded.{stamp}")["made"]["backup"]
        try:
            with closing(sqlite3.connect(store, timeout=handles.deadline_s)) as target:
                old.backup(target)
        except sqlite3.Error as error:
            raise OperationFailed(f"{store}: {error}; {backup} was not put back") from None
    later = len(found["requests"] - wanted["requests"])
    lost = f"; {later} requests that came after it are in {aside} alone" if later else ""
    return {"note": f"put {backup} back{lost}", "made": {"upgraded database": aside}}


def _known_by(connection: sqlite3.Connection) -> dict[str, set[Any]]:
    schema = set(connection.execute("SELECT name, sql FROM sqlite_master").fetchall())
    if any(name == _MIGRATIONS for name, _ in schema):
        schema |= set(connection.execute("SELECT name, applied_at FROM schema_migrations"))
    requests = set(connection.execute("SELECT id FROM requests").fetchall())
    return {"schema": schema, "requests": requests}


# New keys ---------------------------------------------------------------------------------------

KEY_BYTES = 16
"""As Sonarr, Radarr and Lidarr make them: 32 hexadecimal digits."""


def change_key(handles: ChangingHandles, service: str, api: str, file: str) -> dict[str, Any]:
    """Give `service` a new key, and write it into the application's configuration `file`.

    It is written there first: were it known to the service alone, nobody could get in again. The
    rest of this run enters the service with it.
    """
    old, path = handles.key(service), handles.path(file)
    configured = _configured_key(path, service)
    if configured != old:
        raise OperationRefused(f"{path} has another key for {service} than ours; nothing was tried")
    new = secrets.token_hex(KEY_BYTES)
    handles.learn(new)
    host = _host_settings(handles, service, api)
    _replace_key(path, old, new)
    try:
        _set_key(handles, service, api, host, new)
    except (OperationFailed, CouldNotObserve) as error:
        if not _lets_in(handles, service, api):
            raise OperationUnknown(f"{error}; which key opens {service} is unknown") from None
        _replace_key(path, new, old)
        raise OperationFailed(f"{error}; its old key still opens it") from None
    handles.use_key(service, new)
    return {"note": f"the new key stands in {path}"}


def put_key_back(handles: ChangingHandles, service: str, api: str, file: str) -> dict[str, Any]:
    """Let `service` and the configuration `file` have the key again that this run began with."""
    old, path = handles.key(f"{service}-with-old-key"), handles.path(file)
    configured = _configured_key(path, service)
    handles.learn(configured)
    if configured == old:  # a new one is written there before the service gets it
        return {"note": "nothing had to be given back"}
    for key in (configured, old):  # whether it took the new key may never have been known
        if _lets_in(handles, service, api):
            break
        handles.use_key(service, key)
    _set_key(handles, service, api, _host_settings(handles, service, api), old)
    _replace_key(path, configured, old)
    handles.use_key(service, old)
    return {"note": f"the old key stands in {path} again"}


def _lets_in(handles: ChangingHandles, service: str, api: str) -> bool:
    try:
        handles.call("GET", f"{service} /api/{api}/system/status")
    except (OperationFailed, CouldNotObserve):
        return False
    return True


def _host_settings(handles: ChangingHandles, service: str, api: str) -> dict[str, Any]:
    try:
        found = handles.call("GET", f"{service} /api/{api}/config/host")
    except CouldNotObserve as error:
        raise OperationRefused(f"{error.reason}; nothing was tried") from None
    if not isinstance(found, dict) or "id" not in found:
        raise OperationRefused(f"{service} answered with no settings; nothing was tried")
    return found


def _set_key(
    handles: ChangingHandles, service: str, api: str, host: dict[str, Any], key: str
) -> None:
    """Send the settings as they came, but for the key: that is how these services change one."""
    sent = {**host, "apiKey": key}
    if host.get("password"):
        sent["passwordConfirmation"] = host["password"]  # newer versions ask for it
    handles.call("PUT", f"{service} /api/{api}/config/host/{host['id']}", json=sent)


def _configured_key(path: Path, service: str) -> str:
    key = str(_settings(path).get(service.lower(), {}).get("key") or "")
    if not key:
        raise OperationRefused(f"{path} has no key for {service}; nothing was tried")
    return key


def _replace_key(path: Path, old: str, new: str) -> None:
    """Exchange the one place where `old` stands; the rest of the file stays as people wrote it."""
    before = path.read_text("utf-8")
    if before.count(old) != 1:
        raise OperationFailed(f"the key stands {before.count(old)} times in {path}; it was left")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.touch(0o600, exist_ok=False)
        partial.write_text(before.replace(old, new), "utf-8")
        partial.chmod(path.stat().st_mode & 0o777)
        os.chown(partial, path.stat().st_uid, path.stat().st_gid)
        partial.replace(path)
    except OSError as error:
        raise OperationFailed(f"{path} was not written: {error.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)
