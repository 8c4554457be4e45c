"""What a run did and when, in a file that shows whether anybody touched it afterwards.

One JSON record a line: `n` from 1, `at` (ISO 8601 UTC), `kind`, `data`, `previous` (the hash of
the record before, zeros for the first) and `hash`, the SHA-256 of the record without `hash` as
canonical JSON: keys sorted, no spaces, ASCII. Whoever rewrites the whole file can make a chain that
fits; that is found by comparing its last hash, the head, with the one that run.json holds.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from watchkeeper.clock import Clock
from watchkeeper.errors import ConfigurationError
from watchkeeper.recording.redaction import Redactor
from watchkeeper.recording.run import instant

FIRST = "0" * 64  # what the first record names as its predecessor
END = "closed"  # a kind of our own: callers have words like "end" for what they tell
LONGEST = 1 << 20  # bytes of one record; evidence belongs elsewhere
_FIELDS = {"n", "at", "kind", "data", "previous", "hash"}


@dataclass(frozen=True)
class LedgerRecord:
    """One line of the ledger."""

    n: int
    at: str
    kind: str
    data: dict[str, Any]
    previous: str
    hash: str


@dataclass(frozen=True)
class Problem:
    """Something wrong with a ledger; `line` counts from 1.

    `kind`: "touched" (edited, removed, swapped, inserted or truncated afterwards), "torn" (the last
    line is half written), "not closed" (the run was interrupted) or "unreadable".
    """

    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}" if self.line else self.text


class Ledger:
    """An open ledger. One process owns the file; its threads may share the object.

    Each record is one write of one line, so a killed process loses or tears the last line at most.
    """

    def __init__(
        self, descriptor: int, path: Path, now: Callable[[], datetime], redactor: Redactor
    ):
        self.path = path
        self.head = FIRST
        self._descriptor = descriptor
        self._now = now
        self._redactor = redactor
        self._n = 0
        self._size = 0
        self._closed = False
        self._lock = threading.Lock()

    @classmethod
    def open(
        cls,
        path: Path,
        redactor: Redactor | None = None,
        clock: Clock | None = None,
    ) -> Ledger:
        """Begin a ledger in a new file, readable by its owner's group at most.

        Raises ConfigurationError where the file is there already: a ledger is never continued.
        Raises OSError where it can't be made.
        """
        try:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
            descriptor = os.open(path, flags, 0o640)
        except FileExistsError as error:
            raise ConfigurationError(
                f"the ledger {path} is there already, and a ledger is never continued",
                hint="give each run, and each process of a run, a file of its own",
            ) from error
        _sync_folder(path.parent)
        return cls(descriptor, path, (clock or Clock()).now, redactor or Redactor())

    def append(self, kind: str, *, durable: bool = False, **fields: Any) -> LedgerRecord:
        """Write one record; with `durable` it is on the disk before this returns.

        `fields` are JSON-like, or datetimes. Raises TypeError or ValueError where one is neither,
        where the record is over LONGEST bytes or the ledger is closed; OSError on a full disk,
        after which the file ends with its last whole record.
        """
        data = _plain(self._redactor.value(fields))
        with self._lock:
            if self._closed:
                raise ValueError(f"the ledger {self.path} is closed")
            return self._write(kind, data, durable)

    def close(self) -> None:
        """Write the end record and let go of the file. Closing twice does nothing."""
        with self._lock:
            if self._closed:
                return
            try:
                self._write(END, {"records": self._n + 1}, durable=True)
            finally:
                self._closed = True
                os.close(self._descriptor)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, kind: str, data: dict[str, Any], durable: bool) -> LedgerRecord:
        body: dict[str, Any] = {
            "n": self._n + 1,
            "at": instant(self._now()),
            "kind": kind,
            "data": data,
            "previous": self.head,
        }
        record = LedgerRecord(**body, hash=_hash(body))
        line = _canonical({**body, "hash": record.hash}) + b"\n"
        if len(line) > LONGEST:
            raise ValueError(f"a record is {LONGEST:,} bytes at most, this is {len(line):,}")
        self._put(line)
        if durable:
            os.fsync(self._descriptor)
        self._n, self.head = record.n, record.hash
        return record

    def _put(self, line: bytes) -> None:
        written = os.write(self._descriptor, line)
        if written < len(line):
            os.ftruncate(self._descriptor, self._size)
            raise OSError(f"the disk took {written} of {len(line)} bytes for {self.path}")
        self._size += written


def verify(path: Path, head: str | None = None) -> tuple[Problem, ...]:
    """What is wrong with the ledger in `path`, none where it is whole and closed.

    `head` is the last record's hash as somebody else remembers it; without one, records cut off
    at the end can't be told from an interruption. Reads in constant memory. Raises nothing: a file
    that can't be read is a problem.
    """
    try:
        with path.open("rb") as file:
            return tuple(_Chain(head).problems(iter(lambda: file.readline(LONGEST + 1), b"")))
    except OSError as error:
        return (Problem(0, "unreadable", f"{path} can't be read: {error.strerror}"),)


class _Chain:
    """A ledger's lines, followed from the first to the last."""

    def __init__(self, head: str | None) -> None:
        self._wanted = head
        self._n = 0
        self._previous = FIRST
        self._ended_at = 0
        self._head_at = 0
        self._line = 0

    def problems(self, lines: Iterator[bytes]) -> Iterator[Problem]:
        torn = False
        for line in lines:
            self._line += 1
            torn = not line.endswith(b"\n")
            if torn:
                yield self._problem("torn", "half written; the run was cut off here")
                break
            yield from self._record(line)
        yield from self._ending(torn)

    def _record(self, line: bytes) -> Iterator[Problem]:
        record = _parsed(line)
        if record is None:
            yield self._problem("touched", "edited: this is no record of a ledger")
            self._n += 1
            return
        body = {name: record[name] for name in record if name != "hash"}
        if _hash(body) != record["hash"]:
            yield self._problem("touched", f"edited: record {record['n']} does not fit its hash")
        yield from self._order(record)
        if self._ended_at:
            yield self._problem("touched", f"inserted: the ledger ended in line {self._ended_at}")
        self._n, self._previous = record["n"], record["hash"]
        if record["kind"] == END:
            self._ended_at = self._line
        if record["hash"] == self._wanted:
            self._head_at = self._line

    def _order(self, record: dict[str, Any]) -> Iterator[Problem]:
        expected = self._n + 1
        if record["n"] != expected:
            yield self._problem(
                "touched", f"removed, swapped or inserted: record {record['n']}, not {expected}"
            )
        elif record["previous"] != self._previous:
            yield self._problem(
                "touched", f"edited or removed: record {record['n']} does not follow the one before"
            )

    def _ending(self, torn: bool) -> Iterator[Problem]:
        if not self._ended_at and not torn:
            yield self._problem("not closed", "not closed: the run was interrupted after this")
        if self._wanted is None or self._previous == self._wanted:
            return
        if self._head_at and not self._ended_at:
            return  # it was remembered on the way, and the run was interrupted later
        if self._head_at:
            text = f"inserted: the head that was remembered is line {self._head_at}, not the last"
        else:
            text = f"truncated or rewritten: the head {self._wanted[:12]}… is not the last record"
        yield self._problem("touched", text)

    def _problem(self, kind: str, text: str) -> Problem:
        return Problem(self._line, kind, text)


def _parsed(line: bytes) -> dict[str, Any] | None:
    """The record in `line`, or None where it is none, or not spelled as we spell it."""
    try:
        record = json.loads(line)
        spelled = isinstance(record, dict) and _canonical(record) + b"\n" == line
    except (ValueError, RecursionError):
        return None
    if not spelled or set(record) != _FIELDS or type(record["n"]) is not int:
        return None
    return dict(record)


def _canonical(body: dict[str, Any]) -> bytes:
    """The one spelling of `body`. Raises ValueError for NaN, TypeError for what is not JSON."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def _hash(body: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical(body)).hexdigest()


def _plain(data: Any) -> Any:
    """`data` as JSON would give it back, so that it is spelled the same way after reading."""
    return json.loads(json.dumps(data, default=_instant_or_refuse))


def _instant_or_refuse(value: object) -> str:
    if isinstance(value, datetime):
        return instant(value)
    raise TypeError(f"a ledger holds JSON and instants, not {type(value).__name__}")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
