"""What does a whole process cost: wall, CPU and peak memory, as the kernel accounts for it?"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
_PASSED = re.compile(r"(\d+) (?:scenarios? )?passed")
_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Contender:
    """A tool doing the checks: its name, the process that is started, and how that may end."""

    name: str
    command: Sequence[str]
    folder: Path
    variables: Mapping[str, str]
    good: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Sample:
    """One run of one tool. `cpu_s`, `peak_mb`: of the process and the children it waited for.

    `passed`: checks that it says passed, `requests` and `distinct`: what the server was asked.
    """

    tool: str
    wall_s: float
    cpu_s: float
    peak_mb: float
    passed: int
    requests: int = 0
    distinct: int = 0


def sample(contender: Contender, base: str | None = None) -> Sample:
    """One run of `contender` in a process of its own.

    Raises RuntimeError with what it said where it ends as it should not.
    """
    if base is not None:
        counted(base)
    began = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            contender.command,
            cwd=contender.folder,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", **contender.variables},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        # wait4 gives this child's own account. It starts as a copy of this process, so that a
        # peak below ours (some 20 MB; nothing heavy is imported here) can't be told.
        _, status, used = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read().decode("utf-8", "replace")
    if process.returncode not in contender.good:
        raise RuntimeError(f"{contender.name} ended with {process.returncode}:\n{text[-3_000:]}")
    passed = _PASSED.findall(text)
    asked = counted(base) if base is not None else {}
    return Sample(
        contender.name,
        round(wall_s, 4),
        round(used.ru_utime + used.ru_stime, 4),
        round(used.ru_maxrss / 1_024, 1),
        int(passed[-1]) if passed else 0,
        **asked,
    )


def counted(base: str) -> dict[str, int]:
    """How often the server was asked since the last time."""
    with _NO_PROXY.open(f"{base}/count", timeout=30) as answer:
        found: dict[str, int] = json.load(answer)
        return found


@contextmanager
def server(delay_s: float) -> Iterator[str]:
    """The base URL of a server in a process of its own."""
    with subprocess.Popen(
        [sys.executable, str(HERE / "server.py"), str(delay_s)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        port = process.stdout.readline().strip()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.stdin.close()
