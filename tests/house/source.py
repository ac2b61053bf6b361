"""Reads promptlab's own source as syntax trees, for the tests that hold its conventions. Nothing of it is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "promptlab"


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """Represents one file of the package: where it lies, and its syntax tree."""

    path: Path
    tree: ast.Module

    @property
    def place(self) -> str:
        """Return the path from the root of the checkout, as it is typed."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def room(self) -> str:
        """Return the top-level folder (or module) that this file lies in: ``engine``, ``errors``."""
        return self.path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Docstring:
    """Represents the docstring of a module, class or function, and the line it stands at."""

    module: Module
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    text: str

    @property
    def first_line(self) -> str:
        """Return its first line."""
        return self.text.partition("\n")[0]

    @property
    def place(self) -> str:
        """Return file and line, so that an editor jumps there."""
        return f"{self.module.place}:{getattr(self.node, 'lineno', 1)}"


def rooms() -> list[str]:
    """Return the top-level folders and modules of the package, by name."""
    inside = (path for path in PACKAGE.iterdir() if path.suffix == ".py" or any(path.rglob("*.py")))
    return sorted(path.stem for path in inside)


@cache
def modules() -> tuple[Module, ...]:
    """Parse every file of the package once."""
    return tuple(
        Module(path=path, tree=ast.parse(path.read_text(encoding="utf-8"), filename=str(path)))
        for path in sorted(PACKAGE.rglob("*.py"))
    )


def docstrings(module: Module) -> Iterator[Docstring]:
    """Yield the docstrings of a module: its own, and those of its classes and functions, nested ones too."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield Docstring(module=module, node=node, text=text)
