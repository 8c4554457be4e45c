"""How a YAML file becomes checked, frozen objects, with file and line in every complaint."""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError, RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError
from ruamel.yaml.scalarfloat import ScalarFloat

from watchkeeper.errors import ConfigurationError, Place

M = TypeVar("M", bound=BaseModel)


def nearest(word: str, words: Iterable[str]) -> str:
    """`did you mean "…"?` for the nearest of `words`, or "" where none is near."""
    found = difflib.get_close_matches(word, list(words), n=1, cutoff=0.6)
    return f'did you mean "{found[0]}"?' if found else ""


@dataclass(frozen=True)
class YamlNode:
    """A mapping of a YAML file, which knows on which line each of its keys stands."""

    path: Path
    data: CommentedMap

    def place(self, *keys: str | int) -> Place:
        """Where the value under `keys` stands; of a missing one, the innermost that is there."""
        node: Any = self.data
        line = node.lc.line + 1
        for key in keys:
            if isinstance(node, CommentedMap) and key in node:
                line = node.lc.key(key)[0] + 1
            elif isinstance(node, CommentedSeq) and isinstance(key, int) and key < len(node):
                line = node.lc.item(key)[0] + 1
            else:
                continue  # a model's name that pydantic puts between keys, or a key that is missing
            node = node[key]
        return Place(self.path, line)

    def mapping(self, key: str) -> YamlNode:
        """The mapping under `key`, empty where there is none."""
        value = self.data.get(key)
        if value is None:
            value = CommentedMap()
            value.lc.line = self.data.lc.line
            value.lc.col = 0
        if not isinstance(value, CommentedMap):
            raise ConfigurationError(
                f'"{key}" is {_kind(value)}, expected a mapping (name: value)',
                place=self.place(key),
            )
        return YamlNode(self.path, value)

    def keys(self) -> tuple[str, ...]:
        """Its keys; raises ConfigurationError for one that is no text."""
        for key in self.data:
            if not isinstance(key, str):
                raise ConfigurationError(
                    f"the key {getattr(key, 'written', key)} is no text",
                    place=self.place(key),
                    hint="put it in quotes",
                )
        return tuple(self.data)

    def plain(self) -> dict[str, Any]:
        """The mapping as plain Python data."""
        return {key: plain(value) for key, value in self.data.items()}

    def only(self, allowed: Sequence[str]) -> None:
        """Refuse keys that are not in `allowed`."""
        for key in self.keys():
            if key not in allowed:
                raise ConfigurationError(
                    f'unknown key "{key}", expected one of: {", ".join(allowed)}',
                    place=self.place(key),
                    hint=nearest(key, allowed),
                )

    def checked(
        self, model: type[M], data: Mapping[str, Any], beside: type[BaseModel] | None = None
    ) -> M:
        """`data` (a part of this mapping) as `model`; raises ConfigurationError with the line.

        `beside`: the model whose keys stand in the same mapping, for the complaint.
        """
        try:
            return model.model_validate(data)
        except ValidationError as error:
            names = dict.fromkeys(_names(beside) + _names(model))
            raise self._complaint(error, tuple(names)) from None

    def _complaint(self, error: ValidationError, names: Sequence[str]) -> ConfigurationError:
        # One complaint at a time; an unknown key first, as a misspelt one is also a missing one.
        first = min(
            error.errors(include_url=False, include_context=False),
            key=lambda each: each["type"] != "extra_forbidden",
        )
        keys = self._keys_in(first["loc"])
        where = " / ".join(keys)
        hint = ""
        if first["type"] == "extra_forbidden":
            problem = f'unknown key "{keys[-1]}"'
            if len(keys) == 1:
                problem += f", expected one of: {', '.join(names)}"
                hint = nearest(keys[-1], names)
        elif first["type"] == "missing":
            problem = f'"{where}" is missing'
        elif first["type"] in _EXPECTED:
            problem = f'"{where}" is {_kind(first["input"])}, expected {_EXPECTED[first["type"]]}'
            if first["type"] == "string_type" and isinstance(first["input"], bool | int | float):
                hint = "put it in quotes"
        elif first["type"] == "literal_error":
            words = first["msg"].replace("Input should be ", "").replace("'", '"')
            problem = f'"{where}" is another word than {words}'
        else:
            message = (
                first["msg"].removeprefix("Value error, ").replace("Input should", "it should")
            )
            problem = f'"{where}": {message}' if where else message
        return ConfigurationError(problem, place=self.place(*first["loc"]), hint=hint)

    def _keys_in(self, loc: Sequence[str | int]) -> list[str]:
        """`loc` as it stands in the file: without the names that pydantic puts between keys."""
        node: Any = self.data
        keys = []
        for number, key in enumerate(loc):
            there = isinstance(node, CommentedMap) and key in node
            there = there or (isinstance(node, CommentedSeq) and isinstance(key, int))
            if there or number == len(loc) - 1:
                keys.append(f"item {key + 1}" if isinstance(key, int) else str(key))
                node = node[key] if there else None
        return keys


def _names(model: type[BaseModel] | None) -> list[str]:
    fields = model.model_fields.items() if model is not None else ()
    return [field.alias or name for name, field in fields]


def plain(value: Any) -> Any:
    """ruamel's data as plain Python data."""
    if isinstance(value, Mapping):
        return {_plain_key(key): plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, float):
        return float(value)
    return str(value) if isinstance(value, str) else value


def _plain_key(key: Any) -> Any:
    """A key as it was written: 1.10 is "1.10", and not the number 1.1."""
    return getattr(key, "written", key)


class _AsWritten(RoundTripConstructor):
    """Dates stay texts, since who reads them parses them strictly; numbers know their spelling."""

    def construct_yaml_float(self, node: Any) -> Any:
        number = super().construct_yaml_float(node)
        if isinstance(number, ScalarFloat):
            number.written = node.value  # type: ignore[attr-defined] # kept for _plain_key
        return number

    def construct_yaml_timestamp(self, node: Any, values: Any = None) -> Any:
        return self.construct_scalar(node)


for _tag, _construct in (
    ("float", _AsWritten.construct_yaml_float),
    ("timestamp", _AsWritten.construct_yaml_timestamp),
):
    _AsWritten.add_constructor(f"tag:yaml.org,2002:{_tag}", _construct)


def read_yaml(path: Path) -> YamlNode:
    """The mapping in the YAML 1.2 file `path`; raises ConfigurationError with file and line."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise ConfigurationError("there is no such file", place=Place(path)) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigurationError(
            "is not UTF-8", place=Place(path, line), hint="save it with the encoding UTF-8"
        ) from None
    except OSError as error:
        problem = f"can't be read: {error.strerror or error}"
        raise ConfigurationError(problem, place=Place(path)) from error
    parser = YAML(typ="rt")
    parser.Constructor = _AsWritten
    try:
        with warnings.catch_warnings(action="ignore", category=ReusedAnchorWarning):
            data = parser.load(text)  # an anchor may be given anew; the warning shows its line
    except DuplicateKeyError as error:
        key = re.search(r'duplicate key "(.*?)" with', str(error.problem))
        problem = f'the key "{key[1]}" is there twice' if key else _first_line(error.problem)
        raise ConfigurationError(
            problem, place=_mark(path, error), hint="keep one of the two"
        ) from None
    except MarkedYAMLError as error:
        hint = "indent with spaces, YAML allows no tabs" if _tabbed(text, error) else ""
        problem = _NAMED.sub(r"\1", _first_line(error.problem))
        raise ConfigurationError(
            f"is no YAML: {problem}", place=_mark(path, error), hint=hint
        ) from None
    except (YAMLError, ValueError, LookupError, AttributeError, TypeError) as error:
        # ruamel's own faults on garbage among them, such as a !!set on what is none.
        problem = f"is no YAML: {_first_line(str(error))}"
        raise ConfigurationError(problem, place=Place(path)) from None
    if not isinstance(data, CommentedMap):
        raise ConfigurationError(f"is {_kind(data)}, expected a mapping", place=Place(path))
    return YamlNode(path, data)


def _mark(path: Path, error: MarkedYAMLError) -> Place:
    return Place(path, error.problem_mark.line + 1 if error.problem_mark else None)


def _tabbed(text: str, error: MarkedYAMLError) -> bool:
    """Whether the line that the parser stopped at, or the one before it, is indented by a tab."""
    at = error.problem_mark.line if error.problem_mark else 0
    return any("\t" in line[: len(line) - len(line.lstrip())] for line in
               text.splitlines()[max(at - 1, 0) : at + 1])  # fmt: skip


_NAMED = re.compile(r"""\b(alias|anchor) (?:'.*'|".*")""")
"""What ruamel quotes of a value that begins with * or &, which may be a secret."""


def _first_line(text: str | None) -> str:
    return (text or "unreadable").splitlines()[0]


_EXPECTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "a mapping (name: value)",
    "model_type": "a mapping (name: value)",
    "tuple_type": "a list",
    "list_type": "a list",
}
_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),  # before int, of which Python makes it a kind
    (int, "a number"),
    (float, "a number"),
    (str, "a text"),
    (Mapping, "a mapping"),
    (Sequence, "a list"),
)


def _kind(value: Any) -> str:
    """What a value is, without the value itself, which may be a secret."""
    if value is None:
        return "empty"
    return next((name for kind, name in _KINDS if isinstance(value, kind)), type(value).__name__)
