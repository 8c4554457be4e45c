"""The same checks as a project of Watchkeeper, of plain pytest-bdd and of behave."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from measuring import HERE, Contender

ROOT = HERE.parent
AT_ONCE = 100
PER_FILE = 100
"""Checks in one feature file."""
LARGEST = "media-management"
"""The system with the most faults."""

_OUTLINE = """\
{tags}Feature: Pages {number}

  {own_tags}Scenario Outline: Page <page> of part {number} answers well
    Given the site
    Then its value of "<page>" is below 10

    Examples:
      | page |
"""

_OURS_PYPROJECT = """\
[tool.pytest]
minversion = "9.2"
testpaths = ["features"]
strict = true
addopts = ["-p", "no:pytest-bdd.generation", "--import-mode=importlib"]
pythonpath = ["{root}"]
filterwarnings = ["error"]
markers = ["P2: level", "pages: the system", "none-such: no check has it"]
"""

_OURS_TARGET = """\
system: pages
called: the site
services:
  site: {{url: "${{env:BENCH_URL}}", at_once: {at_once}, deadline: 30 seconds}}
figures:
  'value of "{{page}}"':
    http: {{get: "site /page/{{page}}"}}
    pick: .value
environments:
  loopback: {{}}
"""

_OURS_CONFTEST = """\
pytest_plugins = ["steps.given", "steps.when", "steps.then", "fixtures.scenario"]
"""

_PLAIN_PYPROJECT = """\
[tool.pytest]
minversion = "9.2"
testpaths = ["tests"]
markers = ["none-such: no check has it"]
"""

_PLAIN_TESTS = """\
import os

import httpx
import pytest
from pytest_bdd import given, parsers, scenarios, then

scenarios("../features")


@pytest.fixture(scope="session")
def client():
    with httpx.Client(base_url=os.environ["BENCH_URL"], timeout=30, trust_env=False) as client:
        yield client


@given("the site", target_fixture="site")
def site(client):
    return client


@then(parsers.parse('its value of "{page}" is below {limit:d}'))
def value_is_below(site, page, limit):
    assert site.get(f"/page/{page}").raise_for_status().json()["value"] < limit
"""

_BEHAVE_STEPS = """\
import os

import httpx
from behave import given, then


@given("the site")
def site(context):
    if not hasattr(context.feature, "client"):
        context.feature.client = httpx.Client(
            base_url=os.environ["BENCH_URL"], timeout=30, trust_env=False
        )


@then('its value of "{page}" is below {limit:d}')
def value_is_below(context, page, limit):
    answer = context.feature.client.get(f"/page/{page}").raise_for_status()
    assert answer.json()["value"] < limit
"""

_LOG_TARGET = """\
system: records
called: the site
services:
  log: {log: "${env:BENCH_LOG}", deadline: 30 minutes}
figures:
  number of errors: {log: log, among: 'ERROR', count: lines}
environments:
  loopback: {}
"""

_LOG_FEATURE = """\
@records
Feature: The log
  @LG-A-1 @P2
  Scenario: Few errors
    Given the site
    Then its number of errors is below 1000000000
"""


def ours(out: Path, checks: int, base: str, *extra: str, name: str = "Watchkeeper") -> Contender:
    """Watchkeeper, with its results written (run.json, the ledger, Allure's files)."""
    folder = out / f"ours-{checks}"
    _ours(folder, _OURS_TARGET.format(at_once=AT_ONCE), "pages")
    _features(folder / "features", checks, tags="@pages\n", own_tags="@PG-A-{number} @P2\n  ")
    options = ("--target", "loopback", "--report=results", *extra)
    return Contender(name, (*_pytest(), *options), folder, {"BENCH_URL": base}, (0, 5))


def plain(out: Path, checks: int, base: str, *extra: str) -> Contender:
    """pytest-bdd as its users write it, with allure-pytest's results written."""
    folder = _fresh(out / f"plain-{checks}")
    (folder / "pyproject.toml").write_text(_PLAIN_PYPROJECT)
    (folder / "tests").mkdir()
    (folder / "tests" / "test_pages.py").write_text(_PLAIN_TESTS)
    _features(folder / "features", checks)
    options = ("-p", "no:watchkeeper", "--alluredir=allure-results", "--clean-alluredir", *extra)
    command = (*_pytest(), *options)
    return Contender("pytest-bdd + allure-pytest", command, folder, {"BENCH_URL": base}, (0, 5))


def behave(out: Path, checks: int, base: str) -> Contender:
    """behave with its JSON results written."""
    folder = _fresh(out / f"behave-{checks}")
    (folder / "features" / "steps").mkdir(parents=True)
    (folder / "features" / "steps" / "pages.py").write_text(_BEHAVE_STEPS)
    _features(folder / "features", checks)
    command = (sys.executable, "-m", "behave", "-f", "json", "-o", "results.json")
    return Contender("behave", command, folder, {"BENCH_URL": base})


def floor(out: Path, checks: int, base: str) -> Contender:
    """A bare asyncio loop over aiohttp: it leaves nothing but a number."""
    command = (sys.executable, str(HERE / "floor.py"), base, str(checks))
    return Contender("aiohttp (the floor)", command, out, {})


def log_probe(out: Path, log: Path, name: str) -> Contender:
    """Watchkeeper with one check, of how many lines of `log` hold "ERROR"."""
    folder = out / "ours-log"
    _ours(folder, _LOG_TARGET, "records")
    (folder / "features" / "log.feature").write_text(_LOG_FEATURE)
    command = (*_pytest(), "--target", "loopback", "--report=results")
    return Contender(name, command, folder, {"BENCH_LOG": str(log)})


def matrix(out: Path, *, hanging: bool, only_looking: bool = False) -> Contender:
    """Every fault of the largest replica that hangs, or every one that does not, and all checks,
    or all that only look."""
    hang, others = _faults(ROOT / "fixtures" / "drills" / f"{LARGEST}.yml")
    faults = hang if hanging else others
    dials = [word for fault in sorted(faults) for word in ("--dial", fault)]
    told = "hang" if hanging else "do not hang"
    among = "checks that only look" if only_looking else "all checks"
    chosen = ("-m", "not changes and not destroys") if only_looking else ()
    options = ("--drill", "-n", "2", *dials, *chosen, "--reports", str(out))
    return Contender(
        f"{len(faults)} faults that {told}, {among}",
        (*_pytest(), *options, f"features/{LARGEST}"),
        ROOT,
        {},
    )


def _faults(path: Path) -> tuple[set[str], set[str]]:
    """The faults that hang, and the others: what the drill file names, and every other dial."""
    from ruamel.yaml import YAML  # noqa: PLC0415  the least that is measured is what we import

    every: set[str] = set(_dials())
    hang: set[str] = set()
    for entry in YAML(typ="safe").load(path.read_text())["drills"]:
        fault = entry.get("fault")
        names = [" and ".join(fault)] if isinstance(fault, list) else entry.get("each of", [fault])
        every.update(names)
        if entry.get("hangs"):
            hang.update(names)
    return hang, every - hang


def _dials() -> Iterator[str]:
    look = "from watchkeeper.cli import main; main()"
    command = (sys.executable, "-c", look, "dials", LARGEST)
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for line in said.splitlines()[1:]:
        yield line.strip().partition("  ")[0]


def _pytest() -> tuple[str, ...]:
    return (sys.executable, "-m", "pytest", "-q")


def _ours(folder: Path, target: str, slug: str) -> None:
    _fresh(folder)
    pyproject = _OURS_PYPROJECT.format(root=ROOT).replace("pages: the", f"{slug}: the")
    (folder / "pyproject.toml").write_text(pyproject)
    (folder / "conftest.py").write_text(_OURS_CONFTEST)
    (folder / "features").mkdir()
    (folder / "targets").mkdir()
    (folder / "targets" / f"{slug}.yml").write_text(target)


def _features(folder: Path, checks: int, tags: str = "", own_tags: str = "") -> None:
    folder.mkdir(exist_ok=True)
    for number, first in enumerate(range(0, checks, PER_FILE), start=1):
        pages = range(first, min(first + PER_FILE, checks))
        head = _OUTLINE.format(number=number, tags=tags, own_tags=own_tags.format(number=number))
        rows = "".join(f"      | {page} |\n" for page in pages)
        (folder / f"pages_{number}.feature").write_text(head + rows)


def _fresh(folder: Path) -> Path:
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder
