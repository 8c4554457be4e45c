"""What is an operator, and what does it hand back when it has changed something?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar, runtime_checkable

from watchkeeper.looking.reach import Reach
from watchkeeper.observation import Picture
from watchkeeper.services import Model

O = TypeVar("O", bound=Model, contravariant=True)  # noqa: E741, PLC0105 - O as in Order
Same = TypeVar("Same", bound=Model)


@dataclass(frozen=True)
class Done:
    """What an operation did.

    `value`: what the system answered, JSON-like. `outcome`: the word for it, or "".
    `source`: what was sent, without secrets. `at`: when it began, UTC. `duration_s`: seconds.
    `kind`: how it answered ("200", "exit 0"). `excerpt`: the raw answer, cut to Answer.EXCERPT.
    `made`: names and paths of what it made. `note`: what people should know ("already applied").
    """

    value: object
    outcome: str
    source: str
    at: datetime
    duration_s: float
    kind: str
    excerpt: str
    made: tuple[tuple[str, str], ...] = ()
    note: str = ""
    picture: Picture | None = None


class Operator(Protocol[O]):
    """A way of changing. `services(order)` names those it touches, the one it needs most first.

    `operate` raises OperationRefused (nothing was tried), OperationFailed (the system said no) or
    OperationUnknown (nobody can say whether it took effect); it never repeats what may have begun.
    """

    def services(self, order: O) -> tuple[str, ...]: ...

    async def operate(self, order: O, reach: Reach) -> Done: ...


@runtime_checkable
class Settles(Protocol):
    """An operator whose orders may say only what kind of things they touch ("unused images").

    `leaves_open` tells whether this order does. `settle` looks which those are now, and returns the
    order with the list written into it, and the list; it changes nothing. What is then done is
    exactly that list, which is in the ledger first. Raises OperationRefused or OperationFailed.
    """

    def leaves_open(self, order: Model) -> bool: ...

    async def settle(self, order: Same, reach: Reach) -> tuple[Same, tuple[str, ...]]: ...
