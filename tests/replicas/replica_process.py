"""How does a test start a replica, talk to it and see what it leaves behind?"""

from __future__ import annotations

import json
import os
import re
import shlex
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, str(ROOT / "fixtures" / "replicas" / "media-management"), "--folder")
TIMEOUT_S = 15.0
GONE_WITHIN_S = 3.0
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loading some takes 30 ms per client


def stranger(base_url: str = "") -> httpx.Client:
    """Somebody who is not signed in, and opens a connection for each request."""
    return httpx.Client(
        base_url=base_url,
        timeout=TIMEOUT_S,
        trust_env=False,
        verify=NO_CERTIFICATES,
        limits=httpx.Limits(max_keepalive_connections=0),
    )


HTTP = stranger()


@dataclass
class Replica:
    """A running replica, as its parent sees it."""

    process: subprocess.Popen[str]
    folder: Path
    line: dict[str, Any]
    started_in_s: float
    others: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        return dict(self.line["env"])

    def control(self, method: str, path: str, value: object = None) -> httpx.Response:
        return HTTP.request(method, self.line["control"] + path, json=value)

    def dials(self) -> list[dict[str, Any]]:
        return list(self.control("GET", "/dials").json())

    def turn(self, name: str, *, on: bool = True) -> httpx.Response:
        return self.control("PUT", f"/dials/{quote(name, safe='')}", {"on": on})

    def is_on(self, name: str) -> bool:
        return bool(self.control("GET", f"/dials/{quote(name, safe='')}").json()["on"])

    def reset(self) -> float:
        """Reset; how long it took."""
        began = time.monotonic()
        answer = self.control("POST", "/reset")
        assert answer.json() == {"reset": True}, answer.text
        return time.monotonic() - began

    @contextmanager
    def user(self) -> Iterator[httpx.Client]:
        """Somebody who has signed in at the application."""
        with stranger(self.env["MM_URL"]) as client:
            self._sign_in(client)
            yield client

    def _sign_in(self, client: httpx.Client) -> None:
        form = client.get("/login").text
        token = re.search(r'name="csrf_token" value="([^"]+)"', form)
        assert token is not None, form
        sent = {
            "csrf_token": token[1],
            "username": self.env["MM_USER"],
            "password": self.env["MM_PASSWORD"],
        }
        assert client.post("/login", data=sent).status_code == httpx.codes.FOUND

    def arr(self, name: str, path: str, *, timeout: float = 1.0) -> httpx.Response:
        return HTTP.get(
            self.env[f"{name.upper()}_URL"] + path,
            headers={"X-Api-Key": self.env[f"{name.upper()}_KEY"]},
            timeout=timeout,
        )

    def in_tree(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.env["MM_TREE"],
            env={**os.environ, **self.env},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    def pid(self, name: str) -> int:
        return int(Path(self.env[f"{name}_PIDFILE"]).read_text())

    def pids(self) -> list[int]:
        return [self.pid(name) for name in ("MM", "SONARR", "RADARR", "LIDARR", "TMDB", "MAIL")]

    def ports(self) -> list[int]:
        urls = [self.env[f"{name}_URL"] for name in ("MM", "SONARR", "RADARR", "LIDARR", "TMDB")]
        return [*(httpx.URL(url).port or 0 for url in urls), int(self.env["MAIL_PORT"])]

    def close(self) -> int:
        """End it, if it has not ended yet; its exit status."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        status = self.process.wait(TIMEOUT_S)
        for program in self.others:
            program.wait(TIMEOUT_S)
        return status

    def start_by_command(self, name: str) -> subprocess.Popen[bytes]:
        """Start one of its programs as an operator would."""
        program = subprocess.Popen(
            shlex.split(self.env[f"{name}_START"]), cwd=self.env[f"{name}_FOLDER"]
        )
        self.others.append(program)
        return program


def start(folder: Path, command: tuple[str, ...] = COMMAND) -> Replica:
    """Start a replica and wait for its one line."""
    began = time.monotonic()
    process = subprocess.Popen(
        [*command, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    process.stdout.close()
    took = time.monotonic() - began
    return Replica(process, folder, json.loads(line), took)


@contextmanager
def running(folder: Path, command: tuple[str, ...] = COMMAND) -> Iterator[Replica]:
    replica = start(folder, command)
    try:
        yield replica
    finally:
        replica.close()


def left_behind(folder: Path) -> list[str]:
    """Processes that work in this folder or name it."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd", "pid", "status"]):
        words = [*(process.info["cmdline"] or []), process.info["cwd"] or ""]
        ours = any(str(folder) in word for word in words)
        if ours and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(f"{process.info['pid']}: {words}")
    return found


def nothing_is_left(folder: Path) -> list[str]:
    """What is still left after a moment; ends are not instant."""
    deadline = time.monotonic() + GONE_WITHIN_S
    while (found := left_behind(folder)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def dials_that_fail(replica: Replica) -> list[str]:
    """What is wrong with which dial: each must measure off, then on, and off after a reset."""
    wrong = []
    for dial in replica.dials():
        name = dial["name"]
        if replica.is_on(name):
            wrong.append(f"{name}: on before it was turned")
        answer = replica.turn(name)
        if answer.status_code != httpx.codes.OK or not replica.is_on(name):
            wrong.append(f"{name}: not on, {answer.text}")
        replica.reset()
        if replica.is_on(name):
            wrong.append(f"{name}: still on")
    return wrong
