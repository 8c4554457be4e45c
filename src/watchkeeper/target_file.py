"""How does targets/<system>.yml become a System, or a complaint with file, line and advice?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from watchkeeper.errors import ConfigurationError, Place
from watchkeeper.nouns import PROMQL_QUOTED, filled, unquoted
from watchkeeper.services import Model, service_of
from watchkeeper.targets import (
    REPLICA,
    Environment,
    EnvironmentOptions,
    Figure,
    FigureOptions,
    Operation,
    OperationOptions,
    System,
    services_in,
)
from watchkeeper.yaml_file import YamlNode, nearest, plain, read_yaml


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
    """The system that `path` describes; raises ConfigurationError with file, line and advice."""
    return system_in(read_yaml(path), kinds)


def system_in(node: YamlNode, kinds: Kinds) -> System:
    """The system that a target file describes, once it is read; raises as load_system does."""
    path = node.path
    node.only(_TOP)
    for needed in ("system", "called", "services", "figures", "environments"):
        if needed not in node.data:
            raise ConfigurationError(f'"{needed}" is missing', place=Place(path))
    each = _each(node.mapping("each"))
    services = node.mapping("services")
    for name in services.keys():  # noqa: SIM118 - YamlNode is no mapping
        service_of(services, name, {})
    figures = _figures(node.mapping("figures"), each, kinds)
    operations = _operations(node.mapping("operations"), each, kinds)
    for figure in figures.values():
        _known_services(figure.question, figure.place, services)
    for operation in operations.values():
        _known_services(operation.order, operation.place, services)
    return System(
        name=_text(node, "system"),
        called=_text(node, "called"),
        path=path,
        services=services,
        figures=figures,
        operations=operations,
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


def _known_services(question: Model, place: Place, services: YamlNode) -> None:
    known = services.keys()
    for name in services_in(question):
        if name not in known:
            raise ConfigurationError(
                f'there is no service "{name}"; there are: {", ".join(known)}',
                place=place,
                hint=nearest(name, known),
            )


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
        for noun in node.keys()  # noqa: SIM118 - YamlNode is no mapping
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
    for figure in figures.values():
        _refuse_unquoted(figure.name, figure.question, figure.place)
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
        options=inner.checked(FigureOptions, rest, _beside(kinds.probes[kind], kind, data)),
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
        hint="keep one of the two"
        if found
        else next((near for key in data if (near := nearest(key, kinds))), ""),
    )


def _split(
    model: type[Model], kind: str, data: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is the question's (or order's) own, and what belongs to the figure (or operation).

    `http: {get: …}` holds the whole question; `sql: SELECT …` is one field, its siblings others.
    """
    if isinstance(data[kind], Mapping) and kind not in model.model_fields:
        return dict(data[kind]), {key: value for key, value in data.items() if key != kind}
    aliases = {f.alias or name for name, f in model.model_fields.items()}
    own = {key: value for key, value in data.items() if key in aliases}
    if isinstance(data[kind], Mapping) and not _takes_mapping(model, kind):
        own = {**{k: v for k, v in own.items() if k != kind}, **data[kind]}
    taken = (own.keys() | {kind}) - {"key"}
    return own, {key: value for key, value in data.items() if key not in taken}


def _beside(model: type[Model], kind: str, data: Mapping[str, Any]) -> type[Model] | None:
    """The question's (or order's) shape, where its keys stand among the figure's own."""
    return model if kind in model.model_fields and not isinstance(data[kind], Mapping) else None


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
            options=inner.checked(
                OperationOptions, rest, _beside(kinds.operators[kind], kind, data)
            ),
            place=node.place(written),
        )
    for operation in operations.values():
        _refuse_unquoted(operation.name, operation.order, operation.place)
        if operation.options.touches is not None and operation.operator != "sql":
            raise ConfigurationError(
                f'"{operation.name}" says what it touches, which only SQL can keep to',
                place=operation.place,
                hint='judge it by a sentence instead: "of its … exactly … changed"',
            )
        inverse = operation.options.inverse
        if inverse is not None and inverse not in operations:
            raise ConfigurationError(
                f'the inverse of "{operation.name}" is "{inverse}", which no operation is called',
                place=operation.place,
                hint=nearest(inverse, operations),
            )
    return operations


def _refuse_unquoted(name: str, asked: Model, place: Place) -> None:
    """Refuse a query in which a text of a sentence or a system could be more than a text."""
    metric = unquoted(str(getattr(asked, "metric", "") or ""), PROMQL_QUOTED)
    if metric:
        raise ConfigurationError(
            f'"{name}" has {metric} outside quotes in its PromQL',
            place=place,
            hint=f'write "{metric}", as the text that a label must have',
        )
    found = unquoted(str(getattr(asked, "sql", "") or ""))
    if found:
        raise ConfigurationError(
            f'"{name}" has {found} outside quotes in its SQL',
            place=place,
            hint=f"write '{found}': a number compares the same as a quoted text",
        )


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
            service_of(services, service, overrides.plain()[service])
    return environments
