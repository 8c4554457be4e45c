"""The only package that knows pytest: it collects features, runs them, and tells how it went."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from watchkeeper.errors import ConfigurationError
from watchkeeper.pytest_plugin.attesting import prepare
from watchkeeper.pytest_plugin.collecting import FeatureFile
from watchkeeper.pytest_plugin.drilling import install_drills
from watchkeeper.pytest_plugin.options import Options, add_options
from watchkeeper.pytest_plugin.running import (
    pytest_report_teststatus,
    pytest_runtest_call,
    pytest_runtest_makereport,
    pytest_runtest_protocol,
    pytest_runtest_setup,
)
from watchkeeper.pytest_plugin.session import (
    Leader,
    account_of,
    our_own_words,
    project_taken_for_reports,
    pytest_collection_finish,
    pytest_collection_modifyitems,
    pytest_sessionfinish,
    pytest_terminal_summary,
    waivers_of,
)
from watchkeeper.pytest_plugin.state import is_worker
from watchkeeper.pytest_plugin.watch import WATCH, Watch
from watchkeeper.pytest_plugin.workers import Workers

GARBAGE_AFTER = 50_000
"""New objects after which Python looks for garbage; it says 700 by itself."""

__all__ = [
    "pytest_addoption",
    "pytest_collect_file",
    "pytest_collection_finish",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_report_teststatus",
    "pytest_runtest_call",
    "pytest_runtest_makereport",
    "pytest_runtest_protocol",
    "pytest_runtest_setup",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    mistaken = project_taken_for_reports(config)
    if mistaken:
        raise pytest.UsageError(mistaken)
    tags = frozenset(line.partition(":")[0].strip() for line in config.getini("markers"))
    # Ctrl-C inside allure-pytest's old-style hooks is an interrupt, and no internal error.
    config.addinivalue_line("filterwarnings", "ignore::pluggy.PluggyTeardownRaisedWarning")
    watch = Watch(config.rootpath, Options.of(config), tags)
    config.stash[WATCH] = watch
    if not is_worker(config):
        try:
            prepare(config, watch.options)
        except ConfigurationError as error:
            raise pytest.UsageError(str(error)) from None
    _seldom_look_for_garbage(config)
    install_drills(config)
    if watch.options.plan and hasattr(config.option, "dist"):
        config.option.dist, config.option.tx, config.option.numprocesses = "no", [], 0
    if is_worker(config):
        return
    config.pluginmanager.register(Leader(config), "watchkeeper_leader")
    if config.pluginmanager.hasplugin("xdist"):
        workers = Workers(config, account_of, our_own_words, waivers_of)
        config.pluginmanager.register(workers, "watchkeeper_workers")


def _seldom_look_for_garbage(config: pytest.Config) -> None:
    """Almost all that is imported and collected lives as long as the run.

    To search it for garbage again and again took a third of the time of 1,000 checks; without
    that a run is 3 MB larger.
    """
    before = gc.get_threshold()
    config.add_cleanup(lambda: gc.set_threshold(*before))
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER, *before[1:])


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> FeatureFile | None:
    if file_path.suffix == ".feature":
        feature: FeatureFile = FeatureFile.from_parent(parent, path=file_path)
        return feature
    return None
