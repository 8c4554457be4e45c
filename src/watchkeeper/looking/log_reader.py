"""What do the lines of a log say? A program of its own, so that no regex can hold up anything else.

Run as `python -I -S log_reader.py`; for each line of its input, a question as JSON, it prints one
line, the answer as JSON. It imports the standard library only and starts in 30 ms. It reads a log
as a stream, in constant memory, and keeps only what is asked for.
"""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, BinaryIO

LINE_MAX = 1 << 20  # bytes of one line that are looked at; the rest of it is passed over
BLOCK = 1 << 22  # bytes searched at once for a text that every wanted line holds
CELL_MAX = 10_000  # characters of one cell that are kept as evidence
GROUPS_MAX = 100_000  # distinct groups that are counted; more is no grouping
SEEK_FROM = 1 << 20  # bytes from which on a window is sought by bisection
SEEK_STEP = 1 << 16  # bytes to which bisection narrows the beginning
SLACK = timedelta(minutes=1)  # how far lines of one moment may stand out of order
BEYOND = 1_000  # lines behind the window in a row that end it; one with a wrong clock does not
VOTERS = 8  # lines that tell the instant of a place; one with a wrong clock does not decide
EPOCH_MS = 1e11  # a number of an instant above this counts milliseconds
ORPHANED_S = 1.0  # seconds past the deadline: who asked us would have ended us, and is gone
LITERAL_MIN = 3  # characters from which on looking for a text first pays


class Unreadable(Exception):
    """Why there is no answer: a kind and a sentence."""

    def __init__(self, kind: str, reason: str) -> None:
        self.kind, self.reason = kind, reason
        super().__init__(reason)


class ChangedWhileRead(Exception):
    """The file was cut or replaced under our hands: begin again."""


@dataclass(frozen=True)
class Asked:
    """The question; `since` and `until` are ISO instants, all else as in the target file.

    `within_s`: the deadline.
    """

    path: str
    format: str = "text"
    line: str | None = None
    instant: str | None = None
    instant_format: str | None = None
    among: str | None = None
    match: str | None = None
    last: int | None = None
    last_lines: int | None = None
    group_by: str | None = None
    mean_of: str | None = None
    count: str | None = None
    unreadable: bool = False
    since: str | None = None
    until: str | None = None
    keep: int = 1000
    within_s: float = 60.0


@dataclass
class Entry:
    """One line: its raw text, what could be read of it, and the instant it belongs to."""

    raw: str
    fields: dict[str, Any] | None
    at: datetime | None = None


@dataclass
class Answer:
    """What is printed. `kind`: "entries", "groups", "mean", "count"."""

    kind: str
    total: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)
    mean: float | None = None
    files: list[str] = field(default_factory=list)


# -- lines ------------------------------------------------------------------------------------


def lines(file: BinaryIO, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """(offset, line) from `start` to `end`; a line over LINE_MAX is cut and is still one line."""
    file.seek(start)
    offset = start
    while offset < end:
        line = file.readline(LINE_MAX)
        if not line:
            raise ChangedWhileRead
        begin, offset = offset, offset + len(line)
        if not line.endswith(b"\n") and len(line) == LINE_MAX:
            offset += _pass_over(file)
        yield begin, line


def _pass_over(file: BinaryIO) -> int:
    passed = 0
    while True:
        rest = file.readline(LINE_MAX)
        passed += len(rest)
        if not rest or rest.endswith(b"\n"):
            return passed


def blocks(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    """Whole lines, BLOCK bytes or so at once; of a line longer than that only its beginning."""
    file.seek(start)
    offset, rest = start, b""
    while offset < end:
        chunk = file.read(min(BLOCK, end - offset))
        if not chunk:
            raise ChangedWhileRead
        offset += len(chunk)
        cut = chunk.rfind(b"\n") + 1
        if not cut:
            rest += chunk[: max(0, LINE_MAX - len(rest))]
            continue
        first = chunk.find(b"\n")
        if len(rest) + first > LINE_MAX:  # the long line ends here: its beginning stands for it
            yield (rest + chunk[:first])[:LINE_MAX] + b"\n" + chunk[first + 1 : cut]
        else:
            yield rest + chunk[:cut]
        rest = chunk[cut:]
    if rest:
        yield rest[:LINE_MAX]


def tail_start(file: BinaryIO, size: int, count: int) -> int:
    """Where the last `count` lines begin."""
    position, found = size, 0
    while position > 0:
        begin = max(0, position - BLOCK)
        file.seek(begin)
        block = file.read(position - begin)
        end = len(block)
        if position == size and block.endswith(b"\n"):
            end -= 1  # the newline that ends the last line begins none
        while (at := block.rfind(b"\n", 0, end)) >= 0:
            found += 1
            if found == count:
                return begin + at + 1
            end = at
        position = begin
    return 0


# -- the text that every wanted line must hold ------------------------------------------------


def literal_of(pattern: str) -> tuple[str, bool]:
    """The longest text that a match of `pattern` must hold, and whether in any case of letters."""
    import re._parser as parser  # type: ignore[import-not-found]  # noqa: PLC0415 - rarely needed

    parsed = parser.parse(pattern)
    any_case = bool(parsed.state.flags & re.IGNORECASE)
    runs: list[str] = [""]
    _collect(parsed, runs)
    if any_case:
        # K and the Kelvin sign, i and dotless ı, s and ſ match each other: not the same bytes.
        runs = [part for run in runs for part in re.split(r"[iksIKS]", run) if part.isascii()]
    best = max(runs, key=len, default="")
    return (best.lower() if any_case else best), any_case


def _collect(parsed: Any, runs: list[str]) -> None:
    for operation, argument in parsed:
        name = str(operation)
        if name == "LITERAL" and argument != 0xFFFD:  # noqa: PLR2004 - what undecodable bytes become
            runs[-1] += chr(argument)
            continue
        runs.append("")
        if name == "SUBPATTERN" and not argument[1] and not argument[2]:
            _collect(argument[3], runs)
        elif name in ("MAX_REPEAT", "MIN_REPEAT") and argument[0] >= 1:
            _collect(argument[2], runs)
        runs.append("")


def needle_of(asked: Asked) -> tuple[bytes, bool] | None:
    """What to search for before anything is parsed; None where nothing is worth searching for."""
    if asked.unreadable:
        return None
    found = [literal_of(pattern) for pattern in (asked.among, asked.match) if pattern]
    text, any_case = max(found, key=lambda each: len(each[0]), default=("", False))
    return (text.encode(), any_case) if len(text) >= LITERAL_MIN else None


# -- reading one line -------------------------------------------------------------------------


class Reader:
    """Turns lines into entries, as the service's format says."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._line = _compiled(asked.line)
        self._seen: tuple[str, datetime | None] = ("", None)
        self.read_one = False  # whether any line was what the service's format says
        self.parses = asked.format == "json" or self._line is not None

    def entry(self, line: bytes) -> Entry:
        raw = line.rstrip(b"\r\n").decode("utf-8", "replace")
        fields = self._json(raw) if self._asked.format == "json" else self._text(raw)
        entry = Entry(raw, fields)
        if fields is not None:
            self.read_one = True
            if self._asked.instant is not None:
                entry.at = self._instant(_at(fields, self._asked.instant))
        return entry

    def _text(self, raw: str) -> dict[str, Any] | None:
        if self._line is None:
            return {}
        found = self._line.search(raw)
        return found.groupdict() if found else None

    def _json(self, raw: str) -> dict[str, Any] | None:
        if not raw.startswith("{") and not raw.lstrip().startswith("{"):
            return None
        try:
            found = json.loads(raw)
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    def _instant(self, value: Any) -> datetime | None:
        if isinstance(value, bool) or value is None:
            return None
        if isinstance(value, (int, float)):
            return _from_number(value)
        text = str(value)
        if self._seen[0] != text:  # many lines share one second: parse it once
            self._seen = (text, self._parsed(text))
        return self._seen[1]

    def _parsed(self, text: str) -> datetime | None:
        layout = self._asked.instant_format
        try:
            at = datetime.strptime(text, layout) if layout else datetime.fromisoformat(text)
        except ValueError:
            return None
        if layout and "%Y" not in layout and "%y" not in layout and "%c" not in layout:
            at = _with_year(at)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    return re.compile(pattern) if pattern else None


def _from_number(value: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(value / 1000 if abs(value) > EPOCH_MS else value, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _with_year(at: datetime) -> datetime:
    """The year of a layout that has none (syslog): the latest that is not in the future."""
    now = datetime.now(UTC).replace(tzinfo=at.tzinfo) + timedelta(days=1)
    this = at.replace(year=now.year)
    return this if this <= now else at.replace(year=now.year - 1)


def _at(fields: dict[str, Any], path: str) -> Any:
    """The field at a dotted path, a field of that very name first."""
    if path in fields:
        return fields[path]
    found: Any = fields
    for part in path.split("."):
        if not isinstance(found, dict) or part not in found:
            return None
        found = found[part]
    return found


# -- one file ---------------------------------------------------------------------------------


class LogFile:
    """One open log file, as long as it was when it was opened."""

    def __init__(self, path: str, asked: Asked, reader: Reader) -> None:
        self.path, self._asked, self._reader = path, asked, reader
        _require_regular(path)
        try:
            self._file = open(path, "rb", buffering=1 << 18)  # noqa: SIM115, PTH123 - see close
        except OSError as error:
            raise _not_opened(path, error) from error
        found = os.fstat(self._file.fileno())
        self.size, self.written = found.st_size, found.st_mtime
        self.identity = (found.st_dev, found.st_ino)

    def close(self) -> None:
        self._file.close()

    def entries(self, since: datetime | None, until: datetime | None) -> Iterator[Entry]:
        """The entries worth judging; `at` is filled in, of a continuation from the entry before."""
        start = 0
        if self._asked.last_lines is not None:
            start = tail_start(self._file, self.size, self._asked.last_lines)
        elif since is not None and self.size > SEEK_FROM and self._in_order():
            start = self._seek(since - SLACK)
        needle = needle_of(self._asked)
        found = self._all(start) if needle is None else self._holding(start, *needle)
        enough = until + SLACK if until is not None and start else None
        beyond = 0
        for entry in found:
            if enough is not None and entry.at is not None:
                beyond = beyond + 1 if entry.at > enough else 0
                if beyond > BEYOND:
                    return
            yield entry
        if os.fstat(self._file.fileno()).st_size < self.size:
            raise ChangedWhileRead

    def _all(self, start: int) -> Iterator[Entry]:
        entry_of, at = self._reader.entry, None
        for _, line in lines(self._file, start, self.size):
            entry = entry_of(line)
            if entry.fields is not None:
                at = entry.at
            else:
                entry.at = at
            yield entry

    def _holding(self, start: int, needle: bytes, any_case: bool) -> Iterator[Entry]:
        """Only lines that hold `needle`: searching is a hundred times faster than parsing."""
        before: datetime | None = None
        timed = self._asked.instant is not None
        for block in blocks(self._file, start, self.size):
            searched = block.lower() if any_case else block
            done = 0
            position = searched.find(needle)
            while position >= 0:
                begin = block.rfind(b"\n", 0, position) + 1
                end = block.find(b"\n", position)
                end = len(block) if end < 0 else end
                entry = self._reader.entry(block[begin : min(end, begin + LINE_MAX)])
                if entry.fields is None and timed:
                    before = entry.at = self._time_before(block, begin, done, before)
                elif entry.fields is not None:
                    before = entry.at
                yield entry
                done = end
                position = searched.find(needle, end)
            if timed:
                before = self._time_before(block, len(block), done, before)

    def _time_before(
        self, block: bytes, position: int, down_to: int, known: datetime | None
    ) -> datetime | None:
        """The instant of the nearest readable entry in block[down_to:position], else `known`."""
        while position > down_to:
            begin = block.rfind(b"\n", 0, position - 1) + 1
            entry = self._reader.entry(block[begin:position])
            if entry.fields is not None:
                return entry.at
            position = begin
        return known

    def first_instant(self, offset: int = 0) -> datetime | None:
        """The instant of the first line behind `offset` that has one, within LINE_MAX bytes."""
        for begin, line in lines(self._file, offset, self.size):
            at = self._reader.entry(line).at if begin > offset or not offset else None
            if at is not None or begin > offset + LINE_MAX:
                return at
        return None

    def last_instant(self) -> tuple[datetime | None, bool]:
        """The last readable entry's instant, and whether lines that can't be read follow it."""
        start = max(0, self.size - LINE_MAX)
        at, trailing = None, False
        for begin, line in lines(self._file, start, self.size):
            if begin == start and start:
                continue
            entry = self._reader.entry(line)
            at, trailing = (at, True) if entry.fields is None else (entry.at or at, False)
        return at, trailing

    def count(self) -> int:
        """How many lines it has, unread."""
        start = 0
        if self._asked.last_lines is not None:
            start = tail_start(self._file, self.size, self._asked.last_lines)
        number, last = 0, b""
        for block in blocks(self._file, start, self.size):
            number, last = number + block.count(b"\n"), block
        return number + (not last.endswith(b"\n") and bool(last))

    def any_line_read(self) -> bool:
        """Whether any line is what the format says; stops at the first."""
        every = lines(self._file, 0, self.size)
        return any(self._reader.entry(line).fields is not None for _, line in every)

    def _in_order(self) -> bool:
        """Whether sixteen places of the file are ordered by time, as bisection needs."""
        probes = 16
        found = [self.first_instant(self.size * part // probes) for part in range(probes)]
        known = [at for at in found if at is not None]
        return len(known) > 1 and all(a <= b + SLACK for a, b in pairwise(known))

    def _latest_at(self, offset: int) -> datetime | None:
        """The latest instant of the first lines behind `offset`, within LINE_MAX bytes."""
        found: list[datetime] = []
        for begin, line in lines(self._file, offset, self.size):
            at = self._reader.entry(line).at if begin > offset else None
            if at is not None:
                found.append(at)
            if len(found) == VOTERS or begin > offset + LINE_MAX:
                break
        return max(found, default=None)

    def _seek(self, since: datetime) -> int:
        low, high = 0, self.size
        while high - low > SEEK_STEP:
            middle = (low + high) // 2
            at = self._latest_at(middle)
            if at is not None and at < since:
                low = middle
            else:
                high = middle
        if not low:
            return 0
        self._file.seek(low)
        return low + _pass_over(self._file)  # behind the line that we fell into


def _require_regular(path: str) -> None:
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - no pathlib: it doubles the start
    except OSError as error:
        raise _not_opened(path, error) from error
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "no ordinary file"
        raise Unreadable("not a file", f"{path} is {what}")


def _not_opened(path: str, error: OSError) -> Unreadable:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return Unreadable("missing", f"there is no log {path}")
    return Unreadable("not permitted", f"{path} can't be read: {error.strerror}")


# -- the question -----------------------------------------------------------------------------


class Tally:
    """Takes entries, keeps what the question asks for."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._among, self._match = _compiled(asked.among), _compiled(asked.match)
        self._kept: deque[dict[str, Any]] = deque(maxlen=asked.last)
        self._groups: Counter[Any] = Counter()
        self._sum, self._numbers, self.total = 0.0, 0, 0
        self.takes_all = bool(asked.count) and not (asked.among or asked.match or asked.unreadable)
        self._take: Callable[[Entry, dict[str, Any]], None] = (
            self._grouped if asked.group_by else self._summed if asked.mean_of else self._listed
        )

    def take(self, entry: Entry) -> None:
        asked = self._asked
        if asked.unreadable and entry.fields is not None:
            return
        if self._among is not None and _found(self._among, entry) is None:
            return
        groups: dict[str, Any] = {}
        if self._match is not None:
            found = _found(self._match, entry)
            if found is None:
                return
            groups = found.groupdict()
        self.total += 1
        if not asked.count:
            self._take(entry, groups)

    def _listed(self, entry: Entry, groups: dict[str, Any]) -> None:
        if self._asked.last is None and len(self._kept) >= self._asked.keep:
            return
        fields = {**(entry.fields or {}), **groups}
        row = {name: _cell(value) for name, value in _flat(fields)}
        if entry.at is not None and self._asked.instant is not None:
            row[self._asked.instant] = {"instant": entry.at.isoformat()}
        row["line"] = _cell(entry.raw)
        self._kept.append(row)

    def _grouped(self, entry: Entry, groups: dict[str, Any]) -> None:
        value = _cell(self._field(entry, groups, self._asked.group_by or ""))
        if value is None and entry.fields is None:
            return  # the rest of a stack trace belongs to no group of its own
        self._groups[value] += 1
        if len(self._groups) > GROUPS_MAX:
            raise Unreadable(
                "too large", f'"{self._asked.group_by}" has over {GROUPS_MAX} different values'
            )

    def _summed(self, entry: Entry, groups: dict[str, Any]) -> None:
        value = self._field(entry, groups, self._asked.mean_of or "")
        if value is None:
            return
        try:
            self._sum += float(value)
        except (TypeError, ValueError):
            told = f'"{self._asked.mean_of}" is "{str(value)[:60]}" in: {entry.raw[:200]}'
            raise Unreadable("not a number", told) from None
        self._numbers += 1

    def _field(self, entry: Entry, groups: dict[str, Any], name: str) -> Any:
        return groups[name] if name in groups else _at(entry.fields or {}, name)

    def answer(self) -> Answer:
        asked = self._asked
        if asked.count:
            return Answer("count", total=self.total)
        if asked.mean_of:
            mean = self._sum / self._numbers if self._numbers else None
            return Answer("mean", total=self._numbers, mean=mean)
        if asked.group_by:
            most = sorted(self._groups.items(), key=lambda item: (-item[1], str(item[0])))
            rows = [{asked.group_by: name, "count": number} for name, number in most]
            return Answer("groups", total=len(rows), rows=rows[: asked.keep])
        total = min(self.total, asked.last) if asked.last is not None else self.total
        return Answer("entries", total=total, rows=list(self._kept))


def _found(pattern: re.Pattern[str], entry: Entry) -> re.Match[str] | None:
    """Where `pattern` is: in the entry's `text`, where its format names one, or in the line."""
    text = (entry.fields or {}).get("text")
    found = pattern.search(text) if isinstance(text, str) else None
    return found or pattern.search(entry.raw)


_CONTROLS = dict.fromkeys((*range(9), *range(11, 32), 127), "\ufffd")


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return value[:CELL_MAX].translate(_CONTROLS)
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)[:CELL_MAX]
    return value


def _flat(fields: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def read(asked: Asked) -> Answer:
    """The answer; raises Unreadable. A file that is cut while it is read is read once more."""
    for attempt in (1, 2):
        try:
            return _read_once(asked)
        except ChangedWhileRead:
            if attempt == 2:  # noqa: PLR2004 - the last one
                break
    raise Unreadable("changed", f"{asked.path} was rotated again and again while it was read")


def _read_once(asked: Asked) -> Answer:
    reader, tally = Reader(asked), Tally(asked)
    since, until = _instant(asked.since), _instant(asked.until)
    opened = [LogFile(asked.path, asked, reader)]
    try:
        older = _older(opened[0], asked, reader, since)
        if older is not None:
            opened.insert(0, older)
        if tally.takes_all and since is None:
            tally.total = sum(file.count() for file in opened)
            seen_at = False
        else:
            seen_at = _pour(opened, tally, since, until)
        _require_readable(opened, asked, reader, since, seen_at)
    finally:
        for file in opened:
            file.close()
    answer = tally.answer()
    answer.files = [file.path for file in opened]
    return answer


def _pour(
    files: list[LogFile], tally: Tally, since: datetime | None, until: datetime | None
) -> bool:
    """All entries of the window into the tally; whether any had an instant."""
    seen_at = False
    for file in files:
        for entry in file.entries(since, until):
            if since is not None and until is not None:
                seen_at = seen_at or entry.at is not None
                if entry.at is None or not since <= entry.at < until:
                    continue
            tally.take(entry)
    return seen_at


def _older(file: LogFile, asked: Asked, reader: Reader, since: datetime | None) -> LogFile | None:
    """The rotated file before this one, where the window reaches back before the first line."""
    path = asked.path + ".1"
    if since is None or not os.path.isfile(path):  # noqa: PTH113 - as above
        return None
    first = file.first_instant()
    if first is not None and first <= since:
        return None
    older = LogFile(path, asked, reader)
    if older.identity == file.identity:  # rotated between the two openings
        older.close()
        raise ChangedWhileRead
    return older


def _require_readable(
    files: list[LogFile], asked: Asked, reader: Reader, since: datetime | None, seen_at: bool
) -> None:
    """Refuse a log whose format is another than the service says: its silence means nothing."""
    sized = [file for file in files if file.size]
    if asked.unreadable or not sized or not reader.parses:
        return
    if not reader.read_one and not any(file.any_line_read() for file in sized):
        raise Unreadable("unreadable", f"no line of {asked.path} is as its service's format says")
    if since is None:
        return
    newest = sized[-1]
    last, trailing = newest.last_instant()
    if not seen_at and last is None and newest.first_instant() is None:
        raise Unreadable("unreadable", f"no line of {asked.path} tells an instant that can be read")
    written = _from_number(newest.written)
    if trailing and last is not None and last < since and written is not None and written >= since:
        raise Unreadable(
            "unreadable",
            f"{asked.path} was written to at {written:%H:%M:%SZ}, "
            f"but its last readable line is of {last:%Y-%m-%d %H:%M:%SZ}",
        )


def answered(question: bytes) -> dict[str, Any]:
    """What is printed for a question, whatever goes wrong."""
    asked = Asked(**json.loads(question))
    # Nobody handles this signal, so that it ends us even inside a regular expression.
    signal.setitimer(signal.ITIMER_REAL, asked.within_s + ORPHANED_S)
    try:
        return vars(read(asked))
    except Unreadable as error:
        return {"error": [error.kind, error.reason]}
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        return {"error": ["error", f"reading {asked.path} failed: {told}"]}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def main() -> None:
    for question in sys.stdin.buffer:
        sys.stdout.write(json.dumps(answered(question)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
