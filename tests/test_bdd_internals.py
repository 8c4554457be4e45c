"""Contract tests: which of pytest-bdd's internals are used, and what breaks where one is gone.

pytest-bdd may change these in any release; then this file says so first, and in one sentence each.
"""

from __future__ import annotations

import inspect
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import pytest_bdd
import pytest_bdd.parser
from pytest_bdd.gherkin_parser import GherkinDocument, get_gherkin_document
from pytest_bdd.parser import Feature, FeatureParser, ScenarioTemplate, Step
from pytest_bdd.parsers import StepParser
from pytest_bdd.steps import StepFunctionContext

from watchkeeper.pytest_plugin import bdd_internals

SCENARIO = sys.modules["pytest_bdd.scenario"]
FEATURE = """\
@daily
Feature: Contract

  Rule: One

    @P1
    Scenario Outline: Two
      Given <what>
        | a | b |
        | 1 | 2 |

      Examples:
        | what |
        | tea  |
"""


@pytest.fixture
def feature(tmp_path: Path) -> Path:
    path = tmp_path / "contract.feature"
    path.write_text(FEATURE)
    return path


def parsed(path: Path) -> Feature:
    return FeatureParser(str(path.parent), path.name).parse()


def test_the_version_is_one_these_contracts_were_read_in() -> None:
    """Bump the two together: pytest-bdd 8.1 fails every scenario on pytest 9.2."""
    assert version("pytest-bdd").startswith("9.0.")
    assert version("pytest").startswith("9.2.")


def test_the_module_scenario_is_hidden_by_its_decorator() -> None:
    """`pytest_bdd.scenario` is the function; patches go through sys.modules, or patch nothing."""
    assert callable(pytest_bdd.scenario)
    assert inspect.ismodule(SCENARIO)


def test_the_registry_of_templates(feature: Path) -> None:
    """`scenario_wrapper_template_registry`: without it steps would be known only by running."""
    run = bdd_internals.bound(feature, "Two")
    template = SCENARIO.scenario_wrapper_template_registry[run]
    assert isinstance(template, ScenarioTemplate)


def test_a_template_renders_a_row(feature: Path) -> None:
    """`ScenarioTemplate.render`: without it the plan would hold <what> instead of tea."""
    (template,) = parsed(feature).scenarios.values()
    (step,) = template.render({"what": "tea"}).steps
    assert (step.type, step.name, step.line_number) == ("given", "tea", 8)
    assert bdd_internals.table_of(step) == (("a", "b"), ("1", "2"))


def test_a_rendered_scenario_has_what_the_heading_needs(feature: Path) -> None:
    """Tags, Rule, feature, description, line: without them ids and levels would be lost."""
    (template,) = parsed(feature).scenarios.values()
    scenario = template.render({"what": "tea"})
    assert scenario.tags == {"P1"}
    assert scenario.feature.tags == {"daily"}
    assert scenario.rule is not None
    assert scenario.rule.name == "One"
    assert scenario.description == ""
    assert scenario.line_number == 7


def test_the_document_keeps_what_the_dictionary_loses(feature: Path) -> None:
    """`get_gherkin_document`: the lint needs duplicate names, which pytest-bdd's dict has lost."""
    document = get_gherkin_document(str(feature))
    assert isinstance(document, GherkinDocument)
    rule = document.feature.children[0].rule
    assert rule is not None
    scenario = rule.children[0].scenario
    assert scenario is not None
    assert scenario.location.line == 7
    assert [tag.name for tag in scenario.tags] == ["@P1"]
    assert scenario.examples[0].table_header is not None


def test_the_parser_looks_the_document_up_by_that_name() -> None:
    """`pytest_bdd.parser.get_gherkin_document` is replaced, so that a file is parsed once."""
    assert "get_gherkin_document" in vars(pytest_bdd.parser)
    assert "get_gherkin_document(" in inspect.getsource(pytest_bdd.parser)


def test_the_step_look_up_is_one_function_of_the_module() -> None:
    """`get_step_function` is replaced by an index; elsewhere it would silently stay as slow."""
    source = inspect.getsource(SCENARIO)
    assert "get_step_function(request=request, step=step)" in source.replace("\n", "")
    names = list(inspect.signature(bdd_internals._own_lookup).parameters)
    assert names == ["request", "step"]


def test_a_step_function_context_takes_three() -> None:
    """(type, function, parser): what the index hands to pytest-bdd."""
    names = list(inspect.signature(StepFunctionContext).parameters)
    assert names[:3] == ["type", "step_func", "parser"]


def test_a_step_parser_can_be_our_own() -> None:
    """`StepParser` is public: is_matching and parse_arguments are all that is asked of it."""
    assert {"is_matching", "parse_arguments"} <= set(StepParser.__abstractmethods__)


def test_the_row_of_an_outline_has_its_name() -> None:
    """`_pytest_bdd_example`: under another name every row would be planned as the first."""
    assert "_pytest_bdd_example" in inspect.getsource(SCENARIO)


def test_steps_know_their_own_kind() -> None:
    """`Step.type` is given, when or then, also after And."""
    assert {"type", "name", "line_number", "keyword", "datatable"} <= set(
        inspect.signature(Step).parameters
    )


def test_an_unreadable_file_is_told_in_our_words(tmp_path: Path) -> None:
    """Whatever the parser raises: no traceback for a user's mistake."""
    path = tmp_path / "x.feature"
    misspelt = "Feature: x\n\n  @a\n  Scenaro: y\n    Given z\n"
    for text, line in (("", 1), ("words\n", 1), (misspelt, 4)):
        path.write_text(text)
        bdd_internals._document.cache_clear()
        with pytest.raises(bdd_internals.Unreadable) as caught:
            bdd_internals.document(path)
        assert caught.value.line == line
