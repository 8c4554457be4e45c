"""Is the certificate that a server presents valid, for whom, and for how long?"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from watchkeeper.clock import Window
from watchkeeper.errors import ConfigurationError, CouldNotObserve
from watchkeeper.looking.presented import Address, Starttls, presented
from watchkeeper.looking.reach import Reach, in_thread
from watchkeeper.observation import Answer, Row, Table
from watchkeeper.services import Duration, Model, Web
from watchkeeper.units import duration_s

if TYPE_CHECKING:
    from watchkeeper.looking.trust import Judged

DEADLINE_S = 5.0
"""When a look at an address without a service and a deadline of its own is given up."""

_IMPORT_S = 10.0  # that reading the system's certificates may take on a machine under load
_HTTPS = 443
_DAY = timedelta(days=1)


def _place(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if colon and not (host and (port.isdigit() or "{" in text)):
        raise ValueError(f'"{text}" is no address; write a web service, or "db.example.com:5432"')
    return text


class Question(Model):
    """The certificate of `of`: a web service that is https, or "host:port"; or of a list of them.

    `name`: whom it must be for, by default the host. `starttls`: what is said before TLS begins.
    `ca`: a file of certificates to trust besides the system's own and the web service's.
    """

    of: str | tuple[str, ...] = Field(min_length=1)
    name: str | None = None
    starttls: Starttls = "none"
    ca: str | None = None
    deadline: Duration | None = None

    @field_validator("of")
    @classmethod
    def _places(cls, of: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for each in (of,) if isinstance(of, str) else of:
            _place(each)
        return of

    @property
    def is_list(self) -> bool:
        return not isinstance(self.of, str)

    @property
    def places(self) -> tuple[str, ...]:
        return (self.of,) if isinstance(self.of, str) else self.of


class Certificate:
    """Takes what a server presents without trusting it, and then judges it; kind is its state.

    The value of one: {state, valid, reason, chain, names, name_matches, days_left, not_before,
    not_after, subject, issuer, key}. `state`: "valid", "expired", "not yet valid", "wrong name" or
    "untrusted". `chain`: "trusted", "self-signed", "incomplete" or "untrusted". `days_left` and
    `not_after` are of that certificate of the chain which ends first.
    Of several a Table: name, state, days left, not after, chain, reason.
    """

    def drivers(self, question: Question) -> tuple[str, ...]:
        return ("watchkeeper.looking.trust",)

    def services(self, question: Question) -> tuple[str, ...]:
        return tuple(each for each in question.places if ":" not in each)

    async def look(self, question: Question, reach: Reach, window: Window | None) -> Answer:
        """Raises CouldNotObserve, the kinds of `presented` and "unreadable": nothing was presented
        that could be judged. Of several, one that presents nothing leaves the list unknown.
        """
        at, began = reach.clock.now(), time.monotonic()
        source = f"certificate of {', '.join(question.places)}"
        try:
            found = await asyncio.gather(
                *(_judged(question, each, reach, at) for each in question.places),
                return_exceptions=True,
            )
            judged = _all_of(question.places, found)
        except CouldNotObserve as error:
            raise CouldNotObserve(
                error.kind, error.reason, source=source, duration_s=time.monotonic() - began
            ) from error
        duration_s = time.monotonic() - began
        excerpt = "\n".join(
            f"{place}: {each.state}: {each.reason}"
            for place, each in zip(question.places, judged, strict=True)
        )[: Answer.EXCERPT]
        if not question.is_list:
            one = judged[0]
            return Answer(_cells(one, at), source, at, duration_s, one.state, excerpt)
        rows = tuple(
            _row(place, each, at) for place, each in zip(question.places, judged, strict=True)
        )
        table = Table(rows, len(rows), "name")
        return Answer(table, source, at, duration_s, "rows", excerpt)


async def _judged(question: Question, place: str, reach: Reach, at: datetime) -> Judged:
    entered = _entered(question, place, reach)
    what = f"certificate of {place}"

    async def read() -> Any:
        def trusted() -> Any:
            from watchkeeper.looking.trust import Trusted  # noqa: PLC0415 - heavy

            return Trusted.of(entered.authorities)

        return await in_thread(trusted, _IMPORT_S, what)

    trusted = await reach.resource(("trusted", entered.authorities), read)
    chain = await in_thread(
        lambda: presented(entered.address, entered.deadline_s), entered.deadline_s, what
    )
    judged: Judged = trusted.judged(chain, entered.address.name, at)
    return judged


@dataclass(frozen=True)
class _Entered:
    """How one place is looked at. `authorities`: files of certificates to trust."""

    address: Address
    deadline_s: float
    authorities: tuple[str, ...]


def _entered(question: Question, place: str, reach: Reach) -> _Entered:
    own = (question.ca,) if question.ca else ()
    deadline_s = duration_s(question.deadline) if question.deadline else DEADLINE_S
    if ":" in place:
        host, _, port = place.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not port.isdigit():
            raise ConfigurationError(f'"{place}" has no port, expected for example "db:5432"')
        address = Address(host, int(port), question.name or host, question.starttls)
        return _Entered(address, deadline_s, own)
    service = reach.service(place, Web)
    url = urlsplit(service.url)
    if url.scheme != "https" or not url.hostname:
        raise ConfigurationError(
            f'the web service "{place}" is not https and has no certificate',
            hint='give its url with https://, or name the address: "host:port"',
        )
    address = Address(url.hostname, url.port or _HTTPS, question.name or url.hostname)
    return _Entered(
        address,
        duration_s(question.deadline) if question.deadline else service.deadline_s,
        own + ((service.ca,) if service.ca else ()),
    )


def _all_of(places: tuple[str, ...], found: list[Judged | BaseException]) -> list[Judged]:
    """What was found, where that is all; else one error that tells of every place."""
    errors = [each for each in found if isinstance(each, BaseException)]
    for error in errors:
        if not isinstance(error, CouldNotObserve):
            raise error
    if not errors:
        return [each for each in found if not isinstance(each, BaseException)]
    kinds = [each.kind for each in errors if isinstance(each, CouldNotObserve)]
    told = [
        str(each) if isinstance(each, BaseException) else f"{place} is {each.state}: {each.reason}"
        for place, each in zip(places, found, strict=True)
    ]
    raise CouldNotObserve(kinds[0], "; ".join(told))


def _days_left(judged: Judged, at: datetime) -> float:
    # Rounded down: of 20.999 days nobody may be told that they are 21.
    return math.floor((judged.not_after - at) / _DAY * 100) / 100


def _cells(judged: Judged, at: datetime) -> dict[str, Any]:
    return {
        "state": judged.state,
        "valid": judged.state == "valid",
        "reason": judged.reason,
        "chain": judged.chain,
        "names": list(judged.names),
        "name_matches": judged.name_matches,
        "days_left": _days_left(judged, at),
        "not_before": judged.not_before,
        "not_after": judged.not_after,
        "subject": judged.subject,
        "issuer": judged.issuer,
        "key": judged.key,
    }


def _row(place: str, judged: Judged, at: datetime) -> Row:
    return Row.of(
        {
            "name": place,
            "state": judged.state,
            "days left": _days_left(judged, at),
            "not after": judged.not_after,
            "chain": judged.chain,
            "reason": judged.reason,
        }
    )


PROBE = Certificate()
