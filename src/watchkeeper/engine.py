"""How is a Docker Engine asked, in bounded time and size, and only what may be asked?

Imported late: the docker SDK takes 80 ms. Everything here blocks and belongs in a thread.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from typing import Any

import docker
import docker.errors
import requests
import urllib3.exceptions
from docker.utils import kwargs_from_env, parse_host

from watchkeeper.errors import ConfigurationError, CouldNotObserve
from watchkeeper.services import Docker
from watchkeeper.web_calls import NoReply

LOOKS = frozenset({"GET", "HEAD"})
"""The verbs of somebody who only looks."""

ANSWER_MAX = 10_000_000
"""Bytes of one answer; a list of a thousand containers has one or two million."""

_CHUNK = 65_536
_MISSING = 404
_NOT_AN_ANSWER = 300  # from this status on


class Refused(CouldNotObserve):
    """The Engine answered that it would not or could not. `status`: its HTTP status."""

    def __init__(self, status: int, reason: str, source: str) -> None:
        self.status = status
        kind = "no such container" if status == _MISSING else str(status)
        super().__init__(kind, reason, source=source)


class ChangesSomething(Exception):
    """Somebody who only looks was about to send another verb than GET or HEAD."""


class Engine(docker.APIClient):  # type: ignore[misc] # it comes without types
    """One conversation with a Docker Engine: `deadline_s` for all of it.

    Without `changes` it cannot send anything but GET and HEAD, whatever method of the SDK is
    called: every request of the SDK passes `send`.

    Raises NoReply ("timeout", "refused", "not permitted", "no such name", "closed", "too large"),
    Refused, and CouldNotObserve of kind "not JSON", "redirect" or "unexpected".
    """

    def __init__(self, service: Docker, deadline_s: float, *, changes: bool = False) -> None:
        self._verbs = LOOKS | {"POST", "DELETE"} if changes else LOOKS
        self._end = time.monotonic() + deadline_s
        self._deadline_s = deadline_s
        where = {"base_url": service.docker} if service.docker else kwargs_from_env()
        _require_socket(where, deadline_s)
        try:
            super().__init__(**where, timeout=deadline_s)
        except docker.errors.DockerException as error:
            self.close()
            raise _cause_of(error) from None

    def merge_environment_settings(self, url: Any, *rest: Any) -> Any:
        """Nothing of the environment: a proxy for the web is none for an Engine."""
        self.trust_env = False
        return super().merge_environment_settings(url, *rest)

    def send(self, request: requests.PreparedRequest, **how: Any) -> requests.Response:
        """The only way out. An answer is read here, unless it was asked for as a stream."""
        verb, asked = request.method or "", _asked(request)
        if verb not in self._verbs:
            raise ChangesSomething(f"{asked}: only {' and '.join(sorted(self._verbs))} may be sent")
        whole = not how.get("stream")
        how |= {"stream": True, "allow_redirects": False, "timeout": self._left_s(asked, False)}
        try:
            response: requests.Response = super().send(request, **how)
        except requests.exceptions.RequestException as error:
            raise _no_reply(error, asked, self._deadline_s) from None
        if whole or response.status_code >= _NOT_AN_ANSWER:
            _keep(response, b"".join(self._pieces(response, asked, ANSWER_MAX)))
        _require_answer(response, asked)
        return response

    def ask(self, path: str, **params: Any) -> requests.Response:
        """A GET whose answer is read piece by piece, by `pieces`."""
        answer: requests.Response = self.get(self._address(path), params=params, stream=True)
        return answer

    def tell(self, path: str, body: object, *, stream: bool = False) -> requests.Response:
        """A POST that the SDK has no method for."""
        answer: requests.Response = self.post(self._address(path), json=body, stream=stream)
        return answer

    def pieces(self, response: requests.Response, most: int) -> Iterator[bytes]:
        """What comes, as it comes, until the deadline; "too large" beyond `most` bytes."""
        return self._pieces(response, _asked(response.request), most)

    def _address(self, path: str) -> str:
        return f"{self.base_url}/v{self.api_version}{path}"

    def _left_s(self, asked: str, sent: bool) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise _timeout(asked, self._deadline_s, sent)
        return left

    def _pieces(self, response: requests.Response, asked: str, most: int) -> Iterator[bytes]:
        come = 0
        try:
            # read1 comes back with what there is: a byte a second must not outlast the deadline.
            while piece := response.raw.read1(_CHUNK, decode_content=True):
                come += len(piece)
                if come > most:
                    raise NoReply(
                        "too large",
                        f"the answer is larger than {most // 1_000_000} MB",
                        sent=True,
                        source=asked,
                    )
                yield piece
                self._left_s(asked, True)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _no_reply(error, asked, self._deadline_s) from None
        finally:
            response.close()


def _keep(response: requests.Response, body: bytes) -> None:
    response._content = body  # where requests keeps what it has read
    response._content_consumed = True


def _asked(request: requests.PreparedRequest) -> str:
    return f"{request.method} {request.path_url}"


def _require_answer(response: requests.Response, asked: str) -> None:
    status = response.status_code
    if status < _NOT_AN_ANSWER or status == requests.codes["not_modified"]:
        return
    if response.is_redirect:
        raise CouldNotObserve("redirect", "it redirects, which no Engine does", source=asked)
    raise Refused(status, f"it answered {status}: {_said(response)}", asked)


def _said(response: requests.Response) -> str:
    try:
        message = response.json()["message"]
    except (ValueError, KeyError, TypeError):
        message = response.text
    return " ".join(str(message).split())[:300]


def _timeout(asked: str, deadline_s: float, sent: bool) -> NoReply:
    return NoReply(
        "timeout",
        f"no whole answer within {deadline_s:g} s",
        sent=sent,
        source=asked,
        duration_s=deadline_s,
    )


# What lies beneath a failure, to its kind, its reason, and whether the request may have arrived.
_BENEATH: tuple[tuple[type[BaseException], str, str, bool], ...] = (
    (
        urllib3.exceptions.NameResolutionError,
        "no such name",
        "the Engine's host name is not known",
        False,
    ),
    (FileNotFoundError, "refused", "the Engine's socket is not there", False),
    (PermissionError, "not permitted", "the Engine's socket may not be opened", False),
    (ConnectionRefusedError, "refused", "the connection was refused: nobody listens there", False),
    (urllib3.exceptions.ConnectTimeoutError, "timeout", "", False),
    (urllib3.exceptions.TimeoutError, "timeout", "", True),
    (TimeoutError, "timeout", "", True),
    (
        urllib3.exceptions.NewConnectionError,
        "unreachable",
        "there is no way to the Engine's address",
        False,
    ),
    (requests.exceptions.InvalidURL, "configuration", "the Engine's address is none", False),
    (requests.exceptions.InvalidSchema, "configuration", "the Engine's address is none", False),
)


def _no_reply(error: BaseException, asked: str, deadline_s: float) -> NoReply:
    """Why there was none, from whatever lies beneath what requests and urllib3 wrap it in."""
    causes = tuple(_beneath(error))
    for cause, kind, reason, sent in _BENEATH:
        if any(isinstance(each, cause) for each in causes):
            if kind == "timeout":
                return _timeout(asked, deadline_s, sent)
            return NoReply(kind, reason, sent=sent, source=asked)
    reason = "the connection ended before the answer was whole"
    return NoReply("closed", reason, sent=True, source=asked)


def _beneath(error: BaseException | None) -> Iterator[BaseException]:
    """The error, what caused it, and what its library put among its arguments."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if not isinstance(each, BaseException) or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [each.__cause__, each.__context__, getattr(each, "reason", None), *each.args]


def _require_socket(where: Mapping[str, Any], deadline_s: float) -> None:
    """Whether somebody listens on the Engine's socket, where it has one.

    The SDK would find out as well, and leave its own end open.
    """
    try:
        address = parse_host(where.get("base_url"), False, bool(where.get("tls")))
    except docker.errors.DockerException as error:
        raise ConfigurationError(f"the Docker Engine can't be addressed: {error}") from None
    path = address.removeprefix("http+unix://")
    if path == address:
        return
    with socket.socket(socket.AF_UNIX) as tried:
        tried.settimeout(deadline_s)
        try:
            tried.connect(path)
        except OSError as error:
            raise _no_reply(error, "GET /version", deadline_s) from None


def _cause_of(error: docker.errors.DockerException) -> Exception:
    """The SDK wraps whatever befalls its first question, for the Engine's version."""
    for each in _beneath(error):
        if isinstance(each, CouldNotObserve):
            return each
        if isinstance(each, requests.exceptions.JSONDecodeError):
            return CouldNotObserve("not JSON", "its answer is no JSON", source="GET /version")
    return CouldNotObserve("unexpected", "it does not say its version", source="GET /version")
