"""A project of its own for each test, and a system that no run owns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runs.runs import ROOT, SLUG, Project
from watchkeeper.proving.replicas import Replica, start_replica


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project that a test may change."""
    project = Project(tmp_path)
    yield project
    project.close()


@pytest.fixture(scope="session")
def one_system() -> Iterator[Replica]:
    """The system as production has it: started by somebody else, known by its variables only."""
    system = start_replica(ROOT, SLUG)
    yield system
    system.close()


@pytest.fixture
def system(one_system: Replica) -> Iterator[Replica]:
    """The same, fresh and healthy before and after."""
    yield one_system
    one_system.reset()


PRODUCTION = "  production: {allows: looking}"


@pytest.fixture
def open_production(project: Project) -> Project:
    """A project whose target file lets production be destroyed: one of the three locks is open."""
    real = (ROOT / "targets" / f"{SLUG}.yml").read_text("utf-8")
    assert PRODUCTION in real
    project.write(
        f"targets/{SLUG}.yml", real.replace(PRODUCTION, "  production: {allows: destroys}")
    )
    return project
