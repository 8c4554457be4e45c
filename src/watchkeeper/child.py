"""How is a program run so that it can neither hang, flood, prompt nor outlive its question?"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from watchkeeper.looking.reach import in_thread

OUTPUT_MAX = 1_000_000
"""Bytes of output (standard output and errors together) that are read; more is refused."""

_CHUNK = 65_536
_POLL_S = 0.02  # how often is asked whether the program ended while a child of its holds the pipe
_GRACE_S = 0.5  # time for our own ending of the program to be told before the wait is given up

_PASSED_ON = ("PATH", "HOME", "TZ")
_NO_PROMPTS = {
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "SSH_ASKPASS": "true",
    "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
    "GIT_OPTIONAL_LOCKS": "0",  # `git status` would otherwise rewrite the index of what it looks at
    "DEBIAN_FRONTEND": "noninteractive",
    "PAGER": "cat",
}


class TookTooLong(Exception):
    """The program was ended at its deadline; `output` is what it had said until then."""

    def __init__(self, output: bytes) -> None:
        self.output = output
        super().__init__("took too long")


class SaidTooMuch(Exception):
    """The program was ended because it wrote more than `output_max` bytes."""


@dataclass(frozen=True)
class Ended:
    """How a program ended. `code`: its exit code, or minus the signal that ended it."""

    code: int
    out: bytes
    err: bytes
    duration_s: float


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """What a program gets to see: a minimum in which no secret of ours stands, and `extra`."""
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {"PATH": os.defpath, "HOME": "/", "TZ": "UTC", **passed, **_NO_PROMPTS, **extra}


async def run(
    arguments: Sequence[str],
    *,
    folder: Path | None,
    extra: Mapping[str, str],
    deadline_s: float,
    output_max: int = OUTPUT_MAX,
    leave_children: bool = False,
) -> Ended:
    """Run the program, wait for its end, and give its output.

    `leave_children`: whether processes that it put into the background live on.
    Raises TookTooLong, SaidTooMuch, and OSError where it cannot be started.
    """
    child = _Child(
        arguments,
        folder=folder,
        variables=environment(extra),
        deadline_s=deadline_s,
        output_max=output_max,
        leave_children=leave_children,
    )
    try:
        return await in_thread(child.run, deadline_s + _GRACE_S, arguments[0])
    finally:  # cancelled, or stuck where even its deadline was not heard
        child.end()


class _Child:
    """One program in a session of its own, so that it and all it forked end together."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        folder: Path | None,
        variables: Mapping[str, str],
        deadline_s: float,
        output_max: int,
        leave_children: bool,
    ) -> None:
        self._arguments, self._folder, self._variables = arguments, folder, variables
        self._deadline_s, self._output_max = deadline_s, output_max
        self._leave_children = leave_children
        self._process: subprocess.Popen[bytes] | None = None
        self._cancelled = False
        self._lock = threading.Lock()

    def run(self) -> Ended:
        began = time.monotonic()
        with self._lock:
            if self._cancelled:
                raise TookTooLong(b"")
            process = self._process = self._start()
        with process:  # closes the pipes
            try:
                out, err = self._listen(process, began + self._deadline_s)
                _await_end(process, began + self._deadline_s)
                finished = True
            except BaseException:
                finished = False
                raise
            finally:
                self._finish(process, kill=not (finished and self._leave_children))
        return Ended(process.returncode, bytes(out), bytes(err), time.monotonic() - began)

    def end(self) -> None:
        """End the program because nobody waits for it any more; safe from any thread."""
        with self._lock:
            self._cancelled = True
            if self._process is not None and self._process.returncode is None:
                _kill_group(self._process)

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - an argument list out of the target file, no shell
            list(self._arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self._folder,
            env=dict(self._variables),
            start_new_session=True,
        )

    def _finish(self, process: subprocess.Popen[bytes], *, kill: bool) -> None:
        # The number of a program that has ended and was not waited for is still its own: only
        # before `wait` is it certain that the group we kill is ours.
        with self._lock:
            if kill:
                _kill_group(process)
            process.wait()

    def _listen(self, process: subprocess.Popen[bytes], end: float) -> tuple[bytearray, bytearray]:
        out, err = bytearray(), bytearray()
        assert process.stdout is not None
        assert process.stderr is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ, out)
            selector.register(process.stderr, selectors.EVENT_READ, err)
            ended = False
            while selector.get_map():
                left = end - time.monotonic()
                if left <= 0:
                    raise TookTooLong(bytes(out + err))
                ready = selector.select(0 if ended else min(left, _POLL_S))
                for key, _ in ready:
                    chunk = os.read(key.fd, _CHUNK)
                    key.data.extend(chunk)
                    if not chunk:
                        selector.unregister(key.fileobj)
                if len(out) + len(err) > self._output_max:
                    raise SaidTooMuch
                if not ready:
                    if ended:
                        break  # what still holds the pipe is a child that it left behind
                    # It may have spoken since `select`: what it said last is heard once more.
                    ended = _has_ended(process)
        return out, err


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, process.pid, flags) is not None


def _await_end(process: subprocess.Popen[bytes], end: float) -> None:
    pause_s = 0.0005  # a program that closed its output has mostly ended already
    while not _has_ended(process):
        if time.monotonic() > end:
            raise TookTooLong(b"")
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, _POLL_S)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # nobody is left, or they are not ours to end
        process.kill()
