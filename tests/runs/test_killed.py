"""SIGKILL at any moment: what was recorded is there and whole, and the next run tells of it."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.runs.own import Asked, furnished, serving
from tests.runs.runs import FAST, Ended, Left, Project
from watchkeeper.recording.ledger import verify

MOMENTS = 50
LANES = 2
"""How many runs are killed side by side, each in a project of its own."""
SEED = 20_260_218
LEAST = 3
"""Of each kind of moment; how a busy machine spreads the rest is its own affair."""
CHECKS = 30
WRITING = 0.6
"""The share of the time after its last record in which a run writes; then Python ends itself."""
ANSWER_S = 0.004
COMMAND = ("--target", "live", *FAST)
SHARES = (("starting", 12), ("judging", 24), ("reporting", 14))
"""How many of the moments lie where; `starting` goes from the first instruction to the ledger."""

TARGET = """\
system: shop
called: the shop
services:
  app: {url: "${env:SHOP_URL}", at once: 1}
figures:
  'stock of shelf {number}': {http: {get: "app /stock/{number}"}, pick: .count}
each:
  number: {NUMBERS}
environments:
  replica: {}
  live: {allows: looking}
"""
FEATURE = """\
@shop @daily
Feature: Shelves

  @SHOP-A-1 @P2
  Scenario Outline: Shelf <number> is full
    Given the shop
    Then its stock of shelf <number> is at least 5

    Examples:
      | number |
"""


def _answer(asked: Asked, body: str) -> None:
    time.sleep(ANSWER_S)
    asked.say(200, '{"count": 5}', Content_Type="application/json")


@pytest.fixture
def shelves(tmp_path: Path) -> Iterator[tuple[list[Project], dict[str, str]]]:
    """A shop with thirty shelves in a project for each lane, and where the shop is."""
    numbers = ", ".join(f'"{n}": {{}}' for n in range(1, CHECKS + 1))
    target = TARGET.replace("{NUMBERS}", f"{{{numbers}}}")
    rows = "".join(f"      | {n} |\n" for n in range(1, CHECKS + 1))
    with serving(_answer) as url:
        lanes = []
        for number in range(LANES):
            (tmp_path / str(number)).mkdir()
            lanes.append(furnished(Project(tmp_path / str(number)), target, FEATURE + rows))
        yield lanes, {"SHOP_URL": url}
        for lane in lanes:
            lane.close()


@dataclass(frozen=True)
class Course:
    """How long a run that is left alone takes, in seconds from its start."""

    begins: float
    decided: float
    over: float


def _ledger_of(project: Project, before: set[Path]) -> Path | None:
    """The ledger of the one run that began since `before`."""
    found = set(project.reports.glob("runs/*/ledger.jsonl")) - before
    return next(iter(found), None)


def _course(project: Project, env: dict[str, str]) -> Course:
    began = time.monotonic()
    process = project.start(*COMMAND, env=env)
    begins = decided = 0.0
    while process.poll() is None:
        path = _ledger_of(project, set())
        if path is not None and not begins:
            begins = time.monotonic() - began
        if path is not None and not decided and b'"kind":"end"' in path.read_bytes():
            decided = time.monotonic() - began
        time.sleep(0.001)
    ended = project.ended(process)
    assert ended.status == 0, ended.text
    return Course(begins, decided or begins, time.monotonic() - began)


def _killed(project: Project, env: dict[str, str], where: str, share: float, course: Course) -> str:
    """Start a run, kill it at that share of that part of its course; says where it was, truly."""
    before = set(project.reports.glob("runs/*/ledger.jsonl"))
    process = project.start(*COMMAND, env=env)
    began = time.monotonic()
    sign = {"starting": b"", "judging": b'"kind":"selected"', "reporting": b'"kind":"end"'}[where]
    while sign and process.poll() is None:
        path = _ledger_of(project, before)
        if path is not None and sign in path.read_bytes():
            break
        assert time.monotonic() - began < 60, "the run never came so far"
        time.sleep(0.0005)
    length = {
        "starting": course.begins,
        "judging": course.decided - course.begins,
        "reporting": (course.over - course.decided) * WRITING,
    }[where]
    time.sleep(length * share)
    process.kill()
    ended: Ended = project.ended(process)
    path = _ledger_of(project, before)
    if ended.status >= 0:
        return "over"
    if path is None:
        return "before the ledger"
    return "after the end" if b'"kind":"end"' in path.read_bytes() else "judging"


def _whole(left: Left) -> None:
    """What a killed run left says nothing false, whatever it lacks."""
    head, ended = _head(left)
    ledger = left.folder / "ledger.jsonl"
    if ledger.exists():
        problems = verify(ledger, head if ended else None)
        assert {problem.kind for problem in problems} <= {"not closed", "torn"}, problems
        lines = ledger.read_bytes().split(b"\n")[:-1]
        assert not head or head in [json.loads(line)["hash"] for line in lines]
    results = left.folder.rglob("*-result.json")
    assert sum(not _is_json(path) for path in results) <= 1  # Allure's are written in place


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text("utf-8"))
    except ValueError:
        return False
    return True


def _head(left: Left) -> tuple[str | None, bool]:
    """The head that the record remembers, if there is one, and whether it is the ledger's end.

    A run that was killed wrote its record on the way, when the ledger was shorter.
    """
    if not (left.folder / "run.json").exists():
        return None, False
    record = left.record
    return record["ledger_head"], record["verdict"] not in ("running", "interrupted")


def _checks_in(left: Left) -> int:
    lines = (left.folder / "ledger.jsonl").read_bytes().split(b"\n")[:-1]
    return sum(json.loads(line)["kind"] == "check" for line in lines)


def test_a_run_killed_at_any_moment_leaves_what_it_recorded(
    shelves: tuple[list[Project], dict[str, str]],
) -> None:
    """SIGKILL at 50 moments, from the first instruction to the last: each ledger chains to its last
    whole line and is called interrupted or torn, never touched; run.json is whole or not there; and
    the next run names the killed one, and closes its record with the checks that it had.
    """
    lanes, env = shelves
    places = [where for where, number in SHARES for _ in range(number)]
    assert len(places) == MOMENTS
    random.Random(SEED).shuffle(places)  # noqa: S311 - moments, no secrets
    with ThreadPoolExecutor(LANES) as pool:
        hits = pool.map(
            lambda lane: _killed_again_and_again(lanes[lane], env, places[lane::LANES], lane),
            range(LANES),
        )
        hit = sum(hits, Counter())
    print(dict(hit))
    assert min(hit["before the ledger"], hit["judging"], hit["after the end"]) >= LEAST, hit


def _killed_again_and_again(
    project: Project, env: dict[str, str], places: list[str], lane: int
) -> Counter[str]:
    course = _course(project, env)
    moments = random.Random(SEED + lane)  # noqa: S311 - moments, no secrets
    hit: Counter[str] = Counter()
    checks: dict[str, int] = {}
    for where in places:
        known = {left.folder for left in project.runs}
        hit[_killed(project, env, where, moments.random(), course)] += 1
        for left in project.runs:
            if left.folder not in known:
                _whole(left)
                if (left.folder / "running.json").exists() and (left.folder / "run.json").exists():
                    checks[left.folder.name] = _checks_in(left)
    ended = project.pytest(*COMMAND, env=env)
    assert ended.status == 0, ended.text
    _are_told_of(project, checks)
    return hit


def _are_told_of(project: Project, checks: dict[str, int]) -> None:
    """Each killed run is called interrupted, by its own record and by a run that came later."""
    said = "\n".join(left.said for left in project.runs if (left.folder / "run.json").exists())
    for left in project.runs:
        _whole(left)
        if not (left.folder / "run.json").exists():
            assert not (left.folder / "running.json").exists()
            continue  # killed before it had marked its folder; young as it is, it may be living
        assert left.record["verdict"] in ("go", "interrupted"), left.folder
        if left.record["verdict"] == "interrupted":
            assert f"the run {left.folder.name} never ended" in said
    assert len(checks) >= LEAST
    assert set(checks.values()) != {0}
    for name, number in checks.items():
        left = Left(project.reports / "runs" / name)
        assert not (left.folder / "running.json").exists()
        if left.record["verdict"] == "interrupted":
            assert f"has {number} of {CHECKS} checks" in left.said
            assert len(left.record["missing"]) == CHECKS - number
        else:
            assert f"the run {name} was cut off while its report was written" in said
