"""What happens when a scenario runs: each meaning is looked at or done, and leaves a finding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import jq

from watchkeeper.changing.operate import Hands
from watchkeeper.changing.operator import Done
from watchkeeper.errors import (
    CouldNotObserve,
    OperationFailed,
    OperationRefused,
    OperationUnknown,
)
from watchkeeper.limits import Beside, Limit
from watchkeeper.looking.observe import Observer, throughout, within
from watchkeeper.looking.reading import instant_of
from watchkeeper.meaning import (
    Cell,
    Contains,
    Elapsed,
    Enter,
    OneNew,
    Operate,
    Pick,
    Reading,
    Readings,
    Report,
    Tense,
    Tenses,
    Undo,
)
from watchkeeper.observation import Observation, Row, Scalar, Table
from watchkeeper.plan import Look, Scenario, Step
from watchkeeper.verdicts import Finding, Verdict, worst

SHOWN_ROWS = 20
"""Rows of a list that a finding's table shows."""
NAMED_ROWS = 3
"""Rows of a list that a sentence names."""
NAMED_CELLS = 4
"""Cells of such a row that it names."""
NAMED_LENGTH = 100
"""Characters of such a row that it shows."""
GOOD = (Verdict.PASSED, Verdict.DEGRADED)


@dataclass(frozen=True)
class Account:
    """A finding with what the report shows beside it: values as parameters, rows as a table."""

    finding: Finding
    keyword: str
    parameters: tuple[tuple[str, str], ...] = ()
    table: tuple[tuple[str, ...], ...] = ()
    excerpt: str = ""


class Stopped(Exception):
    """The scenario goes no further; `verdict` says how it stands."""

    def __init__(self, account: Account) -> None:
        self.account = account
        super().__init__(account.finding.sentence)


@dataclass
class _Memory:
    """What later sentences of the scenario speak of."""

    answers: dict[str, Scalar] = field(default_factory=dict)
    rows: dict[str, tuple[Look, Scalar]] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    before: dict[str, Observation] = field(default_factory=dict)

    def late(self) -> Mapping[str, str]:
        """What {made.x}, {that.x}, {answer.x} and {before.x} stand for now."""
        stands_for = {f"made.{name}": path for name, path in self.made.items()}
        stands_for |= {f"answer.{name}": str(value) for name, value in self.answers.items()}
        stands_for |= {f"before.{noun}": str(seen.value) for noun, seen in self.before.items()}
        for look, key in self.rows.values():
            stands_for[f"that.{look.figure.options.key}"] = str(key)
        return stands_for


class Performance:
    """One scenario's way through its steps. `accounts` is what it found, in order."""

    def __init__(
        self, scenario: Scenario, observer: Observer, hands: Hands, *, earlier: Any = None
    ) -> None:
        self.scenario = scenario
        self.accounts: list[Account] = []
        self._observer = observer
        self._hands = hands
        self._memory = _Memory()
        self._undo: list[tuple[Step, bool]] = []
        self._began = observer.clock.now()
        self._operated = False
        self._acted = False

    @property
    def verdict(self) -> Verdict:
        """The worst finding so far; NOT_RUN before there is one."""
        return worst(account.finding.verdict for account in self.accounts)

    def perform(self, step: Step) -> None:
        """Carry out one step; raises Stopped where the scenario must not go on."""
        if isinstance(step.meaning, Operate) and not self._operated:
            self._look_before()
            self._operated = True
        accounts = _PERFORM[type(step.meaning)](self, step)
        for account in accounts:
            self.accounts.append(self._weighed(step, account))
        self._stop_where_bad(step, accounts)

    def finish(self) -> None:
        """Undo what is to be undone, whatever happened before, and record how that went."""
        if not self._acted:
            return  # whatever was refused changed nothing, and there is nothing to undo
        bad = self.verdict not in GOOD
        for step, only_on_failure in reversed(self._undo):
            if only_on_failure and not bad:
                continue
            self.accounts.append(self._do(step))
        self._undo.clear()

    def _weighed(self, step: Step, account: Account) -> Account:
        """An unmet precondition blocks the scenario; it is not the scenario's own failure."""
        if not step.precondition or account.finding.verdict in GOOD:
            return account
        found = account.finding
        blocked = Finding(
            found.step,
            Verdict.BLOCKED,
            f"blocked, since {found.sentence}",
            found.source,
            found.started,
            found.duration_s,
            cause=found.verdict.value,
        )
        return Account(blocked, account.keyword, account.parameters, account.table, account.excerpt)

    def _stop_where_bad(self, step: Step, accounts: list[Account]) -> None:
        """Readings go on after a bad one; what would act on it, or on nothing, does not."""
        bad = [account for account in accounts if account.finding.verdict not in GOOD]
        needed = step.precondition or isinstance(step.meaning, Operate | Pick)
        if bad and (needed or not self.scenario.only_looks):
            raise Stopped(bad[0])

    # ---- Looking -----------------------------------------------------------------------------

    def _enter(self, step: Step) -> list[Account]:
        return []

    def _reading(self, step: Step) -> list[Account]:
        assert isinstance(step.meaning, Reading)
        return [self._judged(step, step.meaning, step.written.text)]

    def _readings(self, step: Step) -> list[Account]:
        assert isinstance(step.meaning, Readings)
        return [
            self._judged(
                step, reading, f"{step.written.text} {reading.subject} {reading.limit.text}"
            )
            for reading in step.meaning.readings
        ]

    def _judged(self, step: Step, reading: Reading, sentence: str) -> Account:
        return self._over_time(
            reading.tense, lambda fresh: self._judge_once(step, reading, sentence, fresh)
        )

    def _over_time(self, tense: Tense | None, judge: Callable[[bool], Account]) -> Account:
        def good(account: Account) -> bool:
            return account.finding.verdict is Verdict.PASSED

        clock = self._observer.clock
        if tense is not None and tense.kind is Tenses.WITHIN:
            return within(tense.seconds, lambda: judge(True), good, clock)
        if tense is not None and tense.kind is Tenses.THROUGHOUT:
            return throughout(tense.seconds, lambda: judge(True), good, clock)
        return judge(self._operated)

    def _judge_once(self, step: Step, reading: Reading, sentence: str, fresh: bool) -> Account:
        started = datetime.now(UTC)
        look = None
        try:
            if isinstance(reading.subject, Cell):
                seen = self._cell(step, reading.subject, fresh)
            else:
                look = step.look(reading.subject.noun)
                seen = self._now(look, fresh)
            beside = self._beside(step, reading.limit, fresh)
        except CouldNotObserve as reason:
            return self._unseen(step, sentence, str(reading.subject), look, reason, started)
        judgement = reading.limit.judge(seen, beside)
        found = judgement.found
        if look is not None and isinstance(seen.value, Table) and judgement.verdict not in GOOD:
            found += _naming(seen.value, look)
        told = self._sentence(seen, found, judgement.expected, judgement.note)
        finding = Finding(sentence, judgement.verdict, told, seen.source, seen.at, seen.duration_s)
        table = _shown(seen.value, look) if isinstance(seen.value, Table) else ()
        shown = ((str(reading.subject), judgement.found or judgement.note),)
        return Account(finding, step.written.keyword, shown, table, seen.excerpt)

    def _sentence(self, seen: Observation, found: str, expected: str, note: str) -> str:
        subject = seen.figure
        if not subject.startswith("the "):
            subject = f"{subject} of {self.scenario.system.called}"
        said = f"{subject} was {found}, expected {expected}" if found else f"{subject}: {note}"
        if found and note:
            said += f" ({note})"
        return f"{said} ({_where(seen.source, seen.at, seen.duration_s)})"

    def _now(self, look: Look, fresh: bool) -> Observation:
        return self._observer.now(
            look, fresh=fresh, late=self._memory.late() if look.late else None
        )

    def _beside(self, step: Step, limit: Limit, fresh: bool) -> Beside:
        others = {noun: self._now(step.look(noun), fresh) for noun in limit.others}
        own = step.looks[0].noun if step.looks else ""
        about = limit.others[0] if limit.needs_after and limit.others else own
        return Beside(
            others=others,
            before=self._memory.before.get(about),
            after=others.get(about) if limit.needs_after else None,
            any_data=self._now(step.look(limit.where_any), fresh) if limit.where_any else None,
        )

    def _unseen(
        self,
        step: Step,
        sentence: str,
        subject: str,
        look: Look | None,
        reason: CouldNotObserve,
        started: datetime,
    ) -> Account:
        """Could not look: blocked where the service is down, else unknown."""
        where = _where(reason.source, started, reason.duration_s)
        called = self.scenario.system.called
        told = f"{subject} of {called} could not be seen: {reason.reason} ({where})"
        verdict, cause = Verdict.UNKNOWN, ""
        down = self._observer.availability(look) if look is not None else None
        if down is not None and down[1].value == (down[0].options.counts_as or {}).get("refused"):
            verdict, cause = Verdict.BLOCKED, Verdict.FAILED.value
            told = f"{subject} of {called} is blocked: {down[0].name} is {down[1].value} ({where})"
        finding = Finding(
            sentence, verdict, told, reason.source, started, reason.duration_s, cause=cause
        )
        return Account(finding, step.written.keyword, (), (), reason.excerpt)

    def _cell(self, step: Step, cell: Cell, fresh: bool) -> Observation:
        if cell.of == "the answer":
            return Observation(
                f"the {cell.column} of the answer",
                self._memory.answers.get(cell.column),
                None,
                "what the operation answered",
                self._observer.clock.now(),
                0.0,
            )
        if cell.of not in self._memory.rows:
            raise CouldNotObserve("missing", f"{cell.of} was not found before")
        look, key = self._memory.rows[cell.of]
        listed = self._now(look, fresh)
        row = _row_with(listed, look, key)
        column = look.figure.options.columns.get(cell.column, cell.column)
        if row is None:
            raise CouldNotObserve("gone", f"{cell.of} ({look.figure.options.key} {key}) is gone")
        if column not in row:
            raise CouldNotObserve("missing", f"{cell.of} has no column {column}")
        return Observation(
            f"the {cell.column} of {cell.of} ({key})",
            row[column],
            None,
            listed.source,
            listed.at,
            listed.duration_s,
        )

    def _contains(self, step: Step) -> list[Account]:
        meaning = step.meaning
        assert isinstance(meaning, Contains)

        def judge(fresh: bool) -> Account:
            return self._with_list(step, fresh, lambda seen, look: self._lacks(meaning, seen, look))

        return [self._over_time(meaning.tense, judge)]

    def _lacks(self, meaning: Contains, seen: Table, look: Look) -> tuple[Verdict, str]:
        wanted = [tuple(zip(meaning.columns, row, strict=True)) for row in meaning.rows]
        if len(seen.rows) < seen.total:
            return Verdict.UNKNOWN, f"has {seen.total:,} rows, more than are compared"
        found_at = [_position(seen, look, each) for each in wanted]
        lacking = [row for row, at in zip(wanted, found_at, strict=True) if at is None]
        if lacking:
            nearest = _nearest_row(seen, look, lacking[0])
            return Verdict.FAILED, f"lacks {_spoken(lacking)}" + (
                f"; there is {nearest}" if nearest else ""
            )
        if meaning.only and seen.total > len(wanted):
            return Verdict.FAILED, f"has {seen.total - len(wanted)} more rows than the table"
        places = [at for at in found_at if at is not None]
        if meaning.in_order and places != sorted(places):
            return Verdict.FAILED, "has the rows in another order"
        return Verdict.PASSED, f"includes {_spoken(wanted)}"

    def _with_list(
        self, step: Step, fresh: bool, judge: Callable[[Table, Look], tuple[Verdict, str]]
    ) -> Account:
        """One finding about a list; unknown or blocked where it can't be seen."""
        look = step.looks[0]
        started = datetime.now(UTC)
        try:
            seen = self._now(look, fresh)
        except CouldNotObserve as reason:
            return self._unseen(step, step.written.text, look.noun, look, reason, started)
        assert isinstance(seen.value, Table)
        verdict, told = judge(seen.value, look)
        called = self.scenario.system.called
        where = _where(seen.source, seen.at, seen.duration_s)
        finding = Finding(
            step.written.text,
            verdict,
            f"{look.noun} of {called} {told} ({where})",
            seen.source,
            seen.at,
            seen.duration_s,
        )
        shown = ((look.noun, f"{seen.value.total:,}"),)
        return Account(finding, step.written.keyword, shown, _shown(seen.value, look), seen.excerpt)

    def _one_new(self, step: Step) -> list[Account]:
        before = self._memory.before.get(step.looks[0].noun)

        def judge(seen: Table, look: Look) -> tuple[Verdict, str]:
            if before is None or not isinstance(before.value, Table):
                return Verdict.UNKNOWN, "could not be compared: it was not seen before"
            column = look.figure.options.key or ""
            known = {row[column] for row in before.value}
            new = [row for row in seen if row[column] not in known]
            if seen.total > len(seen.rows):
                return Verdict.UNKNOWN, f"has {seen.total:,} rows, more than are compared"
            if len(new) != 1:
                return Verdict.FAILED, f"has {len(new)} new rows, expected exactly one"
            self._memory.rows[f"that {look.figure.one}"] = (look, new[0][column])
            return Verdict.PASSED, f"has one new row, {column} {new[0][column]}"

        return [self._with_list(step, True, judge)]

    def _pick(self, step: Step) -> list[Account]:
        def judge(seen: Table, look: Look) -> tuple[Verdict, str]:
            if not seen.total:
                return Verdict.NOT_RUN, "has no row to try it on"
            key = seen.rows[0][look.figure.options.key or ""]
            self._memory.rows[f"that {look.figure.one}"] = (look, key)
            return Verdict.PASSED, f"gave {look.figure.options.key} {key}"

        return [self._with_list(step, False, judge)]

    def _report(self, step: Step) -> list[Account]:
        accounts = []
        for look in step.looks:
            started = datetime.now(UTC)
            try:
                seen = self._now(look, self._operated)
            except CouldNotObserve as reason:
                accounts.append(
                    self._unseen(step, step.written.text, look.noun, look, reason, started)
                )
                continue
            told = "had no data" if seen.no_data else f"was {_brief(seen.value)}"
            finding = Finding(
                step.written.text,
                Verdict.PASSED,
                f"{look.noun} of {self.scenario.system.called} {told} "
                f"({_where(seen.source, seen.at, seen.duration_s)})",
                seen.source,
                seen.at,
                seen.duration_s,
            )
            table = _shown(seen.value, look) if isinstance(seen.value, Table) else ()
            shown = ((look.noun, _brief(seen.value)),)
            accounts.append(Account(finding, step.written.keyword, shown, table, seen.excerpt))
        return accounts

    def _elapsed(self, step: Step) -> list[Account]:
        assert isinstance(step.meaning, Elapsed)
        now = self._observer.clock.now()
        passed_s = (now - self._began).total_seconds()
        verdict = Verdict.PASSED if passed_s <= step.meaning.seconds else Verdict.FAILED
        told = f"{passed_s:.1f} s had passed since the start, expected no more than {step.meaning.text}"
        finding = Finding(step.written.text, verdict, told, "this machine's clock", now, 0.0)
        return [Account(finding, step.written.keyword)]

    # ---- Changing ----------------------------------------------------------------------------

    def _look_before(self) -> None:
        """Read now what later sentences compare with "before"."""
        for step in self.scenario.steps:
            for look in _needed_before(step):
                try:
                    self._memory.before[look.noun] = self._observer.now(look, fresh=True)
                except CouldNotObserve:
                    continue  # the sentence that needs it says that it was not seen

    def _operate(self, step: Step) -> list[Account]:
        return [self._do(step)]

    def _undo_later(self, step: Step) -> list[Account]:
        assert isinstance(step.meaning, Undo)
        self._undo.append((step, step.meaning.only_on_failure))
        return []

    def _do(self, step: Step) -> Account:
        assert step.operation is not None
        started = self._observer.clock.now()
        try:
            done = self._hands.operate(
                step.operation,
                dict(step.verb_arguments),
                tagged=self.scenario.permission,
                scenario=self.scenario.name,
                late=self._memory.late(),
            )
        except (OperationRefused, OperationFailed, OperationUnknown) as error:
            self._acted = self._acted or not isinstance(error, OperationRefused)
            return _undone(step, error, started)
        self._acted = True
        self._remember(step, done)
        note = done.note or done.outcome
        told = step.operation.name + (f": {note}" if note else "")
        finding = Finding(
            step.written.text,
            Verdict.PASSED,
            f"{told} ({_where(done.source, done.at, done.duration_s)})",
            done.source,
            done.at,
            done.duration_s,
        )
        return Account(finding, step.written.keyword, tuple(done.made), (), done.excerpt)

    def _remember(self, step: Step, done: Done) -> None:
        assert step.operation is not None
        self._memory.made.update(done.made)
        self._memory.answers = {
            name: _first(jq.compile(program).input_value(done.value).all())
            for name, program in step.operation.options.answer.items()
        }
        if step.operation.options.answer and done.outcome:
            self._memory.answers.setdefault("outcome", done.outcome)


_PERFORM: Mapping[type, Callable[[Performance, Step], list[Account]]] = {
    Enter: Performance._enter,
    Reading: Performance._reading,
    Readings: Performance._readings,
    Contains: Performance._contains,
    OneNew: Performance._one_new,
    Pick: Performance._pick,
    Report: Performance._report,
    Elapsed: Performance._elapsed,
    Operate: Performance._operate,
    Undo: Performance._undo_later,
}


def _needed_before(step: Step) -> list[Look]:
    meaning = step.meaning
    if step.operation is not None:
        return list(step.looks)  # its order names them: {before.NOUN}
    if isinstance(meaning, OneNew):
        return [step.looks[0]]
    readings = meaning.readings if isinstance(meaning, Readings) else (meaning,)
    needed: list[Look] = []
    for reading in readings:
        if isinstance(reading, Reading) and reading.limit.needs_before:
            if reading.limit.needs_after:
                needed += [step.look(noun) for noun in reading.limit.others]
            elif step.looks:
                needed.append(step.looks[0])
    return [look for look in needed if not look.late]


def _undone(step: Step, error: Exception, started: datetime) -> Account:
    assert step.operation is not None
    verdict = {OperationRefused: Verdict.NOT_RUN, OperationFailed: Verdict.FAILED}.get(
        type(error), Verdict.UNKNOWN
    )
    finding = Finding(
        step.written.text,
        verdict,
        f"{step.operation.name}: {error}",
        step.operation.operator,
        started,
        (datetime.now(UTC) - started).total_seconds(),
    )
    return Account(finding, step.written.keyword)


def _first(values: list[Any]) -> Scalar:
    value = values[0] if values else None
    return value if isinstance(value, bool | int | float | str) or value is None else str(value)


def _where(source: str, at: datetime, duration_s: float) -> str:
    """ "GET /api/stats at 09:00:12Z, 41 ms"."""
    took = f"{duration_s * 1000:.0f} ms" if duration_s < 1 else f"{duration_s:.1f} s"
    return f"{source} at {at:%H:%M:%S}Z, {took}".strip()


def _row_with(listed: Observation, look: Look, key: Scalar) -> Row | None:
    assert isinstance(listed.value, Table)
    column = look.figure.options.key or ""
    return next((row for row in listed.value if row[column] == key), None)


def _cell_text(row: Row, look: Look, column: str) -> str:
    source = look.figure.options.columns.get(column, column)
    value = row[source] if source in row else None
    return "" if value is None else str(value)


def _position(seen: Table, look: Look, wanted: tuple[tuple[str, str], ...]) -> int | None:
    for number, row in enumerate(seen):
        if all(_cell_text(row, look, column) == value for column, value in wanted):
            return number
    return None


def _nearest_row(seen: Table, look: Look, wanted: tuple[tuple[str, str], ...]) -> str:
    """The row that has the wanted first cell and differs in another one."""
    column, value = wanted[0]
    for row in seen:
        if _cell_text(row, look, column) == value:
            return _spoken([tuple((name, _cell_text(row, look, name)) for name, _ in wanted)])
    return ""


def _spoken(rows: list[tuple[tuple[str, str], ...]]) -> str:
    named = [" ".join(value for _, value in row) for row in rows[:NAMED_ROWS]]
    more = len(rows) - len(named)
    return ", ".join(named) + (f" and {more} more" if more > 0 else "")


def _naming(table: Table, look: Look) -> str:
    """The first rows of a list that should not be there: " (61 The Office Failed (Sonarr); …)"."""
    if not table.rows:
        return ""
    options = look.figure.options
    known = [options.key, *options.columns.values()] if options.key else []
    columns = [column for column in known if column in table.rows[0]]
    columns = columns or [each for each in ("line", "text") if each in table.rows[0]][:1]
    columns = columns or list(table.rows[0].columns)
    named = []
    for row in table.rows[:NAMED_ROWS]:
        cells = [row[column] for column in columns[:NAMED_CELLS]]
        told = " ".join(_brief(cell) for cell in cells if cell is not None)
        named.append(told if len(told) <= NAMED_LENGTH else told[: NAMED_LENGTH - 1] + "…")
    more = table.total - len(named)
    return f" ({'; '.join(named)}{f'; and {more:,} more' if more > 0 else ''})"


def _shown(table: Table, look: Look) -> tuple[tuple[str, ...], ...]:
    """A header and the first rows, as texts."""
    if not table.rows:
        return ()
    names = {source: name for name, source in look.figure.options.columns.items()}
    columns = table.rows[0].columns
    header = tuple(names.get(column, column) for column in columns)
    body = tuple(
        tuple("" if value is None else _brief(value) for _, value in row.cells)
        for row in table.rows[:SHOWN_ROWS]
    )
    return (header, *body)


def _brief(value: object) -> str:
    if isinstance(value, Table):
        return f"{value.total:,} rows"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, datetime):
        return f"{instant_of(value):%Y-%m-%d %H:%M:%SZ}"
    return str(value)
