"""How are files copied, put in place and removed without ever losing another one?"""

from __future__ import annotations

import os
import shutil
import stat
import time
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from pydantic import model_validator

from watchkeeper.changing.operator import Done
from watchkeeper.changing.working import since, stamp, working
from watchkeeper.errors import CouldNotObserve, OperationFailed, OperationRefused
from watchkeeper.looking.handles import Handles
from watchkeeper.looking.python_code import FunctionName, function_named, where_it_failed
from watchkeeper.looking.reach import Reach, in_thread
from watchkeeper.services import Duration, Folder, Model
from watchkeeper.units import duration_s

_JOURNALS = ("-wal", "-journal")
_NAMES_TRIED = 1_000

FileState: TypeAlias = tuple[int, int, int]
"""Inode, size in bytes, time of change in nanoseconds."""


class Order(Model):
    """Exactly one of: `copy` … `to` …; `put` … `in place of` …; `remove` a list of files; `remove
    those` that a function lists ("targets.shop:old_files"), which enters `services` for looking.

    Paths are absolute, or relative to the folder service `in`, and then may not lead out of it.
    `keep aside`: what was in place is kept beside it under a new name. `remove` takes no globs.
    """

    copy_: str | None = None
    to: str | None = None
    put: str | None = None
    in_place_of: str | None = None
    keep_aside: bool = True
    remove: tuple[str, ...] | None = None
    remove_those: FunctionName | None = None
    services: tuple[str, ...] = ()
    in_: str | None = None
    deadline: Duration = "60 seconds"

    @model_validator(mode="after")
    def _one_verb(self) -> Order:
        verbs = ("copy_", "put", "remove", "remove_those")
        if sum(getattr(self, verb) is not None for verb in verbs) != 1:
            raise ValueError("write exactly one of copy, put, remove and remove those")
        if (self.copy_ is None) != (self.to is None):
            raise ValueError('"copy" and "to" belong together')
        if (self.put is None) != (self.in_place_of is None):
            raise ValueError('"put" and "in place of" belong together')
        return self


class Listed(Order):
    """`remove those`, once it is known which: `states` are the files' as they were listed."""

    states: tuple[FileState, ...]


class Files:
    """Writes beside and renames, so that a file is there whole or not at all."""

    def services(self, order: Order) -> tuple[str, ...]:
        return (*((order.in_,) if order.in_ else ()), *order.services)

    def leaves_open(self, order: Order) -> bool:
        """Which files are removed is known only when it is about to be done."""
        return order.remove_those is not None

    async def settle(self, order: Order, reach: Reach) -> tuple[Order, tuple[str, ...]]:
        """The order with the list of what is removed, and each file's state.

        Raises OperationFailed where the function has no list.
        """
        assert order.remove_those is not None
        name, deadline_s = order.remove_those, duration_s(order.deadline)
        function, handles = function_named(name), Handles(reach)
        try:
            rows = await in_thread(lambda: list(function(handles)), deadline_s, name)
            paths = tuple(str(row["path"]) for row in rows)
            states = tuple(_state(Path(path)) for path in paths)
        except CouldNotObserve as error:
            raise OperationFailed(f"{name}: {error.reason}; nothing was removed") from None
        except OSError as error:
            raise OperationFailed(f"{error.filename}: {error.strerror}; nothing was") from None
        except Exception as error:
            raise OperationFailed(f"{where_it_failed(error, name)}; nothing was removed") from None
        settled = {**dict(order), "remove": paths, "remove_those": None, "states": states}
        return Listed.model_construct(**settled), paths

    async def operate(self, order: Order, reach: Reach) -> Done:
        """Value: {"changed": files, …}; made: "copy" or "aside".

        Raises OperationRefused where a file is missing, in the way, or out of its folder (nothing
        was changed), OperationFailed where the system said no, OperationUnknown.
        """
        at, began = reach.clock.now(), time.monotonic()
        folder = Path(reach.service(order.in_, Folder).folder) if order.in_ else None
        source, deadline_s = _source(order), duration_s(order.deadline)
        value, made = await working(lambda: _do(order, folder, at), deadline_s, source)
        return Done(value, "", source, at, since(began), "done", "", made=made)


Made = tuple[tuple[str, str], ...]


def _source(order: Order) -> str:
    if order.copy_ is not None:
        return f"copy {order.copy_} to {order.to}"
    if order.put is not None:
        return f"put {order.put} in place of {order.in_place_of}"
    return f"remove {len(order.remove or ())} files"


def _do(order: Order, folder: Path | None, at: datetime) -> tuple[dict[str, object], Made]:
    if order.copy_ is not None:
        made = _copy(_inside(order.copy_, folder), _inside(order.to or "", folder))
        return {"changed": 1, "path": str(made)}, (("copy", str(made)),)
    if order.put is not None:
        place = _inside(order.in_place_of or "", folder)
        aside = _put(_inside(order.put, folder), place, at, order.keep_aside)
        return {"changed": 1, "path": str(place)}, (("aside", str(aside)),) if aside else ()
    states = order.states if isinstance(order, Listed) else ()
    removed = _remove([_inside(each, folder) for each in order.remove or ()], states)
    return {"changed": len(removed), "removed": removed}, ()


def _inside(name: str, folder: Path | None) -> Path:
    """The path; its folder, links followed, must lie in `folder` where there is one."""
    if folder is None:
        return Path(name)
    path = folder / name
    if not path.parent.resolve().is_relative_to(folder.resolve()) or path.name == "..":
        raise OperationRefused(f"{name} leads out of {folder}; nothing was changed")
    return path


def _require_file(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        raise OperationRefused(f"{path}: {error.strerror}; nothing was changed") from error
    if not stat.S_ISREG(mode):
        raise OperationRefused(f"{path} is no ordinary file; nothing was changed")


def _copy(source: Path, to: Path) -> Path:
    _require_file(source)
    _require_folder(to)
    if os.path.lexists(to):
        raise OperationRefused(f"{to} is there already; nothing was changed")
    partial = _beside(source, to)
    try:
        os.link(partial, to)  # unlike a rename, a link never replaces what is there
    except FileExistsError as error:
        raise OperationRefused(f"{to} is there already; nothing was changed") from error
    except OSError as error:
        raise OperationFailed(f"{to} was not made: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
    _to_disk(to.parent)
    return to


def _put(source: Path, place: Path, at: datetime, keep_aside: bool) -> Path | None:
    _require_file(source)
    _require_folder(place)
    _require_no_journal(place)
    there = os.path.lexists(place)
    if there:
        _require_file(place)
    partial = _beside(source, place)
    try:
        if there:
            _like(partial, place.stat())
        aside = _kept_aside(place, at) if there and keep_aside else None
        partial.replace(place)
    except OSError as error:
        raise OperationFailed(f"{place} was not replaced: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
    _to_disk(place.parent)
    return aside


def _require_folder(path: Path) -> None:
    if not path.parent.is_dir():
        raise OperationRefused(f"there is no folder {path.parent}; nothing was changed")


def _require_no_journal(place: Path) -> None:
    # SQLite would apply the old file's journal to the new file, and so destroy it.
    for suffix in _JOURNALS:
        journal = place.with_name(place.name + suffix)
        if journal.exists() and journal.stat().st_size:
            raise OperationRefused(
                f"{journal} is there: a program still writes to {place.name} or left it "
                "unfinished; stop it first; nothing was changed"
            )


def _beside(source: Path, to: Path) -> Path:
    """A copy of `source` in the folder of `to`, on disk, under a name that nobody asks for."""
    partial = to.with_name(f".{to.name}.{os.getpid()}.partial")
    try:
        with source.open("rb") as old, partial.open("xb") as new:
            shutil.copyfileobj(old, new)
            new.flush()
            os.fsync(new.fileno())
        shutil.copystat(source, partial)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OperationFailed(f"{source} was not copied: {error.strerror}") from error
    return partial


def _like(path: Path, found: os.stat_result) -> None:
    """Owner and rights as those of the file whose place it takes, or its program can't open it."""
    path.chmod(stat.S_IMODE(found.st_mode))
    if (found.st_uid, found.st_gid) != (os.getuid(), os.getgid()):
        os.chown(path, found.st_uid, found.st_gid)


def _kept_aside(place: Path, at: datetime) -> Path:
    for number in range(1, _NAMES_TRIED):
        suffix = f"-{number}" if number > 1 else ""
        aside = place.with_name(f"{place.name}.before-{stamp(at)}{suffix}")
        try:
            os.link(place, aside)
        except FileExistsError:
            continue
        return aside
    raise FileExistsError(0, f"{_NAMES_TRIED} names to keep it aside are taken")


def _remove(paths: list[Path], states: tuple[FileState, ...]) -> list[str]:
    """Exactly these; where their `states` are known, only as long as each is as it was listed."""
    for number, path in enumerate(paths):
        _require_file(path)
        if states and _state(path) != states[number]:
            raise OperationRefused(f"{path} has changed since it was listed; nothing was changed")
    if len(set(paths)) != len(paths):
        raise OperationRefused("a file stands twice in the list; nothing was changed")
    removed: list[str] = []
    for number, path in enumerate(paths):
        try:
            if states and _state(path) != states[number]:
                raise OperationFailed(
                    f"{path} has changed since it was listed; {len(removed)} of {len(paths)} were "
                    "removed before it"
                )
            path.unlink()
        except OSError as error:
            raise OperationFailed(
                f"{path} was not removed: {error.strerror}; {len(removed)} of {len(paths)} were"
            ) from error
        removed.append(str(path))
    return removed


def _state(path: Path) -> FileState:
    """What tells that a file is still the same: its inode, size and time of change."""
    state = path.lstat()
    return (state.st_ino, state.st_size, state.st_mtime_ns)


def _to_disk(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


OPERATOR = Files()
