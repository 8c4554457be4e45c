"""Tests of what an archive is told to hold, and of every way in which it is not whole."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from watchkeeper.errors import CouldNotObserve
from watchkeeper.looking.archives import contents_of

CONTENT = os.urandom(200_000)  # what no compression makes smaller


def archive(path: Path, mode: str = "w:gz", **files: bytes) -> Path:
    with tarfile.open(path, mode) as made:
        for name, content in (files or {"manifest.json": b"{}", "model.bin": CONTENT}).items():
            member = tarfile.TarInfo(f"default/{name}")
            member.size, member.mtime = len(content), 1_700_000_000
            made.addfile(member, io.BytesIO(content))
        folder = tarfile.TarInfo("default/empty")
        folder.type = tarfile.DIRTYPE
        made.addfile(folder)
    return path


def contents(path: Path, within_s: float = 10) -> Any:
    return contents_of(path, time.monotonic() + within_s)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_whole_archive(tmp_path: Path, mode: str) -> None:
    """Its members by path, size and kind, however it is compressed."""
    told = contents(archive(tmp_path / "a", mode))
    assert (told["state"], told["reason"]) == ("sound", "")
    found = [(each["path"], each["size"], each["type"]) for each in told["members"]]
    assert found == [
        ("default/manifest.json", 2, "file"),
        ("default/model.bin", 200_000, "file"),
        ("default/empty", 0, "folder"),
    ]
    assert told["members"][0]["modified"].timestamp() == 1_700_000_000
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a"]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("kept", [0, 1, 100, 512, 100_000, -10_240])
def test_an_archive_that_breaks_off(tmp_path: Path, mode: str, kept: int) -> None:
    """Wherever it was cut, it is not taken for whole."""
    raw = archive(tmp_path / "a", mode).read_bytes()
    (tmp_path / "a").write_bytes(raw[:kept])
    told = contents(tmp_path / "a")
    assert told["state"] == "corrupt"
    assert told["reason"]


def test_one_wrong_byte(tmp_path: Path) -> None:
    """The checksum at a compressed archive's end is compared: also behind the last member."""
    raw = bytearray(archive(tmp_path / "a").read_bytes())
    for place in (len(raw) // 2, len(raw) - 6):
        wrong = bytearray(raw)
        wrong[place] ^= 0xFF
        (tmp_path / "a").write_bytes(wrong)
        assert contents(tmp_path / "a")["state"] == "corrupt"
    (tmp_path / "a").write_bytes(raw[:-3])
    assert contents(tmp_path / "a")["state"] == "corrupt"


@pytest.mark.parametrize(
    "content", [b"not an archive " * 100, gzip.compress(b"a text", mtime=0), b""]
)
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    """Another file of that name is corrupt and holds nothing."""
    (tmp_path / "a").write_bytes(content)
    told = contents(tmp_path / "a")
    assert (told["state"], told["members"]) == ("corrupt", [])


def test_bombs(tmp_path: Path) -> None:
    """A header that asks for a gigabyte, and a gigabyte of zeros, need no memory and end."""
    member = tarfile.TarInfo("x")
    member.type, member.size = tarfile.XHDTYPE, 1_000_000_000
    with gzip.open(tmp_path / "a", "wb") as made:
        made.write(member.tobuf() + bytes(2_000_000))
    zeros = gzip.compress(bytes(16_000_000), 9)
    big = tarfile.TarInfo("big")
    big.size = 64 * 16_000_000
    (tmp_path / "b").write_bytes(gzip.compress(big.tobuf()) + zeros * 64)
    tracemalloc.start()
    try:
        assert "asks for 1,000,0" in contents(tmp_path / "a")["reason"]
        with pytest.raises(CouldNotObserve, match="not read to its end in time"):
            contents(tmp_path / "b", 0.2)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000


def test_more_members_than_anybody_reads(tmp_path: Path) -> None:
    """They are not listed in part."""
    with tarfile.open(tmp_path / "a", "w") as made:
        for number in range(10_001):
            made.addfile(tarfile.TarInfo(str(number)))
    with pytest.raises(CouldNotObserve, match="over 10,000 members"):
        contents(tmp_path / "a")
