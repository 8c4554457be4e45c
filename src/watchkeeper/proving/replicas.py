"""How a replica is started, told to misbehave, put right again, and taken away without a trace."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import BaseModel

from watchkeeper import leftovers
from watchkeeper.errors import ConfigurationError
from watchkeeper.yaml_file import nearest

READY_S = 30.0
"""How long a replica may take to start; they aim at one second."""
WORKS_S = 900.0
"""How long it may take where it says what it is waiting for: an image that is built, say."""
CONTROL_S = 30.0
"""How long a dial may take to be turned: some stop and start programs."""
STOP_S = 10.0
REMOVED_S = 60.0
"""How long the end may take of a replica in containers, which are removed one by one."""


Kind = Literal["embedded", "containers"]
EMBEDDED: Kind = "embedded"
_KINDS: Mapping[Kind, tuple[str, ...]] = {EMBEDDED: (), "containers": ("--containers",)}
_USAGE = 2


class _Ready(BaseModel):
    """What a replica prints when it is ready."""

    control: str
    env: dict[str, str]
    leaves_out: dict[str, str] = {}
    real_time: bool = False


@dataclass(frozen=True)
class Dial:
    """What a replica can be told to do wrong. `red`: the checks it is meant to redden.

    `follows`: it spoils what an operation leaves, at the latest when it is asked whether it is on.
    """

    name: str
    about: str
    red: tuple[str, ...]
    on: bool
    follows: bool = False


class Replica:
    """One running replica. `variables` is what its target file's `${env:…}` stand for.

    `leaves_out`: the ids that can't be had on it, with the reason. `real_time`: its clock can't be
    moved, since it has programs that know no other than this machine's.
    """

    def __init__(self, process: subprocess.Popen[str], folder: Path, ready: _Ready) -> None:
        self._process = process
        self._folder = folder
        self._control = _Control(ready.control)
        self.variables = ready.env
        self.leaves_out = ready.leaves_out
        self.real_time = ready.real_time

    def dials(self) -> tuple[Dial, ...]:
        return tuple(
            Dial(
                each["name"],
                each["about"],
                tuple(each.get("red", ())),
                bool(each["on"]),
                bool(each.get("follows")),
            )
            for each in self._control.told("GET", "/dials")
        )

    def turn(self, name: str, *, on: bool = True) -> None:
        """Turn a dial and wait until the replica confirms it; raises ConfigurationError."""
        status, answer = self._control.ask("PUT", _path(name), {"on": on})
        if status == HTTPStatus.NOT_FOUND:
            names = [dial.name for dial in self.dials()]
            raise ConfigurationError(
                f'no dial is called "{name}"',
                hint=nearest(name, names) or "watchkeeper dials SYSTEM lists them",
            )
        if status != HTTPStatus.OK or answer.get("on") is not on:
            raise ConfigurationError(f'the dial "{name}" could not be turned: {str(answer)[:200]}')

    def is_on(self, name: str) -> bool:
        """Whether the replica sees the dial's effect just now, whatever it was told."""
        return self._control.told("GET", _path(name)).get("on") is True

    def move_clock(self, offset_s: float) -> None:
        """Let the replica's now be `offset_s` seconds after this machine's."""
        self._control.told("PUT", "/clock", {"offset_s": offset_s})

    def reset(self) -> None:
        """Bring back the fresh, healthy state."""
        self._control.told("POST", "/reset")

    def close(self) -> None:
        """End it and remove its folder; a closed standard input is its sign to stop."""
        self._control.close()
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(REMOVED_S if self.real_time else STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _path(dial: str) -> str:
    return f"/dials/{quote(dial)}"


class _Control:
    """The way to a replica's control server: one connection, for it is asked thousands of times."""

    def __init__(self, url: str) -> None:
        at = urlsplit(url)
        self._base = at.path
        self._connection = HTTPConnection(at.hostname or "", at.port, timeout=CONTROL_S)

    def ask(self, method: str, path: str, value: object = None) -> tuple[int, Any]:
        """The status, and what the JSON of the answer holds."""
        body = b"" if value is None else json.dumps(value).encode()
        self._connection.request(method, self._base + path, body)
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read())

    def told(self, method: str, path: str, value: object = None) -> Any:
        """What it answers; raises ConfigurationError where it can't do what it is told."""
        status, answer = self.ask(method, path, value)
        if status != HTTPStatus.OK:
            raise ConfigurationError(f"the replica can't {method} {path}: {str(answer)[:200]}")
        return answer

    def close(self) -> None:
        self._connection.close()


def has_replica(root: Path, slug: str) -> bool:
    return (root / "fixtures" / "replicas" / slug / "__main__.py").is_file()


def start_replica(
    root: Path, slug: str, kind: Kind = EMBEDDED, tell: Callable[[str], object] = str
) -> Replica:
    """Start the replica of the system `slug`; raises ConfigurationError where it does not start.

    `tell` hears what it waits for while it starts.
    """
    program = root / "fixtures" / "replicas" / slug
    if not has_replica(root, slug):
        raise ConfigurationError(
            f"there is no replica of {slug} in {program.parent}",
            hint="choose another --target, or write the replica",
        )
    folder = leftovers.own_folder(leftovers.REPLICA)
    errors = folder / "stderr"  # a file: a pipe that nobody reads would stop it when it is full
    with errors.open("wb") as stderr:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own program
            [sys.executable, str(program), "--folder", str(folder / "state"), *_KINDS[kind]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"},
        )
    said = ""
    try:
        said = _ready(process, tell)
        return Replica(process, folder, _Ready.model_validate_json(said))
    except BaseException as error:  # also Ctrl-C while it starts: nothing stays behind
        process.kill()
        process.communicate()
        complaint = (errors.read_text("utf-8", "replace") or said).strip().splitlines()[-1:]
        shutil.rmtree(folder, ignore_errors=True)
        if not isinstance(error, ValueError):
            raise
        if kind != EMBEDDED and process.returncode == _USAGE:  # argparse's: it knows no such kind
            raise ConfigurationError(
                f"there is no replica of {slug} in {kind}",
                hint="leave --replicas away, or select a system that has one",
            ) from None
        raise ConfigurationError(
            f"the replica of {slug} did not start: {' '.join(complaint) or 'it said nothing'}"
        ) from None


def _ready(process: subprocess.Popen[str], tell: Callable[[str], object]) -> str:
    """The line that says that the replica is ready; "" where none comes in time."""
    deadline_s = READY_S
    while True:
        line = _next_line(process, deadline_s)
        try:
            waits_for = json.loads(line).get("waiting")
        except (ValueError, AttributeError):
            return line
        if waits_for is None:
            return line
        tell(str(waits_for))
        deadline_s = WORKS_S


def _next_line(process: subprocess.Popen[str], deadline_s: float) -> str:
    """The next line the replica prints; "" where none comes in time."""
    lines: queue.Queue[str] = queue.Queue()
    assert process.stdout is not None
    reader = threading.Thread(
        target=lambda stream: lines.put(stream.readline()), args=(process.stdout,), daemon=True
    )
    reader.start()
    try:
        return lines.get(timeout=deadline_s)
    except queue.Empty:
        return ""
