"""How fast and how large is Watchkeeper beside others? `python benchmarks/run.py [NAME]…`

All tools of a benchmark take turns in one run, as whole processes, so that a machine that grows
slower by the minute slows them all. What was measured goes to benchmarks/out/NAME.json, and from
there into the tables of benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from os import cpu_count
from pathlib import Path

import projects
import tables
from measuring import HERE, Contender, Sample, sample, server

BLOCK = 1_000_000
MANY = 10
"""How many times as many checks the second size has, to see whether cost grows in a line."""


@dataclass(frozen=True)
class Settings:
    """How much is measured. `quick`: without what takes minutes."""

    checks: int
    rounds: int
    quick: bool
    log_mb: int
    out: Path


def in_turns(
    contenders: Sequence[Contender], rounds: int, base: str | None = None
) -> Iterator[Sample]:
    """Every contender once a round, the rounds one after the other."""
    for number in range(rounds):
        for contender in contenders:
            found = sample(contender, base)
            print(
                f"  {number + 1}/{rounds}  {found.tool:32} {found.wall_s:8.2f} s wall "
                f"{found.cpu_s:8.2f} s CPU {found.peak_mb:7.0f} MB",
                flush=True,
            )
            yield found


def answers_after_100_ms(settings: Settings) -> list[Sample]:
    with server(0.1) as base:
        given = (settings.out, settings.checks, base)
        samples = list(
            in_turns((projects.floor(*given), projects.ours(*given)), settings.rounds, base)
        )
        if not settings.quick:
            samples += in_turns((projects.plain(*given), projects.behave(*given)), 1, base)
        return samples


def answers_at_once(settings: Settings) -> list[Sample]:
    with server(0) as base:
        given = (settings.out, settings.checks, base)
        tools = (projects.floor, projects.ours, projects.plain, projects.behave)
        return list(in_turns([tool(*given) for tool in tools], settings.rounds, base))


def start_up(settings: Settings) -> list[Sample]:
    with server(0) as base:
        samples: list[Sample] = []
        for label, extra in (("none selected", ("-m", "none-such")), ("one check", ())):
            both = [tool(settings.out, 1, base, *extra) for tool in (projects.plain, projects.ours)]
            for found in in_turns(both, settings.rounds, base):
                samples.append(_named(found, f"{found.tool}, {label}"))
        return samples


def size(settings: Settings) -> list[Sample]:
    with server(0) as base:
        samples: list[Sample] = []
        few, many = settings.checks, settings.checks * MANY
        for tool in (projects.floor, projects.ours, projects.plain):
            if settings.quick and tool is projects.plain:
                continue
            sizes = [tool(settings.out, checks, base) for checks in (few, many)]
            for contender, checks in zip(sizes, (few, many), strict=True):
                for found in in_turns([contender], 1, base):
                    samples.append(_named(found, f"{found.tool}, {checks:,} checks"))
        return samples


def log(settings: Settings) -> list[Sample]:
    path = settings.out / "large.log"
    samples: list[Sample] = []
    for megabytes in (max(1, settings.log_mb // 100), settings.log_mb):
        _write_log(path, megabytes)
        label = f"{megabytes:,} MB"
        loop = (
            "import sys; print(sum(b'ERROR' in line for line in open(sys.argv[1], 'rb')), 'lines')"
        )
        contenders = (
            Contender(f"grep -c, {label}", ("grep", "-c", "ERROR", str(path)), settings.out, {}),
            Contender(
                f"Python loop, {label}",
                (sys.executable, "-c", loop, str(path)),
                settings.out,
                {},
            ),
            projects.log_probe(settings.out, path, f"Watchkeeper, {label}"),
        )
        samples += in_turns(contenders, min(settings.rounds, 3))
    path.unlink()
    return samples


def _write_log(path: Path, megabytes: int) -> None:
    """Lines of 100 bytes, one error in a hundred."""
    line = "2026-02-18 09:00:00,000 {level}: [worker] request {number:08} was looked at and sent on"
    lines = [
        line.format(level="ERROR" if n % 100 == 0 else "INFO", number=n).ljust(99) + "\n"
        for n in range(BLOCK // 100)
    ]
    block = "".join(lines).encode()
    with path.open("wb") as file:
        for _ in range(megabytes):
            file.write(block)


def daily(settings: Settings) -> list[Sample]:
    """What a person waits for: the day's checks of all systems on their replicas; how long these
    take to start and stop; what the looks of such a run take in sum; every figure's value now."""
    reports = str((settings.out / "reports").resolve())
    shutil.rmtree(reports, ignore_errors=True)  # an earlier benchmark's runs are not these
    pytest = (sys.executable, "-m", "pytest", "-q", "-m", "daily", "--reports", reports)
    # 10, inconclusive: on a busy machine no duration can be measured, which the run says.
    good = (0, 10)
    contenders = [
        Contender("pytest -m daily, HTML report", pytest, projects.ROOT, {}, good),
        Contender(
            "pytest -m daily, results only", (*pytest, "--report=results"), projects.ROOT, {}, good
        ),
    ]
    replicas = (sys.executable, str(HERE / "replicas.py"))
    contenders.append(Contender("all replicas, start and stop", replicas, projects.ROOT, {}))
    if importlib.util.find_spec("watchkeeper.cli") is not None:
        look = "from watchkeeper.cli import main; main()"
        command = (sys.executable, "-c", look, "look", "media-management")
        contenders.append(Contender("watchkeeper look", command, projects.ROOT, {}))
    return [*in_turns(contenders, settings.rounds), *_looks(Path(reports))]


def _looks(reports: Path) -> Iterator[Sample]:
    """What the looks of each run took, had they been one after another; each distinct one once."""
    for path in sorted(reports.glob("runs/*/run.json")):
        checks = json.loads(path.read_text())["checks"]
        found = [finding for check in checks for finding in check["findings"]]
        distinct = {(each["source"], each["started"]): each["duration_s"] for each in found}
        looks_s = round(sum(distinct.values()), 4)
        yield Sample("the looks of those runs, in sum", looks_s, 0.0, 0.0, len(distinct))


def drill(settings: Settings) -> list[Sample]:
    """Every fault beside every check; what waits for deadlines is told on its own line."""
    reports = (settings.out / "reports").resolve()
    lines = [
        projects.matrix(reports, hanging=False, only_looking=True),
        projects.matrix(reports, hanging=False),
        projects.matrix(reports, hanging=True),
    ]
    return list(in_turns(lines, 1))


def _named(found: Sample, tool: str) -> Sample:
    return Sample(**{**asdict(found), "tool": tool})


BENCHMARKS: dict[str, Callable[[Settings], list[Sample]]] = {
    "a": answers_after_100_ms,
    "b": answers_at_once,
    "c": start_up,
    "d": size,
    "log": log,
    "daily": daily,
    "drill": drill,
}


def machine() -> dict[str, str]:
    """What the ratios were measured on; no names."""
    return {
        "cores": str(cpu_count()),
        "python": platform.python_version(),
        "kernel": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--checks", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--log-mb", type=int, default=1_000)
    parser.add_argument(
        "--quick", action="store_true", help="leave out what takes minutes; the tables say so"
    )
    parser.add_argument("--out", type=Path, default=HERE / "out")
    parser.add_argument("--keep-readme", action="store_true", help="write no tables")
    given = parser.parse_args(arguments)
    unknown = [name for name in given.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark is called {unknown[0]}; there are: {', '.join(BENCHMARKS)}")
    settings = Settings(given.checks, given.rounds, given.quick, given.log_mb, given.out.resolve())
    settings.out.mkdir(parents=True, exist_ok=True)
    for name in given.names or BENCHMARKS:
        print(f"{name}: {BENCHMARKS[name].__name__.replace('_', ' ')}", flush=True)
        began = time.monotonic()
        samples = BENCHMARKS[name](settings)
        found = {
            "benchmark": name,
            "machine": machine(),
            "checks": settings.checks,
            "quick": settings.quick,
            "took_s": round(time.monotonic() - began, 1),
            "samples": [asdict(each) for each in samples],
        }
        (settings.out / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    if not given.keep_readme:
        tables.write(HERE / "README.md", settings.out)


if __name__ == "__main__":
    main(sys.argv[1:])
