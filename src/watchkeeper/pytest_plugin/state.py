"""What the hooks keep between them: one key for each thing, on pytest's own stash."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from watchkeeper.performing import Performance
from watchkeeper.plan import Scenario
from watchkeeper.pytest_plugin.account import Account
from watchkeeper.pytest_plugin.allure_bridge import RedactingWriter
from watchkeeper.recording.ledger import Ledger
from watchkeeper.recording.run import CheckRecord, RunRecord


class Running:
    """One scenario under way in pytest: its plan's steps, in the order pytest-bdd asks for them."""

    def __init__(self, scenario: Scenario, performance: Performance) -> None:
        self.scenario = scenario
        self.performance = performance
        self.began = time.monotonic()
        self.started = datetime.now(UTC)
        self.record: CheckRecord | None = None
        self._left = list(reversed(scenario.steps))

    @property
    def all_performed(self) -> bool:
        return not self._left

    def next_step(self) -> None:
        self.performance.perform(self._left.pop())


ACCOUNT = pytest.StashKey[Account]()
RUN = pytest.StashKey[RunRecord]()
WRITER = pytest.StashKey[RedactingWriter]()
LEDGER = pytest.StashKey[Ledger]()
SUITE = pytest.StashKey[list[tuple[str, Scenario]]]()
REFUSAL = pytest.StashKey[str]()
"""In a worker: why nothing can be run here. The leading process refuses to start instead."""
PERFORMANCE = pytest.StashKey[Running]()


def is_worker(config: pytest.Config) -> bool:
    """Whether this process is one of xdist's workers."""
    return hasattr(config, "workerinput")
