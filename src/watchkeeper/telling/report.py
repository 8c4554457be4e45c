"""The files people open after a run: its report.html, and the index of all runs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from watchkeeper.recording import history as past_runs
from watchkeeper.recording.history import History
from watchkeeper.recording.proof import Proof
from watchkeeper.recording.redaction import clean
from watchkeeper.recording.run import RunRecord
from watchkeeper.telling import allure3, index, matrix, page
from watchkeeper.telling.page import CheckSteps, Rest, Step
from watchkeeper.telling.summary import telling, worth_telling

FALLBACK_CHECKS = 2_000  # whose steps the fallback shows; a page with more is not read by anybody
LARGEST_RESULT = 4 << 20  # bytes of one Allure result worth reading
DEEPEST = 10  # levels of nested steps
PICTURES = 20  # of half a megabyte at most; the page is one file
_PICTURE = re.compile(r"picture-[0-9a-f]+\.png")


def make_report(folder: Path, run: RunRecord, history: History, cache: Path | None = None) -> Path:
    """Write `folder`/report.html, the health page of `run` with the Allure report in it.

    `folder` is reports/runs/<stamp> and holds allure-results/. `cache` keeps Allure's packages,
    .cache beside reports/ where None. Where Allure can't be had, the page says so and why, and has
    a table of the steps instead. What Node said is in allure.log. Raises OSError (a full disk).
    """
    path = folder / "report.html"
    rest = _rest(folder, run, cache)
    _write(path, page.render(run, history, rest, _pictures(folder, run)))
    return path


def _pictures(folder: Path, run: RunRecord) -> dict[str, bytes]:
    """The pictures of what the page tells, by their names; one that is gone is left out."""
    found = (telling(check) for check in worth_telling(run))
    names = dict.fromkeys(each.picture for each in found if each is not None and each.picture)
    there = [name for name in names if _PICTURE.fullmatch(name) and (folder / name).is_file()]
    return {name: (folder / name).read_bytes() for name in there[:PICTURES]}


def make_drill_report(folder: Path, proof: Proof) -> Path:
    """Write `folder`/report.html, the page of a drill run. Raises OSError (a full disk)."""
    path = folder / "report.html"
    _write(path, matrix.render(proof))
    return path


def make_index(reports: Path, history: History | None = None) -> Path:
    """Write `reports`/index.html, all runs newest first, and `reports`/latest.html, which leads to
    the newest one's report. Raises OSError."""
    known = history or past_runs.runs(reports)
    folders = [*(each.folder for each in known.runs), *known.older]
    told = [each for each in folders if _report_of(reports, each).exists()]
    _write(reports / "latest.html", index.latest(told[0] if told else ""))
    drilled = (each.folder for each in known.drills if _report_of(reports, each.folder).exists())
    path = reports / "index.html"
    _write(path, index.index(known, frozenset((*told, *drilled))))
    return path


def _report_of(reports: Path, folder: str) -> Path:
    return reports / "runs" / folder / "report.html"


def _rest(folder: Path, run: RunRecord, cache: Path | None) -> Rest:
    reports = folder.resolve().parent.parent
    results = folder / "allure-results"
    try:
        allure = allure3.make(
            results,
            reports / "allure-history.jsonl",
            cache or reports.parent / ".cache",
            folder / "allure.log",
            clean(f"{run.expression} on {run.target}, {run.started}"),
        )
    except allure3.AllureUnavailable as problem:
        steps = tuple(_steps_of(results))
        return Rest(why=str(problem), hint=problem.hint, steps=steps)
    return Rest(allure=page.with_way_back(allure))


def _write(path: Path, text: str) -> None:
    """Write whole or not at all: somebody may be reading the last one."""
    partly = path.with_name(f"{path.name}.{os.getpid()}.part")  # two runs may end together
    partly.write_text(text, "utf-8", errors="replace")
    partly.replace(path)


def _steps_of(results: Path) -> Iterator[CheckSteps]:
    """The checks of the Allure results with their steps; a broken file is shown as one."""
    for path in sorted(results.glob("*-result.json"))[:FALLBACK_CHECKS]:
        try:
            yield _check(path)
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            yield CheckSteps(f"{path.name} can't be read: {error}", "unreadable")


def _check(path: Path) -> CheckSteps:
    if path.stat().st_size > LARGEST_RESULT:
        raise ValueError(f"it has more than {LARGEST_RESULT:,} bytes")
    result = json.loads(path.read_text("utf-8"))
    steps = tuple(_steps(result.get("steps", []), 0))
    return CheckSteps(str(result.get("name", "")), str(result.get("status", "")), steps)


def _steps(steps: list[dict[str, Any]], depth: int) -> Iterator[Step]:
    for step in steps:
        details = step.get("statusDetails") or {}
        message = str(details.get("message") or "")
        yield Step(str(step.get("name", "")), str(step.get("status", "")), message, depth)
        if depth < DEEPEST:
            yield from _steps(step.get("steps", []), depth + 1)
