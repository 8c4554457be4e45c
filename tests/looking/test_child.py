"""Is all that a program said heard, however soon it ends?"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from watchkeeper import child

SAYS = "all is well\n"
AT_ONCE, ROUNDS = 8, 10


@pytest.fixture
def busy() -> Iterator[None]:
    """Threads that want the interpreter for themselves, as in a run with many looks."""
    ended = threading.Event()

    def spin() -> None:
        while not ended.is_set():
            sum(range(1000))

    spinning = [threading.Thread(target=spin, daemon=True) for _ in range(3)]
    for thread in spinning:
        thread.start()
    yield
    ended.set()
    for thread in spinning:
        thread.join()


async def say(pause_s: float) -> str:
    """What is heard of a program that waits, prints and ends at once."""
    ended = await child.run(
        ["/bin/sh", "-c", f"sleep {pause_s:.4f}; echo '{SAYS.strip()}'"],
        folder=None,
        extra={},
        deadline_s=20.0,
    )
    assert ended.code == 0
    return ended.out.decode()


@pytest.mark.usefixtures("busy")
def test_last_words_are_heard() -> None:
    """A program that speaks and ends just while nobody was listening has still been heard."""
    pauses_s = [0.012 + 0.001 * n for n in range(AT_ONCE)]  # around the moment of the next glance

    async def many() -> list[str]:
        heard: list[str] = []
        for _ in range(ROUNDS):
            heard += await asyncio.gather(*map(say, pauses_s))
        return heard

    heard = asyncio.run(many())
    assert heard == [SAYS] * (AT_ONCE * ROUNDS)


def test_what_it_left_behind_is_not_waited_for() -> None:
    """A child in the background that holds the pipe does not hold us, and what was said counts."""
    began = time.monotonic()
    ended = asyncio.run(
        child.run(
            ["/bin/sh", "-c", f"(sleep 5; echo late) & printf '{SAYS.strip()}\\n'"],
            folder=None,
            extra={},
            deadline_s=4.0,
        )
    )
    assert ended.out.decode() == SAYS
    assert time.monotonic() - began < 2.0
