"""Which samples do our PromQL and the real Prometheus get, to be compared on?

An hour of a platform's measurements, every 15 seconds, with a restart, an outage and a gap.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

END = 1_760_000_040.0  # seconds of the epoch
EVERY_S, SAMPLES = 15.0, 241
BOUNDS = {"0.05": 0.6, "0.1": 0.9, "0.25": 0.97, "1.0": 1.0, "+Inf": 1.0}
LOOKBACK_S = 300.0


class Kept(NamedTuple):
    """One series, as a stand-in for Prometheus keeps it."""

    labels: dict[str, str]
    samples: list[tuple[float, float]]

    def between(self, start: float, end: float) -> list[tuple[float, float]]:
        return [sample for sample in self.samples if start <= sample[0] <= end]

    def at(self, moment: float) -> tuple[float, float] | None:
        found = self.between(moment - LOOKBACK_S, moment)
        return found[-1] if found else None


def series() -> list[Kept]:
    return [Kept(labels, list(samples)) for labels, samples in _all()]


def exposition() -> str:
    """The same in OpenMetrics, for `promtool tsdb create-blocks-from openmetrics`."""
    lines = []
    for one in sorted(series(), key=lambda kept: kept.labels["__name__"]):
        rest = {name: value for name, value in one.labels.items() if name != "__name__"}
        shown = ",".join(f'{name}="{value}"' for name, value in rest.items())
        lines += [f"{one.labels['__name__']}{{{shown}}} {value} {at}" for at, value in one.samples]
    return "\n".join([*lines, "# EOF\n"])


def _all() -> Iterator[tuple[dict[str, str], Iterator[tuple[float, float]]]]:
    for handler, per_s in (("/predict", 3.0), ("/status", 1.0)):
        for status, share in (("200", 0.99), ("500", 0.01)):
            labels = {"__name__": "http_requests_total", "handler": handler, "status": status}
            yield labels, _counter(per_s * share)
    for bound, share in BOUNDS.items():
        yield {"__name__": "duration_seconds_bucket", "le": bound}, _counter(4.0 * share)
    for number, gauge in enumerate(("db_pool_active", "db_pool_size", "process_cpu_ratio")):
        values = ((t, (20.0, 20.0, 0.5)[number] * (1 - (n * (3 - number)) % 7 / 10))
                  for n, t in enumerate(_times()))  # fmt: skip
        yield {"__name__": gauge, "job": "backend"}, values
    yield {"__name__": "accuracy", "version": "v3"}, ((t, 0.92) for t in _times())
    for job in ("backend", "prometheus"):
        outage = range(100, 110) if job == "backend" else range(0)
        yield (
            {"__name__": "up", "job": job},
            ((t, float(n not in outage)) for n, t in enumerate(_times())),
        )
    yield {"__name__": "gone", "job": "backend"}, (s for s in _counter(1) if s[0] < END - 600)
    yield {"__name__": "odd", "kind": "nan"}, ((t, float("nan")) for t in _times())
    yield {"__name__": "odd", "kind": "inf"}, ((t, float("inf")) for t in _times())


def _counter(per_s: float) -> Iterator[tuple[float, float]]:
    """It begins anew three quarters through, and is not stored for a while before."""
    began = 180
    for n, at in enumerate(_times()):
        if 120 <= n < 140:
            continue
        since = n if n < began else n - began
        yield at, float(int(since * EVERY_S * per_s))


def _times() -> Iterator[float]:
    return (END - (SAMPLES - 1 - n) * EVERY_S for n in range(SAMPLES))
