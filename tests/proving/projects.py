"""How is pytest run on this project, or on a copy of it that a test may spoil?"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PARTS = (
    "features/media-management",
    "targets/media-management.yml",
    "targets/media_management*.py",
    "steps",
    "fixtures",
    "conftest.py",
    "pyproject.toml",
)
PATIENCE_S = 600


@dataclass(frozen=True)
class Ran:
    """A run of pytest that has ended."""

    exit_code: int
    told: str
    reports: Path

    @property
    def proof(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = json.loads((self.reports / "proof.json").read_text("utf-8"))
        return found

    @property
    def run(self) -> Mapping[str, Any]:
        (path,) = self.reports.glob("runs/*/run.json")
        found: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
        return found


def copy_project(to: Path) -> Path:
    """What a run of one system needs of this project, for a test to change."""
    for source in (found for part in PARTS for found in ROOT.glob(part)):
        goal = to / source.relative_to(ROOT)
        goal.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, goal, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, goal)
    return to


def begin(arguments: Sequence[str], root: Path, reports: Path) -> subprocess.Popen[str]:
    """pytest in `root`, under way."""
    reports.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--report=results"]
    return subprocess.Popen(
        [*command, f"--reports={reports}", *arguments],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")},
    )


def ended(process: subprocess.Popen[str], reports: Path) -> Ran:
    told = process.communicate(timeout=PATIENCE_S)[0]
    return Ran(process.returncode, told, reports)


def run(arguments: Sequence[str], root: Path, reports: Path) -> Ran:
    return ended(begin(arguments, root, reports), reports)
