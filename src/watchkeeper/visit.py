"""How is one page opened, waited for and read, so that it ends in time and in bounds?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from playwright.async_api import CDPSession, ConsoleMessage, Error, Page, WebSocketRoute
from playwright.async_api import TimeoutError as Late

from watchkeeper.browser import Browser, browser_of
from watchkeeper.errors import CouldNotObserve
from watchkeeper.looking.reach import Reach
from watchkeeper.observation import Picture
from watchkeeper.traffic import KEPT, Traffic
from watchkeeper.web import Call, Door, Reply, WebClient, web_client

QUIET_S = 0.3
"""How long nothing may be under way before a page counts as finished."""
SETTLE_S = 2.0
"""How long what a page fetches after it has shown itself is waited for; some never stop asking."""
PICTURE_S = 1.5
PICTURE_MAX = 500_000
"""Bytes of a picture; one with more is a photograph and no evidence."""
ASK_S = 4.0
"""How long the page may take to say what it shows; a script that never ends keeps it from that."""
GRACE_S = 10.0
"""How long past its own ending a visit is waited for: what is then not over hangs."""
TEXT = 20_000
"""Characters of a page's text that are kept."""
_SHOWN = 200_000  # characters that are searched for secrets before a picture is kept
_SOON_MS = 500.0  # for what should be there already
_LINE = 500  # characters of one line of the console

# In a world of its own, in which nothing that the page's scripts did to JavaScript counts.
_ASK = f"""({{
  title: document.title.slice(0, 200),
  text: (document.body ? document.body.innerText : '').slice(0, {_SHOWN}),
  typed: [...document.querySelectorAll('input:not([type=password]), textarea, select')]
    .slice(0, 200).map(each => String(each.value).slice(0, 200)),
  loading: document.readyState === 'loading',
}})"""
_SOMETHING = (
    "css=:is(img, svg, canvas, video, input, button, select, textarea) >> visible=true",
    r"text=/\S/ >> visible=true",
)
_KINDS = {
    "CONNECTION_REFUSED": ("refused", "the connection was refused"),
    "NAME_NOT_RESOLVED": ("no such name", "there is no such host"),
    "CONNECTION_TIMED_OUT": ("timeout", "no answer in time"),
    "TIMED_OUT": ("timeout", "no answer in time"),
    "CERT_": ("certificate", "the certificate is not to be trusted"),
    "EMPTY_RESPONSE": ("closed", "the connection was closed without an answer"),
    "CONNECTION_": ("closed", "the connection was closed"),
    "ABORTED": ("not a page", "it answered with something to download, not with a page"),
}
"""What Chromium's names for errors begin with, to our kinds and the sentences for people."""


@dataclass(frozen=True)
class Place:
    """A page to be opened: a path of the web service `service`.

    `services`: others that the page talks to, and `safe_posts`: paths there that only ask.
    """

    service: str
    path: str
    services: tuple[str, ...] = ()
    safe_posts: tuple[str, ...] = ()
    nobody: bool = False


@dataclass(frozen=True)
class Line:
    """One line of the page's console. `source`: "console", "script" (uncaught) or "network"."""

    level: str
    text: str
    source: str
    address: str = ""


@dataclass(frozen=True)
class Shown:
    """What a page says of itself, without secrets but for `searched`, which is never written."""

    title: str
    text: str
    address: str
    loading: bool
    searched: str = field(repr=False)


@dataclass
class Visit:
    """A page that is open, on the browser's loop.

    `began`: when it was asked for, by the monotonic clock. `status`: what its document was answered
    with.
    """

    page: Page
    traffic: Traffic
    client: WebClient
    frame: str
    session: CDPSession
    began: float = field(default_factory=time.monotonic)
    status: int = 0
    console: list[Line] = field(default_factory=list)

    async def shows(self, selector: str | None, seconds: float) -> bool:
        """Whether something visible comes in time: `selector`, or anything at all."""
        if selector is not None:
            wanted = self.page.locator(f"css={selector} >> visible=true").first
        else:
            image, text = map(self.page.locator, _SOMETHING)
            wanted = image.or_(text).first
        wait_ms = max(_SOON_MS, seconds * 1000)
        try:
            async with asyncio.timeout(wait_ms / 1000 + ASK_S):  # a driver that does not hear
                await wanted.wait_for(state="attached", timeout=wait_ms)
        except (Late, TimeoutError):
            return False
        return True

    async def settle(self) -> None:
        """Wait until nothing is under way, or long enough."""
        ends = time.monotonic() + SETTLE_S
        quiet_since = time.monotonic()
        while time.monotonic() < ends and time.monotonic() - quiet_since < QUIET_S:
            await asyncio.sleep(QUIET_S / 6)
            if self.traffic.under_way:
                quiet_since = time.monotonic()

    async def read(self) -> Shown:
        """What the page shows now; raises CouldNotObserve where a script keeps it from saying."""
        try:
            async with asyncio.timeout(ASK_S):
                world = await self.session.send("Page.createIsolatedWorld", {"frameId": self.frame})
                said = await self.session.send(
                    "Runtime.evaluate",
                    {
                        "expression": _ASK,
                        "contextId": world["executionContextId"],
                        "returnByValue": True,
                        "timeout": ASK_S * 1000,
                    },
                )
        except TimeoutError:
            raise CouldNotObserve(
                "timeout", f"it did not say within {ASK_S:g} s what it shows: a script never ends"
            ) from None
        value = said.get("result", {}).get("value")
        if not isinstance(value, dict):
            raise CouldNotObserve("too large", "it has too much on it to be read in time")
        return Shown(
            title=self.client.clean(value["title"]),
            text=self.client.clean(value["text"])[:TEXT],
            address=self.client.shown(self.page.url),
            loading=value["loading"],
            searched="\n".join((value["text"], *value["typed"], self.page.url)),
        )

    async def picture(self, shown: Shown) -> Picture | None:
        """The part that is seen without scrolling, frames and passwords covered; None where it
        can't be had in time and in bounds."""
        if len(shown.searched) >= _SHOWN or self.client.clean(shown.searched) != shown.searched:
            return None
        covered = [self.page.locator("input[type=password]"), self.page.locator("iframe, frame")]
        try:
            async with asyncio.timeout(PICTURE_S):
                png = await self.page.screenshot(mask=covered, timeout=PICTURE_S * 1000)
        except (Error, TimeoutError):
            return None
        return Picture(png, shown.searched) if len(png) <= PICTURE_MAX else None

    def report(self, shown: Shown, page: str) -> dict[str, Any]:
        """The page as JSON-like data, for figures to pick from."""
        traffic = self.traffic
        return {
            "page": page,
            "status": self.status,
            "title": shown.title,
            "address": shown.address,
            "text": shown.text,
            "console": [asdict(each) for each in self.console],
            "requests": [asdict(each) for each in traffic.answers],
            "failed_requests": [asdict(each) for each in traffic.failed],
            "cors_errors": [asdict(each) for each in traffic.cors],
            "kept_back": [asdict(each) for each in traffic.held],
        }

    # What the page says while it is open

    def heard(self, message: ConsoleMessage) -> None:
        text = message.text
        if "ERR_BLOCKED_BY_CLIENT" in text:
            return  # that was us; it stands among what was kept back
        network = text.startswith("Failed to load resource") or "CORS policy" in text
        self._line(
            message.type,
            text,
            "network" if network else "console",
            str(message.location.get("url", "")),
        )

    def broke(self, error: Error) -> None:
        self._line("error", f"{error.name}: {error.message}", "script", "")

    def _line(self, level: str, text: str, source: str, address: str) -> None:
        # Errors have room of their own, so that no flood of other lines washes them away.
        alike = sum((each.level == "error") == (level == "error") for each in self.console)
        if alike < KEPT:
            told = self.client.clean(text[: 2 * _LINE])[:_LINE]
            self.console.append(Line(level, told, source, self.client.shown(address)[:_LINE]))


async def reply_at(reach: Reach, place: Place) -> Reply:
    """What the service answers at that path, asked for without a browser: whether there is a page.

    Raises NoReply with its kinds; "redirect" where it leads elsewhere.
    """
    client = await web_client(reach, place.service)
    call = Call("GET", place.path, headers={"Accept": "text/html, */*;q=0.5"})
    return await client.ask(call, nobody=place.nobody, follow=True)


def refuse_no_page(reply: Reply) -> None:
    """Raises CouldNotObserve where the answer is no page for people."""
    if "html" not in reply.headers.get("content-type", "text/html"):
        kind = reply.headers["content-type"].partition(";")[0]
        raise reply.unknown("not a page", f"expected a page, got {kind}")


@dataclass(frozen=True)
class Way:
    """What opening a page needs, found out on the loop that looks."""

    browser: Browser
    client: WebClient
    door: Door
    hosts: frozenset[str]


async def way_to(reach: Reach, place: Place) -> Way:
    """The browser, and what lets it in; raises CouldNotObserve."""
    clients = [await web_client(reach, name) for name in (place.service, *place.services)]
    pins = [pin for client in clients if (pin := await client.pin())]
    door = await clients[0].door(Call("GET", place.path), nobody=place.nobody)
    hosts = frozenset(client.host for client in clients)
    return Way(await browser_of(reach, pins), clients[0], door, hosts)


@asynccontextmanager
async def opened(
    way: Way, place: Place, seconds: float, *, once: bool = False
) -> AsyncIterator[Visit]:
    """The page, its document there; on the browser's loop. `once`: nothing is ever sent twice.

    Raises CouldNotObserve where it can't be opened in time, or where going on makes no sense.
    """
    task = asyncio.current_task()
    assert task is not None
    troubles: list[CouldNotObserve] = []

    def stop(trouble: CouldNotObserve) -> None:
        if not troubles:
            troubles.append(trouble)
            task.cancel()

    posts = frozenset(place.safe_posts)
    traffic = Traffic(way.door, way.hosts, posts, way.client.shown, stop, once)
    try:
        async with way.browser.page(traffic) as (page, session):
            visit = Visit(page, traffic, way.client, await _frame(session), session)
            await _listen(visit, stop)
            await _go(visit, way.client.address(place.path), seconds)
            yield visit
    except asyncio.CancelledError:
        if not troubles:
            raise
        task.uncancel()
        raise troubles[0] from None
    except Error as error:
        raise troubles[0] if troubles else _ended(error) from None


async def _frame(session: CDPSession) -> str:
    tree = await session.send("Page.getFrameTree")
    return str(tree["frameTree"]["frame"]["id"])


async def _listen(visit: Visit, stop: Callable[[CouldNotObserve], None]) -> None:
    page, traffic, session = visit.page, visit.traffic, visit.session
    page.on("console", visit.heard)
    page.on("pageerror", visit.broke)
    page.on("crash", lambda _: stop(CouldNotObserve("crashed", "the page's process crashed")))
    for event, told in {
        "Network.requestWillBeSent": traffic.begun,
        "Network.responseReceived": traffic.answered,
        "Network.dataReceived": traffic.received,
        "Network.loadingFinished": traffic.ended,
        "Network.loadingFailed": traffic.lost,
    }.items():
        session.on(event, told)
    await session.send("Network.enable")

    def listens_only(socket: WebSocketRoute) -> None:
        """The page may listen on a web socket; what it says is kept back."""
        server = socket.connect_to_server()

        def said(message: str | bytes) -> None:
            if traffic.acting:
                server.send(message)
            else:
                traffic.hold_message(socket.url)

        socket.on_message(said)

    await page.route_web_socket("**/*", listens_only)


async def _go(visit: Visit, url: str, seconds: float) -> None:
    cookies = [
        {"name": name, "value": value, "url": visit.traffic.door.origin}
        for name, value in visit.traffic.door.cookies
    ]
    if cookies:
        await visit.page.context.add_cookies(cookies)  # type: ignore[arg-type] # its own TypedDict
    try:
        async with asyncio.timeout(seconds + ASK_S):
            reply = await visit.page.goto(url, wait_until="commit", timeout=seconds * 1000)
    except (Late, TimeoutError):
        raise CouldNotObserve("timeout", f"no page within {seconds:g} s") from None
    except Error as error:
        await asyncio.sleep(0)  # what made going on senseless is told first
        raise _not_opened(error) from None
    visit.status = reply.status if reply is not None else 0


def _not_opened(error: Error) -> CouldNotObserve:
    name = error.message.partition("net::ERR_")[2].partition(" ")[0]
    for beginning, (kind, reason) in _KINDS.items():
        if name.startswith(beginning):
            return CouldNotObserve(kind, f"{reason} ({name})")
    if "Download is starting" in error.message:
        return CouldNotObserve(*_KINDS["ABORTED"])
    if name:
        return CouldNotObserve("protocol", f"the page could not be fetched ({name})")
    return _ended(error)


def _ended(error: Error) -> CouldNotObserve:
    first = error.message.strip().splitlines()[:1]
    return CouldNotObserve("browser ended", f"the browser gave up: {' '.join(first)[:_LINE]}")
