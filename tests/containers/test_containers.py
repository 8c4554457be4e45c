"""Do the container probe and operator hold on a real Docker Engine, with real containers?"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import docker
import pytest

from fixtures.containers.engine import Found
from fixtures.containers.images import base
from watchkeeper.changing.operator import Done
from watchkeeper.changing.operators.container import OPERATOR, Order
from watchkeeper.clock import Clock, Window
from watchkeeper.errors import CouldNotObserve, OperationFailed, OperationRefused, OperationUnknown
from watchkeeper.looking.probes.container import PROBE, Question
from watchkeeper.looking.reach import Reach
from watchkeeper.observation import Table
from watchkeeper.services import Docker

PROJECT = f"watchkeeper-test-{os.getpid()}"
LABEL = "com.docker.compose"
TALKS = 'trap "exit 0" TERM; while :; do echo "INFO hello"; echo "ERROR no" >&2; sleep 0.2; done'
MIB = 2**20


@pytest.fixture
def client(engine: Found) -> Iterator[docker.DockerClient]:
    """Nothing of the project is there before, and nothing is left."""
    with closing(docker.DockerClient(engine.address)) as client:
        yield client
        for each in client.containers.list(
            all=True, filters={"label": f"{LABEL}.project={PROJECT}"}
        ):
            each.remove(force=True, v=True)
        for network in client.networks.list(names=[PROJECT]):
            network.remove()


def up(
    client: docker.DockerClient, engine: Found, service: str, number: int = 1, **more: Any
) -> Any:
    """A container as compose would have made it; it talks until it is told to end."""
    if not client.networks.list(names=[PROJECT]):
        client.networks.create(PROJECT)
    labels = {
        f"{LABEL}.project": PROJECT,
        f"{LABEL}.service": service,
        f"{LABEL}.container-number": str(number),
        f"{LABEL}.oneoff": "False",
        f"{LABEL}.config-hash": "0" * 64,
    }
    check = {"test": ["CMD", "true"], "interval": 200_000_000}
    network = client.api.create_endpoint_config(aliases=[service])
    options: dict[str, Any] = {
        "image": base(engine), "command": ["sh", "-c", TALKS], "detach": True, "labels": labels,
        "name": f"{PROJECT}-{service}-{number}", "healthcheck": check, "network": PROJECT,
        "networking_config": {PROJECT: network},
    }  # fmt: skip
    made = client.containers.run(**(options | more))
    made.reload()  # what it was before it started is of no interest
    return made


def look(engine: Found, window: Window | None = None, **asked: Any) -> Any:
    service = Docker.model_validate(
        {"docker": engine.address, "project": PROJECT, "deadline": "20 seconds"}
    )

    async def ask() -> Any:
        reach = Reach({"docker": service}, Clock())
        question = Question.model_validate({"in": "docker", **asked})
        return (await PROBE.look(question, reach, window)).value

    return asyncio.run(ask())


def rows(value: Any) -> list[dict[str, Any]]:
    assert isinstance(value, Table)
    return [dict(row.cells) for row in value]


def do(engine: Found, **order: Any) -> Done:
    service = Docker.model_validate({"docker": engine.address, "project": PROJECT})

    async def operate() -> Done:
        reach = Reach({"docker": service}, Clock())
        settled, _ = await OPERATOR.settle(Order.model_validate({"in": "docker", **order}), reach)
        return await OPERATOR.operate(settled, reach)

    return asyncio.run(operate())


def await_health(engine: Found, service: str) -> None:
    until = time.monotonic() + 30
    while look(engine, service=service)["health"] != "healthy":
        assert time.monotonic() < until
        time.sleep(0.1)


def test_what_there_is(client: docker.DockerClient, engine: Found) -> None:
    """State, health, limits, restart policy, start and exit code of real containers."""
    limits = {"nano_cpus": 500_000_000, "mem_limit": "64m"}
    up(client, engine, "backend", restart_policy={"Name": "unless-stopped"}, **limits)
    up(client, engine, "once", command=["sh", "-c", "exit 3"], healthcheck=None).wait()
    await_health(engine, "backend")
    backend, once = rows(look(engine))
    assert datetime.now(UTC) - backend.pop("started") < timedelta(minutes=5)
    assert backend == {
        "name": f"{PROJECT}-backend-1", "service": "backend", "number": 1, "state": "running",
        "health": "healthy", "restarts": 0, "image": base(engine), "exit_code": None,
        "restart_policy": "unless-stopped", "cpus": 0.5, "memory": 64 * MIB,
    }  # fmt: skip
    assert (once["state"], once["exit_code"], once["health"]) == ("exited", 3, None)
    uses = look(engine, service="backend", stats=True)
    assert 0 <= uses["cpu_percent"] < 200
    assert 0 < uses["memory"] <= 64 * MIB


def test_logs(client: docker.DockerClient, engine: Found) -> None:
    """Both streams, all services, a window, and a line of ten megabytes that hides nothing."""
    up(client, engine, "backend")
    long = 'head -c 10000000 /dev/zero | tr "\\0" x; echo; echo CRITICAL behind it'
    up(client, engine, "big", command=["sh", "-c", long], healthcheck=None).wait()
    time.sleep(1)
    assert look(engine, logs=True, service="big", count="lines") == 2
    (critical,) = rows(look(engine, logs=True, among="CRITICAL"))
    assert (critical["service"], critical["text"]) == ("big", "CRITICAL behind it")
    now = datetime.now(UTC)
    window = Window(now - timedelta(seconds=0.7), now)
    found = rows(look(engine, window, logs=True, service="backend"))
    assert {row["text"] for row in found} == {"INFO hello", "ERROR no"}
    assert all(window.since <= row["at"] < window.until for row in found)
    assert len(rows(look(engine, logs=True, service="backend", **{"last lines": 3}))) == 3


def test_restart_stop_start(client: docker.DockerClient, engine: Found) -> None:
    """Only the service that is meant starts anew; a second stop changes nothing."""
    backend, other = up(client, engine, "backend"), up(client, engine, "other")
    before = {each.id: each.attrs["State"]["StartedAt"] for each in (backend, other)}
    do(engine, restart="backend")
    backend.reload()
    other.reload()
    assert backend.attrs["State"]["StartedAt"] > before[backend.id]
    assert other.attrs["State"]["StartedAt"] == before[other.id]
    do(engine, stop="backend")
    assert do(engine, stop="backend").note.endswith("was exited already")
    do(engine, start="backend")
    assert look(engine, service="backend")["state"] == "running"


def test_a_restart_is_followed(client: docker.DockerClient, engine: Found) -> None:
    """It is over when the health check has spoken, not when the process runs."""
    slow = {"test": ["CMD", "sleep", "1"], "interval": 1_000_000_000, "retries": 1}
    up(client, engine, "backend", healthcheck=slow)
    do(engine, restart="backend")
    assert look(engine, service="backend")["health"] == "healthy"
    ill = {"test": ["CMD", "false"], "interval": 1_000_000_000, "retries": 1}
    up(client, engine, "other", healthcheck=ill)
    do(engine, restart="other")
    assert look(engine, service="other")["health"] == "unhealthy"


def test_what_restarts_again_and_again_is_scaled_away(
    client: docker.DockerClient, engine: Found
) -> None:
    """The Engine refuses to remove it before it is stopped."""
    up(client, engine, "ui")
    policy = {"Name": "unless-stopped"}
    dying = up(client, engine, "ui", 2, command=["false"], restart_policy=policy)
    until = time.monotonic() + 30
    while dying.status != "restarting":
        assert time.monotonic() < until
        time.sleep(0.1)
        dying.reload()
    assert do(engine, scale="ui", to=1).value == {"created": [], "removed": [dying.name]}


def test_scale(client: docker.DockerClient, engine: Found) -> None:
    """Two more as compose makes them: reachable by the service's name, healthy, and gone again."""
    up(client, engine, "ui")
    assert do(engine, scale="ui", to=3).value == {
        "created": [f"{PROJECT}-ui-2", f"{PROJECT}-ui-3"],
        "removed": [],
    }
    third = client.containers.get(f"{PROJECT}-ui-3")
    assert third.labels[f"{LABEL}.container-number"] == "3"
    assert third.attrs["Config"]["Hostname"] == third.id[:12]
    (network,) = third.attrs["NetworkSettings"]["Networks"].values()
    assert "ui" in network["Aliases"]
    addresses = do(engine, run=["getent", "ahostsv4", "ui"], service="ui", number=1).value
    assert len({line.split()[0] for line in str(addresses).splitlines()}) == 3
    assert [row["number"] for row in rows(look(engine))] == [1, 2, 3]
    do(engine, scale="ui", to=1)
    assert [row["number"] for row in rows(look(engine))] == [1]


def test_limits(client: docker.DockerClient, engine: Found) -> None:
    """Raised over what was there, swap included, as the container's own files say."""
    up(client, engine, "backend", nano_cpus=500_000_000, mem_limit="32m")
    do(engine, limit="backend", cpus=1, memory="64 MiB")
    now = look(engine, service="backend")
    assert (now["cpus"], now["memory"]) == (1.0, 64 * MIB)
    files = "/sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max"
    command = ["sh", "-c", f"cat {files} 2>/dev/null; true"]
    assert do(engine, run=command, service="backend").value == str(64 * MIB)


def test_programs_inside(client: docker.DockerClient, engine: Found) -> None:
    """Output, words for exit codes, what is not there, what does not end, what never stops."""
    up(client, engine, "backend")
    script = ["sh", "-c", "echo out; echo err >&2; exit 4"]
    done = do(engine, run=script, service="backend", **{"exit codes": {4: "applied"}})
    assert (done.value, done.outcome, done.kind) == ("out", "applied", "exit 4")
    with pytest.raises(OperationFailed, match="sh: exit 4: err"):
        do(engine, run=script, service="backend")
    with pytest.raises(OperationFailed, match="no-such-program"):
        do(engine, run=["no-such-program"], service="backend")
    with pytest.raises(OperationUnknown):
        do(engine, run=["sleep", "5"], service="backend", deadline="1 second")
    with pytest.raises(OperationUnknown, match="larger than 1 MB"):
        do(engine, run=["yes"], service="backend")


def test_volumes_of_stopped_containers_stay(client: docker.DockerClient, engine: Found) -> None:
    """Of two volumes without a name the one that no container has is unused, and goes alone."""
    keeper = up(client, engine, "keeper", volumes=["/data"])
    keeper.stop()
    kept = keeper.attrs["Mounts"]
    loser = up(client, engine, "loser", volumes=["/data"])
    lost = loser.attrs["Mounts"][0]["Name"]
    loser.remove(force=True)
    named = client.volumes.create(f"{PROJECT}-named")
    try:
        unused = {row["name"] for row in rows(look(engine, unused="volumes"))}
        assert lost in unused
        assert not unused & {kept[0]["Name"], named.name}
        do(engine, remove="unused volumes", exactly=[lost])
        left = {each.name for each in client.volumes.list()}
        assert lost not in left
        assert {kept[0]["Name"], named.name} <= left
    finally:
        named.remove()


def test_what_is_not_ours(client: docker.DockerClient, engine: Found) -> None:
    """Another project's container is neither listed nor touched."""
    up(client, engine, "backend")
    stranger = client.containers.run(
        base(engine), ["sleep", "60"], detach=True, labels={f"{LABEL}.project": PROJECT + "-other"}
    )
    try:
        assert [row["service"] for row in rows(look(engine))] == ["backend"]
        with pytest.raises(OperationRefused):
            do(engine, restart="other")
        with pytest.raises(CouldNotObserve, match="no container of a service"):
            look(engine, service="other")
    finally:
        stranger.remove(force=True)
