"""Which ways of changing are there, by the word that a target file uses?"""

from __future__ import annotations

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
from watchkeeper.services import Model

OPERATORS: dict[str, Operator[Any]] = {
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
"""The key in an operation, to the operator that does it."""

ORDERS: dict[str, type[Model]] = {
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
"""The key in an operation, to the shape of what may be ordered."""
