"""Is the edge of the routing platform's replica a system that can be used, broken and mended?"""

from __future__ import annotations

import ssl
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509

from tests.replicas.replica_process import HTTP, Replica, running

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


# Every dial


def test_each_dial_is_seen_and_gone_after_a_reset(replica: Replica) -> None:
    """Turned on, each dial measures on, and after a reset off; none is on before."""
    wrong = []
    for dial in replica.dials():
        name = dial["name"]
        if replica.is_on(name):
            wrong.append(f"{name}: on before it was turned")
        answer = replica.turn(name)
        if answer.status_code != httpx.codes.OK or not replica.is_on(name):
            wrong.append(f"{name}: not on, {answer.text}")
        replica.reset()
        if replica.is_on(name):
            wrong.append(f"{name}: still on")
    assert wrong == []


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
    replica.turn("frontend-training answers 503")  # the first instance's alone
    assert {ask(replica, "/").status_code for _ in range(4)} == {200, 503}
    replica.turn("frontend-training answers 503", on=False)
    replica.turn("frontend-training down")
    assert {ask(replica, "/").status_code for _ in range(4)} == {200}


def test_the_proxy_answers_502_when_nobody_is_behind_it(replica: Replica) -> None:
    """A back end that is gone gives nginx's own 502 page and an error line; the rest goes on."""
    replica.turn("nginx proxies to nowhere")
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
    replica.turn(dial)
    with pytest.raises(httpx.ConnectError, match=reason):
        ask(replica, "/")
    replica.turn(dial, on=False)
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
    replica.turn(dial)
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
    replica.turn(dial)
    assert sign(replica)
    replica.turn(dial, on=False)
    assert not sign(replica)


# The chat


def test_the_chat_keeps_what_is_posted(replica: Replica) -> None:
    """A message to the webhook is answered ok and shown, with its number and instant."""
    answer = HTTP.post(replica.env["RML_CHAT_URL"], json={"text": "SEV-1: Production down."})
    assert (answer.status_code, answer.text) == (200, "ok")
    (message,) = messages(replica)
    assert (message["number"], message["text"]) == (1, "SEV-1: Production down.")
    replica.reset()
    assert messages(replica) == []


def test_the_chat_refuses_what_is_no_message_for_it(replica: Replica) -> None:
    """A wrong token, another path, no text and no JSON are told apart, as Slack does."""
    url = replica.env["RML_CHAT_URL"]
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
    replica.turn(dial)
    answer = HTTP.post(replica.env["RML_CHAT_URL"], json={"text": "hello"})
    assert (answer.status_code, len(messages(replica))) == (status, kept)
