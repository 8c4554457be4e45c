"""Does the gate say go only where everything that counts was seen to be fine?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.deciding.gate import (
    EXIT_CONFIGURATION,
    EXIT_GO,
    EXIT_INCOMPLETE,
    EXIT_INCONCLUSIVE,
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    EXIT_NO_GO,
    Level,
    Vote,
    decide,
)
from watchkeeper.verdicts import Verdict

P1, P2, P3 = Level.P1, Level.P2, Level.P3
FINE = Vote(P1, Verdict.PASSED, check="MM-DAY-1")


def test_exit_codes_are_as_documented() -> None:
    """Scripts rely on these numbers."""
    codes = (EXIT_GO, EXIT_NO_GO, EXIT_INTERRUPTED, EXIT_INTERNAL, EXIT_CONFIGURATION)
    assert codes == (0, 1, 2, 3, 4)
    assert (EXIT_INCONCLUSIVE, EXIT_INCOMPLETE) == (10, 11)


@pytest.mark.parametrize(
    ("vote", "verdict", "code"),
    [
        (Vote(P1, Verdict.PASSED), "go", EXIT_GO),
        (Vote(P1, Verdict.DEGRADED), "go", EXIT_GO),
        (Vote(P1, Verdict.WAIVED), "go", EXIT_GO),
        (Vote(P1, Verdict.NOT_APPLICABLE), "go", EXIT_GO),
        (Vote(P1, Verdict.FAILED), "no-go", EXIT_NO_GO),
        (Vote(P1, Verdict.BLOCKED, Verdict.FAILED), "no-go", EXIT_NO_GO),
        (Vote(P1, Verdict.BLOCKED, Verdict.UNKNOWN), "inconclusive", EXIT_INCONCLUSIVE),
        (Vote(P1, Verdict.BLOCKED), "inconclusive", EXIT_INCONCLUSIVE),
        (Vote(P1, Verdict.UNKNOWN), "inconclusive", EXIT_INCONCLUSIVE),
        (Vote(P1, Verdict.NOT_RUN), "incomplete", EXIT_INCOMPLETE),
        (Vote(P1, Verdict.UNSIGNED), "incomplete", EXIT_INCOMPLETE),
    ],
)
def test_each_verdict_beside_a_passed_one(vote: Vote, verdict: str, code: int) -> None:
    """Every verdict does to the decision what the table of exit codes says."""
    decision = decide([FINE, vote])
    assert (decision.verdict, decision.exit_code) == (verdict, code)
    assert decision.sentence.startswith(f"{verdict}: ")


@pytest.mark.parametrize(
    "votes",
    [
        [],
        [Vote(P1, Verdict.WAIVED)],
        [Vote(P1, Verdict.NOT_APPLICABLE)],
        [Vote(P3, Verdict.PASSED)],
    ],
)
def test_nothing_that_votes_is_never_go(votes: list[Vote]) -> None:
    """An empty set, all waived, all not applicable, or all below the gate is incomplete."""
    decision = decide(votes, P2)
    assert (decision.verdict, decision.exit_code) == ("incomplete", EXIT_INCOMPLETE)


def test_below_the_gate_is_shown_and_let_through() -> None:
    """--gate P2 lets a P3 failure through, and says so."""
    votes = [FINE, Vote(P3, Verdict.FAILED, check="MM-DAY-2")]
    assert decide(votes, P2).verdict == "go"
    assert "below the gate of P2, shown only: 1 failed" in decide(votes, P2).sentence
    assert decide(votes).verdict == "no-go"
    assert decide([FINE, Vote(P2, Verdict.FAILED)], P2).verdict == "no-go"


def test_the_most_pressing_comes_first() -> None:
    """Internal, interrupted, configuration, no-go, incomplete, inconclusive: in this order."""
    votes = [
        FINE,
        Vote(P1, Verdict.FAILED),
        Vote(P1, Verdict.NOT_RUN),
        Vote(P1, Verdict.UNKNOWN),
    ]
    codes = [
        decide(votes, interrupted=True, configuration_error=True, internal_error=True).exit_code,
        decide(votes, interrupted=True, configuration_error=True).exit_code,
        decide(votes, configuration_error=True).exit_code,
        decide(votes).exit_code,
        decide([votes[0], *votes[2:]]).exit_code,
        decide([votes[0], votes[-1]]).exit_code,
    ]
    assert codes == [
        EXIT_INTERNAL,
        EXIT_INTERRUPTED,
        EXIT_CONFIGURATION,
        EXIT_NO_GO,
        EXIT_INCOMPLETE,
        EXIT_INCONCLUSIVE,
    ]


def test_a_missing_check_is_incomplete_and_named() -> None:
    """What the census misses counts, also where all that ran has passed."""
    decision = decide([FINE], missing=["MM-DAY-4[Radarr]"])
    assert decision.exit_code == EXIT_INCOMPLETE
    assert "1 check of the profile did not run (MM-DAY-4[Radarr])" in decision.sentence


def test_sentences_name_the_checks() -> None:
    """A no-go names what failed and what that blocks, and stops at five names."""
    votes = [Vote(P1, Verdict.FAILED, check=f"MM-DAY-{number}") for number in range(1, 8)]
    votes.append(Vote(P1, Verdict.BLOCKED, Verdict.FAILED, "MM-PRE-1"))
    assert decide(votes).sentence == (
        "no-go: 7 checks failed (MM-DAY-1, MM-DAY-2, MM-DAY-3, MM-DAY-4, MM-DAY-5 and 2 more); "
        "1 check is blocked (MM-PRE-1)"
    )


VOTES = st.lists(
    st.builds(
        Vote,
        st.sampled_from(Level),
        st.sampled_from(Verdict),
        st.sampled_from([None, Verdict.FAILED, Verdict.UNKNOWN]),
    )
)


@given(VOTES, st.sampled_from(Level))
def test_go_means_that_all_that_counts_is_good(votes: list[Vote], gate: Level) -> None:
    """Whatever the votes: go has at least one good vote at the gate, and no other."""
    if decide(votes, gate).exit_code == EXIT_GO:
        counting = [vote.verdict for vote in votes if vote.level <= gate]
        assert all(verdict.good for verdict in counting)
        assert {Verdict.PASSED, Verdict.DEGRADED} & set(counting)


@given(VOTES, st.sampled_from(Level), st.sampled_from(Level))
def test_a_failure_at_the_gate_is_always_no_go(
    votes: list[Vote], gate: Level, level: Level
) -> None:
    """No company of votes hides a failure that counts."""
    decision = decide([*votes, Vote(level, Verdict.FAILED)], gate)
    assert (decision.verdict == "no-go") or level > gate


def test_levels_are_read_strictly() -> None:
    """P2 is a level; p2, P5 and nothing are refused with the levels there are."""
    assert Level("P2") is P2
    for text in ("p2", "P5", ""):
        with pytest.raises(ValueError, match="write one of P0, P1, P2, P3, P4"):
            Level(text)


@pytest.mark.parametrize(
    ("beside", "verdict", "code"),
    [
        (FINE, "incomplete", EXIT_INCOMPLETE),
        (Vote(P1, Verdict.UNKNOWN), "incomplete", EXIT_INCOMPLETE),
        (Vote(P1, Verdict.FAILED), "no-go", EXIT_NO_GO),
    ],
)
def test_an_unproven_check_is_a_reason_to_be_incomplete(
    beside: Vote, verdict: str, code: int
) -> None:
    """Where proof counts, what passed unproven is not go; a failure is more pressing."""
    decision = decide([Vote(P1, Verdict.PASSED, check="MM-DAY-2", unproven=True), beside])
    assert (decision.verdict, decision.exit_code) == (verdict, code)
    if verdict == "incomplete":
        assert "1 check is unproven (MM-DAY-2)" in decision.sentence


@pytest.mark.parametrize(
    "vote",
    [
        Vote(P3, Verdict.PASSED, unproven=True),
        Vote(P1, Verdict.WAIVED, unproven=True),
        Vote(P1, Verdict.NOT_APPLICABLE, unproven=True),
    ],
)
def test_what_has_no_vote_needs_no_proof(vote: Vote) -> None:
    """Below the gate, waived or not applicable: whether it is proven does not count."""
    assert decide([FINE, vote], P2).verdict == "go"
