"""A small replica of the platform's edge alone, with a back end that only the tests know.

Run as `python tests/replicas/edge_replica.py --folder DIR`; it is started and spoken to as every
replica is.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PLATFORM = ROOT / "fixtures" / "replicas" / "routing-ml"
sys.path[:0] = [str(ROOT), str(PLATFORM), str(PLATFORM / "programs"), str(HERE)]

import edge  # noqa: E402  it is found through the line above
from dials_edge import DIALS_EDGE  # noqa: E402
from starting import write_config  # noqa: E402

from fixtures.replicas.kit import lifetime  # noqa: E402
from fixtures.replicas.kit.dials import Dials  # noqa: E402
from fixtures.replicas.kit.faults import Switchboard  # noqa: E402
from fixtures.replicas.kit.programs import Ports, Program, Programs  # noqa: E402
from fixtures.replicas.kit.replica import main  # noqa: E402

BACKEND = "backend"


class EdgeReplica:
    """The edge's programs and a small back end."""

    name = "edge"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / lifetime.STATE
        self.switchboard = Switchboard(self.state)
        self._ports = Ports()
        backend = folder / BACKEND
        self.edge = edge.Edge(folder, self._ports, instances=2)
        self.programs = Programs(
            self.state,
            [
                *self.edge.programs,
                Program(
                    BACKEND,
                    (sys.executable, str(HERE / "edge_backend.py"), "--home", str(backend)),
                    backend,
                    self._ports.reserve(),
                    backend / f"{BACKEND}.pid",
                ),
            ],
        )
        self.dials: Dials[EdgeReplica] = Dials(self, DIALS_EDGE)

    def start(self) -> None:
        backend = self.programs.all[BACKEND]
        write_config(backend.folder, port=backend.port)
        self._lay_out()
        self.programs.start(*self.programs.all)

    def _lay_out(self) -> None:
        url = self.programs.all[BACKEND].url
        self.edge.lay_out(self.switchboard.faults.now(), edge.Behind(url, url, "admin", "secret"))

    def end(self) -> None:
        self.dials.forget()
        self.programs.stop_all()
        self._ports.release()

    def reset(self) -> None:
        self.dials.forget()
        self.switchboard.clear()
        self._lay_out()
        self.programs.all_up()

    def clock_offset_s(self) -> float:
        return self.switchboard.faults.clock_offset_s

    def move_clock(self, offset_s: float) -> None:
        self.switchboard.move_clock(offset_s)

    def env(self) -> Mapping[str, str]:
        return {**self.edge.env(), "RML_URL": self.programs.all[BACKEND].url}


if __name__ == "__main__":
    sys.exit(main(EdgeReplica))
