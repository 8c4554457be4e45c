"""The index: every run is found, the newest report by a fixed name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.telling.proof_samples import hostile_proof, proof
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


def test_drill_runs_are_listed_as_drills(tmp_path: Path) -> None:
    """They stand in a table of their own, and the latest report is that of a run."""
    put(tmp_path, "2026-02-01T09-00-00Z")
    folder = tmp_path / "runs" / "2026-02-02T09-00-00Z"
    folder.mkdir()
    proof().write(folder / "proof.json")
    (folder / "report.html").write_text("x")
    for page in (make_index(tmp_path).read_text(), make_index(tmp_path).read_text()):
        runs, drills = page.split("<h2>Drills</h2>")
        assert "2026-02-02" not in runs
        assert 'href="runs/2026-02-02T09-00-00Z/report.html"' in drills
        assert "2 of 5" in drills
        assert "3 of 6" in drills
        assert "Not readable" not in page
    assert "url=runs/2026-02-01T09-00-00Z/report" in (tmp_path / "latest.html").read_text()


def test_a_hostile_drill_is_text_and_a_broken_one_is_said(tmp_path: Path) -> None:
    """What stands in a proof does not become markup, and one that can't be read is named."""
    for name in ("a", "b"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    hostile_proof().write(tmp_path / "runs" / "a" / "proof.json")
    (tmp_path / "runs" / "b" / "proof.json").write_text("{")
    page = make_index(tmp_path).read_text()
    assert "<script>window" not in page
    assert "b: proof.json is no watchkeeper/proof/1" in page
