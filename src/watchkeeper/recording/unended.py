"""Which runs began and never ended: killed, or cut off with their machine?

While a run lives, its folder holds `running.json`: which process it is, since when, and on which
machine. A later run that finds the process gone closes the record, so that nobody takes a run that
was cut off for one that is still going.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from watchkeeper.recording.run import RunRecord

MARK = "running.json"
RUNNING = "running"
INTERRUPTED, EXIT_INTERRUPTED = "interrupted", 2


def begin(folder: Path) -> None:
    """Say in `folder` that this process runs it; raises OSError."""
    me = psutil.Process()
    mark = {"pid": me.pid, "created": me.create_time(), "machine": socket.gethostname()}
    (folder / MARK).write_text(json.dumps(mark) + "\n", "utf-8")


def end(folder: Path) -> None:
    """The run has ended; raises OSError."""
    (folder / MARK).unlink(missing_ok=True)


def close_dead(reports: Path) -> tuple[str, ...]:
    """Close the records of the runs under `reports` whose process is gone; a sentence for each.

    A run on another machine is left alone: nobody can see from here whether it lives.
    """
    return tuple(
        told
        for mark in sorted(reports.glob(f"runs/*/{MARK}"))
        if not _lives(mark) and (told := _closed(mark.parent))
    )


def _lives(mark: Path) -> bool:
    try:
        said = json.loads(mark.read_text("utf-8"))
        if said["machine"] != socket.gethostname():
            return True
        return bool(psutil.Process(said["pid"]).create_time() == said["created"])
    except psutil.NoSuchProcess:
        return False
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return True  # being written just now, or not ours to judge


def _closed(folder: Path) -> str:
    path = folder / "run.json"
    try:
        run = RunRecord.read(path)
        if run.verdict != RUNNING:
            end(folder)
            return f"the run {folder.name} was cut off while its report was written"
        selected, ended = _in_ledger(folder / "ledger.jsonl")
        missing = tuple(node for node in selected if node not in ended)
        told = (
            f"the run {folder.name} never ended: its process is gone, and its ledger has "
            f"{len(ended)} of {len(selected)} checks"
        )
        closed = replace(
            run,
            verdict=INTERRUPTED,
            exit_code=EXIT_INTERRUPTED,
            missing=missing,
            messages=(*run.messages, told),
        )
        closed.write(path)
        end(folder)
    except (OSError, ValueError, KeyError, TypeError):
        return ""  # another run closes it just now, or it never came to a record
    return told


def _in_ledger(path: Path) -> tuple[list[str], set[str]]:
    """The checks that were selected, and those that ended, as the ledger has them."""
    selected: list[str] = []
    ended: set[str] = set()
    for kind, data in _records(path):
        if kind == "selected":
            selected = list(data["nodes"])
        elif kind == "check":
            ended.add(data["node"])
    return selected, ended


def _records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open("rb") as file:
        for line in file:
            try:
                record = json.loads(line)
                yield record["kind"], record["data"]
            except (ValueError, KeyError, TypeError):
                return  # torn: the run was cut off here
