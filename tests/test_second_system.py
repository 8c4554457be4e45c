"""A system is files of its own: the machinery knows none of them by name.

What one system needs must not stand in what all of them share, or the third one pays for it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SYSTEMS = sorted(path.stem for path in (ROOT / "targets").glob("*.yml"))
SHARED = sorted(
    path
    for folder in ("src", "steps", "fixtures/replicas/kit")
    for path in (ROOT / folder).rglob("*.py")
)
OWN = ("targets", "fixtures.replicas", "features", "fixtures.drills")
"""Where a system's own things lie."""


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported, wherever in the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""


def texts(tree: ast.AST) -> Iterator[str]:
    """Every text that the program works with: not its docstrings, not the help it prints."""
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    docs |= {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) or (isinstance(node, ast.keyword) and node.arg == "help")
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


def test_there_are_two_systems_and_much_that_they_share() -> None:
    """A walk over nothing would find nothing."""
    assert {"media-management", "routing-ml"} <= set(SYSTEMS)
    assert len(SHARED) > 100


@pytest.mark.parametrize("path", SHARED, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_shared_knows_no_system(path: Path) -> None:
    """It imports nothing of a system's own files, and works with no system's name."""
    tree = ast.parse(path.read_text("utf-8"))
    kit = "fixtures.replicas.kit"
    strange = [
        name
        for name in imported(tree)
        if not name.startswith(kit) and any(name == o or name.startswith(f"{o}.") for o in OWN)
    ]
    assert not strange, f"{path} imports {strange[0]}, which is a system's own"
    named = [
        text
        for text in texts(tree)
        for slug in SYSTEMS
        if slug in text or slug.replace("-", "_") in text or slug.replace("-", " ") in text
    ]
    assert not named, f'{path} works with "{named[0]}", which is a system\'s own name'


def test_systems_do_not_know_each_other() -> None:
    """A system's Python, replica and target file name no other system."""
    for slug in SYSTEMS:
        own = [
            *(ROOT / "targets").glob(f"{slug.replace('-', '_')}*.py"),
            *(ROOT / "fixtures" / "replicas" / slug).rglob("*.py"),
        ]
        assert own, slug
        others = {other.replace("-", "_") for other in SYSTEMS} - {slug.replace("-", "_")}
        for path in own:
            parts = [part for name in imported(ast.parse(path.read_text("utf-8")))
                     for part in name.split(".")]  # fmt: skip
            strange = [part for part in parts if any(part.startswith(other) for other in others)]
            assert not strange, f"{path} imports {strange[0]}"
