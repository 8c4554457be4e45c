"""Which files are there, how old, how large, and what stands in them?"""

from __future__ import annotations

import fnmatch
import json
import os
import pwd
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from watchkeeper.clock import Window
from watchkeeper.errors import CouldNotObserve
from watchkeeper.looking.archives import contents_of
from watchkeeper.looking.reach import Reach, in_thread
from watchkeeper.observation import Answer, Row, Scalar, Table
from watchkeeper.services import Duration, Folder, Model
from watchkeeper.units import duration_s

CONTENT_MAX = 10_000_000
"""Bytes of a file that are read; a larger one is "too large"."""

DEADLINE_S = 5.0
"""When a look at a file without a folder service is given up (a dead network mount hangs)."""

_WILD = re.compile(r"[*?\[]")


class Question(Model):
    """A file or glob, absolute or in the folder service `in`; `**` goes through folders.

    `newest: 1`: of all that match, the newest one. `before newest`: so many before that one.
    `older than`: only older ones.
    `format`: what stands in the file instead of what is known about it. Of an `archive` (tar, also
    compressed) that is {state, reason, members}, read to its end and never unpacked.
    """

    file: str
    in_: str | None = None
    newest: Literal[1] | None = None
    before_newest: int | None = Field(default=None, ge=1, le=Table.KEEP)
    older_than: Duration | None = None
    format: Literal["json", "text", "archive"] | None = None
    key: str = "path"

    @model_validator(mode="after")
    def _content_of_one(self) -> Question:
        if self.format and self.is_list:
            raise ValueError('"format" reads one file; add "newest: 1" or name one file')
        return self

    @model_validator(mode="after")
    def _one_or_those_before(self) -> Question:
        if self.newest and self.before_newest:
            raise ValueError('"newest" is one and "before newest" a list; write one of them')
        return self

    @property
    def is_list(self) -> bool:
        return self.newest is None and _WILD.search(self.file) is not None

    def earlier(self, count: int) -> Question | None:
        """The question for the `count` files before the newest; None where this asks no newest."""
        if self.newest is None or self.format is not None:
            return None
        return self.model_copy(update={"newest": None, "before_newest": count})


class Files:
    """Looks at names, sizes and times; opens a file only where its content is asked for."""

    def drivers(self, question: Question) -> tuple[str, ...]:
        return ()

    def services(self, question: Question) -> tuple[str, ...]:
        return (question.in_,) if question.in_ else ()

    async def look(self, question: Question, reach: Reach, window: Window | None) -> Answer:
        """Raises CouldNotObserve: "missing", "not permitted", "not a file", "too large",
        "not JSON", "not text", "timeout".
        """
        at, began = reach.clock.now(), time.monotonic()
        folder, deadline_s = Path(), DEADLINE_S
        if question.in_:
            service = reach.service(question.in_, Folder)
            folder, deadline_s = Path(service.folder), service.deadline_s
        source = f"file {folder / question.file}"
        try:
            ends = time.monotonic() + deadline_s
            value = await in_thread(lambda: _value(question, folder, at, ends), deadline_s, source)
        except CouldNotObserve as error:
            raise CouldNotObserve(
                error.kind, error.reason, source=source, duration_s=time.monotonic() - began
            ) from error
        excerpt = value[: Answer.EXCERPT] if isinstance(value, str) else ""
        return Answer(value, source, at, time.monotonic() - began, kind="present", excerpt=excerpt)


@dataclass(frozen=True)
class Seen:
    """What is known about a file without opening it."""

    path: Path
    name: str
    found: os.stat_result

    def cells(self, now: datetime) -> dict[str, Scalar]:
        """`size` in bytes, `age` in whole seconds, `modified` in UTC; a link tells of itself."""
        modified = datetime.fromtimestamp(self.found.st_mtime, UTC)
        cells: dict[str, Scalar] = {
            "path": str(self.path),
            "name": self.name,
            "size": self.found.st_size,
            "age": float(round((now - modified).total_seconds())),
            "modified": modified,
            "owner": _owner(self.found.st_uid),
            "mode": f"{stat.S_IMODE(self.found.st_mode):04o}",
        }
        if stat.S_ISLNK(self.found.st_mode):
            cells["link to"] = str(self.path.readlink())
        return cells


def _owner(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # a number that has no name on this machine
        return str(number)


def _value(question: Question, folder: Path, now: datetime, ends: float) -> object:
    if question.is_list:
        return _listed(question, folder, now)
    if _WILD.search(question.file):
        files = _chosen(question, folder, now)
        if not files:
            raise CouldNotObserve("missing", f"no file matches {folder / question.file}")
        one = files[0]
    else:
        one = _one(folder / question.file)
        if not _old_enough(question, one, now):
            raise CouldNotObserve("missing", f"{one.path} is not older than {question.older_than}")
    if question.format is None:
        return one.cells(now)
    if question.format == "archive":
        return contents_of(_ordinary(one.path), ends)
    return _content(one.path, question.format)


def _one(path: Path) -> Seen:
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CouldNotObserve("missing", f"there is no file {path}") from error
    except OSError as error:
        raise CouldNotObserve("not permitted", f"{path}: {error.strerror}") from error
    if stat.S_ISDIR(found.st_mode):
        raise CouldNotObserve("not a file", f"{path} is a folder")
    return Seen(path, path.name, found)


def _listed(question: Question, folder: Path, now: datetime) -> Table:
    files = _chosen(question, folder, now)
    if question.before_newest:
        files = files[1 : 1 + question.before_newest]
    rows = tuple(Row.of(seen.cells(now)) for seen in files[: Table.KEEP])
    return Table(rows, len(files), question.key)


def _chosen(question: Question, folder: Path, now: datetime) -> list[Seen]:
    """What matches, newest first."""
    found = _matching(folder / question.file)
    chosen = [seen for seen in found if _old_enough(question, seen, now)]
    return sorted(chosen, key=lambda seen: (-seen.found.st_mtime_ns, str(seen.path)))


def _old_enough(question: Question, seen: Seen, now: datetime) -> bool:
    if question.older_than is None:
        return True
    return round(now.timestamp() - seen.found.st_mtime) > duration_s(question.older_than)


def _matching(pattern: Path) -> Iterator[Seen]:
    """All files of a glob; links are given as they are and never followed."""
    parts = pattern.parts
    first = next(i for i, part in enumerate(parts) if _WILD.search(part))
    base = Path(*parts[:first])
    try:
        is_folder = stat.S_ISDIR(base.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CouldNotObserve("missing", f"there is no folder {base}") from error
    except OSError as error:
        raise CouldNotObserve("not permitted", f"{base}: {error.strerror}") from error
    if not is_folder:
        raise CouldNotObserve("missing", f"{base} is no folder")
    return _walk(base, parts[first:])


def _walk(folder: Path, parts: tuple[str, ...]) -> Iterator[Seen]:
    part, rest = parts[0], parts[1:]
    for entry in _entries(folder):
        is_folder = entry.is_dir(follow_symlinks=False)
        hidden = entry.name.startswith(".") and not part.startswith(".")
        if part == "**":
            if is_folder and not hidden:
                yield from _walk(Path(entry.path), parts)
            yield from _fitting(entry, is_folder, rest or ("*",))
        elif not hidden:
            yield from _fitting(entry, is_folder, parts)


def _fitting(entry: os.DirEntry[str], is_folder: bool, parts: tuple[str, ...]) -> Iterator[Seen]:
    if entry.name.startswith(".") and not parts[0].startswith("."):
        return
    if not fnmatch.fnmatchcase(entry.name, parts[0]):
        return
    if is_folder and parts[1:]:
        yield from _walk(Path(entry.path), parts[1:])
    elif not is_folder and not parts[1:]:
        try:
            yield Seen(Path(entry.path), entry.name, entry.stat(follow_symlinks=False))
        except FileNotFoundError:  # removed since it was listed: it is not there
            return


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:  # removed since it was listed
        return []
    except OSError as error:
        # A list that leaves out what it was not allowed to see would be a lie.
        raise CouldNotObserve("not permitted", f"{folder}: {error.strerror}") from error


def _ordinary(path: Path) -> Path:
    if not stat.S_ISREG(path.stat().st_mode):
        raise CouldNotObserve("not a file", f"{path} is no ordinary file")
    return path


def _content(path: Path, layout: str) -> object:
    try:
        with _ordinary(path).open("rb") as file:
            raw = file.read(CONTENT_MAX + 1)
    except OSError as error:
        raise CouldNotObserve("not permitted", f"{path}: {error.strerror}") from error
    if len(raw) > CONTENT_MAX:
        raise CouldNotObserve("too large", f"{path} is over {CONTENT_MAX // 1_000_000} MB")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CouldNotObserve("not text", f"{path} is not UTF-8 at byte {error.start}") from error
    if layout == "text":
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CouldNotObserve("not JSON", f"{path}: {error}") from error


PROBE = Files()
