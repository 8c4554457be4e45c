"""No secret is in anything that a run writes or prints, and hostile text stays text."""

from __future__ import annotations

import base64
import re
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Request, sync_playwright

from tests.runs.runs import FAST, SLUG, Ended, Project
from watchkeeper.proving.replicas import Replica

SECRETS = ("MM_PASSWORD", "SONARR_KEY", "RADARR_KEY", "LIDARR_KEY")
LOUD = ("-vv", "--tb=long", "-l", "--showlocals", "-rA", "--junitxml=j.xml", "--durations=0")
FAULTS = ("radarr refuses the key", "nobody can log in", "sonarr answers 500 with a page",
          "lidarr sends half its json", "an error is logged")  # fmt: skip


def _secrets_of(system: Replica) -> list[str]:
    plain = [system.variables[name] for name in SECRETS]
    user = system.variables["MM_USER"]
    pairs = [f"{user}:{secret}".encode() for secret in plain]
    return [*plain, *(base64.b64encode(each).decode().rstrip("=") for each in pairs)]


def _holding(project: Project, ended: Ended, needles: list[str]) -> list[str]:
    """Where one of `needles` stands: files that the run wrote, and what it printed."""
    places = ["the terminal"] if any(each in ended.text for each in needles) else []
    written = [path for top in (project.reports, project.root) for path in top.rglob("*")]
    for path in written:
        own = path.is_file() and not path.resolve().is_relative_to(Path(__file__).parents[2])
        if own and any(each.encode() in path.read_bytes() for each in needles):
            places.append(str(path))
    return places


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_no_secret_of_the_system_is_written_or_printed(
    project: Project, system: Replica, workers: tuple[str, ...]
) -> None:
    """Not under faults that make errors, nor with the loudest options, nor in base64."""
    for fault in FAULTS:
        system.turn(fault)
    ended = project.pytest("--target", "production", *LOUD, *workers, env=system.variables)
    assert ended.status == 1, ended.text
    assert "unknown" in project.last.verdicts.values()
    assert _holding(project, ended, _secrets_of(system)) == []
    assert (project.root / "j.xml").exists()
    looked = project.watchkeeper("look", SLUG, "--target", "production", "--json",
                                 env=system.variables)  # fmt: skip
    assert looked.status == 10, looked.text
    assert _holding(project, looked, _secrets_of(system)) == []


LEAK = """
pytest_plugins = ["steps.given", "steps.when", "steps.then", "fixtures.scenario"]
from watchkeeper.pytest_plugin.allure_bridge import RedactingWriter
def unredacted(self, body, file_name):
    self._save(file_name, str(body))
RedactingWriter.report_attached_data = unredacted
"""


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_a_writer_that_lets_secrets_through_fails_the_run(
    project: Project, workers: tuple[str, ...]
) -> None:
    """The planted secret is found in what was written, in the leading process and in workers."""
    project.write("conftest.py", LEAK)
    ended = project.pytest("-k", "Nothing", *workers, *FAST)
    assert ended.status == 3, ended.text
    assert "a planted secret came through into" in ended.out
    assert "canary" in project.last.said
    assert project.last.record["exit_code"] == 3


HOSTILE = (
    "<script>window.pwned=1</script><img src=http://127.0.0.1:9/x onerror=window.pwned=1>"
    "\x1b[31m\x1b]0;title\x07 [bold]x[/bold] </textarea></script>'\"]]>"
)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[BrowserContext]:
    """Chromium with the network off."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    assert found, "these tests need Chromium on PATH: install your system's package chromium"
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path / "profile", executable_path=found, offline=True, headless=True,
            args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                  "--disable-background-networking", "--disable-component-update"],
        )  # fmt: skip
        yield context
        context.close()


def test_hostile_text_is_shown_as_text(
    project: Project, system: Replica, browser: BrowserContext
) -> None:
    """Scripts, terminal escapes and markup in logs and rows reach every output, and act in none."""
    now = datetime.now(UTC)
    with Path(system.variables["MM_LOG"]).open("a", encoding="utf-8") as log:
        log.write(f"{now:%Y-%m-%d %H:%M:%S},000 ERROR: {HOSTILE}\n")
    with sqlite3.connect(system.variables["MM_DB"]) as store:
        store.execute("UPDATE requests SET status = 'Failed', title = ? WHERE id = "
                      "(SELECT MAX(id) FROM requests)", (HOSTILE,))  # fmt: skip
    store.close()
    ended = project.pytest("-m", "daily", "--target", "production", "--junitxml=j.xml", "-v",
                           env=system.variables)  # fmt: skip
    assert ended.status == 1, ended.text
    assert "\x1b" not in ended.text
    assert project.last.verdicts["MM-DAY-7"] == "failed"
    for written in (project.last.folder / "run.json", project.root / "j.xml"):
        assert "\x1b" not in written.read_text("utf-8")
    asked: list[str] = []
    troubles: list[str] = []

    def noted(request: Request) -> None:
        if not request.url.startswith(("file:", "data:", "blob:", "about:")):
            asked.append(request.url)

    page = browser.new_page()
    page.on("request", noted)
    page.on("dialog", lambda dialog: (troubles.append(dialog.message), dialog.dismiss()))
    page.goto((project.last.folder / "report.html").as_uri())
    page.wait_for_timeout(1_000)
    assert any("window.pwned=1" in frame.locator("body").inner_text() for frame in page.frames)
    assert [frame.evaluate("window.pwned") for frame in page.frames].count(1) == 0
    page.goto((project.reports / "index.html").as_uri())
    assert page.get_by_role("link", name=re.compile(project.last.folder.name)).count() == 1
    assert (asked, troubles) == ([], [])
