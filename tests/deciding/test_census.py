"""Does the census notice a check that should have run and did not?"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watchkeeper.deciding.census import Entry, expected, missing, partial, profile_of, take

SUITE = (
    Entry("a", frozenset({"daily"})),
    Entry("b", frozenset({"daily", "alert"})),
    Entry("c", frozenset({"weekly"})),
)


def test_a_profile_expects_its_tag() -> None:
    """A profile is the checks that carry its tag; without a profile it is all of them."""
    assert expected(SUITE, frozenset({"daily"})) == ("a", "b")
    assert expected(SUITE, frozenset({"daily", "alert"})) == ("b",)
    assert expected(SUITE, frozenset()) == ("a", "b", "c")


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


def test_only_plain_tags_together_are_a_profile() -> None:
    """All else selects something, and promises nothing."""
    assert profile_of(" daily ") == {"daily"}
    assert profile_of("routing-ml  and deploy-model") == {"routing-ml", "deploy-model"}
    assert profile_of("") == frozenset()
    for other in ("daily or alert", "daily and not alert", "not daily", "(daily)", "daily and",
                  "a and (b)", "not", "daily and not"):  # fmt: skip
        assert profile_of(other) is None, other


def test_a_profile_of_one_system_that_lacks_a_check_says_which() -> None:
    """`-m "routing-ml and deploy"` is as whole as `-m daily`: it is what a gate asks."""
    assert take(SUITE, [], "daily and alert").missing == ("b",)
    assert take(SUITE, ["b"], "daily and alert").partial == ""


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # of a busy machine
@given(st.sets(st.text()), st.sets(st.text()))
def test_missing_is_what_is_expected_less_what_is_recorded(one: set[str], other: set[str]) -> None:
    """Nothing recorded is missing, nothing else is left out."""
    assert set(missing(sorted(one), other)) == one - other
