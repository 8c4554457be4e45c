"""How does a test run the real pytest on a project of its own, and read what the run left?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from watchkeeper.recording.ledger import Problem, verify

ROOT = Path(__file__).resolve().parents[2]
LINKED = ("steps", "fixtures", "conftest.py", "pyproject.toml")
SLUG = "media-management"
OF_THE_SYSTEM = (f"features/{SLUG}", f"targets/{SLUG}.yml", "targets/media_management*.py")
"""Only this system's, so that what is counted here does not grow with another."""
MEASURED = 'its time to classify "Breaking Bad" is below 1 second'
TIMEOUT_S = 300.0  # of a run that hangs; on a busy machine one takes two minutes
FAST = ("--report=results", "-p", "no:cacheprovider")
"""Without Allure's page, which takes two seconds and is tested where it matters."""


@dataclass(frozen=True)
class Left:
    """What one run left under reports/runs."""

    folder: Path

    @property
    def record(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads((self.folder / "run.json").read_text("utf-8"))
        return data

    @property
    def verdicts(self) -> dict[str, str]:
        """Each check's verdict, by ids and row."""
        return {
            " ".join([*check["ids"], *filter(None, [check["row"]])]): check["verdict"]
            for check in self.record["checks"]
        }

    @property
    def said(self) -> str:
        """The messages of the run itself."""
        return "\n".join(self.record["messages"])

    @property
    def allure(self) -> list[dict[str, Any]]:
        results = sorted((self.folder / "allure-results").glob("*-result.json"))
        return [json.loads(path.read_text("utf-8")) for path in results]

    @property
    def problems(self) -> tuple[Problem, ...]:
        return verify(self.folder / "ledger.jsonl", self.record["ledger_head"])

    @property
    def ledger(self) -> list[dict[str, Any]]:
        lines = (self.folder / "ledger.jsonl").read_text("utf-8").splitlines()
        return [json.loads(line) for line in lines]


@dataclass(frozen=True)
class Ended:
    """A process that ended."""

    status: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


class Project:
    """A folder like a checkout's with one system, of links to the real one.

    Its replicas are in a /tmp of its own. `reports` lies outside it, so that what a test writes is
    never collected.
    """

    def __init__(self, folder: Path) -> None:
        self.root = folder / "project"
        self.reports = folder / "reports"
        self.tmp = folder / "tmp"
        self._started: list[subprocess.Popen[str]] = []
        self.root.mkdir()
        self.tmp.mkdir()
        for name in LINKED:
            (self.root / name).symlink_to(ROOT / name)
        for pattern in OF_THE_SYSTEM:
            for real in ROOT.glob(pattern):
                link = self.root / real.relative_to(ROOT)
                link.parent.mkdir(exist_ok=True)
                link.symlink_to(real)
        (folder / ".cache").symlink_to(ROOT / ".cache")
        self._measure_nothing()

    def _measure_nothing(self) -> None:
        """A machine that has other work can't say how long something took: that is unknown."""
        daily = f"features/{SLUG}/daily.feature"
        written = (ROOT / daily).read_text("utf-8")
        assert MEASURED in written
        self.write(daily, written.replace(MEASURED, "its app connection is up"))

    def own(self, name: str) -> Path:
        """`name` as a file or folder of this project, no longer a link into the real one."""
        path = self.root
        for part in Path(name).parts:
            path /= part
            if path.is_symlink():
                _copied(path)
        return path

    def write(self, name: str, text: str) -> Path:
        path = self.own(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        assert path.resolve().is_relative_to(self.root.resolve()), "a test writes its own files"
        path.write_text(text, "utf-8")
        return path

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        ours = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTEST", "MM_", "SONARR_", "RADARR_", "LIDARR_", "TMDB_"))
            and name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")
        }
        return {**ours, "TMPDIR": str(self.tmp), **(more or {})}

    def pytest(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        before: Callable[[], None] | None = None,
    ) -> Ended:
        """Run pytest to its end; `before` runs in the child before it."""
        return self.ended(self.start(*arguments, env=env, before=before))

    def start(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        before: Callable[[], None] | None = None,
    ) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "pytest", f"--reports={self.reports}", *arguments]
        return self.popen(command, env, before)

    def watchkeeper(self, *arguments: str, env: Mapping[str, str] | None = None) -> Ended:
        program = Path(sys.executable).with_name("watchkeeper")
        return self.ended(self.popen([str(program), *arguments], env))

    def popen(
        self,
        command: list[str],
        env: Mapping[str, str] | None = None,
        before: Callable[[], None] | None = None,
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command,
            cwd=self.root,
            env=self.environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=partial(_in_front, before),  # noqa: PLW1509 - only for the child itself
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def close(self) -> None:
        """End what a failed test left running."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def ended(self, process: subprocess.Popen[str]) -> Ended:
        self._started.remove(process)
        try:
            out, err = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"it hung:\n{out}{err}") from None
        return Ended(process.returncode, out, err)

    @property
    def runs(self) -> list[Left]:
        """The runs' folders, oldest first."""
        return [Left(folder) for folder in sorted(self.reports.glob("runs/*"))]

    @property
    def last(self) -> Left:
        return self.runs[-1]

    def left_behind(self) -> list[str]:
        """Processes and folders of replicas that are still there."""
        folders = [str(path) for path in self.tmp.glob("watchkeeper-*-*")]
        return folders + [str(process.pid) for process in self.replica_processes()]

    def nothing_is_left(self) -> bool:
        """Also of what was killed, whose replica ends by itself a moment later."""
        until(lambda: self.left_behind() == [], f"{self.left_behind()} does not end")
        return True

    def replica_processes(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                if any(f"{self.tmp}/" in argument for argument in process.cmdline()):
                    found.append(process)
            except psutil.Error:
                continue
        return found


def _in_front(before: Callable[[], None] | None) -> None:
    """As a person starts it; behind `&` a shell has SIGINT ignored by all that is started there."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if before is not None:
        before()


def suite_of(path: Path) -> ET.Element:
    """The one test suite of a JUnit file."""
    suite = ET.parse(path).getroot().find("testsuite")  # noqa: S314 - our own run wrote it
    assert suite is not None
    return suite


def _copied(link: Path) -> None:
    """A file in place of a link to one; a folder of links in place of a link to a folder."""
    real = link.resolve()
    link.unlink()
    if real.is_dir():
        link.mkdir()
        for each in real.iterdir():
            (link / each.name).symlink_to(each)
    else:
        link.write_bytes(real.read_bytes())


def until(what: Callable[[], object], why: str, within_s: float = 120.0) -> None:
    """Wait until `what` is true, which a busy machine may make long; fails with `why`."""
    deadline = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < deadline, why
        time.sleep(0.02)
