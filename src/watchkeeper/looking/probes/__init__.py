"""Which ways of looking are there, by the word that a target file uses?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from watchkeeper.extensions import PROBE, Extended, words_of
from watchkeeper.looking.probes import (
    browser,
    certificate,
    command,
    container,
    file,
    host,
    http,
    log,
    metric,
    python,
    sql,
)
from watchkeeper.looking.reach import Probe
from watchkeeper.services import Model
from watchkeeper.targets import DERIVING, FigureOptions

# The heavy drivers (SQLAlchemy, psutil, docker) are imported by the looks that need them.
_BUILT_IN_PROBES: dict[str, Probe[Any]] = {
    "http": http.PROBE,
    "browser": browser.PROBE,
    "sql": sql.PROBE,
    "metric": metric.PROBE,
    "certificate": certificate.PROBE,
    "log": log.PROBE,
    "file": file.PROBE,
    "host": host.PROBE,
    "command": command.PROBE,
    "container": container.PROBE,
    "python": python.PROBE,
}

_BUILT_IN_QUESTIONS: dict[str, type[Model]] = {
    "http": http.Question,
    "browser": browser.Question,
    "sql": sql.Question,
    "metric": metric.Question,
    "certificate": certificate.Question,
    "log": log.Question,
    "file": file.Question,
    "host": host.Question,
    "command": command.Question,
    "container": container.Question,
    "python": python.Question,
}

_RESERVED = (*words_of(FigureOptions, *_BUILT_IN_QUESTIONS.values()), *DERIVING)
"""What a figure says beside its question: no probe can be called so."""

PROBES: Mapping[str, Probe[Any]] = Extended(
    _BUILT_IN_PROBES, PROBE, lambda module: module.PROBE, _RESERVED
)
"""The key in a figure, to the probe that answers it."""

QUESTIONS: Mapping[str, type[Model]] = Extended(
    _BUILT_IN_QUESTIONS, PROBE, lambda module: module.Question, _RESERVED
)
"""The key in a figure, to the shape of what may be asked."""
