"""How is a whole SQL script run, or none of it?"""

from __future__ import annotations

import re
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING

from watchkeeper.changing.operator import Done
from watchkeeper.changing.operators.sql import without_quoted
from watchkeeper.changing.working import since, working
from watchkeeper.errors import OperationFailed, OperationRefused
from watchkeeper.looking.reach import Reach
from watchkeeper.services import Database, Duration, Folder, Model
from watchkeeper.units import duration_s

if TYPE_CHECKING:
    from sqlalchemy import Connection

SCRIPT_MAX = 10_000_000
"""Bytes of a script that are read."""

_BEGINS = re.compile(r"\s*(begin|start\s+transaction)(\s+\w+)*\s*;?\s*", re.I)
_ENDS = re.compile(r"\s*(commit|end)(\s+transaction)?\s*;?\s*", re.I)
_OWN_TRANSACTION = re.compile(
    r"(?:^|;)\s*(begin|start\s+transaction|commit|end|rollback|savepoint|release)\b", re.I
)
_OUTSIDE_TRANSACTIONS = re.compile(r"\s*(pragma|vacuum|attach|detach)\b", re.I)


class Order(Model):
    """The script at `sql script`, absolute or in the folder service `folder`, on the database `in`.

    A BEGIN that opens it and a COMMIT that closes it are left out: the transaction is ours.
    """

    sql_script: str
    in_: str
    folder: str | None = None
    deadline: Duration = "60 seconds"


class Script:
    """Runs all statements in one transaction."""

    def services(self, order: Order) -> tuple[str, ...]:
        return (order.in_, order.folder) if order.folder else (order.in_,)

    async def operate(self, order: Order, reach: Reach) -> Done:
        """Value: {"statements": how many}; kind "committed".

        Raises OperationRefused where the script is not there or commits by itself,
        OperationFailed where a statement fails (all is rolled back), OperationUnknown.
        """
        at, began = reach.clock.now(), time.monotonic()
        url = reach.service(order.in_, Database).database.get_secret_value()
        folder = Path(reach.service(order.folder, Folder).folder) if order.folder else Path()
        path, deadline_s = folder / order.sql_script, duration_s(order.deadline)
        what = f"script {path} in {order.in_}"
        number = await working(lambda: _run(path, order.in_, url, deadline_s), deadline_s, what)
        return Done({"statements": number}, "", what, at, since(began), "committed", "")


def _run(path: Path, name: str, url: str, deadline_s: float) -> int:
    from watchkeeper.changing.database import WritableDatabase  # noqa: PLC0415 - heavy

    script = _read(path)
    database = WritableDatabase(url, name, deadline_s=deadline_s)
    statements = sqlite_statements(path, script) if database.is_sqlite else _one_text(path, script)
    with database.transaction() as connection:
        for number, statement in enumerate(statements, 1):
            _execute(connection, path, number, statement)
    return len(statements)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(SCRIPT_MAX + 1)
        if len(raw) > SCRIPT_MAX:
            raise OperationRefused(f"{path} is over {SCRIPT_MAX // 1_000_000} MB")
        return raw.decode("utf-8")
    except OSError as error:
        raise OperationRefused(f"{path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise OperationRefused(f"{path} is not UTF-8 at byte {error.start}") from error


def sqlite_statements(path: Path, script: str) -> list[str]:
    """The script's statements; raises OperationRefused for what a transaction can't hold."""
    # Python's executescript commits first, so a script run by it could not be rolled back.
    found, gathered = [], ""
    for piece in script.split(";"):
        gathered += piece + ";"
        if sqlite3.complete_statement(gathered):
            found.append(gathered)
            gathered = ""
    found = [each for each in [*found, gathered] if without_quoted(each).strip(" \t\r\n;")]
    if found and _BEGINS.fullmatch(without_quoted(found[0])):
        found = found[1:]
        if found and _ENDS.fullmatch(without_quoted(found[-1])):
            found = found[:-1]
    for each in found:
        bare = without_quoted(each)
        if _OWN_TRANSACTION.match(bare):
            raise _commits_itself(path, bare)
        if _OUTSIDE_TRANSACTIONS.match(bare):
            raise OperationRefused(
                f'{path}: "{" ".join(bare.split())}" has no place in a transaction, '
                "and without one the script could not be rolled back"
            )
    return found


def _one_text(path: Path, script: str) -> list[str]:
    """PostgreSQL takes the script whole."""
    bare = without_quoted(script)
    if _OWN_TRANSACTION.search(bare):
        raise _commits_itself(path, bare)
    return [script]


def _commits_itself(path: Path, bare: str) -> OperationRefused:
    found = _OWN_TRANSACTION.search(bare)
    word = found[1].upper() if found else "COMMIT"
    return OperationRefused(f"{path} says {word}; the transaction is ours: take it out")


def _execute(connection: Connection, path: Path, number: int, statement: str) -> None:
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415 - heavy, and imported by now

    try:
        if connection.dialect.name == "postgresql":
            statement = statement.replace("%", "%%")  # its driver would take it for a parameter
        connection.exec_driver_sql(statement)
    except DBAPIError as error:
        first = str(error.orig).strip().partition("\n")[0]
        raise OperationFailed(f"{path}, statement {number}: {first}; all was rolled back") from None


OPERATOR = Script()
