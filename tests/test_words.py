"""Tests of the words: what each sentence means, and what is said of one that means nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.stage import system_in
from watchkeeper.commands.vocabulary import BRACES
from watchkeeper.meaning import (
    Cell,
    Contains,
    Elapsed,
    Enter,
    Meaning,
    OneNew,
    Operate,
    Pick,
    Reading,
    Readings,
    Report,
    Subject,
    Tenses,
    Undo,
)
from watchkeeper.pytest_plugin.words import DICTIONARY, SentenceError, is_sentence, meaning_of

TABLE = (("name",), ("tea",))


@pytest.fixture(autouse=True)
def _lexicon(tmp_path: Path) -> None:
    system_in(tmp_path)


@pytest.mark.parametrize(
    ("kind", "text", "meaning"),
    [
        ("given", "the shop", Enter("the shop")),
        ("given", "one of its orders", Pick("orders")),
        ("given", "that afterwards the operator takes it back", Undo("takes it back")),
        (
            "given",
            "that on failure the operator takes it back",
            Undo("takes it back", only_on_failure=True),
        ),
        ("when", "the operator orders something", Operate("orders something")),
        ("then", "exactly one of its orders is new", OneNew("orders")),
        ("then", "the report lists its goods", Report(("goods",))),
        ("then", "no more than 2 minutes have passed since the start", Elapsed(120, "2 minutes")),
    ],
)
def test_a_sentence_means_one_thing(kind: str, text: str, meaning: Meaning) -> None:
    """And nothing is touched to know it."""
    assert meaning_of(kind, text, None) == meaning


@pytest.mark.parametrize("verb", ["is", "are", "was", "were", "stayed"])
def test_is_has_many_forms(verb: str) -> None:
    """So that a feature is written in English."""
    meaning = meaning_of("then", f"its goods {verb} at least 1", None)
    assert isinstance(meaning, Reading)
    assert (meaning.subject, meaning.limit.text) == (Subject("goods"), "at least 1")


def test_a_noun_is_taken_as_long_as_it_is() -> None:
    """ "name of that order" is a figure, and the first words of it no other sentence."""
    meaning = meaning_of("then", "its name of that order is tea", None)
    assert isinstance(meaning, Reading)
    assert meaning.subject == Subject("name of that order")
    cell = meaning_of("then", "the name of that order is tea", None)
    assert isinstance(cell, Reading)
    assert cell.subject == Cell("name", "that order")


def test_a_text_in_quotes_ends_at_its_quote() -> None:
    """pytest-bdd's own parser took `a" is up and "b` for one name."""
    meaning = meaning_of("then", 'its goods called "tea is up" is 1', None)
    assert isinstance(meaning, Reading)
    assert meaning.subject == Subject('goods called "tea is up"')
    with pytest.raises(SentenceError):
        meaning_of("then", 'its goods called "a" is up and "b" is 1', None)


@pytest.mark.parametrize(
    ("text", "kind", "seconds"),
    [
        ("within 2 minutes its stock is 5", Tenses.WITHIN, 120),
        ("throughout the next 5 s its stock is 5", Tenses.THROUGHOUT, 5),
        ("over the last 24 hours its stock is 5", Tenses.OVER, 86_400),
        ("meanwhile its stock is 5", Tenses.MEANWHILE, 0),
    ],
)
def test_tenses(text: str, kind: Tenses, seconds: float) -> None:
    """Before any judgement."""
    meaning = meaning_of("then", text, None)
    assert isinstance(meaning, Reading)
    assert meaning.tense is not None
    assert (meaning.tense.kind, meaning.tense.seconds) == (kind, seconds)


def test_tables() -> None:
    """Rows of figures, rows of a list."""
    limits = (("figure", "limit"), ("stock", "below 5"), ("mood", "calm"))
    several = meaning_of("then", "its figures are within these limits:", limits)
    assert isinstance(several, Readings)
    assert [str(reading.subject) for reading in several.readings] == ["stock", "mood"]
    assert meaning_of("then", "its goods include:", TABLE) == Contains(
        "goods", ("name",), (("tea",),)
    )
    assert meaning_of("then", "its goods include only:", TABLE) == Contains(
        "goods", ("name",), (("tea",),), only=True
    )


@pytest.mark.parametrize(
    ("kind", "text", "table", "problem"),
    [
        ("then", "its stok is 5", None, 'no figure is called "stok"; did you mean "stock"?'),
        ("then", "it has no odrers", None, 'no figure is called "odrers"; did you mean "orders"?'),
        ("when", "the operator orders somthing", None, 'did you mean "orders something"?'),
        ("given", "the shp", None, 'no system is called "the shp"; did you mean "the shop"?'),
        ("when", "its stock is 5", None, '"its FIGURE is LIMIT" stands after Given or Then'),
        ("then", "the operator orders something", None, "stands after When"),
        ("then", "all is well", None, "no sentence of the vocabulary is like this; the nearest"),
        ("then", "its stock is belwo 5", None, 'did you mean "below 5"?'),
        ("then", "within 2 bananas its stock is 5", None, '"2 bananas" is no duration'),
        ("then", "its stock is 5", TABLE, "takes no table"),
        ("then", "its goods include:", None, "needs a table below it"),
        ("then", "its goods include:", TABLE[:1], "at least one row"),
        ("then", "the report lists its figures:", TABLE, "headed | name |, write | figure |"),
        ("then", "its figures are within these limits:", TABLE, "write | figure | limit |"),
    ],
)
def test_a_sentence_that_means_nothing_says_why(
    kind: str, text: str, table: tuple[tuple[str, ...], ...] | None, problem: str
) -> None:
    """The nearest right word, where there is one."""
    with pytest.raises(SentenceError) as caught:
        meaning_of(kind, text, table)
    assert problem in str(caught.value)


def test_every_sentence_of_the_vocabulary_is_unambiguous() -> None:
    """No example is understood by two words."""
    examples = ["its stock is 5", "it has no orders", "its goods include:", "the shop"]
    for text in examples:
        assert sum(word.parser.is_matching(text) for word in DICTIONARY.words) == 1
        assert is_sentence(text)


def test_the_vocabulary_stays_small() -> None:
    """17 sentences, some with variants of their own; a word for one system only is no word."""
    assert len({word.function.__name__ for word in DICTIONARY.words}) <= 22
    assert {word.function.__module__ for word in DICTIONARY.words} == {
        "steps.given",
        "steps.then",
        "steps.when",
    }


def test_the_reference_says_what_every_placeholder_stands_for() -> None:
    """A word in braces that nobody explains is no reference."""
    spoken = {"tense", "is", "has"}  # written out in the sentence itself
    used = {name for word in DICTIONARY.words for name in re.findall(r"\{(\w+)\}", word.pattern)}
    assert used - spoken <= set(BRACES)
    assert set(BRACES) <= used
