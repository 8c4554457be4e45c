"""What a run leaves and how it exits, for each way in which it can end."""

from __future__ import annotations

import resource

import pytest

from tests.runs.runs import FAST, Project, suite_of
from watchkeeper.proving.replicas import Replica

RUN_KEYS = {
    "schema", "run", "expression", "target", "started", "finished", "verdict", "exit_code",
    "checks",
}  # fmt: skip
CHECK_KEYS = {
    "ids", "scenario", "row", "system", "level", "verdict", "findings", "started", "duration_s",
    "waiver", "last_seen_red",
}  # fmt: skip
FINDING_KEYS = {"step", "verdict", "sentence", "source", "started", "duration_s"}


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with two healthy runs: one in one process, one by two workers."""
    project = Project(tmp_path_factory.mktemp("twice"))
    for arguments in (
        ("--junitxml=one.xml",),
        ("-n", "2", "--junitxml=two.xml", "--report=results"),
    ):
        ended = project.pytest("-m", "daily", *arguments)
        assert ended.status == 0, ended.text
        assert "GO: all 11 checks passed" in ended.out
    return project


def test_a_healthy_run_says_go_and_leaves_a_record_of_the_schema(twice: Project) -> None:
    """run.json has the keys that other tools rely on, and its verdict is the exit status."""
    record = twice.runs[0].record
    assert record.keys() >= RUN_KEYS
    assert (record["verdict"], record["exit_code"], record["target"]) == ("go", 0, "replica")
    assert record["schema"] == "watchkeeper/run/1"
    assert "-m daily" in record["expression"]
    assert len(record["checks"]) == 11
    for check in record["checks"]:
        assert check.keys() >= CHECK_KEYS
        assert check["findings"], check["scenario"]
        for finding in check["findings"]:
            assert finding.keys() >= FINDING_KEYS
            assert finding["sentence"] and finding["source"]
    assert twice.runs[0].problems == ()
    assert not (twice.runs[0].folder / "running.json").exists()


def test_a_run_leaves_pages_that_lead_to_each_other(twice: Project) -> None:
    """report.html lies in the run's folder; index.html and latest.html lead there."""
    name = twice.runs[0].folder.name
    assert (twice.runs[0].folder / "report.html").stat().st_size > 100_000
    for page in ("index.html", "latest.html"):
        assert f"runs/{name}/report.html" in (twice.reports / page).read_text("utf-8")
    assert (twice.reports / "history.json").exists()
    assert (twice.reports / "allure-history.jsonl").exists()


def test_allure_has_one_result_for_each_scenario(twice: Project) -> None:
    """Each has its place in the tree, its level as severity, and the steps as they were written."""
    for left in twice.runs:
        assert len(left.allure) == 11
        files = [path.name for path in (left.folder / "allure-results").iterdir()]
        assert not [name for name in files if "container" in name]
    results = {result["name"]: result for result in twice.runs[0].allure}
    radarr = next(result for name, result in results.items() if "Radarr" in name)
    labels = {(label["name"], label["value"]) for label in radarr["labels"]}
    assert labels >= {
        ("epic", "media management"),
        ("feature", "Morning check of the media manager"),
        ("severity", "critical"),
        ("tag", "MM-DAY-4"),
        ("tag", "P1"),
        ("tag", "daily"),
        ("tag", "passed"),
    }
    assert any(name == "story" for name, _ in labels)
    assert len(radarr["steps"]) == 2
    assert radarr["steps"][0]["name"].endswith("its Radarr connection is up")
    assert all(step["status"] == "passed" for step in radarr["steps"])
    assert {"name": "row", "value": "Radarr"} in [
        {key: each[key] for key in ("name", "value")} for each in radarr["parameters"]
    ]
    assert all(step["parameters"] for step in radarr["steps"])


def test_a_check_keeps_its_history_from_run_to_run(twice: Project) -> None:
    """Its history id is the same in the next run, also when workers ran it, and its own."""
    first, second = (
        {each["name"]: each["historyId"] for each in left.allure} for left in twice.runs
    )
    assert first == second
    assert len(set(first.values())) == 11


def test_workers_come_to_the_same_verdicts(twice: Project) -> None:
    """-n 2 changes who looks, and nothing that is found; each worker has a whole ledger."""
    assert twice.runs[0].verdicts == twice.runs[1].verdicts
    assert twice.runs[1].record["verdict"] == "go"
    assert twice.runs[1].problems == ()
    assert len(list(twice.runs[1].folder.glob("ledger-gw*.jsonl"))) == 2


def test_junit_counts_every_scenario_once(twice: Project) -> None:
    """--junitxml holds our account and not pytest's, with and without workers."""
    for name in ("one.xml", "two.xml"):
        suite = suite_of(twice.root / name)
        assert suite.get("name") == "watchkeeper"
        counted = tuple(suite.get(key) for key in ("tests", "failures", "errors", "skipped"))
        assert counted == ("11", "0", "0", "0")


def test_a_bad_system_is_no_go_and_says_what_and_what_to_do(project: Project) -> None:
    """Failed is a failure in every output; in a pipe it has 80 columns and no colour."""
    ended = project.pytest("-m", "daily", "--dial", "radarr down", "--junitxml=out/j.xml", *FAST)
    assert ended.status == 1, ended.text
    assert "NO-GO: 1 failed of 11 checks" in ended.out
    assert "Radarr connection of the media manager was down, expected up" in " ".join(
        ended.out.split()
    )
    assert "Traceback" not in ended.text and "\x1b" not in ended.text
    summary = ended.out[ended.out.index("NO-GO") : ended.out.index("report: ")]
    assert max(map(len, summary.splitlines())) <= 80
    assert str(project.last.folder) in ended.out
    record = project.last.record
    assert (record["verdict"], record["exit_code"]) == ("no-go", 1)
    check = next(check for check in record["checks"] if check["verdict"] == "failed")
    assert (check["ids"], check["row"]) == (["MM-DAY-4"], "Radarr")
    assert check["last_seen_red"] == check["started"]
    statuses = {result["name"]: result["status"] for result in project.last.allure}
    assert list(statuses.values()).count("failed") == 1
    suite = suite_of(project.root / "out" / "j.xml")
    assert suite.get("failures") == "1"
    failure = suite.find("testcase/failure")
    assert failure is not None and "Radarr" in (failure.get("message") or "")
    # The gate lets lower levels through, and says so.
    ended = project.pytest("-m", "daily", "--dial", "a request failed today", "--gate", "P2", *FAST)
    assert ended.status == 0, ended.text
    assert "1 failed" in ended.out
    assert project.last.verdicts["MM-DAY-2"] == "failed"


def test_what_could_not_be_seen_is_inconclusive(project: Project) -> None:
    """Unknown is broken in Allure, an error in JUnit, 10 as the exit status; never green or red."""
    ended = project.pytest("-k", "Nothing", "--dial", "database is gone",
                           "--junitxml=j.xml", *FAST)  # fmt: skip
    assert ended.status == 10, ended.text
    assert project.last.record["verdict"] == "inconclusive"
    assert project.last.verdicts == {"MM-DAY-2": "unknown"}
    assert "narrowed by -k" in project.last.record["partial"]
    assert [result["status"] for result in project.last.allure] == ["broken"]
    suite = suite_of(project.root / "j.xml")
    assert (suite.get("errors"), suite.get("failures")) == ("1", "0")


def test_no_tests_and_a_mistake_exit_as_pytest_does(project: Project) -> None:
    """Nothing selected is 5 and no run; a feature that can't be read is 4, also beside others."""
    ended = project.pytest("-m", "alert", *FAST)
    assert ended.status == 5, ended.text
    assert project.runs == []
    project.write("features/bad.feature", "@media-management\nFeature: Bad\n  Scenario: x\n")
    ended = project.pytest("features/bad.feature", *FAST)
    assert ended.status == 4, ended.text
    assert "features/bad.feature:3" in ended.out
    assert project.runs == []
    ended = project.pytest("-k", "Nothing or x", "--junitxml=j.xml", *FAST)
    assert ended.status == 4, ended.text
    assert "features/bad.feature:3" in ended.out, "the refused file is named though others ran"
    assert "features/bad.feature:3" in project.last.said
    assert (project.last.record["verdict"], project.last.record["exit_code"]) == ("incomplete", 4)
    assert "features/bad.feature:3" in (project.root / "j.xml").read_text("utf-8")


BROKEN = """
import pytest
pytest_plugins = ["steps.given", "steps.when", "steps.then", "fixtures.scenario"]
def pytest_runtest_teardown(item):
    if "doubtful" in item.name:
        raise RuntimeError("a plugin of somebody")
@pytest.hookimpl(trylast=True)
def pytest_runtest_logfinish(nodeid):
    if "confident" in nodeid:
        raise RuntimeError("somebody's plugin broke")
"""


def test_our_own_fault_is_neither_go_nor_no_go(project: Project) -> None:
    """An internal error ends with 3 and a record that says so and names what is missing."""
    project.write("conftest.py", BROKEN)
    ended = project.pytest("-m", "daily", "--dial", "radarr down", *FAST)
    assert ended.status == 3, ended.text
    record = project.last.record
    assert (record["verdict"], record["exit_code"]) == ("incomplete", 3)
    assert "internal error" in project.last.said
    assert any("quick" in node for node in record["missing"])
    assert project.left_behind() == []


LIMIT = 6_000
"""Bytes of the largest file: less than eleven checks in run.json, more than one Allure result."""


def _full_disk() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_a_full_disk_is_said_and_the_run_finishes(
    project: Project, system: Replica, workers: tuple[str, ...]
) -> None:
    """What can't be written ends no run; it ends with 3, the table, and the reason."""
    # Python itself would leave half of what it compiled, and the next process could not read it.
    env = {**system.variables, "PYTHONDONTWRITEBYTECODE": "1"}
    ended = project.pytest("-m", "daily", "--target", "production", *workers, *FAST,
                           env=env, before=_full_disk)  # fmt: skip
    assert ended.status == 3, ended.text
    assert "can't be written" in ended.out
    assert "INTERNALERROR" not in ended.text and "Traceback" not in ended.text
    assert "11 passed" in ended.out
