"""Which runs began and never ended: killed, or cut off with their machine?

While a run lives, its folder holds `running.json`: which process it is, since when, and on which
machine. A later run that finds the process gone closes the record, so that nobody takes a run that
was cut off for one that is still going.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from watchkeeper.recording.run import RunRecord, instant

MARK = "running.json"
RUNNING = "running"
INTERRUPTED, EXIT_INTERRUPTED = "interrupted", 2
YOUNG_S = 60.0
"""How old an empty folder is before it is a run that was killed; a living one marks it at once."""


def begin(folder: Path, *, drill: bool = False) -> None:
    """Say in `folder` that this process runs it; raises OSError."""
    me = psutil.Process()
    mark = {
        "pid": me.pid,
        "created": me.create_time(),
        "machine": socket.gethostname(),
        "started": instant(datetime.now(UTC)),
        "drill": drill,
    }
    partly = folder / f"{MARK}.part"  # a mark that is torn would be taken for one just being made
    partly.write_text(json.dumps(mark) + "\n", "utf-8")
    partly.replace(folder / MARK)


def end(folder: Path) -> None:
    """The run has ended; raises OSError."""
    (folder / MARK).unlink(missing_ok=True)


def close_dead(reports: Path) -> tuple[str, ...]:
    """Close the records of the runs under `reports` whose process is gone; a sentence for each.

    A run on another machine is left alone: nobody can see from here whether it lives.
    """
    marked = (mark.parent for mark in reports.glob(f"runs/*/{MARK}") if not _lives(mark))
    dead = sorted({*marked, *filter(_left_empty, reports.glob("runs/*"))})
    return tuple(told for folder in dead if (told := _closed(folder)))


def _lives(mark: Path) -> bool:
    try:
        said = json.loads(mark.read_text("utf-8"))
        if said["machine"] != socket.gethostname():
            return True
        return bool(psutil.Process(said["pid"]).create_time() == said["created"])
    except psutil.NoSuchProcess:
        return False
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return True  # not ours to judge


def _left_empty(folder: Path) -> bool:
    """Whether a run made the folder and was killed before it had written its mark."""
    try:
        names = {each.name for each in folder.iterdir()}
        old = time.time() - folder.stat().st_mtime > YOUNG_S
    except OSError:
        return False
    return old and names <= {f"{MARK}.part"}


def _closed(folder: Path) -> str:
    try:
        if (folder / "run.json").exists():
            return _close_record(folder)
        return _close_unrecorded(folder)
    except (OSError, ValueError, KeyError, TypeError):
        return ""  # another run closes it just now, or its files are nobody's that we know


def _close_record(folder: Path) -> str:
    """The run had begun to judge; its ledger says how far it came."""
    run = RunRecord.read(folder / "run.json")
    if run.verdict != RUNNING:
        end(folder)
        return f"the run {folder.name} was cut off while its report was written"
    known = _Known.of(folder / "ledger.jsonl")
    told = (
        f"the run {folder.name} never ended: its process is gone, and its ledger has "
        f"{len(known.ended)} of {len(known.selected)} checks"
    )
    missing = tuple(node for node in known.selected if node not in known.ended)
    _write(folder, replace(run, missing=missing, messages=(*run.messages, told)))
    return told


def _close_unrecorded(folder: Path) -> str:
    """The run was killed before its first record: there is only what its mark and ledger say."""
    mark = _mark(folder)
    if mark.get("drill"):
        end(folder)
        return f"the drill run {folder.name} never ended: its process is gone; it proved nothing"
    known = _Known.of(folder / "ledger.jsonl")
    told = f"the run {folder.name} never ended: its process is gone, and it had judged nothing"
    made = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
    started = str(mark.get("started") or instant(made))
    run = RunRecord(
        run=folder.name,
        expression=known.expression,
        target=known.target,
        started=started,
        finished=started,
        verdict=RUNNING,
        exit_code=EXIT_INTERRUPTED,
        missing=tuple(known.selected),
        messages=(told,),
        ledger_head=known.head,
    )
    _write(folder, run)
    return told


def _mark(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / MARK).read_text("utf-8")))
    except FileNotFoundError:
        return {}


def _write(folder: Path, run: RunRecord) -> None:
    closed = replace(run, verdict=INTERRUPTED, exit_code=EXIT_INTERRUPTED)
    closed.write(folder / "run.json")
    end(folder)


@dataclass
class _Known:
    """What a ledger tells of a run, to its last whole line; nothing where there is none."""

    expression: str = ""
    target: str = ""
    head: str = ""
    selected: list[str] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, path: Path) -> _Known:
        known = cls()
        for kind, data, known.head in _records(path):
            if kind == "begin":
                known.expression, known.target = data["expression"], data["target"]
            elif kind == "selected":
                known.selected = list(data["nodes"])
            elif kind == "check":
                known.ended.add(data["node"])
        return known


def _records(path: Path) -> Iterator[tuple[str, dict[str, Any], str]]:
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            try:
                record = json.loads(line)
                yield record["kind"], record["data"], record["hash"]
            except (ValueError, KeyError, TypeError):
                return  # torn: the run was cut off here
