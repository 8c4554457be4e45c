"""What may stand in a target file? Its JSON Schema, so that editors complete it."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from watchkeeper.kinds import KINDS
from watchkeeper.services import SERVICE_KINDS
from watchkeeper.targets import DERIVING, EnvironmentOptions, FigureOptions, OperationOptions


def text() -> str:
    """The schema as indented JSON."""
    return json.dumps(schema(), indent=1, ensure_ascii=False)


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of targets/<system>.yml."""
    definitions: dict[str, Any] = {}
    services = [_object(model, definitions) for model in SERVICE_KINDS.values()]
    figures = [
        _asked(kind, model, FigureOptions, definitions) for kind, model in KINDS.probes.items()
    ]
    figures += [_derived(link, definitions) for link in DERIVING]
    operations = [
        _asked(kind, model, OperationOptions, definitions)
        for kind, model in KINDS.operators.items()
    ]
    environment = _object(EnvironmentOptions, definitions)
    environment["properties"]["services"] = {"type": "object"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A system's target file",
        "type": "object",
        "required": ["system", "called", "services", "figures", "environments"],
        "additionalProperties": False,
        "properties": {
            "system": {"type": "string"},
            "called": {"type": "string"},
            "runbook": {"type": "string"},
            "services": _map({"anyOf": services}),
            "each": _map({"type": "object"}),
            "figures": _map({"anyOf": figures}),
            "operations": _map({"anyOf": operations}),
            "environments": _map(environment),
        },
        "$defs": definitions,
    }


def _map(value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": value}


def _object(model: type[BaseModel], definitions: dict[str, Any]) -> dict[str, Any]:
    made = model.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
    definitions.update(made.pop("$defs", {}))
    return made


def _asked(
    kind: str, question: type[BaseModel], options: type[BaseModel], definitions: dict[str, Any]
) -> dict[str, Any]:
    """A figure or operation: its question beside it, or as a mapping under the kind's own key."""
    own, rest = _object(question, definitions), _object(options, definitions)
    nested = kind not in own["properties"]
    properties = {kind: own} if nested else own["properties"]
    required = [kind] if nested else own.get("required", [kind])
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [*required, *rest.get("required", [])],
        "properties": {**rest["properties"], **properties},
    }


def _derived(link: str, definitions: dict[str, Any]) -> dict[str, Any]:
    options = _object(FigureOptions, definitions)
    options["properties"][link] = {"type": "string"}
    options["required"] = [link]
    return options
