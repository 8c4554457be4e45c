"""How is a web service entered, and asked so that each request ends, in time and in bounds?"""

from __future__ import annotations

import asyncio
import base64
import contextvars
import errno
import hashlib
import ipaddress
import json
import math
import re
import socket
import ssl
import time
import urllib.parse
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from html.parser import HTMLParser
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, NoReturn

import aiohttp
import aiohttp.abc
import aiohttp.http_exceptions
import httpx
from httpx_aiohttp import AiohttpTransport

from watchkeeper.errors import ConfigurationError, CouldNotObserve
from watchkeeper.looking.reach import Reach, in_thread
from watchkeeper.observation import Answer
from watchkeeper.services import FormLogin, Key, TokenLogin, Web
from watchkeeper.web_calls import Call, NoReply, Reply

__all__ = [
    "Call",
    "Door",
    "NoReply",
    "Reply",
    "WebClient",
    "json_of",
    "own_network_is_up",
    "web_client",
]

MAX_BODY = 10_000_000
"""Bytes of an answer, decoded, after which it is cut off: more than any figure needs."""

MAX_REDIRECTS = 5
"""Redirects followed in a row: a longer chain goes round in circles."""

_MAX_HEADER = 8_190  # bytes of one header, as Apache bounds it
_LONG = 16  # characters of a cookie; a shorter one is a setting ("dark") rather than a session
_SHORT_SECRET = 4  # characters; removing a shorter one would tear ordinary words apart
_LOGIN_REFUSED = "login refused"
_ONLY_READS = frozenset({"GET", "HEAD"})
_LOOK_UP_S = 60.0  # longer than any deadline: that one ends the wait
_LAST_PORT = 65_535
_HTTPS_PORT = 443
_SECRET_PARAMETER = re.compile(
    r"(?i)(api[-_]?key|token|passw|secret|signature|credential|^key$|^sig$|^auth)"
)


# The client ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Door:
    """How a service is entered by somebody else than its client. Nothing of it goes elsewhere than
    to `origin`. `query`: a name and its value. `cookies`: names and values.
    """

    origin: str
    headers: Mapping[str, str] = field(repr=False)
    query: tuple[str, str] | None = field(repr=False)
    cookies: tuple[tuple[str, str], ...] = field(repr=False)


@dataclass(eq=False)
class _Session:
    """One way in. `lets_in`: it was let in at least once. `closed`: paths it is never let in to."""

    client: httpx.AsyncClient = field(repr=False)
    transport: httpx.AsyncBaseTransport = field(repr=False)
    has_cookies: bool = False
    lets_in: bool = False
    closed: set[str] = field(default_factory=set)

    async def send(self, request: httpx.Request) -> httpx.Response:
        """The answer, its body still to be read; redirects are not followed."""
        if self.has_cookies:
            return await self.client.send(request, stream=True)
        # What httpx does around a transport is for cookies, redirects and its own ways in. We have
        # none of these here, and a look without it costs an eighth less.
        return await self.transport.handle_async_request(request)


async def web_client(reach: Reach, name: str) -> WebClient:
    """The open client of the web service `name`, made once a run and closed with `reach`.

    Raises ConfigurationError where there is no such service or its certificates can't be read.
    """
    service = reach.service(name, Web)

    async def make() -> WebClient:
        return WebClient(name, service, reach)

    return await reach.resource(("web client", name), make, WebClient.close)


def own_network_is_up(interfaces: Mapping[str, Any] | None = None) -> bool:
    """Whether this machine has a network at all: an interface besides loopback that is up."""
    if interfaces is None:
        import psutil  # noqa: PLC0415 - only a run that met a silent service needs it

        interfaces = psutil.net_if_stats()
    return any(
        stats.isup and "loopback" not in stats.flags and not name.startswith("lo")
        for name, stats in interfaces.items()
    )


class WebClient:
    """A web service as one run uses it: its connections, its sessions, its turns.

    Asks over kept connections; what may change something gets a fresh one each time.
    """

    def __init__(
        self,
        name: str,
        service: Web,
        reach: Reach,
        network_is_up: Callable[[], bool] = own_network_is_up,
    ) -> None:
        self._name = name
        self._service = service
        self._reach = reach
        self._network_is_up = network_is_up
        url = _url_of(name, service)
        self._user_info = url.userinfo.decode()
        self._url = url.copy_with(userinfo=b"", path=url.path.rstrip("/") or "/")
        self._base = str(self._url).rstrip("/")
        self._base_path = self._url.path.rstrip("/")
        self._turns = asyncio.Semaphore(service.at_once)
        self._secrets: list[str] = []
        self._secret = re.compile("")
        for secret in _secrets_of(service):
            self._keep_secret(secret)
        self._trust = _trust(service)
        self._transport = _Transport(self._trust, service.at_once)
        self._nobody = self._session()
        self._somebody = self._session(_credentials(service, self._user_info), key=service.key)
        self._logins = 0

    def __repr__(self) -> str:
        return f"<web service {self._name}>"

    async def close(self) -> None:
        await self._transport.aclose()

    async def ask(
        self,
        call: Call,
        *,
        nobody: bool = False,
        follow: bool = False,
        deadline_s: float | None = None,
        is_answer: Callable[[Reply], object] = lambda _: False,
    ) -> Reply:
        """The service's answer, whatever its status.

        `nobody`: without credentials. `follow`: redirects on the same host are followed.
        `deadline_s`: of each request, in seconds, without the wait for a turn; None: the service's.
        `is_answer`: answers that look like a lapsed session and are none.
        Raises NoReply (kinds: "refused", "timeout", "no such name", "own network", "unreachable",
        "certificate", "closed", "protocol", "too large", "redirect", "login refused", or the status
        of a login that could not be tried) and ConfigurationError for what is no request at all.
        """
        deadline_s = self._service.deadline_s if deadline_s is None else deadline_s
        for _ in range(MAX_REDIRECTS + 1):
            reply = await self._admitted(call, nobody, deadline_s, is_answer)
            if not (follow and reply.is_redirect):
                return reply
            call = Call(call.method, self._next_path(reply, call), headers=call.headers)
        raise self._no_reply(
            "redirect", f"answered with more than {MAX_REDIRECTS} redirects", call, sent=True
        )

    # For a browser, which enters as we do

    async def door(self, call: Call, *, nobody: bool = False) -> Door:
        """What lets in at `call`; raises NoReply as `ask` does."""
        if nobody:
            return Door(self.origin, {}, None, ())
        session = await self._entered(call)
        key = self._service.key
        wanted = {"authorization", key.header.lower() if key and key.header else ""}
        return Door(
            self.origin,
            {name: value for name, value in session.client.headers.items() if name in wanted},
            (key.query, key.value.get_secret_value()) if key and key.query else None,
            tuple((cookie.name, cookie.value or "") for cookie in session.client.cookies.jar),
        )

    @property
    def origin(self) -> str:
        """Scheme, host and port: "https://media.example.com:8443"."""
        return f"{self._url.scheme}://{self._url.netloc.decode()}"

    @property
    def host(self) -> str:
        return self._url.host

    def address(self, path: str) -> str:
        return self._base + path

    def shown(self, url: str) -> str:
        """Any address as people may see it: without a login, and without secrets in its query."""
        parts = urllib.parse.urlsplit(url)
        query = "&".join(
            f"{name}={'…' if _SECRET_PARAMETER.search(name) else value}"
            for name, value in urllib.parse.parse_qsl(parts.query, keep_blank_values=True)
        )
        host = parts.netloc.rpartition("@")[2]
        return self.clean(parts._replace(netloc=host, query=query, fragment="").geturl())

    async def pin(self) -> str | None:
        """The key in the certificate that it shows, verified, where we trust more than browsers do.

        As Chromium wants it: SHA-256 of the subject's public key, in base64. None where there is
        none, or where it is not to be trusted.
        """
        if self._service.ca is None or self._url.scheme != "https":
            return None
        from cryptography import x509  # noqa: PLC0415 - only certificates of one's own need it
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

        try:
            async with asyncio.timeout(self._service.deadline_s):
                _, writer = await asyncio.open_connection(
                    self._url.host, self._url.port or _HTTPS_PORT, ssl=self._trust
                )
                shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
                writer.transport.abort()
        except (OSError, TimeoutError):
            return None
        public = x509.load_der_x509_certificate(shown).public_key()
        told = public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return base64.b64encode(hashlib.sha256(told).digest()).decode()

    def _next_path(self, reply: Reply, call: Call) -> str:
        if not reply.leads_to:
            raise self._no_reply("redirect", f"{reply.said}: that is elsewhere", call, sent=True)
        query = urllib.parse.urlsplit(reply.location).query
        return reply.leads_to + (f"?{query}" if query else "")

    # Sessions: one login however many ask, renewed once by the first who finds that it has lapsed

    async def _admitted(
        self, call: Call, nobody: bool, deadline_s: float, is_answer: Callable[[Reply], object]
    ) -> Reply:
        if nobody:
            return await self._once(self._nobody, call, deadline_s)
        number = self._logins
        session = await self._entered(call)
        reply = await self._once(session, call, deadline_s)
        if is_answer(reply) or not self._has_lapsed(reply, call):
            session.lets_in = True
            return reply
        if session.lets_in and call.path not in session.closed:
            if number == self._logins:
                self._logins += 1
            session = await self._entered(call)
            reply = await self._once(session, call, deadline_s)
            if not self._has_lapsed(reply, call):
                session.lets_in = True
                return reply
            session.closed.add(call.path)
        if self._is_login_page(reply, call):
            reason = f"the login of {self._name} was accepted, yet it asks to log in again"
            raise self._no_reply(_LOGIN_REFUSED, reason, call, sent=True)
        return reply

    def _has_lapsed(self, reply: Reply, call: Call) -> bool:
        login = self._service.login
        if login is None:
            return False
        if reply.status == HTTPStatus.UNAUTHORIZED:
            return True
        if not isinstance(login, FormLogin):
            return False
        to_login = reply.is_redirect and _same_path(reply.leads_to, login.form)
        return to_login or self._is_login_page(reply, call)

    def _is_login_page(self, reply: Reply, call: Call) -> bool:
        login = self._service.login
        return (
            isinstance(login, FormLogin)
            and reply.status == HTTPStatus.OK
            and login.password_field.encode() in reply.body
            and not _same_path(call.path, login.form)
            and _is_html(reply)
            and _login_form(reply.text, login) is not None
        )

    async def _entered(self, call: Call) -> _Session:
        login = self._service.login
        if login is None:
            return self._somebody
        number = self._logins
        key = ("web login", self._name, id(self), number)
        entered = await self._reach.resource(key, lambda: self._log_in(login))
        if isinstance(entered, _Session):
            return entered
        if entered.kind != _LOGIN_REFUSED and number == self._logins:
            self._logins += 1  # it could not be tried: the next one who asks tries again
        raise self._no_reply(
            entered.kind, entered.reason, call, sent=False, excerpt=entered.excerpt
        )

    async def _log_in(self, login: TokenLogin | FormLogin) -> _Session | CouldNotObserve:
        """A session, or why there is none: a value, so that each who waits raises its own error."""
        try:
            if isinstance(login, TokenLogin):
                return await self._token_session(login)
            return await self._form_session(login)
        except CouldNotObserve as error:
            if error.kind != _LOGIN_REFUSED:
                error.reason = f"could not log in to {self._name}: {error.reason}"
            return error

    async def _token_session(self, login: TokenLogin) -> _Session:
        fields = {
            login.user_field: login.user,
            login.password_field: login.password.get_secret_value(),
        }
        call = (
            Call("POST", login.post, json=fields)
            if login.format == "json"
            else Call("POST", login.post, form=fields)
        )
        reply = await self._once(self._nobody, call, self._service.deadline_s)
        self._refuse_unless_ok(reply, login.user)
        token = _picked(login.token, reply)
        if not isinstance(token, str) or not token:
            raise self._login_refused(
                reply, f"{login.user}: its answer has no token at {login.token}"
            )
        self._keep_secret(token)
        self._reach.learn(token)
        return self._session({"Authorization": f"Bearer {token}"})

    async def _form_session(self, login: FormLogin) -> _Session:
        session = self._session(cookies=True)
        deadline_s = self._service.deadline_s
        page, path = await self._login_page(session, login)
        form = _login_form(page.text, login)
        if form is None or (login.csrf is not None and not form.hidden.get(login.csrf)):
            what = f'no field "{login.csrf}"' if form else "no login form"
            raise page.unknown("no login form", f"the page {login.form} has {what}")
        fields = {
            **form.hidden,
            login.user_field: login.user,
            login.password_field: login.password.get_secret_value(),
        }
        for name, value in form.hidden.items():
            self._keep_secret(value)
            if name == login.csrf or len(value) >= _LONG:
                self._reach.learn(value)
        action = self._below(urllib.parse.urljoin(f"{self._base}{path}", form.action or ""))
        if not action:
            raise page.unknown("no login form", f"the form on {login.form} is sent to another host")
        # A server that checks where a form came from (CSRF, over https) wants the Referer.
        call = Call("POST", action, form=fields, headers={"Referer": f"{self._base}{path}"})
        reply = await self._once(session, call, deadline_s)
        if not reply.is_redirect:
            self._refuse_unless_ok(reply, login.user)
        shown_again = _is_html(reply) and _login_form(reply.text, login) is not None
        if shown_again or (reply.is_redirect and _same_path(reply.leads_to, login.form)):
            raise self._login_refused(reply, f"{login.user}: it shows the login form again")
        jar = session.client.cookies.jar
        if not any(True for _ in jar):
            raise self._login_refused(reply, f"{login.user}: it sets no session cookie")
        for cookie in jar:
            self._keep_secret(cookie.value or "")
            if len(cookie.value or "") >= _LONG:
                self._reach.learn(cookie.value or "")
        return session

    async def _login_page(self, session: _Session, login: FormLogin) -> tuple[Reply, str]:
        """The page with the form, and the path at which it was found."""
        call = Call("GET", login.form)
        for _ in range(MAX_REDIRECTS):
            page = await self._once(session, call, self._service.deadline_s)
            if not page.is_redirect:
                break
            call = Call("GET", self._next_path(page, call))
        if page.status != HTTPStatus.OK:
            raise page.unknown(page.kind, f"the page {login.form} {page.said}")
        return page, call.path

    def _refuse_unless_ok(self, reply: Reply, user: str) -> None:
        if 400 <= reply.status < 500:  # noqa: PLR2004 - "your fault": asking again won't help
            raise self._login_refused(reply, f"{user}: {reply.said}")
        if not 200 <= reply.status < 300:  # noqa: PLR2004
            raise reply.unknown(reply.kind, reply.said)

    def _login_refused(self, reply: Reply, what: str) -> CouldNotObserve:
        reason = f"{self._name} refused the login of {what}"
        return reply.unknown(_LOGIN_REFUSED, self.clean(reason))

    def _session(
        self,
        headers: Mapping[str, str] | None = None,
        *,
        key: Key | None = None,
        cookies: bool = False,
    ) -> _Session:
        transport: httpx.AsyncBaseTransport = self._transport
        if key is not None and key.header is None:
            transport = _WithKey(self._transport, key)
        jar = CookieJar(None if cookies else DefaultCookiePolicy(allowed_domains=[]))
        client = httpx.AsyncClient(
            transport=transport,
            headers={"User-Agent": "watchkeeper", "Accept-Encoding": "gzip", **(headers or {})},
            cookies=jar,
            timeout=self._service.deadline_s,
            follow_redirects=False,
            trust_env=False,
        )
        return _Session(client, transport, cookies)

    # One request

    async def _once(self, session: _Session, call: Call, deadline_s: float) -> Reply:
        request = self._request(session.client, call, deadline_s)
        async with self._turns:
            progress = _Progress()
            _PROGRESS.set(progress)
            at, began = self._reach.clock.now(), time.perf_counter()
            try:
                async with asyncio.timeout(deadline_s):
                    response = await session.send(request)
                    try:
                        progress.status = response.status_code
                        body = await _body(response, progress)
                    finally:
                        await response.aclose()
                return self._reply(response, body, call, at, time.perf_counter() - began)
            except (httpx.HTTPError, aiohttp.ClientError, OSError, ValueError, _BadBody) as error:
                told = self._told(error, progress, deadline_s)
        # Raised out here so that no secret hides in an error's context (aiohttp's hold the URL).
        raise self._no_reply(
            *told, call, sent=progress.connected, duration_s=time.perf_counter() - began
        )

    def _request(self, client: httpx.AsyncClient, call: Call, deadline_s: float) -> httpx.Request:
        if not call.path.startswith("/"):
            raise ConfigurationError(f'"{call.path}" is no path; it starts with "/"')
        try:
            url = httpx.URL(self._base + call.path)
            if call.params:
                url = url.copy_merge_params(dict(call.params))
            return client.build_request(
                call.method,
                url,
                json=call.json,
                data=call.form,
                headers=_one_line(call.headers),
                timeout=deadline_s,
            )
        except (httpx.InvalidURL, ValueError) as error:
            problem = f"{self._source(call)} is no request: {type(error).__name__}"
        raise ConfigurationError(problem)

    def _reply(
        self, response: httpx.Response, body: bytes, call: Call, at: datetime, duration_s: float
    ) -> Reply:
        location = response.headers.get("location", "")
        target = urllib.parse.urljoin(str(response.url), location) if location else ""
        return Reply(
            status=response.status_code,
            headers=response.headers,
            body=body,
            source=self._source(call),
            at=at,
            duration_s=duration_s,
            excerpt=self.clean(_beginning(body)),
            location=self.clean(location),
            leads_to=self._below(target) if target else "",
        )

    def _below(self, target: str) -> str:
        """The path of an absolute URL below the service's own; "" where that is another host."""
        parts, own = urllib.parse.urlsplit(target), self._url
        host = parts.netloc.rpartition("@")[2].lower()
        if (parts.scheme, host) != (own.scheme, own.netloc.decode()):
            return ""
        below = f"{parts.path}/".startswith(f"{self._base_path}/")
        return (parts.path.removeprefix(self._base_path) or "/") if below else ""

    # What people are told

    def _source(self, call: Call) -> str:
        path, _, query = call.path.partition("?")
        pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
        for name, value in call.params.items():
            pairs.extend((name, v) for v in (value if isinstance(value, list) else [value]))
        shown = "&".join(
            f"{name}={'…' if _SECRET_PARAMETER.search(name) else _plain(value)}"
            for name, value in pairs
        )
        asked = self.clean(path + (f"?{shown}" if shown else ""))
        return f"{call.method} {asked} of {self._name}"

    def _keep_secret(self, secret: str) -> None:
        if len(secret) >= _SHORT_SECRET and secret not in self._secrets:
            self._secrets.append(secret)
            longest_first = sorted(self._secrets, key=len, reverse=True)
            self._secret = re.compile("|".join(map(_in_any_spelling, longest_first)))

    def clean(self, text: str) -> str:
        """`text` without what opens this service."""
        return self._secret.sub("…", text) if self._secrets else text

    def _no_reply(self, kind: str, reason: str, call: Call, *, sent: bool, **rest: Any) -> NoReply:
        reason = self.clean(reason)
        return NoReply(kind, reason, sent=sent, source=self._source(call), **rest)

    def _told(self, error: Exception, progress: _Progress, deadline_s: float) -> tuple[str, str]:
        """The kind and the sentence for an error, after a check that it is not our own network."""
        kind, reason = _kind_of(error, self._url, progress, deadline_s)
        ours = kind in ("refused", "timeout", "no such name", "unreachable")
        if ours and not _is_loopback(self._url.host) and not self._network_is_up():
            return "own network", "this machine has no network interface that is up"
        return kind, reason


def _in_any_spelling(secret: str) -> str:
    """A pattern for a secret as it was written, and as URLs, forms and JSON spell it."""
    return "".join(map(_spellings, secret))


def _spellings(c: str) -> str:
    if c.isascii() and c.isalnum():
        return c
    in_url = "".join(f"%{byte:02X}" for byte in c.encode())
    forms = [re.escape(c), f"(?i:{in_url})", re.escape(json.dumps(c)[1:-1])]
    return f"(?:{'|'.join(forms + [chr(92) + '+'] * (c == ' '))})"


def _url_of(name: str, service: Web) -> httpx.URL:
    try:
        url = httpx.URL(service.url)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if not url.host or (url.port or 0) > _LAST_PORT:
        raise ConfigurationError(f'the url of the service "{name}" is none')
    return url


def _same_path(path: str, other: str) -> bool:
    return path.partition("?")[0].rstrip("/") == other.partition("?")[0].rstrip("/")


def _one_line(headers: Mapping[str, str]) -> Mapping[str, str]:
    """The headers; raises ValueError where one would smuggle in another."""
    if any(c in f"{name}{value}" for name, value in headers.items() for c in "\r\n\0"):
        raise ValueError("a header is one line")
    return headers


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def _beginning(body: bytes) -> str:
    # Four bytes are the most that UTF-8 needs for a character.
    return body[: 4 * Answer.EXCERPT].decode("utf-8", "replace")[: Answer.EXCERPT]


def _picked(program: str, reply: Reply) -> object:
    import jq  # noqa: PLC0415 - only a login for a token needs it

    try:
        return jq.compile(program).input_value(json_of(reply)).first()
    except (ValueError, StopIteration, CouldNotObserve):
        return None


# Ways in -------------------------------------------------------------------------------------


def _credentials(service: Web, user_info: str) -> dict[str, str]:
    """The headers that let in; a key in the address is the transport's."""
    if service.token is not None:
        return {"Authorization": f"Bearer {service.token.get_secret_value()}"}
    if service.key is not None and service.key.header is not None:
        return {service.key.header: service.key.value.get_secret_value()}
    if service.basic is not None:
        pair = f"{service.basic.user}:{service.basic.password.get_secret_value()}"
    elif user_info:
        pair = urllib.parse.unquote(user_info)
    else:
        return {}
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _secrets_of(service: Web) -> Iterable[str]:
    """What must not be shown, both as it was written and as it is sent."""
    if service.key is not None:
        yield service.key.value.get_secret_value()
    for holder in (service.basic, service.login):
        if holder is not None:
            yield holder.password.get_secret_value()
    url = httpx.URL(service.url)
    yield url.password
    for header in _credentials(service, url.userinfo.decode()).values():
        yield header.removeprefix("Basic ").removeprefix("Bearer ")


def _trust(service: Web) -> ssl.SSLContext:
    if not service.url.startswith("https://"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # never used; loading roots takes 20 ms
    context = ssl.create_default_context()
    if service.ca is not None:
        try:
            context.load_verify_locations(service.ca)
        except OSError as error:
            raise ConfigurationError(
                f"the certificates in {service.ca} can't be read: {error.strerror or error}"
            ) from error
    return context


class _Transport(httpx.AsyncBaseTransport):
    """The connections of one service: kept ones for GET and HEAD, a fresh one for all else."""

    def __init__(self, trust: ssl.SSLContext, at_once: int) -> None:
        self._kept, self._fresh = (
            AiohttpTransport(client=partial(_connections, trust, at_once, kept=kept), verify=trust)
            for kept in (True, False)
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        transport = self._kept if request.method in _ONLY_READS else self._fresh
        return await transport.handle_async_request(request)

    async def aclose(self) -> None:
        await self._kept.aclose()
        await self._fresh.aclose()


class _WithKey(httpx.AsyncBaseTransport):
    """Puts a key into the address: here, below all that logs or shows a URL."""

    def __init__(self, transport: _Transport, key: Key) -> None:
        self._transport = transport
        self._key = key

    def _keyed(self, url: httpx.URL) -> httpx.URL:
        value = self._key.value.get_secret_value()
        if self._key.query is not None:
            return url.copy_merge_params({self._key.query: value})
        return url.copy_with(path=f"/{value.strip('/')}{url.path.rstrip('/')}")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        keyed = httpx.Request(
            request.method,
            self._keyed(request.url),
            headers=request.headers,
            content=request.content,
            extensions=request.extensions,
        )
        return await self._transport.handle_async_request(keyed)


def _connections(trust: ssl.SSLContext, at_once: int, *, kept: bool) -> aiohttp.ClientSession:
    progress = aiohttp.TraceConfig()
    progress.on_connection_create_end.append(_connected)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            ssl=trust, limit=at_once, resolver=_Resolver(), force_close=not kept
        ),
        cookie_jar=aiohttp.DummyCookieJar(),  # or it would mix the cookies of all sessions
        trace_configs=[progress],
        middlewares=(_never_twice,),
        max_line_size=_MAX_HEADER,
        max_field_size=_MAX_HEADER,
    )


class _Dropped(aiohttp.ClientError):
    """The connection was lost, in a form that aiohttp does not take as a reason to ask again."""


async def _never_twice(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep aiohttp from repeating what a new connection lost: a PUT may be done, a GET is news.

    On a kept connection it may: that one was stale.
    """
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        if not _PROGRESS.get().connected:
            raise
        raise _Dropped(str(error)) from error


class _Resolver(aiohttp.abc.AbstractResolver):
    """Looks names up in daemon threads: in the loop's executor, a hanging one keeps the process."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[aiohttp.abc.ResolveResult]:
        def look_up() -> list[Any]:
            try:
                return socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
            except UnicodeError as error:  # a label that is empty or too long
                raise socket.gaierror(socket.EAI_NONAME, "no possible name") from error

        try:
            found = await in_thread(look_up, _LOOK_UP_S, f"the address of {host}")
        except CouldNotObserve as late:
            raise socket.gaierror(socket.EAI_AGAIN, late.reason) from late
        return [
            {
                "hostname": host,
                "host": address[0],
                "port": address[1],
                "family": kind,
                "proto": protocol,
                "flags": socket.AI_NUMERICHOST,
            }
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Nothing is kept open."""


# How far one request has come, and its body within bounds ------------------------------------


@dataclass
class _Progress:
    """`connected`: since when the service may have got something. `read`: bytes of the body."""

    connected: bool = False
    status: int | None = None
    read: int = 0


_PROGRESS: contextvars.ContextVar[_Progress] = contextvars.ContextVar("progress")


async def _connected(*_: object) -> None:
    _PROGRESS.get().connected = True


class _BadBody(Exception):
    """A body that can't be read to its end: the kind, and what people are told."""

    def __init__(self, kind: str, reason: str) -> None:
        self.kind = kind
        self.reason = reason
        super().__init__(reason)


async def _body(response: httpx.Response, progress: _Progress) -> bytes:
    """The decoded body, at most MAX_BODY bytes of it; raises _BadBody."""
    if response.request.method == "HEAD":
        return b""
    length = response.headers.get("content-length", "")
    if length.isdigit() and int(length) > MAX_BODY:
        raise _too_large()
    chunks = response.aiter_raw()
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        chunks = _inflated(chunks, encoding)
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        progress.read = len(body)
        if len(body) > MAX_BODY:
            raise _too_large()
    return bytes(body)


def _too_large() -> _BadBody:
    return _BadBody("too large", f"the answer is larger than {MAX_BODY // 1_000_000} MB")


async def _inflated(chunks: AsyncIterator[bytes], encoding: str) -> AsyncIterator[bytes]:
    """The chunks, decompressed bit by bit: httpx would unpack a bomb before it can be measured."""
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise _BadBody("protocol", f'the answer is encoded as "{encoding}", which nobody asked for')
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: zlib's or gzip's header, as found
    empty = True
    try:
        async for chunk in chunks:
            empty = False
            rest = chunk
            while rest:
                yield unpacker.decompress(rest, MAX_BODY + 1)
                rest = unpacker.unconsumed_tail
            if unpacker.unused_data:
                raise _BadBody("protocol", "more follows after the end of the compressed answer")
    except zlib.error:
        raise _BadBody("protocol", f"the answer is no {encoding}, although it says so") from None
    if not (empty or unpacker.eof):
        raise _BadBody("closed", "the compressed answer breaks off")


# Errors to kinds -----------------------------------------------------------------------------


def _kind_of(
    error: Exception, url: httpx.URL, progress: _Progress, deadline_s: float
) -> tuple[str, str]:
    """The stable word for an error of the layers below, and the sentence for people."""
    where = f"{url.host}:{url.port or (_HTTPS_PORT if url.scheme == 'https' else 80)}"
    match _below_httpx(error):
        case _BadBody() as bad:
            told = bad.kind, bad.reason
        case TimeoutError():
            told = "timeout", _late(progress, deadline_s)
        case aiohttp.ClientConnectorDNSError() as cause:
            told = _no_address(cause, url.host)
        case aiohttp.ClientConnectorCertificateError() as cause:
            told = "certificate", _certificate(cause.certificate_error)
        case aiohttp.ClientSSLError() | ssl.SSLError():
            told = "protocol", f"{where} does not speak TLS as it should"
        case aiohttp.ClientConnectorError() as cause:
            told = _no_connection(cause.os_error, where)
        case aiohttp.ClientResponseError() as cause:
            told = _not_http(cause, where)
        case aiohttp.ClientPayloadError() as cause:
            told = _broken_off(cause, progress)
        case aiohttp.ClientConnectionError() | ConnectionError():
            told = "closed", f"{where} closed the connection without an answer"
        case other:
            told = "protocol", f"{where} could not be asked ({type(other).__name__})"
    return told


def _below_httpx(error: BaseException) -> BaseException:
    """What httpx's transport met; httpx calls each lost connection a timeout of connecting."""
    while isinstance(error, httpx.HTTPError | _Dropped) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _late(progress: _Progress, deadline_s: float) -> str:
    if progress.status is not None:
        return f"the answer was not whole within {deadline_s:g} s ({progress.read} bytes by then)"
    return f"no answer within {deadline_s:g} s"


def _no_address(cause: aiohttp.ClientConnectorDNSError, host: str) -> tuple[str, str]:
    if cause.os_error.errno == socket.EAI_AGAIN:
        return "own network", f"this machine's name service gave no answer about {host}"
    return "no such name", f"there is no host called {host}"


def _certificate(error: Exception) -> str:
    what = getattr(error, "verify_message", "") or "it can't be verified"
    return f"the certificate is not to be trusted: {what.rstrip('.')}"


def _no_connection(error: OSError, where: str) -> tuple[str, str]:
    text = str(error)  # several addresses tried: asyncio joins their errors into one text
    if isinstance(error, ConnectionRefusedError) or "Connect call failed" in text:
        if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN):
            return "unreachable", f"there is no way to {where}"
        return "refused", f"{where} refused the connection"
    if isinstance(error, ConnectionError):
        return "closed", f"{where} closed the connection while it was being made"
    return "unreachable", f"there is no way to {where}: {error.strerror or type(error).__name__}"


def _not_http(cause: aiohttp.ClientResponseError, where: str) -> tuple[str, str]:
    if isinstance(cause.__cause__, aiohttp.http_exceptions.LineTooLong) or re.match(
        r"(Got more than|Too many)", cause.message
    ):
        return "too large", f"a header of the answer is larger than {_MAX_HEADER} bytes"
    return "protocol", f"what {where} answered is not HTTP"


def _broken_off(cause: aiohttp.ClientPayloadError, progress: _Progress) -> tuple[str, str]:
    below = cause.__cause__
    if isinstance(below, aiohttp.http_exceptions.TransferEncodingError) and "Not enough" not in str(
        below
    ):
        return "protocol", "the answer's chunks are not HTTP"
    return "closed", f"the connection was closed amid the answer, after {progress.read} bytes"


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


# What the body says --------------------------------------------------------------------------


def json_of(reply: Reply) -> object:
    """The body as strict JSON; raises CouldNotObserve, "not JSON", that says what came instead."""
    try:
        return json.loads(reply.body, parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        what = "JSON that is nested too deeply to be read"
    except (ValueError, UnicodeError) as error:
        what = _instead(reply, error)
    raise reply.unknown("not JSON", f"expected JSON, got {what}")


class _NoNumber(ValueError):
    """A number that JSON does not have."""


def _no_number(text: str) -> NoReturn:
    raise _NoNumber(text)


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _instead(reply: Reply, error: ValueError) -> str:
    if not reply.body.strip():
        return "an empty answer"
    if _is_html(reply):
        title = _Page.of(reply.excerpt).title  # the excerpt holds no secret
        return f"an HTML page titled '{title}'" if title else "an HTML page without a title"
    if isinstance(error, json.JSONDecodeError):
        return _broken(error, reply.excerpt)
    if isinstance(error, _NoNumber):
        return f"JSON with {str(error)[:20]}, which is no number"
    return "what can't be decoded"


def _broken(error: json.JSONDecodeError, excerpt: str) -> str:
    if not error.doc.lstrip().startswith(("{", "[", '"')):
        return f"text that begins {excerpt.strip()[:40]!r}"
    if error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated"):
        return f"JSON that breaks off after {len(error.doc)} characters"
    return f"JSON with a mistake at character {error.pos + 1} ({error.msg})"


def _is_html(reply: Reply) -> bool:
    beginning = reply.body[:200].lstrip().lower()
    return beginning.startswith((b"<!doctype html", b"<html")) or (
        "html" in reply.headers.get("content-type", "") and beginning.startswith(b"<")
    )


@dataclass
class _Form:
    action: str | None
    names: set[str] = field(default_factory=set)
    hidden: dict[str, str] = field(default_factory=dict)


class _Page(HTMLParser):
    """An HTML page's title and forms."""

    def __init__(self) -> None:
        super().__init__()
        self.title = ""
        self.forms: list[_Form] = []
        self._in_title = False
        self._form: _Form | None = None

    @classmethod
    def of(cls, text: str) -> _Page:
        page = cls()
        page.feed(text)
        page.close()
        page.title = " ".join(page.title.split())
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "title":
            self._in_title = True
        elif tag == "form":
            self._form = _Form(given.get("action"))
            self.forms.append(self._form)
        elif tag == "input" and self._form is not None:
            name = given.get("name") or ""
            self._form.names.add(name)
            if (given.get("type") or "").lower() == "hidden":
                self._form.hidden[name] = given.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        elif tag == "form":
            self._form = None

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data


def _login_form(text: str, login: FormLogin) -> _Form | None:
    """The form that asks for this login's user and password."""
    wanted = {login.user_field, login.password_field}
    return next((form for form in _Page.of(text).forms if wanted <= form.names), None)
