"""Sentences that change something."""

from watchkeeper.limits import Limit
from watchkeeper.meaning import Meaning, Operate, Reading, Subject, TryInTurn
from watchkeeper.pytest_plugin.words import Table, rows_of, word
from watchkeeper.units import duration_s


@word("the operator {operation}", "when")
def the_operator(operation: str) -> Meaning:
    """Does something: `When the operator backs up the database`."""
    return Operate(operation)


@word("the operator tries in turn, until its {figure} {is} {limit}:", "when")
def tries_in_turn(figure: str, limit: Limit, datatable: Table) -> Meaning:
    """Does one thing after another until a limit is kept: a table of operation and for at most."""
    rows = rows_of(datatable, "operation", "for at most")
    attempts = tuple((operation, duration_s(length)) for operation, length in rows)
    return TryInTurn(Reading(Subject(figure), limit), attempts)
