"""A drill run, told: in the terminal, and as a page that shows which fault reddened what."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, sync_playwright

from tests.telling.proof_samples import DOWN, hostile_proof, many, proof
from tests.telling.telling_samples import checks, run
from tests.telling.test_report import ARGUMENTS
from watchkeeper.browser import executable, playwrights_own
from watchkeeper.recording.history import History
from watchkeeper.recording.proof import Proof
from watchkeeper.telling import junit
from watchkeeper.telling.drilled import headline, tell
from watchkeeper.telling.matrix import KINDS, render
from watchkeeper.telling.page import Rest
from watchkeeper.telling.page import render as render_run
from watchkeeper.telling.report import make_drill_report


def told(found: Proof) -> str:
    """The summary as a pipe gets it."""
    out = io.StringIO()
    tell(found, Path("reports/report.html"), file=out)
    return out.getvalue()


# ---- In the terminal --------------------------------------------------------------------------


def test_the_summary_says_what_is_not_as_told() -> None:
    """First what was proven, then each wrong drill, unproven and unsteady check, at last where."""
    text = " ".join(told(proof()).split())
    assert text.startswith("2 of 5 checks proven, 3 of 6 drills as told ✖ sonarr down: MM-DAY-4")
    assert "✖ radarr lies: the replica was told" in text
    assert "○ unproven: MM-DAY-4, Sonarr: sonarr down should have turned it red" in text
    assert "○ unproven: MM-DAY-1: no drill says which fault must turn it red" in text
    assert "~ unsteady: MM-DAY-3 under lidarr hangs" in text
    assert "1 hanging drill: 0.4 s" in text
    assert text.endswith("report: reports/report.html")


def test_the_summary_fits_80_columns() -> None:
    """No line is wider than a terminal, no escape is in it, and hundreds are counted."""
    for found in (proof(), hostile_proof(), many(2_000, 40)):
        text = told(found)
        assert max(map(len, text.splitlines())) <= 80
        assert "\x1b" not in text
        assert len(text.splitlines()) < 60
    assert "80 more such, in the report" in told(many(2_000, 40))


def test_a_few_faults_are_called_a_part() -> None:
    """A run with --dial does not look like a matrix."""
    assert "only some faults were turned" in told(replace(proof(), whole=False))
    assert "only some faults" not in told(proof())
    assert "Partial: only some faults" in render(replace(proof(), whole=False))


# ---- The page ---------------------------------------------------------------------------------


def cells(page: str) -> dict[tuple[str, str], str]:
    """What the cells say, by sign and check under fault."""
    found = re.findall(r'<td class="is-(\w+)" title="([^"]*?) under ([^:"]*): ([^"]*)"', page)
    return {(kind, f"{check} under {fault}"): says for kind, check, fault, says in found}


def test_every_kind_of_cell_is_told() -> None:
    """As told, missed, strayed, unsteady, drawn along and unturned, each with its sentence."""
    said = cells(render(proof()))
    assert said == {
        ("told", "MM-DAY-4, Radarr under radarr down"):
            "failed, saying &quot;was down&quot;, as told",
        ("drawn", "MM-DAY-1 under radarr down"): "blocked, as told",
        ("missed", "MM-DAY-4, Sonarr under sonarr down"):
            "should become failed, saying &quot;was down&quot;; it is still good",
        ("strayed", "MM-DAY-2 under mail down"): "unknown: there was no answer",
        ("unsteady", "MM-DAY-3 under lidarr hangs"): "first unknown: the look was disturbed",
        ("unjudged", "MM-DAY-4, Radarr under radarr lies"):
            "should become failed, saying &quot;was down&quot;",
    }  # fmt: skip
    assert {kind for kind, _ in said} == {each.css for each in KINDS}


def test_the_legend_and_the_cells_do_not_rest_on_colour() -> None:
    """Each kind has a sign of its own, explained at the top, and words for who can't see it."""
    page = render(proof())
    assert len({each.sign for each in KINDS}) == len(KINDS)
    for each in KINDS:
        assert f'<b class="sign is-{each.css}">{each.sign}</b><span>{each.means}' in page
        assert f'<span class="unseen">{each.means}' in page


def test_each_check_says_what_proved_it() -> None:
    """The first faults by name, the others folded; of an unproven one why it is."""
    page = render(proof())
    assert "fault 0; fault 1; fault 2; fault 3" in page
    assert "and 5 more" in page
    assert "sonarr down should have turned it red" in page
    assert page.index("unproven</span>") < page.index("proven</span></td><td><strong>MM-DAY-3")


def test_what_went_as_told_is_counted_and_folded() -> None:
    """Only rows with something to tell are open."""
    page = render(many(200, 40))
    assert "90 faults noticed as told" in page
    assert "100 faults with nothing to redden, as told" in page
    assert "40 checks proven" in page
    assert page.split("<details>")[0].count("<article") == 10


def test_200_faults_and_40_checks_make_a_small_page_soon() -> None:
    """Under a megabyte, in well under a second."""
    began = time.process_time()
    page = render(many(200, 40))
    assert time.process_time() - began < 1
    assert len(page) < 1 << 20


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """Chromium without a network and without scripts."""
    found = executable() or playwrights_own()
    assert found, "these tests need Chromium on PATH: install your system's package chromium"
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"),
            executable_path=found,
            args=ARGUMENTS,
            offline=True,
            headless=True,
        )
        yield context
        context.close()


@pytest.fixture
def page(browser: BrowserContext) -> Iterator[Page]:
    opened = browser.new_page()
    yield opened
    opened.close()


def opened(page: Page, folder: Path, found: Proof, width: int = 1280) -> list[str]:
    """Show the page of `found` with all that is folded open; what it asked a network for."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(make_drill_report(folder, found).as_uri())
    for summary in page.locator("summary").all():
        summary.click()
    return [each for each in asked if not each.startswith(("file:", "data:"))]


@pytest.mark.parametrize("width", [1280, 390])
def test_headers_stay_where_they_are_seen(page: Page, tmp_path: Path, width: int) -> None:
    """Scrolled to its end, the matrix still shows its checks on top and its faults at the left."""
    assert opened(page, tmp_path, many(200, 40), width) == []
    matrix = page.locator(".matrix").last
    matrix.evaluate("box => box.scrollTo(box.scrollWidth, box.scrollHeight)")
    box = matrix.bounding_box()
    head = matrix.locator("thead th").last.bounding_box()
    fault = matrix.locator("tbody th").last.bounding_box()
    assert box and head and fault
    assert abs(head["y"] - box["y"]) < 3
    assert abs(fault["x"] - box["x"]) < 3
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_hostile_drill_runs_nothing(page: Page, tmp_path: Path) -> None:
    """Names, sentences and complaints are shown as text."""
    assert opened(page, tmp_path, hostile_proof()) == []
    assert page.evaluate("window.pwned") is None
    assert page.locator("img, main a").count() == 0
    assert "<img src=x" in page.locator("h3").first.inner_text()


# ---- In the report of a run -------------------------------------------------------------------


def test_a_run_says_when_each_check_was_last_red_and_by_what() -> None:
    """The fault's name stands beside the day; why a check is unproven stands beside it."""
    first, second, *rest = checks()
    made = (
        replace(first, last_seen_red="2026-11-22T00:10:00.000Z", red_by="radarr down", proven=True),
        replace(second, unproven="changed since it was proven"),
        *rest,
    )
    page = render_run(run(checks=made), History(), Rest())
    seen = re.sub(r"<[^>]+>", "", page)
    assert "2026-11-22 00:10:00 UTC by the fault &quot;radarr down&quot;" in seen
    assert "(unproven: changed since it was proven)" in seen
    assert "MM-DAY-1 Yesterday&#x27;s requests were handled: changed since it was proven" in seen
    proven = tuple(replace(each, proven=True) for each in checks())
    assert "Every check has been seen red" in render_run(run(checks=proven), History(), Rest())


def test_required_proof_is_asked_of_junit_too() -> None:
    """What passed unproven is no success where proof was required; elsewhere it passes."""
    first = replace(checks()[0], unproven="no fault has turned it red")
    plain, asked = (
        junit.xml(run(checks=(first,), proof_required=required)) for required in (False, True)
    )
    assert "<skipped" not in plain
    assert 'name="unproven" value="no fault has turned it red"' in plain
    assert 'skipped message="unproven: no fault has turned it red"' in asked


def test_the_samples_hold_what_they_are_to_show() -> None:
    """The headline counts what stands in the samples."""
    assert headline(proof()) == "2 of 5 checks proven, 3 of 6 drills as told"
    assert DOWN in {each.sentence for d in proof().drills for each in d.reddened}
