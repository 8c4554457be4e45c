"""Tests of how a web service is entered and how every way of not answering is told apart."""

from __future__ import annotations

import asyncio
import base64
import gzip
import io
import json
import logging
import socket
import ssl
import struct
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import flask
import pytest
import trustme
from werkzeug.serving import make_server

from tests.servers import Answering, Handler, raw_server, request_head, served
from watchkeeper.clock import Clock
from watchkeeper.errors import ConfigurationError, CouldNotObserve
from watchkeeper.looking.reach import Reach
from watchkeeper.services import Basic, FormLogin, TokenLogin, Web
from watchkeeper.web import Call, NoReply, Reply, WebClient, own_network_is_up, web_client

T = TypeVar("T")
SECRET = "s3cr3t-canary/+ 1"
OK = b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"fine":true}'


# Servers that behave as badly as real ones ----------------------------------------------------


def says(answer: bytes) -> Handler:
    """A server that says `answer` to the first request and closes."""

    def handle(connection: socket.socket) -> None:
        request_head(connection)
        connection.sendall(answer)

    return handle


@contextmanager
def site(
    route: Callable[[BaseHTTPRequestHandler], tuple[int, dict[str, str], bytes]],
) -> Iterator[str]:
    """An HTTP/1.1 server that answers as `route` says; its url."""

    class Answers(Answering):
        def answer(self) -> None:
            self.body = self.heard()
            status, headers, body = route(self)
            self.send(status, body, headers)

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = answer

    with served(Answers) as url:
        yield url


def asking(service: Web, work: Callable[[WebClient], Awaitable[T]]) -> T:
    """What `work` gets from an open client, closed afterwards."""

    async def run() -> T:
        reach = Reach({"app": service}, Clock())
        try:
            return await work(await web_client(reach, "app"))
        finally:
            await reach.close()

    return asyncio.run(run())


def got(service: Web, path: str = "/x", **options: Any) -> Reply:
    """The reply to one GET."""
    return asking(service, lambda client: client.ask(Call("GET", path), **options))


def missed(service: Web, path: str = "/x", **options: Any) -> NoReply:
    """The error that one GET ends in, after a check that no secret stands anywhere in it."""
    with pytest.raises(NoReply) as caught:
        got(service, path, **options)
    error = caught.value
    told = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
    assert SECRET not in told
    assert error.__context__ is None
    return error


def quick(url: str, **ways: Any) -> Web:
    return Web(url=url, deadline="400 ms", **ways)


# No answer, and why ---------------------------------------------------------------------------


def test_closed_port_is_refused() -> None:
    """A port where nobody listens is told as "refused", with host and port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    error = missed(quick(f"http://127.0.0.1:{port}"))
    assert (error.kind, error.sent) == ("refused", False)
    assert error.reason == f"127.0.0.1:{port} refused the connection"
    assert error.source == "GET /x of app"


def test_hanging_server_ends_at_the_deadline() -> None:
    """A server that accepts and never answers costs the deadline and no more."""
    with raw_server(lambda _: time.sleep(0.7)) as url:
        error = missed(quick(url))
    assert (error.kind, error.reason, error.sent) == ("timeout", "no answer within 0.4 s", True)
    assert 0.39 < error.duration_s < 0.6


def test_dripping_body_ends_at_the_deadline() -> None:
    """A body that drips resets no timer: the deadline is for the whole answer."""

    def drip(connection: socket.socket) -> None:
        request_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(30):
            connection.sendall(b".")
            time.sleep(0.05)

    with raw_server(drip) as url:
        error = missed(quick(url))
    assert error.kind == "timeout"
    assert "was not whole within 0.4 s" in error.reason
    assert error.duration_s < 0.6


def test_dripping_head_ends_at_the_deadline() -> None:
    """Headers that drip end at the deadline as well."""

    def drip(connection: socket.socket) -> None:
        request_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        for number in range(30):
            connection.sendall(b"X-%d: y\r\n" % number)
            time.sleep(0.05)

    with raw_server(drip) as url:
        error = missed(quick(url))
    assert (error.kind, error.duration_s < 0.6) == ("timeout", True)


def test_a_look_waits_for_its_turn_outside_its_deadline() -> None:
    """Ten looks of 100 ms, one at a time, all succeed with a deadline of 400 ms each."""

    def slow(_: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        time.sleep(0.1)
        return 200, {}, b"{}"

    async def ten(client: WebClient) -> list[Reply]:
        return await asyncio.gather(*(client.ask(Call("GET", "/x")) for _ in range(10)))

    with site(slow) as url:
        replies = asking(quick(url, at_once=1), ten)
    assert [reply.status for reply in replies] == [200] * 10
    assert max(reply.duration_s for reply in replies) < 0.4


@pytest.mark.parametrize(
    ("answer", "kind", "part"),
    [
        (b"", "closed", "without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "closed", "without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "closed", "amid the answer"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nha", "closed", "amid"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nha", "protocol", "HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "protocol", "is not HTTP"),
        (b"\x00\x01\x02\x03" * 100, "protocol", "is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", "too large", "header"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000 + b"\r\n", "too large", "header"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\nxx", "protocol", '"br"'),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nplain", "protocol", "no gzip"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
            + gzip.compress(b"{}" * 99, mtime=0)[:-9],
            "closed",
            "breaks off",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2000000000\r\n\r\n", "too large", "10 MB"),
    ],
)
def test_broken_answers(answer: bytes, kind: str, part: str) -> None:
    """Each way of breaking off or not speaking HTTP has its kind and a sentence of its own."""
    with raw_server(says(answer)) as url:
        error = missed(quick(url))
    assert (error.kind, part in error.reason, error.sent) == (kind, True, True), error.reason


def test_lost_connection_is_not_asked_again() -> None:
    """A new connection that is closed unanswered is told as such; no second try hides it."""
    asked = 0

    def close(connection: socket.socket) -> None:
        nonlocal asked
        asked += 1
        request_head(connection)

    with raw_server(close) as url:
        assert missed(quick(url)).kind == "closed"
    assert asked == 1


def test_stale_connection_is_made_anew() -> None:
    """A kept connection that the service has closed in between costs no look its answer."""

    async def twice(client: WebClient) -> list[int]:
        first = await client.ask(Call("GET", "/x"))
        time.sleep(0.05)  # noqa: ASYNC251 - the loop must not notice the close before it asks
        return [first.status, (await client.ask(Call("GET", "/x"))).status]

    with raw_server(says(OK)) as url:
        assert asking(quick(url), twice) == [200, 200]


def test_connection_reset_is_closed() -> None:
    """A connection that is reset instead of answered is "closed"."""

    def reset(connection: socket.socket) -> None:
        request_head(connection)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with raw_server(reset) as url:
        assert missed(quick(url)).kind == "closed"


def test_endless_body_is_cut_off() -> None:
    """A body without end is given up at 10 MB, long before the deadline."""

    def endless(connection: socket.socket) -> None:
        request_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65_536)

    with raw_server(endless) as url:
        error = missed(Web(url=url, deadline="5 seconds"))
    assert error.kind == "too large"
    assert error.reason == "the answer is larger than 10 MB"


def test_gzip_bomb_is_cut_off() -> None:
    """200 MB of zeros in 200 kB of gzip is given up once 10 MB are unpacked."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb") as bomb:
        for _ in range(20):
            bomb.write(b"\0" * 10_000_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    body = packed.getvalue()
    with raw_server(says(head % len(body) + body)) as url:
        error = missed(Web(url=url))
    assert (error.kind, error.duration_s < 0.5) == ("too large", True)


def test_gzip_is_unpacked() -> None:
    """A compressed answer arrives as it was before."""
    body = json.dumps({"rows": list(range(10_000))}).encode()
    headers = {"Content-Encoding": "gzip"}
    with site(lambda _: (200, headers, gzip.compress(body))) as url:
        assert got(Web(url=url)).body == body


def test_no_such_name() -> None:
    """A name that nobody has is "no such name", not down, and not our own network."""
    error = missed(quick("http://no-such-host.localhost:1"))
    assert (error.kind, error.sent) == ("no such name", False)
    assert error.reason == "there is no host called no-such-host.localhost"
    assert missed(quick("http://" + "a" * 70 + ".localhost:1")).kind == "no such name"


def test_own_network_is_checked_before_another_is_blamed() -> None:
    """With no network of our own, a far host's silence is "own network"; loopback's is its own."""

    def kind_without_network(url: str) -> str:
        async def run() -> str:
            reach = Reach({}, Clock())
            client = WebClient("app", quick(url), reach, network_is_up=lambda: False)
            try:
                await client.ask(Call("GET", "/"))
            except NoReply as error:
                return error.kind
            finally:
                await client.close()
            return "answered"

        return asyncio.run(run())

    assert kind_without_network("http://192.0.2.1:9") == "own network"  # TEST-NET-1: nobody's
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert kind_without_network(f"http://127.0.0.1:{port}") == "refused"


def test_loopback_is_no_network() -> None:
    """A network is an interface besides loopback that is up."""
    lo = SimpleNamespace(isup=True, flags="up,loopback,running")
    up, down = SimpleNamespace(isup=True, flags="up"), SimpleNamespace(isup=False, flags="")
    assert not own_network_is_up({"lo": lo})
    assert not own_network_is_up({"lo": lo, "eth0": down})
    assert own_network_is_up({"lo": lo, "eth0": up})


# Certificates ---------------------------------------------------------------------------------


def tls_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@pytest.fixture
def authority(tmp_path: Path) -> tuple[trustme.CA, str]:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return ca, str(tmp_path / "ca.pem")


def test_trusted_certificate(authority: tuple[trustme.CA, str]) -> None:
    """A service whose authority is named by `ca` is entered."""
    ca, file = authority
    with raw_server(says(OK), tls=tls_context(ca.issue_cert("127.0.0.1"))) as url:
        assert got(Web(url=url, ca=file)).body == b'{"fine":true}'


def test_bad_certificates_say_what_is_wrong(authority: tuple[trustme.CA, str]) -> None:
    """Untrusted, expired and wrong name are "certificate", each with its own reason."""
    ca, file = authority
    yesterday = datetime.now(UTC) - timedelta(days=1)
    expired = ca.issue_cert("127.0.0.1", not_after=yesterday)
    cases = [
        (ca.issue_cert("127.0.0.1"), None, "unable to get local issuer certificate"),
        (expired, file, "certificate has expired"),
        (ca.issue_cert("192.0.2.7"), file, "IP address mismatch"),
    ]
    for certificate, trusted, what in cases:
        with raw_server(says(OK), tls=tls_context(certificate)) as url:
            error = missed(Web(url=url, ca=trusted))
        assert (error.kind, error.sent) == ("certificate", False)
        assert what in error.reason


def test_plain_http_where_tls_was_promised() -> None:
    """A plain server behind an https url is "protocol"."""
    with raw_server(lambda connection: connection.sendall(OK)) as url:
        error = missed(quick(url.replace("http:", "https:")))
    assert (error.kind, "does not speak TLS" in error.reason) == ("protocol", True)


def test_unreadable_authority_is_a_mistake_in_the_file(tmp_path: Path) -> None:
    """A `ca` that does not exist is the user's mistake, and named."""
    with pytest.raises(ConfigurationError, match=r"none\.pem"):
        got(Web(url="https://127.0.0.1:1", ca=str(tmp_path / "none.pem")))


# Ways in --------------------------------------------------------------------------------------


def echo(request: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
    seen = {"path": request.path, **{k.lower(): v for k, v in request.headers.items()}}
    return 200, {"Set-Cookie": "tracked=yes"}, json.dumps(seen).encode()


def seen_by(url: str, **ways: Any) -> tuple[Reply, dict[str, str]]:
    reply = got(Web(url=url, **ways), "/x?a=1")
    return reply, json.loads(reply.body)


def test_each_way_in_sends_what_it_should(caplog: pytest.LogCaptureFixture) -> None:
    """Token, keys in header and query and Basic arrive, and stand in no source and no log."""
    caplog.set_level(logging.DEBUG)
    pair = base64.b64encode(f"me:{SECRET}".encode()).decode()
    with site(echo) as url:
        reply, seen = seen_by(url)
        assert "authorization" not in seen
        reply, seen = seen_by(url, token=SECRET)
        assert seen["authorization"] == f"Bearer {SECRET}"
        reply, seen = seen_by(url, key={"header": "X-Api-Key", "value": SECRET})
        assert seen["x-api-key"] == SECRET
        reply, seen = seen_by(url, key={"query": "apikey", "value": SECRET})
        assert parse_qs(urlsplit(seen["path"]).query) == {"a": ["1"], "apikey": [SECRET]}
        assert reply.source == "GET /x?a=1 of app"
        assert SECRET not in repr(reply) + reply.excerpt
        assert "s3cr3t" not in reply.excerpt
        reply, seen = seen_by(url, basic=Basic(user="me", password=SECRET))
        assert seen["authorization"] == f"Basic {pair}"
        assert pair not in reply.excerpt
    assert "s3cr3t" not in caplog.text


def test_nobody_brings_nothing() -> None:
    """`as: nobody` sends no credentials of any kind, and no cookies that others were given."""

    async def twice(client: WebClient) -> dict[str, str]:
        await client.ask(Call("GET", "/x"))
        reply = await client.ask(Call("GET", "/x"), nobody=True)
        return dict(json.loads(reply.body))

    with site(echo) as url:
        host = url.removeprefix("http://")
        for way in (
            {"token": SECRET},
            {"key": {"header": "X-Api-Key", "value": SECRET}},
            {"key": {"query": "apikey", "value": SECRET}},
            {"basic": {"user": "me", "password": SECRET}},
        ):
            seen = asking(Web(url=url, **way), twice)
            assert not {"authorization", "cookie", "x-api-key"} & set(seen)
            assert seen["path"] == "/x"
        seen = asking(Web(url=f"http://me:canary@{host}"), twice)
        assert "authorization" not in seen


def test_user_in_the_url_is_basic_and_never_shown() -> None:
    """A user and password in the url are sent as Basic, and shown nowhere."""
    with site(echo) as url:
        host = url.removeprefix("http://")
        reply, seen = seen_by(f"http://me:canary@{host}")
    assert seen["authorization"] == "Basic " + base64.b64encode(b"me:canary").decode()
    assert "canary" not in repr(reply)


def test_secrets_in_parameters_are_not_shown() -> None:
    """A parameter that is a secret by its name is shown as …, all others as they are."""
    call = Call("GET", "/x?token=aaaa&b=2", params={"apikey": "bbbb", "hours": 24, "all": True})
    with site(echo) as url:
        reply = asking(Web(url=url), lambda client: client.ask(call))
    assert reply.source == "GET /x?token=…&b=2&apikey=…&hours=24&all=true of app"


@pytest.mark.parametrize(
    "way",
    [
        {"token": SECRET},
        {"key": {"query": "apikey", "value": SECRET}},
        {"basic": {"user": "me", "password": SECRET}},
    ],
)
def test_no_secret_in_errors(way: dict[str, Any]) -> None:
    """Whatever goes wrong, the error, its context and its repr hold no secret."""
    with raw_server(says(b"")) as url:
        missed(quick(url, **way))
    with raw_server(lambda connection: time.sleep(0.6)) as url:
        missed(quick(url, **way))
    with raw_server(says(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")) as url:
        missed(quick(url, **way))
    missed(quick("http://127.0.0.1:1", **way))


def test_paths_stay_on_the_service() -> None:
    """A path that would lead to another host is no path."""
    for path in ("@other.host/", ".other.host/", ""):
        with pytest.raises(ConfigurationError, match="no path"):
            got(Web(url="http://127.0.0.1:1"), path)


def test_a_url_that_is_none() -> None:
    """A url without a host, or with an impossible port, is the user's mistake."""
    for url in ("http://", "http://host:123456"):
        with pytest.raises(ConfigurationError, match='the url of the service "app" is none'):
            got(Web(url=url))


def test_headers_can_not_smuggle() -> None:
    """A header with a line break in it is refused before anything is sent."""
    call = Call("GET", "/", headers={"X-Title": "a\r\nX-Evil: b"})
    with pytest.raises(ConfigurationError, match="is no request"):
        asking(Web(url="http://127.0.0.1:1"), lambda client: client.ask(call))


# Logging in -----------------------------------------------------------------------------------


class Application:
    """A Flask application with a login form, CSRF and sessions that can be made to lapse."""

    def __init__(self, lapsed: str = "redirect") -> None:
        self.logins = 0
        self.refusals = 0
        self.forms = 0
        self.epoch = 0
        self.broken = False
        self.lapsed = lapsed
        self.app = flask.Flask("site")
        self.app.secret_key = "k"
        self.app.add_url_rule("/login", "login", self.login, methods=["GET", "POST"])
        self.app.add_url_rule("/api/<path:_>", "api", self.api, methods=["GET", "POST"])
        self.app.add_url_rule("/token", "token", self.token, methods=["POST"])
        self.app.add_url_rule("/bearer", "bearer", self.bearer)

    def page(self) -> str:
        flask.session["csrf"] = "csrf-canary"
        return (
            "<!doctype html><html><head><title>Login</title></head><body>"
            "<form action='/search'><input name=q></form>"
            "<form method=post><input type='hidden' name='csrf_token' value='csrf-canary'>"
            "<input name=username><input type=password name=password></form></body></html>"
        )

    def login(self) -> Any:
        if self.broken:
            return "<html>oops</html>", 503
        if flask.request.method == "GET":
            self.forms += 1
            return self.page()
        if flask.request.form.get("csrf_token") != flask.session.get("csrf"):
            return "The CSRF token is missing.", 400
        if flask.request.form.get("password") != SECRET:
            self.refusals += 1
            return self.page()
        self.logins += 1
        flask.session["epoch"] = self.epoch
        return flask.redirect("/")

    def api(self, _: str) -> Any:
        if flask.session.get("epoch") == self.epoch:
            return {"rows": []}
        if self.lapsed == "redirect":
            return flask.redirect("/login?next=/api")
        return self.page() if self.lapsed == "page" else ({"error": "who?"}, 401)

    def token(self) -> Any:
        given = flask.request.get_json(silent=True) or flask.request.form
        if given["password"] != SECRET:
            self.refusals += 1
            return {"detail": f"wrong password {given['password']}"}, 401
        self.logins += 1
        return {"access_token": f"bearer-canary-{self.epoch}"}

    def bearer(self) -> Any:
        wanted = f"Bearer bearer-canary-{self.epoch}"
        if flask.request.headers.get("Authorization") == wanted:
            return {"fine": wanted}
        return {"detail": "expired"}, 401


@contextmanager
def running(application: Application) -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, application.app, threaded=True)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(6)


def by_form(url: str, password: str = SECRET, csrf: str | None = "csrf_token") -> Web:
    login = FormLogin(form="/login", user="ada", password=password, csrf=csrf)
    return Web(url=url, login=login)


def by_token(url: str, password: str = SECRET, **rest: Any) -> Web:
    return Web(url=url, login=TokenLogin(post="/token", user="ada", password=password, **rest))


async def many(client: WebClient, path: str = "/api/x") -> list[Reply]:
    return await asyncio.gather(*(client.ask(Call("GET", path)) for _ in range(50)))


@pytest.mark.parametrize("lapsed", ["redirect", "page", "401"])
def test_form_login_once_and_renewed_once(lapsed: str) -> None:
    """50 concurrent looks log in once; when the session lapses, they log in once more."""
    application = Application(lapsed)

    async def work(client: WebClient) -> None:
        assert {reply.body for reply in await many(client)} == {b'{"rows":[]}\n'}
        assert application.logins == 1
        for epoch in (1, 2):
            application.epoch = epoch
            assert {reply.status for reply in await many(client)} == {200}
            assert application.logins == epoch + 1

    with running(application) as url:
        asking(by_form(url), work)


@pytest.mark.parametrize("format_", ["json", "form"])
def test_token_login_once_and_renewed_once(format_: str) -> None:
    """50 concurrent looks fetch one token, and one more when it has expired; it is never shown."""
    application = Application()

    async def work(client: WebClient) -> None:
        replies = await many(client, "/bearer")
        assert {reply.status for reply in replies} == {200}
        assert "bearer-canary" not in replies[0].excerpt
        application.epoch = 1
        assert {reply.status for reply in await many(client, "/bearer")} == {200}
        assert application.logins == 2

    with running(application) as url:
        asking(by_token(url, format=format_), work)


@pytest.mark.parametrize("way", [by_form, by_token])
def test_refused_login_is_asked_once(way: Callable[[str, str], Web]) -> None:
    """A wrong password is tried once a run, and all that need it are told "login refused"."""
    application = Application()
    wrong = f"{SECRET}-wrong"

    async def work(client: WebClient) -> list[Any]:
        looks = [client.ask(Call("GET", f"/api/{n}")) for n in range(50)]
        first = await asyncio.gather(*looks, return_exceptions=True)
        later = await asyncio.gather(client.ask(Call("GET", "/api/z")), return_exceptions=True)
        return [*first, *later]

    with running(application) as url:
        errors = asking(way(url, wrong), work)
    assert application.refusals == 1
    assert {error.kind for error in errors} == {"login refused"}
    assert {error.source for error in errors} >= {"GET /api/0 of app", "GET /api/z of app"}
    assert "app refused the login of ada" in errors[0].reason
    told = "".join("".join(traceback.format_exception(e)) + repr(vars(e)) for e in errors)
    assert SECRET not in told


def test_missing_csrf_field() -> None:
    """A login form without the CSRF field that the target file names is told as that."""
    application = Application()
    with running(application) as url:
        error = missed(by_form(url, csrf="no_such_field"), "/api/x")
    assert (error.kind, error.reason) == (
        "no login form",
        'could not log in to app: the page /login has no field "no_such_field"',
    )


def test_login_that_could_not_be_tried_is_tried_again() -> None:
    """A login page that answers 503 is "503" for now; the next look tries again and gets in."""
    application = Application()
    application.broken = True

    async def work(client: WebClient) -> Reply:
        with pytest.raises(CouldNotObserve) as caught:
            await client.ask(Call("GET", "/api/x"))
        assert caught.value.kind == "503"
        application.broken = False
        return await client.ask(Call("GET", "/api/x"))

    with running(application) as url:
        assert asking(by_form(url), work).status == 200


def test_what_stays_closed_does_not_log_in_again_and_again() -> None:
    """A path that answers 401 to a valid login costs one renewal, not one for each look."""
    logins = 0

    def route(request: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        nonlocal logins
        if request.path == "/token":
            logins += 1
            return 200, {}, b'{"access_token": "bearer-canary"}'
        return (401 if request.path == "/admin" else 200), {}, b"{}"

    async def work(client: WebClient) -> list[int]:
        await client.ask(Call("GET", "/open"))
        return [(await client.ask(Call("GET", "/admin"))).status for _ in range(10)]

    with site(route) as url:
        assert asking(by_token(url), work) == [401] * 10
    assert logins == 2


def test_login_page_after_login_is_refused() -> None:
    """A login that is accepted and then forgotten is "login refused", not an answer."""
    application = Application("page")
    application.api = lambda _: application.page()  # type: ignore[method-assign]
    application.app.view_functions["api"] = application.api
    with running(application) as url:
        error = missed(by_form(url), "/api/x")
    assert (error.kind, application.logins) == ("login refused", 1)


def test_login_at_one_at_once() -> None:
    """A service that takes one request at a time can be logged in to."""
    application = Application()
    with running(application) as url:
        service = by_form(url).model_copy(update={"at_once": 1})
        assert {r.status for r in asking(service, many)} == {200}
    assert application.logins == 1


def test_cookies_of_a_named_host() -> None:
    """A session cookie also comes back to a service that is reached by a name."""
    application = Application()
    with running(application) as url:
        assert got(by_form(url.replace("127.0.0.1", "localhost")), "/api/x").status == 200


# Redirects ------------------------------------------------------------------------------------


def test_redirects_are_followed_on_the_same_host_only() -> None:
    """A redirect is an answer; when asked to, it is followed on the same host and nowhere else."""
    hits: list[str] = []

    def elsewhere(request: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        hits.append(request.path)
        return 200, {}, b"stolen"

    with site(elsewhere) as other:

        def route(request: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
            aims = {"/a": "/b?c=1", "/out": f"{other}/x", "/loop": "/loop"}
            aim = aims.get(request.path)
            return (302, {"Location": aim}, b"") if aim else (200, {}, request.path.encode())

        with site(route) as url:
            service = Web(url=url, token=SECRET)
            reply = got(service, "/a")
            assert (reply.status, reply.leads_to) == (302, "/b")
            assert got(service, "/a", follow=True).body == b"/b?c=1"
            assert missed(service, "/out", follow=True).kind == "redirect"
            assert missed(service, "/loop", follow=True).kind == "redirect"
    assert hits == []


def test_url_with_a_path() -> None:
    """A service below a path is asked below it, and its redirects are told relative to it."""

    def route(request: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        return 302, {"Location": "/base/login"}, request.path.encode()

    with site(route) as url:
        reply = got(Web(url=f"{url}/base/"), "/x")
    assert (reply.body, reply.leads_to) == (b"/base/x", "/login")
