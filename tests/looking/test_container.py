"""Does the container probe say what the Engine says, by GET alone, and never anything else?"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.replicas.replica_process import ROOT, Replica, running
from watchkeeper.clock import Clock, Window
from watchkeeper.engine import ChangesSomething, Engine
from watchkeeper.errors import CouldNotObserve
from watchkeeper.looking.container_logs import frames, lines
from watchkeeper.looking.log_reader import LINE_MAX
from watchkeeper.looking.probes.container import PROBE, Question
from watchkeeper.looking.reach import Reach
from watchkeeper.observation import Answer, Table
from watchkeeper.services import Docker

COMMAND = (sys.executable, str(ROOT / "tests" / "replicas" / "engine_replica.py"), "--folder")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    with running(tmp_path_factory.mktemp("engine") / "one", COMMAND) as replica:
        yield replica


@pytest.fixture
def replica(shared: Replica) -> Iterator[Replica]:
    yield shared
    shared.reset()


def look(
    address: str | Replica,
    window: Window | None = None,
    *,
    project: str | None = "routing-ml",
    deadline: str = "10 seconds",
    **asked: Any,
) -> Answer:
    where = address if isinstance(address, str) else address.env["RML_DOCKER"]
    service = Docker.model_validate({"docker": where, "project": project, "deadline": deadline})

    async def ask() -> Answer:
        reach = Reach({"docker": service}, Clock())
        return await PROBE.look(Question.model_validate({"in": "docker", **asked}), reach, window)

    return asyncio.run(ask())


def rows(answer: Answer) -> list[dict[str, Any]]:
    assert isinstance(answer.value, Table)
    return [dict(row.cells) for row in answer.value]


def refusal(address: str | Replica, **asked: Any) -> CouldNotObserve:
    with pytest.raises(CouldNotObserve) as caught:
        look(address, **asked)
    return caught.value


# What there is


def test_the_containers_of_the_project(shared: Replica) -> None:
    """One row each, with what is judged of it; containers of other projects are none of it."""
    found = rows(look(shared))
    assert [row["service"] for row in found] == [
        "backend", "database", "frontend-home", "frontend-training", "grafana", "nginx",
        "prometheus",
    ]  # fmt: skip
    backend = found[0]
    assert isinstance(backend.pop("started"), datetime)
    assert backend == {
        "name": "routing-ml-backend",
        "service": "backend",
        "number": 1,
        "state": "running",
        "health": "healthy",
        "restarts": 0,
        "image": "routing-ml/backend:1.1.0",
        "exit_code": None,
        "restart_policy": "unless-stopped",
        "cpus": 2.0,
        "memory": 4 * 2**30,
    }


def test_without_a_project_all_are_listed(shared: Replica) -> None:
    """Another project's containers too; one without a health check or limits has none."""
    found = {row["name"]: row for row in rows(look(shared, project=None))}
    web = found["catalog-web-1"]
    assert (web["health"], web["cpus"], web["memory"]) == (None, None, None)
    assert found["catalog-database-1"]["state"] == "exited"
    assert found["catalog-database-1"]["exit_code"] == 0


def test_one_service(shared: Replica) -> None:
    """A mapping, from which a figure picks one field."""
    value = look(shared, service="backend").value
    assert isinstance(value, dict)
    assert value["state"] == "running"
    assert datetime.now(UTC) - value["started"] > timedelta(hours=25)


@pytest.mark.parametrize(
    ("dial", "service", "field", "value"),
    [
        ("grafana container has exited", "grafana", "state", "exited"),
        ("prometheus container is restarting", "prometheus", "state", "restarting"),
        ("backend container is unhealthy", "backend", "health", "unhealthy"),
        ("nginx container has no restart policy", "nginx", "restart_policy", "no"),
    ],
)
def test_what_is_wrong_is_said(
    replica: Replica, dial: str, service: str, field: str, value: str
) -> None:
    """Each fault of a container stands in its field, and in no other container's."""
    before = {row["name"]: row[field] for row in rows(look(replica))}
    assert replica.turn(dial).status_code == 200
    after = rows(look(replica))
    changed = {row["service"]: row[field] for row in after if row[field] != before[row["name"]]}
    assert changed == {service: value}


def test_what_a_container_uses(shared: Replica) -> None:
    """A share of a CPU and of its memory's limit."""
    value = look(shared, service="backend", stats=True).value
    assert isinstance(value, dict)
    assert 0 <= value["cpu_percent"] < 100
    assert 5_000_000 < value["memory"] < 500_000_000
    assert value["memory_percent"] == pytest.approx(value["memory"] / (4 * 2**30) * 100)


def test_what_is_unused(shared: Replica) -> None:
    """Images that no container needs; volumes that nobody named. Never another project's."""
    assert len(rows(look(shared, unused="images"))) == 3
    (volume,) = rows(look(shared, unused="volumes"))
    assert len(volume["name"]) == 64


# Logs


@pytest.fixture
def talking(replica: Replica) -> Callable[..., None]:
    """Writes into a service's log as Docker does: (seconds ago, text, stream)."""

    def say(service: str, *said: tuple[float, str, str]) -> None:
        (log,) = (Path(replica.env["RML_CONTAINERS"]) / service).glob("*-json.log")
        with log.open("a") as file:
            for ago_s, text, stream in said:
                at = datetime.now(UTC) - timedelta(seconds=ago_s)
                entry = {"log": text + "\n", "stream": stream, "time": f"{at:%FT%T.%f}000Z"}
                file.write(json.dumps(entry) + "\n")

    return say


def test_lines_of_all_services(replica: Replica, talking: Callable[..., None]) -> None:
    """Of every service, with its name; a window takes its own part, to the microsecond."""
    talking("backend", (7200, "CRITICAL old", "stderr"), (60, "CRITICAL new", "stderr"))
    talking("grafana", (60, "level=error msg=CRITICAL", "stdout"), (50, "fine", "stdout"))
    now = datetime.now(UTC)
    hour = Window(now - timedelta(hours=1), now)
    found = rows(look(replica, hour, logs=True, among="CRITICAL"))
    assert [(row["service"], row["text"]) for row in found] == [
        ("backend", "CRITICAL new"),
        ("grafana", "level=error msg=CRITICAL"),
    ]
    assert look(replica, logs=True, among="CRITICAL", count="lines").value == 3
    grouped = look(replica, logs=True, among="CRITICAL", group_by="service")
    assert rows(grouped)[0] == {"service": "backend", "count": 2}
    assert look(replica, hour, logs=True, service="nginx", among="CRITICAL").value == Table((), 0)


def test_a_line_of_ten_megabytes(replica: Replica) -> None:
    """It is one line, cut as evidence, and hides nothing that follows."""
    assert replica.turn("backend container logs a line of 10 MB").status_code == 200
    found = rows(look(replica, logs=True, service="backend", among="by a dial"))
    assert len(found) == 2
    assert found[0]["text"].startswith("by a dial: xxx")
    assert "INFO and so on" in found[1]["text"]


def test_last_lines(replica: Replica, talking: Callable[..., None]) -> None:
    """The last so many lines of each container."""
    talking("backend", *((100 - n, f"line {n}", "stdout") for n in range(50)))
    found = rows(look(replica, logs=True, service="backend", **{"last lines": 3}))
    assert [row["text"] for row in found] == ["line 47", "line 48", "line 49"]


def test_a_pattern_that_never_ends_ends(replica: Replica, talking: Callable[..., None]) -> None:
    """A regular expression that runs away is ended at the deadline, and the look is unknown."""
    talking("backend", (1, "a" * 60 + "!", "stdout"))
    began = time.monotonic()
    told = refusal(replica, logs=True, service="backend", among="(a+)+$", deadline="2 seconds")
    assert told.kind == "timeout"
    assert time.monotonic() - began < 6


def test_streams_do_not_mix() -> None:
    """Parts of long lines of out and errors that alternate are two lines; instants within go."""

    def frame(stream: int, text: bytes) -> bytes:
        return struct.pack(">BxxxL", stream, len(text)) + text

    sent = b"".join(
        (
            frame(1, b"T1 " + b"o" * 20_000),
            frame(2, b"T2 " + b"e" * 20_000),
            frame(1, b"T1 out\n"),
            frame(2, b"T2 err\r\n"),
            frame(1, b"T3 no newline"),
        )
    )
    for size in (1, 7, 4096, len(sent)):
        pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
        assert list(lines(frames(pieces))) == [
            b"T1 " + b"o" * 20_000 + b"out",
            b"T2 " + b"e" * 20_000 + b"err",
            b"T3 no newline",
        ]


def test_a_line_is_bounded() -> None:
    """Of a line without an end only its beginning is kept."""
    endless = ((1, False, b"x" * 65_536) for _ in range(100))
    (line,) = lines(endless)
    assert len(line) == LINE_MAX


@pytest.mark.parametrize(
    ("sent", "kind"),
    [(b"<!doctype html>", "unexpected"), (struct.pack(">BxxxL", 1, 9) + b"half", "closed")],
)
def test_what_is_no_log(sent: bytes, kind: str) -> None:
    """Neither a page nor half a message is a log without lines."""
    with pytest.raises(CouldNotObserve) as caught:
        list(frames([sent]))
    assert caught.value.kind == kind


# Why there is no answer


def test_one_is_meant(replica: Replica) -> None:
    """None, several, none of that number, no such project: each says which there are."""
    told = refusal(replica, service="backnd")
    assert (told.kind, "there are: backend, database" in told.reason) == ("no such container", True)
    assert refusal(replica, service="backend", number=2).kind == "no such container"
    told = refusal(replica, project="routing")
    assert told.kind == "no such project"


def test_stats_of_what_does_not_run(replica: Replica) -> None:
    """They are not zero."""
    assert replica.turn("grafana container has exited").status_code == 200
    told = refusal(replica, service="grafana", stats=True)
    assert (told.kind, told.reason) == ("not running", "routing-ml-grafana-1 is exited")
    grafana = next(row for row in rows(look(replica, stats=True)) if row["service"] == "grafana")
    assert (grafana["cpu_percent"], grafana["memory"]) == (None, None)


@pytest.mark.parametrize(
    ("dial", "kind"),
    [
        ("docker engine down", "refused"),
        ("docker engine hangs", "timeout"),
        ("docker engine drips", "timeout"),
        ("docker engine answers 500 with a page", "500"),
        ("docker engine answers 503", "503"),
        ("docker engine sends half its json", "not JSON"),
        ("docker engine hangs up half-way", "closed"),
        ("docker engine sends wrong types", "unexpected"),
        ("docker engine sends nan", "unexpected"),
        ("docker engine sends a huge body", "too large"),
        ("docker engine redirects to another host", "redirect"),
        ("docker engine answers null", "unexpected"),
        ("docker engine answers an empty list", "unexpected"),
        ("docker engine answers an empty object", "unexpected"),
        ("docker engine shows a login page", "not JSON"),
    ],
)
def test_an_engine_that_gives_no_answer(replica: Replica, dial: str, kind: str) -> None:
    """Each way of not answering has its kind, whatever is asked, and ends in its time."""
    assert replica.turn(dial).status_code == 200
    for asked in ({}, {"service": "backend"}, {"logs": True}, {"unused": "images"}):
        began = time.monotonic()
        assert refusal(replica, **asked, deadline="1 second").kind == kind, asked
        assert time.monotonic() - began < 4


def test_addresses_where_no_engine_is(tmp_path: Path) -> None:
    """No socket, no name, no right to open it: each is its own kind."""
    assert refusal("tcp://127.0.0.1:1").kind == "refused"
    assert refusal(f"unix://{tmp_path}/none.sock").kind == "refused"
    assert refusal("tcp://no-such-name.invalid:2375").kind == "no such name"


def test_what_docker_host_says(shared: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty address is the environment's; a proxy for the web is not asked."""
    monkeypatch.setenv("DOCKER_HOST", shared.env["RML_DOCKER"])
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert len(rows(look(""))) == 7


# It only looks


@contextmanager
def watched() -> Iterator[tuple[str, list[str]]]:
    """An Engine that notes each request, and knows its version alone."""
    seen: list[str] = []

    class Noting(BaseHTTPRequestHandler):
        def _note(self) -> None:
            seen.append(f"{self.command} {self.path}")
            body = json.dumps({"ApiVersion": "1.47"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _note

        def log_message(self, *_: object) -> None:
            """Nothing to standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Noting)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"tcp://127.0.0.1:{server.server_address[1]}", seen
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "change",
    [
        lambda engine: engine.restart("x"),
        lambda engine: engine.remove_volume("x"),
        lambda engine: engine.put_archive("x", "/", b""),
        lambda engine: engine.exec_create("x", "rm"),
        lambda engine: engine.prune_volumes(),
        lambda engine: engine.post(engine.base_url + "/containers/x/kill"),
        lambda engine: engine.request("PATCH", engine.base_url + "/x"),
    ],
    ids=["restart", "remove", "put", "exec", "prune", "post", "patch"],
)
def test_nothing_but_get_can_be_sent(change: Callable[[Engine], object]) -> None:
    """Whatever of the SDK is called, no other request leaves this machine."""
    with watched() as (address, seen), Engine(Docker(docker=address), 5) as engine:
        with pytest.raises(ChangesSomething):
            change(engine)
        assert seen == ["GET /version"]


def test_a_socket_that_never_speaks() -> None:
    """A listener that accepts and says nothing costs the deadline and no more."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        assert refusal(address, deadline="500 ms").kind == "timeout"
        assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("asked", "mistake"),
    [
        ({"stats": True, "logs": True}, "write only one"),
        ({"number": 2}, "name the"),
        ({"service": "backend", "unused": "images"}, "belongs to no service"),
        ({"among": "CRITICAL"}, "add .logs: true"),
        ({"logs": True, "among": "{word}"}, "takes no text of a sentence"),
        ({"logs": True, "among": "("}, "no regular expression"),
    ],
)
def test_questions_that_make_no_sense(asked: dict[str, Any], mistake: str) -> None:
    """They are refused when the target file is read."""
    with pytest.raises(ValidationError, match=mistake):
        Question.model_validate({"in": "docker", **asked})
