"""Where a gate hands over what it decided: the job's summary, and a statement for others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from watchkeeper.errors import ConfigurationError
from watchkeeper.pytest_plugin.options import Options
from watchkeeper.pytest_plugin.watch import Watch
from watchkeeper.recording.redaction import Redactor
from watchkeeper.recording.run import RunRecord
from watchkeeper.telling import summary
from watchkeeper.telling.statement import Attesting, sha256_of

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
"""The variable by which GitHub Actions names the file whose Markdown it shows."""


@dataclass(frozen=True)
class Attested:
    """What is attested at the end, and the project's files as they were when the run began."""

    attesting: Attesting
    files: Mapping[str, str]


ATTESTED = pytest.StashKey[Attested]()


def prepare(config: pytest.Config, options: Options) -> None:
    """Before anything is collected; raises ConfigurationError where an option is wrong."""
    if options.attest is None:
        if options.subjects:
            raise ConfigurationError("--subject is what --attest FILE speaks of, and it is missing")
        return
    if options.drill or options.plan:
        other = "--drill" if options.drill else "--plan"
        raise ConfigurationError(f"{other} decides nothing that --attest could state")
    attesting = Attesting.of(options.attest, options.subjects, options.attest_key)
    root = config.rootpath
    read = [*root.glob("features/**/*.feature"), *root.glob("targets/*"), root / "waivers.yml"]
    config.stash[ATTESTED] = Attested(attesting, sha256_of(root, read))


def handovers(config: pytest.Config, watch: Watch) -> Iterator[Callable[[RunRecord], None]]:
    """What is written of a finished run outside its folder, the statement last."""
    if path := os.environ.get(STEP_SUMMARY):
        yield lambda run: summary.append_markdown(run, Path(path))
    if ATTESTED in config.stash:
        attested = config.stash[ATTESTED]
        yield lambda run: attested.attesting.write(
            run, _used(run, attested.files, watch), job_url(watch.redactor)
        )


def _used(run: RunRecord, files: Mapping[str, str], watch: Watch) -> dict[str, str]:
    """The features that were judged, the target files of their systems, and the waivers."""
    watch.load()  # with workers the leading process has read none
    judged = {check.system for check in run.checks}
    slugs = {system.slug for system in watch.systems.values() if system.name in judged}
    features = {node.partition("::")[0] for node in (*_nodes(run), *run.missing)}
    return {
        name: digest
        for name, digest in files.items()
        if name in features or name == "waivers.yml" or _is_target_of(name, slugs)
    }


def _nodes(run: RunRecord) -> Iterator[str]:
    yield from (check.node for check in run.checks)


def _is_target_of(name: str, slugs: set[str]) -> bool:
    """targets/routing-ml.yml, and its code: targets/routing_ml.py and routing_ml_care.py."""
    folder, _, file = name.rpartition("/")
    codes = tuple(slug.replace("-", "_") for slug in slugs)
    own = file.startswith(codes) if file.endswith(".py") else file.removesuffix(".yml") in slugs
    return folder == "targets" and own


def job_url(redactor: Redactor) -> str:
    """Where the pipeline shows this job, as GitLab or GitHub say it; "" elsewhere."""
    given = os.environ.get
    url = given("CI_JOB_URL") or ""
    if not url and given("GITHUB_RUN_ID"):
        parts = (given("GITHUB_SERVER_URL"), given("GITHUB_REPOSITORY"), "actions/runs")
        url = "/".join([*(part or "" for part in parts), given("GITHUB_RUN_ID") or ""])
    return redactor.text(url)
