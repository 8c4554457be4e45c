"""What may Python in targets/ use to look?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from watchkeeper.clock import Window
from watchkeeper.errors import CouldNotObserve
from watchkeeper.looking.reach import Reach
from watchkeeper.services import Database, Folder, Log, Web
from watchkeeper.web_calls import Call, service_and_path

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from watchkeeper.looking.database import ReadOnlyDatabase


class Handles:
    """A system's services, entered for reading. `now`: when the look began, UTC.

    Every method raises ConfigurationError where there is no such service.
    """

    def __init__(self, reach: Reach, window: Window | None = None) -> None:
        self._reach = reach
        self._loop = asyncio.get_running_loop()
        self.now: datetime = reach.clock.now()
        self.window = window

    def folder(self, name: str) -> Path:
        """The folder; raises CouldNotObserve "missing" where it is not there."""
        folder = Path(self._reach.service(name, Folder).folder)
        if not folder.is_dir():
            raise CouldNotObserve("missing", f"there is no folder {folder}")
        return folder

    def path(self, file: str) -> Path:
        """A file by its path as the target file writes it."""
        return Path(file).expanduser()

    def log(self, name: str) -> Path:
        """Where the log is; it need not be there."""
        return Path(self._reach.service(name, Log).log)

    def url(self, name: str) -> str:
        """A web service's address, without what opens its door."""
        return self._reach.service(name, Web).url

    def get(self, target: str) -> object:
        """The JSON that a web service answers to GET of `target` ("grafana /api/search").

        Raises CouldNotObserve: the kinds of WebClient.ask, every status but 2xx, "not JSON".
        """
        asked = asyncio.run_coroutine_threadsafe(self._get(target), self._loop)
        return asked.result()

    async def _get(self, target: str) -> object:
        from watchkeeper.web import json_of, web_client  # noqa: PLC0415 - heavy

        name, path = service_and_path(target)
        client = await web_client(self._reach, name)
        reply = await client.ask(Call("GET", path))
        if not reply.kind.startswith("2"):
            raise reply.unknown(reply.kind, reply.said)
        return json_of(reply)

    def database_file(self, name: str) -> Path:
        """The file of an SQLite service; raises CouldNotObserve where it is another database."""
        with closing(self._database(name)) as database:
            if database.path is None:
                raise CouldNotObserve("not a file", f"{name} is no SQLite database")
            return database.path

    @contextmanager
    def database(self, name: str) -> Iterator[Connection]:
        """A SQLAlchemy connection on which nothing can be written."""
        with closing(self._database(name)) as database, database.reading() as connection:
            yield connection

    def _database(self, name: str) -> ReadOnlyDatabase:
        from watchkeeper.looking.database import ReadOnlyDatabase  # noqa: PLC0415 - heavy

        service = self._reach.service(name, Database)
        url = service.database.get_secret_value()
        return ReadOnlyDatabase(url, name, deadline_s=service.deadline_s)
