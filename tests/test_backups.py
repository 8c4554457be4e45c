"""Tests of backups: of their usual size, whole, and restored with nothing lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.stage import Stage, stage
from tests.test_performing import ended
from watchkeeper.verdicts import Verdict

PASSED, FAILED, UNKNOWN = Verdict.PASSED, Verdict.FAILED, Verdict.UNKNOWN

# The usual size -------------------------------------------------------------------------------

USUAL = 'Then its size of the latest "db" is within 50% of the median of the five before it'


def backed_up(folder: Path, kind: str, *sizes: int) -> None:
    """Backups of these sizes, night by night, the last one the newest."""
    backups = folder / "shop.db.backups"
    backups.mkdir(exist_ok=True)
    for night, size in enumerate(sizes):
        path = backups / f"{kind}_{night}.dump"
        path.write_bytes(b"x" * size)
        os.utime(path, (1_700_000_000 + night, 1_700_000_000 + night))


def verdict(it: Stage, sentence: str = USUAL) -> tuple[Verdict, str]:
    (found,) = ended(it.perform(sentence))
    return found


@pytest.mark.parametrize(
    ("sizes", "wanted"),
    [
        ((100, 110, 90, 100, 105, 100), PASSED),
        ((100, 110, 90, 100, 105, 150), PASSED),
        ((100, 110, 90, 100, 105, 151), FAILED),
        ((100, 110, 90, 100, 105, 0), FAILED),
        ((9, 9, 9, 100, 110, 90, 100, 105, 100), PASSED),
        ((9, 0, 100, 100, 100, 51), PASSED),
    ],
)
def test_the_five_before_it(tmp_path: Path, sizes: tuple[int, ...], wanted: Verdict) -> None:
    """The newest is compared with the median of five, older ones and itself left out."""
    with stage(tmp_path) as it:
        backed_up(tmp_path, "db", *sizes)
        backed_up(tmp_path, "models", 7, 7, 7, 7, 7, 7)
        assert verdict(it)[0] is wanted


def test_what_a_size_that_is_not_usual_reads_like(tmp_path: Path) -> None:
    """What it is, and what it is usually."""
    with stage(tmp_path) as it:
        backed_up(tmp_path, "db", 4000, 4000, 4200, 3900, 4100, 12)
        found, told = verdict(it)
    assert found is FAILED
    assert told == (
        'size of the latest "db" of the shop was 12 bytes, expected within 50% of the median of the '
        "five before it (4 kB)"
    )


def test_fewer_before_it(tmp_path: Path) -> None:
    """Three are not the five that the sentence speaks of, unless it says "where there is one"."""
    with stage(tmp_path) as it:
        backed_up(tmp_path, "db", 100, 100, 100, 100)
        found, told = verdict(it)
        assert (found, "only 3 of the 5 before it" in told) == (UNKNOWN, True)
        assert verdict(it, f"{USUAL}, where there is one")[0] is PASSED
    alone = tmp_path / "alone"
    alone.mkdir()
    with stage(alone) as it:
        backed_up(alone, "db", 100)
        assert verdict(it)[0] is UNKNOWN
        assert verdict(it, f"{USUAL}, where there is one")[0] is PASSED


def test_a_backup_that_is_missing(tmp_path: Path) -> None:
    """No file is unknown, not a size of none."""
    with stage(tmp_path) as it:
        backed_up(tmp_path, "models", 100)
        assert verdict(it)[0] is UNKNOWN


def test_who_has_no_earlier_ones(tmp_path: Path) -> None:
    """Only a figure of the newest file has some; another is refused before anything runs."""
    with stage(tmp_path) as it:
        complaints = it.planned("Then its stock is within 50% of the median of the five before it")
    assert isinstance(complaints, tuple)
    assert 'only a figure of a file has them that says "newest: 1"' in str(complaints[0])
