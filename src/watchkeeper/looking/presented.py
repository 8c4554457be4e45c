"""Which certificates does a server present, whether or not they are to be trusted?"""

from __future__ import annotations

import errno
import socket
import ssl
import struct
import time
from dataclasses import dataclass
from typing import Any, Literal

from watchkeeper.errors import CouldNotObserve

Starttls = Literal["none", "smtp", "postgres"]
"""What is said in clear before TLS begins."""

_LINE_MAX = 2_000  # bytes of a line of SMTP, which allows 512
_LINES_MAX = 100  # lines of one answer
_DER = 2  # the ssl module's word for it, which has no public name


@dataclass(frozen=True)
class Address:
    """Where a server listens; `name` is the one that it is asked for (SNI)."""

    host: str
    port: int
    name: str
    starttls: Starttls = "none"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def presented(address: Address, deadline_s: float) -> tuple[bytes, ...]:
    """The chain in DER as the server sends it, its own first.

    Raises CouldNotObserve: "refused", "timeout", "no such name", "unreachable", "closed",
    "no TLS", "protocol", "handshake".
    """
    ends = time.monotonic() + deadline_s
    try:
        with socket.create_connection((address.host, address.port), deadline_s) as raw:
            connection = _Clear(raw, ends, address)
            connection.begin_tls()
            raw.settimeout(connection.left_s())
            with _context().wrap_socket(raw, server_hostname=address.name) as secured:
                return _chain(secured)
    except (OSError, UnicodeError, ValueError) as error:
        raise _told(error, address, deadline_s) from error


def _context() -> ssl.SSLContext:
    """Trusts nobody and looks all the same: what is presented is judged, and nothing is said."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _chain(secured: ssl.SSLSocket) -> tuple[bytes, ...]:
    if hasattr(secured, "get_unverified_chain"):  # Python 3.13
        return tuple(secured.get_unverified_chain())
    inner: Any = secured._sslobj  # type: ignore[attr-defined]
    # Before 3.13 the same is there and has no public name; getpeercert() gives its own alone.
    return tuple(each.public_bytes(_DER) for each in inner.get_unverified_chain() or ())


_ALERTS = ("SSLV3_ALERT_", "TLSV1_", "TLSV13_ALERT_")  # as OpenSSL names what the other side said


class _Clear:
    """A connection before TLS: what is said on it until both sides agree to begin."""

    def __init__(self, raw: socket.socket, ends: float, address: Address) -> None:
        self._raw, self._ends, self._address = raw, ends, address

    def left_s(self) -> float:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def begin_tls(self) -> None:
        match self._address.starttls:
            case "smtp":
                self._smtp()
            case "postgres":
                self._postgres()

    def _postgres(self) -> None:
        self._raw.sendall(struct.pack("!ii", 8, 80877103))  # SSLRequest: its length, its code
        said = self._one_byte()
        if said == b"N":
            raise self._no_tls("it says that it has none")
        if said != b"S":
            raise self._no_tls("what it answers is not PostgreSQL")

    def _smtp(self) -> None:
        self._expect("220", "a greeting")
        self._raw.sendall(b"EHLO watchkeeper\r\n")
        if not any(line[4:].upper() == "STARTTLS" for line in self._expect("250", "EHLO")):
            raise self._no_tls("it does not offer STARTTLS")
        self._raw.sendall(b"STARTTLS\r\n")
        self._expect("220", "STARTTLS")

    def _expect(self, code: str, what: str) -> list[str]:
        lines: list[str] = []
        while len(lines) < _LINES_MAX:
            lines.append(self._line())
            if lines[-1][3:4] != "-":
                break
        if not lines[-1].startswith(code):
            raise self._no_tls(f'to {what} it says "{lines[-1][:60]}"')
        return lines

    def _line(self) -> str:
        line = bytearray()
        while not line.endswith(b"\n"):
            line += self._one_byte()
            if len(line) > _LINE_MAX:
                raise self._no_tls("what it answers is not SMTP")
        return line.decode("ascii", "replace").strip()

    def _one_byte(self) -> bytes:
        # Byte by byte: one that was read too many would be the beginning of TLS.
        self._raw.settimeout(self.left_s())
        said = self._raw.recv(1)
        if not said:
            raise ConnectionResetError
        return said

    def _no_tls(self, why: str) -> CouldNotObserve:
        return CouldNotObserve("no TLS", f"{self._address} begins no TLS: {why}")


def _told(error: Exception, address: Address, deadline_s: float) -> CouldNotObserve:
    match error:
        case TimeoutError():
            told = "timeout", f"{address} presented nothing within {deadline_s:g} s"
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError() | ConnectionResetError():
            told = "closed", f"{address} closed the connection before it presented anything"
        case ssl.SSLError() if (error.reason or "").startswith(_ALERTS):
            told = "handshake", f"{address} refused the handshake: {_reason(error)}"
        case ssl.SSLError():
            told = "protocol", f"{address} does not speak TLS as it should: {_reason(error)}"
        case socket.gaierror() | UnicodeError():
            told = "no such name", f"there is no host called {address.host}"
        case ConnectionRefusedError():
            told = "refused", f"{address} refused the connection"
        case OSError() if error.errno in (errno.EPIPE, errno.ECONNABORTED):
            told = "closed", f"{address} closed the connection before it presented anything"
        case other:
            why = getattr(other, "strerror", None) or type(other).__name__
            told = "unreachable", f"there is no way to {address}: {why}"
    return CouldNotObserve(*told)


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or type(error).__name__).lower().replace("_", " ")
