"""Is the edge of the routing platform's replica a system that can be used, broken and mended?"""

from __future__ import annotations

import math
import os
import signal
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509

from tests.replicas.replica_process import HTTP, Replica, dials_that_fail, running

COMMAND = (sys.executable, str(Path(__file__).with_name("edge_replica.py")), "--folder")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    with running(tmp_path_factory.mktemp("edge") / "one", COMMAND) as replica:
        yield replica


@pytest.fixture
def replica(shared: Replica) -> Iterator[Replica]:
    yield shared
    shared.reset()


def trusting(replica: Replica, authority: str = "RML_CA") -> ssl.SSLContext:
    return ssl.create_default_context(cafile=replica.env[authority])


def ask(replica: Replica, path: str, url: str = "RML_PUBLIC_URL", **more: Any) -> httpx.Response:
    """Ask over TLS, trusting the right root and nobody else."""
    root = "RML_DASHBOARD_CA" if url == "RML_DASHBOARD_URL" else "RML_CA"
    with httpx.Client(verify=trusting(replica, root), trust_env=False) as client:
        return client.request(more.pop("method", "GET"), replica.env[url] + path, **more)


def shown_certificate(replica: Replica) -> x509.Certificate:
    url = httpx.URL(replica.env["RML_PUBLIC_URL"])
    pem = ssl.get_server_certificate((url.host, url.port or 0), timeout=5)
    return x509.load_pem_x509_certificate(pem.encode())


def days_left(replica: Replica) -> int:
    return (shown_certificate(replica).not_valid_after_utc - datetime.now(UTC)).days


def names(replica: Replica) -> list[str]:
    extension = shown_certificate(replica).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    return extension.value.get_values_for_type(x509.DNSName)


def script(replica: Replica) -> str:
    return HTTP.get(replica.env["RML_PREDICT_URL"] + "/assets/app.js").text


def messages(replica: Replica) -> list[dict[str, Any]]:
    return list(HTTP.get(replica.env["RML_CHAT_MESSAGES_URL"]).json())


def turn(replica: Replica, dial: str, *, on: bool = True) -> None:
    answer = replica.turn(dial, on=on)
    assert answer.status_code == httpx.codes.OK, answer.text


def wait_for(happens: Callable[[], bool], within_s: float = 5.0) -> None:
    deadline = time.monotonic() + within_s
    while not happens():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


# Every dial


def test_each_dial_is_seen_and_gone_after_a_reset(replica: Replica) -> None:
    """Turned on, each dial measures on, and after a reset off; none is on before."""
    assert dials_that_fail(replica) == []


def test_each_dial_says_what_it_does(shared: Replica) -> None:
    """Every dial names procedures of the runbook, or none, and explains itself."""
    for dial in shared.dials():
        assert len(dial["about"]) > 20, dial
        assert all(procedure.startswith("RML-") for procedure in dial["red"]), dial


# The proxy


def test_the_proxy_ends_tls_and_hands_on(replica: Replica) -> None:
    """Over a certificate that its root vouches for, / is the page and /health the API."""
    assert ask(replica, "/").text.startswith("<!doctype html>")
    assert ask(replica, "/health").json()["status"] == "healthy"
    predicted = ask(
        replica, "/api/routing/predict?a=1", method="POST", json={"item_code": "TEST_ITEM"},
        headers={"Authorization": "Bearer good"},
    ).json()  # fmt: skip
    assert predicted["target"] == "/api/routing/predict?a=1"


def test_the_proxy_sends_plain_http_to_https(shared: Replica) -> None:
    """Port 80 answers 301 with the same path at the port of TLS."""
    answer = HTTP.get(shared.env["RML_PUBLIC_HTTP_URL"] + "/training")
    assert answer.status_code == httpx.codes.MOVED_PERMANENTLY
    assert answer.headers["location"] == shared.env["RML_PUBLIC_URL"] + "/training"


def test_the_proxy_balances_over_the_living(replica: Replica) -> None:
    """Two instances answer in turn; when one is down, the other answers all."""
    logs = [Path(replica.env[f"{name}_FOLDER"]) / "logs" for name in
            ("FRONTEND_TRAINING", "FRONTEND_TRAINING_2")]  # fmt: skip
    assert all(folder.exists() for folder in logs)
    turn(replica, "frontend-training answers 503")  # the first instance's alone
    assert {ask(replica, "/").status_code for _ in range(4)} == {200, 503}
    turn(replica, "frontend-training answers 503", on=False)
    turn(replica, "frontend-training down")
    assert {ask(replica, "/").status_code for _ in range(4)} == {200}


def test_the_proxy_answers_502_when_nobody_is_behind_it(replica: Replica) -> None:
    """A back end that is gone gives nginx's own 502 page and an error line; the rest goes on."""
    turn(replica, "nginx proxies to nowhere")
    answer = ask(replica, "/health")
    assert (answer.status_code, "<h1>502 Bad Gateway</h1>" in answer.text) == (502, True)


def test_the_proxy_writes_the_combined_format(replica: Replica) -> None:
    """An access is one line: who, when, what, status, bytes, referrer, agent."""
    ask(replica, "/health", headers={"User-Agent": "probe/1", "Referer": "https://x.example"})
    log = Path(replica.env["NGINX_FOLDER"]) / "logs" / "nginx.txt"
    last = log.read_text().splitlines()[-1]
    assert last.startswith("127.0.0.1 - - [")
    assert '"GET /health HTTP/1.1" 200 ' in last
    assert last.endswith('"https://x.example" "probe/1"')


def test_a_healthy_certificate(shared: Replica) -> None:
    """It names the public host, the API's and this machine, and has 74 days left of ninety."""
    assert {"routing.example.com", "api.routing.example.com", "localhost"} <= set(names(shared))
    assert days_left(shared) == 73  # and some hours
    certificate = shown_certificate(shared)
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert life == timedelta(days=90)


@pytest.mark.parametrize(
    ("dial", "reason"),
    [
        ("nginx certificate is expired", "certificate has expired"),
        ("nginx certificate names another host", "IP address mismatch"),
        ("nginx certificate is untrusted", "unable to get local issuer certificate"),
        ("nginx certificate chain is incomplete", "unable to get local issuer certificate"),
    ],
)
def test_a_bad_certificate_is_refused(replica: Replica, dial: str, reason: str) -> None:
    """A client that trusts the right root refuses the next connection, for the right reason."""
    turn(replica, dial)
    with pytest.raises(httpx.ConnectError, match=reason):
        ask(replica, "/")
    turn(replica, dial, on=False)
    assert ask(replica, "/").status_code == httpx.codes.OK


@pytest.mark.parametrize(
    ("dial", "days"),
    [
        ("nginx certificate has 5 days left", 4),
        ("nginx certificate has 20 days left", 19),
        ("nginx certificate has 22 days left", 21),
    ],
)
def test_a_certificate_near_its_end(replica: Replica, dial: str, days: int) -> None:
    """It is good, and ends so many days (and some hours) from now."""
    turn(replica, dial)
    assert ask(replica, "/").status_code == httpx.codes.OK
    assert days_left(replica) == days


# The front ends


def test_the_dashboard_has_a_root_of_its_own(shared: Replica) -> None:
    """HEAD and GET answer over its own root, which is not the proxy's."""
    assert ask(shared, "/", "RML_DASHBOARD_URL", method="HEAD").status_code == httpx.codes.OK
    assert "Routing ML" in ask(shared, "/", "RML_DASHBOARD_URL").text
    with (
        httpx.Client(verify=trusting(shared), trust_env=False) as client,
        pytest.raises(httpx.ConnectError, match="certificate verify failed"),
    ):
        client.get(shared.env["RML_DASHBOARD_URL"])


def test_the_prediction_page_is_empty_without_its_script(shared: Replica) -> None:
    """The page has an empty root, a script and a style sheet; both are there."""
    page = HTTP.get(shared.env["RML_PREDICT_URL"])
    assert '<div id="root"></div>' in page.text
    assert "root.replaceChildren" in script(shared)
    assert HTTP.get(shared.env["RML_PREDICT_URL"] + "/assets/app.css").status_code == 200


@pytest.mark.parametrize(
    ("dial", "sign"),
    [
        ("prediction page is blank", lambda r: "404" in script(r)),
        ("prediction page throws", lambda r: "throw new TypeError" in script(r).split("use st")[0]),
        ("prediction page complains in the console", lambda r: 'unique \\"key\\"' in script(r)),
        ("prediction page asks the wrong origin", lambda r: "/old-api" in script(r)),
        ("prediction page sends an expired token", lambda r: "token = 'expired'" in script(r)),
    ],
)
def test_the_prediction_page_can_be_spoilt(
    replica: Replica, dial: str, sign: Callable[[Replica], bool]
) -> None:
    """The fault stands in what a browser gets, and nowhere before or after."""
    assert not sign(replica)
    turn(replica, dial)
    assert sign(replica)
    turn(replica, dial, on=False)
    assert not sign(replica)


# Prometheus

P95 = "histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))"
ERROR_RATE = (
    'sum(rate(http_requests_total{status=~"5.."}[5m])) / sum(rate(http_requests_total[5m]))'
)
POOL = "db_pool_active / db_pool_size"
ACCURACY, CPU = "routing_ml_prediction_accuracy", "avg_over_time(process_cpu_ratio[1h])"
FIGURES = (P95, ERROR_RATE, POOL, ACCURACY, CPU)
HEALTHY = {P95: 0.1556, ERROR_RATE: 0.002, POOL: 0.25, ACCURACY: 0.92, CPU: 0.35}
NEAR = 0.05  # counters are whole numbers, and real requests come to the stored ones


def api(replica: Replica, path: str, **asked: object) -> Any:
    url = f"{replica.env['PROMETHEUS_URL']}/api/v1/{path}"
    return HTTP.get(url, params={n: str(v) for n, v in asked.items()}).json()


def result(replica: Replica, query: str, **asked: object) -> list[dict[str, Any]]:
    answer = api(replica, "query", query=query, **asked)
    assert answer["status"] == "success", answer
    return list(answer["data"]["result"])


def value(replica: Replica, query: str) -> float:
    (one,) = result(replica, query)
    return float(one["value"][1])


def errors_of(replica: Replica, handler: str) -> float:
    mine = f'handler="{handler}"'
    failed = f'sum(rate(http_requests_total{{{mine},status=~"5.."}}[5m]))'
    return value(replica, f"{failed} / sum(rate(http_requests_total{{{mine}}}[5m]))")


def test_prometheus_is_healthy_and_ready(shared: Replica) -> None:
    """Both say so in plain text, as the real one does."""
    for path, words in (("healthy", "Server is Healthy."), ("ready", "Server is Ready.")):
        answer = HTTP.get(f"{shared.env['PROMETHEUS_URL']}/-/{path}")
        assert (answer.status_code, words in answer.text) == (200, True)


def test_a_day_is_stored_at_the_start(replica: Replica) -> None:
    """Every figure is healthy now, and was a day ago; the range has each of its points."""
    for query in FIGURES:
        assert value(replica, query) == pytest.approx(HEALTHY[query], rel=NEAR), query
    now = datetime.now(UTC).timestamp()
    answer = api(
        replica, "query_range", query=f"sum({ACCURACY})", start=now - 3600, end=now, step="1m"
    )
    ((_, points),) = [(s["metric"], s["values"]) for s in answer["data"]["result"]]
    assert [point[1] for point in points] == ["0.92"] * 61
    assert value(replica, "sum(rate(http_requests_total[5m] offset 23h))") == pytest.approx(
        60.0, rel=NEAR
    )


def test_real_requests_are_counted(replica: Replica) -> None:
    """What is asked of the back end is in the next sample, above its users' own requests."""
    query = 'sum(http_requests_total{handler="/api/routing/predict"})'
    before = value(replica, query)
    for _ in range(50):
        url = replica.env["RML_URL"] + "/api/routing/predict"
        HTTP.post(url, json={}, headers={"Authorization": "Bearer good"})
    wait_for(lambda: value(replica, query) - before >= 50)


@pytest.mark.parametrize(
    ("dial", "query", "figure"),
    [
        ("response times are slow", P95, 0.350),
        ("response times are 199 ms", P95, 0.199),
        ("errors are many", ERROR_RATE, 0.03),
        ("errors are few", ERROR_RATE, 0.009),
        ("errors are very many", ERROR_RATE, 0.08),
        ("accuracy is low", ACCURACY, 0.85),
        ("pool is at 90 %", POOL, 0.90),
        ("pool is at 95 %", POOL, 0.95),
        ("pool is at 79 %", POOL, 0.79),
        ("cpu is at 90 %", CPU, 0.90),
        ("cpu is at 69 %", CPU, 0.69),
    ],
)
def test_a_dial_moves_its_figure_alone(
    replica: Replica, dial: str, query: str, figure: float
) -> None:
    """Its figure is that number, and every other one is as on a healthy day."""
    turn(replica, f"prometheus {dial}")
    found = {other: value(replica, other) for other in FIGURES}
    assert found == pytest.approx({**HEALTHY, query: figure}, rel=NEAR)


def test_real_requests_do_not_dilute_a_dialled_figure(replica: Replica) -> None:
    """However many good requests come, 3 of 100 are errors."""
    url = replica.env["RML_URL"] + "/api/routing/predict"
    for _ in range(500):
        HTTP.post(url, json={}, headers={"Authorization": "Bearer good"})
    turn(replica, "prometheus errors are many")
    assert value(replica, ERROR_RATE) == pytest.approx(0.03, rel=0.005)  # they would be 2.7%


def test_one_endpoint_can_fail(replica: Replica) -> None:
    """A third of its answers are 5xx; the other endpoint answers as ever."""
    turn(replica, "prometheus errors are one endpoint's")
    assert errors_of(replica, "/api/trainer/status") == pytest.approx(1 / 3, rel=NEAR)
    assert errors_of(replica, "/api/routing/predict") < 0.01


def test_errors_of_a_minute_are_not_errors_of_ten(replica: Replica) -> None:
    """A short blip is over the limit for a minute only; the longer one for all five."""
    throughout = f"min_over_time(({ERROR_RATE.replace('5m', '1m')})[5m:30s])"
    turn(replica, "prometheus errors are very many for a minute")
    assert value(replica, throughout) < 0.05
    replica.reset()
    turn(replica, "prometheus errors are very many")
    assert value(replica, throughout) > 0.05


def test_a_target_that_is_down_goes_stale(replica: Replica) -> None:
    """up is 0 and counts on, its series are gone now, and what was stored before is kept."""
    turn(replica, "prometheus target is down")
    assert value(replica, 'up{job="routing-ml-backend"}') == 0
    assert value(replica, 'up{job="prometheus"}') == 1
    assert result(replica, POOL) == []
    assert result(replica, "rate(http_requests_total[5m])") == []
    assert result(replica, f"({POOL}) and on() vector(1)", time=_hours_ago(2)) != []
    (target,) = api(replica, "targets")["data"]["activeTargets"]
    assert (target["health"], bool(target["lastError"])) == ("down", True)


def test_a_back_end_that_is_gone_is_noticed(replica: Replica) -> None:
    """When the process is killed, up falls to 0 within two scrapes, and rises when it is back."""
    pid = int((replica.folder / "backend" / "backend.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: value(replica, 'up{job="routing-ml-backend"}') == 0)
    assert result(replica, POOL) == []
    replica.reset()
    wait_for(lambda: value(replica, 'up{job="routing-ml-backend"}') == 1)
    assert value(replica, POOL) == 0.25


@pytest.mark.parametrize(
    ("dial", "query", "sign"),
    [
        ("counters stand still", ERROR_RATE, math.isnan),
        ("counters stand still", P95, math.isnan),
        ("measures NaN", "process_cpu_ratio", math.isnan),
        ("measures infinity", POOL, math.isinf),
    ],
)
def test_a_figure_can_be_no_number(
    replica: Replica, dial: str, query: str, sign: Callable[[float], bool]
) -> None:
    """NaN and +Inf come as Prometheus writes them."""
    turn(replica, f"prometheus {dial}")
    assert sign(value(replica, query))


def test_a_result_can_be_empty_or_double(replica: Replica) -> None:
    """Without measurements there is no line; with a second instance there are two."""
    turn(replica, "prometheus result is empty")
    assert [result(replica, query) for query in FIGURES] == [[]] * len(FIGURES)
    turn(replica, "prometheus result is empty", on=False)
    turn(replica, "prometheus finds several series")
    assert len(result(replica, POOL)) == 2


def test_a_history_can_have_a_gap(replica: Replica) -> None:
    """For half an hour nothing is stored; before and after, all is."""
    turn(replica, "prometheus history has a gap")
    now = datetime.now(UTC).timestamp()
    answer = api(replica, "query_range", query="up", start=now - 3600, end=now, step=60)
    for series in answer["data"]["result"]:
        assert 30 < len(series["values"]) < 40  # 61 less 30, of which 5 look back before the gap


def test_the_clock_moves_the_measurements(replica: Replica) -> None:
    """Two hours on, the newest sample is of that time, and the figures are healthy."""
    replica.control("PUT", "/clock", {"offset_s": 7200})
    age = f"time() - timestamp({ACCURACY})"
    assert abs(value(replica, age)) < 20
    taken = value(replica, f"timestamp({ACCURACY})")
    assert taken - datetime.now(UTC).timestamp() == pytest.approx(7200, abs=20)
    assert value(replica, ERROR_RATE) == pytest.approx(0.002, rel=NEAR)


@pytest.mark.parametrize(
    ("path", "asked", "status", "kind"),
    [
        ("query", {"query": "sum("}, 400, "bad_data"),
        ("query", {"query": "predict_linear(up[5m],1)"}, 422, "execution"),
        ("query", {"query": "up", "time": "noon"}, 400, "bad_data"),
        ("query_range", {"query": "up", "start": 9, "end": 5, "step": 1}, 400, "bad_data"),
        ("query_range", {"query": "up", "start": 1, "end": 5, "step": 0}, 400, "bad_data"),
        ("query_range", {"query": "up[5m]", "start": 1, "end": 5, "step": 1}, 400, "bad_data"),
        ("query_range", {"query": "up", "start": 1, "end": 99999, "step": 1}, 400, "bad_data"),
        ("series", {}, 400, "bad_data"),
    ],
)
def test_a_bad_question_is_refused(
    shared: Replica, path: str, asked: dict[str, object], status: int, kind: str
) -> None:
    """The answer is an error of Prometheus' own form, type and status."""
    url = f"{shared.env['PROMETHEUS_URL']}/api/v1/{path}"
    answer = HTTP.get(url, params={n: str(v) for n, v in asked.items()})
    said = answer.json()
    assert (answer.status_code, said["status"], said["errorType"]) == (status, "error", kind)


def test_series_and_labels_are_listed(shared: Replica) -> None:
    """By a form as well as by the address."""
    url = f"{shared.env['PROMETHEUS_URL']}/api/v1"
    found = HTTP.post(f"{url}/series", data={"match[]": '{__name__=~"db_.*"}'}).json()["data"]
    assert {one["__name__"] for one in found} == {"db_pool_active", "db_pool_size"}
    assert "handler" in api(shared, "labels")["data"]
    assert api(shared, "label/job/values")["data"] == ["prometheus", "routing-ml-backend"]


def _hours_ago(hours: float) -> float:
    return datetime.now(UTC).timestamp() - hours * 3600


# Grafana

BOARDS = {"Routing ML Overview", "Model Training Metrics", "API Performance"}


def grafana(replica: Replica, path: str, method: str = "GET", **more: Any) -> httpx.Response:
    login = (replica.env["GRAFANA_USER"], replica.env["GRAFANA_PASSWORD"])
    return HTTP.request(method, replica.env["GRAFANA_URL"] + path, auth=login, **more)


def titles(replica: Replica) -> set[str]:
    return {one["title"] for one in grafana(replica, "/api/search?query=").json()}


def queries(replica: Replica) -> dict[tuple[str, str], str]:
    """What each panel of each dashboard asks."""
    found = {}
    for one in grafana(replica, "/api/search").json():
        board = grafana(replica, f"/api/dashboards/uid/{one['uid']}").json()["dashboard"]
        for panel in board["panels"]:
            found[board["title"], panel["title"]] = panel["targets"][0]["expr"]
    return found


def through_grafana(replica: Replica, query: str) -> httpx.Response:
    """Ask as the front end does."""
    asked = {"refId": "A", "expr": query, "instant": True, "datasource": {"uid": "prometheus"}}
    body = {"queries": [asked], "from": "now-1h", "to": "now"}
    return grafana(replica, "/api/ds/query", "POST", json=body)


def test_grafana_is_healthy(shared: Replica) -> None:
    """Anybody may ask; the database is ok and there is a version."""
    said = HTTP.get(shared.env["GRAFANA_URL"] + "/api/health").json()
    assert (said["database"], said["version"][0].isdigit()) == ("ok", True)


def test_grafana_asks_who_it_is(replica: Replica) -> None:
    """By password or by the cookie of a login; a stranger and a wrong password get 401."""
    url = replica.env["GRAFANA_URL"]
    assert HTTP.get(url + "/api/search").status_code == httpx.codes.UNAUTHORIZED
    assert HTTP.get(url + "/api/search", auth=("admin", "x")).status_code == 401
    login = {"user": replica.env["GRAFANA_USER"], "password": replica.env["GRAFANA_PASSWORD"]}
    cookie = HTTP.post(url + "/login", json=login).headers["set-cookie"].partition(";")[0]
    answer = HTTP.get(url + "/api/search", headers={"Cookie": cookie})
    HTTP.cookies.clear()
    assert {one["title"] for one in answer.json()} == BOARDS
    assert HTTP.post(url + "/login", json={**login, "password": "x"}).status_code == 401
    turn(replica, "grafana refuses the password")
    assert grafana(replica, "/api/search").status_code == httpx.codes.UNAUTHORIZED


def test_the_panels_of_three_dashboards_have_data(replica: Replica) -> None:
    """Each panel's query gives at least one number, from Prometheus, both ways round."""
    asked = queries(replica)
    assert {board for board, _ in asked} == BOARDS
    assert len(asked) == 8
    for query in asked.values():
        frames = through_grafana(replica, query).json()["results"]["A"]["frames"]
        assert frames[0]["data"]["values"][1][0] is not None, query
        path = "/api/datasources/proxy/uid/prometheus/api/v1/query"
        said = grafana(replica, path, params={"query": query}).json()
        assert said["data"]["result"], query


def test_a_panel_s_course_is_shown(replica: Replica) -> None:
    """Without instant, a query's frame holds an hour of points."""
    body = {"queries": [{"refId": "A", "expr": "process_cpu_ratio", "intervalMs": 60000}],
            "from": "now-1h", "to": "now"}  # fmt: skip
    said = grafana(replica, "/api/ds/query", "POST", json=body).json()
    times, numbers = said["results"]["A"]["frames"][0]["data"]["values"]
    assert len(times) == len(numbers) == 61


def test_the_source_of_data_is_really_asked(replica: Replica) -> None:
    """It is well while Prometheus answers, and not when that is down."""
    path = "/api/datasources/uid/prometheus/health"
    assert grafana(replica, path).json()["status"] == "OK"
    assert grafana(replica, "/api/datasources").json()[0]["url"] == replica.env["PROMETHEUS_URL"]
    turn(replica, "prometheus down")
    assert grafana(replica, path).json()["status"] == "ERROR"
    assert through_grafana(replica, "up").status_code == httpx.codes.BAD_REQUEST


def test_the_database_can_fail(replica: Replica) -> None:
    """Health says so, with 503."""
    turn(replica, "grafana database is failing")
    answer = HTTP.get(replica.env["GRAFANA_URL"] + "/api/health")
    assert (answer.status_code, answer.json()["database"]) == (503, "failing")


def test_dashboards_can_be_missing_and_misnamed(replica: Replica) -> None:
    """One is gone, or has lost a letter; the others stay."""
    turn(replica, "grafana lacks a dashboard")
    assert titles(replica) == BOARDS - {"Model Training Metrics"}
    assert grafana(replica, "/api/dashboards/uid/rml-training").status_code == 404
    turn(replica, "grafana calls a dashboard by another name")
    assert titles(replica) == {"Routing ML Overview", "API Performanc"}


def test_a_panel_can_be_without_data_or_wrong(replica: Replica) -> None:
    """The one finds no series, the other cannot be read; both say so when they are asked."""
    turn(replica, "grafana has a panel without data")
    turn(replica, "grafana has a panel with a wrong query")
    asked = queries(replica)
    empty = through_grafana(replica, asked["Routing ML Overview", "Back end up"])
    assert empty.json()["results"]["A"]["frames"] == []
    wrong = through_grafana(replica, asked["API Performance", "Response time, 95th percentile"])
    assert wrong.status_code == httpx.codes.BAD_REQUEST
    assert "parse error" in wrong.json()["results"]["A"]["error"]


# The chat


def webhook(replica: Replica) -> str:
    return replica.env["RML_CHAT_URL"] + replica.env["RML_CHAT_HOOK"]


def test_the_chat_keeps_what_is_posted(replica: Replica) -> None:
    """A message to the webhook is answered ok and shown, with its number and instant."""
    answer = HTTP.post(webhook(replica), json={"text": "SEV-1: Production down."})
    assert (answer.status_code, answer.text) == (200, "ok")
    (message,) = messages(replica)
    assert (message["number"], message["text"]) == (1, "SEV-1: Production down.")
    replica.reset()
    assert messages(replica) == []


def test_the_chat_refuses_what_is_no_message_for_it(replica: Replica) -> None:
    """A wrong token, another path, no text and no JSON are told apart, as Slack does."""
    url = webhook(replica)
    assert HTTP.post(url + "x", json={"text": "a"}).text == "invalid_token"
    assert HTTP.post(url.rpartition("/")[0], json={"text": "a"}).status_code == 404
    assert HTTP.post(url, json={"channel": "a"}).text == "no_text"
    assert HTTP.post(url, content=b"{").text == "invalid_payload"
    assert messages(replica) == []


@pytest.mark.parametrize(
    ("dial", "status", "kept"),
    [
        ("chat posts and answers 500", 500, 1),
        ("chat drops messages", 200, 0),
        ("chat limits the rate", 429, 0),
        ("chat does not know the token", 403, 0),
    ],
)
def test_the_chat_can_lie(replica: Replica, dial: str, status: int, kept: int) -> None:
    """What is answered and what is shown can differ."""
    turn(replica, dial)
    answer = HTTP.post(webhook(replica), json={"text": "hello"})
    assert (answer.status_code, len(messages(replica))) == (status, kept)
