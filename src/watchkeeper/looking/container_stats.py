"""What does each container use: how much of a CPU, how much memory?"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import Field

from watchkeeper.containers import Container, Said, understood
from watchkeeper.engine import Engine
from watchkeeper.errors import CouldNotObserve

SAMPLE_S = 1.0
"""Between the two samples that a share of a CPU is taken from, as `docker stats` has it."""

_CACHES = ("inactive_file", "total_inactive_file")  # of cgroups 2 and 1: can be had back any time
_NS = 1_000_000_000


class _Cpu(Said):
    total_usage: int = Field(alias="total_usage")


class _CpuStats(Said):
    cpu_usage: _Cpu = Field(alias="cpu_usage")


class _MemoryStats(Said):
    usage: int = Field(alias="usage")
    limit: int = Field(alias="limit")
    stats: dict[str, int] = Field(alias="stats", default_factory=dict)


class _Sample(Said):
    read: str = Field(alias="read")
    cpu_stats: _CpuStats = Field(alias="cpu_stats")
    memory_stats: _MemoryStats = Field(alias="memory_stats")


@dataclass(frozen=True)
class Uses:
    """`cpu_percent`: 100 is one CPU. `memory`: bytes, without what can be had back any time.
    `memory_percent`: of its limit, or of the machine's where it has none.
    """

    cpu_percent: float
    memory: int
    memory_percent: float


def uses(engine: Engine, running: Mapping[str, Container]) -> dict[str, Uses]:
    """By name, over SAMPLE_S; raises CouldNotObserve, also where one has ended meanwhile."""
    if not running:
        return {}
    began = time.monotonic()
    first = {name: _sample(engine, each) for name, each in running.items()}
    # Engines before 23 take a second for each sample anyway.
    time.sleep(max(0.0, SAMPLE_S - (time.monotonic() - began)))
    return {name: _between(first[name], _sample(engine, each)) for name, each in running.items()}


def _sample(engine: Engine, container: Container) -> _Sample:
    source = f"GET /containers/{container.called}/stats"
    return understood(
        _Sample, lambda: engine.stats(container.id, stream=False, one_shot=True), source
    )


def _between(before: _Sample, after: _Sample) -> Uses:
    passed = datetime.fromisoformat(after.read) - datetime.fromisoformat(before.read)
    passed_s = passed.total_seconds()
    used = after.cpu_stats.cpu_usage.total_usage - before.cpu_stats.cpu_usage.total_usage
    memory = after.memory_stats
    if passed_s <= 0 or used < 0 or memory.limit <= 0:
        raise CouldNotObserve("unexpected", "its second sample is not later than its first")
    cached = next((memory.stats[name] for name in _CACHES if name in memory.stats), 0)
    held = max(0, memory.usage - cached)
    return Uses(used / _NS / passed_s * 100, held, held / memory.limit * 100)
