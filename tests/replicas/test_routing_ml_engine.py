"""Is the Engine of the routing platform's replica one that Docker's own tools take for real?"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import docker.errors
import httpx
import psutil
import pytest
from docker.models.containers import Container

from tests.replicas.replica_process import (
    Replica,
    dials_that_fail,
    nothing_is_left,
    running,
)

COMMAND = (sys.executable, str(Path(__file__).with_name("engine_replica.py")), "--folder")
OURS = {"label": "com.docker.compose.project=routing-ml"}
NAMES = [
    "database", "routing-ml-backend", "routing-ml-frontend-home-1",
    "routing-ml-frontend-training-1", "routing-ml-grafana-1", "routing-ml-nginx-1",
    "routing-ml-prometheus-1",
]  # fmt: skip


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    with running(tmp_path_factory.mktemp("engine") / "one", COMMAND) as replica:
        yield replica


@pytest.fixture
def replica(shared: Replica) -> Iterator[Replica]:
    yield shared
    shared.reset()


@pytest.fixture
def client(replica: Replica) -> Iterator[docker.DockerClient]:
    client = docker.DockerClient(replica.env["RML_DOCKER"], timeout=20)
    yield client
    client.close()


def backend(client: docker.DockerClient) -> Container:
    return client.containers.get("routing-ml-backend")


def health(container: Container) -> str:
    container.reload()
    return str(container.attrs["State"]["Health"]["Status"])


def pid(replica: Replica, name: str) -> int:
    return int(Path(replica.env[f"{name}_PIDFILE"]).read_text())


def wait_until(condition: Any, within_s: float = 10.0) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


# Every dial


def test_each_dial_is_seen_and_gone_after_a_reset(replica: Replica) -> None:
    """Turned on, each dial measures on, and after a reset off; none is on before."""
    assert dials_that_fail(replica) == []


def test_each_dial_can_be_turned_back(replica: Replica) -> None:
    """Turned off again, a dial measures off, without any reset."""
    for dial in replica.dials():
        for on in (True, False):
            answer = replica.turn(dial["name"], on=on)
            assert answer.status_code == httpx.codes.OK, answer.text
            assert replica.is_on(dial["name"]) is on, dial["name"]


def test_each_dial_says_what_it_does(shared: Replica) -> None:
    """Every dial names procedures of the runbook, or none, and explains itself."""
    for dial in shared.dials():
        assert len(dial["about"]) > 20, dial
        assert all(procedure.startswith("RML-") for procedure in dial["red"]), dial


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    """Programs that the Engine started end with the replica."""
    with running(tmp_path / "two", COMMAND) as replica:
        client = docker.DockerClient(replica.env["RML_DOCKER"])
        backend(client).restart()
        client.close()
    assert nothing_is_left(tmp_path) == []


# Looking


def test_the_sdk_lists_the_project(client: docker.DockerClient) -> None:
    """Labels filter, stopped ones come on request, and another project's are told apart."""
    assert sorted(each.name for each in client.containers.list(filters=OURS)) == NAMES
    assert len(client.containers.list()) == len(NAMES) + 1
    assert len(client.containers.list(all=True)) == len(NAMES) + 2
    assert {each.status for each in client.containers.list(filters=OURS)} == {"running"}


def test_state_follows_the_process(replica: Replica, client: docker.DockerClient) -> None:
    """A program that somebody kills has exited, 137; one that somebody starts again runs since."""
    before = backend(client).attrs["State"]
    assert before["Status"] == "running"
    assert before["Pid"] == pid(replica, "BACKEND")
    psutil.Process(before["Pid"]).kill()
    wait_until(lambda: backend(client).status == "exited")
    assert backend(client).attrs["State"]["ExitCode"] == 137
    backend(client).start()
    after = backend(client).attrs["State"]
    assert after["Status"] == "running"
    assert after["StartedAt"] > before["StartedAt"]
    wait_until(lambda: health(backend(client)) == "healthy")


def test_logs_are_sent_as_the_engine_sends_them(
    replica: Replica, client: docker.DockerClient
) -> None:
    """Streams, tails, instants and since; a long line is one line again in the SDK's hands."""
    (log,) = (Path(replica.env["RML_CONTAINERS"]) / "backend").glob("*-json.log")
    at = ["2026-01-01T10:00:00.000000000Z", "2026-01-01T11:00:00.500000000Z"]
    entries = [("first\n", "stdout"), ("x" * 40_000 + "\n", "stderr")]
    log.write_text(
        "".join(
            json.dumps({"log": text, "stream": stream, "time": time}) + "\n"
            for (text, stream), time in zip(entries, at, strict=True)
        )
    )
    container = backend(client)
    assert container.logs() == b"first\n" + b"x" * 40_000 + b"\n"
    assert container.logs(stderr=False, timestamps=True) == f"{at[0]} first\n".encode()
    assert container.logs(tail=1).startswith(b"xxx")
    assert container.logs(since=1767265200) == b"x" * 40_000 + b"\n"  # 11:00
    assert container.logs(until=1767265200) == b"first\n"


def test_stats(client: docker.DockerClient) -> None:
    """A sample has the memory that the process has, and CPU time that grows."""
    sample = backend(client).stats(stream=False)
    assert 5_000_000 < sample["memory_stats"]["usage"] < 500_000_000
    assert sample["memory_stats"]["limit"] == 4 * 2**30
    assert sample["cpu_stats"]["cpu_usage"]["total_usage"] > 0


# Changing


def test_restart_is_a_new_process(replica: Replica, client: docker.DockerClient) -> None:
    """Restarted, it has another process and a later start, and stays who it is."""
    container, before = backend(client), pid(replica, "BACKEND")
    started = container.attrs["State"]["StartedAt"]
    container.restart()
    container.reload()
    assert container.attrs["State"]["StartedAt"] > started
    assert pid(replica, "BACKEND") != before
    wait_until(lambda: health(container) == "healthy")


def test_stop_and_start(client: docker.DockerClient) -> None:
    """Stopped, it has exited with 0 and its health is gone; stopping twice does no harm."""
    container = backend(client)
    container.stop()
    container.stop()
    container.reload()
    assert (container.status, container.attrs["State"]["ExitCode"]) == ("exited", 0)
    container.start()
    wait_until(lambda: health(container) == "healthy")


def test_a_further_container_really_runs(client: docker.DockerClient) -> None:
    """Made from another's settings it has a name, number, process and health of its own."""
    like = client.api.inspect_container("routing-ml-frontend-training-1")
    labels = {**like["Config"]["Labels"], "com.docker.compose.container-number": "2"}
    config = {**like["Config"], "Labels": labels, "HostConfig": like["HostConfig"]}
    made = client.api.create_container_from_config(config, "routing-ml-frontend-training-2")
    container = client.containers.get(made["Id"])
    assert container.status == "created"
    container.start()
    wait_until(lambda: health(container) == "healthy")
    assert container.attrs["State"]["Pid"] != like["State"]["Pid"]
    with pytest.raises(docker.errors.APIError, match="cannot remove a running container"):
        container.remove()
    container.stop()
    container.remove()
    with pytest.raises(docker.errors.NotFound):
        client.containers.get(made["Id"])


def test_a_program_runs_inside(client: docker.DockerClient) -> None:
    """Its exit code, output and errors come through the SDK's own way in."""
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    assert backend(client).exec_run(["python", "-c", code], demux=True) == (3, (b"out\n", b"err\n"))
    assert backend(client).exec_run(["no-such-program"]).exit_code == 127


def test_a_program_that_never_stops_talking_is_ended(client: docker.DockerClient) -> None:
    """What it says is bounded, so that the replica is not drowned by it."""
    assert backend(client).exec_run(["yes"]).exit_code == 128 + 25  # SIGXFSZ


def test_what_is_in_use_is_not_removed(client: docker.DockerClient) -> None:
    """Neither a volume nor an image goes while a container has it, also a stopped one."""
    for volume in ("routing-ml_database-data", "catalog_database-data"):
        with pytest.raises(docker.errors.APIError, match="volume is in use"):
            client.volumes.get(volume).remove()
    with pytest.raises(docker.errors.APIError, match="is using its referenced image"):
        client.images.remove("mariadb:11")


def test_prune_is_as_dangerous_as_the_real_one(client: docker.DockerClient) -> None:
    """Stopped containers first, then volumes: another project's database is gone."""
    client.containers.prune()
    gone = client.volumes.prune(filters={"all": True})["VolumesDeleted"]
    assert {"catalog_database-data", "catalog_exports"} <= set(gone)
    assert "routing-ml_database-data" not in gone


def test_a_reset_brings_everything_back(replica: Replica, client: docker.DockerClient) -> None:
    """Containers, images, volumes and what they run are as they were."""
    volumes = {each.name for each in client.volumes.list()}
    images = {each.id for each in client.images.list()}
    test_prune_is_as_dangerous_as_the_real_one(client)
    client.images.prune(filters={"dangling": False})
    backend(client).stop()
    replica.reset()
    assert {each.name for each in client.volumes.list()} == volumes
    assert {each.id for each in client.images.list()} == images
    assert sorted(each.name for each in client.containers.list(filters=OURS)) == NAMES
    assert health(backend(client)) == "healthy"
