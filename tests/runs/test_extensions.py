"""A package of somebody's own brings a probe or an operator, and is named where it is broken."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runs.own import furnished
from tests.runs.runs import FAST, ROOT, Project
from tests.servers import raw_server

TARGET = """\
system: shop
called: the shop
services: {}
figures:
  greeting: {banner: "${env:SHOP_MAIL}"}
operations:
  leaves a note: {effect: changes, note: "${env:SHOP_NOTE}"}
environments:
  replica: {}
  live: {allows: changes}
"""
FEATURE = """\
@shop @daily
Feature: The mail server

  @SHOP-A-1 @P2
  Scenario: It greets
    Given the shop
    Then its greeting is "220 shop"

  @SHOP-A-2 @P2 @changes
  Scenario: A note is left
    Given the shop
    When the operator leaves a note
    Then its greeting is "220 shop"
"""
OPERATOR = """
import time
from pathlib import Path
from watchkeeper.changing.operator import Done
from watchkeeper.services import Model

class Order(Model):
    note: str

class Note:
    def services(self, order):
        return ()

    async def operate(self, order, reach):
        at, began = reach.clock.now(), time.monotonic()
        Path(order.note).write_text("seen")
        return Done("seen", "", f"note {order.note}", at, time.monotonic() - began, "written", "")

OPERATOR = Note()
"""
GROUPS = {"watchkeeper.probes": "banner = acme_banner", "watchkeeper.operators": "note = acme_note"}


def example() -> str:
    """The probe that docs/adding.md shows."""
    page = (ROOT / "docs" / "adding.md").read_text("utf-8").partition("### In a package")[2]
    found = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert found is not None
    return found[1]


def installed(
    site: Path, name: str = "acme-watch", groups: dict[str, str] = GROUPS, **modules: str
) -> None:
    """A distribution in `site`, as pip leaves one there: its modules, metadata, entry points."""
    site.mkdir(exist_ok=True)
    for module, text in modules.items():
        (site / f"{module}.py").write_text(text)
    folder = site / f"{name.replace('-', '_')}-1.2.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    lines = "".join(f"[{group}]\n{entry}\n" for group, entry in groups.items())
    (folder / "entry_points.txt").write_text(lines)


@pytest.fixture
def shop(project: Project, tmp_path: Path) -> Iterator[tuple[Project, Path, dict[str, str]]]:
    """A project whose target file uses two words that are not ours, and where packages go."""
    site = tmp_path / "site"
    with raw_server(lambda connection: connection.sendall(b"220 shop\r\n")) as url:
        furnished(project, TARGET, FEATURE)
        yield project, site, {
            "PYTHONPATH": str(site), "SHOP_MAIL": url.removeprefix("http://"),
            "SHOP_NOTE": str(tmp_path / "note"),
        }  # fmt: skip


RUN = ("--target", "live", "--allow", "changes", *FAST)


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_a_package_brings_a_probe_and_an_operator(
    shop: tuple[Project, Path, dict[str, str]], workers: tuple[str, ...]
) -> None:
    """The example of the documentation, installed and not part of this project, looks; what can't
    be looked at is unknown, and what it sees is judged as by any probe."""
    project, site, env = shop
    installed(site, acme_banner=example(), acme_note=OPERATOR)
    asked = ("--target", "live", *FAST, *workers) if workers else RUN
    ended = project.pytest(*asked, env=env)
    verdicts = project.last.verdicts
    assert verdicts["SHOP-A-1"] == "passed", ended.text
    if not workers:
        assert ended.status == 0, ended.text
        assert Path(env["SHOP_NOTE"]).read_text() == "seen"
    away = {**env, "SHOP_MAIL": "127.0.0.1:9"}
    project.pytest(*asked, "-k", "greets", env=away)
    assert project.last.verdicts["SHOP-A-1"] == "unknown"


def test_pip_installs_it(shop: tuple[Project, Path, dict[str, str]], tmp_path: Path) -> None:
    """A wheel built from the documentation's pyproject.toml is found as well."""
    project, site, env = shop
    source = tmp_path / "source"
    source.mkdir()
    page = (ROOT / "docs" / "adding.md").read_text("utf-8").partition("### In a package")[2]
    toml = re.search(r"```toml\n(.*?)```", page, re.DOTALL)
    assert toml is not None
    build = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    wheel = '[tool.hatch.build.targets.wheel]\nonly-include = ["acme_banner.py"]\n'
    (source / "pyproject.toml").write_text(f"{build}\n{toml[1]}\n{wheel}")
    (source / "acme_banner.py").write_text(example())
    code = "from hatchling.build import build_wheel; print(build_wheel('.'))"
    built = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True,
                           text=True, check=True)  # fmt: skip
    subprocess.run(
        [sys.executable, "-m", "zipfile", "-e", built.stdout.split()[-1], str(site)],
        cwd=source, check=True,
    )  # fmt: skip
    (site / "acme_note.py").write_text(OPERATOR)
    installed(site, "acme-notes", {"watchkeeper.operators": "note = acme_note"})
    ended = project.pytest(*RUN, env=env)
    assert ended.status == 0, ended.text


def test_what_packages_bring_is_listed_and_completed(
    shop: tuple[Project, Path, dict[str, str]],
) -> None:
    """`doctor` names word and package, `schema` has the keys; without a package it says so."""
    project, site, env = shop
    installed(site, acme_banner=example(), acme_note=OPERATOR)
    told = project.watchkeeper("doctor", "--target", "live", env=env).out
    assert '✓ probe "banner": from the package acme-watch 1.2' in told
    assert '✓ operator "note": from the package acme-watch 1.2' in told
    schema = json.loads(project.watchkeeper("schema", env=env).out)
    figures = schema["properties"]["figures"]["additionalProperties"]["anyOf"]
    assert [each for each in figures if "banner" in each["required"]]
    told = project.watchkeeper("doctor", env={**env, "PYTHONPATH": ""}).out
    assert "extensions: no package brings a probe or an operator" in told
    ended = project.pytest(*RUN, env={**env, "PYTHONPATH": ""})
    assert ended.status == 4, ended.text
    assert '"greeting" says no way it is looked at' in ended.text


PROBES = "watchkeeper.probes"


@pytest.mark.parametrize(
    ("entry", "module", "said"),
    [
        ("banner = acme_broken", "raise RuntimeError('no licence\\nmore')",
         'the probe "banner" of the package acme-broken 1.2 can\'t be imported (acme_broken): '
         "RuntimeError: no licence"),
        ("banner = acme_broken", "import sys; sys.exit(0)", "acme-broken 1.2 can't be imported"),
        ("banner = acme_gone", "", "ModuleNotFoundError: No module named 'acme_gone'"),
        ("banner = acme_broken", "", "acme_broken has no class Question"),
        ("banner = acme_broken", "from watchkeeper.services import Model\n"
         "class Question(Model): pass\nPROBE = Question()",
         "acme_broken has no PROBE with drivers, services, look"),
        ("banner = acme_broken", example().replace("async def look", "def look")
         .replace("async with", "with").replace("await ", ""),
         "PROBE.look of acme_broken is no `async def`"),
        ("http = acme_broken", example(),
         'two packages have a probe "http": watchkeeper and acme-broken 1.2'),
        ("pick = acme_broken", example(),
         'the probe "pick" of the package acme-broken 1.2 is called as a key'),
    ],
)  # fmt: skip
def test_a_broken_package_is_named_without_a_traceback(
    shop: tuple[Project, Path, dict[str, str]], entry: str, module: str, said: str
) -> None:
    """Exit 4 from a run, and doctor tells the same with what to do."""
    project, site, env = shop
    installed(site, "acme-broken", {PROBES: entry}, acme_broken=module)
    ended = project.pytest(*RUN, env=env)
    assert ended.status == 4, ended.text
    assert said in ended.text
    assert "uninstall" in ended.text
    assert "Traceback" not in ended.text and "INTERNALERROR" not in ended.text
    told = project.watchkeeper("doctor", "--target", "live", env=env)
    assert (told.status, said in told.out) == (1, True), told.text


def test_two_packages_with_one_word_are_both_named(
    shop: tuple[Project, Path, dict[str, str]],
) -> None:
    """Nobody could say which of them looked."""
    project, site, env = shop
    installed(site, acme_banner=example(), acme_note=OPERATOR)
    installed(site, "other-watch", {PROBES: "banner = other"}, other=example())
    ended = project.pytest(*RUN, env=env)
    assert ended.status == 4, ended.text
    both = 'two packages have a probe "banner": acme-watch 1.2 and other-watch 1.2'
    assert both in ended.text


def test_what_no_target_file_uses_is_not_imported(
    shop: tuple[Project, Path, dict[str, str]],
) -> None:
    """A broken package that nobody asks breaks nothing, and costs nothing."""
    project, site, env = shop
    installed(site, acme_banner=example(), acme_note=OPERATOR)
    installed(site, "acme-broken", {PROBES: "idle = acme_broken"}, acme_broken="raise SystemExit")
    ended = project.pytest(*RUN, env=env)
    assert ended.status == 0, ended.text
