"""The summary: one line says what is wrong, and the run's texts are only text."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.telling.telling_samples import HOSTILE, check, hostile_run, many, run, several
from watchkeeper.recording.redaction import clean
from watchkeeper.telling.summary import append_markdown, headline, markdown, systems, tell
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


def test_each_of_several_systems_has_a_line_the_worst_first() -> None:
    """Also one whose checks all left no verdict; of a single system the headline says all."""
    lines = [" ".join(line.split()) for line in told(several()).splitlines()]
    at = lines.index("✖ FAILED routing platform: 1 failed, 1 degraded of 3 checks")
    assert at <= 2
    assert lines[at + 1 : at + 4] == [
        "○ NOT RUN music: 1 not run, 1 degraded of 2 checks",
        "○ NOT RUN catalogai: 1 not run of 1 check",
        "✔ PASSED media management: all 2 checks passed",
    ]
    text = markdown(several())
    assert text.index("routing platform") < text.index("catalogai") < text.index("media management")
    assert "of 11 checks" not in "".join(told(run()).splitlines()[1:])
    assert "| system |" not in markdown(run())


def test_systems_count_what_needs_reading() -> None:
    """Findings are what is neither passed nor not applicable."""
    found = [(each.name, each.verdict, each.findings) for each in systems(several())]
    assert found == [
        ("routing platform", Verdict.FAILED, 2),
        ("music", Verdict.NOT_RUN, 2),
        ("catalogai", Verdict.NOT_RUN, 1),
        ("media management", Verdict.PASSED, 0),
    ]


ACTIVE = (
    "https://evil.invalid/x", "www.evil.invalid", "<https://evil.invalid>", "![x](http://e.invalid)",
    "`code` $x^2$ ~~gone~~", "# title", "| a | b |", "</td></table><b>x</b>", "&lt;b&gt; &#60;b>",
    HOSTILE,
)  # fmt: skip


@pytest.mark.parametrize("said", ACTIVE)
def test_hostile_text_stays_text_where_markdown_is_rendered(said: str) -> None:
    """As HTML it is the same text in the same place, with no element of its own."""
    quiet = run(messages=(), partial="", gate="")
    hostile = replace(quiet, messages=(said,), gate=said, missing=(said,), checks=tuple(
        replace(each, scenario=said, findings=()) for each in quiet.checks))  # fmt: skip
    page = _Elements()
    renderer = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    page.feed(renderer.render(markdown(hostile)))
    assert page.seen <= {"p", "strong", "ul", "li", "table", "thead", "tbody", "tr", "th", "td"}
    assert " ".join(clean(said).split()) in " ".join("".join(page.text).split())
    # GitHub's and GitLab's own renderers make links of bare addresses, and formulas of dollars.
    assert not re.search(r"https?://|www\.|(?<!\\)\$", markdown(hostile))


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attributes: object) -> None:
        self.seen.add(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_a_summary_is_added_to_what_is_there(tmp_path: Path) -> None:
    """The file belongs to the whole job: what others wrote stays, and our first line is whole."""
    path = tmp_path / "summary"
    path.write_text("# Deployed\nversion 3")
    append_markdown(run(), path)
    append_markdown(run(), path)
    assert path.read_text() == f"# Deployed\nversion 3\n\n{markdown(run())}\n\n{markdown(run())}"


def test_a_mention_calls_nobody() -> None:
    """@somebody in a log must not be told of our run."""
    assert "@someone" not in markdown(run(messages=("ask @someone",)))


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
