"""How the checks ended in the last runs, and when each was last seen red.

What the runs left in reports/runs/<stamp>/run.json is the truth; reports/history.json only saves
reading it all again. It is made anew where it is missing, old or broken.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from watchkeeper.recording.proof import NAME, Proof
from watchkeeper.recording.run import CheckRecord, RunRecord
from watchkeeper.verdicts import Verdict

LAST = 30  # runs that count; a month of daily ones
LARGEST = 64 << 20  # bytes of a run.json worth reading; 1,000 checks take about 1 MB
SCHEMA = "watchkeeper/history/2"
INDEX = "history.json"


@dataclass(frozen=True)
class PastRun:
    """A run in short. `folder` is its folder's name, `checks` has each check's verdict by key."""

    folder: str
    run: str
    expression: str
    target: str
    started: str
    finished: str
    verdict: str
    partial: str
    counts: tuple[tuple[str, int], ...]
    checks: Mapping[str, str]

    def of(self, verdict: Verdict) -> int:
        """How many checks ended so."""
        return dict(self.counts).get(verdict.value, 0)


@dataclass(frozen=True)
class PastDrill:
    """A drill run in short: of its checks how many are proven, of its drills how many as told."""

    folder: str
    expression: str
    started: str
    proven: int
    checks: int
    as_told: int
    drills: int

    @property
    def ok(self) -> bool:
        return (self.proven, self.as_told) == (self.checks, self.drills)


@dataclass(frozen=True)
class History:
    """The last runs, newest first.

    `broken` says of each run that could not be read why. `red` has the instant (ISO 8601 UTC) at
    which each check was last seen failed, by key, also in runs that are no longer among `runs`.
    `older` are the folders of the runs before, newest first. `drills` are the drill runs that began
    since the oldest of `runs`: they say what checks notice, and nothing of how the system is.
    """

    runs: tuple[PastRun, ...] = ()
    broken: tuple[str, ...] = ()
    red: Mapping[str, str] = field(default_factory=dict)
    older: tuple[str, ...] = ()
    drills: tuple[PastDrill, ...] = ()

    def before(self, run: RunRecord) -> History:
        """What was known without `run` itself and what began after it, on the same target."""
        kept = (
            past
            for past in self.runs
            if past.run != run.run and past.started < run.started and past.target == run.target
        )
        return replace(self, runs=tuple(kept))

    def verdicts(self, key: str) -> tuple[tuple[PastRun, str], ...]:
        """The runs in which the check took part, with its verdicts, newest first."""
        return tuple((run, run.checks[key]) for run in self.runs if key in run.checks)

    def since(self, key: str, verdict: str) -> str:
        """When the check's streak of `verdict` began; "" where its newest run had another."""
        began = ""
        for run, past in self.verdicts(key):
            if past != verdict:
                break
            began = run.started
        return began


def key(check: CheckRecord) -> str:
    """What a check is known by from run to run: ids and row, "MM-DAY-4, MM-DAY-5 [Radarr]"."""
    ids = ", ".join(check.ids) or check.node or check.scenario
    return f"{ids} [{check.row}]" if check.row else ids


def runs(reports: Path, last: int = LAST) -> History:
    """The `last` runs under `reports`, and an index for the next time.

    Broken records are told, not raised; an index that can't be written is left out.
    """
    folders = _folders(reports / "runs")
    indexed, drilled, red = _read_index(reports / INDEX)
    kept: dict[str, _Entry] = {}
    drills: dict[str, PastDrill] = {}
    broken: list[str] = []
    left = iter(folders)
    for name in left:
        folder = reports / "runs" / name
        try:
            if _is_drill(folder):
                drills[name] = drilled.get(name) or _drill(folder)
            else:
                kept[name] = _entry(folder, indexed.get(name))
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            broken.append(f"{name}: {_why(error)}")
        if len(kept) + len(broken) == last:
            break
    for name in sorted(kept):
        red |= {check: max(at, red.get(check, "")) for check, at in kept[name].red.items()}
    if drills != drilled or _stamps(kept) != _stamps(indexed):
        _write_index(reports / INDEX, kept, drills, red)
    return History(
        runs=tuple(entry.run for entry in kept.values()),
        broken=tuple(broken),
        red=red,
        older=tuple(left),
        drills=tuple(drills.values()),
    )


@dataclass(frozen=True)
class _Entry:
    """A run as the index keeps it; `stamp` is its run.json's time and size."""

    run: PastRun
    red: dict[str, str]
    stamp: tuple[int, int]

    @classmethod
    def read(cls, data: dict[str, Any]) -> _Entry:
        run = data["run"]
        counts = tuple((str(name), int(number)) for name, number in run.pop("counts"))
        return cls(PastRun(**run, counts=counts), data["red"], (data["stamp"][0], data["stamp"][1]))


def _folders(folder: Path) -> list[str]:
    """The runs' folders, newest first: their names begin with the instant they began."""
    try:
        return sorted((each.name for each in os.scandir(folder) if each.is_dir()), reverse=True)
    except FileNotFoundError:
        return []


def _stamps(entries: Mapping[str, _Entry]) -> dict[str, tuple[int, int]]:
    return {name: entry.stamp for name, entry in entries.items()}


def _is_drill(folder: Path) -> bool:
    """Whether the folder is that of a drill run, which has a proof and no record."""
    return not (folder / "run.json").exists() and (folder / NAME).exists()


def _drill(folder: Path) -> PastDrill:
    proof = Proof.read(folder / NAME)
    return PastDrill(
        folder=folder.name,
        expression=proof.expression,
        started=proof.started,
        proven=len(proof.checks) - len(proof.unproven),
        checks=len(proof.checks),
        as_told=len(proof.drills) - len(proof.wrong),
        drills=len(proof.drills),
    )


def _entry(folder: Path, indexed: _Entry | None) -> _Entry:
    path = folder / "run.json"
    stat = path.stat()
    stamp = (stat.st_mtime_ns, stat.st_size)
    if indexed and indexed.stamp == stamp:
        return indexed
    if stat.st_size > LARGEST:
        raise ValueError(f"run.json has {stat.st_size:,} bytes, over {LARGEST:,}")
    record = RunRecord.read(path)
    return _Entry(_past(folder.name, record), dict(_red(record)), stamp)


def _past(folder: str, record: RunRecord) -> PastRun:
    return PastRun(
        folder=folder,
        run=record.run,
        expression=record.expression,
        target=record.target,
        started=record.started,
        finished=record.finished,
        verdict=record.verdict,
        partial=record.partial,
        counts=counts(record),
        checks={key(check): check.verdict for check in record.checks},
    )


def counts(record: RunRecord) -> tuple[tuple[str, int], ...]:
    """How many checks ended in each verdict, worst first, as counted from the checks themselves."""
    ended = [check.verdict for check in record.checks]
    worst_first = sorted(Verdict, key=lambda verdict: -verdict.badness)
    found = ((verdict.value, ended.count(verdict.value)) for verdict in worst_first)
    return tuple((name, number) for name, number in found if number)


def _red(record: RunRecord) -> Iterator[tuple[str, str]]:
    for check in record.checks:
        if check.verdict == Verdict.FAILED.value:
            yield key(check), check.started


def _read_index(path: Path) -> tuple[dict[str, _Entry], dict[str, PastDrill], dict[str, str]]:
    """The index, or nothing where it is missing, broken or another version's."""
    try:
        data = json.loads(path.read_text("utf-8"))
        if data["schema"] != SCHEMA:
            return {}, {}, {}
        entries = {name: _Entry.read(entry) for name, entry in data["runs"].items()}
        drills = {name: PastDrill(**drill) for name, drill in data["drills"].items()}
        return entries, drills, {str(check): str(at) for check, at in data["red"].items()}
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return {}, {}, {}


def _write_index(
    path: Path, kept: dict[str, _Entry], drills: dict[str, PastDrill], red: dict[str, str]
) -> None:
    data = {
        "schema": SCHEMA,
        "runs": {name: asdict(entry) for name, entry in kept.items()},
        "drills": {name: asdict(drill) for name, drill in drills.items()},
        "red": red,
    }
    partly = path.with_suffix(f".{os.getpid()}.part")
    try:
        partly.write_text(json.dumps(data, ensure_ascii=False, separators=(",", ":")), "utf-8")
        partly.replace(path)
    except OSError:  # a full or read-only disk: the next reader takes longer, and is as right
        partly.unlink(missing_ok=True)


def _why(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "it has no run.json: the run was cut off, or is still going"
    if isinstance(error, KeyError):
        return f"run.json lacks {error}"
    return str(error) or type(error).__name__
