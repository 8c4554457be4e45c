"""Tests of what Prometheus has measured, and of every way in which it has not."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server
from pydantic import ValidationError

from tests.prometheus import Prometheus, free_port, running_prometheus
from watchkeeper.clock import Clock, Window
from watchkeeper.errors import ConfigurationError, CouldNotObserve, Place
from watchkeeper.kinds import KINDS
from watchkeeper.looking.probes.metric import PROBE, Question
from watchkeeper.looking.reach import Reach
from watchkeeper.looking.reading import read
from watchkeeper.observation import Answer, Observation, Table
from watchkeeper.plan import Look, needs_window
from watchkeeper.services import Web
from watchkeeper.target_file import load_system
from watchkeeper.targets import Figure, FigureOptions


async def _look(url: str, asked: dict[str, Any], clock: Clock, window: Window | None) -> Answer:
    reach = Reach({"prometheus": Web(url=url, deadline="2 seconds")}, clock)
    try:
        return await PROBE.look(question(asked), reach, window)
    finally:
        await reach.close()


def question(asked: dict[str, Any]) -> Question:
    return Question.model_validate({"in": "prometheus", **asked})


def looked(
    url: str, query: str, *, clock: Clock | None = None, window: Window | None = None, **rest: Any
) -> Answer:
    asked = {"metric": query, **{key.replace("_", " "): value for key, value in rest.items()}}
    return asyncio.run(_look(url, asked, clock or Clock(), window))


def not_seen(url: str, query: str, **rest: Any) -> CouldNotObserve:
    with pytest.raises(CouldNotObserve) as caught:
        looked(url, query, **rest)
    assert caught.value.source.endswith("in prometheus")
    return caught.value


def cells(answer: Answer) -> list[dict[str, Any]]:
    """The rows of an answer, without what Prometheus adds to every one."""
    rows = answer.value
    assert isinstance(rows, Table | list)
    found = [dict(row if isinstance(row, dict) else row.cells) for row in rows]
    added = ("instance", "job", "__name__")
    return [{k: v for k, v in row.items() if k not in added} for row in found]


def seen(answer: Answer, **options: Any) -> Observation:
    """The answer as a figure reads it that is one value."""
    asked = Question(metric="x", in_="prometheus")
    figure = Figure("x", "metric", asked, FigureOptions(**options), Place(Path("x")))
    return read(figure, "x", answer)


# A real Prometheus -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prometheus() -> Iterator[Prometheus]:
    registry = CollectorRegistry()
    requests = Counter("requests", "", ["handler"], registry=registry)
    requests.labels("/login").inc(3)
    requests.labels("/predict").inc(7)
    for name, value in (("accuracy", 0.93), ("zero", 0), ("broken", float("nan"))):
        Gauge(name, "", registry=registry).set(value)
    port, nobody = free_port(), free_port()
    server, thread = start_http_server(port, "127.0.0.1", registry)
    with running_prometheus({"backend": [port], "partly": [port, nobody]}) as it:
        it.await_value('up{job="backend"}', 1)
        it.await_value(f'up{{job="partly", instance="127.0.0.1:{nobody}"}}', 0)
        it.await_value('up{job="partly"} == 1', 1)
        yield it
    server.shutdown()
    server.server_close()
    thread.join()


def test_one_value(prometheus: Prometheus) -> None:
    """A query that gives one series is one value, whole where it is whole."""
    answer = looked(prometheus.url, 'accuracy{job="backend"}')
    assert seen(answer, unit="ratio").value == 0.93
    assert answer.source == 'accuracy{job="backend"} in prometheus'
    assert repr(seen(looked(prometheus.url, 'sum(requests_total{job="backend"})')).value) == "10"


def test_a_scalar_and_a_text(prometheus: Prometheus) -> None:
    """What has no labels is one value as well."""
    assert seen(looked(prometheus.url, "scalar(vector(5)) / 2")).value == 2.5
    assert seen(looked(prometheus.url, '"calm"'), values=["calm"]).value == "calm"


def test_a_row_for_each_series(prometheus: Prometheus) -> None:
    """Labels are columns, beside the value; `key` tells the rows apart."""
    answer = looked(prometheus.url, 'sort(requests_total{job="backend"})', key="handler")
    assert cells(answer) == [
        {"handler": "/login", "value": 3},
        {"handler": "/predict", "value": 7},
    ]
    assert isinstance(answer.value, Table)
    assert answer.value.key == "handler"


def test_several_where_one_is_expected(prometheus: Prometheus) -> None:
    """They are named: a figure that silently took the first one would speak of another thing."""
    with pytest.raises(CouldNotObserve) as caught:
        seen(looked(prometheus.url, 'sum by (handler) (requests_total{job="backend"})'))
    assert caught.value.kind == "several"
    assert caught.value.reason == (
        "it gave 2 values, expected one: handler /login; handler /predict"
    )


def test_no_such_series(prometheus: Prometheus) -> None:
    """Nothing measured is no data, unless the figure says that it understands it."""
    assert not_seen(prometheus.url, "no_such_metric").kind == "no data"
    answer = looked(prometheus.url, "no_such_metric", understands="empty")
    assert cells(answer) == []
    assert seen(answer).no_data


def test_nan(prometheus: Prometheus) -> None:
    """0/0 is no number; it is named, or an empty cell where the figure understands it."""
    for query in ('broken{job="backend"}', 'zero{job="backend"} / zero{job="backend"}'):
        assert not_seen(prometheus.url, query).kind == "NaN"
    answer = looked(prometheus.url, 'broken{job="backend"}', understands=["NaN"])
    assert cells(answer) == [{"value": None}]
    assert seen(answer).no_data


@pytest.mark.parametrize("sign", ["", "-"])
def test_infinity(prometheus: Prometheus, sign: str) -> None:
    """A division by zero is no number, of either sign."""
    query = f'{sign}accuracy{{job="backend"}} / zero{{job="backend"}}'
    refused = not_seen(prometheus.url, query, understands=["NaN", "empty"])
    assert refused.kind == "infinite"
    assert f"{sign or '+'}inf" in refused.reason


def test_a_query_that_prometheus_does_not_understand(prometheus: Prometheus) -> None:
    """It says so itself, with what is wrong."""
    refused = not_seen(prometheus.url, "sum(requests_total")
    assert refused.kind == "query"
    assert "unclosed left parenthesis" in refused.reason
    many = not_seen(prometheus.url, "accuracy / on() group_left() requests_total")
    assert (many.kind, "many-to-many" in many.reason) == ("query", True)


def test_samples_where_a_value_is_expected(prometheus: Prometheus) -> None:
    """A selector of a stretch of time is refused: nobody could say which sample is meant."""
    refused = not_seen(prometheus.url, "accuracy[5s]")
    assert (refused.kind, "matrix" in refused.reason) == ("unexpected", True)


def test_a_job_that_must_be_up(prometheus: Prometheus) -> None:
    """One target that can't be scraped makes a sum over all a part of it."""
    good = looked(prometheus.url, 'accuracy{job="backend"}', scraped_by="backend")
    assert seen(good).value == 0.93
    partly = not_seen(prometheus.url, "sum(accuracy)", scraped_by="partly")
    assert partly.kind == "not scraped"
    assert partly.reason.startswith("1 of 2 targets of the job partly can't be scraped: {instance=")
    assert not_seen(prometheus.url, "accuracy", scraped_by='no "job').kind == "not scraped"


def test_the_age_of_a_sample(prometheus: Prometheus) -> None:
    """A sample, or the job's last scrape, may be as old as the figure says."""
    query = 'accuracy{job="backend"}'
    assert seen(looked(prometheus.url, query, max_staleness="1 minute")).value == 0.93
    for beside in ({}, {"scraped_by": "backend"}):
        refused = not_seen(prometheus.url, query, max_staleness="0.001 ms", **beside)
        assert (refused.kind, "s old, and may be 0.001 ms" in refused.reason) == ("stale", True)


def test_our_clock_decides(prometheus: Prometheus) -> None:
    """In an hour's time there is nothing yet, whatever there is now."""
    clock = Clock(timedelta(hours=1))
    assert not_seen(prometheus.url, "accuracy", clock=clock).kind == "no data"


def test_a_dead_target_behind_a_rate() -> None:
    """A range is computed with the samples of before the death; only the job tells of it."""
    registry = CollectorRegistry()
    Gauge("pulse", "", registry=registry).set(1)
    port = free_port()
    server, thread = start_http_server(port, "127.0.0.1", registry)
    with running_prometheus({"mortal": [port]}) as it:
        it.await_value("count_over_time(pulse[1m]) >= bool 3", 1)
        assert seen(looked(it.url, "max_over_time(pulse[1m])", scraped_by="mortal")).value == 1
        server.shutdown()
        server.server_close()
        thread.join()
        it.await_value("up", 0)
        assert seen(looked(it.url, "max_over_time(pulse[1m])")).value == 1
        dead = not_seen(it.url, "max_over_time(pulse[1m])", scraped_by="mortal")
        assert dead.kind == "not scraped"
        assert not_seen(it.url, "pulse").kind == "no data"
        time.sleep(2.5)  # longer than two steps: what is silent for one may just not be due
        ranged = {"range": "3 seconds", "step": "1 second", "max_staleness": "1 second"}
        late = not_seen(it.url, "pulse", **ranged)
        assert (late.kind, late.reason.startswith("nothing was measured from")) == ("stale", True)


def test_all_samples_of_a_range(prometheus: Prometheus) -> None:
    """A row for each step with its instant, as far as something was measured all the time."""
    prometheus.await_value('count_over_time(accuracy{job="backend"}[1m]) >= bool 4', 1)
    query = 'accuracy{job="backend"}'
    rows = cells(looked(prometheus.url, query, range="3 seconds", step="1 second"))
    assert [row["value"] for row in rows] == [0.93] * 4
    instants = [row["at"] for row in rows]
    assert instants[-1] - instants[0] == timedelta(seconds=3)
    picked = looked(prometheus.url, query, range="3 seconds", step="1 second")
    assert seen(picked, pick="map(.value) | min").value == 0.93
    until = datetime.now(UTC)
    window = Window(until - timedelta(seconds=2), until)
    asked = {"range": "window", "step": "1 second", "window": window}
    assert len(cells(looked(prometheus.url, query, **asked))) == 3
    young = not_seen(prometheus.url, query, range="1 hour")
    assert (young.kind, "nothing was measured from" in young.reason) == ("partial", True)


# A server that speaks the API, badly -----------------------------------------------------------

JSON = {"Content-Type": "application/json"}


@contextmanager
def api(status: int, said: object, headers: dict[str, str] | None = None) -> Iterator[str]:
    """A server that gives this answer to every query; its url."""
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    heads = {"Content-Length": str(len(body)), **(JSON if headers is None else headers)}

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(status)
            for name, value in heads.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with serving(Answers) as url:
        yield url


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def vector(*values: object, **beside: object) -> dict[str, object]:
    result = [{"metric": {"n": str(n)}, "value": value} for n, value in enumerate(values)]
    return {"status": "success", "data": {"resultType": "vector", "result": result}, **beside}


def failure(kind: str) -> dict[str, object]:
    return {"status": "error", "errorType": kind, "error": f"{kind} it is"}


NOW = [1.0, "5"]
HISTOGRAM = {"metric": {}, "histogram": [1.0, {"count": "1"}]}


@pytest.mark.parametrize(
    ("status", "said", "kind", "reason"),
    [
        (400, failure("bad_data"), "query", "it says: bad_data it is"),
        (422, failure("execution"), "query", "it says: execution it is"),
        (503, failure("timeout"), "timeout", "it says: timeout it is"),
        (503, failure("canceled"), "timeout", "it says: canceled it is"),
        (500, failure("internal"), "internal", "it says: internal it is"),
        (200, failure("unavailable"), "unavailable", "it says: unavailable it is"),
        (200, {"status": "error"}, "error", "it says: "),
        (200, vector(NOW, warnings=["store a did not answer"]), "partial", "store a did not"),
        (200, vector(NOW, isPartial=True), "partial", "it knows a part only"),
        (200, {"answer": 42}, "unexpected", "not of Prometheus' kind"),
        (200, [], "unexpected", "not of Prometheus' kind"),
        (200, {"status": "success"}, "unexpected", "has no result"),
        (200, {"status": "success", "data": {"result": []}}, "unexpected", "a None, expected"),
        (200, vector(None), "unexpected", "a sample of its answer is none"),
        (200, vector([1.0, 5]), "unexpected", "a sample of its answer is none"),
        (200, vector(*[NOW] * 1_001), "too large", "it gave 1,001 series"),
        (200, json.dumps(vector(NOW)).encode()[:-9], "not JSON", "JSON that breaks off after"),
        (200, b"<html><title>Log in</title></html>", "not JSON", "HTML page titled 'Log in'"),
        (200, b"", "not JSON", "an empty answer"),
        (401, {"error": "no"}, "unexpected", "not of Prometheus' kind"),
    ],
)
def test_answers_that_are_none(status: int, said: object, kind: str, reason: str) -> None:
    """Whatever else comes is unknown, of a kind of its own."""
    with api(status, said) as url:
        refused = not_seen(url, "x")
    assert refused.kind == kind
    assert reason in refused.reason


def test_histograms_are_no_numbers() -> None:
    """A native histogram is told apart from a sample that is none."""
    said = {"status": "success", "data": {"resultType": "vector", "result": [HISTOGRAM]}}
    with api(200, said) as url:
        assert "ask for a quantile" in not_seen(url, "x").reason


@pytest.mark.parametrize("status", [401, 404, 502])
def test_statuses_of_what_stands_before_it(status: int) -> None:
    """A proxy's page is its status."""
    with api(status, b"<html></html>", {"Content-Type": "text/html"}) as url:
        assert not_seen(url, "x").kind == str(status)


def test_nobody_there_and_nobody_answering() -> None:
    """Refused and timed out are as of any web service."""

    class Silent(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(3)

    assert not_seen(f"http://127.0.0.1:{free_port()}", "x").kind == "refused"
    with serving(Silent) as url:
        assert not_seen(url, "x").kind == "timeout"


def test_an_answer_that_is_cut_off() -> None:
    """Bytes that were promised and did not come are no answer."""
    with api(200, vector(NOW), {**JSON, "Content-Length": "5000"}) as url:
        assert not_seen(url, "x").kind == "closed"


def test_a_clock_that_is_wrong() -> None:
    """What a server of another time calls now is not now; a drill's moved clock is."""
    past = {**JSON, "Date": format_datetime(datetime.now(UTC) - timedelta(minutes=4), usegmt=True)}
    with api(200, vector(NOW), past) as url:
        refused = not_seen(url, "x")
    assert (refused.kind, "s from ours" in refused.reason) == ("clock", True)
    present = {**JSON, "Date": format_datetime(datetime.now(UTC), usegmt=True)}
    with api(200, vector(NOW), present) as url:
        assert seen(looked(url, "x", clock=Clock(timedelta(hours=3)))).value == 5


def test_what_is_asked() -> None:
    """The instant is the end of the sentence's window, and our deadline goes with it."""
    asked: list[dict[str, list[str]]] = []

    class Notes(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(parse_qs(urlsplit(self.path).query))
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    until = datetime(2026, 3, 1, tzinfo=UTC)
    window = Window(until - timedelta(hours=1), until)
    with serving(Notes) as url:
        not_seen(url, "x + y", window=window)
        not_seen(url, "x", window=window, range="window", step="5 minutes")
    assert asked[0] == {"query": ["x + y"], "time": ["1772323200.000"], "timeout": ["2000ms"]}
    assert asked[1] == {
        "query": ["x"], "start": ["1772319600.000"], "end": ["1772323200.000"],
        "step": ["300.000"], "timeout": ["2000ms"],
    }  # fmt: skip


# In a target file ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ({"metric": ""}, "at least 1 character"),
        ({"metric": "x", "range": "soon"}, '"soon" is no duration'),
        ({"metric": "x", "understands": "nothing"}, "empty"),
        ({"metric": "rate(x[5m])", "max staleness": "1 minute"}, 'write which job must be up: "sc'),
        ({"metric": "x offset 1h", "max staleness": "1 minute"}, "how old the samples are"),
        ({"metric": "x", "query": "y"}, "query"),
    ],
)
def test_questions_that_are_refused(asked: dict[str, Any], part: str) -> None:
    """What can't be meant is refused before anything is asked."""
    with pytest.raises(ValidationError) as caught:
        question(asked)
    assert part in str(caught.value)


def test_selectors_are_told_from_what_computes() -> None:
    """Only of a selector does Prometheus tell the sample's age."""
    for query in ("x", "job:rate:5m", " x{a=\"}\",b=~'{'} ", "x{}"):
        assert question({"metric": query}).is_selector
    for query in ("x[5m]", "-x", "x + y", "sum(x)", 'x{a="b"} > 1', "x @ 5", "5"):
        assert not question({"metric": query}).is_selector


TARGET = """\
system: shop
called: the shop
services:
  prometheus: {url: "http://127.0.0.1:9"}
figures:
  error rate: {metric: 'sum(rate(e{s=~"5.."}[5m]))', in: prometheus, unit: ratio}
  growth: {metric: {query: 'increase(x[{window}])', in: prometheus}, rows: ".[]", key: queue}
  course: {metric: {query: x, in: prometheus, range: window}, rows: ".[]", key: at}
  'calls of "{path}"': {metric: 'calls{path="{path}"}', in: prometheus, understands: empty}
environments:
  replica: {}
"""


def test_figures_of_a_target_file(tmp_path: Path) -> None:
    """Both ways to write it; the window's length is filled in, and a text stays a text."""
    (tmp_path / "shop.yml").write_text(TARGET)
    figures = load_system(tmp_path / "shop.yml", KINDS).figures
    assert needs_window(figures["growth"])
    assert needs_window(figures["course"])
    assert not needs_window(figures["error rate"])
    month_s = 30 * 86_400
    asked = Look("growth", figures["growth"], (), month_s).question
    assert (asked.metric, asked.key) == ("increase(x[2592000000ms])", "queue")  # type: ignore[attr-defined]
    evil = (("path", 'a"} or b\\'),)
    asked = Look("calls", figures['calls of "{path}"'], evil).question
    assert asked.metric == 'calls{path="a\\x22} or b\\x5c"}'  # type: ignore[attr-defined]


@pytest.mark.parametrize("query", ["x{a={path}}", "x{a=`{path}`}", "{path}"])
def test_texts_outside_quotes_are_refused(tmp_path: Path, query: str) -> None:
    """A text from a sentence could otherwise widen the query."""
    written = TARGET.replace("""'calls{path="{path}"}'""", f"'{query}'")
    (tmp_path / "shop.yml").write_text(written)
    with pytest.raises(ConfigurationError, match="outside quotes in its PromQL"):
        load_system(tmp_path / "shop.yml", KINDS)


def test_a_quoted_text_means_itself(prometheus: Prometheus) -> None:
    """Prometheus reads our escapes as the characters that they stand for."""
    query = '"' + "a\\x22b\\x5cc\\x27d\\x60e\\x0af" + '"'
    assert seen(looked(prometheus.url, query)).value == "a\"b\\c'd`e\nf"
