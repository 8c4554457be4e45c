"""Which options took checks away from a run?"""

from __future__ import annotations

import pytest

from watchkeeper.pytest_plugin.account import STOPS


def narrowed(config: pytest.Config) -> tuple[str, ...]:
    """The options that narrowed the run, as people type them: ("-k", "--lf")."""
    option = config.option
    given = (
        ("-k", option.keyword),
        ("--lf", getattr(option, "lf", False)),
        (STOPS, option.maxfail),
        ("--deselect", option.deselect),
        ("a path", config.args_source is not config.ArgsSource.TESTPATHS),
    )
    return tuple(flag for flag, used in given if used)
