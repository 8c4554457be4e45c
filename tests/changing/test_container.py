"""Does the container operator change exactly what is meant, and say how it went as it is?"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import docker
import pytest
from pydantic import ValidationError

from tests.replicas.replica_process import ROOT, Replica, running
from watchkeeper.changing.operate import Hands
from watchkeeper.changing.operator import Done
from watchkeeper.changing.operators import OPERATORS
from watchkeeper.changing.operators.container import OPERATOR, Order
from watchkeeper.clock import Clock
from watchkeeper.errors import OperationFailed, OperationRefused, OperationUnknown
from watchkeeper.kinds import KINDS
from watchkeeper.looking.loop import LookingLoop
from watchkeeper.looking.observe import Observer
from watchkeeper.looking.probes import PROBES
from watchkeeper.looking.reach import Reach
from watchkeeper.recording.ledger import Ledger
from watchkeeper.recording.redaction import Redactor
from watchkeeper.services import Docker
from watchkeeper.target_file import load_system
from watchkeeper.targets import Target

COMMAND = (sys.executable, str(ROOT / "tests" / "replicas" / "engine_replica.py"), "--folder")
UI = "frontend-training"


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


def do(address: str | Replica, *, project: str | None = "routing-ml", **order: Any) -> Done:
    where = address if isinstance(address, str) else address.env["RML_DOCKER"]
    service = Docker.model_validate({"docker": where, "project": project})

    async def operate() -> Done:
        reach = Reach({"docker": service}, Clock())
        wanted = Order.model_validate({"in": "docker", "deadline": "20 seconds", **order})
        settled, _ = await OPERATOR.settle(wanted, reach)
        return await OPERATOR.operate(settled, reach)

    return asyncio.run(operate())


def states(client: docker.DockerClient) -> dict[str, tuple[str, str]]:
    """By name, of all there is: status and start."""
    return {
        each.name: (each.status, each.attrs["State"]["StartedAt"])
        for each in client.containers.list(all=True)
    }


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {name for name in before | after if before.get(name) != after.get(name)}


# Restart, stop, start


def test_restart_touches_one_service(replica: Replica, client: docker.DockerClient) -> None:
    """Only the container that is meant has a new start; it runs."""
    before = states(client)
    done = do(replica, restart="backend")
    assert done.value == {"containers": ["routing-ml-backend"]}
    after = states(client)
    assert changed(before, after) == {"routing-ml-backend"}
    assert after["routing-ml-backend"][0] == "running"


def test_restart_of_all_services(replica: Replica, client: docker.DockerClient) -> None:
    """In the order in which they need each other, and nothing of another project."""
    before = states(client)
    done = do(replica, restart="all services")
    assert isinstance(done.value, dict)
    order = done.value["containers"]
    assert len(order) == 7
    assert order.index("database") < order.index("routing-ml-backend")
    assert order.index("routing-ml-backend") < order.index("routing-ml-nginx-1")
    others = {name for name in before if name.startswith("catalog")}
    assert changed(before, states(client)) == set(before) - others


def test_stop_and_start(replica: Replica, client: docker.DockerClient) -> None:
    """Done twice, the second says that it was so already."""
    do(replica, stop="grafana")
    assert states(client)["routing-ml-grafana-1"][0] == "exited"
    assert do(replica, stop="grafana").note == "routing-ml-grafana-1 was exited already"
    do(replica, start="grafana")
    assert states(client)["routing-ml-grafana-1"][0] == "running"
    assert do(replica, start="grafana").note == "routing-ml-grafana-1 was running already"


def test_a_restart_that_it_does_not_survive(replica: Replica) -> None:
    """The Engine has done it and the container is not back: failed, and it says so."""
    replica.turn("backend container does not survive a restart")
    with pytest.raises(OperationFailed, match=r"routing-ml-backend is restarting .exit code 1"):
        do(replica, restart="backend")


# Scale


def test_scale_up_and_down(replica: Replica, client: docker.DockerClient) -> None:
    """Further ones are made as compose makes them; down, the highest numbers go."""
    before = states(client)
    done = do(replica, scale=UI, to=3)
    names = [f"routing-ml-{UI}-{number}" for number in (2, 3)]
    assert done.value == {"created": names, "removed": []}
    assert done.made == (("container", names[0]), ("container", names[1]))
    for number, name in enumerate(names, 2):
        made = client.containers.get(name)
        like = client.containers.get(f"routing-ml-{UI}-1")
        assert made.status == "running"
        assert made.attrs["Config"]["Hostname"] == made.id[:12]
        number_label = "com.docker.compose.container-number"
        assert made.labels == {**like.labels, number_label: str(number)}
        assert made.attrs["HostConfig"] == like.attrs["HostConfig"]
        (network,) = made.attrs["NetworkSettings"]["Networks"].values()
        assert network["Aliases"] == [UI, made.id[:12]]
    assert do(replica, scale=UI, to=3).value == {"created": [], "removed": []}
    assert do(replica, scale=UI, to=1).value == {"created": [], "removed": names[::-1]}
    assert states(client) == before


def test_scale_that_gives_only_two(replica: Replica) -> None:
    """The third ends at its start: failed, with what was done before."""
    replica.turn("docker engine starts two of a service and no more")
    with pytest.raises(OperationFailed, match=r"-3 is exited .exit code 1.; done: create .*-2, "):
        do(replica, scale=UI, to=3)


def test_a_container_with_a_name_of_its_own(replica: Replica, client: docker.DockerClient) -> None:
    """There can be no second one of that name: refused, and nothing is made."""
    before = states(client)
    with pytest.raises(OperationRefused, match="has a name of its own"):
        do(replica, scale="backend", to=2)
    assert states(client) == before


# Limits


def test_limits(replica: Replica, client: docker.DockerClient) -> None:
    """Both are set, each alone too, and swap follows memory; nothing is restarted."""
    before = states(client)
    do(replica, limit="backend", cpus=4, memory="8 GiB")
    host = client.containers.get("routing-ml-backend").attrs["HostConfig"]
    assert (host["NanoCpus"], host["Memory"], host["MemorySwap"]) == (4e9, 2**33, 2**34)
    do(replica, limit="backend", cpus=0.5)
    host = client.containers.get("routing-ml-backend").attrs["HostConfig"]
    assert (host["NanoCpus"], host["Memory"]) == (5e8, 2**33)
    assert states(client) == before


def test_limits_that_are_refused(replica: Replica) -> None:
    """What the Engine says is the failure's sentence."""
    replica.turn("docker engine refuses new limits")
    with pytest.raises(OperationFailed, match="smaller than already set memoryswap"):
        do(replica, limit="backend", memory="8 GiB")


# A program inside


def test_a_program_inside(replica: Replica) -> None:
    """Its output is the value; its exit code has a word or is a failure; no shell reads it."""
    done = do(replica, run=["python", "-c", "print('$HOME; ls')"], service="backend")
    assert (done.value, done.kind) == ("$HOME; ls", "exit 0")
    script = "import sys; print('said'); print('no such version', file=sys.stderr); sys.exit(4)"
    order = {"run": ["python", "-c", script], "service": "backend"}
    with pytest.raises(OperationFailed, match="python: exit 4: no such version"):
        do(replica, **order)
    assert do(replica, **order, **{"exit codes": {4: "applied"}}).outcome == "applied"
    with pytest.raises(OperationFailed, match="no-such-program: exit 127"):
        do(replica, run=["no-such-program"], service="backend")


def test_a_program_that_takes_too_long(replica: Replica) -> None:
    """Nobody can say how far it came."""
    with pytest.raises(OperationUnknown, match="may still happen"):
        order = ["python", "-c", "import time; time.sleep(3)"]
        do(replica, run=order, service="backend", deadline="1 second")


def test_a_program_in_what_does_not_run(replica: Replica) -> None:
    """Refused: nothing was run."""
    do(replica, stop="grafana")
    with pytest.raises(OperationRefused, match="exited; nothing was run"):
        do(replica, run=["true"], service="grafana")


# What nobody needs


def test_removal_takes_exactly_the_list(replica: Replica, client: docker.DockerClient) -> None:
    """Never what a container has, also a stopped one, a volume with a name, another project's."""
    volumes = {each.name for each in client.volumes.list()}
    done = do(replica, remove="unused volumes")
    assert isinstance(done.value, dict)
    (gone,) = done.value["removed"]
    assert {each.name for each in client.volumes.list()} == volumes - {gone}
    assert len(do(replica, remove="dangling images").value["removed"]) == 2  # type: ignore[index]
    assert len(do(replica, remove="unused images").value["removed"]) == 1  # type: ignore[index]
    left = {tag for each in client.images.list() for tag in each.tags}
    assert {"catalog/report:3", "mariadb:11", "routing-ml/backend:1.1.0"} <= left
    assert do(replica, remove="unused images").value == {"removed": []}


def test_of_the_unused_only_those(replica: Replica) -> None:
    """`exactly` narrows, and never widens."""
    named = "catalog_database-data"
    assert do(replica, remove="unused volumes", exactly=[named]).value == {"removed": []}


def test_what_came_into_use_is_not_removed(replica: Replica, client: docker.DockerClient) -> None:
    """Between the list and the removal a container took the volume: refused, nothing is gone."""
    (name,) = [each.name for each in client.volumes.list() if len(each.name) == 64]
    service = Docker.model_validate({"docker": replica.env["RML_DOCKER"], "project": "routing-ml"})
    reach = Reach({"docker": service}, Clock())
    order = Order.model_validate({"in": "docker", "remove": "unused volumes", "exactly": [name]})
    labels = {"com.docker.compose.service": UI}
    host = {"Binds": [f"{name}:/data"]}
    config = {"Image": "mariadb:11", "Labels": labels, "HostConfig": host}
    client.api.create_container_from_config(config, "newcomer")
    with pytest.raises(OperationRefused, match="in use by now, or gone; nothing was removed"):
        asyncio.run(OPERATOR.operate(order, reach))
    assert name in {each.name for each in client.volumes.list()}


def test_nothing_is_removed_without_a_list(replica: Replica) -> None:
    """An order that was not settled has no list, and so no right."""
    service = Docker.model_validate({"docker": replica.env["RML_DOCKER"], "project": "routing-ml"})
    order = Order.model_validate({"in": "docker", "remove": "unused volumes"})
    with pytest.raises(OperationRefused, match="was not listed first"):
        asyncio.run(OPERATOR.operate(order, Reach({"docker": service}, Clock())))


TARGET = """\
system: platform
called: the platform
services: {docker: {docker: "${env:RML_DOCKER}", project: "${env:RML_PROJECT}"}}
figures:
  containers: {container: {in: docker}, key: name}
  back end's state: {container: {service: backend, in: docker}, pick: .state, values: [running]}
operations:
  removes what nobody needs: {effect: destroys, container: {remove: unused volumes, in: docker}}
environments: {replica: {}}
"""


def test_the_ledger_has_the_list_first(replica: Replica, tmp_path: Path) -> None:
    """What will be removed is on the disk, name by name, before anything is removed."""
    path = tmp_path / "platform.yml"
    path.write_text(TARGET)
    system = load_system(path, KINDS)
    target = Target(system, system.environments["replica"], replica.env)
    looking, ledger = LookingLoop(), Ledger.open(tmp_path / "ledger.jsonl", Redactor())
    services = target.services(frozenset({"docker"}))
    observer = Observer(target, services, PROBES, looking, Clock())
    try:
        hands = Hands(target, observer, OPERATORS, ledger, "destroys")
        operation = system.operations["removes what nobody needs"]
        done = hands.operate(operation, {}, tagged="destroys", scenario="S", late={})
    finally:
        observer.close()
        looking.close()
        ledger.close()
    assert isinstance(done.value, dict)
    removed = done.value["removed"]
    assert len(removed) == 1
    records = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    told = {kind: each for each in records for kind in ("about to", "done") if kind in str(each)}
    assert list(told) == ["about to", "done"]
    assert f'"exactly": {json.dumps(removed)}' in json.dumps(told["about to"])


# What is not there, and what does not answer


@pytest.mark.parametrize("order", [{"restart": "backnd"}, {"scale": "backnd", "to": 2}], ids=str)
def test_a_service_that_is_not_there(replica: Replica, order: dict[str, Any]) -> None:
    """Refused, naming those that are."""
    with pytest.raises(OperationRefused, match="there are: backend, database"):
        do(replica, **order)


def test_another_project(replica: Replica, client: docker.DockerClient) -> None:
    """A service of another project is none of ours; without a project nothing is touched."""
    before = states(client)
    with pytest.raises(OperationRefused, match='no container of a service "web"'):
        do(replica, restart="web")
    with pytest.raises(OperationRefused, match="names no compose project"):
        do(replica, restart="backend", project=None)
    assert states(client) == before


def test_an_engine_that_is_down(replica: Replica) -> None:
    """Failed: nothing was sent."""
    replica.turn("docker engine down")
    with pytest.raises(OperationFailed, match=r"refused.*nothing was changed"):
        do(replica, restart="backend")


def test_an_engine_that_ignores_the_label_filter() -> None:
    """Only what carries the project's label is touched, whatever the Engine lists."""
    with lying(listed_project="catalog") as (address, sent):
        with pytest.raises(OperationRefused, match="no container of a project"):
            do(address, restart="backend")
        assert sent == []


@pytest.mark.parametrize(
    ("answers", "outcome", "says"),
    [
        (409, OperationFailed, "it answered 409: no"),
        (500, OperationUnknown, "it answered 500: no; it may have begun"),
        (0, OperationUnknown, "the connection ended before the answer was whole; it may still"),
        (-1, OperationUnknown, "no whole answer within 1 s; it may still happen"),
    ],
)
def test_an_answer_that_is_none(answers: int, outcome: type[Exception], says: str) -> None:
    """A 4xx is a failure; a 5xx, a closed connection and silence leave open whether it was done,
    and the request is sent once.
    """
    with lying(answers=answers) as (address, sent):
        with pytest.raises(outcome, match=says):
            do(address, restart="backend", deadline="1 second")
        assert [each.partition("?")[0] for each in sent] == ["POST /v1.47/containers/1/restart"]


@contextmanager
def lying(
    answers: int = 204, listed_project: str = "routing-ml"
) -> Iterator[tuple[str, list[str]]]:
    """An Engine with one container, which answers a change by a status, not at all (-1), or by
    hanging up (0); and what was sent to it to change something."""
    sent: list[str] = []
    labels = {
        "com.docker.compose.project": listed_project,
        "com.docker.compose.service": "backend",
    }
    limits = {"NanoCpus": 0, "CpuQuota": 0, "CpuPeriod": 0, "Memory": 0, "MemorySwap": 0}
    shown = {
        "Id": "1", "Name": "/routing-ml-backend-1", "Image": "sha256:1", "RestartCount": 0,
        "State": {"Status": "running", "ExitCode": 0, "StartedAt": "2026-01-01T00:00:00Z"},
        "Config": {"Image": "backend", "Labels": labels, "Tty": False},
        "HostConfig": {**limits, "RestartPolicy": {"Name": "no"}},
    }  # fmt: skip
    known = {
        "version": {"ApiVersion": "1.47"},
        "containers/json": [{"Id": "1", "ImageID": "sha256:1", "Labels": labels, "Mounts": []}],
        "containers/1/json": shown,
    }

    class Lying(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0].removeprefix("/").removeprefix("v1.47/")
            self._answer(200, known[path])

        def do_POST(self) -> None:
            sent.append(f"POST {self.path}")
            if answers == -1:
                time.sleep(3)
            if answers > 0:
                self._answer(answers, {"message": "no"})

        def _answer(self, status: int, value: object) -> None:
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing to standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Lying)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"tcp://127.0.0.1:{server.server_address[1]}", sent
    finally:
        server.shutdown()
        server.server_close()


def test_what_an_earlier_sentence_saw_is_filled_in() -> None:
    """A placeholder stands for a number until it is filled in, and is a number then."""
    waits = {"limit": "a", "cpus": "{before.CPUs}", "memory": "{before.memory} bytes"}
    assert Order.model_validate({"in": "docker", **waits}).cpus == "{before.CPUs}"
    filled = {"limit": "a", "cpus": "2.0", "memory": "4294967296 bytes"}
    assert Order.model_validate({"in": "docker", **filled}).cpus == 2.0
    assert Order.model_validate({"in": "docker", "scale": "a", "to": "3"}).to == 3
    with pytest.raises(ValidationError):
        Order.model_validate({"in": "docker", "scale": "a", "to": "three"})


@pytest.mark.parametrize(
    ("order", "mistake"),
    [
        ({}, "write exactly one of"),
        ({"restart": "a", "stop": "a"}, "write exactly one of"),
        ({"scale": "a"}, "belong together"),
        ({"limit": "a"}, "goes with"),
        ({"limit": "a", "memory": "8G"}, "is no size; write for example"),
        ({"run": ["true"]}, "belong together"),
        ({"restart": "a", "exactly": ["b"]}, "goes with"),
    ],
)
def test_orders_that_make_no_sense(order: dict[str, Any], mistake: str) -> None:
    """They are refused when the target file is read."""
    with pytest.raises(ValidationError, match=mistake):
        Order.model_validate({"in": "docker", **order})
