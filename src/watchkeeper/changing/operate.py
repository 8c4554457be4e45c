"""The only path that changes: locks first, then the ledger, then the operator, then the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from watchkeeper.changing.operator import Done, Operator, Settles
from watchkeeper.changing.permission import closed_lock
from watchkeeper.errors import OperationFailed, OperationRefused, OperationUnknown
from watchkeeper.looking.observe import Observer
from watchkeeper.nouns import filled, quotable
from watchkeeper.plan import ordered
from watchkeeper.recording.ledger import Ledger
from watchkeeper.services import Model
from watchkeeper.targets import Operation, Permission, Target


class Hands:
    """One target's hands for the length of a run."""

    def __init__(
        self,
        target: Target,
        observer: Observer,
        operators: Mapping[str, Operator[Any]],
        ledger: Ledger,
        allowed: Permission,
    ) -> None:
        self._target = target
        self._observer = observer
        self._operators = operators
        self._ledger = ledger
        self._allowed = allowed

    def operate(
        self,
        operation: Operation,
        arguments: Mapping[str, str],
        *,
        tagged: Permission,
        scenario: str,
        late: Mapping[str, str],
    ) -> Done:
        """Do `operation`; `arguments` and `late` fill its placeholders.

        Raises OperationRefused, OperationFailed or OperationUnknown; what was begun is in the
        ledger before it begins.
        """
        closed = closed_lock(operation, tagged, self._allowed, self._target.environment)
        if closed:
            raise OperationRefused(closed)
        order = self._order(operation, {**arguments, **late})
        facts: dict[str, Any] = {
            "operation": operation.name,
            "scenario": scenario,
            "arguments": dict(arguments),
        }
        operator = self._operators[operation.operator]
        if isinstance(operator, Settles) and operator.leaves_open(order):
            order, exactly = self._settled(operator, order, facts)
            facts["exactly"] = list(exactly)
        self._ledger.append("about to", durable=True, effect=operation.options.effect, **facts)
        try:
            done: Done = self._observer.run(lambda reach: operator.operate(order, reach))
        except OperationFailed as error:
            self._ledger.append("failed", durable=True, reason=str(error), **facts)
            raise
        except OperationRefused as error:
            self._ledger.append("refused", durable=True, reason=str(error), **facts)
            raise
        except BaseException as error:  # whatever it was, the work may have begun
            self._ledger.append("unknown", durable=True, reason=str(error), **facts)
            if isinstance(error, OperationUnknown) or not isinstance(error, Exception):
                raise
            raise OperationUnknown(f"{operation.name}: {error!r}") from error
        self._ledger.append("done", durable=True, source=done.source, note=done.note, **facts)
        return done

    def _settled(
        self, operator: Settles, order: Model, facts: Mapping[str, Any]
    ) -> tuple[Model, tuple[str, ...]]:
        try:
            settled: tuple[Model, tuple[str, ...]] = self._observer.run(
                lambda reach: operator.settle(order, reach)
            )
        except (OperationRefused, OperationFailed) as error:
            self._ledger.append("refused", durable=True, reason=str(error), **facts)
            raise
        return settled

    def _order(self, operation: Operation, stands_for: Mapping[str, str]) -> Model:
        order = ordered(operation, self._target.system)
        texts = quotable(operation.operator, stands_for)
        data = filled(order.model_dump(by_alias=True), texts)
        return type(order).model_validate(self._target.fill(data))
