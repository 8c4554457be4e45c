"""Who reads logs? Programs that last: a few answer one question after another, each in its time."""

from __future__ import annotations

import atexit
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from watchkeeper import child
from watchkeeper.looking import log_reader

OUTPUT_MAX = 64_000_000
"""Bytes that a reader may answer: a thousand long lines, and no more."""

PATIENCE_S = 0.05
"""How long a question waits for a reader that is at work (most answer in a millisecond or two)
before one more is started, which takes as long: one that hangs holds up no other."""

KEPT = 2
"""Readers that wait for the next question; what more there are end with their answer."""

_CHUNK = 1 << 20
_END_S = 0.5  # a killed program is gone at once, but for one that a hung disk holds


class NoAnswer(Exception):
    """The reader ended before its answer was whole; the message says how."""


class Readers:
    """Thread-safe. Readers end with this process, also where it is killed."""

    def __init__(self) -> None:
        self._idle: list[_Reader] = []
        self._at_work: set[_Reader] = set()
        self._changed = threading.Condition()
        atexit.register(self.close)

    def ask(self, question: bytes, deadline_s: float) -> bytes:
        """The answer to `question`, one line of JSON each.

        Raises child.TookTooLong after `deadline_s`, child.SaidTooMuch, and NoAnswer.
        """
        reader = self._taken()
        try:
            answer = reader.ask(question, deadline_s)
        except NoAnswer:
            self._drop(reader)
            if not reader.answered:
                raise
        except BaseException:
            self._drop(reader)
            raise
        else:
            self._give_back(reader)
            return answer
        # It was ended from outside while it waited: the question is not to blame.
        with self._changed:
            reader = self._started()
        try:
            return reader.ask(question, deadline_s)
        finally:
            self._drop(reader)

    def close(self) -> None:
        with self._changed:
            while self._idle:
                self._idle.pop().end()
            for reader in self._at_work:
                reader.end()

    def _taken(self) -> _Reader:
        with self._changed:
            if self._at_work and not self._idle:
                self._changed.wait_for(lambda: self._idle, PATIENCE_S)
            if not self._idle:
                return self._started()
            reader = self._idle.pop()
            self._at_work.add(reader)
            return reader

    def _started(self) -> _Reader:
        reader = _Reader()
        self._at_work.add(reader)
        return reader

    def _give_back(self, reader: _Reader) -> None:
        with self._changed:
            self._at_work.discard(reader)
            if len(self._idle) < KEPT:
                self._idle.append(reader)
                self._changed.notify()
                return
        reader.end()

    def _drop(self, reader: _Reader) -> None:
        with self._changed:
            self._at_work.discard(reader)
        reader.end()


class _Reader:
    """One program in a session of its own. `answered`: whether it ever gave an answer."""

    def __init__(self) -> None:
        self.answered = False
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own program
            [sys.executable, "-I", "-S", str(Path(log_reader.__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=child.environment({}),
            start_new_session=True,
        )

    def ask(self, question: bytes, deadline_s: float) -> bytes:
        end = time.monotonic() + deadline_s
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(question + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise NoAnswer(self._ending()) from None
        answer = self._heard(end)
        self.answered = True
        return answer

    def end(self) -> None:
        with suppress(ProcessLookupError, PermissionError):  # it has ended already
            os.killpg(self._process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]

    def _heard(self, end: float) -> bytes:
        answer = bytearray()
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while not answer.endswith(b"\n"):  # within an answer no line ends
                left = end - time.monotonic()
                if left <= 0:
                    raise child.TookTooLong(b"")
                if not selector.select(left):
                    continue
                chunk = os.read(self._process.stdout.fileno(), _CHUNK)
                if not chunk:
                    raise NoAnswer(self._ending())
                answer += chunk
                if len(answer) > OUTPUT_MAX:
                    raise child.SaidTooMuch
        return bytes(answer)

    def _ending(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        code = self._process.returncode
        if code is not None and code < 0:
            return f"its reader was ended by signal {-code}"
        return "its reader ended without a whole answer"


READERS = Readers()
