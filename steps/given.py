"""Sentences that set a scenario's scene."""

from watchkeeper.meaning import Enter, Meaning, Pick, Undo
from watchkeeper.pytest_plugin.words import word


@word("{system}", "given")
def the_system(system: str) -> Meaning:
    """The scenario is about this system: `Given the media manager`."""
    return Enter(system)


@word("one of its {list}", "given")
def one_of(list: str) -> Meaning:
    """Picks one row, later "that …"; where there is none, the scenario is not run."""
    return Pick(list)


@word("that afterwards the operator {operation}", "given")
def afterwards(operation: str) -> Meaning:
    """Undoes what the scenario does, whatever happens."""
    return Undo(operation)


@word("that on failure the operator {operation}", "given")
def on_failure(operation: str) -> Meaning:
    """Undoes what the scenario did, where it does not end well."""
    return Undo(operation, only_on_failure=True)
