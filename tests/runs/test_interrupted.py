"""A run that is stopped: what it says, what it leaves, and what the next one finds."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import psutil
import pytest

from tests.runs.runs import FAST, SLUG, Project, until

SLOW = """@media-management @alert
Feature: Waiting

  @MM-SLOW-1 @P3
  Scenario: First it looks
    Given the media manager
    Then its Radarr connection is up

  @MM-SLOW-2 @P3
  Scenario: Then it waits
    Given the media manager
    Then throughout the next 10 minutes its Radarr connection is up

  @MM-SLOW-3 @P3
  Scenario: This waits as well
    Given the media manager
    Then throughout the next 10 minutes its Sonarr connection is up

  @MM-SLOW-4 @P3
  Scenario: Nobody comes here
    Given the media manager
    Then its Lidarr connection is up

  @MM-SLOW-5 @P3
  Scenario: Nor here
    Given the media manager
    Then its Lidarr connection is up
"""


@pytest.fixture
def waiting(project: Project) -> Project:
    project.write(f"features/{SLUG}/waiting.feature", SLOW)
    return project


def _begun(project: Project, checks: int = 1) -> None:
    """Wait until so many checks are in the ledger, and among Allure's results, which come after."""

    def there() -> bool:
        ledgers = list(project.reports.glob("runs/*/ledger.jsonl"))
        results = [p.read_text("utf-8") for p in project.reports.glob("runs/*/*/*-result.json")]
        noted = bool(ledgers) and ledgers[-1].read_text("utf-8").count('"kind":"check"')
        return noted >= checks <= sum(text.endswith("}") for text in results)

    until(there, "the run never began")


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_stopped_run_says_interrupted(
    waiting: Project, sent: signal.Signals, workers: tuple[str, ...]
) -> None:
    """Ctrl-C and SIGTERM end with 2 and a report that claims nothing for what did not end."""
    process = waiting.start("-m", "alert", "-p", "no:cacheprovider", *workers,
                            *(["--report=results"] if workers else []))  # fmt: skip
    _begun(waiting)
    process.send_signal(sent)
    ended = waiting.ended(process)
    assert ended.status == 2, ended.text
    record = waiting.last.record
    assert (record["verdict"], record["exit_code"]) == ("interrupted", 2)
    assert "INTERRUPTED" in ended.out
    claimed = set(waiting.last.verdicts)
    assert "MM-SLOW-1" in claimed and not claimed & {"MM-SLOW-2", "MM-SLOW-3"}
    missing = " ".join(record["missing"])
    assert "Then it waits" in missing and "This waits as well" in missing
    assert len(record["checks"]) + len(record["missing"]) == 5
    assert {problem.kind for problem in waiting.last.problems} <= {"not closed"}
    assert len(waiting.last.allure) == len(claimed), "Allure claims no more than the record"
    assert waiting.left_behind() == []
    if not workers:
        assert "interrupted" in (waiting.last.folder / "report.html").read_text("utf-8").lower()
        assert waiting.last.problems == ()


def test_a_killed_run_leaves_nothing_that_the_next_one_does_not_find(waiting: Project) -> None:
    """After SIGKILL the replica ends by itself; the next run says that the other never ended."""
    process = waiting.start("-m", "alert", *FAST)
    _begun(waiting)
    replica = waiting.replica_processes()
    ports = {each.laddr.port for one in replica for each in one.net_connections() if not each.raddr}
    assert replica and ports
    process.kill()
    waiting.ended(process)
    killed = waiting.last
    assert killed.record["verdict"] == "running"
    assert {problem.kind for problem in killed.problems} == {"not closed"}
    ended = waiting.pytest("-k", "Nothing", *FAST)
    assert ended.status == 0, ended.text
    assert f"the run {killed.folder.name} never ended" in ended.out
    assert "1 of 5 checks" in waiting.last.said
    assert killed.record["verdict"] == "interrupted"
    assert len(killed.record["missing"]) == 4
    assert waiting.nothing_is_left()
    assert not [each for each in replica if each.is_running()]
    open_now = {
        each.laddr.port for each in psutil.net_connections("tcp") if each.status == "LISTEN"
    }
    assert not ports & open_now
    # It is said once.
    ended = waiting.pytest("-k", "Nothing", *FAST)
    assert "never ended" not in ended.out


def test_a_worker_that_is_killed_is_named_with_what_it_leaves_out(waiting: Project) -> None:
    """Under -n 2 a killed worker does not hang the run, and its check is missing, not green."""
    process = waiting.start("-m", "alert", "-n", "2", *FAST)
    _begun(waiting)
    leader = psutil.Process(process.pid)
    victim = _workers(leader)[0]
    victim.kill()
    until(
        lambda: len(_workers(leader)) == 2 and victim not in _workers(leader), "none came instead"
    )
    process.send_signal(signal.SIGINT)
    ended = waiting.ended(process)
    assert "crashed" in waiting.last.said, ended.text
    assert any("waits" in node for node in waiting.last.record["missing"])
    assert waiting.last.record["verdict"] in ("interrupted", "incomplete")
    assert waiting.nothing_is_left()


def _workers(leader: psutil.Process) -> list[psutil.Process]:
    return [each for each in leader.children() if _works(each)]


def _works(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and "-c" in process.cmdline()
    except psutil.NoSuchProcess:  # it has just been reaped
        return False


def test_two_runs_at_once_do_not_disturb_each_other(project: Project) -> None:
    """Two in one second in one checkout: two folders, two replicas, two verdicts of their own."""
    first = project.start("-m", "daily", "--dial", "radarr down")
    second = project.start("-m", "daily")
    red, green = project.ended(first), project.ended(second)
    assert (red.status, green.status) == (1, 0), red.text + green.text
    assert len(project.runs) == 2
    assert sorted(left.record["verdict"] for left in project.runs) == ["go", "no-go"]
    assert all(left.problems == () for left in project.runs)
    page = (project.reports / "index.html").read_text("utf-8")
    assert all(f"runs/{left.folder.name}/report.html" in page for left in project.runs)
    assert project.left_behind() == []


NO_NPM = {"npm_config_registry": "http://127.0.0.1:9/", "npm_config_fetch_retries": "0"}


def test_without_npm_the_page_is_ours_and_says_so(project: Project) -> None:
    """Allure's packages can't be fetched: the report is there all the same, with the reason."""
    (project.reports.parent / ".cache").unlink()
    env = {**NO_NPM, "npm_config_cache": str(project.tmp / "npm")}
    ended = project.pytest("-k", "Nothing", env=env)
    assert ended.status == 0, ended.text
    page = (project.last.folder / "report.html").read_text("utf-8")
    assert "npm could not fetch" in page
    assert "it had no failed requests" in page


def test_an_existing_folder_for_reports_is_not_taken_for_the_project(project: Project) -> None:
    """`--reports FOLDER` without the equals sign misleads pytest: it is refused, not obeyed."""
    project.reports.mkdir()
    command = ["-m", "daily", "--reports", str(project.reports)]
    process = project.popen([sys.executable, "-m", "pytest", *command])
    ended = project.ended(process)
    assert ended.status == 4, ended.text
    assert f"write --reports={project.reports}" in ended.text
    assert not Path(project.reports, "runs").exists()
