"""How does a test give a project a system of its own, without a replica, for the real one?"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.runs.runs import ROOT, Project

TAG = "shop"


def furnished(project: Project, target: str, feature: str) -> Project:
    """The project with one system, one feature and the tag `TAG`; its steps are the real ones."""
    for name in ("features", "targets"):
        (project.root / name).unlink()
        (project.root / name).mkdir()
    project.write(f"targets/{TAG}.yml", target)
    project.write(f"features/{TAG}/all.feature", feature)
    real = (ROOT / "pyproject.toml").read_text("utf-8")
    known = '  "media-management: the media manager",\n'
    assert known in real
    project.write("pyproject.toml", real.replace(known, f'  "{TAG}: the shop",\n'))
    shutil.rmtree(project.root / "__pycache__", ignore_errors=True)
    return project


class Asked(BaseHTTPRequestHandler):
    """One request; what a test answers it with calls `say`."""

    protocol_version = "HTTP/1.1"
    timeout = 5

    def say(self, status: int, body: str, **headers: str) -> None:
        raw = body.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Who asked was killed before it was answered."""


@contextmanager
def serving(answer: Callable[[Asked, str], None]) -> Iterator[str]:
    """A web server on loopback; `answer` gets each request and its body. Gives its address."""

    class Answers(Asked):
        def reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            answer(self, body.decode())

        do_GET = do_HEAD = do_POST = reply

    server = _Server(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(6)
