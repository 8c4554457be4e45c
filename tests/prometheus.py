"""How do tests get a real Prometheus of their own, and something that it scrapes?"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
_READY_WITHIN_S = 30
_CONFIG = """\
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
"""


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus; `url` is where its API is."""

    url: str

    def value(self, query: str) -> float | None:
        """The first value that it has for `query` now; None where it has none."""
        asked = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        with urllib.request.urlopen(asked) as answer:
            found = json.load(answer)["data"]["result"]
        return float(found[0]["value"][1]) if found else None

    def await_value(self, query: str, wanted: float | None, within_s: float = 20) -> None:
        """Wait until it has `wanted` for `query`."""
        end = time.monotonic() + within_s
        while (seen := self.value(query)) != wanted:
            assert time.monotonic() < end, f"{query} is {seen}, not {wanted}"
            time.sleep(0.1)


@contextmanager
def running_prometheus(jobs: dict[str, list[int]]) -> Iterator[Prometheus]:
    """Prometheus that scrapes each job's ports on this machine once a second."""
    program = shutil.which("prometheus") or ROOT / ".cache/prometheus/usr/bin/prometheus"
    assert Path(program).exists(), "no Prometheus is here; run: python tools/prometheus"
    folder = Path(tempfile.mkdtemp(prefix="watchkeeper-prometheus-"))
    port = free_port()
    targets = {job: [f"127.0.0.1:{each}" for each in ports] for job, ports in jobs.items()}
    (folder / "prometheus.yml").write_text(
        _CONFIG
        + "".join(
            f"- {{job_name: {job}, static_configs: [{{targets: {json.dumps(each)}}}]}}\n"
            for job, each in targets.items()
        )
    )
    server = subprocess.Popen(
        [program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
         f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"],
        stderr=subprocess.DEVNULL, cwd=folder,
    )  # fmt: skip
    prometheus = Prometheus(f"http://127.0.0.1:{port}")
    try:
        _await_ready(prometheus, server)
        yield prometheus
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_ready(prometheus: Prometheus, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _READY_WITHIN_S
    while True:
        try:
            urllib.request.urlopen(f"{prometheus.url}/-/ready").close()
        except OSError:
            assert server.poll() is None, "Prometheus ended at once"
            assert time.monotonic() < end, "Prometheus did not start"
            time.sleep(0.1)
        else:
            return
