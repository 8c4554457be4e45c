"""What can people write as a limit, and which rule does each form mean?"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from watchkeeper.limits.amounts import AMOUNT, Amount, Number, amount, converted, in_base
from watchkeeper.limits.comparing import INSTANT_OPERATORS, OPERATORS
from watchkeeper.limits.rules import (
    AgainstBefore,
    AgainstEarlier,
    AgainstOther,
    Both,
    Bound,
    Bracketed,
    NearEarlier,
    Presence,
    Rule,
    Same,
    Words,
    YesNo,
)
from watchkeeper.units import NUMBER, UNITS


@dataclass(frozen=True)
class History:
    """Which earlier values a limit asks for.

    `count`: how many. `days`: the one earlier value is read over a window of its own, so many days
    before the figure's; None: the earlier ones of a list, such as the five backups before this.
    """

    count: int
    days: float | None = None


@dataclass(frozen=True)
class Meaning:
    """What a form means: its rule and what must be looked at besides the figure."""

    rule: Rule
    others: tuple[str, ...] = ()
    needs_before: bool = False
    needs_after: bool = False
    history: History | None = None
    words: tuple[str, ...] = ()
    dimension: str | None = None


@dataclass(frozen=True)
class Form:
    """One way to write a limit.

    `openings`: the words it begins with, as people may misspell them. `failure` is said where a
    text begins as this form does and does not go on so. `examples` stand for it everywhere.
    """

    openings: tuple[str, ...]
    pattern: str
    build: Callable[[re.Match[str]], Meaning]
    failure: str
    examples: tuple[str, ...]

    def match(self, text: str) -> re.Match[str] | None:
        return re.fullmatch(self.pattern, text)

    def opens(self, text: str) -> bool:
        return any(text == each or text.startswith(f"{each} ") for each in self.openings)


BOUNDS = ("below", "above", "at most", "at least")
THANS = tuple(word for word in (*OPERATORS, *INSTANT_OPERATORS) if word.endswith("than"))
ALONE = ("none", "yes", "no", "present", "absent", "known")
_COUNTS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

_BOUND = "|".join(BOUNDS)
_THAN = "|".join(THANS)
_COUNT = rf"\d+|{'|'.join(_COUNTS)}"
_HISTORY = (
    rf"last week's|yesterday's|that of the (?:(?:{_COUNT}) )?(?:days?|weeks?) before"
    rf"|the median of the (?:{_COUNT}) before it"
)
_WORD = r"[A-Za-z][\w'/-]*"
_PHRASE = rf"{_WORD}(?: {_WORD})*?"
_NO_STATE = (  # what begins or goes on like another form is a slip of the pen, not a state word
    r"(?!.*\b(?:than|its|before|median|times|at worst)\b)"
    r"(?!(?:.*(?:, | or ))?(?:below|above|at|between|exactly|within|later|earlier|higher|lower"
    r"|the same|where|tolerating|not|none|yes|no|present|absent|known)(?:$|,| or ))"
    r"(?!(?:.*(?:, | or ))?(?:below|above|at|between|exactly|within|later|earlier|higher|lower"
    r"|the same|where|tolerating|not) )"
)
_STATES = rf"{_NO_STATE}(?:{_PHRASE}(?:, {_PHRASE})* or )?{_PHRASE}"


def _bound(match: re.Match[str]) -> Meaning:
    return _single(Bound(match[1], amount(match[2], match[3])))


def _exactly(match: re.Match[str]) -> Meaning:
    return _single(Bound("exactly", amount(match[1], match[2])))


def _none(match: re.Match[str]) -> Meaning:
    return _single(Bound("exactly", Amount(0)))


def _single(bound: Bound) -> Meaning:
    return Meaning(bound, dimension=bound.limit.dimension)


def _conjunction(match: re.Match[str]) -> Meaning:
    first, second = alike(amount(match[2], match[3]), amount(match[5], match[6]))
    bounds = (Bound(match[1], first), Bound(match[4], second))
    lower = [bound for bound in bounds if bound.word in ("above", "at least")]
    upper = [bound for bound in bounds if bound.word in ("below", "at most")]
    if not (lower and upper):
        raise ValueError('two bounds are a lower and an upper one; write "above 0 and at most 1"')
    return _both(lower[0], upper[0])


def _between(match: re.Match[str]) -> Meaning:
    low, high = alike(amount(match[1], match[2]), amount(match[3], match[4]))
    return _both(Bound("at least", low), Bound("at most", high))


def _both(lower: Bound, upper: Bound) -> Meaning:
    low, high = lower.limit.number, number_like(upper.limit, lower.limit)
    touching = lower.word == "above" or upper.word == "below"
    if low > high or (touching and low == high):
        raise ValueError(
            f"no number is {lower.word} {lower.limit} and {upper.word} {upper.limit}; "
            "write a lower bound that is smaller than the upper one"
        )
    return Meaning(Both(lower, upper), dimension=lower.limit.dimension)


def _alone(match: re.Match[str]) -> Meaning:
    word = match[0]
    return Meaning(YesNo(word == "yes") if word in ("yes", "no") else Presence(word))


def _quoted(match: re.Match[str]) -> Meaning:
    return Meaning(Words(tuple(re.findall(r'"([^"]*)"', match[0])), quoted=True))


def _same(match: re.Match[str]) -> Meaning:
    if match[1] == "before":
        return Meaning(Same(None), needs_before=True)
    other = match[1].removeprefix("its ")
    return Meaning(Same(other), others=(other,))


def _against_before(match: re.Match[str]) -> Meaning:
    return Meaning(AgainstBefore(match[1]), needs_before=True)


def _step(match: re.Match[str]) -> Meaning:
    number, unit, direction = match[1], match[2], match[3]
    if unit in ("%", "percent"):
        raise ValueError(
            f'this can be taken two ways; write "{number} points {direction} than before"'
        )
    points = unit in ("point", "points")
    step = amount(number, "%" if points else unit)
    signed = replace(step, number=-step.number if direction == "lower" else step.number)
    rule = AgainstBefore("exactly", signed)
    return Meaning(rule, needs_before=True, dimension=step.dimension)


def _against_other(match: re.Match[str]) -> Meaning:
    return Meaning(AgainstOther(match[1], match[2]), others=(match[2],))


def _times_other(match: re.Match[str]) -> Meaning:
    times = amount(match[2], None).number
    return Meaning(AgainstOther(match[1], match[3], times), others=(match[3],))


def _bracketed(match: re.Match[str]) -> Meaning:
    rule = Bracketed(match[1])
    return Meaning(rule, others=(match[1],), needs_before=True, needs_after=True)


def _near(match: re.Match[str]) -> Meaning:
    history = _history(match[2])
    return Meaning(NearEarlier(_share(match[1]), history.count), history=history)


def _against_earlier(match: re.Match[str]) -> Meaning:
    history = _history(match[3])
    times = amount(match[2], None).number if match[2] else 1
    return Meaning(AgainstEarlier(match[1], history.count, times), history=history)


def _off_earlier(match: re.Match[str]) -> Meaning:
    """At most so much below the earlier value is a floor, at most so much above it a ceiling."""
    history = _history(match[4])
    word, sign = ("at least", -1) if match[3] == "below" else ("at most", 1)
    step = sign * _share(match[1])
    if match[2] == "%":
        return Meaning(AgainstEarlier(word, history.count, times=1 + step), history=history)
    return Meaning(AgainstEarlier(word, history.count, plus=step), history=history)


def _history(text: str) -> History:
    number = re.search(rf"\b({_COUNT})\b", text)
    count = _count(number[1]) if number else 1
    if "median" in text:
        return History(count)
    return History(1, days=count * (7 if "week" in text else 1))  # a week has seven days


def _count(text: str) -> int:
    count = _COUNTS.index(text) + 1 if text in _COUNTS else int(text)
    if not count:
        raise ValueError("nought of them are no history; write for example five or 7")
    return count


def _share(percent: str) -> Number:
    return in_base(amount(percent, None).number, UNITS["%"])


def _states(match: re.Match[str]) -> Meaning:
    words = tuple(re.split(r", | or ", match[2]))
    return Meaning(Words(words, negated=match[1] is not None), words=words)


def alike(first: Amount, second: Amount) -> tuple[Amount, Amount]:
    """Two amounts of which one may leave its unit to the other; raises ValueError for two kinds."""
    first, second = first.spelled_like(second), second.spelled_like(first)
    if first.dimension != second.dimension:
        raise ValueError(f"{first} and {second} are of two kinds; write both in one unit")
    return first, second


def number_like(this: Amount, other: Amount) -> Number:
    """The number of `this` in the unit of `other`; both are of one kind."""
    if this.unit is None or other.unit is None:
        return this.number
    return converted(this.number, this.unit, other.unit)


FORMS: tuple[Form, ...] = (
    Form(
        BOUNDS,
        rf"({_BOUND}) {AMOUNT}",
        _bound,
        "a bound needs a number, and its unit where it has one",
        ("below 10%", "at most 50", "at least 0.8", "above 5 GB"),
    ),
    Form(
        BOUNDS,
        rf"({_BOUND}) {AMOUNT} and ({_BOUND}) {AMOUNT}",
        _conjunction,
        "two bounds are joined by one and",
        ("above 0 and at most 1",),
    ),
    Form(
        ("between",),
        rf"between {AMOUNT} and {AMOUNT}",
        _between,
        "between needs two ends, joined by and",
        ("between 0 and 1", "between 1 and 5 s"),
    ),
    Form(
        ("exactly",),
        rf"(?:exactly )?{AMOUNT}",
        _exactly,
        "exactly needs a number, and its unit where it has one",
        ("exactly 2", "120 minutes"),
    ),
    Form(("none",), "none", _none, "none stands alone", ("none",)),
    Form(
        ALONE[1:],
        "yes|no|present|absent|known",
        _alone,
        "yes, no, present, absent and known stand alone",
        ALONE[1:],
    ),
    Form(
        ('"',),
        r'"[^"]*"(?: or "[^"]*")*',
        _quoted,
        "an exact text stands between two quotes",
        ('"SentToRadarr"', '"a" or "b"'),
    ),
    Form(
        ("the same", "the same as"),
        r"the same as (.+)",
        _same,
        "the same needs as, and before or its and a figure",
        ("the same as its newest commit", "the same as before"),
    ),
    Form(
        THANS,
        rf"({_THAN}) before",
        _against_before,
        "than needs before, or its and a figure",
        ("lower than before", "later than before", "no higher than before"),
    ),
    Form(
        (),
        rf"({NUMBER})(?: ?(%|[A-Za-z]+))? (higher|lower) than before",
        _step,
        "",
        ("1 higher than before", "2 points lower than before"),
    ),
    Form(
        (*BOUNDS, *THANS),
        rf"({_BOUND}|{_THAN}) its (.+)",
        _against_other,
        "another figure has its in front",
        ("at most its first duration", "later than its last change"),
    ),
    Form(
        BOUNDS,
        rf"({_BOUND}) ({NUMBER}) times its (.+)",
        _times_other,
        "times needs its and a figure",
        ("above 2 times its bit rate",),
    ),
    Form(
        ("between its",),
        r"between its (.+) before and after",
        _bracketed,
        "between its figure needs before and after",
        ("between its number of scans before and after",),
    ),
    Form(
        ("within",),
        rf"within ({NUMBER}) ?% of ({_HISTORY})",
        _near,
        "within needs a share in % and what it is a share of",
        ("within 50% of the median of the five before it",),
    ),
    Form(
        BOUNDS,
        rf"({_BOUND}) (?:({NUMBER}) times )?({_HISTORY})",
        _against_earlier,
        "an earlier value is that of the days before, last week's or yesterday's",
        ("at most 1.5 times that of the 7 days before", "at least last week's"),
    ),
    Form(
        ("at most",),
        rf"at most ({NUMBER}) ?(%|points?) (above|below) ({_HISTORY})",
        _off_earlier,
        "points are between shares, % of the earlier value",
        ("at most 2 points below last week's", "at most 25% above last week's"),
    ),
    Form(
        (),
        rf"(not )?({_STATES})",
        _states,
        "",
        ("healthy or warning", "not critical"),
    ),
)
"""Every form. No text can mean two of them, so their order does not matter."""
