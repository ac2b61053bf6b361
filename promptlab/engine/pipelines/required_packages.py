"""Finds packages that a model needs and that are missing, before weights are loaded.

diffusers and transformers import what not everybody has under ``if is_ftfy_available():`` and then fail with the name
of a thing nobody has heard of, once gigabytes have been read. Both say in their code what they need, and it is read
there, so no list of families has to be kept here.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from promptlab.engine.errors import is_installed
from promptlab.engine.sources.configuration import Configuration
from promptlab.engine.sources.files import read_json
from promptlab.errors import MissingPackage

__all__ = ["check_arguments", "check_packages"]

_AVAILABLE: Final = re.compile(r"is_(\w+)_available")
_READERS: Final = re.compile(r"Tokenizer|Processor|FeatureExtractor")
_CONFIGS: Final = (
    "processor_config.json", "preprocessor_config.json", "video_preprocessor_config.json", "tokenizer_config.json",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Need:
    """Represents a package that a pipeline's code asks for, always or for an argument that is given."""

    package: str
    argument: str | None = None


def check_packages(name: str, config: Configuration, kind: Any, folder: Path) -> None:
    """Check that all packages that this model asks for are installed.

    Args:
        name: of the model, as its user knows it.
        kind: diffusers class of the pipeline.
        folder: of the model.

    Raises:
        MissingPackage: for the first that is not.
    """
    for need in _needs(kind):
        if need.argument is None and not is_installed(need.package):
            raise MissingPackage(name, need.package)
    for part, class_name in config.parts.items():
        if _READERS.search(class_name):
            for package in _of_readers(folder / part, class_name):
                raise MissingPackage(name, package)


def check_arguments(name: str, kind: Any, arguments: Iterable[tuple[str, Any]]) -> None:
    """Check the packages that arguments of the call ask for: diffusers drops these where they are missing.

    Raises:
        MissingPackage: for the first that is not.
    """
    asked = {argument for argument, value in arguments if value}
    for need in _needs(kind):
        if need.argument in asked and not is_installed(need.package):
            raise MissingPackage(name, need.package)


@lru_cache(maxsize=64)
def _needs(kind: Any) -> tuple[_Need, ...]:
    """Read the packages that a pipeline's module needs.

    That is what it imports where it is there, and then uses without asking again; and what an argument needs that is
    dropped with a warning where it is not: ``if clean_caption and not is_ftfy_available():``.
    """
    try:
        tree = ast.parse(inspect.getsource(sys.modules[kind.__module__]))
    except (KeyError, OSError, TypeError, SyntaxError):
        return ()
    asked = [package for node in ast.walk(tree) if (package := _asked(node))]
    imported = [
        package
        for node in tree.body
        if isinstance(node, ast.If) and not node.orelse and (package := _asked(node.test))
        if all(isinstance(each, ast.Import | ast.ImportFrom) for each in node.body)
    ]
    needs = [_Need(package) for package in imported if asked.count(package) == 1]
    for node in ast.walk(tree):
        match node:
            case ast.BoolOp(op=ast.And(), values=[ast.Name(id=argument), ast.UnaryOp(op=ast.Not(), operand=test)]):
                if package := _asked(test):
                    needs.append(_Need(package, argument))
    return tuple(dict.fromkeys(needs))


def _asked(node: ast.AST) -> str | None:
    """Return the package whose presence this expression asks for: ``is_PACKAGE_available()``."""
    match node:
        case ast.Call(func=ast.Name(id=name), args=[]) if found := _AVAILABLE.fullmatch(name):
            return found[1]
    return None


def _of_readers(folder: Path, class_name: str) -> Iterator[str]:
    """Yield packages that a tokenizer or processor, or one that it is made of, cannot do without."""
    import transformers
    from transformers.utils.import_utils import BACKENDS_MAPPING

    names = {class_name: None}
    for file in _CONFIGS:
        if (folder / file).is_file():
            names |= dict.fromkeys(_named(read_json(folder / file)))
    for each in names:
        found: Any = getattr(transformers, each, None)
        if getattr(found, "is_dummy", False):
            backends = found._backends  # noqa: SLF001 - the only place that says what a stand-in stands for
            yield from (package for package in backends if not BACKENDS_MAPPING[package][0]())


def _named(values: Mapping[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _named(value)
        elif isinstance(value, str) and key.endswith(("processor_type", "processor_class")):
            yield value
