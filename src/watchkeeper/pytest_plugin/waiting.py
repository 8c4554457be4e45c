"""What does a person see while a sentence waits for something to come true?"""

from __future__ import annotations

import time

import pytest

from watchkeeper.pytest_plugin.state import is_worker
from watchkeeper.pytest_plugin.watch import WATCH
from watchkeeper.recording.redaction import clean

EVERY_S = 5.0
"""Seconds between two lines: often enough to see that it moves, seldom enough to read."""


class Waiting:
    """Tells the terminal now and then what was found so far; says nothing for short waits."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._last = time.monotonic()

    def __call__(self, told: str) -> None:
        if time.monotonic() - self._last < EVERY_S:
            return
        self._last = time.monotonic()
        tell_terminal(self._config, f"  waiting: {told}")


def tell_terminal(config: pytest.Config, told: str) -> None:
    """One line for whoever looks on, whatever pytest captures; none from a worker."""
    plugins = config.pluginmanager
    reporter = plugins.get_plugin("terminalreporter")
    capture = plugins.get_plugin("capturemanager")
    if reporter is None or capture is None or is_worker(config):
        return
    with capture.global_and_fixture_disabled():
        reporter.ensure_newline()
        reporter.write_line(config.stash[WATCH].redactor.text(clean(told)))
