"""Has anybody touched the record of a run?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from watchkeeper.errors import ConfigurationError
from watchkeeper.recording.ledger import verify
from watchkeeper.recording.run import RunRecord


def run(reports: Path, runs: Sequence[Path]) -> int:
    """Verify the ledgers of `runs`, or of all runs under `reports`; 1 where one was touched."""
    folders = list(runs) or sorted((reports / "runs").glob("*"))
    if not folders:
        raise ConfigurationError(f"there is no run in {reports / 'runs'}")
    bad = 0
    for folder in folders:
        ledgers = sorted(folder.glob("ledger*.jsonl"))
        if not ledgers:
            print(f"{folder.name}: no ledger")
            bad += 1
        for ledger in ledgers:
            problems = verify(ledger, _head(folder) if ledger.name == "ledger.jsonl" else None)
            bad += bool(problems)
            print(f"{folder.name}/{ledger.name}: {'whole' if not problems else 'not whole'}")
            for problem in problems:
                print(f"  {problem}")
    return 1 if bad else 0


def _head(folder: Path) -> str | None:
    """The hash of the last record as run.json tells it.

    None where that can't be read, and of a run that never ended: its ledger went on after it.
    """
    try:
        run = RunRecord.read(folder / "run.json")
    except (OSError, ValueError, KeyError):
        return None
    return None if run.verdict in ("running", "interrupted") else run.ledger_head or None
