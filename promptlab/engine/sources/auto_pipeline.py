"""Finds the class that ``AutoPipelineForText2Image`` would take without importing all the others.

``diffusers.pipelines.auto_pipeline`` imports some two hundred pipelines, with the parts of transformers that these
need: as long again as one pipeline and torch's kernels for it. Which class a model's index leads to is written there in
tables, and these are read from its source; then that one class is imported.

Invariant: the answer is the one that ``_get_task_class`` of that module gives, in every version. Where the tables
cannot be read, that function is asked.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from promptlab.engine.errors import is_installed
from promptlab.engine.sources.class_source import NotTold, diffusers_folder, is_there

__all__ = ["read_classes", "text_to_image_class", "text_to_image_name"]

_MODULE: Final = Path("pipelines", "auto_pipeline.py")
_TEXT_TO_IMAGE: Final = "AUTO_TEXT2IMAGE_PIPELINES_MAPPING"
_ALL: Final = "SUPPORTED_TASKS_MAPPINGS"
_AVAILABLE: Final = re.compile(r"is_(\w+)_available")

_Tables = dict[str, dict[str, str]]
"""Class names by the family's name, by the table's name."""


def text_to_image_class(name: str) -> Any:
    """Return the text-to-image class that diffusers lists for a pipeline called ``name``, or ``None``.

    A model may name another class than that: an image-to-image pipeline of its family, or the decoder alone.
    """
    import diffusers

    classes = _classes(is_installed)
    if classes is None:
        return _asked(name)
    return getattr(diffusers, classes[name], None) or _asked(name) if name in classes else None


def text_to_image_name(name: str) -> str | None:
    """Return the name of the class that :func:`text_to_image_class` returns. Imports nothing.

    Raises:
        NotTold: when the tables cannot be read.
    """
    classes = _classes(is_there)
    if classes is None:
        raise NotTold(name)
    return classes.get(name)


def _asked(name: str) -> Any:
    from diffusers.pipelines.auto_pipeline import AUTO_TEXT2IMAGE_PIPELINES_MAPPING, _get_task_class

    return _get_task_class(AUTO_TEXT2IMAGE_PIPELINES_MAPPING, name, throw_error_if_not_exist=False)


@lru_cache(maxsize=2)
def _classes(has_package: Callable[[str], bool]) -> Mapping[str, str] | None:
    try:
        return read_classes(diffusers_folder() / _MODULE, has_package)
    except NotTold:
        return None


def read_classes(module: Path, has_package: Callable[[str], bool] = is_installed) -> Mapping[str, str] | None:
    """Read the name of the text-to-image class by that of any class of its family.

    Args:
        module: the source of ``diffusers.pipelines.auto_pipeline``.
        has_package: tells whether a package is installed: some families are listed only then.

    Returns:
        None where it has not the tables that this module knows.
    """
    try:
        tree = ast.parse(module.read_text(encoding="utf-8"))
        tables: _Tables = {}
        order = [name for node in tree.body for name in _read(node, tables, has_package)]
        families: dict[str, str] = {}
        for table in order:
            for family, kind in tables[table].items():
                families.setdefault(kind, family)  # the first table that has it counts
        wanted = tables[_TEXT_TO_IMAGE]
    except (OSError, ValueError, SyntaxError, KeyError):
        return None
    return {kind: wanted[family] for kind, family in families.items() if family in wanted} or None


def _read(node: ast.stmt, tables: _Tables, has_package: Callable[[str], bool]) -> Iterator[str]:
    """Add what a statement puts into ``tables``; yield the tables' names where it lists them all."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id="OrderedDict"), args=[rows])):
            tables[name] = dict(_rows(rows))
        case ast.Assign(
            targets=[ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(family)))],
            value=ast.Name(id=kind),
        ):
            tables[name][family] = kind
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.List(elts=listed)) if name == _ALL:
            yield from (each.id for each in listed if isinstance(each, ast.Name))
        case ast.If(test=ast.Call(func=ast.Name(id=name))) if found := _AVAILABLE.fullmatch(name):
            for inner in node.body if has_package(found[1]) else node.orelse:
                yield from _read(inner, tables, has_package)


def _rows(rows: ast.expr) -> Iterator[tuple[str, str]]:
    for row in rows.elts if isinstance(rows, ast.List) else ():
        match row:
            case ast.Tuple(elts=[ast.Constant(value=str(family)), ast.Name(id=kind)]):
                yield family, kind
            case _:
                raise ValueError("a row of another kind")
