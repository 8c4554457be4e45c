"""Is a program known by the lock it holds, however often somebody looks?"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.replicas.kit import lifetime
from tests.replicas.replica_process import ROOT

NAME = "clock"
OFTEN = 300  # who gives up at the first refusal is refused about once in ten times
LOOKS = """
import sys
from pathlib import Path
from fixtures.replicas.kit import lifetime

print("looks", flush=True)
while True:
    lifetime.holder(Path(sys.argv[1]), sys.argv[2])
"""
# Each taker ends with the process, and so its lock does.
TAKES = """
import os, sys
from pathlib import Path
from fixtures.replicas.kit import lifetime

refused = 0
for _ in range(int(sys.argv[3])):
    if (child := os.fork()) == 0:
        os._exit(not lifetime.hold(Path(sys.argv[1]), sys.argv[2]))
    refused += os.waitpid(child, 0)[1] != 0
print(refused)
"""
HOLDS = """
import sys
from pathlib import Path
from fixtures.replicas.kit import lifetime

print(lifetime.hold(Path(sys.argv[1]), sys.argv[2]), flush=True)
sys.stdin.read()
"""


def program(text: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", text, *arguments],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.fixture
def looked_at(tmp_path: Path) -> Iterator[Path]:
    """A folder where somebody looks all the time who holds the name."""
    with program(HOLDS, str(tmp_path), NAME) as first:  # there is a lock to look at
        assert said(first) == "True"
        first.kill()
    with program(LOOKS, str(tmp_path), NAME) as looker:
        assert said(looker) == "looks"
        yield tmp_path
        looker.kill()


def test_who_looks_takes_no_name_away(looked_at: Path) -> None:
    """A name that nobody holds is taken at the first try, also while somebody looks at it."""
    with program(TAKES, str(looked_at), NAME, str(OFTEN)) as taker:
        assert said(taker) == "0"


def test_a_name_is_held_once(looked_at: Path) -> None:
    """A name that lives is refused at once, known by its process, and free when that ended."""
    with program(HOLDS, str(looked_at), NAME) as first:
        assert said(first) == "True"
        with program(HOLDS, str(looked_at), NAME) as second:
            assert said(second) == "False"
            assert lifetime.holder(looked_at, NAME) == first.pid
            second.kill()
        first.kill()
    assert lifetime.holder(looked_at, NAME) is None
