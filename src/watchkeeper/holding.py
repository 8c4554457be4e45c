"""Does a list hold the rows that a sentence's table names, and which of its rows are new?"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

from watchkeeper.meaning import Change, Changed, Contains, Extent
from watchkeeper.observation import Observation, Row, Scalar, Table
from watchkeeper.plan import Look
from watchkeeper.verdicts import Verdict
from watchkeeper.wording import Cells, cell_text, spoken


def held(meaning: Contains, seen: Table, look: Look) -> tuple[Verdict, str]:
    """The verdict and what goes on after "requests of the media manager: "."""
    if cut(seen):
        return Verdict.UNKNOWN, f"there are {seen.total:,} rows, more than are compared"
    strange = [column for column in meaning.columns if not _has(seen, look, column)]
    if strange:
        return Verdict.UNKNOWN, f'no row has a column "{strange[0]}"'
    wanted = [tuple(zip(meaning.columns, row, strict=True)) for row in meaning.rows]
    places = _places(seen, look, wanted, in_order=meaning.in_order)
    lacking = [row for row, place in zip(wanted, places, strict=True) if place is None]
    if lacking:
        return Verdict.FAILED, _lack(meaning, seen, look, lacking)
    if meaning.only and seen.total > len(wanted):
        more = seen.total - len(wanted)
        return Verdict.FAILED, f"there {'is 1 row' if more == 1 else f'are {more:,} rows'} too many"
    return Verdict.PASSED, f"there is {spoken(wanted)}"


def one_new(before: Observation | None, seen: Table, look: Look) -> tuple[Verdict, str, Scalar]:
    """The verdict, what goes on after the subject, and the key of the one new row, or None."""
    if before is None or not isinstance(before.value, Table):
        return Verdict.UNKNOWN, "they were not seen before, so nobody knows which are new", None
    if cut(seen) or cut(before.value):
        return Verdict.UNKNOWN, f"there are {seen.total:,} rows, more than are compared", None
    key = look.figure.options.key or ""
    known = {row.get(key) for row in before.value}
    new = [row for row in seen if row.get(key) not in known]
    if len(new) == 1:
        return Verdict.PASSED, f"one is new, {key} {new[0].get(key)}", new[0].get(key)
    found = "none is new" if not new else f"{len(new):,} are new"
    return Verdict.FAILED, f"{found}, expected exactly one", None


@dataclass(frozen=True)
class Became:
    """What became of a list's rows, by key. `surely_ours`: nobody else can have done it."""

    changed: frozenset[Scalar]
    gone: frozenset[Scalar]
    new: frozenset[Scalar]
    surely_ours: bool

    def those(self, change: Change) -> frozenset[Scalar]:
        return {Change.CHANGED: self.changed, Change.GONE: self.gone, Change.NEW: self.new}[change]


def compared(before: Table, after: Table, key: str, *, alone: bool) -> Became:
    """What became of the rows between two looks; `alone`: nobody else writes to this system."""
    old = {row.get(key): row for row in before}
    now = {row.get(key): row for row in after}
    return Became(
        frozenset(each for each in old.keys() & now.keys() if old[each] != now[each]),
        frozenset(old.keys() - now.keys()),
        frozenset(now.keys() - old.keys()),
        surely_ours=alone,
    )


@dataclass(frozen=True)
class Touched:
    """What one transaction says it did: exactly to the `selection` out of what `table` selects."""

    table: str
    selection: str
    keys: frozenset[Scalar]
    gone: frozenset[Scalar]

    @property
    def became(self) -> Became:
        """What became of those rows; no other writer could come between."""
        return Became(self.keys - self.gone, self.gone, frozenset(), surely_ours=True)


def came_to(meaning: Changed, became: Became, selected: frozenset[Scalar]) -> tuple[Verdict, str]:
    """Whether the change came to the rows it should, and what goes on after the subject."""
    found = became.those(meaning.change)
    what = (
        meaning.change.value if meaning.change is Change.CHANGED else f"are {meaning.change.value}"
    )
    beyond, short = found - selected, selected - found
    if meaning.extent is Extent.NONE:
        beyond, short = found & selected, frozenset()
    if meaning.extent is Extent.ONLY:
        short = frozenset()
    if short:
        return (
            Verdict.FAILED,
            f"{len(short):,} of {len(selected):,} {_not(meaning.change)}: {_keys(short)}",
        )
    if beyond and not became.surely_ours:
        return Verdict.UNKNOWN, f"also {_keys(beyond)} {what}, and others may write here, too"
    if beyond:
        return Verdict.FAILED, f"{_keys(beyond)} {what}, which should not"
    return Verdict.PASSED, f"{len(found):,} {what}" + (f": {_keys(found)}" if found else "")


def _not(change: Change) -> str:
    return {
        Change.CHANGED: "did not change",
        Change.GONE: "are still there",
        Change.NEW: "are not new",
    }[change]


def _keys(keys: Iterable[Scalar]) -> str:
    named = sorted(map(str, keys), key=lambda each: (len(each), each))
    more = len(named) - NAMED
    return ", ".join(named[:NAMED]) + (f" and {more:,} more" if more > 0 else "")


NAMED = 5
"""Keys that a sentence names."""


def row_with(seen: Table, look: Look, key: Scalar) -> Row | None:
    """The row that has this key."""
    column = look.figure.options.key or ""
    return next((row for row in seen if row.get(column) == key), None)


def only_row(look: Look, key: Scalar) -> Look:
    """A look at the row with this key alone, in the whole of which `look` sees a part."""
    options, column = look.figure.options, look.figure.options.key
    if options.where is None:
        return look
    text = str(key).replace("'", "''")
    sql = look.figure.probe == "sql"
    where = f"{column} = '{text}'" if sql else f".{json.dumps(column)} == {json.dumps(key)}"
    part = options.model_copy(update={"where": where, "one": look.figure.one})
    named = f"{look.figure.name} with the {column} {key}"  # an answer is known by its figure's name
    return replace(look, figure=replace(look.figure, name=named, options=part))


def cut(table: Table) -> bool:
    """Whether there are more rows than were kept."""
    return len(table.rows) < table.total


def _has(seen: Table, look: Look, column: str) -> bool:
    source = look.figure.options.columns.get(column, column)
    return not seen.rows or any(source in row for row in seen)


def _text(row: Row, look: Look, column: str) -> str:
    return cell_text(row.get(look.figure.options.columns.get(column, column)))


def _places(seen: Table, look: Look, wanted: list[Cells], *, in_order: bool) -> list[int | None]:
    """Where each wanted row stands. No row of the list answers for two of the table."""
    places: list[int | None] = []
    taken: set[int] = set()
    for cells in wanted:
        after = max(taken, default=-1) if in_order else -1
        place = next(
            (
                number
                for number, row in enumerate(seen)
                if number > after
                and number not in taken
                and all(_text(row, look, column) == text for column, text in cells)
            ),
            None,
        )
        places.append(place)
        if place is not None:
            taken.add(place)
    return places


def _lack(meaning: Contains, seen: Table, look: Look, lacking: list[Cells]) -> str:
    anywhere = _places(seen, look, lacking, in_order=False)
    if meaning.in_order and None not in anywhere:
        return f"the rows stand in another order; {spoken(lacking)} comes too early"
    nearest = _nearest(seen, look, lacking[0])
    return f"no row with {spoken(lacking)}" + (f"; there is {nearest}" if nearest else "")


def _nearest(seen: Table, look: Look, wanted: Cells) -> str:
    """The row that has the wanted first cell and differs in another one."""
    column, text = wanted[0]
    for row in seen:
        if len(wanted) > 1 and _text(row, look, column) == text:
            return spoken([tuple((name, _text(row, look, name)) for name, _ in wanted)])
    return ""
