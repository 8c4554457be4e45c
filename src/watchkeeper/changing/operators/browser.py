"""How is something done on a page as a person does it: fill in, press once, see what comes?"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from watchkeeper.changing.operator import Done
from watchkeeper.errors import (
    CouldNotObserve,
    CouldNotTry,
    OperationFailed,
    OperationRefused,
    OperationUnknown,
)
from watchkeeper.looking.reach import Reach
from watchkeeper.observation import Answer, Picture
from watchkeeper.services import Duration, Model
from watchkeeper.units import duration_s
from watchkeeper.web_calls import Reply, Target, service_and_path

if TYPE_CHECKING:
    from playwright.async_api import Dialog, Locator

    from watchkeeper.visit import Place, Visit, Way

_POLL_S = 0.1


class Order(Model):
    """A page, on which fields are filled in and one button is pressed, once.

    `fill`: texts by their fields' labels. `click`: the button's name, exactly as it is read out;
    `role`: what it is if no button. `wait for`: the element (CSS) that shows what came of it; where
    it is there before, its text must change. `confirm`: a question that the page then asks is
    answered yes. `services`: those besides this one that the page may change.
    `safe posts`: paths that the page may post to before anything is pressed, since they only ask.
    """

    open: Target
    fill: dict[str, str] = Field(default_factory=dict)
    click: str = Field(min_length=1)
    role: Literal["button", "link", "menuitem", "tab", "checkbox", "switch"] = "button"
    wait_for: str
    confirm: bool = False
    services: tuple[str, ...] = ()
    safe_posts: tuple[str, ...] = ()
    deadline: Duration = "20 seconds"

    @property
    def place(self) -> Place:
        from watchkeeper.visit import Place  # noqa: PLC0415 - heavy

        service, path = service_and_path(self.open)
        return Place(service, path, self.services, self.safe_posts)


@dataclass
class _Progress:
    """`pressed`: since when the work may have begun. `asked`: what the page wanted to know."""

    pressed: bool = False
    asked: str = ""

    def ended(self, reason: str) -> OperationFailed | OperationUnknown:
        """Why it went no further, as what that means."""
        if self.pressed:
            return OperationUnknown(f"{reason}; it was pressed, and may have taken effect")
        return OperationFailed(f"{reason}; nothing was pressed")


class Browser:
    """Opens the page in the run's browser; what changes something leaves once it was pressed."""

    def services(self, order: Order) -> tuple[str, ...]:
        return (service_and_path(order.open)[0], *order.services)

    async def operate(self, order: Order, reach: Reach) -> Done:
        """Value: the page's report as the probe has it, `text` being that of the element.

        Raises OperationRefused where there is no browser, OperationFailed where nothing was pressed
        or the service said no (4xx), and OperationUnknown for all that came after it was pressed
        and does not show what came of it. It is never pressed twice.
        """
        from watchkeeper.visit import GRACE_S, refuse_no_page, reply_at, way_to  # noqa: PLC0415

        at, began = reach.clock.now(), time.monotonic()
        deadline_s, progress = duration_s(order.deadline), _Progress()
        try:
            reply = await reply_at(reach, order.place)
            refuse_no_page(reply)
            if not reply.kind.startswith("2"):
                raise progress.ended(f"{reply.source} {reply.said}")
            way = await way_to(reach, order.place)
            value, picture = await way.browser.run(
                _pressed(order, way, deadline_s, progress), 2 * deadline_s + GRACE_S
            )
        except CouldNotTry as error:
            raise OperationRefused(error.reason) from None
        except CouldNotObserve as error:
            raise progress.ended(f"page {order.open}: {error.reason}") from None
        except TimeoutError:
            raise progress.ended(f"page {order.open}: the browser hung") from None
        return Done(
            value=value,
            outcome="",
            source=_source(order, reply),
            at=at,
            duration_s=time.monotonic() - began,
            kind=str(value["status"]),
            excerpt=str(value["text"])[: Answer.EXCERPT],
            picture=picture,
        )


def _source(order: Order, reply: Reply) -> str:
    return f'"{order.click}" on {reply.source.replace("GET ", "page ", 1)}'


async def _pressed(
    order: Order, way: Way, deadline_s: float, progress: _Progress
) -> tuple[dict[str, Any], Picture | None]:
    """What the page shows once it was pressed; on the browser's loop."""
    from playwright.async_api import Error  # noqa: PLC0415 - heavy

    from watchkeeper.visit import opened  # noqa: PLC0415 - heavy

    ends = time.monotonic() + deadline_s
    async with way.browser.turn, opened(way, order.place, deadline_s, once=True) as visit:
        visit.page.on("dialog", lambda dialog: _answer(dialog, order, progress))
        try:
            button = await _ready(visit, order, ends)
            element = visit.page.locator(f"css={order.wait_for} >> visible=true").first
            before = await _text(element)
        except Error as error:
            raise OperationFailed(f"{_first(error)}; nothing was pressed") from None
        visit.traffic.held.clear()
        visit.traffic.acting = progress.pressed = True
        try:
            await button.click(timeout=_left_ms(ends), no_wait_after=True)
            text = await _came(visit, _Shows(element, order.wait_for, before), progress, ends)
            shown = await visit.read()
        except Error as error:
            raise progress.ended(_first(error)) from None
        report = {**visit.report(shown, "rendered"), "text": visit.client.clean(text)}
        return report, await visit.picture(shown)


async def _ready(visit: Visit, order: Order, ends: float) -> Locator:
    """The button, once the fields are filled in and it can be pressed."""
    for label, text in order.fill.items():
        field = visit.page.get_by_label(label, exact=True)
        await _only(field, f'field with the label "{label}"', ends)
        await field.fill(text, timeout=_left_ms(ends))
    button = visit.page.get_by_role(order.role, name=order.click, exact=True)
    await _only(button, f'{order.role} called "{order.click}"', ends)
    await button.click(trial=True, timeout=_left_ms(ends))  # whether it can be, without doing it
    return button


async def _only(found: Locator, what: str, ends: float) -> None:
    """Wait until there is exactly one; raises OperationFailed."""
    from playwright.async_api import TimeoutError as Late  # noqa: PLC0415 - heavy

    try:
        await found.first.wait_for(state="visible", timeout=_left_ms(ends))
    except Late:
        raise OperationFailed(f"the page shows no {what}; nothing was pressed") from None
    count = await found.count()
    if count > 1:
        raise OperationFailed(f"the page shows more than one {what} ({count}); nothing was pressed")


@dataclass(frozen=True)
class _Shows:
    """Where the page shows what came of it, and what was written there before."""

    element: Locator
    selector: str
    before: str | None

    async def news(self) -> str | None:
        text = await _text(self.element)
        return None if text in (None, "", self.before) else text


async def _came(visit: Visit, shows: _Shows, progress: _Progress, ends: float) -> str:
    """The text that shows what came of it; raises OperationFailed and OperationUnknown."""
    text = None
    while time.monotonic() < ends:
        text = await shows.news()
        if text or _refusals(visit) or progress.asked:
            break
        await asyncio.sleep(_POLL_S)
    await visit.settle()
    if progress.asked:
        raise _question(visit, progress)
    for said in _refusals(visit):
        if said.status is not None and said.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            raise OperationFailed(f"{said.method} {said.address} answered {said.status}")
        told = f"answered {said.status}" if said.status else f"had no answer ({said.reason})"
        raise progress.ended(f"{said.method} {said.address} {told}")
    held = [each for each in visit.traffic.held if each.kind != "Ping"]  # that one asks no answer
    if held:
        raise progress.ended(
            f"{held[0].method} {held[0].address} was kept back, since it is not of the service; "
            'name its own under "services"'
        )
    text = await shows.news() or text
    if text is None:
        raise progress.ended(f"nothing new was shown at {shows.selector} in time")
    return text


def _refusals(visit: Visit) -> list[Any]:
    return [
        each
        for each in visit.traffic.changes
        if each.status is None or each.status >= HTTPStatus.BAD_REQUEST
    ]


def _question(visit: Visit, progress: _Progress) -> OperationFailed | OperationUnknown:
    asked = f'the page asked "{progress.asked}" and was answered no; write "confirm: true"'
    return progress.ended(asked) if visit.traffic.changes else OperationFailed(asked)


async def _answer(dialog: Dialog, order: Order, progress: _Progress) -> None:
    with contextlib.suppress(Exception):  # it is gone with its page
        if order.confirm or dialog.type == "alert":
            await dialog.accept()
            return
        if progress.pressed:
            progress.asked = dialog.message[:200]
        await dialog.dismiss()


async def _text(element: Locator) -> str | None:
    """What is written on it now; None where it is not to be seen."""
    from playwright.async_api import Error  # noqa: PLC0415 - heavy

    if not await element.count():
        return None
    try:
        return (await element.inner_text(timeout=_POLL_S * 5_000)).strip()
    except Error:
        return None  # it went away meanwhile


def _left_ms(ends: float) -> float:
    return max(_POLL_S, ends - time.monotonic()) * 1000


def _first(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300]


OPERATOR = Browser()
