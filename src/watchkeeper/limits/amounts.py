"""How is a number with its unit read, converted without noise, and shown to people?"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from watchkeeper.units import NUMBER, SECOND, UNITS, Unit, unit_named

Number: TypeAlias = int | float

AMOUNT = rf"({NUMBER})(?: ?(%|[A-Za-z]+))?"
"""Two groups: the number ("1,000") and its unit ("%", "GB"), or None."""

_DIGITS = 12  # significant digits kept by a conversion: too few for the noise of 0.1 + 0.2
_SHOWN = 3  # significant digits people read at a glance: 12.3%, 1.23 s, 431 ms
_ALL = 17  # digits that tell any two floats apart
_READABLE = {
    "share": ("%",),
    "duration": ("days", "hours", "minutes", "s", "ms"),
    "size": ("TB", "GB", "MB", "kB", "bytes"),
}


@dataclass(frozen=True)
class Amount:
    """A number in `unit` (None: a plain number), with the unit as it is `spelled`."""

    number: Number
    unit: Unit | None = None
    spelled: str = ""

    @property
    def dimension(self) -> str | None:
        """ "share", "duration" or "size"; None for a plain number."""
        return self.unit.dimension if self.unit else None

    def __str__(self) -> str:
        return self.show(self.number)

    def show(self, number: Number, apart_from: Number | None = None) -> str:
        """`number`, which counts this amount's unit, for people."""
        shown = shown_number(number, apart_from)
        if not self.spelled:
            return shown
        unit = _inflected(self.spelled, shown)
        return f"{shown}{unit}" if unit == "%" else f"{shown} {unit}"

    def spelled_like(self, other: Amount) -> Amount:
        """This number in the unit of `other` where it names none itself ("between 1 and 5 s")."""
        return self if self.unit else Amount(self.number, other.unit, other.spelled)


def amount(number: str, unit: str | None) -> Amount:
    """The amount written `number` and `unit`; raises ValueError for a unit that does not exist."""
    digits = number.replace(",", "")
    value: Number = float(digits) if "." in digits else int(digits)
    return Amount(value, unit_named(unit), unit) if unit else Amount(value)


def amount_in(text: str) -> Amount:
    """The amount in "5 GB", "10%" or "1,000"; raises ValueError for anything else."""
    match = re.fullmatch(AMOUNT, text)
    if match is None:
        raise ValueError(f'"{text}" is no number; write for example "5", "10%" or "26 hours"')
    return amount(match[1], match[2])


def rounded(number: Number) -> Number:
    """`number` without the noise of binary fractions (12 digits); integers as they are."""
    return number if isinstance(number, int) else float(f"{number:.{_DIGITS}g}")


def converted(number: Number, unit: Unit, into: Unit) -> Number:
    """`number` of `unit`, in `into`; raises ValueError across dimensions.

    Without a change of factor the number stays exactly as it was seen.
    """
    if unit.dimension == into.dimension and unit.factor == into.factor:
        return number
    return rounded(unit.to(number, into))


def in_base(number: Number, unit: Unit | None) -> Number:
    """`number` of `unit` in base units (ratio, seconds, bytes); a plain number as it is."""
    return number if unit is None or unit.factor == 1 else rounded(number * unit.factor)


def from_base(number: Number, unit: Unit | None) -> Number:
    """`number` base units in `unit`."""
    return number if unit is None or unit.factor == 1 else rounded(number / unit.factor)


def readable(number: Number, unit: Unit | None) -> Amount:
    """`number` of `unit` in the unit in which people would say it: 90 s is 1.5 minutes."""
    if unit is None:
        return Amount(number)
    base = abs(in_base(number, unit))
    names = _READABLE.get(unit.dimension, (unit.name,))
    name = next((name for name in names if base >= UNITS[name].factor), names[-1])
    if base == 0 and unit.dimension == SECOND.dimension:
        name = SECOND.name  # "0 s" reads better than "0 ms"
    return Amount(converted(number, unit, UNITS[name]), UNITS[name], name)


def shown_number(number: Number, apart_from: Number | None = None) -> str:
    """`number` with three significant digits, whole digits kept: 12.3, 1.23, 4,310.

    Where that would read like `apart_from`, from which it differs, it gets the digits that tell
    them apart: nobody should read "was 10%, expected at most 10%".
    """
    if apart_from is None or number == apart_from:
        return _digits(number, _SHOWN)
    other = {_digits(apart_from, digits) for digits in range(_SHOWN, _ALL + 1)}
    tries = (_digits(number, digits) for digits in range(_SHOWN, _ALL + 1))
    return next((shown for shown in tries if shown not in other), repr(number))


def _digits(number: Number, digits: int) -> str:
    """Never in the e-notation, which few people read at night; zero has no sign."""
    if isinstance(number, int):
        return f"{number:,}"
    whole = len(str(int(abs(number))))
    shown = f"{Decimal(f'{number:.{max(digits, whole)}g}'):,f}"
    if "." in shown:
        shown = shown.rstrip("0").rstrip(".")
    return "0" if shown == "-0" else shown


def _inflected(spelled: str, shown: str) -> str:
    """The unit as it goes with the number: "1 minute", "2 minutes"; abbreviations stay."""
    if f"{spelled}s" in UNITS:
        return spelled if shown == "1" else f"{spelled}s"
    if spelled.endswith("s") and spelled[:-1] in UNITS:
        return spelled[:-1] if shown == "1" else spelled
    return spelled
