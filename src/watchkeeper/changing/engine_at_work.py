"""How is a project changed through its Docker Engine, and what is known when no answer comes?"""

from __future__ import annotations

import graphlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal, TypeVar

from watchkeeper.child import OUTPUT_MAX
from watchkeeper.containers import (
    DEPENDS_ON,
    NUMBER,
    Container,
    containers_of,
    inspected,
    only_one,
    unused_images,
    unused_volumes,
)
from watchkeeper.engine import Engine, Refused
from watchkeeper.errors import CouldNotObserve, OperationFailed, OperationRefused, OperationUnknown
from watchkeeper.looking.container_logs import frames
from watchkeeper.services import Docker
from watchkeeper.web_calls import NoReply

T = TypeVar("T")
Removable = Literal["dangling images", "unused images", "unused volumes"]

STOP_S = 10
"""Seconds a container has to end by itself before the Engine kills it; compose's own default."""

FOLLOWS_S = 30.0
"""How long a container that was started is followed until its health check has spoken; half of the
order's deadline where that is less."""

_NOTED_S = 2.0  # seconds between the end of a program's output and its exit code
_POLL_S = 0.02
_HEALTH_POLL_S = 0.1
_NOT_MEANT = ("no such container", "no such project", "several")
_SERVER_ERROR = 500
_PER_CPU = 1_000_000_000  # NanoCpus
_SWAP = 2  # times the memory: what the Engine itself gives with a limit and no word on swap
_REPLACES = "com.docker.compose.replace"
_ONLY_ITS_OWN = ("host", "none", "default")  # networks that take no settings from us


@contextmanager
def at_work(service: Docker, project: str, deadline_s: float) -> Iterator[AtWork]:
    """A conversation that may change `project`.

    A look that has no answer becomes OperationRefused or OperationFailed while nothing was sent,
    and OperationUnknown afterwards.
    """
    work: AtWork | None = None
    try:
        with Engine(service, deadline_s, changes=True) as engine:
            work = AtWork(engine, project, min(FOLLOWS_S, deadline_s / 2))
            yield work
    except CouldNotObserve as error:
        if work is not None and work.touched:
            so_far = ", ".join(work.touched)
            raise OperationUnknown(f"{error.source}: {error.reason}; done: {so_far}") from None
        refused = error.kind in _NOT_MEANT
        kind = OperationRefused if refused else OperationFailed
        raise kind(f"{error.source or project}: {error.reason}; nothing was changed") from None


class AtWork:
    """`touched`: what was done so far. `notes`: what people should know."""

    def __init__(self, engine: Engine, project: str, follows_s: float) -> None:
        self._engine = engine
        self._project = project
        self._follows_s = follows_s
        self.touched: list[str] = []
        self.notes: list[str] = []

    # The whole of a service, or of the project

    def restart(self, service: str | None) -> list[str]:
        """The containers that were restarted, in the order of what they depend on."""
        meant = in_order(containers_of(self._engine, self._project, service))
        for each in meant:
            self._change(
                f"restart {each.called}", partial(self._engine.restart, each.id, timeout=STOP_S)
            )
            self._require(each, runs=True)
        self._follow(meant)
        return [each.called for each in meant]

    def start(self, service: str | None) -> list[str]:
        """The containers that run now."""
        meant = in_order(containers_of(self._engine, self._project, service))
        for each in meant:
            self._started(each)
        self._follow(meant)
        return [each.called for each in meant]

    def _follow(self, started: Iterable[Container]) -> None:
        """Until their health checks say how they are; whether that is well is for who looks.

        The Engine calls a container started when its process runs, long before it answers.
        """
        until = time.monotonic() + self._follows_s
        for each in started:
            while (now := inspected(self._engine, each.id)).runs and now.health == "starting":
                if time.monotonic() > until:
                    self.notes.append(f"{now.called} is still starting")
                    break
                time.sleep(_HEALTH_POLL_S)

    def stop(self, service: str | None) -> list[str]:
        """The containers that do not run any more, those that others depend on last."""
        meant = in_order(containers_of(self._engine, self._project, service))[::-1]
        for each in meant:
            self._stopped(each)
        return [each.called for each in meant]

    def _started(self, container: Container) -> None:
        if container.runs:
            self.notes.append(f"{container.called} was running already")
            return
        self._change(f"start {container.called}", lambda: self._engine.start(container.id))
        self._require(container, runs=True)

    def _stopped(self, container: Container) -> None:
        if not container.runs and container.state.status != "restarting":
            self.notes.append(f"{container.called} was {container.state.status} already")
            return
        self._change(
            f"stop {container.called}", lambda: self._engine.stop(container.id, timeout=STOP_S)
        )
        self._require(container, runs=False)

    def _require(self, container: Container, *, runs: bool) -> None:
        now = inspected(self._engine, container.id)
        if now.runs == runs:
            return
        code = f" (exit code {now.state.exit_code})" if not now.runs else ""
        done = ", ".join(self.touched)
        raise OperationFailed(f"{now.called} is {now.state.status}{code}; done: {done}")

    # Scale

    def scale(self, service: str, wanted: int) -> tuple[list[str], list[str]]:
        """The containers that were made, and those that were removed: the highest numbers."""
        found = sorted(
            containers_of(self._engine, self._project, service), key=lambda each: each.number
        )
        for each in found[:wanted]:
            if not each.runs:
                self._started(each)
        removed = [self._taken_away(each) for each in reversed(found[wanted:])]
        first = found[-1].number + 1
        missing = range(first, first + max(0, wanted - len(found)))
        created = [self._another(found[-1], number) for number in missing]
        return created, removed

    def _taken_away(self, container: Container) -> str:
        if container.runs or container.state.status == "restarting":
            self._stopped(container)
        self._change(
            f"remove {container.called}", lambda: self._engine.remove_container(container.id)
        )
        return container.called

    def _another(self, like: Container, number: int) -> str:
        """One more container of its service, made and started as compose would."""
        name = _name_of_another(like, number)
        said = self._engine.inspect_container(like.id)
        config, further = _config_of_another(said, number)
        made = self._change(
            f"create {name}", lambda: self._engine.create_container_from_config(config, name)
        )
        identity = str(made["Id"])
        for network, settings in further.items():
            self._change(
                f"connect {name} to {network}",
                partial(self._engine.connect_container_to_network, identity, network, **settings),
            )
        self._change(f"start {name}", lambda: self._engine.start(identity))
        self._require(inspected(self._engine, identity), runs=True)
        return name

    # Limits

    def limit(self, service: str, cpus: float | None, memory: int | None) -> list[str]:
        """The containers that were told; `memory` in bytes."""
        meant = containers_of(self._engine, self._project, service)
        for each in meant:
            wanted: dict[str, int] = {}
            if cpus is not None:
                wanted["NanoCpus"] = round(cpus * _PER_CPU)
            if memory is not None:
                unlimited = each.host_config.memory_swap == -1
                wanted |= {"Memory": memory, "MemorySwap": -1 if unlimited else _SWAP * memory}
            path = f"/containers/{each.id}/update"
            answer = self._change(f"limit {each.called}", partial(self._told, path, wanted))
            self.notes += (answer or {}).get("Warnings") or ()
        return [each.called for each in meant]

    def _told(self, path: str, body: object) -> Any:
        return self._engine.tell(path, body).json()

    # A program inside

    def run(self, service: str, number: int | None, command: Sequence[str]) -> tuple[int, str, str]:
        """Its exit code, output and errors."""
        found = containers_of(self._engine, self._project, service)
        container = only_one(found, number)
        if not container.runs:
            raise OperationRefused(
                f"{container.called} is {container.state.status}; nothing was run"
            )
        made = self._engine.exec_create(container.id, list(command))
        out, err = self._change(
            f"{command[0]} in {container.called}", lambda: self._said(made["Id"])
        )
        code = self._exit_code(made["Id"])
        if code is None:
            raise OperationUnknown(f"{command[0]} in {container.called} has not ended")
        return code, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")

    def _said(self, identity: str) -> tuple[bytes, bytes]:
        body = {"Detach": False, "Tty": False}
        response = self._engine.tell(f"/exec/{identity}/start", body, stream=True)
        said = {1: bytearray(), 2: bytearray()}
        for stream, _, part in frames(self._engine.pieces(response, OUTPUT_MAX)):
            said.setdefault(stream, bytearray()).extend(part)
        return bytes(said[1]), bytes(said[2])

    def _exit_code(self, identity: str) -> int | None:
        """The Engine may close a program's output a moment before it notes its end."""
        until = time.monotonic() + _NOTED_S
        while True:
            said = self._engine.exec_inspect(identity)
            code = said.get("ExitCode")
            if not said.get("Running") and isinstance(code, int):
                return code
            if time.monotonic() > until:
                return None
            time.sleep(_POLL_S)

    # What nobody needs

    def removable(self, what: Removable | None) -> tuple[str, ...]:
        """What could be removed now: the ids of images, the names of volumes."""
        if what == "unused volumes":
            return tuple(each.name for each in unused_volumes(self._engine))
        tagged = what == "unused images"
        images = unused_images(self._engine, self._project, tagged=tagged)
        return tuple(each.id for each in images)

    def remove(self, what: Removable, exactly: Sequence[str]) -> list[str]:
        """Those of the list that were removed: all of it, or the failure says how far it came."""
        in_use = sorted(set(exactly) - set(self.removable(what)))
        if in_use:
            raise OperationRefused(
                f"{', '.join(in_use)}: in use by now, or gone; nothing was removed"
            )
        gone = self._remove_volume if what == "unused volumes" else self._remove_image
        for each in exactly:
            gone(each)
        return list(exactly)

    def _remove_volume(self, name: str) -> None:
        self._change(f"remove volume {name}", lambda: self._engine.remove_volume(name))

    def _remove_image(self, identity: str) -> None:
        images = {each.id: each for each in unused_images(self._engine, self._project)}
        if identity not in images:
            raise OperationFailed(f"{identity} is in use by now, or gone{self._so_far()}")
        for name in images[identity].tags or (identity,):
            # Without noprune the Engine would take its parents too, which are on nobody's list.
            self._change(
                f"remove image {name}",
                partial(self._engine.remove_image, name, noprune=True),
            )

    # One change

    def _change(self, what: str, tell: Callable[[], T]) -> T:
        """What the Engine answers to one change, which is told once."""
        try:
            answer = tell()
        except NoReply as silence:
            said = f"{what}: {silence.reason}"
            if silence.sent:
                raise OperationUnknown(f"{said}; it may still happen{self._so_far()}") from None
            raise OperationFailed(f"{said}; nothing was sent{self._so_far()}") from None
        except Refused as no:
            if no.status >= _SERVER_ERROR:
                raise OperationUnknown(
                    f"{what}: {no.reason}; it may have begun{self._so_far()}"
                ) from None
            raise OperationFailed(f"{what}: {no.reason}{self._so_far()}") from None
        except (CouldNotObserve, ValueError, KeyError, TypeError) as error:
            raise OperationUnknown(f"{what}: no usable answer ({error}){self._so_far()}") from None
        self.touched.append(what)
        return answer

    def _so_far(self) -> str:
        return f"; done before: {', '.join(self.touched)}" if self.touched else ""


def in_order(containers: Iterable[Container]) -> list[Container]:
    """Those that others depend on first, as compose starts them; by name where none depends."""
    named = sorted(containers, key=lambda each: (each.service or "", each.number))
    needs: dict[str, set[str]] = {each.service or "": set() for each in named}
    for each in named:
        said = each.labels.get(DEPENDS_ON, "")
        wanted = {part.partition(":")[0] for part in said.split(",")} & set(needs)
        needs[each.service or ""] |= wanted - {each.service}
    try:
        order = list(graphlib.TopologicalSorter(needs).static_order())
    except graphlib.CycleError:
        order = sorted(needs)
    return sorted(named, key=lambda each: (order.index(each.service or ""), each.number))


def _name_of_another(like: Container, number: int) -> str:
    ending = str(like.number)
    if not like.called.endswith(("-" + ending, "_" + ending)):
        raise OperationRefused(
            f"{like.called} has a name of its own, without its number, so there can be no second "
            "one; nothing was changed"
        )
    return like.called.removesuffix(ending) + str(number)


def _config_of_another(said: dict[str, Any], number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """What to create, and the further networks to join with their settings.

    An Engine before 25 takes only one network with the creation.
    """
    identity = said["Id"]
    config = {key: value for key, value in said["Config"].items() if key != "Hostname"}
    if said["Config"].get("Hostname") not in ("", identity[:12]):
        config["Hostname"] = said["Config"]["Hostname"]
    labels = {key: value for key, value in config["Labels"].items() if key != _REPLACES}
    config["Labels"] = labels | {NUMBER: str(number)}
    config["HostConfig"] = said["HostConfig"]
    mode = said["HostConfig"].get("NetworkMode", "default")
    if mode in _ONLY_ITS_OWN or mode.startswith("container:"):
        return config, {}
    joined = said["NetworkSettings"]["Networks"]
    aliases = {
        network: [each for each in settings.get("Aliases") or () if not identity.startswith(each)]
        for network, settings in joined.items()
    }
    config["NetworkingConfig"] = {"EndpointsConfig": {mode: {"Aliases": aliases.pop(mode, [])}}}
    return config, {network: {"aliases": names} for network, names in aliases.items()}
