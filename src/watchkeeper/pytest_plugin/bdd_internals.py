"""The one place that knows what pytest-bdd keeps inside; its contract tests name each piece.

Used: `scenario_wrapper_template_registry` and `ScenarioTemplate.render` (to know an item's steps
before it runs), `get_gherkin_document` (parsed once, for the lint and for pytest-bdd),
`get_step_function` (replaced by an index, since looking a step up costs more than running it), and
`signature` and `get_required_args` (remembered: all words are one function to pytest-bdd, and it
inspects that anew, twice for each step). Of pytest itself: `Node._id`.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import pytest_bdd
import pytest_bdd.parser
from _pytest.nodeid import coerce_node_id
from pytest_bdd.exceptions import GherkinParseError
from pytest_bdd.gherkin_parser import GherkinDocument, get_gherkin_document
from pytest_bdd.parser import Scenario, Step
from pytest_bdd.steps import StepFunctionContext

from watchkeeper.pytest_plugin.words import DICTIONARY, _carry_out

# pytest_bdd.scenario, the attribute, is the decorator; the module is reached by its name.
_scenario_module: Any = sys.modules["pytest_bdd.scenario"]


_KEYWORDS = (
    *("Feature", "Rule", "Background", "Scenario", "Examples"),
    *("Given", "When", "Then", "And", "But"),
)


def rename(item: pytest.Item, name: str) -> None:
    """Call `item` by another name, in its node id too; pytest has no way of its own."""
    item._id = coerce_node_id(item.nodeid.removesuffix(item.name) + name)
    item.name = name


class Unreadable(ValueError):
    """A feature file that is no Gherkin; `line` counts from 1."""

    def __init__(self, problem: str, line: int) -> None:
        self.line = line
        super().__init__(problem)


@lru_cache(maxsize=256)
def _document(path: str, encoding: str = "utf-8") -> GherkinDocument:
    return get_gherkin_document(path, encoding)


def document(path: Path) -> GherkinDocument:
    """The parsed feature file, every scenario of it; raises Unreadable."""
    try:
        return _document(str(path))
    except GherkinParseError as error:
        raise _unreadable(error) from None
    except (KeyError, TypeError):  # an empty file has no feature, which pytest-bdd trips over
        raise Unreadable('there is no "Feature:"', 1) from None
    except UnicodeDecodeError as error:
        before = path.read_bytes()[: error.start]
        raise Unreadable("is not UTF-8", before.count(b"\n") + 1) from None


def _unreadable(error: GherkinParseError) -> Unreadable:
    """What is wrong with the first line that the parser stumbled over, in our words."""
    written = error.line_content.strip()
    if written.startswith("|"):
        return Unreadable("the row has another number of cells than the one above it", error.line)
    if written.startswith("Feature:"):
        return Unreadable("a file has one Feature; give this one its own file", error.line)
    if not written:
        return Unreadable('the file ends too early, or a """ is not closed', error.line)
    near = difflib.get_close_matches(written.partition(":")[0].split(" ")[0], _KEYWORDS, 1, 0.7)
    advice = ""
    if near and near[0] == written.partition(":")[0].split(" ")[0]:
        advice = '; "Feature:" and "Scenario:" stand above steps'
    elif near:
        advice = f'; did you mean "{near[0]}"?'
    return Unreadable(f'"{written}" can\'t stand here{advice}', error.line)


def bound(path: Path, name: str) -> Callable[..., Any]:
    """The test function that pytest-bdd makes of one scenario."""

    @pytest_bdd.scenario(path.name, name, features_base_dir=str(path.parent))
    def run() -> None:
        """The steps are the test."""

    return run


def rendered(item: pytest.Function) -> Scenario | None:
    """The scenario that `item` runs, with its row filled in; None for an ordinary test."""
    template = _scenario_module.scenario_wrapper_template_registry.get(item.obj)
    if template is None:
        return None
    scenario: Scenario = template.render(example_of(item))
    return scenario


def example_of(item: pytest.Function) -> dict[str, str]:
    """The row of the outline, by column; empty outside outlines."""
    callspec = getattr(item, "callspec", None)
    return dict(callspec.params.get("_pytest_bdd_example", {})) if callspec else {}


def table_of(step: Step) -> tuple[tuple[str, ...], ...] | None:
    """The step's data table as rows of texts."""
    if step.datatable is None:
        return None
    return tuple(tuple(str(cell.value) for cell in row.cells) for row in step.datatable.rows)


def install() -> None:
    """Let pytest-bdd use the parsed documents and the index of words."""
    pytest_bdd.parser.get_gherkin_document = _document  # type: ignore[attr-defined] # imported there
    if _scenario_module.get_step_function is not _indexed:
        global _own_lookup  # noqa: PLW0603 - pytest-bdd's own function, kept for other steps
        _own_lookup = _scenario_module.get_step_function
        _scenario_module.get_step_function = _indexed
        for name in ("signature", "get_required_args"):
            remembered = lru_cache(maxsize=1_024)(getattr(_scenario_module, name))
            setattr(_scenario_module, name, remembered)


_own_lookup: Callable[..., StepFunctionContext | None] = _scenario_module.get_step_function


def _indexed(request: pytest.FixtureRequest, step: Step) -> StepFunctionContext | None:
    """The step function by its text; pytest-bdd's own search for steps that are no words."""
    return _index(step.type, step.name) or _own_lookup(request, step)


@lru_cache(maxsize=20_000)
def _index(kind: str, text: str) -> StepFunctionContext | None:
    for word in DICTIONARY.words:
        if (not word.kinds or kind in word.kinds) and word.parser.is_matching(text):
            return StepFunctionContext(None, _carry_out, word.parser)
    return None
