"""How does a step definition become a word: a typed sentence that only says what it means?"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import pytest_bdd
from pytest_bdd.parsers import StepParser

from watchkeeper.errors import ConfigurationError, Place
from watchkeeper.limits import parse_limit
from watchkeeper.meaning import Extent, Meaning, Tenses, parse_tense
from watchkeeper.nouns import noun_pattern
from watchkeeper.targets import System
from watchkeeper.yaml_file import nearest

F = TypeVar("F", bound=Callable[..., Meaning])
Table = tuple[tuple[str, ...], ...]

HEADER_AND_ROW = 2
"""Rows that a sentence's table has at least; one without rows would judge nothing and pass."""
_FIELD = re.compile(r"\{(\w+)\}")
_TENSES = "|".join(
    rf"{re.escape(kind.value)} \S+ [a-z]+" for kind in Tenses if kind is not Tenses.MEANWHILE
)
_OPEN = {
    "tense": rf"(?:(?P<tense>{_TENSES}|{Tenses.MEANWHILE.value}) )?",
    "is": r"(?:is|are|was|were|stayed)",
    "has": r"(?:has|have|had)",
    "limit": r"(?P<limit>.*[^:])",  # a colon announces a table, which is another sentence's
    "duration": r"(?P<duration>\S+ [a-z]+)",
    "row": r"(?P<row>that [^\"]+?|the answer|each of (?:the changed|its) [^\"]+?)",
    "extent": rf"(?P<extent>{'|'.join(extent.value for extent in Extent)})",
    "selection": r"(?P<selection>(?:the|that) .+)",
    "change": r"(?P<change>changed|(?:is|are) gone|(?:is|are) new)",
}
_CLOSED = ("system", "figure", "list", "operation", "column")
_CONVERTERS: Mapping[str, Callable[[str], object]] = {"tense": parse_tense, "limit": parse_limit}


class SentenceError(ValueError):
    """A sentence that no word understands, or more than one: what is wrong, what to write."""


@dataclass(frozen=True)
class Lexicon:
    """The closed sets that placeholders stand for: what the loaded target files name."""

    system: tuple[str, ...] = ()
    figure: tuple[str, ...] = ()
    operation: tuple[str, ...] = ()
    column: tuple[str, ...] = ()

    @classmethod
    def of(cls, systems: Iterable[System]) -> Lexicon:
        known = tuple(systems)
        figures = [figure for system in known for figure in system.figures.values()]
        operations = [op for system in known for op in system.operations.values()]
        columns = {column for figure in figures for column in figure.options.columns}
        columns |= {column for op in operations for column in op.options.answer}
        return cls(
            tuple(system.called for system in known),
            tuple(dict.fromkeys(figure.name for figure in figures)),
            tuple(dict.fromkeys(operation.name for operation in operations)),
            tuple(sorted(columns)),
        )

    def names(self, field: str) -> tuple[str, ...]:
        return self.figure if field == "list" else tuple(getattr(self, field))


class _Dictionary:
    """Every word, and the lexicon that its placeholders are compiled from."""

    def __init__(self) -> None:
        self.words: list[Word] = []
        self.mistakes: list[ConfigurationError] = []
        self.lexicon = Lexicon()

    def load(self, systems: Iterable[System]) -> None:
        """Close the placeholders by `systems`; raises the mistake of a word that is none."""
        self.lexicon = Lexicon.of(systems)
        for word in self.words:
            word.parser.compile(self.lexicon)
        meaning_of.cache_clear()
        if self.mistakes:
            raise self.mistakes[0]


class SentenceParser(StepParser):
    """pytest-bdd's parser of a sentence with typed placeholders, closed by the lexicon."""

    def __init__(self, pattern: str) -> None:
        super().__init__(pattern)
        self._regex = re.compile(r"(?!)")
        self.loose = re.compile(_regex_of(pattern, {}))

    def compile(self, lexicon: Lexicon) -> None:
        closed = {field: _alternatives(field, lexicon.names(field)) for field in _CLOSED}
        self._regex = re.compile(_regex_of(self.name, closed))

    def parse_arguments(self, name: str) -> dict[str, Any] | None:
        match = self._regex.fullmatch(name)
        return None if match is None else match.groupdict()

    def is_matching(self, name: str) -> bool:
        return self._regex.fullmatch(name) is not None


@dataclass(frozen=True)
class Word:
    """A sentence, and the pure function that says what it means. `example` is for the reference."""

    pattern: str
    kinds: tuple[str, ...]
    function: Callable[..., Meaning]
    parser: SentenceParser

    @property
    def said(self) -> str:
        """The sentence as people write it: "its FIGURE is LIMIT"."""
        plain = self.pattern.replace("{tense}", "").replace("{is}", "is").replace("{has}", "has")
        return _FIELD.sub(lambda match: match[1].upper(), plain)

    @property
    def takes_table(self) -> bool:
        return "datatable" in inspect.signature(self.function).parameters

    def meaning(self, text: str, table: Table | None) -> Meaning:
        """What `text` means; raises SentenceError for a bad limit, tense or table."""
        if self.takes_table and (not table or len(table) < HEADER_AND_ROW):
            raise SentenceError("needs a table below it: a header and at least one row")
        if table and not self.takes_table:
            raise SentenceError("takes no table")
        arguments = self.parser.parse_arguments(text) or {}
        wanted = inspect.signature(self.function).parameters
        try:
            given: dict[str, Any] = {
                name: _CONVERTERS.get(name, str)(value) if value is not None else None
                for name, value in arguments.items()
                if name in wanted
            }
            if self.takes_table:
                given["datatable"] = table
            return self.function(**given)
        except ValueError as error:
            raise SentenceError(str(error)) from None


DICTIONARY = _Dictionary()


def rows_of(table: Table, *columns: str) -> tuple[tuple[str, ...], ...]:
    """The rows of a sentence's table that must have exactly these columns; raises SentenceError."""
    if table[0] != columns:
        wanted = " | ".join(columns)
        raise SentenceError(f"its table is headed | {' | '.join(table[0])} |, write | {wanted} |")
    return table[1:]


def word(pattern: str, *kinds: str) -> Callable[[F], F]:
    """Register a word for Given, When or Then sentences (`kinds`; all three where none is named).

    The function returns what the sentence means. To pytest-bdd it is an ordinary step, which
    carries that meaning out through the fixture `performance`.
    """

    def register(function: F) -> F:
        if _never_awaited(function):
            code = function.__code__
            DICTIONARY.mistakes.append(
                ConfigurationError(
                    f"the word {function.__name__} is async, and nothing would ever await it",
                    place=Place(Path(code.co_filename), code.co_firstlineno),
                    hint='write "def"; a word only says what its sentence means',
                )
            )
            return function
        parser = SentenceParser(pattern)
        for kind in kinds or (None,):
            pytest_bdd.step(parser, kind, stacklevel=2)(_carry_out)  # type: ignore[arg-type]
        DICTIONARY.words.append(Word(pattern, kinds, function, parser))
        return function

    return register


def _never_awaited(function: Callable[..., object]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _carry_out(performance: Any) -> None:
    """The one step function of all words: the scenario's plan knows what comes next."""
    performance.next_step()


@lru_cache(maxsize=20_000)
def meaning_of(kind: str, text: str, table: Table | None) -> Meaning:
    """What a sentence means; raises SentenceError where no word or several understand it."""
    found = _understanding(kind, text)
    if len(found) > 1:
        both = '" and "'.join(each.said for each in found)
        raise SentenceError(f'can be read in two ways: "{both}"')
    if not found:
        raise SentenceError(_advice(kind, text))
    return found[0].meaning(text, table)


def is_sentence(text: str) -> bool:
    """Whether any word, after whatever keyword, understands `text`."""
    return any(each.parser.is_matching(text) for each in DICTIONARY.words)


def _understanding(kind: str, text: str) -> list[Word]:
    return [
        each
        for each in DICTIONARY.words
        if (not each.kinds or kind in each.kinds) and each.parser.is_matching(text)
    ]


def _advice(kind: str, text: str) -> str:
    """Why nothing understands `text`: a noun that no target file knows, or no such sentence."""
    # What has the most words of its own comes first: "the shop" alone is like any sentence.
    for each in sorted(DICTIONARY.words, key=lambda each: -len(_FIELD.sub("", each.pattern))):
        if each.kinds and kind not in each.kinds:
            if each.parser.is_matching(text):
                return (
                    f'"{each.said}" stands after {" or ".join(kind.title() for kind in each.kinds)}'
                )
            continue
        match = each.parser.loose.fullmatch(text)
        if match is None:
            continue
        for field, value in match.groupdict().items():
            names = DICTIONARY.lexicon.names(field) if field in _CLOSED else ()
            if value and names and not re.fullmatch(_alternatives("", names), value):
                near = nearest(value, names)
                return f'no {_called(field)} is called "{value}"' + (f"; {near}" if near else "")
    said = [each.said for each in DICTIONARY.words if not each.kinds or kind in each.kinds]
    nearest_said = difflib.get_close_matches(text, said, n=1, cutoff=0.0)
    return "no sentence of the vocabulary is like this" + (
        f'; the nearest is "{nearest_said[0]}"' if nearest_said else ""
    )


def _called(field: str) -> str:
    return {"list": "figure"}.get(field, field)


def _alternatives(field: str, names: Sequence[str]) -> str:
    longest_first = sorted(names, key=len, reverse=True)
    either = "|".join(noun_pattern(name, capture=False) for name in longest_first) or r"(?!)"
    return f"(?P<{field}>{either})" if field else f"(?:{either})"


def _regex_of(pattern: str, closed: Mapping[str, str]) -> str:
    """The pattern as a regular expression; without `closed` sets nouns stand for any text."""

    def placeholder(name: str) -> str:
        return closed.get(name) or _OPEN.get(name) or f"(?P<{name}>.+?)"

    parts = _FIELD.split(pattern)
    texts, fields = parts[::2], parts[1::2]
    out = re.escape(texts[0])
    for field, text in zip(fields, texts[1:], strict=True):
        out += placeholder(field) + re.escape(text)
    return out
