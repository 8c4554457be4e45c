"""How is a value shown in a sentence that people read?"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import zip_longest

from watchkeeper.limits.amounts import Amount, Number, from_base, readable
from watchkeeper.observation import Scalar, Table
from watchkeeper.units import Unit

_TEXT = 80  # characters of a text that fit into a sentence

_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "a yes or no"),  # before int, of which Python makes it a kind
    (int, "a number"),
    (float, "a number"),
    (str, "a text"),
    (datetime, "an instant"),
    (Table, "a list"),
)


def kind_of(value: Scalar | Table) -> str:
    """What kind of value this is, with its article; "" for an empty field."""
    return next((name for kind, name in _KINDS if isinstance(value, kind)), "")


def shown(value: Scalar | Table, unit: Unit | None = None) -> str:
    """The value for people, as short as it can be."""
    if value is None or isinstance(value, bool):
        return {None: "absent", True: "yes", False: "no"}[value]
    if isinstance(value, int | float):
        return str(readable(value, unit)) if math.isfinite(value) else str(value)
    if isinstance(value, datetime):
        return _shown_instant(value)
    return f"{value.total:,}" if isinstance(value, Table) else shown_text(value)


def shown_text(text: str, *, quoted: bool = False) -> str:
    """A text on one line, cut to a sentence's length; in quotes unless it is plain words."""
    cut = text if len(text) <= _TEXT else f"{text[: _TEXT - 1]}…"
    if not cut.strip():
        return f'"{cut}" (empty)'
    plain = all(character.isalnum() or character in " -_." for character in cut)
    return cut if plain and not quoted and cut == cut.strip() else f'"{" ".join(cut.split())}"'


def shown_apart(text: str, other: str) -> str:
    """A text that differs from `other`, also where the two look alike once they are cut."""
    if text == other or shown_text(text) != shown_text(other):
        return shown_text(text)
    pairs = enumerate(zip_longest(text, other), 1)
    first = next(place for place, (mine, theirs) in pairs if mine != theirs)
    return f"{shown_text(text)} (differing from character {first:,} on)"


def shown_base(number: Number, unit: Unit | None, apart_from: Number | None = None) -> str:
    """A number of base units in a readable unit; with the digits that tell it from `apart_from`."""
    amount = readable(from_base(number, unit), unit) if unit else Amount(number)
    apart = None if apart_from is None else from_base(apart_from, amount.unit)
    return amount.show(amount.number, apart)


def wrong_kind(value: Scalar | Table, unit: Unit | None, expected: str) -> str:
    """What was seen, for a value of another kind than `expected`."""
    quoted = f'"{value}"' if isinstance(value, str) else shown(value, unit)
    kind = kind_of(value)
    return f"was {quoted}{f', {kind},' if kind else ','} where {expected} was expected"


def rows(count: int) -> str:
    """A count of rows."""
    return "1 row" if count == 1 else f"{count:,} rows"


def listed(words: Iterable[str]) -> str:
    """Words in one line."""
    return ", ".join(words)


def unit_name(unit: Unit | None) -> str:
    """The unit's name, also of none."""
    return unit.name if unit else "no unit"


def _shown_instant(moment: datetime) -> str:
    if moment.tzinfo is None:
        return moment.isoformat(" ")
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    return f"{utc.isoformat(' ', 'milliseconds' if utc.microsecond else 'seconds')} UTC"
