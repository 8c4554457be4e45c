"""What a system's nouns and verbs mean, and where it lives: a target file as frozen objects."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from watchkeeper.errors import ConfigurationError, Place
from watchkeeper.nouns import Nouns
from watchkeeper.services import Duration, Model, Service, service_of
from watchkeeper.units import UNITS, Unit, unit_named
from watchkeeper.yaml_file import YamlNode, nearest

Permission = Literal["looking", "changes", "destroys"]
"""What may be done to a system; each includes the one before."""

PERMISSIONS: tuple[Permission, ...] = ("looking", "changes", "destroys")
REPLICA = "replica"
_VARIABLE = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_PLACED = re.compile(r"\{(?:made|that|before|answer|window)\.")
_JQ_DECIDES = re.compile(r"\b(if|def|reduce|foreach)\b")


DERIVING = ("part of", "count of")
"""The keys of a figure that is made from another's rows."""


class FigureOptions(Model):
    """What a figure says beside its question.

    `pick` and `rows` are jq: one value, or a stream of rows. `key` names the column that tells rows
    apart and makes a SQL figure a list. `at` is the column with a row's instant, for windows.
    `columns`: what people call a column, to the system's name of it. `one`: what one row is called.
    `where`: of a `part of` another list, which rows belong to it (SQL, or jq elsewhere).
    `values`: the words it may say, or a mapping from what the system says to our word.
    `counts as`: for a service's one availability figure, the word for each way of (not) answering.
    `measures: duration` judges how long the answer took. `alone`: never beside other looks.
    `max age`: how old an observation may be when it is judged.
    """

    pick: str | None = None
    rows: str | None = None
    key: str | None = None
    at: str | None = None
    where: str | None = None
    newest_first: bool = False
    lowest_first: str | None = None
    columns: dict[str, str] = Field(default_factory=dict)
    one: str | None = None
    count: bool = False
    unit: str | None = None
    values: tuple[str, ...] | dict[str, str] | None = None
    counts_as: dict[str, str] | None = None
    measures: Literal["duration"] | None = None
    alone: bool = False
    max_age: Duration = "60 seconds"
    about: str | None = None

    @field_validator("values", mode="before")
    @classmethod
    def _texts(cls, values: Any) -> Any:
        return _with_text_keys(values)

    @field_validator("counts_as", mode="before")
    @classmethod
    def _kinds(cls, kinds: Any) -> Any:
        return _with_text_keys(kinds)

    @field_validator("unit")
    @classmethod
    def _known(cls, unit: str | None) -> str | None:
        if unit is not None and unit not in UNITS and unit != "instant":
            return unit_named(unit).name  # raises, naming the nearest
        return unit

    @field_validator("pick", "rows")
    @classmethod
    def _selects(cls, program: str | None) -> str | None:
        if program is not None and ("\n" in program or _JQ_DECIDES.search(program)):
            raise ValueError(
                "jq selects here and does not decide: one line, no if, def, reduce or foreach; "
                "put what decides into targets/<system>.py"
            )
        if program is not None and not _PLACED.search(program):
            _compile(program)
        return program

    @model_validator(mode="after")
    def _not_both(self) -> FigureOptions:
        if self.pick and self.rows:
            raise ValueError('"pick" gives one value and "rows" a list; write one of them')
        return self


def _with_text_keys(words: Any) -> Any:
    """YAML's keys 200 and true as the words "200" and "yes"."""
    if not isinstance(words, dict):
        return words
    return {{True: "yes", False: "no"}.get(k, str(k)) if isinstance(k, bool) else str(k): v
            for k, v in words.items()}  # fmt: skip


def _compile(program: str) -> None:
    """Raises ValueError for what jq can't read; better here than at three in the morning."""
    import jq  # noqa: PLC0415 - only what has a program pays for it

    try:
        jq.compile(program)
    except ValueError as error:
        problem = str(error).splitlines()[0].removeprefix("jq: error: ").partition(" at <top-")[0]
        raise ValueError(f"jq can't read {program}: {problem}") from None


class OperationOptions(Model):
    """What an operation says beside its order.

    `answer`: names for parts of what the system answered, as jq. `inverse`: the operation that
    undoes it. `touches`: of SQL, the list (or "that …") of which it changes exactly the rows, or
    nothing. `leaves`: what must hold when it is done, figure by figure ("up", "up within 2
    minutes"). `nothing rests on it`: the scenario goes on where it fails, as it must where a team
    that can't be told is no reason to mend nothing. `about`: for people.
    """

    effect: Literal["changes", "destroys"]
    answer: dict[str, str] = Field(default_factory=dict)
    inverse: str | None = None
    touches: str | None = None
    leaves: dict[str, str] = Field(default_factory=dict)
    nothing_rests_on_it: bool = False
    about: str | None = None


class EnvironmentOptions(Model):
    """How a system differs in one environment."""

    allows: Permission = "looking"
    leaves_out: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """A noun with a value. `name` may hold free text placeholders: 'first match for "{title}"'."""

    name: str
    probe: str
    question: Model
    options: FigureOptions
    place: Place

    @property
    def unit(self) -> Unit | None:
        return UNITS.get(self.options.unit or "")

    @property
    def words(self) -> tuple[str, ...] | None:
        """The closed set of words it may say; None where it says anything."""
        if self.options.counts_as is not None:
            return tuple(dict.fromkeys(self.options.counts_as.values()))
        values = self.options.values
        if isinstance(values, dict):
            return tuple(dict.fromkeys(values.values()))
        return values

    @property
    def alone(self) -> bool:
        """Whether it is never looked at beside other looks; so is every duration."""
        return self.options.alone or self.options.measures == "duration"

    @property
    def is_availability(self) -> bool:
        return self.options.counts_as is not None

    @property
    def is_list(self) -> bool:
        """Whether it has rows; by what the target file says, not by what the system answers."""
        if self.options.count or self.options.pick or self.options.measures:
            return False
        if self.options.key or self.options.rows:
            return True
        question = self.question
        if self.probe == "log":
            return not (getattr(question, "count", None) or getattr(question, "mean_of", None))
        return bool(getattr(question, "is_list", False))

    @property
    def one(self) -> str:
        """What one of its rows is called: "request" for "requests"."""
        return self.options.one or self.name.removesuffix("s")


@dataclass(frozen=True)
class Operation:
    """A verb that changes something, named as a sentence speaks it."""

    name: str
    operator: str
    order: Model
    options: OperationOptions
    place: Place


@dataclass(frozen=True)
class Environment:
    """One place where the system lives. `services` are overrides, by service and key."""

    name: str
    options: EnvironmentOptions
    services: Mapping[str, Mapping[str, Any]]
    place: Place


@dataclass(frozen=True)
class System:
    """What a runbook is about, as its target file describes it. Nothing is filled in yet."""

    name: str
    called: str
    path: Path
    services: YamlNode
    figures: Mapping[str, Figure]
    operations: Mapping[str, Operation]
    environments: Mapping[str, Environment]
    runbook: str

    @property
    def slug(self) -> str:
        """The name of its folder and files: media-management."""
        return self.path.stem

    @cached_property
    def figure_nouns(self) -> Nouns:
        return Nouns(tuple(self.figures))

    @cached_property
    def operation_verbs(self) -> Nouns:
        return Nouns(tuple(self.operations))

    def availability_of(self, service: str) -> Figure | None:
        """The one figure that says whether `service` is up; None where it has none."""
        for figure in self.figures.values():
            if figure.is_availability and service in services_in(figure.question):
                return figure
        return None


def services_in(question: Model) -> tuple[str, ...]:
    """The services that a question names, the one that it needs most first."""
    # A pydantic model builds an error for each attribute that it lacks, which made this an eighth
    # of a look's cost; its fields as a dict cost nothing.
    fields = vars(question)
    named: list[str] = []
    for key in ("get", "head", "post", "put", "patch", "delete", "open"):
        value = fields.get(key)
        if isinstance(value, str) and "in_place_of" not in fields:  # there, a file is put
            named.append(value.partition(" ")[0])
    for key in ("in_", "log", "database"):
        value = fields.get(key)
        if isinstance(value, str):
            named.append(value)
    named.extend(fields.get("services") or ())
    of = fields.get("of") or ()
    addresses = (of,) if isinstance(of, str) else of
    named.extend(each for each in addresses if ":" not in each)  # db:5432 is no service of ours
    process = fields.get("process")
    named.extend(process.values() if isinstance(process, dict) else ())
    return tuple(named)


def variables_of(environ: Mapping[str, str] = os.environ) -> Mapping[str, str]:
    """The variables that `${env:…}` stand for outside replicas."""
    return dict(environ)


@dataclass(frozen=True)
class Target:
    """A system in one environment, with the variables that its `${env:…}` stand for."""

    system: System
    environment: Environment
    variables: Mapping[str, str] = field(repr=False)

    def services(self, names: frozenset[str]) -> Mapping[str, Service]:
        """The services called `names`, filled in.

        Raises ConfigurationError that names every variable which is not set, all at once.
        """
        unset: dict[str, str] = {}
        found = {}
        for name in sorted(names):
            if name not in self.system.services.data:
                raise ConfigurationError(
                    f'{self.system.path.name} has no service "{name}"',
                    place=Place(self.system.path),
                    hint=nearest(name, self.system.services.keys()),
                )
            data = {
                **self.system.services.mapping(name).plain(),
                **self.environment.services.get(name, {}),
            }
            unset.update(dict.fromkeys(self.unset(data), name))
            found[name] = data
        if unset:
            raise unset_variables(self, tuple(unset))
        return {
            name: service_of(self.system.services, name, self.fill(d)) for name, d in found.items()
        }

    def unset(self, value: Any) -> tuple[str, ...]:
        """The variables that `value` names, have no default and are not set."""
        return tuple(
            name
            for name, default in _variables(value)
            if default is None and not self.variables.get(name)
        )

    def fill(self, value: Any) -> Any:
        """`value` with its `${env:NAME}` filled in."""
        if isinstance(value, str):
            return _VARIABLE.sub(lambda m: self.variables.get(m[1]) or m[2] or "", value)
        if isinstance(value, Mapping):
            return {key: self.fill(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.fill(each) for each in value]
        return value


def unset_variables(target: Target, names: tuple[str, ...]) -> ConfigurationError:
    """The one complaint about variables that are not set."""
    several = len(names) > 1
    return ConfigurationError(
        f"{target.system.called} at {target.environment.name} needs the "
        f"environment variable{'s' if several else ''} {', '.join(names)}, "
        f"which {'are' if several else 'is'} not set",
        place=target.environment.place,
        hint=f"export {names[0]}=…, then run again; nothing has been looked at",
    )


def _variables(value: Any) -> Iterator[tuple[str, str | None]]:
    if isinstance(value, str):
        for match in _VARIABLE.finditer(value):
            yield match[1], match[2]
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _variables(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _variables(each)
