"""Sentences that judge. After Given they are preconditions: unmet, the scenario is blocked."""

from watchkeeper.limits import Limit, parse_limit
from watchkeeper.meaning import (
    Cause,
    Cell,
    Change,
    Changed,
    Contains,
    Diagnosis,
    Elapsed,
    Extent,
    Meaning,
    OneNew,
    Reading,
    Readings,
    Report,
    Subject,
    Tense,
)
from watchkeeper.pytest_plugin.words import Table, rows_of, word
from watchkeeper.units import duration_s


@word("{tense}its {figure} {is} {limit}", "given", "then")
def figure_is(tense: Tense | None, figure: str, limit: Limit) -> Meaning:
    """A figure keeps a limit: `Then its number of active sessions is below 5, at worst 10`."""
    return Reading(Subject(figure), limit, tense)


@word("{tense}the {column} of {row} {is} {limit}", "given", "then")
def cell_is(tense: Tense | None, column: str, row: str, limit: Limit) -> Meaning:
    """A column of a row keeps a limit: `Then the status of that request is Pending`."""
    return Reading(Cell(column, row), limit, tense)


@word("{tense}its figures {is} within these limits:", "given", "then")
def figures_are(tense: Tense | None, datatable: Table) -> Meaning:
    """Several figures keep theirs: a table of figure and limit."""
    rows = rows_of(datatable, "figure", "limit")
    return Readings(
        tuple(Reading(Subject(figure), parse_limit(limit), tense) for figure, limit in rows)
    )


@word("{tense}its {figure} {is} {limit}, or else for one of these causes:", "then")
def figure_is_or_else(tense: Tense | None, figure: str, limit: Limit, datatable: Table) -> Meaning:
    """A figure keeps a limit, or the cause is named: a table of cause, sign and is."""
    rows = rows_of(datatable, "cause", "sign", "is")
    causes = (Cause(cause, Reading(Subject(sign), parse_limit(told))) for cause, sign, told in rows)
    return Diagnosis(Reading(Subject(figure), limit, tense), tuple(causes))


@word("{tense}it {has} no {list}", "given", "then")
def has_no(tense: Tense | None, list: str) -> Meaning:
    """A list is empty: `Then over the last 24 hours it had no failed requests`."""
    return Reading(Subject(list), parse_limit("none"), tense)


@word("{tense}its {list} include:", "given", "then")
@word("{tense}its {list} includes:", "given", "then")
def list_includes(tense: Tense | None, list: str, datatable: Table) -> Meaning:
    """A list has these rows, among others."""
    return Contains(list, datatable[0], datatable[1:], tense=tense)


@word("{tense}its {list} include only:", "given", "then")
def list_includes_only(tense: Tense | None, list: str, datatable: Table) -> Meaning:
    """A list has these rows and no others."""
    return Contains(list, datatable[0], datatable[1:], only=True, tense=tense)


@word("{tense}its {list} include in this order:", "given", "then")
def list_includes_in_order(tense: Tense | None, list: str, datatable: Table) -> Meaning:
    """A list has these rows, in this order, others between them."""
    return Contains(list, datatable[0], datatable[1:], in_order=True, tense=tense)


@word("of its {list} {extent} {selection} {change}", "then")
def rows_changed(list: str, extent: str, selection: str, change: str) -> Meaning:
    """What became of rows: `Then of its requests exactly the failed requests changed`."""
    became = Change(change.removeprefix("are ").removeprefix("is "))
    return Changed(list, Extent(extent), selection, became)


@word("exactly one of its {list} is new", "then")
def one_is_new(list: str) -> Meaning:
    """One row has come since the scenario began, later "that …"."""
    return OneNew(list)


@word("{tense}the report lists its {list}", "given", "then")
def report_lists(tense: Tense | None, list: str) -> Meaning:
    """The report shows a list or figure; passes once it is read."""
    return Report((list,), tense)


@word("{tense}the report lists its figures:", "given", "then")
def report_lists_figures(tense: Tense | None, datatable: Table) -> Meaning:
    """The report shows several figures: a table with one column, figure."""
    return Report(tuple(figure for (figure,) in rows_of(datatable, "figure")), tense)


@word("{tense}the report lists its figures beside those of the {duration} before:", "given", "then")
def report_lists_beside(tense: Tense | None, duration: str, datatable: Table) -> Meaning:
    """The report shows figures with their trend: a table with one column, figure."""
    return Report(
        tuple(row[0] for row in rows_of(datatable, "figure")), tense, duration_s(duration)
    )


@word("no more than {duration} have passed since the start", "then")
def no_more_than(duration: str) -> Meaning:
    """The scenario was quick enough."""
    return Elapsed(duration_s(duration), duration)
