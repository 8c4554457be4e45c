"""The index: every run is found, the newest report by a fixed name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.telling.telling_samples import HOSTILE, run
from watchkeeper.telling.report import make_index


def put(reports: Path, folder: str, report: bool = True, **changes: object) -> None:
    made = reports / "runs" / folder
    made.mkdir(parents=True)
    replace(run(), run=folder, **changes).write(made / "run.json")
    if report:
        (made / "report.html").write_text("x")


def test_runs_are_listed_newest_first_with_links(tmp_path: Path) -> None:
    """Verdict, expression, target and counts stand beside a relative link."""
    put(tmp_path, "2026-02-01T09-00-00Z", verdict="go")
    put(tmp_path, "2026-02-02T09-00-00Z")
    page = make_index(tmp_path).read_text()
    assert page.index("2026-02-02T09") < page.index("2026-02-01T09")
    assert 'href="runs/2026-02-02T09-00-00Z/report.html"' in page
    assert "2 failed" in page


def test_latest_leads_to_the_newest_run_that_has_a_report(tmp_path: Path) -> None:
    """A run that is still going, or was killed, does not take the link away."""
    put(tmp_path, "2026-02-01T09-00-00Z")
    put(tmp_path, "2026-02-02T09-00-00Z", report=False)
    make_index(tmp_path)
    assert 'url=runs/2026-02-01T09-00-00Z/report.html"' in (tmp_path / "latest.html").read_text()


def test_broken_runs_and_no_runs_are_said(tmp_path: Path) -> None:
    """An unreadable run is named, and an empty folder is no error."""
    (tmp_path / "runs" / "broken").mkdir(parents=True)
    page = make_index(tmp_path).read_text()
    assert "No run yet" in page
    assert "broken: it has no run.json" in page
    assert "There is no report yet" in (tmp_path / "latest.html").read_text()


def test_hostile_expressions_are_text(tmp_path: Path) -> None:
    """What somebody typed as an expression does not become markup."""
    put(tmp_path, "a", expression=HOSTILE, target=HOSTILE)
    assert "<script>window" not in make_index(tmp_path).read_text()
