"""The report: one file that asks no network, runs nothing it was told, and says what is wrong."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, sync_playwright

from tests.telling.telling_samples import HOSTILE, allure_results, hostile_run, many, run, several
from watchkeeper.browser import executable, playwrights_own
from watchkeeper.recording import history
from watchkeeper.recording.history import History
from watchkeeper.recording.run import RunRecord
from watchkeeper.telling import allure3
from watchkeeper.telling.allure3 import AllureUnavailable, self_contained
from watchkeeper.telling.page import Rest, render
from watchkeeper.telling.report import make_report
from watchkeeper.telling.summary import SIGNS
from watchkeeper.verdicts import Verdict

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """Chromium without a network; a machine without Chromium fails."""
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


class Visit:
    """A page of the report with all that it asked for and complained about."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.asked: list[str] = []
        self.errors: list[str] = []
        page.on("request", self._note)
        page.on("requestfailed", self._held_back)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _note(self, request) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            self.asked.append(request.url)

    def _held_back(self, request) -> None:
        """Chromium announces a request before the page's policy stops it, unsent."""
        if request.failure == "csp" and request.url in self.asked:
            self.asked.remove(request.url)

    def pwned(self) -> object:
        return self.page.evaluate("window.pwned")


@pytest.fixture
def visit(browser: BrowserContext) -> Iterator[Visit]:
    page = browser.new_page()
    yield Visit(page)
    page.close()


def made(folder: Path, record: RunRecord, known: History | None = None) -> Path:
    """The report of `record` under `folder`/reports, with the Allure report in it."""
    run_folder = folder / "reports" / "runs" / "2026-02-18T09-00-00Z"
    allure_results(run_folder, record)
    return make_report(run_folder, record, known or History(), CACHE)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("site"), run())


def test_the_first_view_says_what_is_wrong_and_what_to_do(report: Path, visit: Visit) -> None:
    """Headline, worst finding and its advice are visible, and nothing is asked of a network."""
    visit.page.goto(report.as_uri())
    assert visit.page.locator("h1").inner_text().startswith("NO-GO: 2 failed")
    first = visit.page.locator("article").first
    assert "Radarr of media management was down" in first.inner_text()
    assert "Restart Radarr" in first.inner_text()
    assert [each.inner_text() for each in visit.page.locator("h2").all()] == [
        "Systems",
        "What is wrong, and what to do",
        "Proof",
        "All the checks",
        "This run",
        "Every step",
    ]
    assert visit.asked == []
    assert visit.errors == []


@pytest.mark.parametrize("width", [1280, 390])
def test_the_first_view_says_which_system_needs_attention(
    tmp_path: Path, visit: Visit, width: int
) -> None:
    """Of several systems each has its verdict and its findings, the worst first and without
    scrolling, also on a telephone and where the run has much to say of itself; a click leads on.
    """
    record = replace(several(), messages=tuple(f"message {number}" for number in range(30)))
    visit.page.set_viewport_size({"width": width, "height": 844})
    visit.page.goto(made(tmp_path, record).as_uri())
    cards = visit.page.locator(".card")
    told = [" ".join(each.inner_text().split()) for each in cards.all()]
    assert told[0] == "routing platform ✖ failed 2 findings 1 failed, 1 degraded of 3 checks"
    assert [each.split(" ")[0] for each in told] == ["routing", "music", "catalogai", "media"]
    box = cards.first.bounding_box()
    assert box is not None and box["y"] + box["height"] < 844
    cards.first.get_by_role("link").click()
    target = visit.page.locator(":target")
    assert "routing platform" in target.inner_text()
    visit.page.set_viewport_size({"width": 1280, "height": 720})


def test_allure_opens_in_the_same_file_and_leads_back(report: Path, visit: Visit) -> None:
    """One click opens every step, another comes back, and a result's address opens it directly."""
    visit.page.goto(report.as_uri())
    visit.page.locator("#wk-open").click()
    visit.page.get_by_text("Each service answers [Radarr]").first.click()
    visit.page.get_by_text("Then its Radarr is up").wait_for()
    address = visit.page.url
    visit.page.get_by_text("← Health page").click()
    visit.page.locator("h1", has_text="NO-GO").wait_for()
    visit.page.goto("about:blank")
    visit.page.goto(address)
    visit.page.get_by_text("Then its Radarr is up").wait_for()
    assert visit.asked == []
    assert visit.errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_runs_over_the_edge(report: Path, visit: Visit, width: int, scheme) -> None:
    """On a desk and on a phone the page is as wide as the screen, opened tables too."""
    visit.page.set_viewport_size({"width": width, "height": 800})
    visit.page.emulate_media(color_scheme=scheme)
    visit.page.goto(report.as_uri())
    for summary in visit.page.locator("summary").all():
        summary.click()
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width


def test_hostile_texts_run_nowhere(tmp_path: Path, visit: Visit) -> None:
    """Script tags, handlers, javascript: links and markdown in a run's texts stay text."""
    visit.page.goto(made(tmp_path, hostile_run()).as_uri())
    assert "onerror=" in visit.page.locator("article").first.inner_text()
    for link in visit.page.locator("main a[href^='javascript']").all():
        pytest.fail(f"a link that runs: {link}")
    visit.page.locator("#wk-open").click()
    visit.page.get_by_text("onerror").first.wait_for()
    visit.page.locator("[data-testid='tree-leaf']").first.click()
    visit.page.get_by_text("Test body").wait_for()
    assert visit.pwned() is None
    assert visit.asked == []


def test_what_allure_would_render_as_html_is_held_by_the_policy(
    tmp_path: Path, visit: Visit
) -> None:
    """A description with HTML and a link that runs script: neither runs, nor asks a network."""
    record = run()
    folder = tmp_path / "reports" / "runs" / "a"
    results = allure_results(folder, replace(record, checks=record.checks[:1]))
    (path,) = results.glob("*-result.json")
    result = json.loads(path.read_text())
    result["description"] = (
        HOSTILE + "\n\n![x](http://evil.invalid/x.png)\n\n[go](javascript:pwned=1)"
    )
    result["descriptionHtml"] = HOSTILE + '<img src="http://evil.invalid/y.png">'
    result["links"] = [{"type": "link", "name": "evil link", "url": "javascript:window.pwned=6"}]
    path.write_text(json.dumps(result))
    visit.page.goto(make_report(folder, record, History(), CACHE).as_uri())
    visit.page.locator("#wk-open").click()
    visit.page.get_by_text("The application answers").first.click()
    visit.page.get_by_text("evil link").first.click()
    visit.page.wait_for_timeout(500)  # time for what must not happen
    assert visit.pwned() is None
    assert visit.asked == []


def test_a_script_that_is_not_ours_does_not_run(report: Path, visit: Visit) -> None:
    """The policy holds in both views, also for what gets past the escaping."""
    attack = (
        "(() => {const box = document.createElement('div');"
        "box.innerHTML = '<img src=x onerror=\"window.pwned=9\">'; document.body.append(box);"
        "const script = document.createElement('script');"
        "script.textContent = 'window.pwned=10'; document.body.append(script)})()"
    )
    visit.page.goto(report.as_uri())
    visit.page.evaluate(attack)
    visit.page.locator("#wk-open").click()
    visit.page.get_by_text("Each service answers [Radarr]").first.wait_for()
    visit.page.evaluate(attack)
    visit.page.wait_for_timeout(200)
    assert visit.pwned() is None


def test_without_allure_the_page_says_so_and_has_the_steps(tmp_path: Path) -> None:
    """No Allure: the health page stands, with why, what to do, and a table of steps."""
    folder = tmp_path / "reports" / "runs" / "a"
    allure_results(folder, run())
    (folder / "allure-results" / "broken-result.json").write_text("{")
    no_folder = tmp_path / "file"
    no_folder.write_text("")
    page = make_report(folder, run(), History(), no_folder / "cache").read_text()
    assert "The Allure report could not be made" in page
    assert "What to do: see whether the disk is full" in page
    assert "Then its Radarr is up" in page
    assert "broken-result.json can&#x27;t be read" in page
    assert "NO-GO: 2 failed" in page


def test_packages_that_cannot_be_fetched_leave_nothing_behind(tmp_path: Path) -> None:
    """A failed npm ci is told with its log, and the next run tries again."""

    def npm(arguments, folder: Path, log: Path, deadline_s: float) -> int:
        (folder / "node_modules").mkdir()
        return 1

    with pytest.raises(AllureUnavailable, match="npm could not fetch") as problem:
        allure3.installed(tmp_path / "cache", npm, tmp_path / "log")
    assert "log" in problem.value.hint
    assert [each.suffix for each in (tmp_path / "cache").iterdir()] in ([], [".lock"])


def test_what_asks_the_network_is_taken_out_or_refused() -> None:
    """The analytics script goes; one that we do not know stops the report."""
    page = (
        '<script async src="https://www.googletagmanager.com/gtag/js?id=G"></script>'
        "<script>function gtag(){}</script>"
        '<script src="data:text/javascript;base64,YSgnPC9zY3JpcHQ+Jyk="></script>'
    )
    assert self_contained(page) == "<script>a('\\x3c/script>')</script>"
    for left in ('<img src="http://x/y">', '<link href="//x">', "fetch('https://x')", "url(//x)"):
        with pytest.raises(AllureUnavailable, match="would ask the network"):
            self_contained(left)


def test_since_when_and_when_last_red_are_told(tmp_path: Path) -> None:
    """A finding says how long it has been so."""
    reports = tmp_path / "reports"
    for day in (16, 17):
        at = f"2026-02-{day}T09:00:00.000Z"
        folder = reports / "runs" / at.replace(":", "-")
        folder.mkdir(parents=True)
        replace(run(), run=at, started=at).write(folder / "run.json")
    page = render(run(), history.runs(reports), Rest())
    assert 'failed since <time datetime="2026-02-16T09:00:00.000Z">' in page
    assert "last seen red" in page
    assert "The last 3 runs on replica" in page
    assert "newly failed" in render(run(), History(), Rest())


def test_an_interrupted_and_partial_run_says_so_at_the_top() -> None:
    """Nobody takes half a run for a whole one."""
    page = render(run(verdict="interrupted", partial="-k Radarr"), History(), Rest())
    top = page[: page.index("</header>")]
    assert "was interrupted" in top
    assert "Partial: -k Radarr" in top
    assert "No check ran" in render(run(checks=(), verdict="incomplete"), History(), Rest())


def test_a_thousand_checks_render_in_a_third_of_a_second() -> None:
    """The page does not make a run wait."""
    record = many(1_000)
    began = time.process_time()
    render(record, History(), Rest())
    assert time.process_time() - began < 0.3


def test_the_lock_names_no_address_and_every_digest() -> None:
    """The packages are known by their digests, and no registry stands in the repository."""
    lock = (allure3.PACKAGES / "package-lock.json").read_text()
    assert "://" not in lock
    packages = json.loads(lock)["packages"]
    assert all("integrity" in each for name, each in packages.items() if name)


def test_verdicts_are_told_by_word_and_sign() -> None:
    """Who sees no colours sees a word, and a sign of its own for each verdict."""
    page = render(run(), History(), Rest())
    for verdict, sign in SIGNS.items():
        assert f'<span aria-hidden="true">{sign}</span> {verdict.value}</span>' in page
    assert len(set(SIGNS.values())) == len(Verdict)
