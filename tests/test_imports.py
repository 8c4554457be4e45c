"""Who may import whom: the contracts of pyproject.toml hold, and each says something."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
REPLICAS = sorted((ROOT / "fixtures" / "replicas").rglob("*.py"))


def test_the_contracts_are_kept() -> None:
    """`lint-imports` in a process of its own, as anybody would run it."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_contracts() -> None:
    """None at all would be kept as well."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    assert len(settings["contracts"]) >= 8


def test_replicas_import_nothing_of_watchkeeper() -> None:
    """They are somebody else's system, and in folders that no package manager would take."""
    assert len(REPLICAS) > 20
    for path in REPLICAS:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            strange = [name for name in names if name.partition(".")[0] == "watchkeeper"]
            assert not strange, f"{path} imports {strange[0]}"
