"""What has Prometheus measured?"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, field_validator, model_validator

from watchkeeper.clock import Window
from watchkeeper.errors import CouldNotObserve
from watchkeeper.looking.reach import Reach
from watchkeeper.observation import Answer, Row, Scalar, Table
from watchkeeper.services import Duration, Model, Web
from watchkeeper.units import duration_s
from watchkeeper.web_calls import Call, Reply

if TYPE_CHECKING:
    from watchkeeper.web import WebClient

GAP_S = 300.0
"""How long a range may say nothing: as long as Prometheus itself takes a sample for the present."""

SKEW_S = 30.0
"""How far its clock may be from ours: at our time, it would else be asked for what it calls past or
future, and answer with old samples or none."""

POINTS_MAX = 11_000
"""Samples of a range that are taken; Prometheus gives no more of one series either."""

NAMED = 3
"""Series that a reason names."""

SOURCE_MAX = 120
"""Characters of the query that a source shows."""

_WHOLE = 2**53  # beyond it a float no longer tells whole numbers apart
_MATCHERS = re.compile(r"\{(?:[^{}\"'`]|\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|`[^`]*`)*\}")
_METRIC = re.compile(r"[a-zA-Z_:][\w:]*")


def _stretch(text: str) -> str:
    if text != "window":
        duration_s(text)
    return text


class Question(Model):
    """A PromQL query on the web service `in`, whose url is Prometheus' own.

    Evaluated at our time, or at the end of the sentence's window; `{window}` in the query is that
    window's length. `range` (a duration, or `window`) and `step` ask for all that it was meanwhile.
    `key`: the label that tells the series apart.
    `understands`: `empty`, that no series is an answer (an empty list, or no data), and `NaN`, that
    0/0 is one (an empty cell, or no data). `scraped by`: the job that must be up, all of it, now.
    `max staleness`: how old the sample may be.
    """

    metric: Annotated[str, WithJsonSchema({"type": ["string", "object"]})] = Field(min_length=1)
    in_: str
    key: str | None = None
    range_: Annotated[str, AfterValidator(_stretch)] | None = None
    step: Duration = "1 minute"
    scraped_by: str | None = None
    max_staleness: Duration | None = None
    understands: tuple[Literal["empty", "NaN"], ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _called_query(cls, data: Any) -> Any:
        """`metric: {query: …}` says the same as `metric: …`."""
        if isinstance(data, Mapping) and "query" in data and "metric" not in data:
            return {"metric" if key == "query" else key: value for key, value in data.items()}
        return data

    @field_validator("understands", mode="before")
    @classmethod
    def _one_word(cls, words: Any) -> Any:
        return (words,) if isinstance(words, str) else words

    @model_validator(mode="after")
    def _age_is_known(self) -> Question:
        told = self.range_ or self.scraped_by or self.is_selector
        if self.max_staleness and not told:
            raise ValueError(
                "Prometheus does not tell how old the samples are that it computes with; "
                'write which job must be up: "scraped by: backend"'
            )
        return self

    @property
    def is_selector(self) -> bool:
        """Whether it names a metric and computes nothing."""
        return _METRIC.fullmatch(_MATCHERS.sub("", self.metric, count=1).strip()) is not None

    @property
    def up(self) -> str:
        """When each target of the job was scraped last, in seconds; 0 where that failed."""
        job = f"up{{job={json.dumps(self.scraped_by)}}}"
        return f"{job} * timestamp({job})"


class Metric:
    """Asks Prometheus' HTTP API; kind "rows".

    The value is a Table, a row for each series with its labels and `value`; of a range a list, a
    row for each sample, with `at`.
    """

    def drivers(self, question: Question) -> tuple[str, ...]:
        return ("watchkeeper.web",)

    def services(self, question: Question) -> tuple[str, ...]:
        return (question.in_,)

    async def look(self, question: Question, reach: Reach, window: Window | None) -> Answer:
        """Raises CouldNotObserve: the kinds of WebClient.ask and "not JSON"; "query", "timeout" or
        what else Prometheus calls its error; "no data", "NaN", "infinite", "stale", "not scraped",
        "partial", "clock", "too large", "unexpected".
        """
        from watchkeeper.web import web_client  # noqa: PLC0415 - heavy

        at, began = reach.clock.now(), time.monotonic()
        source = _source(question)
        try:
            prometheus = _Prometheus(
                await web_client(reach, question.in_),
                reach.service(question.in_, Web).deadline_s,
                window.until if window is not None else at,
                reach.clock.offset,
            )
            await _refuse_stale(question, prometheus)
            value = await _measured(question, prometheus, window)
        except CouldNotObserve as error:
            raise CouldNotObserve(
                error.kind,
                error.reason,
                source=source,
                excerpt=error.excerpt,
                duration_s=time.monotonic() - began,
            ) from error
        return Answer(value, source, at, time.monotonic() - began, kind="rows")


def _source(question: Question) -> str:
    folded = " ".join(question.metric.split())
    cut = folded if len(folded) <= SOURCE_MAX else folded[: SOURCE_MAX - 1] + "…"
    over = f" over {question.range_}" if question.range_ else ""
    return f"{cut}{over} in {question.in_}"


# What is asked ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Prometheus:
    """Prometheus, asked at the instant `until`. `offset`: how far a drill has moved our clock."""

    client: WebClient
    deadline_s: float
    until: datetime
    offset: timedelta

    async def now(self, query: str) -> list[_Series]:
        """The series of an instant query."""
        kind, result = await self._data("query", {"query": query, "time": _moment(self.until)})
        if kind in ("scalar", "string"):
            return [_Series((), (_sample(result),))]
        if kind == "vector" and isinstance(result, list):
            return [_Series(_labels(each), (_sample(each.get("value")),)) for each in result]
        raise CouldNotObserve(
            "unexpected", f'it answered a {kind}, expected one value a series: "{query}"'
        )

    async def over(self, query: str, stretch_s: float, step_s: float) -> list[_Series]:
        """The series of a range query, with a sample for each step."""
        asked = {
            "query": query,
            "start": _moment(self.until - timedelta(seconds=stretch_s)),
            "end": _moment(self.until),
            "step": f"{step_s:.3f}",
        }
        kind, result = await self._data("query_range", asked)
        if kind != "matrix" or not isinstance(result, list):
            raise CouldNotObserve("unexpected", f"it answered a {kind}, expected a range")
        return [
            _Series(_labels(each), tuple(_sample(pair) for pair in each.get("values") or ()))
            for each in result
        ]

    async def _data(self, path: str, params: dict[str, str]) -> tuple[str, Any]:
        """The type and the result of an answer that is whole and without a warning."""
        from watchkeeper.web import json_of  # noqa: PLC0415 - heavy, and imported by now

        limit = f"{round(self.deadline_s * 1000)}ms"  # it then gives up as well, and says so
        call = Call("GET", f"/api/v1/{path}", params={**params, "timeout": limit})
        reply = await self.client.ask(call, follow=True)
        if not reply.kind.startswith("2") and not _is_json(reply):
            raise reply.unknown(reply.kind, reply.said)
        said = json_of(reply)
        if not isinstance(said, Mapping) or "status" not in said:
            raise reply.unknown("unexpected", "its answer is not of Prometheus' kind")
        if said["status"] != "success":
            kind, error = str(said.get("errorType", "")), str(said.get("error", ""))
            raise reply.unknown(_ERRORS.get(kind, kind or "error"), f"it says: {error or kind}")
        if said.get("warnings") or said.get("isPartial"):
            warning = "; ".join(map(str, said.get("warnings") or ["it knows a part only"]))
            raise reply.unknown("partial", f"it warns of its own answer: {warning}")
        self._refuse_skewed(reply)
        data = said.get("data")
        if not isinstance(data, Mapping) or "result" not in data:
            raise reply.unknown("unexpected", "its answer has no result")
        return str(data.get("resultType")), data["result"]

    def _refuse_skewed(self, reply: Reply) -> None:
        try:
            theirs = parsedate_to_datetime(reply.headers["date"]).replace(tzinfo=UTC)
        except (KeyError, ValueError):  # it does not tell its time
            return
        # A replica's clock may have been moved with ours, or not show it in this header.
        ours = (reply.at, reply.at - self.offset)
        skew_s = min(abs((theirs - our).total_seconds()) for our in ours) - reply.duration_s
        if skew_s > SKEW_S:
            raise reply.unknown(
                "clock", f"its clock is {skew_s:.0f} s from ours: what it calls now is another time"
            )


_ERRORS = {"bad_data": "query", "execution": "query", "canceled": "timeout"}


def _is_json(reply: Reply) -> bool:
    return "json" in reply.headers.get("content-type", "")


def _moment(at: datetime) -> str:
    return f"{at.timestamp():.3f}"


# What was answered -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Series:
    """`labels` in the order of their names; `samples`: when, in seconds since 1970, and how much
    (a text of a query that gives one).
    """

    labels: tuple[tuple[str, Scalar], ...]
    samples: tuple[tuple[float, float | str], ...]

    def __str__(self) -> str:
        return "{" + ", ".join(f'{name}="{text}"' for name, text in self.labels) + "}"


def _labels(series: Any) -> tuple[tuple[str, Scalar], ...]:
    if not isinstance(series, Mapping):
        raise CouldNotObserve("unexpected", "a series of its answer is none")
    if "histogram" in series or "histograms" in series:
        raise CouldNotObserve(
            "unexpected", "it answered a histogram, expected a number; ask for a quantile of it"
        )
    return tuple(sorted((str(k), str(v)) for k, v in (series.get("metric") or {}).items()))


def _sample(pair: Any) -> tuple[float, float | str]:
    match pair:
        case [int() | float() as at, str() as text]:
            try:
                return float(at), float(text)
            except ValueError:
                return float(at), text
    raise CouldNotObserve("unexpected", "a sample of its answer is none")


async def _measured(
    question: Question, prometheus: _Prometheus, window: Window | None
) -> Table | list[dict[str, Scalar]]:
    if question.range_ is not None:
        return await _samples(question, prometheus, window)
    found = await prometheus.now(question.metric)
    _refuse_empty(question, found)
    if len(found) > Table.KEEP:
        raise CouldNotObserve(
            "too large", f"it gave {len(found):,} series; let the query sum them or choose"
        )
    rows = tuple(
        Row((*series.labels, ("value", _number(question, series, value))))
        for series in found
        for _, value in series.samples
    )
    return Table(rows, len(rows), question.key, measure="value")


async def _samples(
    question: Question, prometheus: _Prometheus, window: Window | None
) -> list[dict[str, Scalar]]:
    if question.range_ != "window":
        stretch_s = duration_s(question.range_ or "")
    elif window is not None:
        stretch_s = window.seconds
    else:
        raise CouldNotObserve("configuration", 'range: "window", and the sentence has none')
    step_s = duration_s(question.step)
    found = await prometheus.over(question.metric, stretch_s, step_s)
    _refuse_empty(question, found)
    number = sum(len(series.samples) for series in found)
    if number > POINTS_MAX:
        raise CouldNotObserve("too large", f"it gave {number:,} samples; take a longer step")
    if found:
        _refuse_gaps(question, prometheus, found, stretch_s)
    return [
        {
            **dict(series.labels),
            "at": datetime.fromtimestamp(at, UTC),
            "value": _number(question, series, value),
        }
        for series in found
        for at, value in series.samples
    ]


def _refuse_empty(question: Question, found: list[_Series]) -> None:
    if not found and "empty" not in question.understands:
        raise CouldNotObserve(
            "no data",
            "it has no such series now, neither good nor bad"
            + ("" if question.is_selector else "; where none means zero, the query must say so"),
        )


def _number(question: Question, series: _Series, value: float | str) -> Scalar:
    if isinstance(value, str):
        return value
    if math.isnan(value):
        if "NaN" in question.understands:
            return None
        raise CouldNotObserve("NaN", f"{series} is NaN: nothing was there to divide by")
    if math.isinf(value):
        raise CouldNotObserve("infinite", f"{series} is {value:+}, which is no measured number")
    return int(value) if value.is_integer() and abs(value) < _WHOLE else value


# How old it is ---------------------------------------------------------------------------------


async def _refuse_stale(question: Question, prometheus: _Prometheus) -> None:
    """Prometheus takes a sample for the present for five minutes, and computes with older ones in
    every range; only the job's own `up` tells at once that nothing new comes.
    """
    if question.scraped_by is not None:
        targets = await prometheus.now(question.up)
        if not targets:
            raise CouldNotObserve("not scraped", f"the job {question.scraped_by} is not scraped")
        down = [series for series in targets if series.samples[0][1] == 0]
        if down:
            raise CouldNotObserve(
                "not scraped",
                f"{len(down)} of {len(targets)} targets of the job {question.scraped_by} can't be "
                f"scraped: {_few(down)}",
            )
        _refuse_old(question, prometheus, targets)
    elif question.max_staleness and not question.range_:
        _refuse_old(question, prometheus, await prometheus.now(f"timestamp({question.metric})"))


def _refuse_old(question: Question, prometheus: _Prometheus, seen: list[_Series]) -> None:
    if question.max_staleness is None:
        return
    until_s, limit_s = prometheus.until.timestamp(), duration_s(question.max_staleness)
    for series in seen:
        age_s = until_s - float(series.samples[0][1])
        if age_s > limit_s:
            raise CouldNotObserve(
                "stale",
                f"the newest sample of {series} is {age_s:.0f} s old, and may be "
                f"{question.max_staleness}",
            )


def _refuse_gaps(
    question: Question, prometheus: _Prometheus, found: list[_Series], stretch_s: float
) -> None:
    until_s = prometheus.until.timestamp()
    step_s = duration_s(question.step)
    silent_s = duration_s(question.max_staleness) if question.max_staleness else GAP_S
    longest_s = max(silent_s, 2 * step_s)  # two steps: the last one may just not be due
    instants = sorted({at for series in found for at, _ in series.samples})
    for before, after in pairwise([until_s - stretch_s, *instants, until_s]):
        if after - before > longest_s:
            kind = "stale" if after == until_s else "partial"
            raise CouldNotObserve(
                kind, f"nothing was measured from {_clock(before)} to {_clock(after)}"
            )


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}"


def _few(series: list[_Series]) -> str:
    return ", ".join(_names(series)) + (", …" if len(series) > NAMED else "")


def _names(series: list[_Series]) -> Iterator[str]:
    yield from (str(each) for each in series[:NAMED])


PROBE = Metric()
