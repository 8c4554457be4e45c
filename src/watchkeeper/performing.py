"""What happens when a scenario runs: each meaning is looked at or done, and leaves a finding."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from watchkeeper.changing.operate import Hands
from watchkeeper.changing.operator import Done
from watchkeeper.errors import (
    CouldNotObserve,
    CouldNotTry,
    OperationFailed,
    OperationRefused,
    OperationUnknown,
    WatchkeeperError,
)
from watchkeeper.holding import (
    Became,
    Touched,
    came_to,
    compared,
    cut,
    held,
    one_new,
    only_row,
    row_with,
)
from watchkeeper.limits import Beside, Limit
from watchkeeper.limits.amounts import in_base
from watchkeeper.limits.rules import Presence
from watchkeeper.looking.observe import Observer, throughout, within
from watchkeeper.looking.reading import selected
from watchkeeper.meaning import (
    Cell,
    Changed,
    Contains,
    Diagnosis,
    Elapsed,
    Enter,
    OneNew,
    Operate,
    Pick,
    Reading,
    Readings,
    Report,
    Subject,
    Tense,
    Tenses,
    TryInTurn,
    Undo,
    readings_of,
)
from watchkeeper.observation import Observation, Picture, Row, Scalar, Table
from watchkeeper.plan import (
    EACH,
    EACH_CHANGED,
    Look,
    Scenario,
    Step,
    earlier_noun,
    missing_late,
    ordered,
)
from watchkeeper.targets import REPLICA, System
from watchkeeper.verdicts import Finding, Verdict, worst
from watchkeeper.wording import judged, subject_of, table_of, trend, value_of, where

GOOD = (Verdict.PASSED, Verdict.DEGRADED)
UNSEEN = (Verdict.UNKNOWN, Verdict.BLOCKED)
TRIED = (Verdict.FAILED, Verdict.UNKNOWN, Verdict.BLOCKED)
"""How what was tried can end badly; what was not run at all is another thing: a closed lock."""
TRAIL = 50
"""Findings on the way to the last one that a report shows: enough for a training's progress."""


@dataclass(frozen=True)
class Account:
    """A finding with what the report shows beside it: values as parameters, rows as a table."""

    finding: Finding
    keyword: str
    parameters: tuple[tuple[str, str], ...] = ()
    table: tuple[tuple[str, ...], ...] = ()
    excerpt: str = ""
    picture: Picture | None = None


class Stopped(Exception):
    """The scenario goes no further; what stopped it is the last of its accounts."""


def _silent(told: str) -> None:
    """Tell nobody what is waited for."""


@dataclass
class _Memory:
    """What later sentences of the scenario speak of."""

    answers: dict[str, Scalar] = field(default_factory=dict)
    rows: dict[str, tuple[Look, Scalar]] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    before: dict[str, Observation] = field(default_factory=dict)
    touched: Touched | None = None
    changed: dict[str, frozenset[Scalar]] = field(default_factory=dict)

    def late(self) -> Mapping[str, str]:
        """What {made.x}, {that.x}, {answer.x} and {before.x} stand for now."""
        stands_for = {f"made.{name}": path for name, path in self.made.items()}
        stands_for |= {
            f"answer.{name}": str(value)
            for name, value in self.answers.items()
            if value is not None
        }
        stands_for |= {
            f"before.{noun}": str(seen.value)
            for noun, seen in self.before.items()
            if not seen.no_data and not isinstance(seen.value, Table)
        }
        for look, key in self.rows.values():
            stands_for[f"that.{look.figure.options.key}"] = str(key)
        return stands_for


class Performance:
    """One scenario's way through its steps. `accounts` is what it found, in order.

    `waiting` is told what was found so far while a sentence waits for something to come true.
    """

    def __init__(
        self,
        scenario: Scenario,
        observer: Observer,
        hands: Hands,
        waiting: Callable[[str], None] = _silent,
    ) -> None:
        self.scenario = scenario
        self.accounts: list[Account] = []
        self._observer = observer
        self._hands = hands
        self._memory = _Memory()
        self._undo: list[tuple[Step, bool]] = []
        self._began = observer.clock.now()
        self._operated = False
        self._performed = 0
        self._waiting = waiting
        self._timeline: list[tuple[str, str, str]] = []

    @property
    def verdict(self) -> Verdict:
        """The worst finding so far; NOT_RUN before there is one."""
        return worst(account.finding.verdict for account in self.accounts)

    def perform(self, step: Step) -> None:
        """Carry out one step; raises Stopped where the scenario must not go on."""
        if step.changes_something and not self._operated:
            self._look_before()
            self._operated = True
        accounts = [_weighed(step, account) for account in _PERFORM[type(step.meaning)](self, step)]
        self.accounts += accounts
        self._timeline += [
            (self._since_start(), each.finding.step, each.finding.verdict.value)
            for each in accounts
        ]
        if any(self._stops(step, account) for account in accounts):
            raise Stopped
        self._performed += 1

    def _since_start(self) -> str:
        return f"{self._passed_s():.1f} s"

    def _passed_s(self) -> float:
        return (self._observer.clock.now() - self._began).total_seconds()

    def finish(self) -> None:
        """Undo what is to be undone, whatever happened before, and record how that went.

        A scenario that did not come to its end counts as failed here. Where no operation was begun
        there is nothing to undo.
        """
        bad = self.verdict not in GOOD or self._performed < len(self.scenario.steps)
        for step, only_on_failure in reversed(self._undo):
            if self._operated and (bad or not only_on_failure):
                self.accounts.append(self._undone(step))
        self._undo.clear()

    def _stops(self, step: Step, account: Account) -> bool:
        """Readings go on after a bad one; what changes a system, or rests on it, does not."""
        verdict = account.finding.verdict
        if verdict in GOOD or (verdict in TRIED and _is_aside(step)):
            return False
        picks = isinstance(step.meaning, Pick)
        return step.precondition or picks or not self.scenario.only_looks

    # ---- Looking -----------------------------------------------------------------------------

    def _enter(self, step: Step) -> list[Account]:
        return []

    def _reading(self, step: Step) -> list[Account]:
        assert isinstance(step.meaning, Reading)
        return [self._judged(step, step.meaning, step.written.text)]

    def _readings(self, step: Step) -> list[Account]:
        assert isinstance(step.meaning, Readings)
        return [
            self._judged(step, each, f"{step.written.text} {each.subject} {each.limit.text}")
            for each in step.meaning.readings
        ]

    def _diagnosis(self, step: Step) -> list[Account]:
        """Bad with a cause whose sign is there is failed; bad without one is unknown: nobody knows
        what to do about it.
        """
        meaning, sentence = step.meaning, step.written.text
        assert isinstance(meaning, Diagnosis)
        account = self._judged(step, meaning.reading, sentence)
        if account.finding.verdict is not Verdict.FAILED:
            return [account]
        signs = [(c.name, self._judge_once(step, c.sign, sentence, True)) for c in meaning.causes]
        found = [(name, sign) for name, sign in signs if sign.finding.verdict in GOOD]
        unseen = [name for name, sign in signs if sign.finding.verdict in UNSEEN]
        if found:
            verdict = Verdict.FAILED
            named = "; ".join(f"{name} ({_shown(sign)})" for name, sign in found)
            told = f"{account.finding.sentence}; the cause: {named}"
        else:
            verdict = Verdict.UNKNOWN
            told = f"{account.finding.sentence}; none of its {len(signs)} known causes was found"
            told += f", and nobody could see whether {' or '.join(unseen)}" if unseen else ""
        shown = [each for _, sign in signs for each in sign.parameters]
        finding = replace(account.finding, verdict=verdict, sentence=told)
        return [replace(account, finding=finding, parameters=(*account.parameters, *shown))]

    def _judged(self, step: Step, reading: Reading, sentence: str) -> Account:
        return self._over_time(
            reading.tense, lambda fresh: self._judge_once(step, reading, sentence, fresh)
        )

    def _over_time(self, tense: Tense | None, judge: Callable[[bool], Account]) -> Account:
        clock = self._observer.clock
        if tense is not None and tense.kind is Tenses.WITHIN:
            trail = _Trail(self._since_start, self._waiting)
            account = within(
                tense.seconds,
                lambda: trail.after(judge(True)),
                lambda account: account.finding.verdict is Verdict.PASSED,
                clock,
            )
            return account if account.table else replace(account, table=trail.table)
        if tense is not None and tense.kind is Tenses.THROUGHOUT:
            return throughout(
                tense.seconds,
                lambda: judge(True),
                lambda account: account.finding.verdict in GOOD,
                clock,
                badness=lambda account: account.finding.verdict.badness,
            )
        return judge(self._operated)

    def _judge_once(self, step: Step, reading: Reading, sentence: str, fresh: bool) -> Account:
        if isinstance(reading.subject, Cell) and _of_each(reading.subject):
            return self._each(step, reading, sentence, fresh)
        started = datetime.now(UTC)
        noun = str(reading.subject)
        look = step.look(noun) if not isinstance(reading.subject, Cell) else None
        try:
            seen = self._now(look, fresh) if look else self._cell(step, reading, fresh)
            beside = self._beside(step, reading, fresh)
        except CouldNotObserve as reason:
            return self._unseen(step, sentence, look, reason, started, noun=noun)
        judgement = reading.limit.judge(seen, beside)
        told = judged(seen, self.scenario.system.called, reading.tense, judgement, look)
        finding = _finding(sentence, judgement.verdict, told, seen)
        shown = ((noun, judgement.found or judgement.note),)
        rows = table_of(seen, look)
        return Account(finding, step.written.keyword, shown, rows, seen.excerpt, seen.picture)

    def _now(self, look: Look, fresh: bool) -> Observation:
        late = self._memory.late() if look.late else None
        return self._observer.now(look, fresh=fresh, late=late)

    def _beside(self, step: Step, reading: Reading, fresh: bool) -> Beside:
        limit = reading.limit
        others = {noun: self._now(step.look(noun), fresh) for noun in limit.others}
        about = limit.others[0] if limit.needs_after and limit.others else _own(step, reading)
        return Beside(
            others=others,
            before=self._memory.before.get(about),
            after=others.get(about) if limit.needs_after else None,
            any_data=self._now(step.look(limit.where_any), fresh) if limit.where_any else None,
            earlier=self._earlier(step, reading, fresh) if limit.history else (),
        )

    def _earlier(self, step: Step, reading: Reading, fresh: bool) -> tuple[float, ...]:
        """The numbers of those before the newest, in base units."""
        look = step.look(earlier_noun(_own(step, reading), reading.limit))
        listed = self._now(look, fresh)
        cells = (
            [row.get("value") for row in listed.value] if isinstance(listed.value, Table) else []
        )
        unit = look.figure.unit
        # What is no number is none to compare with either; the limit says so.
        return tuple(
            float(in_base(cell, unit)) if isinstance(cell, int | float) else math.nan
            for cell in cells
        )

    def _unseen(
        self,
        step: Step,
        sentence: str,
        look: Look | None,
        reason: CouldNotObserve,
        started: datetime,
        *,
        noun: str,
    ) -> Account:
        """Could not look: blocked where the service is down, not run without a tool; or unknown."""
        subject = subject_of(
            noun, self.scenario.system.called, getattr(step.meaning, "tense", None)
        )
        told = f"{subject} could not be seen: {reason.reason}"
        verdict, cause = Verdict.UNKNOWN, ""
        down = None
        if isinstance(reason, CouldNotTry):
            verdict = Verdict.NOT_RUN
        elif look is not None:
            down = self._observer.availability(look, fresh=self._operated)
        if down is not None and down[1].value == (down[0].options.counts_as or {}).get("refused"):
            verdict, cause = Verdict.BLOCKED, Verdict.FAILED.value
            told = f"{subject} is blocked, since its {down[0].name} is {down[1].value}"
        at = f"({where(reason.source, started, reason.duration_s)})"
        finding = Finding(
            sentence, verdict, f"{told} {at}", reason.source, started, reason.duration_s, cause
        )
        return Account(finding, step.written.keyword, (), (), reason.excerpt)

    def _cell(self, step: Step, reading: Reading, fresh: bool) -> Observation:
        cell = reading.subject
        assert isinstance(cell, Cell)
        if cell.of == "the answer":
            return self._answered(cell, reading.limit)
        if cell.of not in self._memory.rows:
            raise CouldNotObserve("missing", f"{cell.of} was not found before")
        look, key = self._memory.rows[cell.of]
        return self._cell_of(look, key, self._now(look, fresh), cell)

    def _cell_of(self, look: Look, key: Scalar, listed: Observation, cell: Cell) -> Observation:
        assert isinstance(listed.value, Table)
        row = row_with(listed.value, look, key)
        if row is None:
            raise CouldNotObserve("gone", f"{cell.of} ({look.figure.options.key} {key}) is gone")
        return _cell_in(row, look, listed, cell, f"{cell.of} ({look.figure.options.key} {key})")

    def _cells(
        self, look: Look, listed: Observation, cell: Cell, *, may_be_none: bool
    ) -> list[Observation]:
        """The cells of a sentence about each row: of those that changed, or of all of a list."""
        assert isinstance(listed.value, Table)
        if cell.of.startswith(EACH_CHANGED):
            noun = cell.of.removeprefix(EACH_CHANGED)
            keys = self._memory.changed.get(noun, frozenset())
            return [self._cell_of(look, key, listed, cell) for key in keys]
        if cut(listed.value):
            raise CouldNotObserve("too many", f"there are {listed.value.total:,} rows of it")
        if not listed.value.total and not may_be_none:
            raise CouldNotObserve("no rows", "there are none to judge", source=listed.source)
        key = look.figure.options.key
        called = [str(row.get(key)) if key else f"row {n}" for n, row in enumerate(listed.value, 1)]
        return [
            _cell_in(row, look, listed, cell, name)
            for name, row in zip(called, listed.value, strict=True)
        ]

    def _answered(self, cell: Cell, limit: Limit) -> Observation:
        """A part of what the last operation answered; one that is not there may only be absent."""
        value = self._memory.answers.get(cell.column)
        if value is None and not isinstance(limit.rule, Presence):
            raise CouldNotObserve("missing", f"the answer has no {cell.column}")
        source, at = "what the operation answered", self._observer.clock.now()
        return Observation(f"the {cell.column} of the answer", value, None, source, at, 0.0)

    def _contains(self, step: Step) -> list[Account]:
        meaning = step.meaning
        assert isinstance(meaning, Contains)

        def judge(fresh: bool) -> Account:
            return self._with_list(step, fresh, lambda seen, look: held(meaning, seen, look))

        return [self._over_time(meaning.tense, judge)]

    def _with_list(
        self, step: Step, fresh: bool, judge: Callable[[Table, Look], tuple[Verdict, str]]
    ) -> Account:
        """One finding about a list; unknown or blocked where it can't be seen."""
        look = step.looks[0]
        started = datetime.now(UTC)
        text = step.written.text
        try:
            seen = self._now(look, fresh)
        except CouldNotObserve as reason:
            return self._unseen(step, text, look, reason, started, noun=look.noun)
        assert isinstance(seen.value, Table)
        verdict, told = judge(seen.value, look)
        tense: Tense | None = getattr(step.meaning, "tense", None)
        told = f"{subject_of(look.noun, self.scenario.system.called, tense)}: {told}"
        shown = ((look.noun, value_of(seen)),)
        finding = _finding(text, verdict, told, seen)
        rows = table_of(seen, look)
        return Account(finding, step.written.keyword, shown, rows, seen.excerpt, seen.picture)

    def _one_new(self, step: Step) -> list[Account]:
        before = self._memory.before.get(step.looks[0].noun)

        def judge(seen: Table, look: Look) -> tuple[Verdict, str]:
            verdict, told, key = one_new(before, seen, look)
            if verdict is Verdict.PASSED:
                self._memory.rows[f"that {look.figure.one}"] = (look, key)
            return verdict, told

        return [self._with_list(step, True, judge)]

    def _pick(self, step: Step) -> list[Account]:
        def judge(seen: Table, look: Look) -> tuple[Verdict, str]:
            if not seen.rows:
                return Verdict.NOT_RUN, "there is no row to try it on"
            key = seen.rows[0].get(look.figure.options.key or "")
            # What is done to it may take it out of the list that it was picked from.
            self._memory.rows[f"that {look.figure.one}"] = (only_row(look, key), key)
            return Verdict.PASSED, f"{look.figure.options.key} {key} is picked"

        return [self._with_list(step, False, judge)]

    def _report(self, step: Step) -> list[Account]:
        beside = [look for look in step.looks if look.ago_s]
        return [
            self._reported(step, look, next((b for b in beside if b.noun == look.noun), None))
            for look in step.looks
            if not look.ago_s
        ]

    def _reported(self, step: Step, look: Look, beside: Look | None) -> Account:
        started, text = datetime.now(UTC), step.written.text
        try:
            seen = self._now(look, self._operated)
            earlier = None if beside is None else self._now(beside, self._operated)
        except CouldNotObserve as reason:
            return self._unseen(step, text, look, reason, started, noun=look.noun)
        tense: Tense | None = getattr(step.meaning, "tense", None)
        value = value_of(seen)
        if earlier is not None:
            value += f", before that {value_of(earlier)}{trend(earlier, seen)}"
        told = f"{subject_of(look.noun, self.scenario.system.called, tense)}: {value}"
        shown = ((look.noun, value),)
        finding = _finding(text, Verdict.PASSED, told, seen)
        rows = table_of(seen, look)
        return Account(finding, step.written.keyword, shown, rows, seen.excerpt, seen.picture)

    def _elapsed(self, step: Step) -> list[Account]:
        assert isinstance(step.meaning, Elapsed)
        now, passed_s = self._observer.clock.now(), self._passed_s()
        verdict = Verdict.PASSED if passed_s <= step.meaning.seconds else Verdict.FAILED
        told = f"{passed_s:.1f} s have passed since the start, expected at most {step.meaning.text}"
        finding = Finding(step.written.text, verdict, told, "this machine's clock", now, 0.0)
        timeline = (("since the start", "what was done and seen", "verdict"), *self._timeline)
        return [Account(finding, step.written.keyword, table=timeline)]

    def _rows_changed(self, step: Step) -> list[Account]:
        meaning = step.meaning
        assert isinstance(meaning, Changed)

        def judge(seen: Table, look: Look) -> tuple[Verdict, str]:
            key = look.figure.options.key or ""
            selected = self._selected(step, meaning)
            became = self._became(seen, look, key)
            if selected is None or became is None:
                return Verdict.UNKNOWN, "not all rows were seen before and after, so nobody knows"
            self._memory.changed[meaning.noun] = became.changed
            return came_to(meaning, became, selected)

        return [self._with_list(step, True, judge)]

    def _selected(self, step: Step, meaning: Changed) -> frozenset[Scalar] | None:
        """The keys of the rows that it should have come to: as the transaction that did it selected
        them, else as they were before. Between the two a live system may have got more of them.
        """
        if meaning.selection.startswith("that "):
            row = self._memory.rows.get(meaning.selection)
            return None if row is None else frozenset([row[1]])
        look, done = step.looks[1], self._memory.touched
        if done is not None and done.selection == look.noun:
            return done.keys
        seen = self._memory.before.get(look.noun)
        if seen is None or not isinstance(seen.value, Table) or cut(seen.value):
            return None
        return frozenset(row.get(look.figure.options.key or "") for row in seen.value)

    def _became(self, now: Table, look: Look, key: str) -> Became | None:
        """By the transaction's own account where it has one, else by two looks."""
        sql = getattr(look.figure.question, "sql", "")
        if self._memory.touched is not None and self._memory.touched.table == sql:
            return self._memory.touched.became
        before = self._memory.before.get(look.noun)
        if before is None or not isinstance(before.value, Table) or cut(before.value) or cut(now):
            return None
        alone = self._observer.target.environment.name == REPLICA
        return compared(before.value, now, key, alone=alone)

    def _each(self, step: Step, reading: Reading, sentence: str, fresh: bool) -> Account:
        """One finding about a column of every row that is meant: the worst of them."""
        cell = reading.subject
        assert isinstance(cell, Cell)
        look, started = step.looks[0], datetime.now(UTC)
        noun = cell.of.removeprefix("each of the ").removeprefix(EACH)
        try:
            listed = self._now(look, fresh)
            beside = self._beside(step, reading, fresh)
            rows = self._cells(look, listed, cell, may_be_none=reading.limit.lets_none_pass)
        except CouldNotObserve as reason:
            return self._unseen(step, sentence, look, reason, started, noun=str(cell))
        judgements = [(row, reading.limit.judge(row, beside)) for row in rows]
        bad = [each for each in judgements if each[1].verdict is not Verdict.PASSED]
        if not bad:
            expected = reading.limit.text
            told = f"the {cell.column} of each of the {len(rows)} {noun} is {expected}"
            finding = _finding(sentence, Verdict.PASSED, told, listed)
            table = table_of(listed, look)
            return Account(finding, step.written.keyword, ((str(cell), expected),), table)
        seen, judgement = max(bad, key=lambda each: each[1].verdict.badness)
        called = self.scenario.system.called
        told = judged(seen, called, reading.tense, judgement, None)
        if len(bad) > 1:
            told += f", and {len(bad) - 1} more like it"
        finding = _finding(sentence, judgement.verdict, told, seen)
        shown = ((str(cell), judgement.found or judgement.note),)
        return Account(finding, step.written.keyword, shown, table_of(listed, look))

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

    def _try_in_turn(self, step: Step) -> list[Account]:
        """Do one thing after another until the judgement holds; one finding tells all of it.

        Where nobody can say whether it holds, nothing more is done: what comes next may be worse
        than what is wrong.
        """
        meaning = step.meaning
        assert isinstance(meaning, TryInTurn)
        sentence = step.written.text
        found = self._judge_once(step, meaning.until, sentence, True)
        tried: list[str] = []
        for attempt in step.attempts:
            if found.finding.verdict in (Verdict.PASSED, Verdict.UNKNOWN):
                break
            done = self._do(attempt.step)
            tried.append(done.finding.sentence)
            if done.finding.verdict is Verdict.NOT_RUN:
                return [done]  # a lock is closed: it is closed for whatever comes next
            tense = Tense(Tenses.WITHIN, attempt.seconds)
            found = self._over_time(
                tense, lambda fresh: self._judge_once(step, meaning.until, sentence, fresh)
            )
        told = "; ".join([*(tried or ["nothing had to be done"]), found.finding.sentence])
        return [replace(found, finding=replace(found.finding, sentence=told))]

    def _undo_later(self, step: Step) -> list[Account]:
        assert isinstance(step.meaning, Undo)
        self._undo.append((step, step.meaning.only_on_failure))
        return []

    def _do(self, step: Step) -> Account:
        """Do the step's operation; that it was refused, failed or is unknown is a finding."""
        operation = step.operation
        assert operation is not None
        started = datetime.now(UTC)
        late = self._memory.late()
        self._memory.answers = {}
        try:
            missing = missing_late(ordered(operation, self.scenario.system), late)
            if missing:
                raise OperationRefused(f"not done, since {missing[0]} is not known")
            done = self._hands.operate(
                operation,
                dict(step.verb_arguments),
                tagged=self.scenario.permission,
                scenario=self.scenario.name,
                late=late,
            )
        except WatchkeeperError as error:
            return _not_done(step, error, started)
        self._remember(step, done)
        note = done.note or done.outcome
        told = f"the operator {step.written_verb}" + (f": {note}" if note else "")
        at = where(done.source, done.at, done.duration_s)
        finding = Finding(
            step.written.text,
            Verdict.PASSED,
            f"{told} ({at})",
            done.source,
            done.at,
            done.duration_s,
        )
        account = Account(
            finding, step.written.keyword, tuple(done.made), (), done.excerpt, done.picture
        )
        return self._verified(step, account)

    def _verified(self, step: Step, account: Account) -> Account:
        """What was done, judged by what it must leave behind: the worst of that is its finding."""
        for reading in step.leaves:
            left = self._left(step, reading)
            if left.finding.verdict is not Verdict.PASSED:
                told = f"{account.finding.sentence}; but then {left.finding.sentence}"
                return replace(left, finding=replace(left.finding, sentence=told))
        return account

    def _left(self, step: Step, reading: Reading) -> Account:
        return self._over_time(
            reading.tense or Tense(Tenses.WITHIN),
            lambda fresh: self._judge_once(step, reading, step.written.text, fresh),
        )

    def _undone(self, step: Step) -> Account:
        """Undo; whatever goes wrong here is told, and must not keep other undos from running."""
        started = datetime.now(UTC)
        try:
            return self._do(step)
        except Exception as error:
            return _not_done(step, OperationUnknown(f"{type(error).__name__}: {error}"), started)

    def _remember(self, step: Step, done: Done) -> None:
        assert step.operation is not None
        self._memory.made.update(done.made)
        self._memory.touched = _exactly_touched(step, done, self.scenario.system)
        for name, program in step.operation.options.answer.items():
            try:
                self._memory.answers[name] = _first(selected(program, done.value))
            except CouldNotObserve:
                continue  # the sentence that speaks of it says that it is not there
        if step.operation.options.answer and done.outcome:
            self._memory.answers.setdefault("outcome", done.outcome)


_PERFORM: Mapping[type, Callable[[Performance, Step], list[Account]]] = {
    Enter: Performance._enter,
    Reading: Performance._reading,
    Readings: Performance._readings,
    Diagnosis: Performance._diagnosis,
    Contains: Performance._contains,
    OneNew: Performance._one_new,
    Pick: Performance._pick,
    Report: Performance._report,
    Elapsed: Performance._elapsed,
    Operate: Performance._operate,
    TryInTurn: Performance._try_in_turn,
    Changed: Performance._rows_changed,
    Undo: Performance._undo_later,
}


class _Trail:
    """What was found on the way to the last finding, as it changed."""

    def __init__(self, since_start: Callable[[], str], waiting: Callable[[str], None]) -> None:
        self._since_start, self._waiting = since_start, waiting
        self._found: list[tuple[str, str]] = []

    def after(self, account: Account) -> Account:
        """Note what `account` found, and tell whoever waits."""
        found = _shown(account) or account.finding.sentence
        if not self._found or self._found[-1][1] != found:
            self._found.append((self._since_start(), found))
        self._waiting(account.finding.sentence)
        return account

    @property
    def table(self) -> tuple[tuple[str, ...], ...]:
        """Its findings with their times; nothing where the first was the last."""
        if len(self._found) == 1:
            return ()
        return (("since the start", "found"), *self._found[-TRAIL:])


def _shown(account: Account) -> str:
    """ "free space: 0.2 GB"."""
    return "; ".join(f"{noun}: {found}" for noun, found in account.parameters)


def _is_aside(step: Step) -> bool:
    """Whether nothing that comes later rests on it: a message to the team, a mere show."""
    if step.operation is not None:
        return step.operation.options.nothing_rests_on_it
    return isinstance(step.meaning, Report) and not step.precondition


def _of_each(cell: Cell) -> bool:
    return cell.of.startswith((EACH_CHANGED, EACH))


def _cell_in(row: Row, look: Look, listed: Observation, cell: Cell, called: str) -> Observation:
    """A row's cell; a number in the figure's unit, where it has one."""
    column = look.figure.options.columns.get(cell.column, cell.column)
    if column not in row:
        raise CouldNotObserve("missing", f'{cell.of} has no column "{column}"')
    value = row[column]
    measured = isinstance(value, int | float) and not isinstance(value, bool)
    return replace(
        listed,
        figure=f"the {cell.column} of {called}",
        value=value,
        unit=look.figure.unit if measured else None,
        excerpt="",
    )


def _weighed(step: Step, account: Account) -> Account:
    """An unmet precondition blocks the scenario; it is not the scenario's own failure."""
    if not step.precondition or account.finding.verdict in GOOD:
        return account
    found = account.finding
    blocked = replace(
        found,
        verdict=Verdict.BLOCKED,
        sentence=f"blocked, since {found.sentence}",
        cause=found.cause or found.verdict.value,
    )
    return replace(account, finding=blocked)


def _finding(sentence: str, verdict: Verdict, told: str, seen: Observation) -> Finding:
    at = where(seen.source, seen.at, seen.duration_s)
    return Finding(sentence, verdict, f"{told} ({at})", seen.source, seen.at, seen.duration_s)


def _needed_before(step: Step) -> list[Look]:
    meaning = step.meaning
    needed: list[Look] = []
    if step.operation is not None:
        needed = list(step.looks)  # its order names them: {before.NOUN}; or what it leaves does
    elif isinstance(meaning, OneNew | Changed):
        needed = list(step.looks)
    for attempt in step.attempts:
        needed += _needed_before(attempt.step)
    for reading in readings_of(meaning):
        if reading.limit.needs_before:
            if reading.limit.needs_after:
                needed += [step.look(noun) for noun in reading.limit.others]
            elif step.looks:
                needed.append(step.look(_own(step, reading)))
    return [look for look in needed if not look.late]


def _own(step: Step, reading: Reading) -> str:
    """The noun that a reading is about; "" where it is about nothing that is looked at."""
    if isinstance(reading.subject, Subject):
        return reading.subject.noun
    return step.looks[0].noun if step.looks else ""


def _exactly_touched(step: Step, done: Done, system: System) -> Touched | None:
    """What the transaction says that it touched; None where it does not tell."""
    assert step.operation is not None
    selection = step.operation.options.touches
    if selection is None or not isinstance(done.value, Mapping):
        return None
    keys = done.value.get("keys", ())
    if len(keys) != done.value.get("changed"):
        return None  # more than are kept
    table = str(getattr(ordered(step.operation, system), "table_sql", ""))
    return Touched(table, selection, frozenset(keys), frozenset(done.value.get("gone", ())))


def _not_done(step: Step, error: WatchkeeperError, started: datetime) -> Account:
    assert step.operation is not None
    verdict = Verdict.UNKNOWN
    if isinstance(error, OperationRefused):
        verdict = Verdict.NOT_RUN
    elif isinstance(error, OperationFailed):
        verdict = Verdict.FAILED
    duration_s = (datetime.now(UTC) - started).total_seconds()
    finding = Finding(
        step.written.text,
        verdict,
        f"the operator {step.written_verb}: {' '.join(str(error).split())}",
        step.operation.operator,
        started,
        duration_s,
    )
    return Account(finding, step.written.keyword)


def _first(values: list[object]) -> Scalar:
    value = values[0] if values else None
    return value if isinstance(value, bool | int | float | str) or value is None else str(value)
