"""How does a function in targets/<system>.py change something?"""

from __future__ import annotations

import time
from collections.abc import Mapping

from pydantic import Field

from watchkeeper.changing.handles import ChangingHandles
from watchkeeper.changing.operator import Done
from watchkeeper.changing.working import since, working
from watchkeeper.errors import (
    CouldNotObserve,
    OperationFailed,
    OperationUnknown,
    WatchkeeperError,
)
from watchkeeper.looking.python_code import FunctionName, function_named, where_it_failed
from watchkeeper.looking.reach import Reach
from watchkeeper.services import Duration, Model
from watchkeeper.units import duration_s


class Order(Model):
    """A function, called as function(handles, **with); `services`: those it enters."""

    python: FunctionName
    with_: dict[str, str | int | float | bool] = Field(default_factory=dict)
    services: tuple[str, ...] = ()
    deadline: Duration = "60 seconds"


class Python:
    """Calls it in a thread; it returns a mapping, or nothing."""

    def services(self, order: Order) -> tuple[str, ...]:
        return order.services

    async def operate(self, order: Order, reach: Reach) -> Done:
        """Value: what it returned. Its "made": {name: path} is what it made, "outcome" the word,
        "note" what people should know.

        Raises what the function raises of our own family (a CouldNotObserve is an OperationFailed),
        and OperationUnknown for its mistakes: the work may have begun.
        """
        at, began = reach.clock.now(), time.monotonic()
        given = ", ".join(f"{key}={value}" for key, value in order.with_.items())
        source, deadline_s = f"{order.python}({given})", duration_s(order.deadline)
        function = function_named(order.python)
        handles = ChangingHandles(reach, deadline_s)
        try:
            value = await working(lambda: function(handles, **order.with_), deadline_s, source)
        except CouldNotObserve as error:
            raise OperationFailed(f"{order.python}: {error.reason}") from error
        except WatchkeeperError:
            raise
        except Exception as error:
            raise OperationUnknown(
                f"{where_it_failed(error, order.python)}; how far it had come is unknown"
            ) from None
        told: Mapping[str, object] = value if isinstance(value, Mapping) else {}
        made = told.get("made")
        return Done(
            value=value,
            outcome=str(told.get("outcome", "")),
            source=source,
            at=at,
            duration_s=since(began),
            kind="returned",
            excerpt="",
            made=tuple((str(k), str(v)) for k, v in made.items())
            if isinstance(made, Mapping)
            else (),
            note=str(told.get("note", "")),
        )


OPERATOR = Python()
