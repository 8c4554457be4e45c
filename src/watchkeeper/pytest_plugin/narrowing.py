"""Does a run cover its whole profile, or was it narrowed, and by what?"""

from __future__ import annotations

import pytest


def narrowed(config: pytest.Config) -> str:
    """Why the run claims less than its profile: "narrowed by -k"; "" where it does not."""
    option = config.option
    reasons = [
        flag
        for flag, given in (
            ("-k", option.keyword),
            ("--lf", getattr(option, "lf", False)),
            ("-x", option.maxfail),
            ("--deselect", option.deselect),
            ("a path", config.args_source is not config.ArgsSource.TESTPATHS),
        )
        if given
    ]
    return f"narrowed by {', '.join(reasons)}" if reasons else ""
