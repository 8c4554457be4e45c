"""A small replica of the Docker Engine alone: each container is a program that only says hello.

Run as `python tests/replicas/engine_replica.py --folder DIR`; it is started and spoken to as every
replica is. With `--program NAME` it is one of its own programs.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PLATFORM = ROOT / "fixtures" / "replicas" / "routing-ml"
sys.path[:0] = [str(ROOT), str(PLATFORM), str(PLATFORM / "programs")]

from dials_docker import dials_of  # noqa: E402  it is found through the line above
from engine import faults, table  # noqa: E402
from engine.processes import Processes  # noqa: E402
from starting import CONTAINERS, Service, settings, write_config  # noqa: E402

from fixtures.replicas.kit import lifetime  # noqa: E402
from fixtures.replicas.kit.answers import Answer  # noqa: E402
from fixtures.replicas.kit.dials import Dials  # noqa: E402
from fixtures.replicas.kit.faults import Switchboard  # noqa: E402
from fixtures.replicas.kit.http_program import Request  # noqa: E402
from fixtures.replicas.kit.programs import Ports, Program, Programs  # noqa: E402
from fixtures.replicas.kit.replica import main  # noqa: E402

PROJECT = "routing-ml"
SERVICES = (
    "nginx", "backend", "frontend-home", "frontend-training", "prometheus", "grafana", "database",
)  # fmt: skip
UI = "frontend-training"
SPARE = tuple(f"{UI}-{number}" for number in range(2, 6))
NAMES = {"backend": "routing-ml-backend", "database": "database"}
NEEDS = {"nginx": ("backend", UI), "backend": ("database",)}
GIB = 2**30


class Hello(Service):
    """Healthy, and says so."""

    def __init__(self, home: Path) -> None:
        super().__init__(settings(home)["name"], home)

    def answer(self, request: Request) -> Answer:
        return Answer.of({"status": "healthy", "name": self.name, "uptime_s": 12.5})


class EngineReplica:
    """The seven services of the routing platform, as far as the Engine sees them."""

    name = "engine"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / lifetime.STATE
        self.logs = folder / PROJECT / "containers"
        self.switchboard = Switchboard(self.state)
        self._ports = Ports()
        self._services = {name: self._program(name) for name in (*SERVICES, *SPARE)}
        self._engine = self._program(faults.NAME)
        started = [self._services[name] for name in SERVICES]
        self.programs = Programs(self.state, [*started, self._engine])
        self.dials: Dials[EngineReplica] = Dials(self, dials_of(SERVICES))

    def _program(self, name: str) -> Program:
        home = self.folder / name
        script = [HERE / "engine_replica.py", "--program"]
        if name == faults.NAME:
            script = [PLATFORM / "programs" / "docker_engine.py", "--home"]
        command = (sys.executable, "-S", "-E", *map(str, script), str(home))
        return Program(name, command, home, self._ports.reserve(), home / f"{name}.pid")

    def start(self) -> None:
        for name, program in self._services.items():
            logs = self.logs / (UI if name in SPARE else name)
            write_config(program.folder, port=program.port, name=name, **{CONTAINERS: str(logs)})
        write_config(self._engine.folder, port=self._engine.port)
        self._lay_out()
        self.programs.start(*self.programs.all)

    def _lay_out(self) -> None:
        table.lay_out(
            self._engine.folder,
            PROJECT,
            self.logs,
            [self._runs(name) for name in SERVICES],
            self.now(),
            spare=[self._runs(name) for name in SPARE],
        )

    def _runs(self, name: str) -> table.Runs:
        service = UI if name in SPARE else name
        program = self._services[name]
        return table.Runs(
            service,
            program,
            f"{PROJECT}/{service}:1.1.0",
            health=f"tcp://127.0.0.1:{program.port}" if name == "database" else program.url,
            path=(str(Path(sys.executable).parent),),
            depends_on=NEEDS.get(name, ()),
            volumes=("database-data",) if name == "database" else (),
            cpus=2.0 if name == "backend" else 0.0,
            memory=4 * GIB if name == "backend" else 0,
            name=NAMES.get(name, ""),
        )

    def now(self) -> datetime:
        return self.switchboard.faults.now()

    def end(self) -> None:
        self.dials.forget()
        self.programs.stop_all()
        self._ports.release()

    def reset(self) -> None:
        self.dials.forget()
        self.switchboard.clear()
        for name in SPARE:
            Processes(self.state).end(name, 0.5)
        for log in self.logs.glob("*/*-json.log"):
            log.unlink()
        self._lay_out()
        self.programs.all_up()

    def clock_offset_s(self) -> float:
        return self.switchboard.faults.clock_offset_s

    def move_clock(self, offset_s: float) -> None:
        self.switchboard.move_clock(offset_s)

    def env(self) -> Mapping[str, str]:
        told = {
            "RML_DOCKER": self._engine.url.replace("http://", "tcp://"),
            "RML_PROJECT": PROJECT,
            "RML_CONTAINERS": str(self.logs),
        }
        for name, program in self._services.items():
            told[f"{name.upper().replace('-', '_')}_PIDFILE"] = str(program.pid_file)
        return told


if __name__ == "__main__":
    if sys.argv[1:2] == ["--program"]:
        Hello(Path(sys.argv[2])).run()
    sys.exit(main(EngineReplica))
