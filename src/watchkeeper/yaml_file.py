"""How a YAML file becomes checked, frozen objects, with file and line in every complaint."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

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
                    f"the key {key!r} is no text", place=self.place(key), hint="put it in quotes"
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

    def checked(self, model: type[M], data: Mapping[str, Any]) -> M:
        """`data` (a part of this mapping) as `model`; raises ConfigurationError with the line."""
        try:
            return model.model_validate(data)
        except ValidationError as error:
            raise self._complaint(model, error) from None

    def _complaint(self, model: type[BaseModel], error: ValidationError) -> ConfigurationError:
        first = error.errors(include_url=False, include_context=False)[0]
        where = " / ".join(str(key) for key in first["loc"])
        names = [field.alias or name for name, field in model.model_fields.items()]
        hint = ""
        if first["type"] == "extra_forbidden":
            problem = f'unknown key "{first["loc"][-1]}"'
            hint = nearest(str(first["loc"][-1]), names)
            if len(first["loc"]) == 1:
                problem += f", expected one of: {', '.join(names)}"
        elif first["type"] == "missing":
            problem = f'"{where}" is missing'
        else:
            message = first["msg"].removeprefix("Value error, ")
            problem = f"{where}: {message}" if where else message
        return ConfigurationError(problem, place=self.place(*first["loc"]), hint=hint)


def plain(value: Any) -> Any:
    """ruamel's data as plain Python data."""
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, float):
        return float(value)
    return str(value) if isinstance(value, str) else value


def read_yaml(path: Path) -> YamlNode:
    """The mapping in the YAML 1.2 file `path`; raises ConfigurationError with file and line."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise ConfigurationError("there is no such file", place=Place(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"can't be read: {error}", place=Place(path)) from error
    try:
        data = YAML(typ="rt").load(text)
    except DuplicateKeyError as error:
        raise ConfigurationError(
            _first_line(error.problem), place=_mark(path, error), hint="keep one of the two"
        ) from None
    except MarkedYAMLError as error:
        hint = "indent with spaces, YAML allows no tabs" if "\\t" in str(error.problem) else ""
        raise ConfigurationError(
            f"is no YAML: {_first_line(error.problem)}", place=_mark(path, error), hint=hint
        ) from None
    except (YAMLError, ValueError) as error:  # ValueError: a date that no calendar has
        raise ConfigurationError(f"is no YAML: {error}", place=Place(path)) from None
    if not isinstance(data, CommentedMap):
        raise ConfigurationError(f"is {_kind(data)}, expected a mapping", place=Place(path))
    return YamlNode(path, data)


def _mark(path: Path, error: MarkedYAMLError) -> Place:
    return Place(path, error.problem_mark.line + 1 if error.problem_mark else None)


def _first_line(text: str | None) -> str:
    return (text or "unreadable").splitlines()[0]


def _kind(value: Any) -> str:
    if value is None:
        return "empty"
    return "a list" if isinstance(value, list) else f"a {type(value).__name__}"
