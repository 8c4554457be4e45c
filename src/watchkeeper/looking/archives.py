"""What does an archive hold, and is it whole? Nothing of it is unpacked."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from watchkeeper.errors import CouldNotObserve

MEMBERS_MAX = 10_000
"""Members that are listed; an archive with more is "too large"."""

READ_MAX = 1_000_000
"""Bytes read in one piece: only a forged header asks for more, and would fill the memory."""

_CHUNK = 65_536
_BLOCK = 512  # bytes of which a tar is made; two blocks of zeros are its end
_OPENERS: tuple[tuple[bytes, Any], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\x00", lzma.open),
)
_BROKEN = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, ValueError)


def contents_of(path: Path, ends: float) -> dict[str, object]:
    """{state: "sound" or "corrupt", reason, members: [{path, size, type, modified}]}.

    Members in their order, of a corrupt one those before the fault. `ends`: when it is given up, by
    the monotonic clock. Raises CouldNotObserve: "timeout", "too large", "not permitted".
    """
    members: list[dict[str, object]] = []
    try:
        with _unpacked(path, ends) as data:
            _list(data, members)
    except _BROKEN as error:
        reason = str(error) or type(error).__name__
        return {"state": "corrupt", "reason": reason, "members": members}
    except OSError as error:
        if error.errno is None:  # what a decompressor could not read
            return {"state": "corrupt", "reason": str(error), "members": members}
        raise CouldNotObserve("not permitted", f"{path}: {error.strerror}") from error
    return {"state": "sound", "reason": "", "members": members}


def _list(data: _Forward, members: list[dict[str, object]]) -> None:
    if not data.read(0) and data.is_empty:
        raise EOFError("it is empty")
    with tarfile.open(fileobj=data, mode="r:") as archive:
        while (member := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # or a long archive would fill the memory
            if len(members) == MEMBERS_MAX:
                raise CouldNotObserve("too large", f"it has over {MEMBERS_MAX:,} members")
            members.append(_told(member))
    if not data.ended_in_zeros:
        raise EOFError("it breaks off: the end of the archive is missing")
    data.skip_to_the_end()  # where a compressed one has its checksum


def _told(member: tarfile.TarInfo) -> dict[str, object]:
    kinds = {"file": member.isfile(), "folder": member.isdir(), "link": member.issym()}
    return {
        "path": member.name,
        "size": member.size,
        "type": next((kind for kind, is_it in kinds.items() if is_it), "other"),
        "modified": datetime.fromtimestamp(member.mtime, UTC),
    }


@contextmanager
def _unpacked(path: Path, ends: float) -> Iterator[_Forward]:
    with path.open("rb") as raw:
        beginning = raw.read(6)
        raw.seek(0)
        opener = next((each for magic, each in _OPENERS if beginning.startswith(magic)), None)
        data: IO[bytes] = raw if opener is None else opener(raw)
        yield _Forward(data, ends, is_empty=not beginning)


class _Forward(io.RawIOBase):
    """A file that is read forward only, in small pieces, and not for longer than it may take."""

    def __init__(self, data: IO[bytes], ends: float, *, is_empty: bool) -> None:
        self._data, self._ends, self.is_empty = data, ends, is_empty
        self._at = 0
        self._last = b""

    @property
    def ended_in_zeros(self) -> bool:
        return self._last == bytes(_BLOCK)

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= READ_MAX:
            raise tarfile.ReadError(f"a header asks for {size:,} bytes at once")
        if time.monotonic() > self._ends:
            raise CouldNotObserve("timeout", "the archive was not read to its end in time")
        self._last = self._data.read(size)
        self._at += len(self._last)
        return self._last

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET or offset < self._at:
            raise tarfile.ReadError("a header leads backwards")
        while self._at < offset and self.read(min(_CHUNK, offset - self._at)):
            pass
        return self._at

    def skip_to_the_end(self) -> None:
        while self.read(_CHUNK):
            pass
