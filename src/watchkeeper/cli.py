"""The command `watchkeeper`: look, dials, doctor, audit, vocabulary, schema."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from watchkeeper.errors import WatchkeeperError
from watchkeeper.targets import REPLICA

EXIT_USAGE = 4
"""As pytest's own: a file, an option or the environment is wrong."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status. A user's mistake is told without a traceback."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if not hasattr(given, "run"):
        parser.print_help()
        return EXIT_USAGE
    try:
        status = int(given.run(given))
        sys.stdout.flush()
    except WatchkeeperError as error:
        print(f"watchkeeper: {error}", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `watchkeeper look … | head` is no fault
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="watchkeeper",
        description="Operations runbooks as test suites. Checks are run by pytest: pytest -m daily",
    )
    parser.add_argument(
        "--project", type=Path, default=Path(), help="the project's folder (default: this one)"
    )
    commands = parser.add_subparsers(metavar="COMMAND")

    look = commands.add_parser("look", help="every figure's value now, as a table")
    look.add_argument("system", help="as its target file is called: media-management")
    look.add_argument("--target", default=REPLICA, help="the environment (default: replica)")
    look.add_argument("--over", default="24 hours", help="the window of figures that need one")
    look.add_argument("--json", action="store_true", help="as JSON")
    look.set_defaults(run=_look)

    dials = commands.add_parser("dials", help="what a replica can be told to do wrong")
    dials.add_argument("system", nargs="?", help="all where it is left out")
    dials.set_defaults(run=_dials)

    doctor = commands.add_parser("doctor", help="what is missing or contradictory here")
    doctor.add_argument("system", nargs="?", help="all where it is left out")
    doctor.add_argument("--target", default=REPLICA, help="the environment (default: replica)")
    doctor.set_defaults(run=_doctor)

    audit = commands.add_parser("audit", help="the ledgers of runs")
    inner = audit.add_subparsers(metavar="COMMAND", required=True)
    verify = inner.add_parser("verify", help="find edited, removed and reordered records")
    verify.add_argument("runs", nargs="*", type=Path, help="folders of runs (default: all)")
    verify.add_argument("--reports", type=Path, default=Path("reports"))
    verify.set_defaults(run=_verify)

    vocabulary = commands.add_parser("vocabulary", help="every sentence and limit, as Markdown")
    vocabulary.set_defaults(run=_vocabulary)

    schema = commands.add_parser("schema", help="the JSON Schema of target files, for editors")
    schema.set_defaults(run=_schema)
    return parser


def _look(given: argparse.Namespace) -> int:
    from watchkeeper.commands import look  # noqa: PLC0415 - each command imports what it needs

    return look.run(given.project.resolve(), given.system, given.target, given.over, given.json)


def _dials(given: argparse.Namespace) -> int:
    from watchkeeper.commands import dials  # noqa: PLC0415 - as above

    return dials.run(given.project.resolve(), given.system)


def _doctor(given: argparse.Namespace) -> int:
    from watchkeeper.commands import doctor  # noqa: PLC0415 - as above

    return doctor.run(given.project.resolve(), given.system, given.target)


def _verify(given: argparse.Namespace) -> int:
    from watchkeeper.commands import audit  # noqa: PLC0415 - as above

    return audit.run(given.project.resolve() / given.reports, given.runs)


def _vocabulary(given: argparse.Namespace) -> int:
    from watchkeeper.commands import vocabulary  # noqa: PLC0415 - as above

    print(vocabulary.page(given.project.resolve()), end="")
    return 0


def _schema(_: argparse.Namespace) -> int:
    from watchkeeper.commands import schema  # noqa: PLC0415 - as above

    print(schema.text())
    return 0
