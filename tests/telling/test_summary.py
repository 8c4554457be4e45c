"""The summary: one line says what is wrong, and the run's texts are only text."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest

from tests.telling.telling_samples import check, hostile_run, many, run
from watchkeeper.telling.summary import headline, markdown, tell
from watchkeeper.verdicts import Verdict


def told(record, report: Path | None = None) -> str:
    """The summary as a pipe gets it."""
    out = io.StringIO()
    tell(record, report, out)
    return out.getvalue()


def test_the_first_line_says_what_is_wrong_and_the_last_where_to_read() -> None:
    """The reader of two lines knows enough."""
    lines = told(run(), Path("reports/latest.html")).splitlines()
    assert lines[0].startswith("NO-GO: 2 failed, 1 blocked, 1 unknown")
    assert lines[-1] == "report: reports/latest.html"


def test_the_worst_comes_first_with_sentence_and_advice() -> None:
    """Failed before unknown before degraded; within them by level."""
    text = told(run(checks=tuple(replace(each, proven=True) for each in run().checks)))
    order = [text.index(word) for word in ("[Radarr]", "MM-DAY-1", "UNKNOWN", "DEGRADED")]
    assert order == sorted(order)
    assert "→ Restart Radarr" in text
    assert "MM-DAY-0" not in text


def test_it_fits_80_columns_without_colour_in_a_pipe() -> None:
    """No line is wider than a terminal, and no escape is in it."""
    for record in (run(), hostile_run()):
        text = told(record)
        assert max(map(len, text.splitlines())) <= 80
        assert "\x1b" not in text


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        ((), "no check ran"),
        ((Verdict.PASSED,), "the only check passed"),
        ((Verdict.PASSED,) * 3, "all 3 checks passed"),
        ((Verdict.PASSED, Verdict.WAIVED), "1 waived, 1 passed of 2 checks"),
        ((Verdict.PASSED, Verdict.DEGRADED), "1 degraded of 2 checks"),
        ((Verdict.NOT_RUN,), "1 not run of 1 check"),
    ],
)
def test_the_headline_never_claims_more_than_ran(verdicts, said) -> None:
    """Only a run in which every check passed says so."""
    made = tuple(check(f"X-{i}", "s", "P1", verdict, None) for i, verdict in enumerate(verdicts))
    assert headline(run(checks=made, verdict="go")) == f"GO: {said}"


def test_a_missing_check_is_told() -> None:
    """What was selected and left no verdict counts as not run."""
    record = run(checks=(check("X", "s", "P1", Verdict.PASSED, None),), missing=("f::x",))
    assert headline(record).endswith("1 not run of 2 checks")
    assert "f::x" in told(record)


def test_hostile_texts_act_neither_in_rich_nor_in_markdown() -> None:
    """Markup, escapes and HTML in a run's texts are shown as text."""
    assert "[bold red]rich[/]" in told(hostile_run()).replace("\n   ", "").replace("\n", "")
    text = markdown(hostile_run())
    assert "<script" not in text
    assert "[click](" not in text


def test_a_very_bad_run_is_cut_and_says_so() -> None:
    """Hundreds of findings don't push the headline out of sight unnoticed."""
    assert "more, in the report" in told(many(3_000))


def test_unproven_checks_are_told_in_one_line() -> None:
    """How many, the first of them, and what to do; where all are proven, nothing."""
    made = [check(f"X-{i}", "s", "P1", Verdict.PASSED, None) for i in range(7)]
    proven = [replace(each, proven=True) for each in made]
    text = " ".join(told(run(checks=(*made, proven[0]))).split())
    assert "7 checks are unproven: X-0; X-1; X-2; X-3; X-4 and 2 more; run pytest --drill" in text
    text = told(run(checks=(made[0], *proven)))
    assert "1 check is unproven: X-0; run pytest --drill" in text
    assert "unproven" not in told(run(checks=tuple(proven)))


def test_the_headline_says_what_required_proof_lacks() -> None:
    """Incomplete beside "all passed" would be a riddle."""
    made = (check("X-1", "s", "P1", Verdict.PASSED, None),) * 2
    asked = run(checks=made, verdict="incomplete", proof_required=True)
    assert headline(asked) == "INCOMPLETE: all 2 checks passed, 2 unproven"


def test_what_does_not_apply_needs_no_proof() -> None:
    """A check that the target leaves out is not listed as unproven."""
    assert not run(checks=(check("X-1", "s", "P1", Verdict.NOT_APPLICABLE, None),)).unproven
