"""Tests of what the http probe answers, and what it refuses to take for an answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydantic import ValidationError

from tests.servers import Answering, served
from watchkeeper.clock import Clock
from watchkeeper.errors import CouldNotObserve
from watchkeeper.looking.probes.http import PROBE, Question
from watchkeeper.looking.reach import Reach
from watchkeeper.observation import Answer
from watchkeeper.services import Web

JSON = {"Content-Type": "application/json"}
LOGIN_PAGE = b"<!DOCTYPE html>\n<html><head><title>\n Login </title></head></html>"


@contextmanager
def site(answers: dict[str, tuple[int, dict[str, str], bytes]]) -> Iterator[str]:
    """A server with one answer for each path, and an echo for all others; its url."""

    class Answers(Answering):
        def answer(self) -> None:
            heard = {"verb": self.command, "path": self.path, "body": self.heard().decode()}
            heard |= {name.lower(): value for name, value in self.headers.items()}
            status, headers, said = answers.get(self.path, (200, JSON, json.dumps(heard).encode()))
            self.send(status, said, headers)

        do_GET = do_POST = do_HEAD = answer

    with served(Answers) as url:
        yield url


def looked(url: str, question: dict[str, Any], **ways: Any) -> Answer:
    """What the probe answers to a question as it stands in a target file."""

    async def run() -> Answer:
        reach = Reach({"app": Web(url=url, **ways)}, Clock())
        try:
            return await PROBE.look(Question.model_validate(question), reach, None)
        finally:
            await reach.close()

    return asyncio.run(run())


def not_seen(url: str, question: dict[str, Any]) -> CouldNotObserve:
    with pytest.raises(CouldNotObserve) as caught:
        looked(url, question)
    return caught.value


# Questions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "part"),
    [
        ({}, "exactly one of get, head and post; found: none"),
        ({"get": "app /", "post": "app /", "safe": True}, "exactly one of get, head and post"),
        ({"post": "app /api/classify"}, 'write "safe: true" if this post only asks'),
        ({"get": "/health"}, 'write for example "api /health"'),
        ({"get": "app health"}, 'write for example "api /health"'),
        ({"get": "app /", "json": {}}, "a get has no body"),
        ({"get": "app /", "outcomes": {"fine": "up"}}, '"fine" is no way to answer'),
        ({"get": "app /", "outcomes": {200: False}}, "outcomes"),
        ({"get": "app /", "as": "admin"}, "nobody"),
        ({"get": "app /", "timeout": 5}, "timeout"),
        ({"post": "app /", "safe": True, "follow": True}, "a post is not followed"),
    ],
)
def test_questions_that_are_refused(question: dict[str, Any], part: str) -> None:
    """A question that could change something, or is not clear, is refused with a reason."""
    with pytest.raises(ValidationError) as caught:
        Question.model_validate(question)
    assert part in str(caught.value)


def test_question_survives_filling_in() -> None:
    """A question with placeholders becomes JSON, is filled in, and is the same question again."""
    question = Question.model_validate(
        {
            "post": "{service} /api/{api}/classify",
            "json": {"query": "{title}"},
            "params": {"hours": "{window.hours}", "limit": 5},
            "safe": True,
            "as": "nobody",
            "outcomes": {200: "let in", "302 /login": "refused", 503: True},
        }
    )
    text = json.dumps(question.model_dump(by_alias=True))
    assert Question.model_validate_json(text) == question
    filled = text.replace("{service}", "app").replace("{api}", "v3").replace("{title}", "A B")
    assert PROBE.services(Question.model_validate_json(filled)) == ("app",)
    assert Question.model_validate(question.model_dump()) == question


# Answers --------------------------------------------------------------------------------------


def test_get_with_parameters() -> None:
    """A GET answers with its JSON, its status, its source and how long it took."""
    with site({}) as url:
        answer = looked(url, {"get": "app /api/stats", "params": {"hours": 24, "all": True}})
    assert answer.value["path"] == "/api/stats?hours=24&all=true"  # type: ignore[index]
    assert answer.source == "GET /api/stats?hours=24&all=true of app"
    assert answer.kind == "200"
    assert answer.excerpt.startswith('{"verb": "GET"')
    assert 0 < answer.duration_s < 1
    assert answer.at.utcoffset() is not None


def test_excerpt_is_cut() -> None:
    """The excerpt is the beginning of the raw answer, at most EXCERPT characters of it."""
    with site({"/long": (200, {}, "é".encode() * 50_000)}) as url:
        answer = looked(url, {"get": "app /long", "format": "text"})
    assert answer.excerpt == "é" * Answer.EXCERPT
    assert answer.value == "é" * 50_000


def test_safe_post() -> None:
    """A POST that only asks sends its JSON and answers with what came back."""
    question = {
        "post": "app /api/classify",
        "json": {"query": "Ünïcode “x”"},
        "safe": True,
        "headers": {"X-Trace": "wk"},
    }
    with site({}) as url:
        answer = looked(url, question)
    heard: Any = answer.value
    assert json.loads(heard["body"]) == {"query": "Ünïcode “x”"}
    assert (heard["verb"], heard["x-trace"]) == ("POST", "wk")
    assert answer.source == "POST /api/classify of app"


def test_path_is_quoted_and_words_may_follow() -> None:
    """A path with a filled-in title is sent quoted, and told as it was written."""
    with site({}) as url:
        answer = looked(url, {"get": "app /movies/The Matrix"})
    assert answer.value["path"] == "/movies/The%20Matrix"  # type: ignore[index]
    assert answer.source == "GET /movies/The Matrix of app"


def test_head_answers_with_headers() -> None:
    """A HEAD answers with its headers, without cookies, and is not held to have a body."""
    headers = {"Content-Length": "2000000000", "Set-Cookie": "a=b", "X-Version": "7"}
    with site({"/dump": (200, headers, b"")}) as url:
        answer = looked(url, {"head": "app /dump"})
    value: Any = answer.value
    assert (value["content-length"], value["x-version"]) == ("2000000000", "7")
    assert "set-cookie" not in value


def test_text() -> None:
    """Text is decoded as the service declares it, and as UTF-8 where it declares nothing known."""
    latin = {"Content-Type": "text/plain; charset=latin-1"}
    answers = {
        "/latin": (200, latin, "é".encode("latin-1")),
        "/utf": (200, {"Content-Type": "text/plain; charset=nonsense"}, "é".encode()),
        "/none": (200, {}, b""),
    }
    with site(answers) as url:
        texts = [looked(url, {"get": f"app {p}", "format": "text"}).value for p in answers]
    assert texts == ["é", "é", ""]


@pytest.mark.parametrize("value", [None, 0, "", [], {}, False, "87%", [1, {"a": None}]])
def test_empty_and_odd_values_are_left_to_the_core(value: object) -> None:
    """Valid JSON is handed on as it is, null and "" included: what it means is judged elsewhere."""
    with site({"/v": (200, JSON, json.dumps(value).encode())}) as url:
        assert looked(url, {"get": "app /v"}).value == value


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "expected JSON, got an empty answer"),
        (b"  \n", "expected JSON, got an empty answer"),
        (LOGIN_PAGE, "expected JSON, got an HTML page titled 'Login'"),
        (b"<html><body>oops", "expected JSON, got an HTML page without a title"),
        (b'{"rows": [1, 2', "expected JSON, got JSON that breaks off after 14 characters"),
        (b'{"name": "Rad', "expected JSON, got JSON that breaks off after 13 characters"),
        (b'{"rate": NaN}', "expected JSON, got JSON with NaN, which is no number"),
        (b'{"rate": -Infinity}', "expected JSON, got JSON with -Infinity, which is no number"),
        (b'{"rate": 1e999}', "expected JSON, got JSON with 1e999, which is no number"),
        (b"{'a': 1}", "expected JSON, got JSON with a mistake at character 2"),
        (b'{"a": 1} {"b": 2}', "expected JSON, got JSON with a mistake at character 10"),
        (b"OK", "expected JSON, got text that begins 'OK'"),
        (b"\xff\xfe\xfa", "expected JSON, got what can't be decoded"),
        (b"[" * 100_000, "expected JSON, got JSON that is nested too deeply"),
        (b"9" * 5_000, "expected JSON, got what can't be decoded"),
    ],
)
def test_what_is_not_json(body: bytes, reason: str) -> None:
    """A 200 whose body is not strict JSON is unknown, and the reason says what came instead."""
    with site({"/v": (200, JSON, body)}) as url:
        error = not_seen(url, {"get": "app /v"})
    assert error.kind == "not JSON"
    assert error.reason.startswith(reason)
    assert error.source == "GET /v of app"


# Statuses -------------------------------------------------------------------------------------


def test_other_statuses_are_unknown() -> None:
    """Without outcomes 2xx is an answer and nothing else is: kind, reason and body tell why."""
    answers = {
        "/down": (503, {}, b"<html>no</html>"),
        "/moved": (302, {"Location": "/login?next=/moved"}, b""),
        "/odd": (599, {}, b"{}"),
        "/new": (201, JSON, b'{"id": 1}'),
    }
    with site(answers) as url:
        down = not_seen(url, {"get": "app /down"})
        assert (down.kind, down.reason) == ("503", "answered 503 Service Unavailable")
        assert down.excerpt == "<html>no</html>"
        assert down.duration_s > 0
        moved = not_seen(url, {"get": "app /moved"})
        assert moved.kind == "302"
        assert moved.reason == "answered 302 Found, leading to /login?next=/moved"
        assert not_seen(url, {"get": "app /odd"}).reason == "answered 599"
        assert looked(url, {"get": "app /new"}).value == {"id": 1}


def test_outcomes_have_words() -> None:
    """With outcomes the answer is the word: a redirect's aim before its status before its class."""
    outcomes = {
        200: "let in",
        "302 /login": "refused",
        "302 /login/again": "locked",
        302: "moved",
        "4xx": "refused",
        404: "gone",
    }
    answers = {
        "/in": (200, {}, b"not even JSON"),
        "/out": (302, {"Location": "/login?next=x"}, b""),
        "/locked": (302, {"Location": "/login/again"}, b""),
        "/moved": (302, {"Location": "http://other.host/login"}, b""),
        "/403": (403, {}, b""),
        "/404": (404, {}, b""),
        "/500": (500, {}, b""),
    }
    with site(answers) as url:
        words = {}
        for path in answers:
            try:
                answer = looked(url, {"get": f"app {path}", "outcomes": outcomes})
                words[path] = (answer.value, answer.kind)
            except CouldNotObserve as error:
                words[path] = ("unknown", error.kind)
    assert words == {
        "/in": ("let in", "200"),
        "/out": ("refused", "302"),
        "/locked": ("locked", "302"),
        "/moved": ("moved", "302"),
        "/403": ("refused", "403"),
        "/404": ("gone", "404"),
        "/500": ("unknown", "500"),
    }


def test_unnamed_2xx_is_unknown_beside_words() -> None:
    """Once outcomes have words, a 2xx that they do not name is unknown as well."""
    with site({"/x": (204, {}, b"")}) as url:
        assert not_seen(url, {"get": "app /x", "outcomes": {200: "let in"}}).kind == "204"


def test_true_makes_a_status_an_answer() -> None:
    """`503: true` reads the body of a 503 that tells its state, and leaves 2xx as it was."""
    answers = {"/bad": (503, JSON, b'{"s": "degraded"}'), "/good": (200, JSON, b'{"s": "ok"}')}
    with site(answers) as url:
        bad = looked(url, {"get": "app /bad", "outcomes": {503: True}})
        good = looked(url, {"get": "app /good", "outcomes": {503: True}})
        assert not_seen(url, {"get": "app /bad", "outcomes": {500: True}}).kind == "503"
    assert (bad.value, bad.kind) == ({"s": "degraded"}, "503")
    assert good.value == {"s": "ok"}


def test_following_on_the_same_host() -> None:
    """`follow: true` follows a redirect on the same host; the source stays what was asked last."""
    answers = {"/a": (301, {"Location": "/b"}, b""), "/b": (200, JSON, b"1")}
    with site(answers) as url:
        assert looked(url, {"get": "app /a", "follow": True}).value == 1
        assert not_seen(url, {"get": "app /a"}).kind == "301"


def test_as_nobody() -> None:
    """`as: nobody` looks at an open door without the service's key."""
    key = {"header": "X-Api-Key", "value": "canary-key"}
    with site({}) as url:
        somebody: Any = looked(url, {"get": "app /admin"}, key=key).value
        nobody: Any = looked(url, {"get": "app /admin", "as": "nobody"}, key=key).value
    assert (somebody["x-api-key"], nobody.get("x-api-key")) == ("canary-key", None)


def test_many_looks_at_once() -> None:
    """Fifty looks at once share their connections and all get their own answer."""

    async def run(url: str) -> list[Answer]:
        reach = Reach({"app": Web(url=url, at_once=50)}, Clock())
        questions = [Question(get=f"app /{number}") for number in range(300)]
        try:
            return await asyncio.gather(*(PROBE.look(q, reach, None) for q in questions))
        finally:
            await reach.close()

    with site({}) as url:
        answers: Any = asyncio.run(run(url))
    assert [answer.value["path"] for answer in answers] == [f"/{n}" for n in range(300)]
