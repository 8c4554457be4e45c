"""A forked program is the program: it starts, fails and ends as one that is executed does."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from fixtures.replicas.kit import lifetime
from fixtures.replicas.kit.programs import Forks, Ports, Program, ProgramFailed, Programs

NAME = "clock"
WITHIN_S = 10.0
ROOT = Path(__file__).resolve().parents[2]
SCRIPT = f"""
import sys, time
from pathlib import Path
sys.path.append({str(ROOT)!r})
import spoken
from fixtures.replicas.kit import lifetime

home = Path(__file__).parent
if (home / "broken").exists():
    sys.exit("the spring is broken")
lifetime.live_under_supervisor(home.parent / lifetime.STATE, "clock", home / "clock.pid")
(home / "said").write_text(spoken.WORD)
lifetime.say_ready()
while True:
    time.sleep(60)
"""


@dataclass
class Clock:
    """A small program under a supervisor, which is this process."""

    home: Path
    programs: Programs

    @property
    def program(self) -> Program:
        return self.programs.all[NAME]

    @property
    def python(self) -> str:
        return str(self.programs.interpreter(NAME))

    def said(self) -> str:
        return (self.home / "said").read_text()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.python, *arguments],
            cwd=self.home,
            env={"PATH": os.defpath},
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )

    def started_by_command(self) -> tuple[int, str]:
        """The exit status of its start command, and what was written to where that wrote."""
        path = self.home / "output"
        with path.open("wb") as output:
            done = subprocess.run(
                shlex.split(self.program.command_line),
                cwd=self.home,
                env={"PATH": os.defpath},
                stdout=output,
                stderr=output,
                timeout=WITHIN_S,
                check=False,
            )
        return done.returncode, path.read_text()


@contextmanager
def built(folder: Path) -> Iterator[Clock]:
    home, state = folder / "home", folder / lifetime.STATE
    home.mkdir(parents=True)
    state.mkdir()
    (home / "clock.py").write_text(SCRIPT)
    (home / "spoken.py").write_text("WORD = 'tick'\n")
    lifetime.hold(state, lifetime.SUPERVISOR)
    ports = Ports()
    program = Program(
        NAME,
        (sys.executable, "clock.py"),
        home,
        ports.reserve(),
        home / "clock.pid",
        forks=Forks(state / "clock.forks", ("spoken",)),
    )
    programs = Programs(state, [program])
    try:
        yield Clock(home, programs)
    finally:
        programs.stop_all()
        ports.release()


@pytest.fixture
def clock(tmp_path: Path) -> Iterator[Clock]:
    with built(tmp_path) as made:
        made.programs.start(NAME)
        yield made


def wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_alive(pid: int | None) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_it_is_told_by_its_own_command_line(clock: Clock) -> None:
    """What the pid file names is a fork, and its command line ends with the program's own."""
    pid = int(clock.program.pid_file.read_text())
    assert pid == clock.programs.pid(NAME)
    process = psutil.Process(pid)
    assert process.cmdline()[-1] == "clock.py"
    assert process.parent().cmdline() == process.cmdline()  # type: ignore[union-attr]
    assert clock.said() == "tick"


def test_its_start_command_brings_it_back(clock: Clock) -> None:
    """The command ends when the program listens; the program has another number."""
    before = clock.programs.pid(NAME)
    clock.programs.kill(NAME)
    assert clock.started_by_command() == (0, "")
    assert is_alive(clock.programs.pid(NAME))
    assert clock.programs.pid(NAME) != before


def test_a_crash_at_its_start_says_why(clock: Clock) -> None:
    """The start command has the program's exit status and words; the supervisor tells them."""
    clock.programs.kill(NAME)
    (clock.home / "broken").touch()
    assert clock.started_by_command() == (1, "the spring is broken\n")
    with pytest.raises(ProgramFailed, match="the spring is broken"):
        clock.programs.start(NAME)


def test_a_changed_file_is_what_runs(clock: Clock) -> None:
    """Once an imported file says something else, it is read anew; put back, it is forked."""
    path = clock.home / "spoken.py"
    old = path.read_text()
    path.write_text("WORD = 'tock!'\n")
    clock.programs.kill(NAME)
    clock.programs.start(NAME)
    assert clock.said() == "tock!"
    assert "forks.py" not in " ".join(psutil.Process(clock.programs.pid(NAME)).cmdline())
    path.write_text(old)
    clock.programs.kill(NAME)
    clock.programs.start(NAME)
    assert clock.said() == "tick"
    assert "forks.py" in " ".join(psutil.Process(clock.programs.pid(NAME)).cmdline())


@pytest.mark.parametrize(
    "arguments",
    [
        ("-c", "import sys; print(sys.argv[1:], sys.path[0]); sys.exit(3)", "x"),
        ("-c", "import sys; sys.exit('it is late')"),
        ("-I", "-c", "import sys; print(sys.argv, any(sys.path[0] == p for p in ('', '.')))", "y"),
        ("told.py", "z"),
        ("missing.py",),
        ("-m", "json.tool", "--help"),
        ("-c", "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"),
        ("-c", "import threading; threading.Timer(0.05, lambda: print('later')).start()"),
    ],
)
def test_its_python_runs_what_python_runs(clock: Clock, arguments: tuple[str, ...]) -> None:
    """Output, last words and exit status are those of the interpreter itself."""
    (clock.home / "told.py").write_text(
        "import sys, spoken\nprint(__name__, spoken.WORD, sys.argv)\nraise KeyError('no')\n"
    )
    real = subprocess.run(
        [sys.executable, *arguments],
        cwd=clock.home,
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    ours = clock.run(*arguments)
    assert ours.stdout.replace(str(clock.home), "") == real.stdout
    assert ours.stderr.splitlines()[-1:] == real.stderr.splitlines()[-1:]
    assert ours.returncode == real.returncode


def test_what_nobody_waits_for_any_more_is_ended(clock: Clock) -> None:
    """Killing what was called ends what runs for it: a deadline holds."""
    called = subprocess.Popen(
        [clock.python, "-c", "import time; open('runs', 'w').close(); time.sleep(60)"],
        cwd=clock.home,
        env={"PATH": os.defpath},
    )
    wait_for((clock.home / "runs").exists)
    server = psutil.Process(clock.programs.pid(NAME)).parent()
    assert server is not None
    assert len(server.children()) == 2
    called.kill()
    called.wait()
    wait_for(lambda: len(server.children()) == 1)


def test_two_side_by_side_do_not_meet(clock: Clock, tmp_path: Path) -> None:
    """Each has a server of its own; ending one leaves the other."""
    with built(tmp_path / "other") as other:
        other.programs.start(NAME)
        assert other.programs.pid(NAME) != clock.programs.pid(NAME)
        gone = other.programs.pid(NAME)
    assert not is_alive(gone)
    assert is_alive(clock.programs.pid(NAME))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_lost_server_is_replaced(clock: Clock, how: signal.Signals) -> None:
    """It takes its program with it, and that can be started all the same."""
    pid = clock.programs.pid(NAME)
    server = psutil.Process(pid).parent()
    assert server is not None
    server.send_signal(how)
    wait_for(lambda: not is_alive(pid) and not is_alive(server.pid))
    launched = subprocess.Popen(shlex.split(clock.program.command_line), cwd=clock.home)
    wait_for(lambda: clock.programs.pid(NAME) == launched.pid)
    clock.programs.kill(NAME)
    launched.wait(WITHIN_S)
    clock.programs.start(NAME)
    assert "forks.py" in " ".join(psutil.Process(clock.programs.pid(NAME)).cmdline())


def test_it_ends_with_a_killed_supervisor(tmp_path: Path) -> None:
    """SIGKILL of the supervisor ends server and programs, even one that is stopped."""
    supervisor = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from pathlib import Path\n"
            "from tests.replicas.test_forks import NAME, built\n"
            "with built(Path(sys.argv[1])) as clock:\n"
            "    clock.programs.start(NAME)\n"
            "    print(clock.programs.pid(NAME), flush=True)\n"
            "    time.sleep(60)\n",
            str(tmp_path / "r"),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert supervisor.stdout is not None
    pid = int(supervisor.stdout.readline())
    server = psutil.Process(pid).parent()
    assert server is not None
    os.kill(pid, signal.SIGSTOP)
    supervisor.kill()
    supervisor.wait()
    supervisor.stdout.close()
    wait_for(lambda: not is_alive(pid) and not is_alive(server.pid))
