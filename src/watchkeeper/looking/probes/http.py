"""What does a web service answer?"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, JsonValue, model_validator

from watchkeeper.clock import Window
from watchkeeper.looking.reach import Reach
from watchkeeper.observation import Answer
from watchkeeper.services import Model
from watchkeeper.web_calls import (
    Call,
    Outcomes,
    Params,
    Reply,
    Target,
    Word,
    outcome_of,
    service_and_path,
)

_ACCEPT = {"json": "application/json, */*;q=0.5", "text": "*/*"}


class Question(Model):
    """One request that only asks; exactly one of `get`, `head` and `post`.

    `post` must say `safe: true`: that it changes nothing. `as: nobody` asks without credentials.
    `follow`: redirects on the same host are followed; otherwise a redirect is an answer.
    `outcomes`: ways to answer, to the word for each ("200", "4xx", "302 /login"); all others are
    then unknown. `true` instead of a word: the body is the answer, as it is for 2xx.
    A HEAD answers with its headers, by their names in lower case.
    """

    get: Target | None = None
    head: Target | None = None
    post: Target | None = None
    params: Params = Field(default_factory=dict)
    json_: JsonValue = None
    headers: dict[str, str] = Field(default_factory=dict)
    safe: bool = False
    as_: Literal["nobody"] | None = None
    format: Literal["json", "text"] = "json"
    follow: bool = False
    outcomes: Outcomes = Field(default_factory=dict)

    @model_validator(mode="after")
    def _only_asks(self) -> Question:
        given = [verb for verb in ("get", "head", "post") if getattr(self, verb) is not None]
        if len(given) != 1:
            raise ValueError(f"write exactly one of get, head and post; found: {given or 'none'}")
        if self.post is not None and not self.safe:
            raise ValueError(
                'looking must not change anything: write "safe: true" if this post only asks, '
                "or make it an operation"
            )
        if self.post is None and self.json_ is not None:
            raise ValueError(f"a {given[0]} has no body; json goes with post")
        if self.post is not None and self.follow:
            raise ValueError("a post is not followed; follow goes with get and head")
        return self

    @property
    def target(self) -> str:
        return self.get or self.head or self.post or ""

    @property
    def call(self) -> Call:
        verb = "GET" if self.get else "HEAD" if self.head else "POST"
        return Call(
            verb,
            service_and_path(self.target)[1],
            params=self.params,
            json=self.json_,
            headers={"Accept": _ACCEPT[self.format], **self.headers},
        )


class Http:
    """Looks by one GET or HEAD, or by a POST that only asks."""

    def drivers(self, question: Question) -> tuple[str, ...]:
        return ("watchkeeper.web",)

    def services(self, question: Question) -> tuple[str, ...]:
        return (service_and_path(question.target)[0],)

    async def look(self, question: Question, reach: Reach, window: Window | None) -> Answer:
        """The answer's body, or the word that `outcomes` has for it.

        Raises CouldNotObserve: the kinds of WebClient.ask, the status of an answer that is not
        understood, and "not JSON".
        """
        from watchkeeper.web import web_client  # noqa: PLC0415 - heavy

        client = await web_client(reach, self.services(question)[0])
        reply = await client.ask(
            question.call, nobody=question.as_ == "nobody", follow=question.follow
        )
        return Answer(
            value=_value(question, reply),
            source=reply.source,
            at=reply.at,
            duration_s=reply.duration_s,
            kind=reply.kind,
            excerpt=reply.excerpt,
        )


def _value(question: Question, reply: Reply) -> object:
    word = _understood(reply, question.outcomes)
    if isinstance(word, str):
        return word
    if question.head:
        return _headers(reply)
    if question.format == "text":
        return reply.text
    from watchkeeper.web import json_of  # noqa: PLC0415 - heavy

    return json_of(reply)


def _understood(reply: Reply, outcomes: dict[str, Word]) -> Word:
    """The word for this answer, True where its body is the answer; raises CouldNotObserve."""
    word = outcome_of(reply, outcomes)
    if word is not None:
        return word
    has_words = any(isinstance(word, str) for word in outcomes.values())
    if not has_words and reply.kind.startswith("2"):
        return True
    raise reply.unknown(reply.kind, reply.said)


def _headers(reply: Reply) -> dict[str, Any]:
    """The headers as JSON; a cookie is a secret and tells nothing."""
    return {name.lower(): value for name, value in reply.headers.items() if name != "set-cookie"}


PROBE = Http()
