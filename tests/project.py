"""A project of its own for tests: a shop in a folder, and pytest run in it as people run it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tomllib
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
BAD = Path(__file__).parent / "bad"
DEADLINE_S = 300.0  # of a run that hangs

GOOD = """\
@shop @daily
Feature: What is well written

  @GOOD-A-1 @P2
  Scenario: It is looked at beside broken ones
    Given the shop
    Then its mood is calm
"""
AMBIGUOUS = '''\
from watchkeeper.meaning import Elapsed, Meaning
from watchkeeper.pytest_plugin.words import word


@word("the sky is {colour}", "then")
def sky(colour: str) -> Meaning:
    """One way to read "the sky is blue"."""
    return Elapsed(1, colour)


@word("the {thing} is blue", "then")
def blue(thing: str) -> Meaning:
    """Another."""
    return Elapsed(1, thing)
'''


@dataclass(frozen=True)
class Ended:
    """How a pytest process ended."""

    code: int
    out: str


def project(folder: Path, *features: Path, steps: str = AMBIGUOUS) -> Path:
    """A project with the shop's target file, one good feature, `features`, and words of its own."""
    for name in ("features", "targets"):
        (folder / name).mkdir()
    for target in BAD.glob("*.yml"):
        (folder / "targets" / target.name).write_bytes(target.read_bytes())
    for feature in features:
        (folder / "features" / feature.name).write_bytes(feature.read_bytes())
    (folder / "features" / "good.feature").write_text(GOOD)
    (folder / "own_steps.py").write_text(steps)
    plugins = ["steps.given", "steps.when", "steps.then", "own_steps", "fixtures.scenario"]
    (folder / "conftest.py").write_text(f"pytest_plugins = {plugins}\n")
    (folder / "pyproject.toml").write_text(_configuration())
    with closing(sqlite3.connect(folder / "shop.db")) as store, store:
        store.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, name, status, made)")
    return folder


def run(folder: Path, *arguments: str) -> Ended:
    """`pytest --target live` in the project, as a process of its own."""
    given = {"PYTHONPATH": str(ROOT), "SHOP_DB": str(folder / "shop.db")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--target", "live", "--report", "results", *arguments],
        cwd=folder,
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    return Ended(done.returncode, done.stdout + done.stderr)


def _configuration() -> str:
    """The project's own, with the shop's tags."""
    own = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]
    kept = [each for each in own["markers"] if not each.startswith("media-")]
    markers = json.dumps([*kept, "shop: the shop", "yard: the yard"])
    addopts = json.dumps([*own["addopts"], "-p", "no:cacheprovider"])
    return (
        f"[tool.pytest]\nstrict = true\naddopts = {addopts}\nmarkers = {markers}\n"
        'testpaths = ["features"]\npythonpath = ["."]\nfilterwarnings = ["error"]\n'
    )
