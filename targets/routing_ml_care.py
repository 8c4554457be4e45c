"""What YAML should not say about caring for the routing platform: files, backups, settings."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from watchkeeper.changing.handles import ChangingHandles
from watchkeeper.errors import CouldNotObserve, OperationFailed, OperationRefused
from watchkeeper.libpq import variables_of
from watchkeeper.looking.handles import Handles

OLD = timedelta(days=30)
"""What is older may be cleaned away, to the second."""
OLD_VERSIONS = "old-version-*"
"""What the runbook calls a model that may go: by its name, and only where it is old, too."""
LISTED = 10
"""How many of the largest folders are shown."""
LIST_S = 30.0
"""How long pg_restore may take to read a backup's table of contents, seconds."""
TOO_NEW = "unsupported version"
"""What pg_restore says of a sound dump that a later pg_dump has made."""
TABLE = re.compile(r"^\d+; \d+ \d+ TABLE public (\S+) ", re.M)
"""A table in what `pg_restore --list` prints."""
CHUNK = 1 << 20
"""How much of an archive is read at once, bytes."""
STAMP = "%Y-%m-%d %H:%M:%S,%f"
LINE = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) ")

# Files ------------------------------------------------------------------------------------------


def platform_files(handles: Handles) -> list[dict[str, Any]]:
    """Every file of models, logs and backups: path, size in bytes, time of change."""
    return [_told(path) for name in ("models", "logs", "backups") for path in _files(handles, name)]


def removable_files(handles: Handles) -> list[dict[str, Any]]:
    """Old models that are not in use, old logs and old backups, each older than 30 days."""
    return [*_old_models(handles), *old_logs_and_backups(handles)]


def old_logs_and_backups(handles: Handles) -> list[dict[str, Any]]:
    """Logs and backups older than 30 days, as `_old_backups` has them."""
    old = (*_older(handles, _files(handles, "logs")), *_old_backups(handles))
    return [_told(path) for path in old]


def _old_backups(handles: Handles) -> Iterator[Path]:
    """Old backups, but none of a kind ("db_…") that has no younger one: it may be the last."""
    files = list(_files(handles, "backups"))
    old = list(_older(handles, files))
    renewed = {_kind(path) for path in files if path not in old}
    return (path for path in old if _kind(path) in renewed)


def _kind(backup: Path) -> str:
    return backup.name.partition("_")[0]


def _old_models(handles: Handles) -> Iterator[dict[str, Any]]:
    """The files of versions that are called old, and are it, but for the one in use.

    A version counts as young as its youngest file; what is linked to from elsewhere is in use.
    """
    folder = handles.folder("models")
    active = _active(folder)
    linked = {path.resolve() for path in folder.iterdir() if path.is_symlink()}
    for version in sorted(folder.glob(OLD_VERSIONS)):
        if version.is_symlink() or not version.is_dir():
            continue
        if version.name == active or version.resolve() in linked:
            continue
        files = list(_below(version))
        if len(list(_older(handles, files))) == len(files):
            yield from (_told(path) for path in files)


def _active(models: Path) -> str:
    try:
        manifest = json.loads((models / "default" / "manifest.json").read_text("utf-8"))
        return str(manifest["active_version"])
    except (OSError, ValueError, KeyError, TypeError):
        raise CouldNotObserve("missing", "which model is in use is not known") from None


def _files(handles: Handles, name: str) -> Iterator[Path]:
    yield from _below(handles.folder(name))


def _below(folder: Path) -> Iterator[Path]:
    """Ordinary files, in order; links are neither followed nor listed."""
    for root, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(root) / name
            if path.is_file() and not path.is_symlink():
                yield path


def _older(handles: Handles, paths: Sequence[Path] | Iterator[Path]) -> Iterator[Path]:
    for path in paths:
        with suppress(FileNotFoundError):
            if handles.now.timestamp() - path.stat().st_mtime > OLD.total_seconds():
                yield path


def _told(path: Path) -> dict[str, Any]:
    state = path.stat()
    modified = datetime.fromtimestamp(state.st_mtime, UTC)
    return {"path": str(path), "size": state.st_size, "modified": modified}


def largest_folders(handles: Handles) -> list[dict[str, Any]]:
    """The folders that take most room, the largest first."""
    found = []
    for name in ("platform", "backups"):
        for path in handles.folder(name).iterdir():
            if path.is_dir() and not path.is_symlink():
                found.append((sum(each.stat().st_size for each in _below(path)), str(path)))
    found.sort(reverse=True)
    return [{"folder": folder, "bytes": size} for size, folder in found[:LISTED]]


def logs_over(handles: Handles, bytes: int) -> list[dict[str, Any]]:
    """Logs that are written to and larger than so many bytes."""
    paths = handles.folder("logs").glob("*.log")
    live = (path for path in paths if not re.search(r"-\d{8}", path.name))
    return [told for path in live if (told := _told(path))["size"] > bytes]


# Rotation ---------------------------------------------------------------------------------------


def rotate(handles: ChangingHandles, name: str) -> dict[str, Any]:
    """Copy a log under the day's name, then empty it in place: its writer keeps it open.

    What is written while the copy is made is copied too, up to the very moment before it is
    emptied; `lost_lines` says whether that was enough.
    """
    log = handles.folder("logs") / name
    copy = log.with_name(f"{log.stem}-{handles.now:%Y%m%d}{log.suffix}")
    number = 1
    while copy.exists():
        number += 1
        copy = log.with_name(f"{log.stem}-{handles.now:%Y%m%d}.{number}{log.suffix}")
    try:
        with log.open("r+b") as live, copy.open("xb") as kept:
            first = live.readline()
            live.seek(0)
            shutil.copyfileobj(live, kept)
            kept.flush()
            os.fsync(kept.fileno())
            shutil.copyfileobj(live, kept)  # what came while that went to the disk
            live.truncate(0)
    except OSError as error:
        raise OperationFailed(f"{error.filename or log}: {error.strerror}") from None
    begins = first.decode("utf-8", "replace")[: len("2025-10-09 09:00:00,123")]
    return {"made": {"copy": str(copy), "begins": begins}, "note": f"copied to {copy.name}"}


def lost_lines(handles: Handles, name: str, copy: str, begins: str) -> int:
    """How many lines that the container's log has since `begins` neither copy nor log has."""
    folder = handles.folder("containers") / Path(name).stem
    written = _container_lines(folder, begins)
    if not written:
        raise CouldNotObserve("no rows", f"the container's log has no line since {begins}")
    # Read after what must be in them: a line that comes meanwhile would count as lost.
    kept = _lines(Path(copy)) | _lines(handles.folder("logs") / name)
    last = max(written)
    return sum(1 for line in written if line not in kept and line != last)


def _container_lines(folder: Path, begins: str) -> set[str]:
    found = set()
    for path in sorted(folder.glob("*-json.log")):
        for raw in path.read_text("utf-8", "replace").splitlines():
            with suppress(ValueError, KeyError, TypeError):
                line = str(json.loads(raw)["log"]).rstrip("\n")
                if line[: len(begins)] >= begins and LINE.match(line):
                    found.add(line)
    return found


def _lines(path: Path) -> set[str]:
    try:
        return set(path.read_text("utf-8", "replace").splitlines())
    except OSError as error:
        raise CouldNotObserve("missing", f"{path}: {error.strerror}") from None


def last_line(handles: Handles, name: str) -> datetime:
    """When the last line of a log was written, by its own time, which is UTC."""
    path = handles.folder("logs") / name
    for line in reversed(path.read_text("utf-8", "replace").splitlines()):
        if match := LINE.match(line.lstrip("\0")):  # of one that writes on at its old place
            return datetime.strptime(match[1], STAMP).replace(tzinfo=UTC)
    raise CouldNotObserve("no rows", f"{path} has no line with a time")


def day_of(handles: Handles, copy: str) -> str:
    """The day in a copy's name: 20260131."""
    match = re.search(r"-(\d{8})\b", Path(copy).name)
    if match is None or not Path(copy).is_file():
        raise CouldNotObserve("missing", f"there is no dated copy {copy}")
    return match[1]


def today(handles: Handles) -> str:
    """20260131"""
    return f"{handles.now:%Y%m%d}"


def rotation_policy(handles: Handles, file: str) -> list[dict[str, str]]:
    """The directives that logrotate's policy has for the platform's logs."""
    try:
        lines = handles.path(file).read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CouldNotObserve("not permitted", f"{file}: {error.strerror}") from None
    kept = (" ".join(line.split("#")[0].split()) for line in lines)
    return [{"directive": each} for each in _directives(kept, handles.folder("logs").name)]


def _directives(lines: Iterator[str], folder: str) -> Iterator[str]:
    """Those of blocks for the logs in `folder`; what stands outside of blocks rotates nothing."""
    patterns: list[str] = []
    inside = wanted = False
    for line in lines:
        if line.endswith("{"):
            patterns += line.removesuffix("{").split()
            inside, wanted = True, any(_is_for_logs(each, folder) for each in patterns)
        elif line.endswith("}"):
            patterns, inside, wanted = [], False, False
        elif inside and wanted and line:
            yield line
        elif not inside:
            patterns += line.split()


def _is_for_logs(pattern: str, folder: str) -> bool:
    path = PurePosixPath(pattern.strip("\"'"))
    return path.parent.name == folder and path.suffix == ".log"


# Backups ----------------------------------------------------------------------------------------


def latest_backup(handles: Handles) -> Path:
    """The newest dump; raises CouldNotObserve where there is none."""
    found = sorted(handles.folder("backups").glob("db_*.sql"), key=lambda p: p.stat().st_mtime)
    if not found:
        raise CouldNotObserve("missing", "there is no db_*.sql among the backups")
    return found[-1]


def tables_in_backup(handles: Handles, programs: str) -> list[dict[str, str]]:
    """The tables in the newest dump's contents, as pg_restore reads them; none where it can't."""
    command = [str(Path(programs) / "pg_restore"), "--list", str(latest_backup(handles))]
    try:
        done = subprocess.run(  # noqa: S603 - our own list of arguments, and no shell
            command,
            capture_output=True,
            text=True,
            timeout=LIST_S,
            env={"PATH": os.defpath, "LC_ALL": "C"},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CouldNotObserve("missing", f"pg_restore could not be run: {error}") from None
    if TOO_NEW in done.stderr:
        told = done.stderr.strip()[:300]
        raise CouldNotObserve("version", f"a newer pg_restore is needed to judge it: {told}")
    return [{"table": name} for name in TABLE.findall(done.stdout)] if not done.returncode else []


def files_in_backup(handles: Handles) -> list[dict[str, str]]:
    """The files with something in them in the newest model backup, as "folder/name"; none where it
    can't be read to its end.
    """
    found = sorted(
        handles.folder("backups").glob("models_*.tar.gz"), key=lambda p: p.stat().st_mtime
    )
    if not found:
        raise CouldNotObserve("missing", "there is no models_*.tar.gz among the backups")
    try:
        with gzip.open(found[-1]) as unpacked:
            with tarfile.open(fileobj=unpacked, mode="r|") as archive:
                held = [PurePosixPath(each.name) for each in archive if each.isfile() and each.size]
            while unpacked.read(CHUNK):  # its check sum comes last
                pass
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile):
        return []
    except OSError as error:
        raise CouldNotObserve("not permitted", f"{found[-1]}: {error.strerror}") from None
    return [{"file": "/".join(path.parts[-2:])} for path in held]


def recorded_counts(handles: Handles) -> list[dict[str, Any]]:
    """How many rows each table had when the newest dump was made, as was written beside it."""
    path = latest_backup(handles).with_suffix(".rows.json")
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CouldNotObserve("missing", f"{path}: {error}") from None
    if not isinstance(found, Mapping):
        raise CouldNotObserve("unexpected", f"{path} holds no counts")
    return [{"table": table, "rows": found[table]} for table in sorted(found)]


def counts(handles: Handles) -> list[dict[str, Any]]:
    """How many rows each table of the scratch database has."""
    with handles.database("scratch") as connection:
        listed = connection.execute(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        ).scalars()
        return [
            {
                "table": table,
                "rows": connection.execute(
                    text(f'SELECT count(*) FROM public."{table}"')  # noqa: S608 - its own name
                ).scalar_one(),
            }
            for table in list(listed)
        ]


def restore_into_scratch(handles: ChangingHandles, programs: str) -> dict[str, Any]:
    """Make the scratch database and restore the newest dump into it."""
    url = make_url(handles.database_url("scratch"))
    backup = latest_backup(handles)
    _run_as_admin(handles, f'CREATE DATABASE "{url.database}"')
    _pg_restore(handles, programs, "scratch", backup, "--no-owner", "--no-privileges")
    return {"made": {"backup": str(backup)}, "note": f"{backup.name} into {url.database}"}


def drop_scratch(handles: ChangingHandles) -> dict[str, Any]:
    """Drop the scratch database, whether or not it came to be."""
    url = make_url(handles.database_url("scratch"))
    own = make_url(handles.database_url("database-admin"))
    if url.database == own.database:
        raise OperationRefused(f"{url.database} is the platform's own database, not a scratch one")
    _run_as_admin(handles, f'DROP DATABASE IF EXISTS "{url.database}" WITH (FORCE)')
    return {"note": f"{url.database} dropped"}


def restore_database(handles: ChangingHandles, programs: str) -> dict[str, Any]:
    """Put the newest dump's tables in place of those that are there, in one transaction."""
    backup = latest_backup(handles)
    whole = ("--clean", "--if-exists", "--single-transaction")
    _pg_restore(handles, programs, "database-admin", backup, *whole)
    return {"note": f"{backup.name} restored"}


def _pg_restore(
    handles: ChangingHandles, programs: str, service: str, backup: Path, *options: str
) -> None:
    """Run pg_restore; the password goes by its environment, which no process list shows."""
    entered = variables_of(handles.database_url(service), service, read_only=False)
    command = [
        str(Path(programs) / "pg_restore"),
        *options,
        "--no-password",
        "--dbname=",  # the one that the environment names
        str(backup),
    ]
    environment = {"PATH": os.defpath, "LC_ALL": "C", **entered}
    try:
        done = subprocess.run(  # noqa: S603 - our own list of arguments, and no shell
            command,
            capture_output=True,
            text=True,
            timeout=handles.deadline_s,
            env=environment,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise OperationFailed(f"pg_restore could not be run to its end: {error}") from None
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2]
        raise OperationFailed(f"pg_restore of {backup.name} failed: {last[:300]}")


def _run_as_admin(handles: ChangingHandles, statement: str) -> None:
    """One statement outside any transaction, as making and dropping databases needs it."""
    url = make_url(handles.database_url("database-admin"))
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    try:
        with engine.connect() as connection:
            connection.execute(text(statement))
    except SQLAlchemyError as error:
        told = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        password = url.password
        told = told.replace(password, "…") if password else told
        raise OperationFailed(f"{statement}: {told}") from None
    finally:
        engine.dispose()


# Settings ---------------------------------------------------------------------------------------


def setting(handles: Handles, file: str, name: str) -> str:
    """What the environment file gives `name`, without a comment behind it."""
    for line in _settings(handles.path(file)):
        found, sign, value = line.partition("=")
        if sign and found.strip() == name:
            return value.partition(" #")[0].strip()
    raise CouldNotObserve("missing", f"{name} is not set in the environment file")


def set_setting(handles: ChangingHandles, file: str, name: str, value: str) -> dict[str, Any]:
    """Give `name` another value in the environment file, as a whole or not at all."""
    path = handles.path(file)
    lines = _settings(path)
    mine = [n for n, line in enumerate(lines) if line.partition("=")[0].strip() == name]
    if len(mine) != 1:
        raise OperationRefused(f"{name} stands {len(mine)} times in the file; nothing was changed")
    lines[mine[0]] = f"{name}={value}"
    fresh = path.with_name(f"{path.name}.watchkeeper-new")
    try:
        shutil.copyfile(path, fresh)
        shutil.copymode(path, fresh)
        fresh.write_text("\n".join(lines) + "\n", "utf-8")
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise OperationFailed(f"{path}: {error.strerror}") from None
    return {"note": f"{name} is {value}"}


def _settings(path: Path) -> list[str]:
    """Its lines. A complaint quotes nothing of them: they hold secrets."""
    try:
        return path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise CouldNotObserve("missing", f"{path} can't be read") from None


# Updates ----------------------------------------------------------------------------------------


def old_security_updates(handles: Handles, file: str, days: int) -> list[dict[str, Any]]:
    """Security updates that have been there for more than so many days."""
    try:
        waiting = json.loads(handles.path(file).read_text("utf-8"))
        found = [(each, datetime.fromisoformat(each["published"])) for each in waiting]
        limit = timedelta(days=days)
        old = [each for each, at in found if each["security"] and handles.now - at > limit]
    except OSError as error:
        raise CouldNotObserve("missing", f"{file}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise CouldNotObserve("unexpected", f"{file} does not list updates") from None
    return [{"package": each["package"], "published": each["published"]} for each in old]
