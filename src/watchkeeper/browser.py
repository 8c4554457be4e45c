"""Which browser is there, and how does one process of it live and end with the run?"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import threading
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import psutil

from watchkeeper import child, leftovers
from watchkeeper.errors import CouldNotObserve, CouldNotTry
from watchkeeper.looking.loop import LookingLoop
from watchkeeper.looking.reach import Reach, in_thread
from watchkeeper.traffic import Traffic

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, CDPSession, Page, Playwright

T = TypeVar("T")

VARIABLE = "WATCHKEEPER_BROWSER"
"""The environment variable that names the browser to use: a path, or a program's name."""
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
HOW_TO_INSTALL = (
    "run `make browser`, or install your system's package chromium, "
    f"or name a Chromium in {VARIABLE}"
)
START_S = 20.0
"""How long a browser may take to start; on a machine at rest it is one second."""
CLOSE_S = 1.5
"""How long a page, and then the browser, may take to close before it is killed."""
KILL_S = 2.5
NOTICED_S = 0.2
"""How long the loop may take to notice that its driver has ended, and to let go of its pipes."""
PAGES_AT_ONCE = 2
"""Pages that are open at the same time; a page busies a processor while it opens."""
VIEW = (1280, 800)
"""The pixels of a page that are seen, and of its picture."""

_FLAGS = (
    "--disable-gpu",
    "--disable-http2",  # its connections are shared, and what one loses is sent again
    "--disable-quic",  # and with it WebTransport
    "--disable-sync",
    "--disable-component-update",
    "--disable-background-networking",
    "--no-first-run",
    "--no-proxy-server",  # as all our looks: a proxy of the environment is no part of the system
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",  # no talk beside HTTP
)


def executable() -> str | None:
    """The path of the browser that is named or installed here; None where there is none.

    Playwright's own is found by `playwrights_own` alone, which takes half a second.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return shutil.which(named)
    return next(filter(None, map(shutil.which, NAMES)), None)


def playwrights_own() -> str | None:
    """The browser that Playwright has fetched, where it has."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - heavy

    if os.environ.get(VARIABLE):
        return None  # another one is wanted
    with sync_playwright() as playwright:
        return _there(playwright.chromium.executable_path)


def _there(path: str) -> str | None:
    return path if Path(path).exists() else None


async def browser_of(reach: Reach, pins: Iterable[str]) -> Browser:
    """The run's browser, started by the first who needs it and closed with what `reach` keeps.

    `pins`: the keys of certificates that it trusts besides those it would trust anyway.
    Raises CouldNotTry where there is none, CouldNotObserve where it does not start.
    """
    known = frozenset(pins)
    key = ("browser", known)

    async def make() -> Browser:
        browser = Browser(known)
        await browser.begin()
        return browser

    for _ in range(2):
        try:
            browser = await reach.kept.resource(key, make, Browser.close)
        except CouldNotTry:
            raise
        except CouldNotObserve:
            reach.kept.forget(key)  # the next one who asks tries again
            raise
        if browser.is_there:
            return browser
        reach.kept.forget(key)
    raise CouldNotObserve("browser ended", "the browser ended as soon as it had begun")


class Browser:
    """One Chromium with a profile of its own.

    It is driven on an event loop of its own: neither a page that floods it with messages nor a
    driver that hangs can hold up the loop that looks. Everything that any page, frame or worker in
    it wants to ask passes `_paused`, redirects and preflights as well, and leaves only if the
    traffic of a page that is open lets it.
    """

    def __init__(self, pins: frozenset[str]) -> None:
        self._pins = pins
        self._folder = leftovers.own_folder(leftovers.BROWSER)
        self._loop = LookingLoop()
        self._turns = asyncio.Semaphore(PAGES_AT_ONCE)
        self._playwright: Playwright | None = None
        self._driver: psutil.Process | None = None
        self._home: BrowserContext | None = None
        self._gate: CDPSession | None = None
        self._open: dict[str, Traffic] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._doomed = False
        self._killed = False

    @property
    def is_there(self) -> bool:
        if self._killed or self._doomed or self._home is None or self._home.browser is None:
            return False
        return self._home.browser.is_connected()

    async def begin(self) -> None:
        try:
            await self.run(self._begin(), START_S)
        except TimeoutError:
            raise CouldNotObserve(
                "timeout", f"the browser had not started within {START_S:g} s"
            ) from None
        except BaseException:
            await self._kill_in_thread()
            raise

    async def run(self, work: Coroutine[Any, Any, T], deadline_s: float) -> T:
        """What `work` gives, done on the browser's loop.

        Raises TimeoutError; the browser is then ended, since its loop or its driver hangs.
        """
        if self._killed:
            work.close()
            raise CouldNotObserve("browser ended", "the browser has been ended")
        under_way = self._loop.start(work)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(under_way), deadline_s)
        except TimeoutError:
            await self._kill_in_thread()
            raise
        finally:
            if self._doomed and not self._open:
                await self._kill_in_thread()

    async def close(self) -> None:
        """End it, in time whatever it does; safe to call twice."""
        if self._killed:
            return
        with contextlib.suppress(Exception):  # what does not end by itself is killed below
            await self.run(self._end(), CLOSE_S)
        await self._kill_in_thread()

    def _kill(self) -> None:
        self._loop.loop.set_exception_handler(lambda *_: None)  # what is cut off complains
        leftovers.end_all_of(self._folder)
        if self._driver is not None:
            with contextlib.suppress(psutil.Error):
                self._driver.kill()
            with contextlib.suppress(Exception):  # a loop that hangs does not notice
                self._loop.start(asyncio.sleep(NOTICED_S)).result(2 * NOTICED_S)
        self._loop.close()

    async def _kill_in_thread(self) -> None:
        if self._killed:
            return
        self._killed = True
        with contextlib.suppress(CouldNotObserve):  # late: it goes on in its thread
            await in_thread(self._kill, KILL_S, "the browser's end")

    async def _begin(self) -> None:
        from playwright.async_api import Error, async_playwright  # noqa: PLC0415 - heavy

        with _STARTING:  # held on this browser's loop alone, which has nothing else to do yet
            before = set(psutil.Process().children())
            self._playwright = await async_playwright().start()
            started = set(psutil.Process().children()) - before
        self._driver = next((each for each in started if _is_driver(each)), None)
        chromium = self._playwright.chromium
        path = executable()
        if path is None and not os.environ.get(VARIABLE):
            path = _there(chromium.executable_path)
        if path is None:
            await self._playwright.stop()
            raise CouldNotTry("no browser", f"{_lack()}; to install one, {HOW_TO_INSTALL}")
        try:
            await self._launch(path, sandbox=os.geteuid() != 0)
        except Error as error:
            if os.geteuid() == 0:
                raise _not_started(path, error) from None
            try:  # in many containers nobody but root may make a sandbox
                await self._launch(path, sandbox=False)
            except Error as again:
                raise _not_started(path, again) from None
        assert self._home is not None
        assert self._home.browser is not None
        self._gate = await self._home.browser.new_browser_cdp_session()
        self._gate.on("Fetch.requestPaused", self._paused)
        await self._gate.send("Fetch.enable", {"patterns": [{"urlPattern": "*"}]})

    async def _launch(self, path: str, *, sandbox: bool) -> None:
        assert self._playwright is not None
        trusted = ["--ignore-certificate-errors-spki-list=" + ",".join(sorted(self._pins))]
        self._home = await self._playwright.chromium.launch_persistent_context(
            self._folder / "profile",
            executable_path=path,
            args=[*_FLAGS, *(trusted if self._pins else [])],
            chromium_sandbox=sandbox,
            headless=True,
            env=dict(child.environment({"HOME": str(self._folder)})),  # no secret, no settings
            handle_sigint=False,
            handle_sigterm=False,
            handle_sighup=False,
            timeout=START_S * 1000,
        )

    async def _end(self) -> None:
        if self._home is not None:
            await self._home.close()
        if self._playwright is not None:
            await self._playwright.stop()

    # One page ---------------------------------------------------------------------------------

    @property
    def turn(self) -> asyncio.Semaphore:
        """To be held, on the browser's loop, by whoever opens a page."""
        return self._turns

    @asynccontextmanager
    async def page(self, traffic: Traffic) -> AsyncIterator[tuple[Page, CDPSession]]:
        """A page as a newcomer sees it: no cookie, no storage, no permission, no service worker.

        To be used on the browser's loop. A page that does not close in time dooms the browser.
        """
        assert self._home is not None
        assert self._home.browser is not None
        context = await self._home.browser.new_context(
            viewport={"width": VIEW[0], "height": VIEW[1]},
            accept_downloads=False,
            service_workers="block",
            permissions=[],
        )
        frame = ""
        try:
            page = await context.new_page()
            context.on("page", _closed_at_once)
            session = await context.new_cdp_session(page)
            tree = await session.send("Page.getFrameTree")
            frame = tree["frameTree"]["frame"]["id"]
            self._open[frame] = traffic
            yield page, session
        finally:
            self._open.pop(frame, None)
            try:
                await asyncio.wait_for(context.close(), CLOSE_S)
            except Exception:  # its process may be beyond hearing; the next look gets a new browser
                self._doomed = True

    def _paused(self, event: dict[str, Any]) -> None:
        task = asyncio.ensure_future(self._let_or_hold(event))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _let_or_hold(self, event: dict[str, Any]) -> None:
        """Answer for one request that waits. What can't be answered any more was cancelled."""
        method, parameters = self._verdict(event)
        with contextlib.suppress(Exception):
            assert self._gate is not None
            await self._gate.send(method, {"requestId": event["requestId"], **parameters})

    def _verdict(self, event: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        own = self._open.get(event.get("frameId", ""))
        others = list(self._open.values())
        traffic = own or (others[0] if len(others) == 1 else None)  # a frame's or a worker's
        if traffic is None:
            return _held(event, next((each for each in others if each.is_safe(event)), None))
        return traffic.verdict(event, of_page=own is not None)


def _held(event: dict[str, Any], safe_for: Traffic | None) -> tuple[str, dict[str, Any]]:
    if safe_for is not None:
        return safe_for.verdict(event, of_page=False)
    return Traffic.HOLD


_STARTING = threading.Lock()
"""One driver is started at a time, so that each browser knows its own."""


def _is_driver(process: psutil.Process) -> bool:
    try:
        return "run-driver" in process.cmdline()
    except psutil.Error:
        return False


async def _closed_at_once(page: Page) -> None:
    with contextlib.suppress(Exception):
        await page.close()


def _lack() -> str:
    named = os.environ.get(VARIABLE)
    if named:
        return f"{VARIABLE} names {named}, where no program is"
    return "there is no browser on this machine"


def _not_started(path: str, error: Exception) -> CouldNotObserve:
    told = str(error).strip().splitlines()[:1]
    return CouldNotObserve(
        "browser ended", f"the browser {Path(path).name} did not start: {' '.join(told)}"
    )
