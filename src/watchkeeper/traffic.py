"""What may a page ask while it is looked at, and what has it asked, in vain and by mistake?"""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from watchkeeper.errors import CouldNotObserve

if TYPE_CHECKING:
    from watchkeeper.web import Door

ONLY_READS = frozenset({"GET", "HEAD", "OPTIONS"})
KEPT = 200
"""Rows that are kept of each list; a page with more errors has no more to tell."""
PAGE_MAX = 20_000_000
"""Bytes of a page with all it fetches; more is no page for people."""
_TEXT = 500  # characters of one address or message
_ICON = "/favicon.ico"

Verdict: TypeAlias = tuple[str, dict[str, Any]]
"""What Chromium is told about a request that waits: a command, and its parameters."""


@dataclass(frozen=True)
class Asked:
    """One request as people read it. `status`: None where there was no answer, `reason` says why.

    `kind` as Chromium calls it: Document, Script, Fetch, …
    """

    method: str
    address: str
    kind: str
    status: int | None = None
    reason: str = ""


@dataclass(eq=False)
class Traffic:
    """The requests of one page that is open.

    `safe_posts`: paths on `hosts` that only ask, whatever their method. `acting`: whether the page
    itself may ask its own `hosts` for anything, because it was told to change something.
    `once`: nothing is sent over a connection that was used before, since what Chromium loses there
    it sends again, a POST as well. `shown`: an address without secrets. `stop` is told what makes
    going on senseless.
    """

    HOLD: ClassVar[Verdict] = ("Fetch.failRequest", {"errorReason": "BlockedByClient"})
    STAY: ClassVar[Verdict] = ("Fetch.failRequest", {"errorReason": "Aborted"})
    """For where a page wants to go: any other reason would put an error page in its place."""

    door: Door
    hosts: frozenset[str]
    safe_posts: frozenset[str]
    shown: Callable[[str], str]
    stop: Callable[[CouldNotObserve], None]
    once: bool = False
    acting: bool = False
    asked: dict[str, Asked] = field(default_factory=dict)
    failed: list[Asked] = field(default_factory=list)
    cors: list[Asked] = field(default_factory=list)
    held: list[Asked] = field(default_factory=list)
    answers: list[Asked] = field(default_factory=list)
    changes: list[Asked] = field(default_factory=list)
    bytes: int = 0

    # Before a request leaves

    def verdict(self, event: Mapping[str, Any], *, of_page: bool) -> Verdict:
        """Whether a request leaves, and with what. `of_page`: it comes from the page itself, not
        from a frame or a worker in it."""
        request = event["request"]
        url = urllib.parse.urlsplit(request["url"])
        kind = event.get("resourceType", "")
        if kind == "Other" and url.path == _ICON:
            return "Fetch.fulfillRequest", {"responseCode": int(HTTPStatus.NO_CONTENT)}
        if kind == "Document" and of_page and url.hostname not in self._own_hosts:
            self.stop(
                CouldNotObserve("redirect", f"it leads to {self._told(url.geturl())}, elsewhere")
            )
            return self.STAY
        if not (
            request["method"] in ONLY_READS or self.is_safe(event) or self._may_act(url, of_page)
        ):
            self._keep(self.held, Asked(request["method"], self._told(request["url"]), kind))
            return self.STAY if kind == "Document" else self.HOLD
        headers: dict[str, str] = dict(request["headers"])
        changed: dict[str, Any] = {}
        if of_page and _origin(url) == self.door.origin:
            theirs = {name.lower() for name in headers}
            headers |= {name: v for name, v in self.door.headers.items() if name not in theirs}
            if self.door.query is not None:
                pair = urllib.parse.urlencode([self.door.query])
                changed["url"] = f"{request['url']}{'&' if url.query else '?'}{pair}"
        if self.once:
            headers["Connection"] = "close"
        if headers != request["headers"]:
            changed["headers"] = [{"name": name, "value": v} for name, v in headers.items()]
        return "Fetch.continueRequest", changed

    def is_safe(self, event: Mapping[str, Any]) -> bool:
        """Whether the target file says that this only asks."""
        url = urllib.parse.urlsplit(event["request"]["url"])
        return url.hostname in self.hosts and url.path in self.safe_posts

    def hold_message(self, url: str) -> None:
        """A message over a web socket, which nobody can tell from a change."""
        self._keep(self.held, Asked("MESSAGE", self._told(url), "WebSocket"))

    def _may_act(self, url: urllib.parse.SplitResult, of_page: bool) -> bool:
        return self.acting and of_page and url.hostname in self.hosts

    @property
    def _own_hosts(self) -> frozenset[str | None]:
        return frozenset({urllib.parse.urlsplit(self.door.origin).hostname})

    # What became of it, as Chromium's Network domain tells it

    def begun(self, event: Mapping[str, Any]) -> None:
        request = event["request"]
        if not request["url"].startswith(("http:", "https:")):
            return
        if urllib.parse.urlsplit(request["url"]).path == _ICON:
            return
        asked = Asked(request["method"], self._told(request["url"]), event.get("type", ""))
        self.asked[event["requestId"]] = asked

    def answered(self, event: Mapping[str, Any]) -> None:
        asked = self.asked.get(event["requestId"])
        if asked is None:
            return
        status = int(event["response"]["status"])
        done = Asked(asked.method, asked.address, asked.kind, status)
        self._keep(self.answers, done)
        if status >= HTTPStatus.BAD_REQUEST:
            self._keep(self.failed, done)
        if asked.method not in ONLY_READS:
            self._keep(self.changes, done)

    def received(self, event: Mapping[str, Any]) -> None:
        self.bytes += int(event["dataLength"])
        if self.bytes > PAGE_MAX:
            self.stop(
                CouldNotObserve("too large", f"it fetched more than {PAGE_MAX // 1_000_000} MB")
            )

    def ended(self, event: Mapping[str, Any]) -> None:
        self.asked.pop(event["requestId"], None)

    def lost(self, event: Mapping[str, Any]) -> None:
        asked = self.asked.pop(event["requestId"], None)
        if asked is None or event.get("canceled") or event.get("blockedReason") == "inspector":
            return
        cors = event.get("corsErrorStatus")
        if cors is not None:
            reason = cors["corsError"]
            self._keep(self.cors, Asked(asked.method, asked.address, asked.kind, None, reason))
            return
        reason = event.get("errorText") or event.get("blockedReason") or "no answer"
        lost = Asked(asked.method, asked.address, asked.kind, None, reason)
        self._keep(self.failed, lost)
        if asked.method not in ONLY_READS:
            self._keep(self.changes, lost)

    @property
    def under_way(self) -> int:
        return len(self.asked)

    def _told(self, url: str) -> str:
        return self.shown(url)[:_TEXT]

    @staticmethod
    def _keep(kept: list[Asked], one: Asked) -> None:
        if len(kept) < KEPT:
            kept.append(one)


def _origin(url: urllib.parse.SplitResult) -> str:
    return f"{url.scheme}://{url.netloc}"
