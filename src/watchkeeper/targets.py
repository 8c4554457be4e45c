"""What a system's nouns and verbs mean and where it lives: targets/<system>.yml as frozen objects."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr, field_validator, model_validator

from watchkeeper.errors import ConfigurationError, Place
from watchkeeper.services import SERVICE_KINDS, Duration, Model, Service
from watchkeeper.units import UNITS, Unit
from watchkeeper.yaml_file import YamlNode, nearest, plain, read_yaml

Permission = Literal["looking", "changes", "destroys"]
"""What may be done to a system; each includes the one before."""

PERMISSIONS: tuple[Permission, ...] = ("looking", "changes", "destroys")
REPLICA = "replica"
_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9 _.]*)\}", re.IGNORECASE)
_VARIABLE = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_JQ_DECIDES = re.compile(r"\b(if|def|reduce|foreach)\b")


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
    columns: dict[str, str] = {}
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
        return {str(k): v for k, v in values.items()} if isinstance(values, dict) else values

    @field_validator("counts_as", mode="before")
    @classmethod
    def _kinds(cls, kinds: Any) -> Any:
        return {str(k): v for k, v in kinds.items()} if isinstance(kinds, dict) else kinds

    @field_validator("unit")
    @classmethod
    def _known(cls, unit: str | None) -> str | None:
        if unit is not None and unit not in UNITS and unit != "instant":
            raise ValueError(f'no unit is called "{unit}"; there are: {", ".join(UNITS)}, instant')
        return unit

    @field_validator("pick", "rows")
    @classmethod
    def _selects(cls, program: str | None) -> str | None:
        if program is not None and ("\n" in program or _JQ_DECIDES.search(program)):
            raise ValueError(
                "jq selects here and does not decide: one line, no if, def, reduce or foreach; "
                "put what decides into targets/<system>.py"
            )
        return program

    @model_validator(mode="after")
    def _not_both(self) -> FigureOptions:
        if self.pick and self.rows:
            raise ValueError('"pick" gives one value and "rows" a list; write one of them')
        return self


class OperationOptions(Model):
    """What an operation says beside its order.

    `answer`: names for parts of what the system answered, as jq. `inverse`: the operation that
    undoes it. `touches`: the list of which it may change exactly the rows. `about`: for people.
    """

    effect: Literal["changes", "destroys"]
    answer: dict[str, str] = {}
    inverse: str | None = None
    about: str | None = None


class EnvironmentOptions(Model):
    """How a system differs in one environment."""

    allows: Permission = "looking"
    leaves_out: dict[str, str] = {}


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


@dataclass(frozen=True)
class Kinds:
    """Which probes and operators there are, and the shape of what a target file may ask of each."""

    probes: Mapping[str, type[Model]]
    operators: Mapping[str, type[Model]]


_TOP = (
    "system",
    "called",
    "runbook",
    "services",
    "each",
    "figures",
    "operations",
    "environments",
)


def load_system(path: Path, kinds: Kinds) -> System:
    """The system that `path` describes; raises ConfigurationError with file, line and what to do."""
    node = read_yaml(path)
    node.only(_TOP)
    for needed in ("system", "called", "services", "figures", "environments"):
        if needed not in node.data:
            raise ConfigurationError(f'"{needed}" is missing', place=Place(path))
    each = _each(node.mapping("each"))
    services = node.mapping("services")
    for name in services.keys():  # noqa: SIM118 - YamlNode is no mapping
        _service(services, name, {})
    return System(
        name=_text(node, "system"),
        called=_text(node, "called"),
        path=path,
        services=services,
        figures=_figures(node.mapping("figures"), each, kinds),
        operations=_operations(node.mapping("operations"), each, kinds),
        environments=_environments(node.mapping("environments"), services),
        runbook=_text(node, "runbook") if "runbook" in node.data else "",
    )


def load_systems(folder: Path, kinds: Kinds) -> Mapping[str, System]:
    """Every system of targets/*.yml, by what sentences call it; raises ConfigurationError."""
    systems: dict[str, System] = {}
    for path in sorted(folder.glob("*.yml")):
        system = load_system(path, kinds)
        if system.called in systems:
            raise ConfigurationError(
                f'"{system.called}" is what {systems[system.called].path.name} is called already',
                place=Place(path),
            )
        systems[system.called] = system
    if not systems:
        raise ConfigurationError("there is no target file", place=Place(folder / "*.yml"))
    return systems


def variables_of(environ: Mapping[str, str] = os.environ) -> Mapping[str, str]:
    """The variables that `${env:…}` stand for outside replicas."""
    return dict(environ)


def _text(node: YamlNode, key: str) -> str:
    value = node.data[key]
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f'"{key}" is no text', place=node.place(key))
    return str(value)


def _each(node: YamlNode) -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    """{"service": {"Sonarr": {"api": "v3"}}}"""
    return {
        noun: {
            name: {key: str(value) for key, value in (values or {}).items()}
            for name, values in node.mapping(noun).plain().items()
        }
        for noun in node.keys()
    }


def _expanded(
    node: YamlNode, each: Mapping[str, Mapping[str, Mapping[str, str]]]
) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    """(name in the file, name in sentences, what its placeholders stand for) of every entry."""
    for written in node.keys():  # noqa: SIM118
        if not isinstance(node.data[written], Mapping):
            raise ConfigurationError(
                f'"{written}" is no mapping, expected for example {{http: {{get: api /health}}}}',
                place=node.place(written),
            )
        noun = next((n for n in each if "{" + n + "}" in written), None)
        if noun is None:
            yield written, written, {}
            continue
        for name, values in each[noun].items():
            stands_for = {noun: name, **values}
            yield written, str(filled(written, stands_for)), stands_for


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


def _figures(
    node: YamlNode, each: Mapping[str, Mapping[str, Mapping[str, str]]], kinds: Kinds
) -> Mapping[str, Figure]:
    figures: dict[str, Figure] = {}
    derived: list[tuple[str, str, dict[str, Any]]] = []
    for written, name, stands_for in _expanded(node, each):
        data = filled(plain(node.data[written]), stands_for)
        if name in figures:
            raise ConfigurationError(f'"{name}" is there twice', place=node.place(written))
        if "part of" in data or "count of" in data:
            derived.append((written, name, data))
            continue
        figures[name] = _figure(node, written, name, data, kinds)
    for written, name, data in derived:
        figures[name] = _derived(node, written, name, data, figures)
    _one_availability_each(figures)
    return figures


def _figure(node: YamlNode, written: str, name: str, data: dict[str, Any], kinds: Kinds) -> Figure:
    inner = YamlNode(node.path, node.data[written])
    kind = _one_kind(inner, name, data, kinds.probes, "looked at")
    question, rest = _split(kinds.probes[kind], kind, data)
    return Figure(
        name=name,
        probe=kind,
        question=inner.checked(kinds.probes[kind], question),
        options=inner.checked(FigureOptions, rest),
        place=node.place(written),
    )


def _one_kind(
    node: YamlNode, name: str, data: Mapping[str, Any], kinds: Mapping[str, Any], done: str
) -> str:
    found = [key for key in data if key in kinds]
    if len(found) == 1:
        return found[0]
    raise ConfigurationError(
        f'"{name}" says {"no" if not found else "more than one"} way it is {done}, '
        f"expected exactly one of: {', '.join(kinds)}",
        place=node.place(*found[1:2]),
        hint=next((nearest(key, kinds) for key in data if nearest(key, kinds)), ""),
    )


def _split(
    model: type[Model], kind: str, data: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is the question's (or order's) own, and what belongs to the figure (or operation).

    `http: {get: …}` holds the whole question; `sql: SELECT …` is one field of it, its siblings others.
    """
    if isinstance(data[kind], Mapping) and kind not in model.model_fields:
        return dict(data[kind]), {key: value for key, value in data.items() if key != kind}
    aliases = {f.alias or name for name, f in model.model_fields.items()}
    own = {key: value for key, value in data.items() if key in aliases}
    if isinstance(data[kind], Mapping) and not _takes_mapping(model, kind):
        own = {**{k: v for k, v in own.items() if k != kind}, **data[kind]}
    return own, {key: value for key, value in data.items() if key not in own or key == "key"}


def _takes_mapping(model: type[Model], kind: str) -> bool:
    return "dict" in str(model.model_fields[kind].annotation)


def _derived(
    node: YamlNode, written: str, name: str, data: dict[str, Any], figures: Mapping[str, Figure]
) -> Figure:
    """A figure that is a part of another's rows, or counts them."""
    inner = YamlNode(node.path, node.data[written])
    link = "part of" if "part of" in data else "count of"
    base = figures.get(str(data[link]))
    if base is None:
        raise ConfigurationError(
            f'"{name}" is {link} "{data[link]}", which no figure is called',
            place=inner.place(link),
            hint=nearest(str(data[link]), figures),
        )
    own = inner.checked(FigureOptions, {k: v for k, v in data.items() if k != link})
    wheres = [where for where in (base.options.where, own.where) if where]
    changes = {key: getattr(own, key) for key in own.model_fields_set}
    joined = " AND " if base.probe == "sql" else " and "
    if link == "count of":
        changes["count"] = True
    changes["where"] = joined.join(f"({where})" for where in wheres) or None
    options = base.options.model_copy(update=changes)
    return replace(base, name=name, options=options, place=node.place(written))


def _one_availability_each(figures: Mapping[str, Figure]) -> None:
    seen: dict[str, Figure] = {}
    for figure in figures.values():
        if not figure.is_availability:
            continue
        for service in services_in(figure.question)[:1]:
            if service in seen:
                raise ConfigurationError(
                    f'"{figure.name}" and "{seen[service].name}" both say whether {service} is up',
                    place=figure.place,
                    hint='a service has one figure with "counts as"',
                )
            seen[service] = figure


def _operations(
    node: YamlNode, each: Mapping[str, Mapping[str, Mapping[str, str]]], kinds: Kinds
) -> Mapping[str, Operation]:
    operations: dict[str, Operation] = {}
    for written, name, stands_for in _expanded(node, each):
        data = filled(plain(node.data[written]), stands_for)
        inner = YamlNode(node.path, node.data[written])
        kind = _one_kind(inner, name, data, kinds.operators, "done")
        order, rest = _split(kinds.operators[kind], kind, data)
        operations[name] = Operation(
            name=name,
            operator=kind,
            order=inner.checked(kinds.operators[kind], order),
            options=inner.checked(OperationOptions, rest),
            place=node.place(written),
        )
    for operation in operations.values():
        inverse = operation.options.inverse
        if inverse is not None and inverse not in operations:
            raise ConfigurationError(
                f'the inverse of "{operation.name}" is "{inverse}", which no operation is called',
                place=operation.place,
                hint=nearest(inverse, operations),
            )
    return operations


def _environments(node: YamlNode, services: YamlNode) -> Mapping[str, Environment]:
    environments = {}
    for name in node.keys():  # noqa: SIM118
        inner = node.mapping(name)
        data = inner.plain()
        overrides = inner.mapping("services")
        overrides.only(services.keys())
        data.pop("services", None)
        options = inner.checked(EnvironmentOptions, data)
        if name == REPLICA:
            options = options.model_copy(update={"allows": "destroys"})
        environments[name] = Environment(name, options, overrides.plain(), node.place(name))
        for service in overrides.keys():  # noqa: SIM118
            _service(services, service, overrides.plain()[service])
    return environments


def _service(services: YamlNode, name: str, override: Mapping[str, Any]) -> Service:
    data = {**services.mapping(name).plain(), **override}
    kind = next((key for key in SERVICE_KINDS if key in data), None)
    if kind is None:
        raise ConfigurationError(
            f'the service "{name}" does not say what it is, expected one of the keys: '
            f"{', '.join(SERVICE_KINDS)}",
            place=services.place(name),
        )
    return services.mapping(name).checked(SERVICE_KINDS[kind], data)


def services_in(question: Model) -> tuple[str, ...]:
    """The services that a question names, the one that it needs most first."""
    named: list[str] = []
    for key in ("get", "head", "post", "put", "patch", "delete"):
        value = getattr(question, key, None)
        if isinstance(value, str):
            named.append(value.partition(" ")[0])
    for key in ("in_", "log"):
        value = getattr(question, key, None)
        if isinstance(value, str):
            named.append(value)
    named.extend(getattr(question, "services", None) or ())
    process = getattr(question, "process", None)
    named.extend(process.values() if isinstance(process, dict) else ())
    return tuple(named)


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
            name: _service(self.system.services, name, self.fill(d)) for name, d in found.items()
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

    def secrets(self, services: Mapping[str, Service]) -> tuple[str, ...]:
        """Every value that must never be written: what the services hold as SecretStr."""
        return tuple(dict.fromkeys(_secrets(list(services.values()))))


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


def _secrets(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        if value.get_secret_value():
            yield value.get_secret_value()
    elif isinstance(value, Model):
        yield from _secrets([getattr(value, name) for name in type(value).model_fields])
    elif isinstance(value, Mapping):
        yield from _secrets(list(value.values()))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _secrets(each)
