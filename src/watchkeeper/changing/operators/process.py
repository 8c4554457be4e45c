"""How is exactly one process started, stopped or restarted?"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal

import psutil
from pydantic import field_validator

from watchkeeper import child
from watchkeeper.changing.operator import Done
from watchkeeper.changing.working import since, working
from watchkeeper.errors import OperationFailed, OperationRefused, OperationUnknown
from watchkeeper.looking.reach import Reach
from watchkeeper.services import Duration, Model, Process
from watchkeeper.units import duration_s

Verb = Literal["start", "stop", "restart"]

SETTLES_S = 0.3
"""Seconds a program that writes no pid file must live to count as started."""
WRITES_ITSELF_S = 2.0
"""Seconds a program that went into the background has to write its own pid file."""

_AGE_TOLERANCE_S = 2.0  # a program may write its number a little before its start is stamped
_KILL_S = 5.0  # after SIGKILL a process is gone, or stuck in the kernel
_POLL_S = (0.001, 0.02)
"""How soon is looked whether a process has come or gone: at first, and at most."""
_TAIL = 300  # characters of the output's end that a failure quotes


class Order(Model):
    """One of start, stop and restart, to the process service that is meant.

    `deadline`: how long it may take to end by itself before it is killed.
    """

    process: dict[Verb, str]
    deadline: Duration = "10 seconds"

    @field_validator("process")
    @classmethod
    def _one_verb(cls, process: dict[Verb, str]) -> dict[Verb, str]:
        if len(process) != 1:
            raise ValueError("write exactly one of start, stop and restart")
        return process


class ProcessOperator:
    """Finds the process by its pid file and touches it only when it is surely the one meant."""

    def services(self, order: Order) -> tuple[str, ...]:
        return tuple(order.process.values())

    async def operate(self, order: Order, reach: Reach) -> Done:
        """Value: {"pid": its number, or None once stopped}; outcome "running" or "stopped".

        Raises OperationRefused where the pid file names another program (nothing is touched),
        OperationFailed where it did not start or may not be ended, OperationUnknown.
        """
        at, began = reach.clock.now(), time.monotonic()
        ((verb, name),) = order.process.items()
        service = reach.service(name, Process)
        deadline_s = duration_s(order.deadline)
        allowed_s = deadline_s + _KILL_S + WRITES_ITSELF_S
        pid, notes = await working(
            lambda: _do(verb, name, service, deadline_s), allowed_s, f"to {verb} {name}"
        )
        return Done(
            value={"pid": pid},
            outcome="running" if pid else "stopped",
            source=f"{verb} {name}",
            at=at,
            duration_s=since(began),
            kind="done",
            excerpt="",
            note="; ".join(notes),
        )


def _do(verb: Verb, name: str, service: Process, deadline_s: float) -> tuple[int | None, list[str]]:
    notes: list[str] = []
    if verb in ("stop", "restart"):
        notes += _stop(name, service, deadline_s)
    if verb == "stop":
        return None, notes
    try:
        pid, started = _start(name, service)
    except OperationFailed as error:
        stopped = "; it was stopped before" if verb == "restart" else ""
        raise OperationFailed(f"{error}{stopped}") from error
    return pid, notes + started


def running(name: str, service: Process) -> psutil.Process | None:
    """The process that the pid file names, when it runs and surely is the one meant.

    None: it does not run. Raises OperationRefused where the number is somebody else's.
    """
    pid_file = Path(service.pid_file)
    try:
        text, found = pid_file.read_text("ascii", "replace"), pid_file.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OperationRefused(f"{pid_file} can't be read: {error.strerror}") from error
    pid = text.strip()
    if not pid.isdecimal() or int(pid) <= 1:
        raise OperationRefused(f'{pid_file} holds no process number but "{pid[:40]}"')
    try:
        process = psutil.Process(int(pid))
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        _require_meant(name, service, process, found)
    except psutil.NoSuchProcess:
        return None
    except psutil.AccessDenied as error:
        raise OperationRefused(f"{name}: process {pid} may not be looked at") from error
    return process


def _require_meant(
    name: str, service: Process, process: psutil.Process, pid_file: os.stat_result
) -> None:
    command_line = " ".join(process.cmdline())
    if service.command not in command_line:
        raise OperationRefused(
            f"{service.pid_file} names process {process.pid}, which is not {name}: "
            f'"{service.command}" is no part of its command line; nothing was touched'
        )
    if process.create_time() > pid_file.st_mtime + _AGE_TOLERANCE_S:
        raise OperationRefused(
            f"process {process.pid} began after {service.pid_file} was written: it is another one "
            "that got the number; nothing was touched"
        )
    if pid_file.st_uid not in (0, os.getuid(), process.uids().real):
        raise OperationRefused(
            f"{service.pid_file} belongs to a user who is not the owner of process {process.pid}; "
            "nothing was touched"
        )


def _stop(name: str, service: Process, deadline_s: float) -> list[str]:
    process = running(name, service)
    if process is None:
        return ["it was not running"]
    try:
        process.terminate()  # psutil compares the start time first: never a successor
        if _is_gone(process, deadline_s):
            return []
        process.kill()
    except psutil.NoSuchProcess:
        return []
    except psutil.AccessDenied as error:
        raise OperationFailed(f"{name}: process {process.pid} may not be ended by us") from error
    if not _is_gone(process, _KILL_S):
        raise OperationUnknown(f"{name}: process {process.pid} was killed and has not ended")
    return [f"it did not end by itself within {deadline_s:g} s and was killed"]


def _is_gone(process: psutil.Process, within_s: float) -> bool:
    """Whether it ended; one that ended and was not waited for by its parent is gone as well."""
    end = time.monotonic() + within_s
    pauses = _pauses()
    while time.monotonic() < end:
        try:
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(next(pauses))
    return False


def _pauses() -> Iterator[float]:
    pause_s, longest_s = _POLL_S
    while True:
        yield pause_s
        pause_s = min(pause_s * 2, longest_s)


def _start(name: str, service: Process) -> tuple[int, list[str]]:
    already = running(name, service)
    if already is not None:
        return already.pid, ["it was running already"]
    Path(service.pid_file).unlink(missing_ok=True)  # it named nobody, and must not hide the new one
    started, began = _launch(name, service), time.monotonic()
    pauses = _pauses()
    while time.monotonic() < began + WRITES_ITSELF_S:
        found = _named_by_now(name, service)
        if found is not None:
            return found.pid, []
        if started.poll() not in (None, 0):
            break
        in_background = started.poll() == 0
        if not in_background and time.monotonic() > began + SETTLES_S:
            _require_recognised(name, service, started)
            if _write_pid(Path(service.pid_file), started.pid):
                return started.pid, ["its pid file was written for it"]
        time.sleep(next(pauses))
    if started.poll() is None:
        raise OperationFailed(f"{name} runs, but {service.pid_file} does not name it")
    raise OperationFailed(f"{name} ended at once: exit {started.returncode}{_said(service)}")


def _named_by_now(name: str, service: Process) -> psutil.Process | None:
    try:
        return running(name, service)
    except OperationRefused:  # half written, or the old number: it still has time
        return None


def _launch(name: str, service: Process) -> subprocess.Popen[bytes]:
    variables = {key: value.get_secret_value() for key, value in service.environment.items()}
    try:
        with _output(service) as output:
            started = subprocess.Popen(  # noqa: S603 - an argument list, no shell
                list(service.start),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=service.in_,
                env=child.environment(variables),
                start_new_session=True,
            )
    except OSError as error:
        raise OperationFailed(f"{name} can't be started: {error}") from error
    # Somebody must wait for it when it ends, or its number stays taken as long as we live.
    threading.Thread(target=started.wait, name=f"waits for {name}", daemon=True).start()
    return started


def _output(service: Process) -> IO[bytes]:
    return Path(service.output or os.devnull).open("ab")


def _said(service: Process) -> str:
    if service.output is None:
        return ""
    text = Path(service.output).read_text("utf-8", "replace").strip()
    return f": {text[-_TAIL:].rpartition(chr(10))[2]}" if text else ""


def _require_recognised(name: str, service: Process, started: subprocess.Popen[bytes]) -> None:
    """End our own child again when nobody could ever recognise it as the one meant."""
    try:
        command_line = " ".join(psutil.Process(started.pid).cmdline())
    except psutil.NoSuchProcess as error:
        raise OperationFailed(f"{name} ended at once{_said(service)}") from error
    if service.command not in command_line:
        started.kill()
        raise OperationFailed(
            f'what starts {name} has a command line without "{service.command}"; it was ended again'
        )


def _write_pid(path: Path, pid: int) -> bool:
    """False where the program was faster: its own number is never replaced."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(f"{pid}\n", "ascii")
    try:
        os.link(partial, path)  # unlike a rename, a link never replaces what is there
    except FileExistsError:
        return False
    finally:
        partial.unlink()
    return True


OPERATOR = ProcessOperator()
