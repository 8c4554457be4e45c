"""Does a replica that spoils what an operation leaves do so before anybody looks at it?"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any

from watchkeeper.changing.operate import Hands
from watchkeeper.changing.operator import Done
from watchkeeper.proving.replicas import Replica

GLANCES = 5
GLANCE_S = 0.1
"""How often and how long apart (seconds) a replica is asked whether it shows a fault."""


class NotSo(Exception):
    """The replica is not as it was told to be; the message says what it is instead."""


class FollowedHands(Hands):
    """Hands after which the replica may spoil what they left."""

    follow: Callable[[], None]

    def operate(self, *arguments: Any, **named: Any) -> Done:
        try:
            return super().operate(*arguments, **named)
        finally:
            self.follow()


def comes_to(replica: Replica, name: str, *, on: bool) -> bool:
    """Whether the replica shows the dial so; a busy machine may need a moment to see it."""
    for _ in range(GLANCES):
        if replica.is_on(name) is on:
            return True
        time.sleep(GLANCE_S)
    return False


def followed(replica: Replica, following: Collection[str]) -> None:
    """Let the dials `following` do what they do once something was done; raises NotSo."""
    for name in following:
        if not comes_to(replica, name, on=True):
            raise NotSo(f'the replica was told "{name}", and did not follow what was done')
