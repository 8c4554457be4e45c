"""Are units read as people write them, and converted without a surprise?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.units import UNITS, duration_s, unit_named


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("24 hours", 86_400.0),
        ("1 day", 86_400.0),
        ("500 ms", 0.5),
        ("2 minutes", 120.0),
        ("1,000 s", 1_000.0),
        ("1.5 h", 5_400.0),
        (" 1 week ", 604_800.0),
    ],
)
def test_durations_as_people_write_them(text: str, seconds: float) -> None:
    """A number, one space and a unit of time are so many seconds."""
    assert duration_s(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "5", "hours", "5 GB", "-5 s", "nan s", "inf hours", "1e3 s", "1_000 s", "5  s", "5 s s"],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Python reads nan, inf, 1e3 and 1_000 as numbers; people who write runbooks do not."""
    with pytest.raises(ValueError, match="is no duration"):
        duration_s(text)


def test_a_misspelled_unit_names_the_nearest() -> None:
    """An unknown unit is refused with the nearest one, or with all that there are."""
    with pytest.raises(ValueError, match='did you mean "minutes"'):
        unit_named("minuts")
    with pytest.raises(ValueError, match="there are: ratio, %, ms, s, min, h, day"):
        unit_named("furlongs")


@given(st.integers(-(10**6), 10**6), st.sampled_from(list(UNITS)), st.sampled_from(list(UNITS)))
def test_conversion_there_and_back_or_not_at_all(number: int, one: str, two: str) -> None:
    """Within a dimension a value comes back as it went; across dimensions nothing is converted."""
    first, second = UNITS[one], UNITS[two]
    if first.dimension != second.dimension:
        with pytest.raises(ValueError, match="is no"):
            first.to(number, second)
        return
    assert second.to(first.to(number, second), first) == pytest.approx(number)
