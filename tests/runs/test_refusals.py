"""What a run refuses before it looks at anything, and what it never does to a system it may not."""

from __future__ import annotations

import re
import sqlite3

import httpx
import pytest

from tests.runs.runs import FAST, SLUG, Project
from watchkeeper.proving.replicas import Replica

VARIABLES = (
    "MM_URL",
    "MM_DB_URL",
    "MM_LOG",
    "MM_BACKUPS",
    "RADARR_KEY",
    "SONARR_URL",
    "LIDARR_URL",
)
THE_MATRIX = "A request for The Matrix"


def _refused(project: Project, *arguments: str, env: dict[str, str] | None = None) -> str:
    """What is said by a run that refuses to start, and leaves nothing."""
    ended = project.pytest(*arguments, *FAST, env=env)
    assert ended.status == 4, ended.text
    assert "Traceback" not in ended.text and "INTERNALERROR" not in ended.text
    assert project.runs == [], "a run that never began leaves no folder"
    assert project.left_behind() == []
    return ended.text


def test_a_mistake_on_the_command_line_is_named_with_the_nearest(project: Project) -> None:
    """Variables (all at once), target, dial, tag and level: each is refused before any look."""
    said = _refused(project, "-m", "daily", "--target", "production")
    assert all(name in said for name in VARIABLES)
    assert "nothing has been looked at" in said
    said = _refused(project, "-m", "daily", "--target", "prodction")
    assert "has no target prodction" in said and "production" in said
    said = _refused(project, "-m", "daily", "--dial", "radar down")
    assert 'no dial is called "radar down"' in said and "radarr down" in said
    said = _refused(project, "-m", "daily", "--target", "production", "--dial", "radarr down")
    assert "--dial turns a replica's dial" in said
    said = _refused(project, "-m", "dayly")
    assert "dayly" in said


def test_an_unknown_variable_under_workers_is_said_as_well(project: Project) -> None:
    """The workers refuse, the leading process says why, once, and ends with 4."""
    ended = project.pytest("-m", "daily", "--target", "production", "-n", "2", *FAST)
    assert ended.status == 4, ended.text
    assert all(name in project.last.said for name in VARIABLES)
    assert project.last.record["verdict"] == "incomplete"
    assert set(project.last.verdicts.values()) <= {"unknown"}


def test_a_plan_touches_nothing_and_its_digest_follows_the_sentences(project: Project) -> None:
    """--plan starts no replica and leaves no folder; another sentence has another digest."""

    def digest(*more: str) -> str:
        ended = project.pytest("-m", "daily", "--plan", *more, "-p", "no:cacheprovider")
        assert ended.status == 0, ended.text
        assert "nothing was touched" in ended.out
        assert not project.reports.exists()
        assert project.left_behind() == []
        found = re.search(r"digest: (\w+)", ended.out)
        assert found is not None
        return found[1]

    first = digest()
    assert digest("-n", "2") == first
    path = project.own(f"features/{SLUG}/daily.feature")
    path.write_text(path.read_text("utf-8").replace("at least 80%", "at least 85%"), "utf-8")
    assert digest() != first


def _matrix(system: Replica) -> tuple[int, int]:
    """How often the system itself has The Matrix: in its requests, and in Radarr."""
    with sqlite3.connect(system.variables["MM_DB"]) as store:
        requests = store.execute(
            "SELECT COUNT(*) FROM requests WHERE title = 'The Matrix'"
        ).fetchone()[0]
    store.close()
    movies = httpx.get(
        f"{system.variables['RADARR_URL']}/api/v3/movie",
        headers={"X-Api-Key": system.variables["RADARR_KEY"]},
        trust_env=False,
    ).json()
    return int(requests), len([movie for movie in movies if movie["title"] == "The Matrix"])


def _highest_id(system: Replica) -> int:
    with sqlite3.connect(system.variables["MM_DB"]) as store:
        found = store.execute("SELECT seq FROM sqlite_sequence WHERE name = 'requests'").fetchone()
        highest = store.execute("SELECT MAX(id) FROM requests").fetchone()
    store.close()
    return int((found or highest)[0] or 0)


CHANGES = ("-k", "Matrix", "--target", "production", *FAST)


def test_each_of_the_three_locks_keeps_a_change_away(
    open_production: Project, system: Replica
) -> None:
    """Tag, --allow and the environment: with any one closed the system stays as it was."""
    project, before = open_production, (_matrix(system), _highest_id(system))
    # --allow is not given.
    ended = project.pytest(*CHANGES, env=system.variables)
    assert ended.status == 11, ended.text
    assert "was not given --allow" in ended.out
    assert (_matrix(system), _highest_id(system)) == before
    # The digest is missing, then another plan's.
    for digest in ((), ("--digest=0123456789ab",)):
        ended = project.pytest(*CHANGES, "--allow", "destroys", *digest, env=system.variables)
        assert ended.status == 4, ended.text
        assert "digest" in ended.text
    # -n runs several things at once.
    ended = project.pytest(*CHANGES, "--allow", "destroys", "-n", "2", env=system.variables)
    assert ended.status == 4, ended.text
    assert "run without -n" in ended.text
    assert (_matrix(system), _highest_id(system)) == before
    # The environment allows looking only.
    target = project.root / "targets" / f"{SLUG}.yml"
    opened = target.read_text("utf-8")
    target.write_text(opened.replace("allows: destroys", "allows: looking"), "utf-8")
    digest_now = _digest(project, "--allow", "destroys")
    ended = project.pytest(
        *CHANGES, "--allow", "destroys", f"--digest={digest_now}", env=system.variables
    )
    assert ended.status == 11, ended.text
    assert "allows looking" in ended.out
    assert (_matrix(system), _highest_id(system)) == before
    # The scenario's tag: a verb stronger than its tag is refused before it is run.
    target.write_text(opened, "utf-8")
    path = project.own(f"features/{SLUG}/deployment.feature")
    path.write_text(path.read_text("utf-8").replace(" @destroys", " @changes"), "utf-8")
    ended = project.pytest(*CHANGES, "--allow", "destroys", env=system.variables)
    assert ended.status in (4, 11), ended.text
    assert (_matrix(system), _highest_id(system)) == before


def _digest(project: Project, *more: str) -> str:
    ended = project.pytest(*CHANGES, *more, "--plan")
    found = re.search(r"digest: (\w+)", ended.out)
    assert found is not None, ended.text
    return found[1]


def test_with_all_locks_open_the_reviewed_plan_is_carried_out(
    open_production: Project, system: Replica
) -> None:
    """The right digest runs the change, records it before and after, and takes it back."""
    before = _highest_id(system)
    arguments = (*CHANGES, "--allow", "destroys")
    digest = _digest(open_production, "--allow", "destroys")
    ended = open_production.pytest(*arguments, f"--digest={digest}", env=system.variables)
    assert ended.status == 0, ended.text
    assert _highest_id(system) >= before
    assert _matrix(system) == (0, 0), "the test request is withdrawn"
    kinds = [record["kind"] for record in open_production.last.ledger]
    assert kinds.count("about to") == kinds.count("done") == 3
    assert open_production.last.problems == ()


def test_what_a_target_leaves_out_has_no_vote(open_production: Project, system: Replica) -> None:
    """`leaves out` is not applicable with its reason; where nothing votes, nothing is go."""
    path = open_production.root / "targets" / f"{SLUG}.yml"
    path.write_text(
        path.read_text("utf-8").replace(
            "{allows: destroys}",
            '{allows: destroys, leaves out: {MM-DAY-2: "there are no nights here"}}',
        ),
        "utf-8",
    )
    ended = open_production.pytest(
        "-m", "daily", "--target", "production", *FAST, env=system.variables
    )
    assert ended.status == 0, ended.text
    assert open_production.last.verdicts["MM-DAY-2"] == "not applicable"
    assert "there are no nights here" in str(open_production.last.record["checks"])
    ended = open_production.pytest(
        "-k", "Nothing", "--target", "production", *FAST, env=system.variables
    )
    assert ended.status == 11, ended.text


WAIVER = """waivers:
  - id: MM-DAY-2
    owner: Ann
    reason: known since Monday
    ticket: OPS-7
    last day: {day}
  - {{id: MM-DAY-9, owner: Ann, reason: gone, ticket: OPS-8, last day: 2999-01-01}}
  - {{id: MM-DAY-7, owner: Ann, reason: was noisy, ticket: OPS-9, last day: 2999-01-01}}
"""
RED = ("-m", "daily", "--dial", "a request failed today", *FAST)


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_a_waiver_takes_the_vote_and_not_the_colour(
    project: Project, workers: tuple[str, ...]
) -> None:
    """Waived: exit 0, still failed in the record; waivers that help nobody are named."""
    project.write("waivers.yml", WAIVER.format(day="2999-01-01"))
    ended = project.pytest(*RED, *workers, "--junitxml=j.xml")
    assert ended.status == 0, ended.text
    check = next(each for each in project.last.record["checks"] if "MM-DAY-2" in each["ids"])
    assert check["verdict"] == "failed" and "OPS-7" in check["waiver"]
    statuses = [result["status"] for result in project.last.allure]
    assert statuses.count("failed") == 1
    assert "MM-DAY-9 is unused: no check is called that" in project.last.said
    assert "MM-DAY-7 is unused: the check is fine without it" in project.last.said
    assert "MM-DAY-2 is unused" not in project.last.said
    xml = (project.root / "j.xml").read_text("utf-8")
    assert 'failures="0"' in xml and 'name="waiver"' in xml


def test_an_expired_or_unreadable_waiver_lets_nothing_through(project: Project) -> None:
    """Expired: it counts again and is named. A bad file: exit 4 with its line, also under -n."""
    project.write("waivers.yml", WAIVER.format(day="2020-01-01"))
    ended = project.pytest(*RED)
    assert ended.status == 1, ended.text
    assert "expired after 2020-01-01" in project.last.said
    project.write("waivers.yml", WAIVER.format(day="2020-02-30"))
    for workers in ((), ("-n", "2")):
        ended = project.pytest(*RED, *workers)
        assert ended.status == 4, ended.text
        assert "waivers.yml:6" in ended.text and "INTERNALERROR" not in ended.text
    assert len(project.runs) == 1
    assert project.left_behind() == []
