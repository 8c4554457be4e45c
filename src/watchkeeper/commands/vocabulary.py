"""Which sentences and limits are there? The reference, made from the code that runs them."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

from watchkeeper.commands.project import systems
from watchkeeper.limits import FORMS
from watchkeeper.meaning import Extent, Tenses
from watchkeeper.pytest_plugin.words import DICTIONARY, Word
from watchkeeper.units import UNITS

MODULES = ("steps.given", "steps.when", "steps.then")


def page(root: Path) -> str:
    """The vocabulary as Markdown."""
    systems(root)  # puts the project on the path, and refuses target files that are wrong
    for module in MODULES:
        importlib.import_module(module)
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# The vocabulary"
    yield ""
    yield "Written by `make vocabulary` from `steps/` and the table of limits; do not edit it here."
    yield ""
    yield "A word in braces stands for what the target files name, or for what is said below."
    for heading, kind in (("Given", "given"), ("When", "when"), ("Then", "then")):
        yield ""
        yield f"## {heading}"
        yield ""
        yield "| sentence | what it means |"
        yield "| --- | --- |"
        for word in DICTIONARY.words:
            if word.kinds and word.kinds[-1] == kind:
                yield f"| `{_spoken(word)}` | {_about(word)} |"
    yield from _braces()
    yield from _times()
    yield from _limits()
    yield from _units()


def _spoken(word: Word) -> str:
    pattern = (
        word.pattern.replace("{tense}", "[TIME] ").replace("{is}", "is").replace("{has}", "has")
    )
    return pattern + (" + table" if word.takes_table else "")


def _about(word: Word) -> str:
    also = " Also after Given." if word.kinds == ("given", "then") else ""
    return " ".join((inspect.getdoc(word.function) or "").split()) + also


BRACES = {
    "system": "what a target file says that it is `called`",
    "figure": "a figure of the target file, with its texts in quotes filled in",
    "list": "a figure that has rows",
    "operation": "an operation of the target file",
    "column": "one of the `columns` of a list, or a part of an `answer`",
    "row": "`that request` (named before), `the answer`, `each of its requests` or "
    "`each of the changed requests`",
    "limit": "one of the limits below",
    "extent": ", ".join(f"`{extent.value}`" for extent in Extent),
    "selection": "`the failed requests` (a list) or `that request` (a row)",
    "change": "`changed`, `are gone` or `are new`",
    "duration": "`24 hours`, `2 minutes`, `500 ms`",
}
"""What each word in braces stands for."""


def _braces() -> Iterator[str]:
    used = {name for word in DICTIONARY.words for name in re.findall(r"\{(\w+)\}", word.pattern)}
    yield ""
    yield "## The words in braces"
    yield ""
    for name in (each for each in BRACES if each in used):
        yield f"- `{{{name}}}`: {BRACES[name]}"


def _times() -> Iterator[str]:
    meanings = {
        Tenses.WITHIN: "waits, at most so long, until it holds",
        Tenses.THROUGHOUT: "it must hold all that time",
        Tenses.OVER: "the window that the figure is read over",
        Tenses.MEANWHILE: "while the last operation ran",
    }
    yield ""
    yield "## Times"
    yield ""
    same = "`is`, `are`, `was`, `were` and `stayed`"
    yield f"{same} are one word, and so are `has`, `have` and `had`."
    yield ""
    yield "| time | what it means |"
    yield "| --- | --- |"
    for tense, meaning in meanings.items():
        length = "" if tense is Tenses.MEANWHILE else " 5 minutes"
        yield f"| `{tense.value}{length}` | {meaning} |"


def _limits() -> Iterator[str]:
    yield ""
    yield "## Limits"
    yield ""
    for form in FORMS:
        yield "- " + ", ".join(f"`{example}`" for example in form.examples)


def _units() -> Iterator[str]:
    yield ""
    yield "## Units"
    yield ""
    dimensions: dict[str, list[str]] = {}
    for spelling, unit in UNITS.items():
        dimensions.setdefault(unit.dimension, []).append(spelling)
    for dimension, spellings in dimensions.items():
        yield f"- {dimension}: {', '.join(f'`{each}`' for each in spellings)}"
