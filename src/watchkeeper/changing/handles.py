"""What may Python in targets/ use to change something?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import SecretStr

from watchkeeper.errors import OperationFailed, OperationRefused, OperationUnknown
from watchkeeper.looking.handles import Handles
from watchkeeper.looking.reach import Reach
from watchkeeper.services import Database, Web
from watchkeeper.web_calls import Call, NoReply, service_and_path

if TYPE_CHECKING:
    from sqlalchemy import Connection


class ChangingHandles(Handles):
    """A system's services, entered for changing. `deadline_s`: seconds the operation may take."""

    def __init__(self, reach: Reach, deadline_s: float) -> None:
        super().__init__(reach)
        self.deadline_s = deadline_s

    @contextmanager
    def connection(self, name: str) -> Iterator[Connection]:
        """A SQLAlchemy connection in one transaction, committed at the end of the block.

        Raises OperationRefused, OperationFailed or OperationUnknown.
        """
        from watchkeeper.changing.database import WritableDatabase  # noqa: PLC0415 - heavy

        with WritableDatabase(
            self.database_url(name), name, deadline_s=self.deadline_s
        ).transaction() as connection:
            yield connection

    def database_url(self, name: str) -> str:
        """How a database is entered: for handing it on, never for showing it."""
        return self._reach.service(name, Database).database.get_secret_value()

    def call(self, verb: str, target: str, json: object = None) -> object:
        """What a web service answers to `verb` ("DELETE") of `target` ("Radarr /api/v3/movie/7").

        The JSON of its answer, None where it is empty. Raises CouldNotObserve where it could not
        be asked, OperationFailed for every status but 2xx, and OperationUnknown where what was sent
        to change something has no answer, or a 5xx: the work may have begun.
        """
        asked = asyncio.run_coroutine_threadsafe(self._call(verb, target, json), self._loop)
        return asked.result(self.deadline_s)

    def key(self, name: str) -> str:
        """The key that opens a web service: for handing it on, never for showing it."""
        key = self._reach.service(name, Web).key
        if key is None:
            raise OperationRefused(f"{name} is not entered with a key; nothing was tried")
        return key.value.get_secret_value()

    def learn(self, secret: str) -> None:
        """Keep `secret` out of every record; before it is used for the first time."""
        self._reach.learn(secret)

    def use_key(self, name: str, value: str) -> None:
        """From now on this run enters a web service with the key `value`."""
        self.learn(value)
        service = self._reach.service(name, Web)
        assert service.key is not None
        fresh = service.key.model_copy(update={"value": SecretStr(value)})
        renewed = service.model_copy(update={"key": fresh})
        self._loop.call_soon_threadsafe(self._reach.renew, name, renewed)

    async def _call(self, verb: str, target: str, json: object) -> object:
        from watchkeeper.web import json_of, web_client  # noqa: PLC0415 - heavy

        name, path = service_and_path(target)
        client = await web_client(self._reach, name)
        try:
            reply = await client.ask(Call(verb, path, json=json))
        except NoReply as silence:
            if verb == "GET" or not silence.sent:
                raise
            raise OperationUnknown(f"{silence.source}: {silence.reason}") from None
        if verb != "GET" and reply.kind.startswith("5"):
            raise OperationUnknown(f"{reply.source} {reply.said}; it may have begun all the same")
        if not reply.kind.startswith("2"):
            raise OperationFailed(f"{reply.source} {reply.said}")
        return json_of(reply) if reply.body else None
