"""Sentences that change something."""

from watchkeeper.meaning import Meaning, Operate
from watchkeeper.pytest_plugin.words import word


@word("the operator {operation}", "when")
def the_operator(operation: str) -> Meaning:
    """Does something: `When the operator backs up the database`."""
    return Operate(operation)
