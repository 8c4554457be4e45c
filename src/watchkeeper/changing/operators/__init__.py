"""Which ways of changing are there, by the word that a target file uses?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from watchkeeper.changing.operator import Operator
from watchkeeper.changing.operators import (
    browser,
    command,
    container,
    files,
    http,
    process,
    python,
    script,
    sql,
)
from watchkeeper.extensions import OPERATOR, Extended, words_of
from watchkeeper.services import Model
from watchkeeper.targets import OperationOptions

_BUILT_IN_OPERATORS: dict[str, Operator[Any]] = {
    "http": http.OPERATOR,
    "browser": browser.OPERATOR,
    "command": command.OPERATOR,
    "container": container.OPERATOR,
    "process": process.OPERATOR,
    "sql": sql.OPERATOR,
    "sql script": script.OPERATOR,
    "files": files.OPERATOR,
    "python": python.OPERATOR,
}

_BUILT_IN_ORDERS: dict[str, type[Model]] = {
    "http": http.Order,
    "browser": browser.Order,
    "command": command.Order,
    "container": container.Order,
    "process": process.Order,
    "sql": sql.Order,
    "sql script": script.Order,
    "files": files.Order,
    "python": python.Order,
}

_RESERVED = words_of(OperationOptions, *_BUILT_IN_ORDERS.values())
"""What an operation says beside its order: no operator can be called so."""

OPERATORS: Mapping[str, Operator[Any]] = Extended(
    _BUILT_IN_OPERATORS, OPERATOR, lambda module: module.OPERATOR, _RESERVED
)
"""The key in an operation, to the operator that does it."""

ORDERS: Mapping[str, type[Model]] = Extended(
    _BUILT_IN_ORDERS, OPERATOR, lambda module: module.Order, _RESERVED
)
"""The key in an operation, to the shape of what may be ordered."""
