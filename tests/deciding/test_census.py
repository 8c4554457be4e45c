"""Does the census notice a check that should have run and did not?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.deciding.census import Entry, expected, missing, partial, profile_of, take

SUITE = (
    Entry("a", frozenset({"daily"})),
    Entry("b", frozenset({"daily", "alert"})),
    Entry("c", frozenset({"weekly"})),
)


def test_a_profile_expects_its_tag() -> None:
    """A profile is the checks that carry its tag; without a profile it is all of them."""
    assert expected(SUITE, "daily") == ("a", "b")
    assert expected(SUITE, "") == ("a", "b", "c")


def test_a_whole_profile_that_lacks_a_check_says_which() -> None:
    """A check of the profile that nobody recorded is missing; one more than expected is not."""
    assert take(SUITE, ["a", "c"], "daily").missing == ("b",)
    assert take(SUITE, ["b", "a"], "daily").missing == ()


@pytest.mark.parametrize(
    ("expression", "narrowed_by", "why"),
    [
        ("daily", (), ""),
        ("", (), ""),
        ("daily", ("-k radarr",), "narrowed by -k radarr"),
        ("daily", ("--lf", "-x"), "narrowed by --lf, -x"),
        ("daily and not alert", (), 'narrowed by -m "daily and not alert"'),
        ("not daily", (), 'narrowed by -m "not daily"'),
    ],
)
def test_a_narrowed_run_is_partial_with_its_reason(
    expression: str, narrowed_by: tuple[str, ...], why: str
) -> None:
    """A narrowed run claims no profile, so nothing of one is missing from it."""
    assert partial(expression, narrowed_by) == why
    if why:
        census = take(SUITE, [], expression, narrowed_by)
        assert (census.missing, census.partial) == ((), why)


def test_only_one_plain_tag_is_a_profile() -> None:
    """An expression of several words selects something, and promises nothing."""
    profiles = [profile_of(text) for text in (" daily ", "deploy-model", "", "daily or alert")]
    assert profiles == ["daily", "deploy-model", "", None]


@given(st.sets(st.text()), st.sets(st.text()))
def test_missing_is_what_is_expected_less_what_is_recorded(one: set[str], other: set[str]) -> None:
    """Nothing recorded is missing, nothing else is left out."""
    assert set(missing(sorted(one), other)) == one - other
