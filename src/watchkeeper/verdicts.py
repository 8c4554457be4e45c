"""How a check can end, which end is worse, and how each end is called."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime


class Verdict(enum.Enum):
    """The nine verdicts, best first; the value is the word people read."""

    NOT_APPLICABLE = "not applicable"
    PASSED = "passed"
    WAIVED = "waived"
    DEGRADED = "degraded"
    UNSIGNED = "unsigned"
    NOT_RUN = "not run"
    UNKNOWN = "unknown"
    BLOCKED = "blocked"
    FAILED = "failed"

    @property
    def badness(self) -> int:
        """0 is best. Failed outweighs unknown: what is known to be bad is the more urgent news."""
        return list(Verdict).index(self)

    @property
    def letter(self) -> str:
        """One character for pytest's progress line."""
        return _LETTERS[self]

    @property
    def good(self) -> bool:
        return self in (Verdict.PASSED, Verdict.DEGRADED, Verdict.WAIVED, Verdict.NOT_APPLICABLE)


_LETTERS = {
    Verdict.NOT_APPLICABLE: "a",
    Verdict.PASSED: ".",
    Verdict.WAIVED: "w",
    Verdict.DEGRADED: "d",
    Verdict.UNSIGNED: "g",
    Verdict.NOT_RUN: "n",
    Verdict.UNKNOWN: "?",
    Verdict.BLOCKED: "b",
    Verdict.FAILED: "F",
}


@dataclass(frozen=True)
class Finding:
    """A verdict with its sentence.

    `step` is the Gherkin sentence that was judged, `sentence` what was found, `source` where it was
    seen, `started` UTC, `duration_s` seconds. `cause` names the finding that blocks this one.
    """

    step: str
    verdict: Verdict
    sentence: str
    source: str
    started: datetime
    duration_s: float
    cause: str = ""


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of `verdicts`; NOT_RUN where there are none, since nothing run is never green."""
    return max(verdicts, key=lambda verdict: verdict.badness, default=Verdict.NOT_RUN)
