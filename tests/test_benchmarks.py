"""The benchmarks measure what they say: every tool does all the checks, and finds the same."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).parents[1] / "benchmarks" / "run.py"
CHECKS = 20


def measured(out: Path, name: str, *options: str) -> list[dict[str, Any]]:
    """The samples of a benchmark, run in its smallest size."""
    subprocess.run(
        [
            sys.executable, str(PROGRAM), name, "--checks", str(CHECKS), "--rounds", "1",
            "--log-mb", "2", "--quick", "--keep-readme", "--out", str(out), *options,
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )  # fmt: skip
    samples: list[dict[str, Any]] = json.loads((out / f"{name}.json").read_text())["samples"]
    return samples


@pytest.mark.parametrize("name", ["a", "b", "d"])
def test_every_tool_asks_once_for_each_check_and_passes_it(tmp_path: Path, name: str) -> None:
    """A tool that asks less often, or fails, would look fast."""
    samples = measured(tmp_path, name)
    assert any(sample["tool"].startswith("Watchkeeper") for sample in samples)
    for sample in samples:
        assert sample["passed"] in (CHECKS, CHECKS * 10)
        assert sample["requests"] == sample["distinct"] == sample["passed"]


def test_start_up_runs_nothing_or_one_check(tmp_path: Path) -> None:
    """With no check selected nobody is asked."""
    samples = measured(tmp_path, "c")
    wanted = {"none selected": 0, "one check": 1}
    for sample in samples:
        label = sample["tool"].rpartition(", ")[2]
        assert sample["passed"] == sample["requests"] == wanted[label]


def test_the_log_is_read_by_a_check_that_passes(tmp_path: Path) -> None:
    """The probe's line in the table is one of a log that was read."""
    samples = measured(tmp_path, "log")
    ours = [sample for sample in samples if sample["tool"].startswith("Watchkeeper")]
    assert [sample["passed"] for sample in ours] == [1, 1]
