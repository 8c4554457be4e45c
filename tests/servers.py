"""How does a test get a server on loopback, one that speaks HTTP or one that misbehaves?"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Handler = Callable[[socket.socket], None]


class Answering(BaseHTTPRequestHandler):
    """One request; what a test answers it with calls `send`."""

    protocol_version = "HTTP/1.1"
    timeout = 5

    def heard(self) -> bytes:
        """The body of the request."""
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 200  # some tests ask so many at once

    def handle_error(self, *_: object) -> None:
        """Who asked went away before it was answered."""


@contextmanager
def served(answers: type[Answering]) -> Iterator[str]:
    """A web server that gives each request to an object of `answers`; its url."""
    server = _Server(("127.0.0.1", 0), answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(6)


@contextmanager
def raw_server(handle: Handler, *, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server whose connections are each given to `handle`; its url."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []
    over = threading.Event()

    def one(connection: socket.socket) -> None:
        try:
            if tls is not None:
                connection = tls.wrap_socket(connection, server_side=True)
            connection.settimeout(5)
            handle(connection)
        except OSError:
            pass  # the client went away, as it should
        finally:
            connection.close()

    def accept() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=one, args=(connection,), daemon=True)
            thread.start()
            threads.append(thread)

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        port = listener.getsockname()[1]
        yield f"http{'s' if tls else ''}://127.0.0.1:{port}"
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in (accepting, *threads):
            thread.join(6)


def request_head(connection: socket.socket) -> bytes:
    """The head of one request, read to its end, with what came of its body."""
    head = b""
    while b"\r\n\r\n" not in head:
        more = connection.recv(65_536)
        if not more:
            return head
        head += more
    return head
