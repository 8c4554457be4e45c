"""How does a finding read: its sentence for people, and the table beside it?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from watchkeeper.limits import Judgement
from watchkeeper.limits.showing import shown
from watchkeeper.meaning import Tense, Tenses
from watchkeeper.observation import Observation, Row, Scalar, Table
from watchkeeper.plan import Look

SHOWN_ROWS = 20
"""Rows of a list that a finding's table shows."""
NAMED_ROWS = 3
"""Rows of a list that a sentence names."""
NAMED_CELLS = 4
"""Cells of such a row that it names."""
NAMED_LENGTH = 100
"""Characters of such a row that it shows."""
_LINES = ("line", "text")
"""Columns that tell a log's row by themselves."""

Cells = tuple[tuple[str, str], ...]
"""A row as a sentence's table has it: column and text."""


def subject_of(noun: str, called: str, tense: Tense | None) -> str:
    """ "success rate of the media manager over the last 24 hours"."""
    subject = noun if noun.startswith("the ") else f"{noun} of {called}"
    return f"{subject} {tense.text}" if tense is not None and _looks_back(tense) else subject


def judged(
    seen: Observation, called: str, tense: Tense | None, judgement: Judgement, look: Look | None
) -> str:
    """What was found and what was expected, without where it was seen."""
    subject = subject_of(seen.figure, called, tense)
    if not judgement.found:
        joint = " " if judgement.note.startswith(("was ", "had ")) else ": "
        return f"{subject}{joint}{judgement.note}"
    expected = judgement.expected
    if tense is not None and not _looks_back(tense):
        expected += f" {tense.text}"
    note = f" ({judgement.note})" if judgement.note else ""
    if isinstance(seen.value, Table) and judgement.found == f"{seen.value.total:,}":
        when = f" {tense.text}" if tense is not None and _looks_back(tense) else ""
        count = "no" if not seen.value.total else judgement.found
        named = naming(seen.value, look) if look is not None and not judgement.verdict.good else ""
        return f"{called} had {count} {seen.figure}{when}{named}, expected {expected}{note}"
    return f"{subject} was {judgement.found}, expected {expected}{note}"


def where(source: str, at: datetime, duration_s: float) -> str:
    """ "GET /api/stats at 09:00:12Z, 41 ms"."""
    took = f"{duration_s * 1000:.0f} ms" if duration_s < 1 else f"{duration_s:.1f} s"
    return f"{source} at {at:%H:%M:%S}Z, {took}".strip()


def spoken(rows: Sequence[Cells]) -> str:
    """The first rows: "title The Matrix, TMDb id 603"."""
    named = [", ".join(f"{column} {text or 'empty'}" for column, text in row) for row in rows]
    return _some(named, len(named))


def naming(table: Table, look: Look) -> str:
    """The first rows of a list that should not be there: " (61 The Office Failed (Sonarr); …)"."""
    if not table.rows:
        return ""
    columns = _telling_columns(table.rows[0], look)
    told = []
    for row in table.rows[:NAMED_ROWS]:
        cells = [row.get(column) for column in columns[:NAMED_CELLS]]
        text = " ".join(" ".join(cell_text(cell).split()) for cell in cells if cell is not None)
        told.append(text if len(text) <= NAMED_LENGTH else text[: NAMED_LENGTH - 1] + "…")
    return f" ({_some(told, table.total)})"


def table_of(seen: Observation, look: Look | None) -> tuple[tuple[str, ...], ...]:
    """A header and the first rows of a list, as texts; nothing for one value."""
    table = seen.value
    if look is None or not isinstance(table, Table) or not table.rows:
        return ()
    names = {source: name for name, source in look.figure.options.columns.items()}
    columns = table.rows[0].columns
    header = tuple(names.get(column, column) for column in columns)
    body = tuple(
        tuple(cell_text(row.get(column)) for column in columns) for row in table.rows[:SHOWN_ROWS]
    )
    return (header, *body)


def value_of(seen: Observation) -> str:
    """A figure's value in a few words."""
    if seen.no_data:
        return "no data"
    if isinstance(seen.value, Table):
        return "1 row" if seen.value.total == 1 else f"{seen.value.total:,} rows"
    return shown(seen.value, seen.unit)


def trend(earlier: Observation, seen: Observation) -> str:
    """How far a number is from what it was: " (+12%)"; "" where that can't be said."""
    old, new = earlier.value, seen.value
    if earlier.no_data or seen.no_data or isinstance(old, bool) or isinstance(new, bool):
        return ""
    if not isinstance(old, int | float) or not isinstance(new, int | float) or not old:
        return ""
    return f" ({(new - old) / abs(old):+.0%})"


def cell_text(value: Scalar) -> str:
    """A cell as it stands in a table; an empty one is ""."""
    if value is None or isinstance(value, str):
        return value or ""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else shown(value)


def _looks_back(tense: Tense) -> bool:
    return tense.kind is Tenses.OVER


def _telling_columns(row: Row, look: Look) -> Sequence[str]:
    """The columns by which people tell rows apart."""
    options = look.figure.options
    known = [options.key, *options.columns.values()] if options.key else []
    columns = [column for column in dict.fromkeys(known) if column is not None and column in row]
    return columns or [column for column in _LINES if column in row][:1] or row.columns


def _some(told: Sequence[str], total: int) -> str:
    more = total - min(len(told), NAMED_ROWS)
    return "; ".join(told[:NAMED_ROWS]) + (f"; and {more:,} more" if more > 0 else "")
