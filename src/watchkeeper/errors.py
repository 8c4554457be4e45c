"""What can go wrong, as one family, so that every caller knows which kind it holds.

WatchkeeperError
├── ConfigurationError   a file or option is wrong: where, what was expected, what to write
├── CouldNotObserve      a look has no answer: the verdict is unknown, never fine and never down
│   └── CouldNotTry      this machine lacks what looking needs: the verdict is not run
├── OperationRefused     a lock is closed or a precondition is unmet: nothing was changed
├── OperationFailed      it was tried and the system said no: nothing or part was changed
└── OperationUnknown     it was tried and nobody can say whether it took effect
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class WatchkeeperError(Exception):
    """The root of the family."""


@dataclass(frozen=True)
class Place:
    """Where in a file something stands; `line` counts from 1."""

    path: Path
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.line else str(self.path)


class ConfigurationError(WatchkeeperError):
    """A user's mistake in a file, an option or the environment.

    `problem` says what was found and what was expected, `hint` what to write instead.
    """

    def __init__(self, problem: str, *, place: Place | None = None, hint: str = "") -> None:
        self.problem = problem
        self.place = place
        self.hint = hint
        super().__init__(problem)

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        return f"{where}{self.problem}" + (f"\n    {self.hint}" if self.hint else "")


class CouldNotObserve(WatchkeeperError):
    """A look that has no answer.

    `kind` is a short stable word that `counts as` in a target file may name: "refused", "timeout",
    "no such name", "certificate", "closed", an HTTP status such as "503", "not JSON", "missing",
    "no rows", "not a number", "too large", "login refused", …
    `reason` is the sentence for people, without secrets. `source` says where was looked.
    """

    def __init__(
        self,
        kind: str,
        reason: str,
        *,
        source: str = "",
        excerpt: str = "",
        duration_s: float = 0.0,
    ) -> None:
        self.kind = kind
        self.reason = reason
        self.source = source
        self.excerpt = excerpt
        self.duration_s = duration_s
        super().__init__(reason)


class CouldNotTry(CouldNotObserve):
    """A look that nobody could begin, for lack of a program here; `reason` says what installs it.

    It tells nothing about the system, and no second look will.
    """


class OperationRefused(WatchkeeperError):
    """The operation was not tried, and nothing was changed."""


class OperationFailed(WatchkeeperError):
    """The operation was tried and failed; the message says what the system answered."""


class OperationUnknown(WatchkeeperError):
    """It was tried and its outcome is unknown (a time-out, a 500 after the work began)."""
