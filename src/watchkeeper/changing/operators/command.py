"""How is a program run that changes something?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from watchkeeper import child
from watchkeeper.changing.operator import Done
from watchkeeper.errors import CouldNotObserve, OperationFailed, OperationRefused, OperationUnknown
from watchkeeper.libpq import variables_of
from watchkeeper.looking.reach import Reach
from watchkeeper.observation import Answer
from watchkeeper.services import Database, Duration, Folder, Model
from watchkeeper.units import duration_s


class Order(Model):
    """A program by its argument list (no shell), run in the folder service `in`.

    `exit codes`: those that mean it is done; a word is its outcome. `environment`: variables
    besides the minimum, which holds no secret of ours. `database`: the database service that
    PostgreSQL's programs enter (libpq's variables, so that no password is an argument).
    """

    command: tuple[str, ...] = Field(min_length=1)
    in_: str | None = None
    exit_codes: dict[int, str | Literal[True]] = Field(default={0: True})
    environment: dict[str, str] = Field(default_factory=dict)
    database: str | None = None
    deadline: Duration = "60 seconds"


class Command:
    """Runs it in a session of its own; what it puts into the background lives on."""

    def services(self, order: Order) -> tuple[str, ...]:
        return tuple(name for name in (order.in_, order.database) if name)

    async def operate(self, order: Order, reach: Reach) -> Done:
        """Value: its output. Raises OperationRefused where it can't be started, OperationFailed for
        an exit code that is not listed, OperationUnknown where it had to be ended.
        """
        at = reach.clock.now()
        ended = await _run(order, reach)
        out = ended.out.decode("utf-8", "replace")
        err = ended.err.decode("utf-8", "replace").strip()
        meaning = order.exit_codes.get(ended.code)
        kind = f"exit {ended.code}" if ended.code >= 0 else f"signal {-ended.code}"
        if meaning is None:
            last = err.rpartition("\n")[2] or "it said nothing"
            raise OperationFailed(f"{order.command[0]}: {kind}: {last}")
        return Done(
            value=out.removesuffix("\n"),
            outcome="" if meaning is True else meaning,
            source=" ".join(order.command),
            at=at,
            duration_s=ended.duration_s,
            kind=kind,
            excerpt=(out or err)[: Answer.EXCERPT],
        )


async def _run(order: Order, reach: Reach) -> child.Ended:
    folder = Path(reach.service(order.in_, Folder).folder) if order.in_ else None
    name, deadline_s = order.command[0], duration_s(order.deadline)
    if folder is not None and not folder.is_dir():
        raise OperationRefused(f"there is no folder {folder}")
    entering: Mapping[str, str] = {}
    if order.database is not None:
        url = reach.service(order.database, Database).database.get_secret_value()
        entering = variables_of(url, order.database, read_only=False)
    try:
        return await child.run(
            order.command,
            folder=folder,
            extra={**entering, **order.environment},
            deadline_s=deadline_s,
            leave_children=True,
        )
    except OSError as error:
        raise OperationRefused(f"{name} can't be run: {error.strerror}") from error
    except (child.TookTooLong, CouldNotObserve) as error:
        raise OperationUnknown(
            f"{name} had not ended within {deadline_s:g} s and was ended; "
            "how far it had come is unknown"
        ) from error
    except child.SaidTooMuch as error:
        raise OperationUnknown(
            f"{name} wrote over {child.OUTPUT_MAX // 1_000_000} MB and was ended; "
            "how far it had come is unknown"
        ) from error


OPERATOR = Command()
