"""What time it is, for judging and for windows; a drill can move it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta


@dataclass
class Clock:
    """UTC now, plus `offset` (zero outside drills)."""

    offset: timedelta = field(default_factory=timedelta)
    longest_pause_s: float = 2.0
    """How far apart the looks of "within" and "throughout" come to be, in seconds of this clock."""

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of this clock, for something to come; a drill's clock moves on."""
        time.sleep(seconds)

    def watch(self, seconds: float) -> None:
        """Let `seconds` of this clock pass while nothing is to come, but all to stay as it is."""
        self.sleep(seconds)


@dataclass(frozen=True)
class Window:
    """A stretch of time that a figure is read over: `since` ≤ instant < `until`, both UTC."""

    since: datetime
    until: datetime

    @property
    def seconds(self) -> float:
        return (self.until - self.since).total_seconds()
