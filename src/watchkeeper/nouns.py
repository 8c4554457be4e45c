"""How is a noun or verb of a target file found in a sentence, and its placeholders filled in?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from watchkeeper.yaml_file import nearest

_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9 _.]*)\}", re.IGNORECASE)


@dataclass(frozen=True)
class Named:
    """A noun or verb as found in a sentence: which one, and the texts it was given."""

    name: str
    arguments: tuple[tuple[str, str], ...] = ()


class Nouns:
    """A closed set of nouns or verbs, and how they are found in a sentence, longest first."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = tuple(sorted(names, key=len, reverse=True))
        self._plain = frozenset(name for name in names if not _PLACEHOLDER.search(name))
        self._patterns = [
            (name, re.compile(noun_pattern(name, capture=True)))
            for name in self.names
            if name not in self._plain
        ]

    def find(self, text: str) -> Named | None:
        """The noun that `text` is, or None."""
        if text in self._plain:
            return Named(text)
        for name, pattern in self._patterns:
            match = pattern.fullmatch(text)
            if match:
                return Named(name, tuple(match.groupdict().items()))
        return None

    def nearest(self, text: str) -> str:
        return nearest(text, self.names)


def noun_pattern(name: str, *, capture: bool) -> str:
    """The regular expression of a noun; each placeholder stands for a text without quotes."""
    parts = _PLACEHOLDER.split(name)
    out = re.escape(parts[0])
    for placeholder, rest in zip(parts[1::2], parts[2::2], strict=True):
        group = f"(?P<{placeholder.replace(' ', '_')}>" if capture else "(?:"
        out += group + r'[^"]*)' + re.escape(rest)
    return out


def quotable(kind: str, texts: Mapping[str, str]) -> dict[str, str]:
    """Texts as they may stand in a question or order of this kind without meaning more than a text.

    In SQL and PromQL between quotes, in a log's regular expressions literally; as they are
    everywhere else.
    """
    if kind == "metric":
        return {name: _BREAKS_OUT.sub(_as_escape, text) for name, text in texts.items()}
    if kind == "sql":
        return {name: text.replace("'", "''") for name, text in texts.items()}
    if kind == "log":
        return {name: re.escape(text) for name, text in texts.items()}
    return dict(texts)


_BREAKS_OUT = re.compile(r"""["'`\\\n]""")


def _as_escape(found: re.Match[str]) -> str:
    return f"\\x{ord(found[0]):02x}"


def unquoted(query: str, quoted: str = r"'[^']*'") -> str:
    """The first {placeholder} of SQL (or another language, as it quotes) that stands outside
    quotes; "" where none does.

    A text from a sentence or a system could widen the query there; a number of ours can't.
    """
    places = _PLACEHOLDER.finditer(re.sub(quoted, "''", query))
    ours = (TOUCHES, "window")
    return next((place[0] for place in places if place[1].partition(".")[0] not in ours), "")


PROMQL_QUOTED = r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'"""
"""Of PromQL's texts those that know escapes: those between backticks have none."""


TOUCHES = "touches"
"""The placeholder in an SQL order for the selection of what it may touch."""


def filled(value: Any, stands_for: Mapping[str, str]) -> Any:
    """`value` with every {placeholder} of `stands_for` filled in, in texts, keys and lists."""
    if isinstance(value, str):
        return _PLACEHOLDER.sub(
            lambda match: stands_for.get(
                match[1].replace(" ", "_"), stands_for.get(match[1], match[0])
            ),
            value,
        )
    if isinstance(value, Mapping):
        return {filled(key, stands_for): filled(each, stands_for) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [filled(each, stands_for) for each in value]
    return value
