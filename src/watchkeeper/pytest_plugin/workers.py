"""xdist: where workers are told of the run, and what the leading process hears of them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from watchkeeper.deciding.census import Entry
from watchkeeper.errors import WatchkeeperError
from watchkeeper.leftovers import clean_up
from watchkeeper.pytest_plugin.account import Account, run_folder
from watchkeeper.pytest_plugin.watch import WATCH
from watchkeeper.recording import unended
from watchkeeper.recording.redaction import Canary
from watchkeeper.targets import REPLICA

FOLDER = "watchkeeper_folder"
CANARY = "watchkeeper_canary"
"""The keys under which workers are told where results go, and which secret must not come out."""
REFUSED = "watchkeeper_refused"
UNWRITTEN = "watchkeeper_unwritten"
COLLECTED = "watchkeeper_collected"
"""The keys under which a worker says why it can run nothing, what it could not write, and all that
it collected before anything was deselected: node, tags, ids and row of each."""


@dataclass(frozen=True)
class Shared:
    """What all processes of a run share."""

    folder: Path
    canary: Canary


RUN_FOLDER = pytest.StashKey[Shared]()


class Workers:
    """Hooks of the leading process. `account_of` gives the run's account, `quiet` our own words,
    `check` raises ConfigurationError for what would be found wrong only when the run has begun.
    """

    def __init__(
        self,
        config: pytest.Config,
        account_of: Callable[[pytest.Config], Account],
        quiet: Callable[[pytest.Config], None],
        check: Callable[[pytest.Config], object],
    ) -> None:
        self._config = config
        self._account_of = account_of
        self._quiet = quiet
        self._check = check
        self._begun = False

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        if RUN_FOLDER not in self._config.stash:
            self._refuse_changes()
            try:
                self._check(self._config)
                options = self._config.stash[WATCH].options
                folder = run_folder(options.reports, drill=options.drill)
            except WatchkeeperError as error:
                raise pytest.UsageError(str(error)) from None
            canary = Canary(f"canary-{secrets.token_hex(12)}")
            self._config.stash[RUN_FOLDER] = Shared(folder, canary)
        shared = self._config.stash[RUN_FOLDER]
        node.workerinput[FOLDER] = str(shared.folder)
        node.workerinput[CANARY] = shared.canary.marker

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        scenarios = [each for each in ids if ".feature::" in each]
        if scenarios:
            self._begun = True
            self._account_of(self._config).select(scenarios)
            if len(scenarios) == len(ids):
                self._quiet(self._config)

    def _refuse_changes(self) -> None:
        options = self._config.stash[WATCH].options
        if options.target != REPLICA and options.allow != "looking":
            raise pytest.UsageError(
                f"-n runs several checks at once, and --allow {options.allow} may change "
                f"{options.target}\n    run without -n: one thing at a time touches a system"
            )

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        if not self._begun:
            return
        account = self._account_of(self._config)
        said: dict[str, Any] = getattr(node, "workeroutput", {})
        if said.get(REFUSED):
            account.refuse(said[REFUSED])
        elif error:
            account.say(f"worker {node.gateway.id} crashed: {error}")
        if said.get(UNWRITTEN):
            account.fail(said[UNWRITTEN])
        if COLLECTED in said:
            suite = [Entry(node_id, frozenset(tags)) for node_id, tags, _, _ in said[COLLECTED]]
            known = [(each, row) for _, _, ids, row in said[COLLECTED] for each in ids]
            account.know(suite, known)

    def pytest_unconfigure(self) -> None:
        """A killed worker leaves no replica behind, and a run without scenarios no folder."""
        shared = self._config.stash.get(RUN_FOLDER, None)
        if shared is not None and self._config.stash[WATCH].options.target == REPLICA:
            clean_up()
        if shared is not None and not self._begun:
            unended.end(shared.folder)
            if not any(shared.folder.iterdir()):
                shared.folder.rmdir()
