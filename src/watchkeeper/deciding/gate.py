"""Go or no-go: what do the verdicts of a run come to, and with which exit code?"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from watchkeeper.verdicts import Verdict

EXIT_GO = 0
EXIT_NO_GO = 1
EXIT_INTERRUPTED = 2  # 2, 3 and 4 are pytest's own
EXIT_INTERNAL = 3
EXIT_CONFIGURATION = 4
EXIT_INCONCLUSIVE = 10
EXIT_INCOMPLETE = 11

_NAMED = 5  # checks that a sentence names before it says how many more there are


class Level(enum.StrEnum):
    """How much a check matters; P0 most, and the smaller by comparison.

    Level("P2") raises ValueError with a sentence for what is no level.
    """

    P0 = "P0"
    P1 = "P1"
    P2 = "P2"
    P3 = "P3"
    P4 = "P4"

    @classmethod
    def _missing_(cls, value: object) -> Level:
        raise ValueError(f'"{value}" is no level; write one of {", ".join(cls)}')

    def gated_by(self, gate: Level) -> bool:
        """Whether findings of this level count under `--gate GATE`."""
        return self <= gate


class Effect(enum.Enum):
    """What one vote does to the decision, most pressing first."""

    NO_GO = "no-go"
    INCOMPLETE = "incomplete"
    INCONCLUSIVE = "inconclusive"
    GO = "go"
    NONE = "no vote"


_EFFECTS = {
    Verdict.FAILED: Effect.NO_GO,
    Verdict.NOT_RUN: Effect.INCOMPLETE,
    Verdict.UNSIGNED: Effect.INCOMPLETE,
    Verdict.UNKNOWN: Effect.INCONCLUSIVE,
    Verdict.PASSED: Effect.GO,
    Verdict.DEGRADED: Effect.GO,
    Verdict.WAIVED: Effect.NONE,
    Verdict.NOT_APPLICABLE: Effect.NONE,
}
_EXITS = {
    Effect.NO_GO: EXIT_NO_GO,
    Effect.INCOMPLETE: EXIT_INCOMPLETE,
    Effect.INCONCLUSIVE: EXIT_INCONCLUSIVE,
}


@dataclass(frozen=True)
class Vote:
    """How one check votes.

    `cause`: the verdict of what blocks it; None where that is not known. `check` names it.
    `unproven`: nobody has seen it red, and that is to count.
    """

    level: Level
    verdict: Verdict
    cause: Verdict | None = None
    check: str = ""
    unproven: bool = False

    @property
    def effect(self) -> Effect:
        """Blocked by something that failed is a failure, blocked by anything else an unknown."""
        if self.verdict is not Verdict.BLOCKED:
            return _EFFECTS[self.verdict]
        return Effect.NO_GO if self.cause is Verdict.FAILED else Effect.INCONCLUSIVE


@dataclass(frozen=True)
class Decision:
    """What a run comes to.

    `verdict`: go, no-go, inconclusive, incomplete or interrupted. `sentence` says why.
    """

    verdict: str
    exit_code: int
    sentence: str


def decide(
    votes: Sequence[Vote],
    gate: Level = Level.P4,
    *,
    interrupted: bool = False,
    configuration_error: bool = False,
    internal_error: bool = False,
    missing: Sequence[str] = (),
) -> Decision:
    """The decision over `votes`, of which those at `gate` and above it count.

    `missing` names checks that the census expected and nobody ran. No votes at all are never go.
    """
    if internal_error:
        return Decision("incomplete", EXIT_INTERNAL, "incomplete: watchkeeper itself broke")
    if interrupted:
        return Decision("interrupted", EXIT_INTERRUPTED, "interrupted: the run was stopped")
    if configuration_error:
        return Decision(
            "incomplete", EXIT_CONFIGURATION, "incomplete: a file or an option is wrong"
        )
    counting = [vote for vote in votes if vote.level.gated_by(gate)]
    for effect in (Effect.NO_GO, Effect.INCOMPLETE, Effect.INCONCLUSIVE):
        reasons = _reasons(counting, effect)
        if effect is Effect.INCOMPLETE:
            reasons += _lacking(counting, missing, gate)
        if reasons:
            sentence = f"{effect.value}: {'; '.join(reasons)}{_below(votes, gate)}"
            return Decision(effect.value, _EXITS[effect], sentence)
    return _go(votes, counting, gate)


def _go(votes: Sequence[Vote], counting: Sequence[Vote], gate: Level) -> Decision:
    voting = [vote for vote in counting if vote.effect is not Effect.NONE]
    degraded = sum(vote.verdict is Verdict.DEGRADED for vote in voting)
    passed = f"{_checks(len(voting))} passed" + (
        f", {degraded} of them degraded" if degraded else ""
    )
    return Decision(Effect.GO.value, EXIT_GO, f"go: {passed}{_below(votes, gate)}")


def _reasons(votes: Iterable[Vote], effect: Effect) -> list[str]:
    """One reason for each verdict: "2 checks failed (MM-DAY-1, MM-DAY-2)"."""
    found = [vote for vote in votes if vote.effect is effect]
    verdicts = sorted({vote.verdict for vote in found}, key=lambda each: -each.badness)
    return [
        _reason(verdict, [vote for vote in found if vote.verdict is verdict])
        for verdict in verdicts
    ]


def _reason(verdict: Verdict, votes: Sequence[Vote]) -> str:
    if verdict is Verdict.FAILED:
        said = "failed"
    else:
        said = f"{'is' if len(votes) == 1 else 'are'} {verdict.value}"
    return f"{_checks(len(votes))} {said}{_names([vote.check for vote in votes])}"


def _lacking(counting: Sequence[Vote], missing: Sequence[str], gate: Level) -> list[str]:
    reasons = []
    if missing:
        reasons.append(f"{_checks(len(missing))} of the profile did not run{_names(missing)}")
    voting = [vote for vote in counting if vote.effect is not Effect.NONE]
    unproven = [vote.check for vote in voting if vote.unproven]
    if unproven:
        are = "is" if len(unproven) == 1 else "are"
        reasons.append(f"{_checks(len(unproven))} {are} unproven{_names(unproven)}")
    if not voting:
        reasons.append(f"no check of {_levels(gate)} has a vote, and nothing run is never go")
    return reasons


def _below(votes: Iterable[Vote], gate: Level) -> str:
    """What the gate lets through, so that nobody overlooks it."""
    through = Counter(
        vote.verdict.value
        for vote in votes
        if not vote.level.gated_by(gate) and vote.effect not in (Effect.GO, Effect.NONE)
    )
    if not through:
        return ""
    counts = ", ".join(f"{count} {word}" for word, count in through.items())
    return f"; below the gate of {gate.name}, shown only: {counts}"


def _levels(gate: Level) -> str:
    return gate.name if gate is Level.P0 else f"{Level.P0.name} to {gate.name}"


def _checks(count: int) -> str:
    return "1 check" if count == 1 else f"{count:,} checks"


def _names(names: Sequence[str]) -> str:
    said = [name for name in names if name]
    more = f" and {len(said) - _NAMED} more" if len(said) > _NAMED else ""
    return f" ({', '.join(said[:_NAMED])}{more})" if said else ""
