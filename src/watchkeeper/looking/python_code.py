"""Which function does "targets.media_management:lock_state" name, and where did it fail?"""

from __future__ import annotations

import importlib
import re
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator

from watchkeeper.errors import ConfigurationError

_SPELLED = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def _spelled(text: str) -> str:
    if not _SPELLED.fullmatch(text):
        raise ValueError(f'"{text}" names no function; write for example "targets.shop:lost_files"')
    return text


FunctionName = Annotated[str, AfterValidator(_spelled)]
"""A module and a function in it: "targets.media_management:lock_state"."""


def function_named(name: str) -> Callable[..., Any]:
    """The function; raises ConfigurationError where there is none."""
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigurationError(f"{module_name} can't be imported: {error}") from error
    found = getattr(module, attribute, None)
    if not callable(found):
        raise ConfigurationError(f"{module_name} has no function {attribute}")
    return found  # type: ignore[no-any-return]


def where_it_failed(error: BaseException, name: str) -> str:
    """ "targets/x.py line 12: KeyError": the place and the kind, without any value.

    Messages and variables of a stranger's exception may hold secrets, so none is passed on.
    """
    module_file = name.partition(":")[0].replace(".", "/") + ".py"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).as_posix().endswith(module_file)
    ]
    place = f"{module_file} line {frames[-1].lineno}" if frames else name
    return f"{place}: {type(error).__name__}"
