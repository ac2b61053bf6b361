"""Draws the rooms from the imports. ``make docs`` writes them into docs/architecture.md, a test compares them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from tests.house.source import PACKAGE, Module, modules


def table(package: str) -> str:
    """Return a Markdown table of what lies in ``package``: each room, what its docstring says, what it imports."""
    lines = ["| room | does what | imports |", "| --- | --- | --- |"]
    for room, imported in in_order(arrows(package)):
        lines.append(f"| `{room}` | {summary(package, room)} | {', '.join(f'`{each}`' for each in sorted(imported))} |")
    return "\n".join(lines) + "\n"


def diagram(package: str) -> str:
    """Return a Mermaid flow chart of the rooms of ``package``: an arrow from a room to what it imports.

    What is reached by way of another room has no arrow of its own, so that floors can be seen.
    """
    direct = arrows(package)
    reached = closure(direct)
    lines = ["```mermaid", "flowchart TD"]
    linked = {room for room, imported in direct.items() if imported}.union(*direct.values())
    lines += [f"    {room}" for room in sorted(direct.keys() - linked)]
    for room, imported in in_order(direct):
        below = {each for each in imported if not any(each in reached[other] for other in imported)}
        lines += [f"    {room} --> {each}" for each in sorted(below)]
    return "\n".join([*lines, "```"]) + "\n"


@cache
def arrows(package: str) -> Mapping[str, frozenset[str]]:
    """Return what each room of ``package`` imports of the others, imports inside functions and for types included.

    Args:
        package: dotted, such as ``promptlab.engine``.

    Returns:
        Room → rooms; ``__init__`` and ``__main__`` are doors, not rooms, and are left out.
    """
    folder = PACKAGE.joinpath(*package.split(".")[1:])
    rooms = {
        path.stem for path in folder.iterdir() if (path / "__init__.py").is_file() or path.suffix == ".py"
    } - {"__init__", "__main__"}  # fmt: skip
    found: dict[str, set[str]] = {room: set() for room in sorted(rooms)}
    for module in modules():
        if folder in module.path.parents:
            room = Path(module.path.relative_to(folder).parts[0]).stem
            if room in rooms:
                names = {name.removeprefix(f"{package}.").partition(".")[0] for name in imports(module)}
                found[room] |= names & rooms - {room}
    return {room: frozenset(imported) for room, imported in found.items()}


def imports(module: Module) -> Iterator[str]:
    """Yield the dotted names that a module imports, a name taken from a package as ``package.name``."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def closure(direct: Mapping[str, frozenset[str]]) -> dict[str, set[str]]:
    """Return what each room reaches by one arrow or more."""
    reached = {room: set(imported) for room, imported in direct.items()}
    for _ in direct:
        for imported in reached.values():
            imported.update(*(reached[each] for each in tuple(imported)))
    return reached


def in_order(direct: Mapping[str, frozenset[str]]) -> list[tuple[str, frozenset[str]]]:
    """Return the rooms from the uppermost floor down: one that reaches more rooms stands above."""
    reached = closure(direct)
    return sorted(direct.items(), key=lambda item: (-len(reached[item[0]]), item[0]))


def summary(package: str, room: str) -> str:
    """Return the first line of a room's docstring, as it fits into a cell."""
    folder = PACKAGE.joinpath(*package.split(".")[1:])
    paths = (folder / room / "__init__.py", folder / f"{room}.py")
    (module,) = (each for each in modules() if each.path in paths)
    line = (ast.get_docstring(module.tree) or "").partition("\n")[0]
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", line).replace("``", "`").replace("|", "\\|")
