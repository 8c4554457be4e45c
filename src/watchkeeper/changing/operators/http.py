"""How does a web service change something for us?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, JsonValue, model_validator

from watchkeeper.changing.operator import Done
from watchkeeper.errors import CouldNotObserve, OperationFailed, OperationUnknown
from watchkeeper.looking.reach import Reach
from watchkeeper.services import Duration, Model
from watchkeeper.units import duration_s
from watchkeeper.web_calls import (
    Call,
    NoReply,
    Params,
    Reply,
    Target,
    Word,
    named_aims,
    named_statuses,
    outcome_of,
    service_and_path,
)

_VERBS = ("post", "put", "patch", "delete")
_NO_REPLY = ("timeout", "closed")


def _named(outcomes: Any) -> Any:
    if not isinstance(outcomes, Mapping):
        return outcomes
    silent = {key: word for key, word in outcomes.items() if key in _NO_REPLY}
    return silent | named_statuses({k: w for k, w in outcomes.items() if k not in silent})


class Order(Model):
    """One request that changes something; exactly one of `post`, `put`, `patch` and `delete`.

    At most one of `json` and `form`. `as: nobody` sends it without credentials. `deadline` replaces
    the service's own. `outcomes`: ways to answer, to the word for each: "200", "4xx", "302 /login",
    and "timeout" and "closed" for an answer that never comes; `true` is done without a word.
    """

    post: Target | None = None
    put: Target | None = None
    patch: Target | None = None
    delete: Target | None = None
    params: Params = Field(default_factory=dict)
    json_: JsonValue = None
    form: dict[str, str] | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    as_: Literal["nobody"] | None = None
    outcomes: Annotated[dict[str, Word], BeforeValidator(_named)] = Field(default_factory=dict)
    deadline: Duration | None = None

    @model_validator(mode="after")
    def _one_request(self) -> Order:
        given = [verb for verb in _VERBS if getattr(self, verb) is not None]
        if len(given) != 1:
            raise ValueError(
                f"write exactly one of post, put, patch and delete; found: {given or 'none'}"
            )
        if self.json_ is not None and self.form is not None:
            raise ValueError('a request has one body: write "json" or "form"')
        return self

    @property
    def target(self) -> str:
        return self.post or self.put or self.patch or self.delete or ""

    @property
    def call(self) -> Call:
        verb = next(verb for verb in _VERBS if getattr(self, verb) is not None)
        return Call(
            verb.upper(),
            service_and_path(self.target)[1],
            params=self.params,
            json=self.json_,
            form=self.form,
            headers={"Accept": "application/json, */*;q=0.5", **self.headers},
        )


class HttpOperator:
    """Changes by one request, which is sent once."""

    def services(self, order: Order) -> tuple[str, ...]:
        return (service_and_path(order.target)[0],)

    async def operate(self, order: Order, reach: Reach) -> Done:
        """What the service answered.

        Raises OperationFailed where nothing was sent or the service said no (4xx), and
        OperationUnknown for every answer that leaves open whether the work has begun.
        """
        from watchkeeper.web import web_client  # noqa: PLC0415 - heavy

        client = await web_client(reach, self.services(order)[0])
        began = reach.clock.now()
        try:
            reply = await client.ask(
                order.call,
                nobody=order.as_ == "nobody",
                deadline_s=duration_s(order.deadline) if order.deadline else None,
                is_answer=lambda reply: named_aims(reply, order.outcomes),
            )
        except NoReply as silence:
            word = order.outcomes.get(silence.kind) if silence.sent else None
            if word is None:
                raise _without_reply(silence) from None
            return Done(
                value=None,
                outcome=_outcome(word),
                source=silence.source,
                at=began,
                duration_s=silence.duration_s,
                kind=silence.kind,
                excerpt=silence.excerpt,
                note=silence.reason,
            )
        return _done(reply, _word(reply, order.outcomes))


def _without_reply(silence: NoReply) -> OperationFailed | OperationUnknown:
    if silence.sent:
        return OperationUnknown(f"{silence.source}: {silence.reason}; the work may have begun")
    return OperationFailed(f"{silence.source}: {silence.reason}; nothing was sent")


def _word(reply: Reply, outcomes: Mapping[str, Word]) -> Word:
    """The word for this answer; raises OperationFailed or OperationUnknown where there is none."""
    word = outcome_of(reply, outcomes)
    if word is not None:
        return word
    said = f"{reply.source} {reply.said}"
    family = reply.kind[0]
    if family == "2" and not outcomes:
        return True
    if family == "4":
        raise OperationFailed(said)
    if family == "5":
        raise OperationUnknown(f"{said}; the work may have begun")
    raise OperationUnknown(f"{said}, which its outcomes do not name; the work may have begun")


def _done(reply: Reply, word: Word) -> Done:
    return Done(
        value=_value(reply),
        outcome=_outcome(word),
        source=reply.source,
        at=reply.at,
        duration_s=reply.duration_s,
        kind=reply.kind,
        excerpt=reply.excerpt,
    )


def _outcome(word: Word) -> str:
    return word if isinstance(word, str) else ""


def _value(reply: Reply) -> object:
    """The body as JSON, else as text: what was done is done, whatever its answer looks like."""
    if not reply.body:
        return None
    from watchkeeper.web import json_of  # noqa: PLC0415 - heavy

    try:
        return json_of(reply)
    except CouldNotObserve:
        return reply.text


OPERATOR = HttpOperator()
