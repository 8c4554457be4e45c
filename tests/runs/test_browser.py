"""A run that opens pages: one visit for all figures of one, evidence, and no remains."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests.pages import GOOD, Site, site
from tests.runs.own import furnished
from tests.runs.runs import FAST, Project
from watchkeeper.browser import VARIABLE

TARGET = """\
system: shop
called: the shop
services:
  app: {url: "${env:SHOP_URL}", token: "${env:SHOP_TOKEN}"}
figures:
  page:
    browser: {open: app /, wait for: "#root > *", within: 8 seconds}
    values: [rendered, blank]
  title: {browser: {open: app /, wait for: "#root > *", within: 8 seconds}, pick: .title}
  errors:
    browser: {open: app /, wait for: "#root > *", within: 8 seconds}
    rows: '.console[] | select(.level == "error")'
environments:
  replica: {}
  live: {allows: looking}
"""
FEATURE = """\
@shop @daily
Feature: The shop's page

  @SHOP-A-1 @P2
  Scenario: It renders
    Given the shop
    Then its page is rendered
    And its title is known

  @SHOP-A-2 @P2
  Scenario: Its scripts run
    Given the shop
    Then it has no errors
"""
LIVE = ("--target", "live", *FAST)
BLANK = "<div id=root></div><script>throw new Error('no shop today')</script>"


def shop(project: Project, app: Site, **variables: str) -> dict[str, str]:
    furnished(project, TARGET, FEATURE)
    return {"SHOP_URL": app.url, "SHOP_TOKEN": "token-of-the-shop", **variables}


def test_figures_share_a_visit_and_a_picture(project: Project) -> None:
    """Three figures of a blank page cost one visit; its picture stands beside the record, in
    Allure's results and in the report, and it is a finding, not an unknown."""
    with site({"/": BLANK}) as app:
        ended = project.pytest("--target", "live", env=shop(project, app))
        assert app.methods("/") == ["GET", "GET"]  # whether there is a page, and the visit
    run = project.last
    verdicts = {check["ids"][0]: check["verdict"] for check in run.record["checks"]}
    assert verdicts == {"SHOP-A-1": "failed", "SHOP-A-2": "failed"}, ended.text
    pictures = {
        found["picture"] for check in run.record["checks"] for found in check["findings"]
    } - {""}
    assert len(pictures) == 1
    name = pictures.pop()
    png = (run.folder / name).read_bytes()
    assert png.startswith(b"\x89PNG")
    attached = run.folder / "allure-results" / f"{Path(name).stem}-attachment.png"
    assert attached.read_bytes() == png
    report = (run.folder / "report.html").read_text()
    assert "How it looked" in report
    assert 'src="data:image/png;base64,' in report
    assert "no shop today" in report


def test_no_browser_is_not_run(project: Project) -> None:
    """Without a browser the checks are not run, and the run is incomplete and says what to do."""
    with site({"/": GOOD}) as app:
        variables = shop(project, app, **{VARIABLE: "/no/such/browser"})
        ended = project.pytest(*LIVE, env=variables)
    assert ended.status == 11, ended.text
    assert "2 not run" in ended.text
    assert "make browser" in ended.text
    assert [check["verdict"] for check in project.last.record["checks"]] == ["not run"] * 2


def test_a_secret_on_the_page_leaves_no_picture(project: Project) -> None:
    """A page that shows what opens it is told, redacted, and not pictured."""
    page = "<title>token-of-the-shop</title><div id=root><p>token-of-the-shop</p></div>"
    with site({"/": page}) as app:
        project.pytest(*LIVE, env=shop(project, app))
    run = project.last
    written = b"".join(path.read_bytes() for path in run.folder.rglob("*") if path.is_file())
    assert b"token-of-the-shop" not in written
    assert not list(run.folder.rglob("*.png"))


def test_no_browser_outlives_a_killed_run(project: Project) -> None:
    """After SIGKILL of the run its browser goes, and the next run takes its folder away."""

    def stuck(handler: object) -> None:
        time.sleep(20)

    page = GOOD.replace("100)", "6000)") + "<script src=/stuck></script>"
    with site({"/": page, "/stuck": stuck}) as app:
        variables = shop(project, app)
        run = project.start(*LIVE, env=variables)
        until = time.monotonic() + 40
        while "/stuck" not in {each.path for each in app.asked} and time.monotonic() < until:
            time.sleep(0.05)
        started = psutil.Process(run.pid).children(recursive=True)
        run.kill()
        project.ended(run)
        assert any("chrom" in each.name() for each in started)
        _, alive = psutil.wait_procs(started, 10)
        assert alive == []
        app.pages = {"/": GOOD}
        project.pytest(*LIVE, env=variables)
    assert project.left_behind() == []


def test_a_run_without_pages_starts_no_browser(project: Project) -> None:
    """What no page is asked of neither starts a browser nor imports what drives one."""
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, json; import watchkeeper.kinds, watchkeeper.pytest_plugin;"
            "print(json.dumps([m for m in sys.modules if m.startswith('playwright')"
            " or m in ('watchkeeper.visit', 'watchkeeper.web')]))",
        ],
        cwd=project.root,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(told.stdout) == []
