"""What does a Docker Engine say about containers, images and volumes?

The shapes, and the questions that looking and changing both ask. Labels are those that docker
compose puts on what it makes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_pascal

from watchkeeper.errors import CouldNotObserve

if TYPE_CHECKING:
    from watchkeeper.engine import Engine

T = TypeVar("T")

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
NUMBER = "com.docker.compose.container-number"
ONE_OFF = "com.docker.compose.oneoff"
DEPENDS_ON = "com.docker.compose.depends_on"

RUNNING = "running"
_NEVER = "0001-"  # Go's year of an instant that never was
_DEFAULT_PERIOD = 100_000  # microseconds, of a CPU quota that names none
_PER_CPU = 1_000_000_000  # NanoCpus
_LISTED_AGAIN = 2  # how often a list is read that changes while it is read


class Said(BaseModel):
    """A part of an answer: the fields that are used, of exactly these types."""

    model_config = ConfigDict(
        alias_generator=to_pascal, frozen=True, strict=True, extra="ignore", populate_by_name=True
    )


class Health(Said):
    status: str


class State(Said):
    status: str
    exit_code: int
    started_at: str
    health: Health | None = None


class RestartPolicy(Said):
    name: str


class Limits(Said):
    nano_cpus: int
    cpu_quota: int
    cpu_period: int
    memory: int
    memory_swap: int
    restart_policy: RestartPolicy


class Settings(Said):
    image: str
    labels: dict[str, str] | None
    tty: bool


class Container(Said):
    """One container, as `docker inspect` shows it."""

    id: str
    name: str
    image: str
    restart_count: int
    state: State
    config: Settings
    host_config: Limits

    @property
    def called(self) -> str:
        return self.name.removeprefix("/")

    @property
    def labels(self) -> dict[str, str]:
        return self.config.labels or {}

    @property
    def service(self) -> str | None:
        """What compose calls it; None where it was not made by compose."""
        return self.labels.get(SERVICE)

    @property
    def number(self) -> int:
        """Which of its service's containers it is, from 1."""
        said = self.labels.get(NUMBER, "")
        return int(said) if said.isdecimal() else 1

    @property
    def runs(self) -> bool:
        return self.state.status == RUNNING

    @property
    def health(self) -> str | None:
        """None where it has no health check."""
        health = self.state.health
        return health.status if health is not None and health.status != "none" else None

    @property
    def started(self) -> datetime | None:
        """None where it never was."""
        said = self.state.started_at
        return None if said.startswith(_NEVER) else datetime.fromisoformat(said)

    @property
    def cpus(self) -> float | None:
        """How many CPUs it may use; None without a limit."""
        limits = self.host_config
        if limits.nano_cpus:
            return limits.nano_cpus / _PER_CPU
        if limits.cpu_quota > 0:
            return limits.cpu_quota / (limits.cpu_period or _DEFAULT_PERIOD)
        return None

    @property
    def memory(self) -> int | None:
        """How much memory it may use, bytes; None without a limit."""
        return self.host_config.memory or None


class Mount(Said):
    type: str
    name: str = ""


class Listed(Said):
    """One container in a list of them."""

    id: str
    image_id: str = Field(alias="ImageID")
    labels: dict[str, str] | None
    mounts: list[Mount]


class Image(Said):
    """`created`: seconds since 1970."""

    id: str
    parent_id: str
    repo_tags: list[str] | None
    labels: dict[str, str] | None
    created: int
    size: int

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(tag for tag in self.repo_tags or () if tag != "<none>:<none>")


class Volume(Said):
    name: str
    labels: dict[str, str] | None


class _Volumes(Said):
    volumes: list[Volume] | None


def understood(shape: type[T], ask: Callable[[], object], source: str) -> T:
    """What `ask` answers, as `shape`; raises CouldNotObserve "not JSON" or "unexpected"."""
    import requests  # noqa: PLC0415 - heavy, and there by the time anything is asked

    try:
        answer = ask()
    except requests.exceptions.JSONDecodeError:
        raise CouldNotObserve("not JSON", "its answer is no JSON", source=source) from None
    except RecursionError:
        raise CouldNotObserve("not JSON", "its answer is nested too deep", source=source) from None
    try:
        return TypeAdapter(shape).validate_python(answer)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "its answer"
        raise CouldNotObserve(
            "unexpected", f"it says nothing usable for {where}: {first['msg']}", source=source
        ) from None


def containers_of(
    engine: Engine, project: str | None, service: str | None = None
) -> tuple[Container, ...]:
    """The project's containers, running or not, by service and number; of one service, its own.

    Raises CouldNotObserve: "no such project" where the Engine has no container of the project,
    "no such container" where it has none of the service, "changed".
    """
    for _ in range(_LISTED_AGAIN):
        try:
            found = [inspected(engine, each.id) for each in _listed(engine, project)]
        except CouldNotObserve as gone:
            if gone.kind != "no such container":
                raise
            continue  # removed between the list and the look at it
        break
    else:
        raise CouldNotObserve("changed", "containers were removed again and again while it looked")
    meant = [each for each in found if service is None or each.service == service]
    if service is not None and not meant:
        known = ", ".join(sorted({each.service or each.called for each in found}))
        raise CouldNotObserve(
            "no such container", f'no container of a service "{service}"; there are: {known}'
        )
    return tuple(sorted(meant, key=lambda each: (each.service or "", each.number, each.name)))


def _listed(engine: Engine, project: str | None) -> Iterator[Listed]:
    wanted = {"label": [f"{PROJECT}={project}"]} if project is not None else {}
    source = "GET /containers/json"
    listed = understood(list[Listed], lambda: engine.containers(all=True, filters=wanted), source)
    found = False
    for each in listed:
        labels = each.labels or {}
        # The label is looked at once more: what is not the project's is never touched.
        if project is not None and labels.get(PROJECT) != project:
            continue
        found = True
        if labels.get(ONE_OFF) != "True":
            yield each
    if project is not None and not found:
        raise CouldNotObserve(
            "no such project",
            f'the Engine has no container of a project "{project}"',
            source=source,
        )


def inspected(engine: Engine, name: str) -> Container:
    source = f"GET /containers/{name}/json"
    return understood(Container, lambda: engine.inspect_container(name), source)


def only_one(found: tuple[Container, ...], number: int | None) -> Container:
    """The one that is meant; raises CouldNotObserve "several" or "no such container"."""
    meant = [each for each in found if number is None or each.number == number]
    if len(meant) == 1:
        return meant[0]
    names = ", ".join(each.called for each in found)
    if not meant:
        raise CouldNotObserve("no such container", f"there is no number {number}; found: {names}")
    raise CouldNotObserve(
        "several", f"{len(meant)} containers where one is expected; say its number: {names}"
    )


def unused_images(engine: Engine, project: str | None, *, tagged: bool = True) -> tuple[Image, ...]:
    """The images that no container needs, running or not, and that no other project built.

    Without `tagged` only those that have no name any more.
    """
    images = understood(list[Image], lambda: engine.images(all=True), "GET /images/json")
    needed = {each.parent_id for each in images} | {each.image_id for each in _all(engine)}
    unused = [each for each in images if each.id not in needed and (tagged or not each.tags)]
    own = [each for each in unused if (each.labels or {}).get(PROJECT) in (None, project)]
    return tuple(sorted(own, key=lambda each: each.id))


def _all(engine: Engine) -> list[Listed]:
    return understood(list[Listed], lambda: engine.containers(all=True), "GET /containers/json")


def volumes(engine: Engine) -> tuple[Volume, ...]:
    """Every volume, whoever has it."""
    said = understood(_Volumes, engine.volumes, "GET /volumes")
    return tuple(sorted(said.volumes or (), key=lambda each: each.name))


def unused_volumes(engine: Engine) -> tuple[Volume, ...]:
    """The volumes that nobody gave a name and no container has, running or not.

    A volume with a name holds what somebody wanted to keep, also while its project is down: the
    Engine calls it dangling all the same.
    """
    used = {mount.name for each in _all(engine) for mount in each.mounts}
    return tuple(each for each in volumes(engine) if _nameless(each) and each.name not in used)


_RANDOM_NAME = 64  # hexadecimal digits that the Engine gives a volume without a name


def _nameless(volume: Volume) -> bool:
    random = len(volume.name) == _RANDOM_NAME and set(volume.name) <= set("0123456789abcdef")
    return random and PROJECT not in (volume.labels or {})
