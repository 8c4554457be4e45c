"""Does a waiver let through exactly what it names, no longer than it says?"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from watchkeeper.deciding.waivers import Waivers, load
from watchkeeper.errors import ConfigurationError
from watchkeeper.verdicts import Verdict

LAST = date(2026, 3, 1)
AFTER = LAST + timedelta(days=1)
GOOD = "id: MM-DAY-4, owner: Ann, reason: moved, ticket: OPS-7, last day: 2026-03-01"


def loaded(folder: Path, text: str) -> Waivers:
    path = folder / "waivers.yml"
    path.write_text(text, "utf-8")
    return load(path)


def waiving(folder: Path, *rows: str) -> Waivers:
    return loaded(folder, "waivers:\n" + "".join(f"  - {{{row}}}\n" for row in rows))


@pytest.mark.parametrize("verdict", [each for each in Verdict if not each.good])
def test_a_waiver_removes_the_vote_and_keeps_the_colour(tmp_path: Path, verdict: Verdict) -> None:
    """On its last day it still holds, and the check stays what it is."""
    applied = waiving(tmp_path, GOOD).apply(["MM-DAY-4"], "Radarr", verdict, LAST)
    assert (applied.verdict, applied.vote) == (verdict, Verdict.WAIVED)
    assert applied.sentence == "until 2026-03-01 by Ann, OPS-7: moved"


@pytest.mark.parametrize("verdict", [Verdict.PASSED, Verdict.DEGRADED, Verdict.NOT_APPLICABLE])
def test_a_good_verdict_needs_no_waiver(tmp_path: Path, verdict: Verdict) -> None:
    """A check that is fine keeps its vote, and its waiver is reported as unused."""
    waivers = waiving(tmp_path, GOOD)
    applied = waivers.apply(["MM-DAY-4"], "", verdict, LAST)
    assert applied.vote is verdict
    (said,) = waivers.messages([("MM-DAY-4", "")], [applied], LAST)
    assert "is unused: the check is fine without it" in said


def test_an_expired_waiver_counts_again_and_says_so(tmp_path: Path) -> None:
    """The day after its last day the finding votes, and the waiver is reported."""
    waivers = waiving(tmp_path, GOOD)
    applied = waivers.apply(["MM-DAY-4"], "", Verdict.FAILED, AFTER)
    assert (applied.vote, applied.sentence) == (Verdict.FAILED, "")
    (said,) = waivers.messages([("MM-DAY-4", "")], [applied], AFTER)
    assert "waivers.yml:2: the waiver of MM-DAY-4 expired after 2026-03-01" in said


def test_a_waiver_of_a_row_covers_that_row_only(tmp_path: Path) -> None:
    """Of an outline, the row named is waived and the others vote."""
    waivers = waiving(tmp_path, f"{GOOD}, row: Radarr")
    votes = [
        waivers.apply(["MM-DAY-4"], row, Verdict.FAILED, LAST).vote for row in ("Radarr", "Sonarr")
    ]
    assert votes == [Verdict.WAIVED, Verdict.FAILED]


def test_a_check_with_several_ids_needs_each_waived(tmp_path: Path) -> None:
    """Nobody can say whose finding it was, so one waived id of two waives nothing, and says so."""
    waivers = waiving(tmp_path, GOOD)
    applied = waivers.apply(["MM-DAY-4", "MM-DAY-5"], "", Verdict.FAILED, LAST)
    assert applied.vote is Verdict.FAILED
    (said,) = waivers.messages([("MM-DAY-4", ""), ("MM-DAY-5", "")], [applied], LAST)
    assert "does not help: the check has further ids" in said
    both = waiving(tmp_path, GOOD, GOOD.replace("DAY-4", "DAY-5"))
    applied = both.apply(["MM-DAY-4", "MM-DAY-5"], "", Verdict.FAILED, LAST)
    assert applied.vote is Verdict.WAIVED


def test_a_waiver_that_names_no_check_is_reported(tmp_path: Path) -> None:
    """A waiver of a check that the suite does not have is unused; one not run today is not."""
    waivers = waiving(tmp_path, GOOD)
    (said,) = waivers.messages([("MM-DAY-5", "")], [], LAST)
    assert "is unused: no check is called that" in said
    assert waivers.messages([("MM-DAY-4", "Radarr")], [], LAST) == ()


def test_a_quoted_date_and_no_waivers(tmp_path: Path) -> None:
    """A date may stand in quotes, and a file may waive nothing."""
    quoted = waiving(tmp_path, GOOD.replace("2026-03-01", '"2026-03-01"'))
    assert [each.last_day for each in quoted.waivers] == [LAST]
    assert loaded(tmp_path, "waivers: []\n").waivers == ()


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (f"waivers:\n  - {{{GOOD}, ower: B}}\n", 2, 'unknown key "ower"'),
        (f"waivers:\n  - {{{GOOD}, ower: B}}\n", 2, 'did you mean "owner"?'),
        ("waivers:\n  - id: MM-DAY-4\n    owner: Ann\n", 2, 'the waiver has no "reason"'),
        (f"waivers:\n  - {{{GOOD.replace('2026-03-01', 'soon')}}}\n", 2, '"last day" is soon'),
        (f"waivers:\n  - {{{GOOD.replace('2026-03-01', '2026-02-30')}}}\n", 2, "expected a date"),
        (f"waivers:\n  - {{{GOOD.replace('2026-03-01', '01.03.2026')}}}\n", 2, "expected a date"),
        (f"waivers:\n  - {{{GOOD.replace('01', '01T10:00:00')}}}\n", 2, "expected a date"),
        (f"waivers:\n  - {{{GOOD.replace('OPS-7', '7')}}}\n", 2, '"ticket" is 7, expected a text'),
        (f"waivers:\n  - {{{GOOD.replace('moved', '')}}}\n", 2, '"reason" is empty'),
        (f"waivers:\n  - {{{GOOD}}}\n  - {{{GOOD}}}\n", 3, "waived twice, also on line 2"),
        (f"waivers:\n  - {{{GOOD}, id: B}}\n", 2, "keep one of the two"),
        ("waivers:\n\t- id: A\n", 2, "YAML allows no tabs"),
        ("waivers: MM-DAY-4\n", 1, '"waivers" is no list'),
        ("waivers:\n  - MM-DAY-4\n", 2, "is no waiver"),
        ("waiver: []\n", 1, 'did you mean "waivers"?'),
    ],
)
def test_a_bad_file_is_refused_with_its_line(
    tmp_path: Path, text: str, line: int, said: str
) -> None:
    """Every mistake names file and line and what to write; nothing is waived by halves."""
    with pytest.raises(ConfigurationError) as problem:
        loaded(tmp_path, text)
    assert f"waivers.yml:{line}: " in str(problem.value)
    assert said in str(problem.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """Who names a file of waivers wants it read."""
    with pytest.raises(ConfigurationError, match="there is no such file"):
        load(tmp_path / "waivers.yml")
