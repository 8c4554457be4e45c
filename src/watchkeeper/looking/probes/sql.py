"""What does a SELECT answer, asked where nothing can be written?"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from watchkeeper.clock import Window
from watchkeeper.errors import ConfigurationError, CouldNotObserve
from watchkeeper.looking.reach import Reach, in_thread
from watchkeeper.observation import Answer, Row, Scalar, Table
from watchkeeper.services import Database, Model

if TYPE_CHECKING:
    from watchkeeper.looking.database import ReadOnlyDatabase

KEPT_MAX = 16_000_000
"""Characters of text kept of one answer; more is refused as "too large"."""

SOURCE_MAX = 120
"""Characters of the statement that a source shows."""

IMPORT_S = 10.0
"""Seconds that importing the driver may take on a machine under load."""

_GRACE_S = 0.5  # the database ends its own work at the deadline; its word is better than ours
_PARAMETER = re.compile(r"(?<![:\w\\]):(now|since|until)\b")
_OTHER_COLON = re.compile(r"(?<![:\w\\]):(?!(?:now|since|until)\b)(?=\w)")


class Question(Model):
    """One SELECT on the database service `in`.

    :now, :since and :until are bound where they occur: the time of the look, and the sentence's
    window. `key` names the column that tells rows apart.
    """

    sql: str
    in_: str
    key: str | None = None


class Sql:
    """Asks by SQLAlchemy Core; the answer's value is always a Table, its kind "rows"."""

    def drivers(self, question: Question) -> tuple[str, ...]:
        return ("watchkeeper.looking.database", "sqlalchemy.dialects.sqlite")

    def services(self, question: Question) -> tuple[str, ...]:
        return (question.in_,)

    async def look(self, question: Question, reach: Reach, window: Window | None) -> Answer:
        """Raises CouldNotObserve: "missing", "corrupt", "locked", "timeout", "would write",
        "refused", "login refused", "not permitted", "too large", "query", …
        """
        at, began = reach.clock.now(), time.monotonic()
        service = reach.service(question.in_, Database)
        deadline_s = service.deadline_s
        source = source_of(question.sql, question.in_)
        moments = _moments(question.sql, at, window)

        async def opened() -> ReadOnlyDatabase:
            # The first time it imports SQLAlchemy, which is no part of the look's deadline.
            return await in_thread(lambda: _opened(question.in_, service), IMPORT_S, source)

        async def closed(database: ReadOnlyDatabase) -> None:
            database.close()

        try:
            database = await reach.resource(("sql", question.in_), opened, closed)
            table = await in_thread(
                lambda: _ask(database, question, moments), deadline_s + _GRACE_S, source
            )
        except CouldNotObserve as error:
            raise CouldNotObserve(
                error.kind, error.reason, source=source, duration_s=time.monotonic() - began
            ) from error
        return Answer(table, source, at, time.monotonic() - began, kind="rows")


def _opened(name: str, service: Database) -> ReadOnlyDatabase:
    from watchkeeper.looking.database import ReadOnlyDatabase  # noqa: PLC0415 - heavy

    return ReadOnlyDatabase(
        service.database.get_secret_value(),
        name,
        deadline_s=service.deadline_s,
        at_once=service.at_once,
    )


def source_of(sql: str, service: str) -> str:
    """How a report names the look: "SELECT … in store"."""
    folded = " ".join(sql.split())
    cut = folded if len(folded) <= SOURCE_MAX else folded[: SOURCE_MAX - 1] + "…"
    return f"{cut} in {service}"


def _moments(sql: str, now: datetime, window: Window | None) -> dict[str, datetime]:
    wanted = set(_PARAMETER.findall(sql))
    moments = {"now": now}
    if window is not None:
        moments |= {"since": window.since, "until": window.until}
    missing = sorted(wanted - set(moments))
    if missing:
        raise ConfigurationError(
            f'"{" ".join(sql.split())}" asks for :{missing[0]}, and the sentence has no window',
            hint='begin the sentence with "over the last 24 hours", or leave it out of the SQL',
        )
    return {name: moments[name] for name in wanted}


def _ask(database: ReadOnlyDatabase, question: Question, moments: dict[str, datetime]) -> Table:
    from sqlalchemy import text  # noqa: PLC0415 - heavy, and imported by now

    database.refuse_acting(question.sql)
    # What else looks like a parameter is JSON, a cast or a time of day, and meant as written.
    statement = text(_OTHER_COLON.sub(r"\:", question.sql.strip().rstrip(";")))
    bound = {
        name: moment.strftime("%Y-%m-%d %H:%M:%S") if database.kind == "sqlite" else moment
        for name, moment in moments.items()
    }
    with database.reading() as connection:
        result = connection.execute(statement, bound)
        if not result.returns_rows:
            raise CouldNotObserve("would write", f"{question.in_}: the statement is no SELECT")
        return _table(tuple(result.keys()), result, question.key)


def _table(columns: tuple[str, ...], rows: Iterable[Sequence[Any]], key: str | None) -> Table:
    kept: list[Row] = []
    total = size = 0
    for row in rows:
        total += 1
        if len(kept) < Table.KEEP:
            cells = tuple(scalar(value) for value in row)
            size += sum(len(cell) for cell in cells if isinstance(cell, str))
            if size > KEPT_MAX:
                raise CouldNotObserve(
                    "too large", f"the first {total} rows hold over {KEPT_MAX // 1_000_000} MB"
                )
            kept.append(Row(tuple(zip(columns, cells, strict=True))))
    return Table(tuple(kept), total, key)


def scalar(value: Any) -> Scalar:
    """What a driver gave, as a cell.

    An instant without a zone is UTC, a span of time is its seconds, bytes are told by their number.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    found = next((turn for kinds, turn in _TURNS if isinstance(value, kinds)), str)
    return found(value)


_TURNS: tuple[tuple[tuple[type, ...], Callable[[Any], Scalar]], ...] = (
    ((Decimal,), float),
    ((datetime,), lambda at: at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)),
    ((date, time_of_day), lambda day: day.isoformat()),
    ((timedelta,), lambda span: span.total_seconds()),
    ((bytes, bytearray, memoryview), lambda raw: f"{len(raw)} bytes"),
    ((list, dict), lambda tree: json.dumps(tree, default=str, ensure_ascii=False)),
)


PROBE = Sql()
