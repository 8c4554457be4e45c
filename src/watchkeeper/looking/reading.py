"""What a probe's answer says about a figure: pick, rows, unit and words applied, strictly."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import jq

from watchkeeper.clock import Window
from watchkeeper.errors import CouldNotObserve
from watchkeeper.observation import Answer, Observation, Row, Scalar, Table, Value
from watchkeeper.targets import Figure
from watchkeeper.units import SECOND

SHOWN = 60
"""Characters of an unexpected value that a reason quotes."""

NAMED = 3
"""Rows that a reason names."""


def read(figure: Figure, noun: str, answer: Answer, window: Window | None = None) -> Observation:
    """`answer` as an observation of `figure`, which the sentence calls `noun`.

    Raises CouldNotObserve where the answer does not say it: "missing", "not a number",
    "unexpected", …
    """
    try:
        value, no_data = _value(figure, answer, window)
    except CouldNotObserve as reason:
        raise CouldNotObserve(
            reason.kind,
            reason.reason,
            source=reason.source or answer.source,
            excerpt=answer.excerpt,
            duration_s=answer.duration_s,
        ) from None
    unit = SECOND if figure.options.measures == "duration" else figure.unit
    return Observation(
        figure=noun,
        value=value,
        unit=unit,
        source=answer.source,
        at=answer.at,
        duration_s=answer.duration_s,
        excerpt=answer.excerpt,
        no_data=no_data,
        picture=answer.picture,
    )


def read_refusal(figure: Figure, noun: str, reason: CouldNotObserve, at: datetime) -> Observation:
    """A way of not answering, as the word that an availability figure has for it.

    Raises `reason` itself where the figure has none.
    """
    word = (figure.options.counts_as or {}).get(reason.kind)
    if word is None:
        raise reason
    return Observation(
        figure=noun,
        value=word,
        unit=None,
        source=reason.source,
        at=at,
        duration_s=reason.duration_s,
        excerpt=reason.excerpt or reason.reason,
    )


def _value(figure: Figure, answer: Answer, window: Window | None) -> tuple[Value, bool]:
    options = figure.options
    if options.measures == "duration":
        return answer.duration_s, False
    if options.counts_as is not None and options.pick is None:
        return _counted(options.counts_as, answer), False
    if answer.kind == "no data":
        return 0, True
    table = _listed(figure, answer, window)
    if table is not None:
        return (table.total if options.count else _told_apart(table, options.key)), False
    if isinstance(answer.value, Table) and options.pick is None:
        return _only_cell(figure, answer.value)
    said = answer.word or answer.value
    value = said if options.pick is None else _picked(options.pick, answer.value)
    return _judged(figure, value), False


def _listed(figure: Figure, answer: Answer, window: Window | None) -> Table | None:
    """The answer as a list; None where the figure is one value."""
    options = figure.options
    if options.rows is not None:
        return _table(figure, answer, window)
    counted_here = options.count and figure.probe != "sql"  # SQL counts in the database
    if not (figure.is_list or counted_here):
        return None
    if isinstance(answer.value, list | tuple):
        return _table(figure, answer, window)
    if not isinstance(answer.value, Table):
        return None
    if options.where and figure.probe != "sql":  # SQL selects in the database
        return _part(answer.value, options.where)
    return answer.value


def _part(table: Table, where: str) -> Table:
    """The rows of `table` that keep the jq condition `where`."""
    if table.total > len(table.rows):
        raise CouldNotObserve("too large", f"{table.total:,} rows are more than are selected from")
    rows = tuple(row for row in table if selected(f"select({where})", dict(row.cells)))
    return Table(rows, len(rows), table.key)


def _told_apart(table: Table, key: str | None) -> Table:
    """`table`, where each row has a `key`; else nobody can say which row is which."""
    if key is not None and any(row.get(key) is None for row in table):
        raise CouldNotObserve("missing", f"a row has no {key}, which tells the rows apart")
    return table


def _counted(counts_as: Mapping[str, str], answer: Answer) -> str:
    if answer.kind not in counts_as:
        raise CouldNotObserve(
            "unexpected",
            f'it answered "{answer.kind}", understood are: {", ".join(counts_as)}',
        )
    return counts_as[answer.kind]


def _only_cell(figure: Figure, table: Table) -> tuple[Value, bool]:
    """The one cell of a one-row, one-column result; an empty or NULL one is "no data"."""
    if table.total == 0:
        return 0, True
    if table.measure is not None:
        cell = _only_row(table).get(table.measure)
    elif table.total == 1 and len(table.rows[0].cells) == 1:
        cell = table.rows[0].cells[0][1]
    else:
        raise CouldNotObserve(
            "unexpected",
            f"it gave {table.total:,} rows of {len(table.rows[0].cells)} columns, expected one",
        )
    return (0, True) if cell is None else (_judged(figure, cell), False)


def _only_row(table: Table) -> Row:
    if table.total > 1:
        few = [
            ", ".join(f"{name} {cell}" for name, cell in row.cells if name != table.measure)
            for row in table.rows[:NAMED]
        ]
        more = "; …" if table.total > NAMED else ""
        raise CouldNotObserve(
            "several", f"it gave {table.total:,} values, expected one: {'; '.join(few)}{more}"
        )
    return table.rows[0]


@lru_cache(maxsize=512)
def _program(text: str) -> Any:
    return jq.compile(text)


def selected(program: str, value: object) -> list[Any]:
    """What the jq `program` gives for `value`; raises CouldNotObserve where the two do not fit."""
    try:
        return list(_program(program).input_value(_jsonable(value)).all())
    except ValueError as error:
        raise CouldNotObserve(
            "unexpected", f"the answer has another shape than {program} expects: {error}"
        ) from None


def _jsonable(value: object) -> Any:
    if isinstance(value, Table):
        return [_jsonable(dict(row.cells)) for row in value.rows]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _jsonable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(each) for each in value]
    return value


def _picked(program: str, value: object) -> object:
    found = selected(program, value)
    if len(found) > 1:
        raise CouldNotObserve("unexpected", f"{program} gave {len(found)} values, expected one")
    if not found or found[0] is None:
        raise CouldNotObserve("missing", f"the answer has no {program}")
    return found[0]


def _table(figure: Figure, answer: Answer, window: Window | None) -> Table:
    program = figure.options.rows or ".[]"
    if program.lstrip().startswith(".[]") and isinstance(answer.value, Mapping):
        # jq would take the values of {"error": "…"} for rows.
        raise CouldNotObserve("unexpected", "it answered a mapping, expected a list")
    rows = [_row(each) for each in selected(program, answer.value)]
    if figure.options.where:
        rows = list(_part(Table(tuple(rows), len(rows)), figure.options.where))
    if window is not None and figure.options.at is not None:
        rows = list(_within(rows, figure.options.at, window))
    rows = _sorted(rows, figure)
    return Table(tuple(rows[: Table.KEEP]), len(rows), figure.options.key)


def _row(value: Any) -> Row:
    if isinstance(value, Mapping):
        return Row(tuple((str(key), _scalar(each)) for key, each in value.items()))
    return Row((("value", _scalar(value)),))


def _scalar(value: Any) -> Scalar:
    if value is None or isinstance(value, bool | int | float | str | datetime):
        return value
    return str(value)


def _within(rows: Iterable[Row], column: str, window: Window) -> Iterable[Row]:
    for row in rows:
        moment = instant_of(row.get(column))
        if window.since <= moment < window.until:
            yield row


def _sorted(rows: list[Row], figure: Figure) -> list[Row]:
    options = figure.options
    if options.newest_first and options.at:
        column = options.at
        return sorted(rows, key=lambda row: instant_of(row.get(column)), reverse=True)
    if options.lowest_first:
        lowest = options.lowest_first
        return sorted(rows, key=lambda row: _number(row.get(lowest)))
    return rows


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.inf


def instant_of(value: object) -> datetime:
    """`value` as an instant in UTC; without a zone it is UTC. Raises CouldNotObserve."""
    moment = value
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise CouldNotObserve("unexpected", f'"{value[:SHOWN]}" is no instant') from None
    if not isinstance(moment, datetime):
        said = "an empty field" if value is None else str(value)[:SHOWN]
        raise CouldNotObserve("unexpected", f"{said} is no instant")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _judged(figure: Figure, value: object) -> Value:
    """A single value, checked against what the figure may say."""
    if value is None or value == "" or isinstance(value, Mapping | list | tuple | Table):
        shape = "nothing" if value is None or value == "" else f"a {_shape(value)}"
        raise CouldNotObserve("missing", f"it said {shape}, expected one value")
    if figure.options.unit == "instant":
        return instant_of(value)
    if figure.options.values is not None:
        return _word(figure, value)
    if figure.unit is not None:
        return _checked_number(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise CouldNotObserve("not a number", f"it said {value}, expected a number")
    if isinstance(value, bool | int | float | str | datetime):
        return value
    raise CouldNotObserve("unexpected", f"it said a {_shape(value)}")


def _word(figure: Figure, value: object) -> str:
    said = "yes" if value is True else "no" if value is False else str(value)
    values = figure.options.values
    if isinstance(values, dict) and said in values:
        return values[said]
    if values is not None and not isinstance(values, dict) and said in values:
        return said
    raise CouldNotObserve(
        "unexpected", f'it said "{said[:SHOWN]}", understood are: {", ".join(values or ())}'
    )


def _checked_number(value: object) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CouldNotObserve("not a number", f'it said "{str(value)[:SHOWN]}", expected a number')
    if not math.isfinite(value):
        raise CouldNotObserve("not a number", f"it said {value}, expected a number")
    return value


def _shape(value: object) -> str:
    if isinstance(value, Mapping):
        return "mapping"
    return "list" if isinstance(value, list | tuple | Table) else type(value).__name__
