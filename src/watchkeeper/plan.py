"""What a scenario will look at and do, known from its sentences before anything is touched."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from watchkeeper.errors import CouldNotObserve
from watchkeeper.limits import Limit, parse_limit
from watchkeeper.meaning import (
    JUDGEMENTS,
    Cell,
    Changed,
    Contains,
    Enter,
    Meaning,
    OneNew,
    Operate,
    Pick,
    Reading,
    Report,
    Subject,
    Tenses,
    TryInTurn,
    Undo,
    parse_tense,
    readings_of,
)
from watchkeeper.nouns import Named, filled, quotable
from watchkeeper.services import Model
from watchkeeper.targets import (
    PERMISSIONS,
    Figure,
    Operation,
    Permission,
    System,
    Target,
    services_in,
    unset_variables,
)
from watchkeeper.units import SECOND
from watchkeeper.yaml_file import nearest

_LATE = re.compile(r"\{((?:made|that|before|answer)\.[^}]+)\}")
_BEFORE = re.compile(r"\{before\.([^}]+)\}")
_HOUR_S = 3_600
_OVER_A_TIME = (":since", "{window.", "{window}", '"range": "window"')  # what only a window fills
EACH_CHANGED = "each of the changed "
"""How a sentence speaks of the rows that an earlier one found changed."""
EACH = "each of its "
"""How a sentence speaks of all rows of a list."""


class PlanError(ValueError):
    """A sentence that can't be carried out: what is wrong, and what to write instead."""


@dataclass(frozen=True)
class Written:
    """A step as it stands in the feature. `line` counts from 1."""

    keyword: str
    text: str
    line: int
    meaning: Meaning


@dataclass(frozen=True)
class Look:
    """One figure to be read. `noun` is its name with what the sentence filled in.

    `window_s`: how long the stretch is that it is read over, `ago_s`: how long ago that ended.

    `late`: parts of the question are known only while the scenario runs.
    """

    noun: str
    figure: Figure
    arguments: tuple[tuple[str, str], ...]
    window_s: float | None = None
    ago_s: float = 0.0

    @cached_property
    def question(self) -> Model:
        """The question with the sentence's texts and the window filled in."""
        stands_for = quotable(self.figure.probe, dict(self.arguments))
        if self.window_s is not None:
            stands_for["window"] = f"{round(self.window_s * 1000)}ms"  # as PromQL writes it
            stands_for["window.hours"] = f"{self.window_s / _HOUR_S:.10g}"
            stands_for["window.seconds"] = f"{self.window_s:.10g}"  # not 2.592e+06
        asked = self.figure.question
        if stands_for:
            asked = _filled(asked, stands_for)
        return composed(self.figure, asked, self.window_s is not None)

    @cached_property
    def late(self) -> bool:
        return bool(_LATE.search(_dumped(self.question)))

    @property
    def services(self) -> tuple[str, ...]:
        return services_in(self.figure.question)


@dataclass(frozen=True)
class Attempt:
    """One operation of several that are tried in turn; `seconds`: how long its effect may take."""

    step: Step
    seconds: float


@dataclass(frozen=True)
class Step:
    """A step with what it needs.

    `looks` by noun, the `operation` it does, what must hold once it is done (`leaves`), and what it
    tries in turn.
    """

    written: Written
    looks: tuple[Look, ...] = ()
    operation: Operation | None = None
    verb_arguments: tuple[tuple[str, str], ...] = ()
    precondition: bool = False
    leaves: tuple[Reading, ...] = ()
    attempts: tuple[Attempt, ...] = ()

    @property
    def meaning(self) -> Meaning:
        return self.written.meaning

    @property
    def written_verb(self) -> str:
        """The operation as the sentence has it: 'requests "The Matrix"'."""
        return self.meaning.verb if isinstance(self.meaning, Operate | Undo) else ""

    def look(self, noun: str) -> Look:
        return next(look for look in self.looks if look.noun == noun)

    @property
    def changes_something(self) -> bool:
        return isinstance(self.meaning, Operate | TryInTurn)


@dataclass(frozen=True, kw_only=True)
class Heading:
    """What stands above a scenario's steps."""

    ids: tuple[str, ...]
    level: str
    name: str
    row: str
    permission: Permission
    feature: str
    rule: str
    path: Path
    line: int
    advice: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Scenario(Heading):
    """One scenario, or one row of an outline, ready to run."""

    system: System
    steps: tuple[Step, ...]

    @property
    def only_looks(self) -> bool:
        return self.permission == "looking"

    @property
    def looks_ahead(self) -> Iterator[Look]:
        """The looks that may be started before it: those that nothing it does can change."""
        if not self.only_looks:
            return
        for step in self.steps:
            for look in step.looks:
                if not look.late and not look.figure.alone and not _waits(step.meaning):
                    yield look

    @property
    def operations(self) -> tuple[Operation, ...]:
        return tuple(doing.operation for doing in self.doings if doing.operation is not None)

    @property
    def doings(self) -> tuple[Step, ...]:
        """Every step that does something, those that are tried in turn one by one."""
        return tuple(step for step in self.every_step if step.operation is not None)

    @property
    def every_step(self) -> tuple[Step, ...]:
        """The steps, and those that a step tries in turn."""
        return tuple(
            each
            for step in self.steps
            for each in (step, *(attempt.step for attempt in step.attempts))
        )


@dataclass(frozen=True)
class Complaint:
    """What is wrong on one line of a feature."""

    line: int
    problem: str


def plan(
    heading: Heading, written: Iterable[Written], systems: Mapping[str, System]
) -> Scenario | tuple[Complaint, ...]:
    """The scenario, or everything that is wrong with it. `systems` by what sentences call them."""
    steps = tuple(written)
    system, complaints = _system(heading, steps, systems)
    if system is None:
        return complaints
    planned: list[Step] = []
    problems: list[Complaint] = []
    operated = False
    for step in steps:
        try:
            planned.append(_step(system, heading, step, operated, tuple(planned)))
        except PlanError as error:
            problems.append(Complaint(step.line, str(error)))
        operated = operated or isinstance(step.meaning, Operate | TryInTurn)
    if not any(isinstance(step.meaning, JUDGEMENTS) for step in steps):
        problems.append(Complaint(heading.line, f'"{heading.name}" judges nothing; add a Then'))
    if problems:
        return tuple(problems)
    return Scenario(**vars(heading), system=system, steps=tuple(planned))


def _system(
    heading: Heading, steps: tuple[Written, ...], systems: Mapping[str, System]
) -> tuple[System | None, tuple[Complaint, ...]]:
    entered = [step for step in steps if isinstance(step.meaning, Enter)]
    if len(entered) != 1 or steps[0] is not entered[0]:
        known = " or ".join(f'"Given {called}"' for called in systems)
        problem = f'"{heading.name}" does not begin with its one system; write {known}'
        return None, (Complaint(heading.line, problem),)
    system = systems[cast(Enter, entered[0].meaning).called]
    others = {each.slug for each in systems.values()} - {system.slug}
    strange = others & set(heading.tags)
    if strange:
        problem = f'"{heading.name}" is about {system.called}, and its tag is @{min(strange)}'
        return None, (Complaint(entered[0].line, problem),)
    return system, ()


def _step(
    system: System, heading: Heading, step: Written, operated: bool, before: tuple[Step, ...]
) -> Step:
    meaning = step.meaning
    if isinstance(meaning, Operate | Undo):
        return _doing(system, heading, step, meaning.verb)
    if isinstance(meaning, TryInTurn):
        return _trying(system, heading, step, meaning, before)
    looks = tuple(_looks(system, meaning, before))
    precondition = step.keyword == "Given" and isinstance(meaning, JUDGEMENTS)
    for limit in (reading.limit for reading in readings_of(meaning)):
        if (limit.needs_before or limit.needs_after) and not operated:
            raise PlanError(
                f'"{limit.text}" compares with before, but nothing is done before; '
                'an operation must come first: "When the operator …"'
            )
        _refuse_unsupported(limit)
    return Step(step, looks, precondition=precondition)


def _refuse_unsupported(limit: Limit) -> None:
    """Refuse what would be read and then not be kept: a limit half kept is a green lie."""
    if limit.history is not None and limit.history.days is not None:
        raise PlanError(f'"{limit.text}" compares with earlier values, which are not kept yet')
    if limit.tolerating_s is not None:
        raise PlanError(f'"{limit.text}" tolerates for a time, which only alerts can do')


def _doing(system: System, heading: Heading, step: Written, verb: str) -> Step:
    named = system.operation_verbs.find(verb)
    if named is None:
        raise PlanError(
            f'{system.called} has no operation "{verb}" in {system.path.name}; '
            f"{system.operation_verbs.nearest(verb)}".rstrip("; ")
        )
    operation = system.operations[named.name]
    effect = operation.options.effect
    if PERMISSIONS.index(effect) > PERMISSIONS.index(heading.permission):
        raise PlanError(
            f'"{verb}" {"destroys" if effect == "destroys" else "changes"} something, but the '
            f"scenario is not tagged @{effect}"
        )
    leaves = tuple(_left(system, operation, noun, text) for noun, text in _leaves(operation, named))
    needed = dict.fromkeys(_BEFORE.findall(_dumped(operation.order)))
    looks = [_look(system, noun, None) for noun in needed]
    for reading in leaves:
        looks += _reading(system, reading, ())
    looks += _touched(system, operation)
    return Step(step, tuple(looks), operation, named.arguments, leaves=leaves)


def _leaves(operation: Operation, named: Named) -> Iterator[tuple[str, str]]:
    """What must hold when it is done; the sentence's texts stand in it as they do in the order."""
    for noun, text in operation.options.leaves.items():
        yield str(filled(noun, dict(named.arguments))), str(filled(text, dict(named.arguments)))


def _left(system: System, operation: Operation, noun: str, text: str) -> Reading:
    """ "up", or "up within 2 minutes" where it takes a while to come true."""
    limit, _, length = text.partition(" within ")
    try:
        tense = parse_tense(f"within {length}") if length else None
        return Reading(Subject(noun), parse_limit(limit), tense)
    except ValueError as error:
        raise PlanError(
            f'"{operation.name}" in {system.path.name} leaves {noun}: {error}'
        ) from None


def _touched(system: System, operation: Operation) -> Iterator[Look]:
    """The list of which it touches rows, so that what is selected is known before."""
    touches = operation.options.touches
    if touches is not None and not touches.startswith("that "):
        look = _list(system, touches, None)
        if look.figure.options.key is None or look.figure.probe != "sql":
            raise PlanError(
                f'"{touches}", which "{operation.name}" touches, is no SQL list with a key'
            )
        yield look


def _trying(
    system: System, heading: Heading, step: Written, meaning: TryInTurn, before: tuple[Step, ...]
) -> Step:
    looks = tuple(_reading(system, meaning.until, before))
    attempts = []
    for verb, seconds in meaning.attempts:
        written = Written(step.keyword, f"the operator {verb}", step.line, Operate(verb))
        attempts.append(Attempt(_doing(system, heading, written, verb), seconds))
    return Step(step, looks, attempts=tuple(attempts))


def _looks(system: System, meaning: Meaning, before: tuple[Step, ...]) -> Iterator[Look]:
    tense = getattr(meaning, "tense", None)
    if tense is not None and tense.kind is Tenses.MEANWHILE:
        raise PlanError(
            '"meanwhile" needs something that is going on, and no sentence says that yet; '
            'write for example "within 2 minutes"'
        )
    for reading in readings_of(meaning):
        yield from _reading(system, reading, before)
    if isinstance(meaning, Report):
        for noun in meaning.nouns:
            look = _look(system, noun, _window_s(meaning))
            yield look
            if meaning.beside_s is not None:
                yield _beside(look, meaning.beside_s)
    elif isinstance(meaning, Contains | OneNew | Pick | Changed):
        look = _list(system, meaning.noun, _window_s(meaning))
        if isinstance(meaning, Contains):
            _known_columns(look, meaning.columns)
        if isinstance(meaning, OneNew | Changed | Pick) and look.figure.options.key is None:
            raise PlanError(
                f'the rows of "{meaning.noun}" have no key to tell them apart; give it one in '
                f"{system.path.name}: key: id"
            )
        yield look
        if isinstance(meaning, Changed):
            yield from _selection(system, meaning, before)


def _beside(look: Look, stretch_s: float) -> Look:
    """The same figure over the stretch before."""
    if look.window_s is None:
        raise PlanError(
            f'"{look.noun}" is shown beside what it was, so it needs a time; write for example '
            '"over the last 7 days the report lists …"'
        )
    return replace(look, window_s=stretch_s, ago_s=look.window_s)


def _selection(system: System, meaning: Changed, before: tuple[Step, ...]) -> Iterator[Look]:
    if meaning.selection.startswith("that "):
        _named_row(meaning.selection, before)
        return
    look = _list(system, meaning.selection.removeprefix("the "), None)
    if look.figure.options.key is None:
        raise PlanError(f'the rows of "{look.noun}" have no key to tell them apart')
    yield look


def _named_row(of: str, before: tuple[Step, ...]) -> Look:
    """The list of which "that row" is one."""
    for step in before:
        if isinstance(step.meaning, OneNew | Pick) and of == f"that {step.looks[0].figure.one}":
            return step.looks[0]
    raise PlanError(f'"{of}" was not named before; write for example "exactly one of its … is new"')


def _reading(system: System, reading: Reading, before: tuple[Step, ...]) -> Iterator[Look]:
    limit = reading.limit
    window_s = _window_s(reading)
    if isinstance(reading.subject, Cell):
        yield from _cell(system, reading.subject, before, window_s)
        unit, words = None, None
    else:
        look = _look(system, reading.subject.noun, window_s)
        yield look
        unit = look.figure.unit
        if look.figure.options.measures == "duration":
            unit = SECOND
        words = look.figure.words
    misfit = limit.check(unit, words) if isinstance(reading.subject, Subject) else None
    if misfit:
        raise PlanError(misfit)
    for other in limit.others:
        yield _look(system, other, window_s)
    if limit.where_any:
        yield _look(system, limit.where_any, window_s)
    if limit.history is not None and limit.history.days is None:
        if isinstance(reading.subject, Cell):
            raise PlanError(f'"{limit.text}" is of a figure, and "{reading.subject}" is a cell')
        yield _earlier(look, limit)


def earlier_noun(noun: str, limit: Limit) -> str:
    """What the look at the earlier ones is called, beside the look at the newest."""
    return f"{noun}, {limit.history.count if limit.history else 0} before it"


def _earlier(look: Look, limit: Limit) -> Look:
    """The look at the ones before the newest, of which `look` tells a number."""
    figure, options = look.figure, look.figure.options
    ask: Callable[[int], Model | None] | None = getattr(figure.question, "earlier", None)
    question = ask(limit.history.count) if ask is not None and limit.history is not None else None
    if question is None or options.pick is None:
        raise PlanError(
            f'"{limit.text}" compares with the ones before it; only a figure of a file has them '
            f'that says "newest: 1" and what to "pick"'
        )
    noun = earlier_noun(look.noun, limit)
    rows = options.model_copy(update={"pick": None, "rows": f".[] | {options.pick}"})
    return replace(
        look, noun=noun, figure=replace(figure, name=noun, question=question, options=rows)
    )


def _cell(
    system: System, cell: Cell, before: tuple[Step, ...], window_s: float | None
) -> Iterator[Look]:
    """The looks a cell needs: the list again, of which "that row" is one."""
    if cell.of == "the answer":
        doing = [step.operation for step in before if isinstance(step.meaning, Operate)]
        if not doing or doing[-1] is None:
            raise PlanError("there is no answer yet; an operation must come first")
        known = tuple(doing[-1].options.answer)
        if cell.column not in known:
            raise PlanError(
                f'the answer of "{doing[-1].name}" has no "{cell.column}"; it has: '
                f"{', '.join(known) or 'nothing that is named'}"
            )
        return
    if cell.of.startswith(EACH_CHANGED):
        noun = cell.of.removeprefix(EACH_CHANGED)
        judged = [each.meaning for each in before if isinstance(each.meaning, Changed)]
        if noun not in [meaning.noun for meaning in judged]:
            raise PlanError(
                f'which {noun} changed was not judged before; write for example "of its {noun} '
                'exactly … changed"'
            )
        look = _list(system, noun, None)
    elif cell.of.startswith(EACH):
        look = _list(system, cell.of.removeprefix(EACH), window_s)
    else:
        look = _named_row(cell.of, before)
    _known_columns(look, (cell.column,))
    yield look


def _known_columns(look: Look, columns: tuple[str, ...]) -> None:
    """Refuse columns that the target file renames nothing to, where it names all of them."""
    known = look.figure.options.columns
    unknown = [column for column in columns if known and column not in known]
    if unknown:
        raise PlanError(
            f'"{look.noun}" has no column "{unknown[0]}"; it has: {", ".join(known)}; '
            f"{nearest(unknown[0], known)}".rstrip("; ")
        )


def _list(system: System, noun: str, window_s: float | None) -> Look:
    look = _look(system, noun, window_s)
    if not look.figure.is_list:
        raise PlanError(f'"{noun}" is one value, a list was expected')
    return look


def _look(system: System, noun: str, window_s: float | None) -> Look:
    named = system.figure_nouns.find(noun)
    if named is None:
        raise PlanError(
            f'{system.called} has no figure "{noun}" in {system.path.name}; '
            f"{system.figure_nouns.nearest(noun)}".rstrip("; ")
        )
    figure = system.figures[named.name]
    takes = _takes_window(figure)
    if window_s is not None and not takes:
        raise PlanError(
            f'"{noun}" can\'t be read over a time: {system.path.name} gives it neither '
            ":since nor {window.hours} nor at"
        )
    if window_s is None and needs_window(figure):
        raise PlanError(
            f'"{noun}" is read over a time; write for example "over the last 24 hours its …"'
        )
    return Look(noun, _spoken(figure, dict(named.arguments)), named.arguments, window_s)


def _spoken(figure: Figure, arguments: Mapping[str, str]) -> Figure:
    """The figure with the sentence's texts filled into its jq and its `where`."""
    if not arguments:
        return figure
    texts = quotable(figure.probe, arguments)
    in_jq = {name: json.dumps(text, ensure_ascii=False)[1:-1] for name, text in arguments.items()}
    options = figure.options
    changes = {
        "pick": filled(options.pick, in_jq),
        "rows": filled(options.rows, in_jq),
        "where": filled(options.where, texts if figure.probe == "sql" else in_jq),
    }
    return replace(figure, options=options.model_copy(update=changes))


def _takes_window(figure: Figure) -> bool:
    by_itself = bool(getattr(figure.question, "takes_window", False))
    return by_itself or figure.options.at is not None or needs_window(figure)


def needs_window(figure: Figure) -> bool:
    asked = _dumped(figure.question)
    return any(each in asked for each in _OVER_A_TIME)


def _window_s(meaning: object) -> float | None:
    tense = getattr(meaning, "tense", None)
    return tense.seconds if tense is not None and tense.kind is Tenses.OVER else None


def _waits(meaning: Meaning) -> bool:
    tense = getattr(meaning, "tense", None)
    return tense is not None and tense.kind is not Tenses.OVER


def ordered(operation: Operation, system: System) -> Model:
    """An SQL order with the selection that it may touch written into it; others as they are."""
    touches = operation.options.touches
    if touches is None:
        return operation.order
    if touches.startswith("that "):
        base = next(each for each in system.figures.values() if f"that {each.one}" == touches)
        key = base.options.key
        selection = f"SELECT * FROM ({base.question.sql}) AS list WHERE {key} = '{{that.{key}}}'"  # type: ignore[attr-defined] # noqa: S608
    else:
        base = system.figures[touches]
        selection = str(composed(base, base.question, False).sql)  # type: ignore[attr-defined]
    sql = str(operation.order.sql).replace("{touches}", selection)  # type: ignore[attr-defined]
    table = base.question.sql  # type: ignore[attr-defined]
    return operation.order.model_copy(
        update={"sql": sql, "touches_sql": selection, "table_sql": table, "key": base.options.key}
    )


def composed(figure: Figure, asked: Model, windowed: bool) -> Model:
    """A SQL question with the figure's own part, window, order and count written into it."""
    options = figure.options
    if figure.probe != "sql":
        return asked
    sql = str(asked.sql).strip().rstrip(";")  # type: ignore[attr-defined]
    parts = [f"({options.where})"] if options.where else []
    if windowed and options.at:
        parts.append(f"{options.at} >= :since AND {options.at} < :until")
    if parts:
        sql = f"SELECT * FROM ({sql}) AS part WHERE {' AND '.join(parts)}"  # noqa: S608
    if options.count:
        sql = f"SELECT COUNT(*) FROM ({sql}) AS counted"  # noqa: S608
    elif options.newest_first and options.at:
        sql += f" ORDER BY {options.at} DESC"
    elif options.lowest_first:
        sql += f" ORDER BY {options.lowest_first} ASC"
    return asked.model_copy(update={"sql": sql})


def bound(look: Look, target: Target, late: Mapping[str, str] | None = None) -> Model:
    """The look's question with the target's variables and, late, what the scenario made in it.

    Raises CouldNotObserve where what it needs is not known.
    """
    question = look.question
    data = _data(question)
    if look.late:
        known = late or {}
        missing = missing_late(question, known)
        if missing:
            raise CouldNotObserve("missing", f"{missing[0]} is not known")
        data = filled(data, quotable(look.figure.probe, known))
    return type(question).model_validate(target.fill(data))


def missing_late(asked: Model, known: Mapping[str, str]) -> tuple[str, ...]:
    """What {made.x}, {that.x}, {before.x} and {answer.x} of `asked` nobody knows, for people."""
    needed = dict.fromkeys(_LATE.findall(_dumped(asked)))
    return tuple(_late_name(name) for name in needed if name not in known)


def _late_name(placeholder: str) -> str:
    """ "before.highest request id" as "highest request id before"."""
    kind, _, name = placeholder.partition(".")
    said = {
        "made": "the {} that was to be made",
        "that": "the {} of the new one",
        "before": "the {} before the operation",
        "answer": "the {} of the answer",
    }
    return said[kind].format(name)


def services_needed(scenarios: Iterable[Scenario], target: Target) -> frozenset[str]:
    """The services that `scenarios` look at or change.

    Raises ConfigurationError where their questions name variables that are not set.
    """
    names: set[str] = set()
    unset: dict[str, None] = {}
    for scenario in scenarios:
        for step in scenario.every_step:
            for look in step.looks:
                names.update(look.services)
                unset.update(dict.fromkeys(target.unset(_data(look.question))))
            if step.operation is not None:
                names.update(services_in(step.operation.order))
                unset.update(dict.fromkeys(target.unset(_data(step.operation.order))))
    if unset:
        raise unset_variables(target, tuple(unset))
    return frozenset(names)


def _data(question: Model) -> dict[str, Any]:
    return question.model_dump(by_alias=True)


def key_of(look: Look, question: Model) -> str:
    """What makes two looks the same question. A duration shares its look with no other figure."""
    window = f"{look.window_s:g} {look.ago_s:g}" if look.window_s is not None else ""
    alone = f"alone {look.figure.name}" if look.figure.alone else ""
    return f"{look.figure.probe} {window} {alone} {_dumped(question)}"


def _dumped(question: Model) -> str:
    return json.dumps(question.model_dump(by_alias=True, mode="json"), sort_keys=True)


def _filled(question: Model, stands_for: Mapping[str, str]) -> Model:
    data: Any = filled(question.model_dump(by_alias=True), stands_for)
    return type(question).model_validate(data)


def without_duplicates(looks: Iterable[Look]) -> tuple[Look, ...]:
    """`looks` without those that ask the same."""
    return tuple({key_of(look, look.question): look for look in looks}.values())
