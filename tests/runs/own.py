"""How does a test give a project a system of its own, without a replica, for the real one?"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.runs.runs import ROOT, Project
from tests.servers import Answering, served

TAG = "shop"


def furnished(project: Project, target: str, feature: str) -> Project:
    """The project with one system, one feature and the tag `TAG`; its steps are the real ones."""
    for name in ("features", "targets"):
        shutil.rmtree(project.root / name)
        (project.root / name).mkdir()
    project.write(f"targets/{TAG}.yml", target)
    project.write(f"features/{TAG}/all.feature", feature)
    real = (ROOT / "pyproject.toml").read_text("utf-8")
    known = '  "media-management: the media manager",\n'
    assert known in real
    project.write("pyproject.toml", real.replace(known, f'  "{TAG}: the shop",\n'))
    shutil.rmtree(project.root / "__pycache__", ignore_errors=True)
    return project


class Asked(Answering):
    """One request; what a test answers it with calls `say`."""

    def say(self, status: int, body: str, **headers: str) -> None:
        """Answer; of a header's name, `_` stands for the dash."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.send(status, body.encode(), named)


@contextmanager
def serving(answer: Callable[[Asked, str], None]) -> Iterator[str]:
    """A web server on loopback; `answer` gets each request and its body. Gives its address."""

    class Answers(Asked):
        def answer(self) -> None:
            answer(self, self.heard().decode())

        do_GET = do_HEAD = do_POST = answer

    with served(Answers) as url:
        yield url
