"""Does the routing platform in containers prove what the embedded one does, and leave nothing?"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import docker
import pytest

from fixtures.containers.engine import Found
from fixtures.containers.reaper import REPLICA
from tests.runs.runs import ROOT

DRILLED_WITHIN_S = 1500.0  # a dozen faults in real time, and images that are built the first time
STARTS_WITHIN_S = 600.0
REAPED_WITHIN_S = 60.0
MOST_OF_ITS_PARTS = 8

# Each kind of what is real here: the Engine's state, Nginx's certificate, PostgreSQL, Prometheus.
FAULTS = (
    "nginx certificate is expired",
    "backend container is unhealthy",
    "grafana container is restarting",
    "prometheus container has no restart policy",
    "8 percent of the requests fail",
    "a query runs too long",
    "the database backup is cut",
)
QUIET = "prometheus container has no restart policy"
"""No procedure asks for it, so nothing is red."""
CHECKS = "not (changes or destroys) or RML-INC-4 or RML-MON-3"
"""All that look, and those that change the real database; the rest waits long in real time."""


@pytest.fixture
def client(engine: Found) -> Iterator[docker.DockerClient]:
    with closing(docker.DockerClient(engine.address)) as client:
        yield client


def left(client: docker.DockerClient) -> list[str]:
    """What carries a replica's label."""
    mine = {"label": REPLICA}
    found = [*client.containers.list(all=True, filters=mine, ignore_removed=True)]
    names = [str(each.name) for each in found]
    names += [str(each.name) for each in client.networks.list(filters=mine)]
    names += [str(each.name) for each in client.volumes.list(filters=mine)]
    return names + [str(each.id) for each in client.images.list(filters=mine)]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=DRILLED_WITHIN_S, check=False,
    )  # fmt: skip


def test_the_drills_pass_in_containers(client: docker.DockerClient, tmp_path: Path) -> None:
    """Each fault reddens what the drill file says and nothing else; nothing is left afterwards."""
    dials = [word for fault in FAULTS for word in ("--dial", fault)]
    done = run(
        "--drill", "--replicas=containers", f"--reports={tmp_path}", "--report=results",
        "features/routing-ml", "-m", CHECKS, *dials,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    (proof,) = tmp_path.glob("runs/*/proof.json")
    drills = json.loads(proof.read_text())["drills"]
    assert {each["fault"] for each in drills} == set(FAULTS)
    red = {each["fault"] for each in drills if each["reddened"]}
    assert red == set(FAULTS) - {QUIET}
    await_nothing_left(client)


def test_a_killed_replica_leaves_nothing(client: docker.DockerClient, tmp_path: Path) -> None:
    """Its reaper takes away containers, network and volumes; meanwhile a second one is refused."""
    first = start(tmp_path / "first")
    try:
        ready = ready_line(first)
        assert json.loads(ready)["env"]["RML_PROJECT"] == "routing-ml"
        assert len(left(client)) > MOST_OF_ITS_PARTS
        second = start(tmp_path / "second")
        _, complaint = second.communicate(timeout=STARTS_WITHIN_S)
        assert "the Engine has a project routing-ml already" in complaint
        assert "Traceback" not in complaint
    finally:
        first.kill()
        first.communicate()
    await_nothing_left(client)


def await_nothing_left(client: docker.DockerClient) -> None:
    until = time.monotonic() + REAPED_WITHIN_S
    while left(client):
        assert time.monotonic() < until, left(client)
        time.sleep(0.2)


def start(folder: Path) -> subprocess.Popen[str]:
    program = ROOT / "fixtures" / "replicas" / "routing-ml"
    return subprocess.Popen(
        [sys.executable, str(program), "--folder", str(folder), "--containers"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def ready_line(process: subprocess.Popen[str]) -> str:
    """What it says when it is ready, after what it waited for."""
    assert process.stdout is not None
    for line in process.stdout:
        if not line.startswith('{"waiting"'):
            return line
    assert process.stderr is not None
    pytest.fail(process.stderr.read())


def test_a_system_without_containers(tmp_path: Path) -> None:
    """It is said, and nothing is looked at."""
    done = run("--replicas=containers", f"--reports={tmp_path}", "features/media-management")
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "there is no replica of media-management in containers" in said
    assert "Traceback" not in said


def test_drills_in_containers_run_one_at_a_time(tmp_path: Path) -> None:
    """Two replicas would need one name."""
    done = run(
        "--drill", "-n", "2", "--replicas=containers", f"--reports={tmp_path}",
        "features/routing-ml",
    )  # fmt: skip
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "one replica in containers at a time: run without -n" in done.stderr + done.stdout


def test_the_docs_name_what_cannot_be_had() -> None:
    """Each reason for which a dial is not there in containers stands in the docs."""
    folder = ROOT / "fixtures/replicas/routing-ml"
    paths = [str(folder), str(folder / "platform"), str(folder / "programs"), str(ROOT)]
    told = (
        f"import json, sys; sys.path[:0] = {paths}; from contained_dials import CANNOT_BE_HAD; "
        "print(json.dumps([reason for _, reason in CANNOT_BE_HAD]))"
    )
    asked = [sys.executable, "-c", told]
    printed = subprocess.run(asked, capture_output=True, text=True, check=True)
    table = (ROOT / "docs/replicas.md").read_text()
    reasons = json.loads(printed.stdout)
    assert reasons
    assert [reason for reason in reasons if reason not in table] == []
