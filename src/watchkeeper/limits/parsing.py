"""How does a text become a limit's meaning, and what is said where it does not?"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace

from watchkeeper.limits.amounts import amount_in
from watchkeeper.limits.forms import ALONE, FORMS, Form, Meaning, alike, number_like
from watchkeeper.limits.rules import Bound, Tiers, Words
from watchkeeper.units import duration_s

_ALIKE = 0.6  # how alike two openings are before one is proposed for the other
_SLIP = 0.8  # how alike a state word and "present" are before it is taken for a slip
_SLIP_LETTERS = 5  # shorter words are near too many others
_OPENING_WORDS = 3  # words of the longest opening, "the same as"

_WORST = re.compile(r'(.+), at worst ([^"]+)')
_SUFFIX = re.compile(
    r'(?P<rest>.*), (?:where there (?:were|was|are|is) any(?: (?P<noun>[^",]+))?'
    r'|(?P<one>where there (?:is|was) one)|tolerating (?P<duration>[^",]+))'
)


@dataclass(frozen=True)
class Suffixes:
    """What follows a limit; see `Limit` for the fields."""

    where_any: str | None = None
    where_one: bool = False
    tolerating_s: float | None = None


def without_suffixes(text: str) -> tuple[str, Suffixes]:
    """`text` without what may follow a limit, and what that says.

    Raises ValueError for a duration that is none, or where one of them stands twice.
    """
    said = Suffixes()
    while match := _SUFFIX.fullmatch(text):
        earlier, said = said, _with(said, match)
        if earlier == said or (said.where_any != earlier.where_any is not None):
            raise ValueError(f'"{text[match.end("rest") + 2 :]}" stands twice; write it once')
        text = match["rest"]
    return text, said


def _with(said: Suffixes, match: re.Match[str]) -> Suffixes:
    if match["duration"]:
        if said.tolerating_s is not None:
            raise ValueError(f'"{match[0]}" tolerates twice; write one duration')
        return replace(said, tolerating_s=duration_s(match["duration"]))
    if match["one"]:
        return replace(said, where_one=True)
    return replace(said, where_any=match["noun"] or "")


def meaning_of(text: str) -> Meaning:
    """What a limit without suffixes means; raises ValueError with the nearest form."""
    match = _WORST.fullmatch(text)
    if match is None:
        return _formed(text)
    strict = _formed(match[1])
    if isinstance(strict.rule, Bound) and (strict.rule.word != "exactly" or match[1] == "none"):
        return _tiered_bound(strict.rule, match[2])
    if isinstance(strict.rule, Words) and not strict.rule.negated:
        return _tiered_words(strict.rule, match[2])
    raise ValueError(
        f'"{match[1]}" cannot have an at worst, only one bound or state words can; '
        'write for example "below 5, at worst 10" or "healthy, at worst warning"'
    )


def _tiered_bound(strict: Bound, text: str) -> Meaning:
    """The looser end is included: with "at worst 10", 10 is degraded and more has failed."""
    limit, worst = alike(strict.limit, amount_in(text))
    upward = strict.word in ("above", "at least")
    number = number_like(worst, limit)
    if number >= limit.number if upward else number <= limit.number:
        raise ValueError(
            f'"{strict.word} {limit}, at worst {worst}" leaves nothing between the two; '
            f"at worst needs a {'lower' if upward else 'higher'} number"
        )
    loose = Bound("at least" if upward else "at most", worst)
    return Meaning(Tiers(replace(strict, limit=limit), loose), dimension=limit.dimension)


def _tiered_words(strict: Words, text: str) -> Meaning:
    loose = _formed(text).rule
    if not isinstance(loose, Words) or loose.negated:
        raise ValueError(f'at worst needs state words here, not "{text}"')
    both = set(strict.words) & set(loose.words)
    if both:
        raise ValueError(f'"{min(both)}" cannot be fine and at worst too; write it once')
    words = () if strict.quoted else strict.words
    return Meaning(Tiers(strict, loose), words=words + (() if loose.quoted else loose.words))


def _formed(text: str) -> Meaning:
    for form in FORMS:
        match = form.match(text)
        if match:
            return _built(form, match)
    raise ValueError(_no_form(text))


def _built(form: Form, match: re.Match[str]) -> Meaning:
    try:
        meaning = form.build(match)
        _refuse_slips(meaning.words)
    except ValueError as problem:
        raise ValueError(f'"{match[0]}" is no limit: {problem}') from problem
    return meaning


def _refuse_slips(words: tuple[str, ...]) -> None:
    """Raises ValueError for a state word that is more likely a slip of the pen."""
    for word in words:
        small = word.lower()
        long = [each for each in ALONE if len(each) >= _SLIP_LETTERS and each not in small]
        near = [small] if small in ALONE else difflib.get_close_matches(small, long, 1, _SLIP)
        if near:
            raise ValueError(
                f'did you mean "{near[0]}"? A text that really reads "{word}" stands in quotes'
            )


def _no_form(text: str) -> str:
    meant = _meant(text)
    if meant:
        return f'"{text}" is no limit; did you mean "{meant}"?'
    opened = [form for form in FORMS if form.opens(text)]
    failure = f": {opened[0].failure}" if opened else ""
    examples = [example for form in opened for example in form.examples]
    examples = examples or [form.examples[0] for form in FORMS]
    return f'"{text}" is no limit{failure}; write for example {" · ".join(examples)}'


def _meant(text: str) -> str:
    """`text` with its first words corrected so that it is a limit, or ""."""
    openings = {opening for form in FORMS for opening in form.openings}
    parts = text.split(" ")
    for count in range(min(_OPENING_WORDS, len(parts)), 0, -1):
        head = " ".join(parts[:count]).lower()
        for near in difflib.get_close_matches(head, openings, 3, _ALIKE):
            meant = " ".join((near, *parts[count:]))
            if meant != text and any(form.match(meant) for form in FORMS if form.openings):
                return meant
    return ""
