"""What is asked of a web service, and what does it answer?

The shapes alone: reading a target file needs them and not the client (`watchkeeper.web`), whose
libraries take a tenth of a second to import.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator

from watchkeeper.errors import CouldNotObserve


@dataclass(frozen=True)
class Call:
    """One request. `path` starts with "/" and may hold a query; `json` or `form` is its body."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    json: Any = field(default=None, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Reply:
    """An answer, whatever its status. No secret of the service stands in any field but `body`.

    `leads_to`: the path a redirect on the same host leads to, below the service's url; else "".
    `at`: when the request began, UTC. `duration_s`: from then to the last byte, in seconds.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    source: str
    at: datetime
    duration_s: float
    excerpt: str = ""
    location: str = ""
    leads_to: str = ""

    @property
    def kind(self) -> str:
        return str(self.status)

    @property
    def is_redirect(self) -> bool:
        return self.status in (301, 302, 303, 307, 308)

    @property
    def text(self) -> str:
        """The body as its declared character set, else UTF-8, says; what neither can read is �."""
        declared = re.search(r'charset="?([\w.:-]+)', self.headers.get("content-type", ""))
        try:
            return self.body.decode(declared[1] if declared else "utf-8", "replace")
        except LookupError:
            return self.body.decode("utf-8", "replace")

    @property
    def said(self) -> str:
        """The status in words: "answered 503 Service Unavailable"."""
        try:
            phrase = f" {HTTPStatus(self.status).phrase}"
        except ValueError:
            phrase = ""
        leading = f", leading to {self.location}" if self.is_redirect and self.location else ""
        return f"answered {self.status}{phrase}{leading}"

    def unknown(self, kind: str, reason: str) -> CouldNotObserve:
        """This answer as one that tells nothing."""
        return CouldNotObserve(
            kind, reason, source=self.source, excerpt=self.excerpt, duration_s=self.duration_s
        )


class NoReply(CouldNotObserve):
    """There was no whole answer. `sent`: whether the service may have got the request."""

    def __init__(self, kind: str, reason: str, *, sent: bool, **rest: Any) -> None:
        self.sent = sent
        super().__init__(kind, reason, **rest)


# How target files write it -------------------------------------------------------------------


def _target(text: str) -> str:
    service, _, path = text.partition(" ")
    if not service or not path.startswith(("/", "{")):
        raise ValueError(f'"{text}" is no service and path; write for example "api /health"')
    return text


Target = Annotated[str, AfterValidator(_target)]
"""A service and a path on it, "api /health"; the service is the first word."""


def service_and_path(target: str) -> tuple[str, str]:
    """The two halves of a Target."""
    service, _, path = target.partition(" ")
    return service, path


_STATUS = re.compile(r"[1-5](\d\d|xx)( /\S*)?")


def named_statuses(outcomes: Any) -> Any:
    if not isinstance(outcomes, Mapping):
        return outcomes
    named = {str(key): word for key, word in outcomes.items()}
    for key in named:
        if not _STATUS.fullmatch(key):
            raise ValueError(
                f'"{key}" is no way to answer; write a status (404), a class of them (4xx) or '
                'where a redirect leads ("302 /login")'
            )
    return named


Word: TypeAlias = str | Literal[True]
Outcomes = Annotated[dict[str, Word], BeforeValidator(named_statuses)]
"""A status, a class of them or a redirect's aim, to the word for it; `true`: its body counts."""

Param: TypeAlias = str | int | float | bool | list[str | int | float] | None
Params: TypeAlias = dict[str, Param]


def named_aims(reply: Reply, outcomes: Mapping[str, Word]) -> list[str]:
    """The keys such as "302 /login" that fit this redirect, the closest fit first."""
    if not reply.leads_to:
        return []
    aims = [key for key in outcomes if key.startswith(f"{reply.kind} ")]
    fitting = [key for key in aims if reply.leads_to.startswith(key.partition(" ")[2])]
    return sorted(fitting, key=len, reverse=True)


def outcome_of(reply: Reply, outcomes: Mapping[str, Word]) -> Word | None:
    """What `outcomes` calls this answer: by a redirect's aim, else its status, else its class."""
    for key in (*named_aims(reply, outcomes), reply.kind, f"{reply.kind[0]}xx"):
        if key in outcomes:
            return outcomes[key]
    return None
