"""How a replica is started, told to misbehave, put right again, and taken away without a trace."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

from watchkeeper import leftovers
from watchkeeper.errors import ConfigurationError
from watchkeeper.yaml_file import nearest

READY_S = 30.0
"""How long a replica may take to start; they aim at one second."""
CONTROL_S = 30.0
"""How long a dial may take to be turned: some stop and start programs."""
STOP_S = 10.0


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
    """One running replica. `variables` is what its target file's `${env:…}` stand for."""

    def __init__(
        self,
        process: subprocess.Popen[str],
        folder: Path,
        control: str,
        variables: Mapping[str, str],
    ) -> None:
        self._process = process
        self._folder = folder
        import httpx  # noqa: PLC0415 - heavy, and only replicas need it this early

        self._control = httpx.Client(base_url=control, timeout=CONTROL_S, trust_env=False)
        self.variables = variables

    def dials(self) -> tuple[Dial, ...]:
        answer = self._control.get("/dials").raise_for_status().json()
        return tuple(
            Dial(
                each["name"],
                each["about"],
                tuple(each.get("red", ())),
                bool(each["on"]),
                bool(each.get("follows")),
            )
            for each in answer
        )

    def turn(self, name: str, *, on: bool = True) -> None:
        """Turn a dial and wait until the replica confirms it; raises ConfigurationError."""
        answer = self._control.put(f"/dials/{quote(name)}", json={"on": on})
        if answer.status_code == HTTPStatus.NOT_FOUND:
            names = [dial.name for dial in self.dials()]
            raise ConfigurationError(
                f'no dial is called "{name}"',
                hint=nearest(name, names) or "watchkeeper dials SYSTEM lists them",
            )
        if answer.is_error or answer.json().get("on") is not on:
            raise ConfigurationError(f'the dial "{name}" could not be turned: {answer.text[:200]}')

    def is_on(self, name: str) -> bool:
        """Whether the replica sees the dial's effect just now, whatever it was told."""
        answer = self._control.get(f"/dials/{quote(name)}").raise_for_status()
        return answer.json().get("on") is True

    def move_clock(self, offset_s: float) -> None:
        """Let the replica's now be `offset_s` seconds after this machine's."""
        self._control.put("/clock", json={"offset_s": offset_s}).raise_for_status()

    def reset(self) -> None:
        """Bring back the fresh, healthy state."""
        self._control.post("/reset").raise_for_status()

    def close(self) -> None:
        """End it and remove its folder; a closed standard input is its sign to stop."""
        self._control.close()
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def has_replica(root: Path, slug: str) -> bool:
    return (root / "fixtures" / "replicas" / slug / "__main__.py").is_file()


def start_replica(root: Path, slug: str) -> Replica:
    """Start the replica of the system `slug`; raises ConfigurationError where it does not start."""
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
            [sys.executable, str(program), "--folder", str(folder / "state")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"},
        )
    ready = ""
    try:
        ready = _first_line(process, READY_S)
        said = json.loads(ready)
        return Replica(process, folder, said["control"], said["env"])
    except BaseException as error:  # also Ctrl-C while it starts: nothing stays behind
        process.kill()
        process.communicate()
        complaint = (errors.read_text("utf-8", "replace") or ready).strip().splitlines()[-1:]
        shutil.rmtree(folder, ignore_errors=True)
        if not isinstance(error, ValueError | KeyError | TypeError):
            raise
        raise ConfigurationError(
            f"the replica of {slug} did not start: {' '.join(complaint) or 'it said nothing'}"
        ) from None


def _first_line(process: subprocess.Popen[str], deadline_s: float) -> str:
    """The first line the replica prints; "" where none comes in time."""
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
