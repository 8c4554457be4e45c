"""What a run can be told on the command line."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

import pytest

from watchkeeper.proving.replicas import EMBEDDED, Kind
from watchkeeper.targets import PERMISSIONS, REPLICA, Permission

KEY_VARIABLE = "WATCHKEEPER_ATTEST_KEY"
"""The variable that names the key's file where --attest-key does not."""
LEVELS = ("P0", "P1", "P2", "P3", "P4")
REPORTS = ("html", "results")


@dataclass(frozen=True)
class Options:
    """The command line, typed."""

    target: str
    allow: Permission
    gate: str
    plan: bool
    dials: tuple[str, ...]
    lookahead: bool
    report: str
    reports: Path
    digest: str
    replicas: Kind = EMBEDDED
    drill: bool = False
    require_proof: bool = False
    attest: Path | None = None
    subjects: tuple[str, ...] = ()
    attest_key: Path | None = None

    @classmethod
    def of(cls, config: pytest.Config) -> Options:
        given = config.option
        return cls(
            target=given.wk_target,
            allow=cast(Permission, given.wk_allow or _default_permission(given.wk_target)),
            gate=given.wk_gate,
            plan=given.wk_plan,
            dials=tuple(given.wk_dials),
            lookahead=not given.wk_no_lookahead,
            report=given.wk_report,
            reports=config.rootpath / given.wk_reports,
            digest=given.wk_digest,
            replicas=given.wk_replicas,
            drill=given.wk_drill,
            require_proof=given.wk_require_proof,
            attest=_path(config, given.wk_attest),
            subjects=tuple(given.wk_subjects),
            attest_key=_path(config, given.wk_attest_key or os.environ.get(KEY_VARIABLE)),
        )


def _path(config: pytest.Config, given: str | None) -> Path | None:
    """A file as it was typed: from where pytest was started."""
    return config.invocation_params.dir / given if given else None


def _default_permission(target: str) -> Permission:
    """On a replica nothing can be harmed; everywhere else a run looks, unless it is told more."""
    return "destroys" if target == REPLICA else "looking"


def add_options(parser: pytest.Parser) -> None:
    group = parser.getgroup("watchkeeper", "Watchkeeper: runbooks as checks")
    group.addoption(
        "--target",
        dest="wk_target",
        default=REPLICA,
        metavar="NAME",
        help="the environment to look at, as targets/<system>.yml names it (default: replica)",
    )
    group.addoption(
        "--replicas",
        dest="wk_replicas",
        choices=get_args(Kind),
        default=EMBEDDED,
        help="what the replicas are made of: programs of this machine (default), or containers on "
        "a Docker Engine, with the real proxy, database and Prometheus",
    )
    group.addoption(
        "--allow",
        dest="wk_allow",
        choices=PERMISSIONS,
        default=None,
        help="what the run may do; on the replica everything, elsewhere it only looks by default",
    )
    group.addoption(
        "--digest",
        dest="wk_digest",
        default="",
        metavar="DIGEST",
        help="what --plan printed; a run that destroys outside replicas needs it",
    )
    group.addoption(
        "--gate",
        dest="wk_gate",
        choices=LEVELS,
        default="P4",
        help="the lowest level that counts for the exit code (default: P4, all)",
    )
    group.addoption(
        "--plan",
        dest="wk_plan",
        action="store_true",
        help="print what would be looked at and done, figure by figure, and touch nothing",
    )
    group.addoption(
        "--dial",
        dest="wk_dials",
        action="append",
        default=[],
        metavar="NAME",
        help='turn a dial of the replica for this run: --dial "radarr down" (may be repeated)',
    )
    group.addoption(
        "--drill",
        dest="wk_drill",
        action="store_true",
        help="turn each dial of the replica in turn and see that the right checks go red; "
        "with --dial only those",
    )
    group.addoption(
        "--require-proof",
        dest="wk_require_proof",
        action="store_true",
        help="a check that no drill has seen red makes the run incomplete",
    )
    group.addoption(
        "--attest",
        dest="wk_attest",
        default=None,
        metavar="FILE",
        help="write an in-toto test-result statement about --subject: what the gate decided",
    )
    group.addoption(
        "--subject",
        dest="wk_subjects",
        action="append",
        default=[],
        metavar="NAME=ALGORITHM:DIGEST",
        help="the deployed version: routing-ml=sha256:… or =gitCommit:… (may be repeated)",
    )
    group.addoption(
        "--attest-key",
        dest="wk_attest_key",
        default=None,
        metavar="FILE",
        help="sign the statement with this private key (PEM), in a DSSE envelope; "
        f"default: the file that {KEY_VARIABLE} names, else it is not signed",
    )
    group.addoption(
        "--no-lookahead",
        dest="wk_no_lookahead",
        action="store_true",
        help="look only when a sentence is judged, in plain order",
    )
    group.addoption(
        "--report",
        dest="wk_report",
        choices=REPORTS,
        default="html",
        help="html: the report as a page; results: only run.json, the ledger and Allure's results",
    )
    group.addoption(
        "--reports",
        dest="wk_reports",
        default="reports",
        metavar="FOLDER",
        help="where runs leave their reports (default: reports)",
    )
