"""How do the logs of containers become lines that a log reader can read?

The Engine sends frames: a stream's number, a length, and a message with its instant before it. They
are put together to lines and written to a file of ours, in constant memory.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING

from watchkeeper.clock import Window
from watchkeeper.errors import CouldNotObserve
from watchkeeper.looking.log_reader import LINE_MAX

if TYPE_CHECKING:
    from watchkeeper.containers import Container
    from watchkeeper.engine import Engine

LOGS_MAX = 200_000_000
"""Bytes of all the logs that one question may read."""

LINE = r"^(?P<service>\S+) (?P<container>\S+) (?P<at>\S+) (?P<text>.*)$"
"""What is written, for the reader."""

_HEADER = struct.Struct(">BxxxL")  # which stream, how many bytes
_RAW = 1  # the stream of a container with a terminal, which sends no frames


def copy_logs(
    engine: Engine,
    containers: Iterable[Container],
    window: Window | None,
    last_lines: int | None,
    to: IO[bytes],
) -> None:
    """Write the lines of all `containers` to `to`, those of `window` where there is one.

    `last_lines`: of each container only so many. Raises CouldNotObserve.
    """
    left = LOGS_MAX
    for each in containers:
        before = f"{each.service or each.called} {each.called} ".encode()
        for line in _lines(engine, each, window, last_lines, left):
            left -= len(line)
            if window is None or _is_within(line, window, each):
                to.write(before + line + b"\n")


def _lines(
    engine: Engine, container: Container, window: Window | None, last_lines: int | None, most: int
) -> Iterator[bytes]:
    asked: dict[str, object] = {"stdout": 1, "stderr": 1, "timestamps": 1}
    asked["tail"] = "all" if last_lines is None else last_lines
    if window is not None:
        asked["since"] = f"{window.since.timestamp():.6f}"
        asked["until"] = f"{window.until.timestamp():.6f}"
    response = engine.ask(f"/containers/{container.id}/logs", **asked)
    pieces = engine.pieces(response, most)
    framed = frames(pieces) if not container.config.tty else ((_RAW, False, p) for p in pieces)
    return lines(framed)


def frames(pieces: Iterable[bytes]) -> Iterator[tuple[int, bool, bytes]]:
    """(stream, whether a message begins with it, bytes): a long message comes in several parts.

    Raises CouldNotObserve where what comes is no such stream, or ends within a message.
    """
    held = bytearray()
    stream, left, begins = 0, 0, False
    for piece in pieces:
        held += piece
        while held:
            if not left:
                if len(held) < _HEADER.size:
                    break
                stream, left = _HEADER.unpack_from(held)
                if stream > 2 or held[1:4] != b"\0\0\0":  # noqa: PLR2004 - in, out and errors
                    raise CouldNotObserve("unexpected", "what it sends is no stream of a log")
                del held[: _HEADER.size]
                begins = True
                continue
            part = bytes(held[:left])
            del held[:left]
            left -= len(part)
            yield stream, begins, part
            begins = False
    if held or left:
        raise CouldNotObserve("closed", "the log ended in the middle of a message")


def lines(framed: Iterable[tuple[int, bool, bytes]]) -> Iterator[bytes]:
    """Lines with their instant before them, at most LINE_MAX bytes of each.

    The Engine cuts a long line into messages and puts an instant before each of them.
    """
    open_lines: defaultdict[int, _OpenLine] = defaultdict(_OpenLine)
    for stream, begins, part in framed:
        yield from open_lines[stream].ended_by(part, begins)
    for each in open_lines.values():
        if each.held:
            yield bytes(each.held)


class _OpenLine:
    """What has come of a line of one stream, out or errors."""

    def __init__(self) -> None:
        self.held = bytearray()
        self._in_instant = False

    def ended_by(self, part: bytes, begins: bool) -> Iterator[bytes]:
        """The lines that `part` brings to their end."""
        if begins and self.held:
            self._in_instant = True
        if self._in_instant:
            _, space, part = part.partition(b" ")
            if not space:
                return
            self._in_instant = False
        *ended, rest = part.split(b"\n")
        for each in ended:
            self._add(each)
            yield bytes(self.held).rstrip(b"\r")
            self.held.clear()
        self._add(rest)

    def _add(self, part: bytes) -> None:
        self.held += part[: max(0, LINE_MAX - len(self.held))]


def _is_within(line: bytes, window: Window, container: Container) -> bool:
    said = line.partition(b" ")[0].decode("ascii", "replace")
    try:
        at = datetime.fromisoformat(said)
    except ValueError:
        raise CouldNotObserve(
            "unreadable", f"a line of {container.called} has no instant before it"
        ) from None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return window.since <= at < window.until
