"""What may Python in targets/ use to change something?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from watchkeeper.looking.handles import Handles
from watchkeeper.looking.reach import Reach
from watchkeeper.services import Database

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

        url = self._reach.service(name, Database).database.get_secret_value()
        with WritableDatabase(url, name, deadline_s=self.deadline_s).transaction() as connection:
            yield connection
