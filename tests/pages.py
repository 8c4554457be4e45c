"""Pages on localhost as they go right and wrong in a browser, and what their servers were asked."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

HTML = "text/html; charset=utf-8"
GOOD = """<title>Prediction</title><div id=root></div><script>
setTimeout(() => { document.getElementById('root').innerHTML = '<h1>Predict an item</h1>' }, 100)
</script>"""


@dataclass(frozen=True)
class Asked:
    """One request that a server got."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Site:
    """A server: `pages` by path (status, headers, body, or what writes it), and what it got."""

    url: str
    pages: dict[str, object]
    asked: list[Asked] = field(default_factory=list)

    def methods(self, path: str) -> list[str]:
        return [each.method for each in self.asked if each.path == path]


Writer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def site(pages: dict[str, object], tls: ssl.SSLContext | None = None) -> Iterator[Site]:
    """A server of `pages`: a text is HTML, a tuple a whole answer, a function writes its own."""

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 5
        served: ClassVar[Site]

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.served.asked.append(Asked(self.command, self.path, headers))
            page = self.served.pages.get(self.path.partition("?")[0], (404, {}, "nothing here"))
            if callable(page):
                page(self)
                return
            status, given, body = page if isinstance(page, tuple) else (200, {}, page)
            data = body.encode() if isinstance(body, str) else body
            self.send_response(status)
            sent = {"Content-Type": HTML, "Content-Length": str(len(data)), **given}
            for name, value in sent.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_POST = do_HEAD = do_OPTIONS = do_PUT = do_DELETE = answer

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A browser that hangs up is no error."""

    server = Server(("127.0.0.1", 0), Answers)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scheme = "https" if tls is not None else "http"
    served = Answers.served = Site(f"{scheme}://127.0.0.1:{server.server_port}", pages)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join(6)


def endless(handler: BaseHTTPRequestHandler) -> None:
    """A document that goes on and on, without ever showing anything."""
    handler.send_response(200)
    handler.send_header("Content-Type", HTML)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(b"<title>more</title><!--")
    handler.wfile.flush()
    for _ in range(100):  # as long as anybody listens
        time.sleep(0.1)
        handler.wfile.write(b"x" * 100)
        handler.wfile.flush()
