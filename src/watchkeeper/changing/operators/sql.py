"""How is exactly what was selected changed by SQL, or nothing?"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator, model_validator

from watchkeeper.changing.operator import Done
from watchkeeper.changing.working import since, working
from watchkeeper.errors import OperationFailed, OperationRefused, OperationUnknown
from watchkeeper.looking.reach import Reach
from watchkeeper.services import Database, Duration, Model
from watchkeeper.units import duration_s

if TYPE_CHECKING:
    from sqlalchemy import Connection

KEYS_KEPT = 1_000
"""Keys of changed rows that are handed back."""

SOURCE_MAX = 120
"""Characters of the statement that a source shows."""

# Texts, quoted names and comments, in which a semicolon ends nothing.
_QUOTED = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|\$(\w*)\$.*?\$\1\$", re.S
)
_OWN_TRANSACTION = re.compile(r"\s*(begin|start|commit|end|rollback|savepoint|release)\b", re.I)
_OTHER_COLON = re.compile(r"(?<![:\w\\]):(?!now\b)(?=\w)")


class Order(Model):
    """One statement on the database service `in`, in one transaction.

    `touches sql`: selects the rows that it may change. With it, `table sql` selects all rows that
    could change, and `key` names the column of both that tells rows apart. :now is bound.
    `exactly`: how many rows it must change, or give where it is a SELECT that calls a function
    which acts; each of them must then have said yes.
    `outside a transaction`: for VACUUM and its like. Nothing of it can be rolled back then, and a
    warning, as for a table that was left out, makes it failed.
    """

    sql: str
    in_: str
    touches_sql: str | None = None
    table_sql: str | None = None
    key: str | None = None
    exactly: int | None = Field(default=None, ge=1, le=KEYS_KEPT)
    outside_a_transaction: bool = False
    deadline: Duration = "60 seconds"

    @field_validator("sql")
    @classmethod
    def _one_statement(cls, sql: str) -> str:
        bare = without_quoted(sql)
        if ";" in bare.strip().rstrip(";"):
            raise ValueError('it holds more than one statement; use "sql script" for several')
        if _OWN_TRANSACTION.match(bare):
            raise ValueError("the transaction is ours, so that it can be rolled back")
        return sql

    @model_validator(mode="after")
    def _all_three(self) -> Order:
        if self.touches_sql and not (self.table_sql and self.key):
            raise ValueError('"touches sql" needs "table sql" and "key" to be compared with')
        if self.outside_a_transaction and (self.touches_sql or self.exactly):
            raise ValueError("outside a transaction nothing can be rolled back that is not exact")
        return self


def without_quoted(sql: str) -> str:
    """`sql` with its texts, quoted names and comments left out."""
    return _QUOTED.sub(" ", sql)


class Sql:
    """Runs the statement, compares what changed with what was selected, then commits or not."""

    def services(self, order: Order) -> tuple[str, ...]:
        return (order.in_,)

    async def operate(self, order: Order, reach: Reach) -> Done:
        """Value: {"changed": rows, "keys": up to KEYS_KEPT of them}; kind "committed". With a
        selection also "gone": those of the keys that no row has any more.

        Raises OperationFailed where the statement fails or other rows would change than those
        selected (all is rolled back), OperationRefused where the database can't be entered,
        OperationUnknown where nobody can say whether it was committed, or a function acted more
        often than it should have.
        """
        at, began = reach.clock.now(), time.monotonic()
        service = reach.service(order.in_, Database)
        deadline_s = duration_s(order.deadline)
        source = source_of(order.sql, order.in_)
        url = service.database.get_secret_value()
        now = at.strftime("%Y-%m-%d %H:%M:%S") if url.startswith("sqlite") else at
        value = await working(
            lambda: _changed(order, url, deadline_s, {"now": now}), deadline_s, source
        )
        return Done(value, "", source, at, since(began), "committed", "")


def source_of(sql: str, service: str) -> str:
    """How a record names the change: "UPDATE … in store"."""
    folded = " ".join(sql.split())
    cut = folded if len(folded) <= SOURCE_MAX else folded[: SOURCE_MAX - 1] + "…"
    return f"{cut} in {service}"


def _changed(
    order: Order, url: str, deadline_s: float, bound: dict[str, object]
) -> dict[str, object]:
    from watchkeeper.changing.database import WritableDatabase  # noqa: PLC0415 - heavy

    database = WritableDatabase(url, order.in_, deadline_s=deadline_s)
    if order.outside_a_transaction:
        with database.outside_a_transaction() as connection:
            _execute(connection, order.sql, bound)
        return {"changed": None, "keys": []}
    with database.transaction() as connection:
        if order.touches_sql is not None:
            return _exactly(connection, order, bound)
        result = _execute(connection, order.sql, bound)
        if order.exactly is not None:
            _refuse_inexact(result, order.exactly)
        return {"changed": result.rowcount, "keys": []}


def _refuse_inexact(result: Any, exactly: int) -> None:
    if not result.returns_rows:
        if result.rowcount != exactly:
            raise OperationFailed(
                f"it would have changed {result.rowcount} rows, expected {exactly}; "
                "all was rolled back"
            )
        return
    answers = [tuple(row) for row in result.fetchmany(KEYS_KEPT + 1)]
    if not answers:
        raise OperationFailed(
            f"it found nothing to act on, expected {exactly}; nothing was done: "
            "what was named is no longer there, or no longer as it was"
        )
    said_no = sum(any(cell is None or cell is False for cell in row) for row in answers)
    if len(answers) != exactly:
        raise OperationUnknown(
            f"it acted {len(answers)} times, expected {exactly}; "
            "what a function did can't be rolled back"
        )
    if said_no:
        raise OperationFailed(f"the database said no to {said_no} of {exactly}")


def _exactly(connection: Connection, order: Order, bound: dict[str, object]) -> dict[str, object]:
    key, table = order.key or "", order.table_sql or ""
    selected = set(_by_key(connection, order.touches_sql or "", key, bound))
    before = _by_key(connection, table, key, bound)
    _execute(connection, order.sql, bound)
    after = _by_key(connection, table, key, bound)
    changed = {k for k in before.keys() | after.keys() if before.get(k) != after.get(k)}
    if changed != selected:
        raise OperationFailed(
            f"{len(selected)} rows were selected and {len(changed)} would have changed: "
            f"{len(changed - selected)} that were not selected would have, "
            f"{len(selected - changed)} that were would not; all was rolled back"
        )
    keys = sorted(changed, key=lambda each: (str(type(each)), each))[:KEYS_KEPT]
    return {"changed": len(changed), "keys": keys, "gone": [k for k in keys if k not in after]}


def _by_key(
    connection: Connection, sql: str, key: str, bound: dict[str, object]
) -> dict[Any, bytes]:
    """A fingerprint of every row, by its key; rows themselves would be too much to keep."""
    result = _execute(connection, sql, bound)
    columns = list(result.keys())
    if key not in columns:
        raise OperationRefused(f'"{" ".join(sql.split())}" has no column "{key}"')
    place = columns.index(key)
    found: dict[Any, bytes] = {}
    for row in result:
        if row[place] in found:
            raise OperationRefused(f'"{key}" tells no rows apart: {row[place]} is there twice')
        found[row[place]] = _fingerprint(row)
    return found


def _fingerprint(row: Iterable[object]) -> bytes:
    return blake2b(repr(tuple(row)).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _execute(connection: Connection, sql: str, bound: dict[str, object]) -> Any:
    from sqlalchemy import text  # noqa: PLC0415 - heavy, and imported by now

    statement = _OTHER_COLON.sub(r"\:", sql.strip().rstrip(";"))
    used = bound if ":now" in statement else {}
    return connection.execute(text(statement), used)


OPERATOR = Sql()
