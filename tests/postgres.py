"""How do tests get a real PostgreSQL of their own?

Needs `initdb` and `postgres` (Debian: apt-get install postgresql), and as root an ordinary user
(postgres or nobody) to run them. A test that needs one fails where there is none.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

PASSWORD = "hunter2-canary"  # noqa: S105 - searched for in messages, where it must not be
_READY_WITHIN_S = 20


@dataclass(frozen=True)
class Postgres:
    """A running cluster; `url` is a superuser's, who must be kept from writing all the more."""

    port: int

    def url(
        self, user: str = "keeper", password: str = PASSWORD, database: str = "postgres"
    ) -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    programs = _programs()
    user = _ordinary_user()
    folder = Path(tempfile.mkdtemp(prefix="watchkeeper-pg-"))
    port = _free_port()
    secret = folder / "password"
    secret.write_text(PASSWORD)
    if user is not None:
        for path in (folder, secret):
            os.chown(path, user, -1)
    initdb = [programs / "initdb", "-D", folder / "data", "-U", "keeper", "-A", "scram-sha-256"]
    subprocess.run(
        [*initdb, f"--pwfile={secret}", "--no-sync"], user=user, check=True, capture_output=True
    )
    server = subprocess.Popen(
        [programs / "postgres", "-D", folder / "data", "-p", str(port), "-h", "127.0.0.1",
         "-k", folder, "-c", "fsync=off"],
        user=user, stderr=subprocess.DEVNULL, cwd=folder,
    )  # fmt: skip
    try:
        _await(port, server)
        yield Postgres(port)
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    places = [Path("/usr/local/pgsql/bin"), *sorted(Path("/usr/lib/postgresql").glob("*/bin"))]
    on_path = shutil.which("initdb")
    if on_path:
        places.append(Path(on_path).parent)
    found = [place for place in places if (place / "initdb").exists()]
    assert found, "there is no PostgreSQL: install it (Debian: apt-get install postgresql)"
    return found[-1]


def _ordinary_user() -> int | None:
    if os.getuid() != 0:
        return None
    names = {entry.pw_name: entry.pw_uid for entry in pwd.getpwall()}
    return names.get("postgres", names.get("nobody"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(port: int, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _READY_WITHIN_S
    while True:
        try:
            psycopg.connect(Postgres(port).url()).close()
        except psycopg.OperationalError:
            assert server.poll() is None, "PostgreSQL ended at once"
            assert time.monotonic() < end, "PostgreSQL did not start"
            time.sleep(0.1)
        else:
            return
