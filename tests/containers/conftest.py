"""One Docker Engine for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.containers.engine import Found, OwnEngine
from fixtures.containers.images import base

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def engine() -> Iterator[Found]:
    """One that runs on this machine, else our own, which ends with whoever started it."""
    own = OwnEngine(ROOT)
    found = own.find()
    base(found)
    yield found
    if found.started:
        own.stop()
