"""What does a page show in a browser, and what goes wrong while it does?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field

from watchkeeper.clock import Window
from watchkeeper.errors import CouldNotObserve
from watchkeeper.looking.reach import Reach
from watchkeeper.observation import Answer, Picture
from watchkeeper.services import Duration, Model
from watchkeeper.units import duration_s
from watchkeeper.web_calls import Outcomes, Reply, Target, outcome_of, service_and_path

if TYPE_CHECKING:
    from watchkeeper.visit import Place, Way


def _path(text: str) -> str:
    if not text.startswith("/") or "?" in text:
        raise ValueError(f'"{text}" is no path; write for example "/api/search"')
    return text


class Question(Model):
    """A page, opened as somebody who has never been there; what it shows is the answer.

    `wait for`: the element (CSS) that is visible once the page is "rendered"; without it, anything
    visible. A page that has loaded and does not show it `within` that time is "blank".
    `safe posts`: paths that only ask although they are posted to, on this service and on
    `services`, those that the page talks to; all else that could change something is kept back.
    `as: nobody` opens it without credentials. `outcomes`: statuses besides 2xx that are understood
    ("500", "4xx"): `true` looks at that page, a word is the answer. `deadline`: when all of it is
    given up, with the browser's start.
    """

    open: Target
    wait_for: str | None = None
    within: Duration = "8 seconds"
    safe_posts: tuple[Annotated[str, AfterValidator(_path)], ...] = ()
    services: tuple[str, ...] = ()
    as_: Literal["nobody"] | None = None
    outcomes: Outcomes = Field(default_factory=dict)
    deadline: Duration = "40 seconds"

    @property
    def place(self) -> Place:
        from watchkeeper.visit import Place  # noqa: PLC0415 - heavy

        service, path = service_and_path(self.open)
        return Place(service, path, self.services, self.safe_posts, self.as_ == "nobody")


class Browser:
    """Looks at a page in the run's one browser, in which nothing that changes anything leaves."""

    def drivers(self, question: Question) -> tuple[str, ...]:
        return ("watchkeeper.visit",)

    def services(self, question: Question) -> tuple[str, ...]:
        return (service_and_path(question.open)[0], *question.services)

    async def look(self, question: Question, reach: Reach, window: Window | None) -> Answer:
        """The page's report (docs/adding.md), with the word "rendered" or "blank".

        `duration_s` is until it showed itself. Raises CouldNotTry where there is no browser, and
        CouldNotObserve: the kinds of WebClient.ask, the status of an answer that is not understood,
        "not a page", "timeout" where a page does not load or a script of it never ends, "redirect",
        "too large", "kept back", "crashed" and "browser ended".
        """
        from watchkeeper.visit import GRACE_S, refuse_no_page, reply_at, way_to  # noqa: PLC0415

        reply = await reply_at(reach, question.place)
        word = _understood(reply, question.outcomes)
        if word is not True:
            return _answer(reply, word, word, reply.duration_s)
        refuse_no_page(reply)
        way = await way_to(reach, question.place)
        within_s = duration_s(question.within)
        try:
            seen = await way.browser.run(
                _visited(question, way, reply, within_s), 2 * within_s + GRACE_S
            )
        except TimeoutError:
            raise reply.unknown("timeout", "the browser hung over the page") from None
        except CouldNotObserve as error:
            raise reply.unknown(error.kind, way.client.clean(error.reason)) from None
        report, page, took_s, picture = seen
        return _answer(reply, report, page, took_s, picture)


Seen = tuple[dict[str, Any], str, float, Picture | None]


async def _visited(question: Question, way: Way, reply: Reply, within_s: float) -> Seen:
    """The report, whether it is rendered, in how many seconds, and a picture; on the browser's
    loop."""
    from watchkeeper.visit import opened  # noqa: PLC0415 - heavy

    async with way.browser.turn, opened(way, question.place, within_s) as visit:
        began = visit.began
        if str(visit.status) != reply.kind and visit.status:
            raise CouldNotObserve(
                str(visit.status), f"answered {visit.status} to the browser, {reply.kind} before"
            )
        left_s = within_s - (time.monotonic() - began)
        rendered = await visit.shows(question.wait_for, left_s)
        took_s = time.monotonic() - began
        await visit.settle()
        shown = await visit.read()
        # A machine that is busy may have been too late to see it; nothing is blank at first sight.
        rendered = rendered or await visit.shows(question.wait_for, 0)
        if not rendered and shown.loading:
            raise CouldNotObserve("timeout", f"the page had not loaded within {within_s:g} s")
        report = visit.report(shown, "rendered" if rendered else "blank")
        _refuse_our_own_doing(report)
        return report, report["page"], took_s, await visit.picture(shown)


def _refuse_our_own_doing(report: dict[str, Any]) -> None:
    """A page that is not well after we kept something back may be so because of that."""
    held = report["kept_back"]
    errors = any(line["level"] == "error" for line in report["console"])
    if held and (errors or report["page"] == "blank"):
        first = f"{held[0]['method']} {held[0]['address']}"
        raise CouldNotObserve(
            "kept back",
            f"looking kept back {first}, so nobody can say how the page is without that; "
            'if it only asks, name its path under "safe posts"',
        )


def _understood(reply: Reply, outcomes: Outcomes) -> str | Literal[True]:
    word = outcome_of(reply, outcomes)
    if word is not None:
        return word
    if reply.kind.startswith("2"):
        return True
    raise reply.unknown(reply.kind, reply.said)


def _answer(
    reply: Reply, value: object, word: str, took_s: float, picture: Picture | None = None
) -> Answer:
    excerpt = str(value["text"]) if isinstance(value, dict) else reply.excerpt
    return Answer(
        value=value,
        source=reply.source.replace("GET ", "page ", 1),
        at=reply.at,
        duration_s=took_s,
        kind=reply.kind,
        excerpt=excerpt[: Answer.EXCERPT],
        word=word,
        picture=picture,
    )


PROBE = Browser()
