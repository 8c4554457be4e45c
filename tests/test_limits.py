"""Does the limit grammar say what it means, and refuse what it does not know?"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.limits import FORMS, Beside, History, Judgement, Limit, parse_limit
from watchkeeper.observation import Observation, Row, Scalar, Table, Value
from watchkeeper.units import UNITS, Unit
from watchkeeper.verdicts import Verdict

NOW = datetime(2026, 2, 18, 9, 0, 12, tzinfo=UTC)
PASSED, DEGRADED = Verdict.PASSED, Verdict.DEGRADED
FAILED, UNKNOWN = Verdict.FAILED, Verdict.UNKNOWN
BOUNDS = ("below", "above", "at most", "at least")

RUNBOOK_LIMITS = """
above 0
below its setting THRESH_SYN
below 1
at most 1.5 times that of the 7 days before, where there is one
the same as its scans older than 90 days
no higher than before
later than before
at least 0.8
"success"
0.12
refused
the same as before
sound
between its number of scans before and after
below 1 s
healthy
exited
out of memory
below 5 s
present
between 0 and 1
below 95%
below 1 GB
0
at least 100
at most 10
at most 50
clean
the same as its newest commit on main
between its number of requests before and after
Sonarr
no
yes
Radarr
above 0 and at most 1
"The Matrix"
Pending
"SentToRadarr"
at least 80%, where there were any
up
known
at least 1, where there were any requests
at least 0.7, where there were any
absent
lower than before
writable
at most its duration of the first answer
1 higher than before
the same as its number of requests in the latest backup
below 10%
above 90%
below 5, at worst 10
below 90%
not critical
critical
healthy or warning
decodable
the same as its content of the test file
below 60 s
gone
at most 2 points below last week's, where there is one
at most 25% above last week's, where there is one
the same as its declared schedule
accepted
known without a token
completed
the same as tags of the file
not failed
at least 1
at most 20
at least 95%
down
below 500 ms
below 2 s
below 100 ms
above 1 times its bit rate
below 80%
rendered
running
healthy, where there is one
below 24 hours
within 50% of the median of the five before it
healthy, tolerating 2 minutes
below 90%, tolerating 5 minutes
below 5%
usable
the same as its new version
none
120 minutes
the same as its version in the manifest
later than its last change of the manifest
the same as its row counts recorded with the backup
the same as level due
""".strip().splitlines()


def seen(value: Value, unit: str | None = None, *, no_data: bool = False) -> Observation:
    """A figure's value as it was seen, in the unit spelled `unit`."""
    measured = UNITS[unit] if unit else None
    return Observation("the figure", value, measured, "here", NOW, 0.0, no_data=no_data)


def judged(
    limit: str, value: Value, unit: str | None = None, beside: Beside | None = None
) -> Judgement:
    return parse_limit(limit).judge(seen(value, unit), beside)


def table(*rows: dict[str, Scalar]) -> Table:
    return Table(tuple(Row.of(row) for row in rows), len(rows))


# ---- Parsing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", RUNBOOK_LIMITS)
def test_runbook_limits_parse(text: str) -> None:
    """Every limit that the runbooks' drafts use is understood, and kept as it was written."""
    assert parse_limit(text).text == text


@pytest.mark.parametrize("text", [example for form in FORMS for example in form.examples])
def test_every_example_of_the_table_is_a_limit_of_one_form(text: str) -> None:
    """What the table shows as an example parses, and no second form could mean it."""
    assert [form for form in FORMS if form.match(text)] == [
        form for form in FORMS if text in form.examples
    ]
    assert parse_limit(text).core == text


@pytest.mark.parametrize("text", RUNBOOK_LIMITS)
def test_no_runbook_limit_means_two_things(text: str) -> None:
    """Exactly one form matches each limit of the drafts, so the order of the table is no matter."""
    core = parse_limit(text).core.partition(", at worst")[0]
    assert len([form for form in FORMS if form.match(core)]) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("belw 10%", 'did you mean "below 10%"?'),
        ("atmost 5", 'did you mean "at most 5"?'),
        ("same as before", 'did you mean "the same as before"?'),
        ("highr than before", 'did you mean "higher than before"?'),
        ("higher then before", 'did you mean "higher than before"?'),
        ("presnt", 'did you mean "present"?'),
        ("knwon", 'did you mean "known"?'),
        ("Yes", 'did you mean "yes"?'),
        ("below 5 secnds", 'did you mean "seconds"?'),
        ("below 5 foos", 'no unit is called "foos"; there are: ratio, %'),
        ("below", "a bound needs a number"),
        ("below ten", "a bound needs a number"),
        ("below 1,00", "a bound needs a number"),
        ("below 1e3", "a bound needs a number"),
        ("between 5", "between needs two ends"),
        ("between 5 and 3", "no number is at least 5 and at most 3"),
        ("above 1 and below 1", "no number is above 1 and below 1"),
        ("between 1 s and 5 GB", "1 s and 5 GB are of two kinds"),
        ("below 5 and below 3", "a lower and an upper one"),
        ("exactly", "exactly needs a number"),
        ("lower than", "than needs before, or its and a figure"),
        ("within 50 of it", "within needs a share in %"),
        ("at most 2 points", 'no unit is called "points"'),
        ("1% higher than before", 'write "1 points higher than before"'),
        ("within 50% of the median of the 0 before it", "nought of them are no history"),
        ("below 5, at worst 5", "leaves nothing between the two"),
        ("below 5, at worst 3", "at worst needs a higher number"),
        ("at least 90%, at worst 95%", "at worst needs a lower number"),
        ("below 5 s, at worst 1 GB", "5 s and 1 GB are of two kinds"),
        ("below 5, at worst many", '"many" is no number'),
        ("exactly 5, at worst 10", "cannot have an at worst"),
        ("between 1 and 2, at worst 3", "cannot have an at worst"),
        ("not critical, at worst down", "cannot have an at worst"),
        ("healthy, at worst 5", "at worst needs state words here"),
        ("healthy or warning, at worst warning", '"warning" cannot be fine and at worst too'),
        ("up, tolerating a bit", '"a bit" is no duration'),
        ("up, tolerating 5 GB", '"5 GB" is no duration'),
        ("up, tolerating 1 minute, tolerating 2 minutes", "tolerates twice"),
        ("none, where there were any, where there were any", "stands twice"),
        ("healthy, at wrst warning", "is no limit; write for example"),
        ("up, were there any", "is no limit; write for example"),
        ("yes or no", "yes, no, present, absent and known stand alone"),
        ("not not up", "is no limit; write for example"),
        ("", "is no limit; write for example"),
    ],
)
def test_what_is_no_limit_is_refused_with_what_to_write(text: str, said: str) -> None:
    """A slip of the pen is named, with the nearest form, and never read as a state word."""
    with pytest.raises(ValueError, match=r".+") as problem:
        parse_limit(text)
    assert said in str(problem.value)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("lower than before", {"needs_before": True}),
        ("the same as before", {"needs_before": True}),
        ("2 points lower than before", {"needs_before": True, "dimension": "share"}),
        ("later than its last change", {"others": ("last change",)}),
        ("above 2 times its bit rate", {"others": ("bit rate",)}),
        ("the same as tags of the file", {"others": ("tags of the file",)}),
        (
            "between its scans before and after",
            {"others": ("scans",), "needs_before": True, "needs_after": True},
        ),
        ("within 50% of the median of the five before it", {"history": History(5)}),
        ("within 50% of the median of the 12 before it", {"history": History(12)}),
        ("at most 1.5 times that of the 7 days before", {"history": History(1, 7)}),
        ("at most 1.5 times that of the two weeks before", {"history": History(1, 14)}),
        ("at least that of the day before", {"history": History(1, 1)}),
        ("at most 2 points below last week's", {"history": History(1, 7)}),
        ("at most 25% above yesterday's", {"history": History(1, 1)}),
        ("healthy, at worst warning", {"words": ("healthy", "warning")}),
        ("up, down or out of memory", {"words": ("up", "down", "out of memory")}),
        ("not critical", {"words": ("critical",)}),
        ('"up"', {}),
        ("below 5 GB", {"dimension": "size"}),
        ("between 1 and 5 s", {"dimension": "duration"}),
        ("present, tolerating 2 minutes", {"tolerating_s": 120.0}),
        ("present, where there were any", {"where_any": ""}),
        ("present, where there were any odd jobs", {"where_any": "odd jobs"}),
        ("present, where there is one", {"where_one": True}),
        (
            "below 5%, at worst 10%, where there were any, tolerating 1 day",
            {"dimension": "share", "where_any": "", "tolerating_s": 86_400.0},
        ),
    ],
)
def test_a_limit_says_what_it_needs(text: str, fields: dict[str, object]) -> None:
    """What must be looked at besides the figure stands in the limit's fields, and nothing more."""
    limit = parse_limit(text)
    bare = Limit(limit.text, limit.core, limit.rule)
    assert limit == replace(bare, **fields)  # type: ignore[arg-type]  # fields of Limit


NUMBERS = st.one_of(
    st.integers(-(10**9), 10**9),
    st.decimals(-1000, 1000, places=3).map(float),
)
SPELLINGS = st.sampled_from([None, *UNITS])


def written(number: float, unit: str | None, *, spaced: bool) -> str:
    if unit is None:
        return f"{number:,}"
    return f"{number:,}{' ' if spaced or unit != '%' else ''}{unit}"


@given(st.sampled_from(BOUNDS), NUMBERS, SPELLINGS, st.booleans())
def test_every_written_bound_parses_to_itself(
    word: str, number: float, unit: str | None, spaced: bool
) -> None:
    """Word, number and unit of any bound come back as they were written."""
    limit = parse_limit(f"{word} {written(number, unit, spaced=spaced)}")
    bound = limit.rule
    assert (bound.word, bound.limit.number) == (word, number)  # type: ignore[attr-defined]
    assert limit.dimension == (UNITS[unit].dimension if unit else None)


@given(st.text(max_size=40))
def test_any_text_is_a_limit_or_refused_in_a_sentence(text: str) -> None:
    """No text whatever does anything else than parse or be refused with a ValueError."""
    try:
        limit = parse_limit(text)
    except ValueError as problem:
        assert str(problem)
    else:
        assert limit.text == text


@given(st.text(st.characters(exclude_characters='"', exclude_categories=("Z", "C")), max_size=30))
def test_a_quoted_text_is_exactly_that_text(text: str) -> None:
    """What stands in quotes is compared character by character."""
    assert judged(f'"{text}"', text).verdict is PASSED
    assert judged(f'"{text}"', f"{text}x").verdict is FAILED


# ---- Numbers -------------------------------------------------------------------------------------


@given(st.one_of(st.integers(-1000, 1000), st.decimals(-10, 10, places=4).map(float)))
def test_bounds_at_their_boundary(number: float) -> None:
    """At x itself, below x and above x fail, at most x and at least x pass."""
    verdicts = {word: judged(f"{word} {number:,}", number).verdict for word in BOUNDS}
    assert verdicts == {"below": FAILED, "above": FAILED, "at most": PASSED, "at least": PASSED}


@given(st.integers(-1000, 1000), st.integers(1, 100), st.integers(-1200, 1200))
def test_tiers_never_turn_round(limit: int, width: int, value: int) -> None:
    """The larger a number under "below … at worst …", the worse its verdict."""
    text = f"below {limit:,}, at worst {limit + width:,}"
    here, further = (judged(text, number).verdict.badness for number in (value, value + 1))
    assert here <= further
    ends = [judged(text, number).verdict for number in (limit - 1, limit, limit + width)]
    assert [*ends, judged(text, limit + width + 1).verdict] == [PASSED, DEGRADED, DEGRADED, FAILED]


@given(st.integers(-1000, 1000), st.integers(1, 100))
def test_lower_tiers_mirror_upper_ones(limit: int, width: int) -> None:
    """ "at least … at worst …" is degraded down to its worst, included, and failed below."""
    text = f"at least {limit:,}, at worst {limit - width:,}"
    ends = (limit, limit - 1, limit - width, limit - width - 1)
    verdicts = [judged(text, number).verdict for number in ends]
    assert verdicts == [PASSED, DEGRADED, DEGRADED, FAILED]


@given(st.integers(0, 100_000))
def test_percent_and_ratio_agree_at_every_boundary(thousandths: int) -> None:
    """A ratio of x/100,000 is exactly x/1,000 per cent: neither below nor above it."""
    percent, ratio = thousandths / 1000, thousandths / 100_000
    assert judged(f"below {percent}%", ratio, "ratio").verdict is FAILED
    assert judged(f"at most {percent}%", ratio, "ratio").verdict is PASSED
    assert judged(f"exactly {percent}%", ratio, "ratio").verdict is PASSED


@given(st.integers(1, 10**6), st.sampled_from(list(UNITS)), st.sampled_from(list(UNITS)))
def test_every_unit_judges_like_every_other_of_its_kind(number: int, one: str, two: str) -> None:
    """A value converted into another unit of its dimension keeps the limits that it kept."""
    if UNITS[one].dimension != UNITS[two].dimension:
        assert judged(f"at most {number} {one}", number, two).verdict is UNKNOWN
        return
    converted = float(f"{UNITS[one].to(number, UNITS[two]):.15g}")
    assert judged(f"at most {number:,} {one}", converted, two).verdict is PASSED
    assert judged(f"below {number:,} {one}", converted, two).verdict is FAILED
    assert judged(f"below {number + 1:,} {one}", converted, two).verdict is PASSED


@pytest.mark.parametrize(
    ("limit", "value", "unit", "verdict", "found"),
    [
        ("below 10%", 0.123, "ratio", FAILED, "12.3%"),
        ("below 10%", 0.1, "ratio", FAILED, "10%"),
        ("at most 10%", 0.10004, "ratio", FAILED, "10.004%"),
        ("below 10%", 0.09999, "ratio", PASSED, "9.999%"),
        ("below 500 ms", 0.431, "s", PASSED, "431 ms"),
        ("below 1 s", 1234, "ms", FAILED, "1.23 s"),
        ("below 1 GB", 1_500_000_000, "bytes", FAILED, "1.5 GB"),
        ("below 26 hours", 3600, "s", PASSED, "1 hour"),
        ("at most 1 minute", 150, "s", FAILED, "2.5 minutes"),
        ("at least 0.7", 0.65, "ratio", FAILED, "0.65"),
        ("at least 0.7", 0.1 + 0.2, None, FAILED, "0.3"),
        ("above 90", 95.25, "%", PASSED, "95.2%"),
        ("at most 1,000", 12_345, None, FAILED, "12,345"),
        ("at most 1,000", 12_345.678, None, FAILED, "12,346"),
        ("below 0.001 s", 0.0000123, "s", PASSED, "0.0000123 s"),
        ("above 0 and at most 1", 0, None, FAILED, "0"),
        ("above 0 and at most 1", 1.0, None, PASSED, "1"),
        ("above 0 and at most 1", 1.5, None, FAILED, "1.5"),
        ("between 1 and 5 s", 5000, "ms", PASSED, "5 s"),
        ("between 1 and 5 s", 5001, "ms", FAILED, "5.001 s"),
        ("below 5, at worst 10", 10, None, DEGRADED, "10"),
        ("below 80%, at worst 90%", 0.9001, "ratio", FAILED, "90.01%"),
        ("below 500 ms, at worst 2 s", 0.6, "s", DEGRADED, "600 ms"),
        ("120 minutes", 7200, "s", PASSED, "120 minutes"),
        ("none", 0, None, PASSED, "0"),
        ("none", 3, None, FAILED, "3"),
        ("none, at worst 3", 3, None, DEGRADED, "3"),
    ],
)
def test_numbers_are_judged_and_shown_in_the_unit_of_the_limit(
    limit: str, value: float, unit: str | None, verdict: Verdict, found: str
) -> None:
    """People read the number found in the limit's own unit, with the digits that decide."""
    judgement = judged(limit, value, unit)
    assert (judgement.verdict, judgement.found, judgement.expected) == (verdict, found, limit)


def test_a_list_is_judged_by_its_count() -> None:
    """A list's count is its number, also where only a part of its rows was kept."""
    three = Table((Row.of({"id": 1}),), 3)
    assert judged("none", three) == Judgement(FAILED, "3", "none")
    assert judged("at most 3", three) == Judgement(PASSED, "3", "at most 3")
    assert judged("none", table()).verdict is PASSED


@pytest.mark.parametrize(
    ("limit", "value", "note"),
    [
        ("below 10", "5", 'was "5", a text, where a number was expected'),
        ("below 10", True, "was yes, a yes or no, where a number was expected"),
        ("none", False, "was no, a yes or no, where a number was expected"),
        ("below 10", None, "was absent, where a number was expected"),
        ("below 10", math.nan, "was nan, which is no number"),
        ("above 10", math.inf, "was inf, which is no number"),
        ("yes", 1, "was 1, a number, where a yes or no was expected"),
        ("no", "false", 'was "false", a text, where a yes or no was expected'),
        ("up", 200, "was 200, a number, where a text was expected"),
        ("not critical", None, "was absent, where a text was expected"),
        ('"success"', True, "was yes, a yes or no, where a text was expected"),
        ("present", False, "was no, a yes or no, where a value that can be present"),
        ("below 10", NOW, "was 2026-02-18 09:00:12 UTC, an instant, where a number was expected"),
        ("healthy", table(), "was 0, a list, where a text was expected"),
        ("below 10%", 5, "was in no unit, which cannot be compared with %"),
    ],
)
def test_a_value_of_the_wrong_kind_is_unknown(limit: str, value: Value, note: str) -> None:
    """What cannot be compared is unknown, never failed and never passed, and says why."""
    judgement = judged(limit, value)
    assert judgement.verdict is UNKNOWN
    assert judgement.note.startswith(note)


@given(
    st.sampled_from(RUNBOOK_LIMITS),
    st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(), st.just(NOW)),
)
def test_any_scalar_under_any_limit_gives_a_judgement(text: str, value: Scalar) -> None:
    """Judging never raises; without its comparison at hand, a limit that compares is unknown."""
    limit = parse_limit(text)
    judgement = limit.judge_value(value)
    assert judgement.found or judgement.note
    if (limit.others or limit.needs_before or limit.history) and not limit.where_one:
        assert judgement.verdict is UNKNOWN


# ---- No data -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "verdict", "note"),
    [
        ("at least 80%", UNKNOWN, "there was no data to measure"),
        ("at least 80%, where there were any", PASSED, "there were none to measure"),
        ("at least 80%, where there is one", PASSED, "there were none to measure"),
    ],
)
def test_no_data_passes_only_where_the_limit_says_so(
    limit: str, verdict: Verdict, note: str
) -> None:
    """The 0 that stands for no data is never judged."""
    judgement = parse_limit(limit).judge(seen(0, "ratio", no_data=True))
    assert judgement == Judgement(verdict, "", "at least 80%", note)


@pytest.mark.parametrize(
    ("any_data", "verdict", "note"),
    [
        (seen(0), PASSED, "there were no requests"),
        (seen(table()), PASSED, "there were no requests"),
        (seen(0, no_data=True), PASSED, "there were no requests"),
        (seen(3), FAILED, ""),
        (None, UNKNOWN, "its requests were not seen, so nobody knows whether there were any"),
        (seen("3"), UNKNOWN, 'the number of its requests was "3", a text, where a number was'),
    ],
)
def test_where_there_were_any_of_another_noun(
    any_data: Observation | None, verdict: Verdict, note: str
) -> None:
    """The other noun alone decides whether there is anything to judge."""
    limit = parse_limit("at least 1, where there were any requests")
    judgement = limit.judge(seen(0), Beside(any_data=any_data))
    assert judgement.verdict is verdict
    assert judgement.note.startswith(note)


def test_an_empty_cell_passes_only_where_there_is_one() -> None:
    """ "healthy, where there is one" lets an empty field pass, "healthy" fails it as absent."""
    assert parse_limit("healthy, where there is one").judge_value(None).verdict is PASSED
    assert parse_limit("healthy").judge_value(None) == Judgement(FAILED, "absent", "healthy")


# ---- Words, presence, sameness -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "value", "verdict"),
    [
        ("healthy or warning", "warning", PASSED),
        ("healthy or warning", "Warning", FAILED),
        ("healthy, at worst warning", "healthy", PASSED),
        ("healthy, at worst warning", "warning", DEGRADED),
        ("healthy, at worst warning", "critical", FAILED),
        ("not critical", "warning", PASSED),
        ("not critical", "critical", FAILED),
        ("yes", True, PASSED),
        ("yes", False, FAILED),
        ("no", False, PASSED),
        ("present", "x", PASSED),
        ("present", 0, PASSED),
        ("present", None, FAILED),
        ("present", "", FAILED),
        ("present", "absent", FAILED),
        ("present", table(), FAILED),
        ("present", table({"id": 1}), PASSED),
        ("absent", None, PASSED),
        ("absent", "absent", PASSED),
        ("absent", "", FAILED),
        ("absent", 0, FAILED),
        ("known", "4.0.1", PASSED),
        ("known", 0, PASSED),
        ("known", " ", FAILED),
        ("known", "Unknown", FAILED),
        ("present", "unknown", PASSED),
    ],
)
def test_words_and_presence(limit: str, value: Value, verdict: Verdict) -> None:
    """State words are exact; empty is neither present nor absent; "unknown" is not known."""
    assert judged(limit, value).verdict is verdict


def test_texts_are_shown_so_that_people_see_the_difference() -> None:
    """Two long texts that begin alike are told apart by where they differ."""
    ours, theirs = "a" * 200 + "b", "a" * 200 + "c"
    judgement = judged("the same as its x", ours, None, Beside({"x": seen(theirs)}))
    assert judgement.verdict is FAILED
    assert "differing from character 201 on" in judgement.found


@pytest.mark.parametrize(
    ("one", "other", "verdict"),
    [
        (seen("abc"), seen("abc"), PASSED),
        (seen("abc"), seen("abd"), FAILED),
        (seen(None), seen("abd"), FAILED),
        (seen("5"), seen(5), UNKNOWN),
        (seen(True), seen(1), UNKNOWN),
        (seen(5), seen(5.0), PASSED),
        (seen(0.1 + 0.2), seen(0.3), FAILED),
        (seen(1500, "ms"), seen(1.5, "s"), PASSED),
        (seen(1500, "ms"), seen(1.5), UNKNOWN),
        (seen(NOW), seen(NOW.astimezone()), PASSED),
        (seen(NOW), seen(NOW + timedelta(milliseconds=1)), FAILED),
        (seen(NOW), seen(NOW.replace(tzinfo=None)), UNKNOWN),
        (seen(5), seen(5, no_data=True), UNKNOWN),
    ],
)
def test_the_same_as_another_figure(one: Observation, other: Observation, verdict: Verdict) -> None:
    """Equal values of one kind are the same; two kinds are unknown."""
    judgement = parse_limit("the same as its x").judge(one, Beside({"x": other}))
    assert judgement.verdict is verdict


@pytest.mark.parametrize(
    ("one", "other", "verdict", "found"),
    [
        (table({"id": 1}, {"id": 2}), table({"id": "2"}, {"id": "1"}), PASSED, "2 rows"),
        (table({"id": 1}), table({"id": 1}, {"id": 1}), FAILED, "1 row"),
        (table({"id": 1}), table({"id": 2}), FAILED, "1 row, 1 of them not among those"),
        (table({"id": None}), table({"id": ""}), PASSED, "1 row"),
        (table(), table(), PASSED, "0 rows"),
        (table({"id": 1}), table({"key": 1}), UNKNOWN, ""),
        (table({"id": 1}, {"no": 1}), table({"id": 1}, {"id": 1}), UNKNOWN, ""),
        (Table((), 2_000), Table((), 2_000), UNKNOWN, ""),
    ],
)
def test_the_same_rows(one: Table, other: Table, verdict: Verdict, found: str) -> None:
    """Lists are the same by all their cells, in any order; a part of a list proves nothing."""
    judgement = judged("the same as its x", one, None, Beside({"x": seen(other)}))
    assert (judgement.verdict, judgement.found) == (verdict, found)


# ---- Before, others, earlier ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "value", "before", "verdict", "expected"),
    [
        ("lower than before", 11, 12, PASSED, "lower than before (12)"),
        ("lower than before", 12, 12, FAILED, "lower than before (12)"),
        ("no higher than before", 12, 12, PASSED, "no higher than before (12)"),
        ("1 higher than before", 13, 12, PASSED, "1 higher than before (12)"),
        ("1 higher than before", 14, 12, FAILED, "1 higher than before (12)"),
        ("1 lower than before", 11, 12, PASSED, "1 lower than before (12)"),
        ("the same as before", 0.1234567890123, 0.1234567890123, PASSED, None),
        ("the same as before", "a", "b", FAILED, "the same as before (b)"),
        ("later than before", NOW, NOW, FAILED, None),
        ("later than before", NOW + timedelta(seconds=1), NOW, PASSED, None),
        ("no later than before", NOW, NOW, PASSED, None),
        ("no earlier than before", NOW, NOW, PASSED, None),
        ("earlier than before", NOW, NOW, FAILED, None),
        ("no lower than before", 12, 12, PASSED, None),
        ("no lower than before", 11, 12, FAILED, None),
        ("higher than before", 12, 12, FAILED, None),
        ("later than before", 5, 4, UNKNOWN, None),
        ("lower than before", NOW, NOW, UNKNOWN, None),
    ],
)
def test_before(limit: str, value: Value, before: Value, verdict: Verdict, expected: str) -> None:
    """What was seen before the operation is compared with, and shown beside the limit."""
    judgement = judged(limit, value, None, Beside(before=seen(before)))
    assert judgement.verdict is verdict
    assert expected in (None, judgement.expected)


@pytest.mark.parametrize(
    ("value", "verdict"), [(9, FAILED), (10, PASSED), (11, PASSED), (12, PASSED), (13, FAILED)]
)
def test_between_before_and_after(value: int, verdict: Verdict) -> None:
    """A backup taken while the counted grow may hold any count from before to after."""
    limit = "between its number of scans before and after"
    judgement = judged(limit, value, None, Beside(before=seen(10), after=seen(12)))
    assert judgement == Judgement(verdict, str(value), f"{limit} (10 and 12)")


def test_so_many_times_another_figure() -> None:
    """A number of times compares in base units and shows the other figure."""
    beside = Beside({"bit rate": seen(320)})
    assert judged("above 1.5 times its bit rate", 481, None, beside).verdict is PASSED
    assert judged("above 1.5 times its bit rate", 480, None, beside) == Judgement(
        FAILED, "480", "above 1.5 times its bit rate (320)"
    )


@pytest.mark.parametrize(
    ("limit", "value", "earlier", "verdict"),
    [
        ("at most 2 points below last week's", 0.90, (0.92,), PASSED),
        ("at most 2 points below last week's", 0.8999, (0.92,), FAILED),
        ("at most 2 points above last week's", 0.94, (0.92,), PASSED),
        ("at most 25% above last week's", 0.125, (0.1,), PASSED),
        ("at most 25% above last week's", 0.1251, (0.1,), FAILED),
        ("at most 1.5 times that of the 7 days before", 0.15, (0.1,), PASSED),
        ("at most 1.5 times that of the 7 days before", 0.1501, (0.1,), FAILED),
        ("within 50% of the median of the five before it", 0.5, (1, 1, 1, 9, 0.1), PASSED),
        ("within 50% of the median of the five before it", 1.5, (1, 1, 1, 9, 0.1), PASSED),
        ("within 50% of the median of the five before it", 1.51, (1, 1, 1, 9, 0.1), FAILED),
        ("within 50% of the median of the five before it", 0.49, (1, 1, 1, 9, 0.1), FAILED),
        ("within 50% of the median of the five before it", 1, (1, 1, 1), UNKNOWN),
        ("within 50% of the median of the five before it, where there is one", 1, (1,), PASSED),
        ("at least last week's", 1, (), UNKNOWN),
        ("at least last week's, where there is one", 1, (), PASSED),
        ("at least last week's", 1, (math.nan,), UNKNOWN),
    ],
)
def test_earlier_values(
    limit: str, value: float, earlier: tuple[float, ...], verdict: Verdict
) -> None:
    """History is computed without binary noise; too little of it is unknown unless allowed."""
    assert judged(limit, value, "ratio", Beside(earlier=earlier)).verdict is verdict


# ---- Which figures a limit fits, and the sentence ------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "unit", "states", "said"),
    [
        ("below 10%", "s", None, 'the figure is in s; write for example "below 5 s"'),
        ("below 10%", None, None, "the figure has no unit"),
        ("below 10", "s", None, 'write "10 s"'),
        ("below 90", "ratio", None, 'write "90%"'),
        ("at least 0.7", "%", None, 'write "70%"'),
        ("below 10%", None, ("up", "down"), "the figure is one of up, down"),
        ("upp", None, ("up", "down"), 'did you mean "up"?'),
        ("up, at worst odd", None, ("up", "down"), '"odd" is none of'),
        ('"upp"', None, ("up", "down"), '"upp" is none of'),
        ("up", "s", None, "the figure is a number in s"),
        ("yes", None, ("up", "down"), "the figure is one of up, down"),
        ("later than before", "s", None, '"later than" compares instants'),
        ("1 higher than before", "ratio", None, "2 points higher than before"),
        ("at most 2 points below last week's", "s", None, "points are between shares"),
    ],
)
def test_a_limit_that_fits_no_such_figure_says_what_to_write(
    limit: str, unit: str | None, states: tuple[str, ...] | None, said: str
) -> None:
    """Before anything is looked at, a limit of the wrong kind is refused in a sentence."""
    problem = parse_limit(limit).check(UNITS[unit] if unit else None, states)
    assert problem is not None
    assert said in problem


@pytest.mark.parametrize(
    ("limit", "unit", "states"),
    [
        ("below 10%", UNITS["ratio"], None),
        ("at least 0.7", UNITS["ratio"], None),
        ("between 0 and 1", UNITS["ratio"], None),
        ("above 90", UNITS["%"], None),
        ("below 500 ms", UNITS["s"], None),
        ("at most 5", None, None),
        ("none", UNITS["s"], None),
        ("Radarr", None, None),
        ("up, at worst slow", None, ("up", "slow", "down")),
        ("known", None, ("up", "down")),
        ("the same as before", UNITS["s"], None),
        ("at most 2 points below last week's", UNITS["ratio"], None),
    ],
)
def test_a_limit_that_fits_is_let_through(
    limit: str, unit: Unit | None, states: tuple[str, ...] | None
) -> None:
    """What the runbooks write of their figures is not refused."""
    assert parse_limit(limit).check(unit, states) is None


def test_the_sentence() -> None:
    """A judgement is enough to say what was found and what was expected."""
    assert judged("below 10%", 0.123, "ratio").told("its error rate") == (
        "its error rate was 12.3%, expected below 10%"
    )
    assert judged("below 10", "5").told("its error rate") == (
        'its error rate: was "5", a text, where a number was expected'
    )
