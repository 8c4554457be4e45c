"""Tests of changing by HTTP: what is sent once, and what is said about how it ended."""

from __future__ import annotations

import asyncio
import json
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydantic import ValidationError

from tests.servers import raw_server, request_head
from watchkeeper.changing.operator import Done
from watchkeeper.changing.operators.http import OPERATOR, Order
from watchkeeper.clock import Clock
from watchkeeper.errors import OperationFailed, OperationUnknown
from watchkeeper.looking.reach import Reach
from watchkeeper.services import FormLogin, TokenLogin, Web

SECRET = "operator-canary"
Requests = list[tuple[str, bytes]]


@contextmanager
def server(answer: Callable[[str, int], bytes | None]) -> Iterator[tuple[str, Requests]]:
    """A server that says `answer(first line, how many before)` and closes; its url and requests.

    None: it says nothing for a second.
    """
    requests: Requests = []

    def one(connection: socket.socket) -> None:
        head, _, body = request_head(connection).partition(b"\r\n\r\n")
        if not head:
            return
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                while len(body) < int(line[15:]):
                    body += connection.recv(65_536)
        requests.append((head.decode(), body))
        said = answer(head.split(b"\r\n")[0].decode(), len(requests) - 1)
        if said is None:
            time.sleep(0.7)
        else:
            connection.sendall(said)

    with raw_server(one) as url:
        yield url, requests


def says(status: str, body: bytes = b"{}", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def operated(url: str, order: dict[str, Any], **ways: Any) -> Done:
    """What comes of an order as it stands in a target file."""

    async def run() -> Done:
        service = Web(url=url, **{"deadline": "400 ms", "token": SECRET, **ways})
        reach = Reach({"app": service}, Clock())
        try:
            return await OPERATOR.operate(Order.model_validate(order), reach)
        finally:
            await reach.close()

    return asyncio.run(run())


def ended(kind: type[Exception], url: str, order: dict[str, Any], **ways: Any) -> str:
    """The message of the error an order ends in, after a check that it holds no secret."""
    with pytest.raises(kind) as caught:
        operated(url, order, **ways)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


@pytest.mark.parametrize(
    ("order", "part"),
    [
        ({}, "exactly one of post, put, patch and delete"),
        ({"post": "app /", "put": "app /"}, "exactly one of post, put, patch and delete"),
        ({"post": "app /", "json": {}, "form": {}}, 'write "json" or "form"'),
        ({"post": "/"}, 'write for example "api /health"'),
        ({"post": "app /", "outcomes": {"soon": "done"}}, '"soon" is no way to answer'),
        ({"post": "app /", "deadline": "soon"}, "is no duration"),
        ({"get": "app /"}, "get"),
    ],
)
def test_orders_that_are_refused(order: dict[str, Any], part: str) -> None:
    """An order that is not exactly one request is refused with what to write instead."""
    with pytest.raises(ValidationError) as caught:
        Order.model_validate(order)
    assert part in str(caught.value)


@pytest.mark.parametrize("verb", ["post", "put", "patch", "delete"])
def test_each_verb_is_sent_once(verb: str) -> None:
    """Each verb sends its JSON, parameters and headers, and hands back the answer."""
    order = {
        verb: "app /api/items",
        "json": {"title": "A"},
        "params": {"dry": False},
        "headers": {"X-Trace": "wk"},
    }
    with server(lambda *_: says("201 Created", b'{"id": 7}')) as (url, requests):
        done = operated(url, order)
    [(head, body)] = requests
    assert head.startswith(f"{verb.upper()} /api/items?dry=false HTTP/1.1")
    assert f"authorization: bearer {SECRET}" in head.lower()
    assert "x-trace: wk" in head.lower()
    assert json.loads(body) == {"title": "A"}
    assert (done.value, done.outcome, done.kind) == ({"id": 7}, "", "201")
    assert done.source == f"{verb.upper()} /api/items?dry=false of app"
    assert done.duration_s > 0


def test_forms_and_nobody() -> None:
    """A form is sent as forms are, and `as: nobody` brings no credentials."""
    order = {"post": "app /go", "form": {"a": "1 2", "b": "ü"}, "as": "nobody"}
    with server(lambda *_: says("200 OK", b"done")) as (url, requests):
        done = operated(url, order)
    [(head, body)] = requests
    assert body == b"a=1+2&b=%C3%BC"
    assert "authorization" not in head.lower()
    assert done.value == "done"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("200 OK", "accepted"), ("409 Conflict", "twice"), ("413 Too Large", "refused")],
)
def test_outcomes_have_words(status: str, outcome: str) -> None:
    """What outcomes name is done and has its word: the status before its class."""
    order = {"post": "app /", "outcomes": {200: "accepted", 409: "twice", "4xx": "refused"}}
    with server(lambda *_: says(status)) as (url, _):
        done = operated(url, order)
    assert (done.outcome, done.kind) == (outcome, status[:3])


def test_4xx_has_failed() -> None:
    """A 4xx that nobody named is a failure: the system said no."""
    with server(lambda *_: says("422 Unprocessable Content")) as (url, _):
        message = ended(OperationFailed, url, {"post": "app /x"})
    assert message.startswith("POST /x of app answered 422")


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        (says("500 Internal Server Error"), "answered 500 Internal Server Error; the work may"),
        (says("303 See Other", b"", "Location: /done"), "leading to /done, which its outcomes do"),
        (b"", "closed the connection without an answer; the work may have begun"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", "amid the answer, after 1 bytes; the"),
        (None, "no answer within 0.4 s; the work may have begun"),
    ],
)
@pytest.mark.parametrize("verb", ["post", "put", "delete"])
def test_what_may_have_begun_is_unknown_and_not_sent_twice(
    verb: str, answer: bytes | None, part: str
) -> None:
    """A 5xx, a lost connection and a time-out leave open what was done; nothing is sent again."""
    with server(lambda *_: answer) as (url, requests):
        message = ended(OperationUnknown, url, {verb: "app /x"})
    assert part in message
    assert len(requests) == 1


def test_unnamed_success_is_unknown() -> None:
    """Where outcomes are given, a 2xx that they do not name is not taken for one of them."""
    with server(lambda *_: says("202 Accepted")) as (url, _):
        message = ended(OperationUnknown, url, {"post": "app /", "outcomes": {200: "done"}})
    assert "answered 202 Accepted, which its outcomes do not name" in message


def test_outcomes_may_name_what_would_be_unknown() -> None:
    """A service known to die of a restart may say so: 500, closed and timeout can be outcomes."""
    outcomes = {500: "restarting", "closed": "restarting", "timeout": "restarting"}
    for answer in (says("500 Oops"), b"", None):
        with server(lambda *_, answer=answer: answer) as (url, _):
            done = operated(url, {"post": "app /restart", "outcomes": outcomes})
        assert done.outcome == "restarting"


def test_what_was_never_sent_has_failed() -> None:
    """A refused connection, a missing name and a bad certificate are failures: nothing was sent."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    order = {"post": "app /x", "outcomes": {"timeout": "restarting"}}
    assert "refused the connection; nothing was sent" in ended(OperationFailed, url, order)
    url = "http://no-such-host.localhost"
    assert "nothing was sent" in ended(OperationFailed, url, order)


def test_deadline_of_its_own() -> None:
    """An order's deadline replaces its service's."""
    order = {"post": "app /x", "deadline": "100 ms"}
    with server(lambda *_: None) as (url, _):
        began = time.monotonic()
        message = ended(OperationUnknown, url, order)
        assert time.monotonic() - began < 0.4
    assert "within 0.1 s" in message


def test_expired_token_is_renewed_before_the_work_begins() -> None:
    """A 401 to an expired token was no work: it logs in again and sends once more."""
    tokens: list[str] = []

    def answer(line: str, _: int) -> bytes:
        if "/token" in line:
            tokens.append(f"token-{len(tokens)}")
            return says("200 OK", json.dumps({"access_token": tokens[-1]}).encode())
        return says("200 OK") if "/first" in line or len(tokens) > 1 else says("401 Unauthorized")

    async def run(url: str) -> Done:
        login = TokenLogin(post="/token", user="ada", password=SECRET)
        reach = Reach({"app": Web(url=url, login=login)}, Clock())
        try:
            await OPERATOR.operate(Order(post="app /first"), reach)
            return await OPERATOR.operate(Order(post="app /second"), reach)
        finally:
            await reach.close()

    with server(answer) as (url, requests):
        assert asyncio.run(run(url)).kind == "200"
    assert len(tokens) == 2
    assert [head.split()[1] for head, _ in requests].count("/second") == 2


def test_refused_login_sends_nothing() -> None:
    """A login that is refused means that the operation was not sent."""
    login = TokenLogin(post="/token", user="ada", password=SECRET)
    with server(lambda *_: says("401 Unauthorized")) as (url, requests):
        message = ended(OperationFailed, url, {"post": "app /x"}, login=login, token=None)
    assert "app refused the login of ada: answered 401 Unauthorized; nothing was sent" in message
    assert [head.split()[1] for head, _ in requests] == ["/token"]


@pytest.mark.parametrize("lapsed", ["302 Found", "200 OK", "401 Unauthorized"])
def test_a_lapsed_session_is_no_outcome(lapsed: str) -> None:
    """A login page, a redirect to it or a 401 is never "accepted", even where 200 and 302 are."""
    form = b"<!doctype html><form><input name=username><input name=password></form>"
    lost: list[int] = []

    def answer(line: str, number: int) -> bytes:
        if line.startswith("GET /login"):
            return says("200 OK", form)
        if line.startswith("POST /login"):
            lost.clear()
            return says("302 Found", b"", "Location: /", f"Set-Cookie: session=cookie-{number}")
        if lost:
            return says(lapsed, form, "Location: /login?next=x")
        lost.append(number)
        return says("200 OK", b"7")

    async def run(url: str) -> list[Done]:
        login = FormLogin(form="/login", user="ada", password=SECRET)
        reach = Reach({"app": Web(url=url, login=login)}, Clock())
        order = Order(post="app /x", outcomes={"200": "accepted", "302": "accepted", "4xx": "no"})
        try:
            return [await OPERATOR.operate(order, reach) for _ in range(2)]
        finally:
            await reach.close()

    with server(answer) as (url, requests):
        done = asyncio.run(run(url))
    assert [(each.outcome, each.value) for each in done] == [("accepted", 7)] * 2
    assert [head.split()[1] for head, _ in requests].count("/x") == 3


def test_a_redirect_to_the_login_page_can_be_an_outcome() -> None:
    """An operation that ends all sessions may say so: the redirect to the login page answers it."""
    form = b"<!doctype html><form><input name=username><input name=password></form>"

    def answer(line: str, _: int) -> bytes:
        if line.startswith("GET /login"):
            return says("200 OK", form)
        if line.startswith("POST /login"):
            return says("302 Found", b"", "Location: /", "Set-Cookie: session=cookie")
        return says("302 Found", b"", "Location: /login")

    login = FormLogin(form="/login", user="ada", password=SECRET)
    order = {"post": "app /logout", "outcomes": {"302 /login": "logged out"}}
    with server(answer) as (url, requests):
        assert operated(url, order, login=login, token=None).outcome == "logged out"
    assert [head.split()[1] for head, _ in requests] == ["/login", "/login", "/logout"]
