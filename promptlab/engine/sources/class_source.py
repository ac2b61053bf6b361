"""Reads classes of diffusers from their source: what a call takes is known without importing torch.

To import a pipeline takes seconds, and what is asked of it before weights are loaded stands in its file: the arguments
of its call with their defaults and kinds, the lines of its constructor. A :class:`ClassSource` stands in for the class
wherever only these are asked, so that the same rules judge both.

Invariant: what is read here is what :mod:`inspect` says of the imported class. Where the source alone does not tell,
:class:`NotTold` is raised, and whoever asked imports the class instead.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import re
import sys
import typing
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

__all__ = [
    "ClassSource",
    "NotTold",
    "class_source",
    "class_value",
    "defaults_of",
    "diffusers_folder",
    "imported_class",
    "is_named",
    "is_there",
    "method_of",
    "module_names",
    "module_value",
    "named",
    "parameters_of",
    "text_of",
]

_ROOMS: Final = ("pipelines", "schedulers", "models")
_SECTION: Final = re.compile(r'(?:_import_structure\["([\w.]+)"\]|^    "([\w.]+)": \[)', re.MULTILINE)
"""Matches the name of a module in an ``__init__`` of diffusers, before the classes that are in it."""
_PACKAGES: Final = {"pt": "torch"}
_ALWAYS: Final = frozenset({"torch", "transformers"})


class NotTold(Exception):
    """Says that source and configurations alone do not tell: the class itself has to be asked."""


@dataclass(frozen=True, slots=True, eq=False)
class ClassSource:
    """Stands in for a class of diffusers that is not imported.

    Args:
        name: of the class.
        file: that it is written in.
        module: that file, parsed.
        tree: the class in it.
    """

    name: str
    file: Path
    module: ast.Module
    tree: ast.ClassDef

    @property
    def __name__(self) -> str:
        """Return the name of the class, as the class itself would."""
        return self.name


class _Opaque(type):
    """Makes stand-ins for what annotations name and nobody asks for: ``torch.Tensor``."""

    def __getattr__(cls, name: str) -> _Opaque:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Opaque(name, (), {})

    def __getitem__(cls, _: object) -> _Opaque:
        return cls


class _Annotations(dict[str, Any]):
    """Gives names in annotations a meaning: builtins and ``typing`` theirs, all others none."""

    def __missing__(self, name: str) -> Any:
        found = getattr(builtins, name, None) or getattr(typing, name, None)
        return found if found is not None else _Opaque(name, (), {})


@lru_cache(maxsize=1)
def diffusers_folder() -> Path:
    """Return the folder of the installed diffusers, which is not imported.

    Raises:
        NotTold: when there is none.
    """
    found = find_spec("diffusers")
    if found is None or found.origin is None:
        raise NotTold("diffusers")
    return Path(found.origin).parent


@lru_cache(maxsize=256)
def class_source(name: str) -> ClassSource:
    """Return the source of a pipeline, scheduler or model of diffusers by its name.

    Raises:
        NotTold: when it is not found, or needs a package that is not installed.
    """
    if not name.isidentifier() or not _is_available(name):
        raise NotTold(name)
    for file in _files_of(name):
        if (found := _class_in(file, name)) is not None:
            return found
    raise NotTold(name)


def imported_class(kind: ClassSource, name: str) -> ClassSource:
    """Return the source of a class that the module of ``kind`` defines or imports from diffusers by name.

    Raises:
        NotTold: when it does not.
    """
    if (found := _class_in(kind.file, name)) is not None:
        return found
    file = _imported_from(kind, name)
    if file is not None and (found := _class_in(file, name)) is not None:
        return found
    raise NotTold(name)


def _imported_from(kind: ClassSource, name: str) -> Path | None:
    """Return the file of diffusers that the module of ``kind`` imports a name from."""
    for node in kind.module.body:
        if isinstance(node, ast.ImportFrom) and node.level and name in {each.name for each in node.names}:
            home = kind.file.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            file = home.with_suffix(".py") if home.with_suffix(".py").is_file() else home / "__init__.py"
            return file if file.is_file() else None
    return None


def is_there(package: str) -> bool:
    """Tell whether a package is installed, without importing it."""
    return find_spec(package) is not None


def is_named(name: str) -> bool:
    """Tell whether diffusers has a class of that name, or a dummy in its place."""
    return name in named(name)


def named(pattern: str) -> frozenset[str]:
    """Return the names of diffusers that a regular expression matches whole."""
    return frozenset(re.findall(f'"({pattern})"', _text(diffusers_folder() / "__init__.py")))


def class_value(kind: ClassSource, name: str) -> ast.expr | None:
    """Return what a class sets an attribute to in its body; ``None`` where it does not."""
    for node in kind.tree.body:
        if isinstance(node, ast.Assign) and [getattr(each, "id", None) for each in node.targets] == [name]:
            return node.value
    return None


def parameters_of(kind: Any, method: str) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a method of a class, or of its source, ``self`` among them.

    Raises:
        NotTold: when the source does not have them.
    """
    if not isinstance(kind, ClassSource):
        return inspect.signature(getattr(kind, method)).parameters
    return _parameters(kind, method)


def defaults_of(kind: ClassSource, method: str) -> dict[str, Any]:
    """Return the defaults of a method's parameters, as far as they have some.

    Raises:
        NotTold: when the source does not have them.
    """
    found = parameters_of(kind, method).values()
    return {each.name: each.default for each in found if each.default is not inspect.Parameter.empty}


def text_of(kind: Any, method: str | None = None) -> str:
    """Return the source of a method of a class; of the module of the class without a method.

    Raises:
        NotTold: when it is not found where a :class:`ClassSource` was given; of a class, what :mod:`inspect` raises.
    """
    if isinstance(kind, ClassSource):
        if method is None:
            return _text(kind.file)
        owner, node = method_of(kind, method)
        return ast.get_source_segment(_text(owner.file), node, padded=True) or ""
    return inspect.getsource(sys.modules[kind.__module__] if method is None else getattr(kind, method))


def module_names(kind: ClassSource) -> frozenset[str]:
    """Return the names of the functions and classes that the module of ``kind`` defines."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    return frozenset(node.name for node in kind.module.body if isinstance(node, kinds))


def module_value(kind: ClassSource, name: str) -> Any:
    """Return a constant that the module of ``kind`` defines, or imports from another of diffusers.

    Raises:
        NotTold: when it has none of that name, or one that is computed.
    """
    file = _imported_from(kind, name)
    for node in (kind.module if file is None else _module(file)).body:
        if isinstance(node, ast.Assign) and [getattr(each, "id", None) for each in node.targets] == [name]:
            return _constant(node.value)
    raise NotTold(name)


def method_of(kind: ClassSource, name: str) -> tuple[ClassSource, ast.FunctionDef]:
    """Return a method and the class that defines it: ``kind``, or the first of its bases that does.

    Raises:
        NotTold: when no base that is found does.
    """
    for node in kind.tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return kind, node
    for base in kind.tree.bases:
        if isinstance(base, ast.Name):
            with suppress(NotTold):
                return method_of(imported_class(kind, base.id), name)
    raise NotTold(f"{kind.name}.{name}")


@lru_cache(maxsize=256)
def _parameters(kind: ClassSource, method: str) -> Mapping[str, inspect.Parameter]:
    owner, node = method_of(kind, method)
    arguments = node.args
    postponed = any(
        isinstance(each, ast.ImportFrom) and each.module == "__future__" for each in owner.module.body
    )  # then annotations are texts, and tell inspect nothing

    def annotation(argument: ast.arg) -> Any:
        if argument.annotation is None:
            return inspect.Parameter.empty
        written = ast.unparse(argument.annotation)
        return written if postponed else _evaluated(written)

    def made(argument: ast.arg, how: Any, default: ast.expr | None) -> inspect.Parameter:
        value = inspect.Parameter.empty if default is None else _default(owner, default)
        return inspect.Parameter(argument.arg, how, default=value, annotation=annotation(argument))

    by_place = [*arguments.posonlyargs, *arguments.args]
    defaults = [*[None] * (len(by_place) - len(arguments.defaults)), *arguments.defaults]
    found = [
        made(argument, inspect.Parameter.POSITIONAL_OR_KEYWORD, default)
        for argument, default in zip(by_place, defaults, strict=True)
    ]
    if arguments.vararg is not None:
        found.append(made(arguments.vararg, inspect.Parameter.VAR_POSITIONAL, None))
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        found.append(made(argument, inspect.Parameter.KEYWORD_ONLY, default))
    if arguments.kwarg is not None:
        found.append(made(arguments.kwarg, inspect.Parameter.VAR_KEYWORD, None))
    return MappingProxyType({each.name: each for each in found})


def _evaluated(annotation: str) -> Any:
    try:
        return eval(annotation, {"__builtins__": {}}, _Annotations())  # noqa: S307 - diffusers' own line
    except Exception as error:
        raise NotTold(annotation) from error


def _default(kind: ClassSource, written: ast.expr) -> Any:
    if isinstance(written, ast.Name):
        return module_value(kind, written.id)
    return _constant(written)


def _constant(written: ast.expr) -> Any:
    """Evaluate a literal, or what is computed of literals alone: ``1024**2``."""
    code = compile(ast.Expression(written), "<constant>", "eval")
    try:
        return eval(code, {"__builtins__": {"float": float}})  # noqa: S307 - diffusers' own line
    except Exception as error:
        raise NotTold(ast.unparse(written)) from error


@lru_cache(maxsize=64)
def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise NotTold(str(file)) from error


@lru_cache(maxsize=64)
def _module(file: Path) -> ast.Module:
    try:
        return ast.parse(_text(file))
    except SyntaxError as error:
        raise NotTold(str(file)) from error


def _class_in(file: Path, name: str) -> ClassSource | None:
    if re.search(rf"^class {name}\b", _text(file), re.MULTILINE) is None:
        return None
    module = _module(file)
    for node in module.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return ClassSource(name, file, module, node)
    return None


def _files_of(name: str) -> Iterator[Path]:
    """Yield the files that a class may be in, by what the ``__init__`` of its room says."""
    for room in _ROOMS:
        home = diffusers_folder() / room
        text = _text(home / "__init__.py")
        place = text.find(f'"{name}"')
        sections = [found[1] or found[2] for found in _SECTION.finditer(text, 0, max(place, 0))]
        if place < 0 or not sections:
            continue
        path = home.joinpath(*sections[-1].split("."))
        yield from [path.with_suffix(".py")] if path.with_suffix(".py").is_file() else sorted(path.rglob("*.py"))


def _is_available(name: str) -> bool:
    """Tell whether all packages are there without which diffusers gives a dummy of that name."""
    for file in sorted((diffusers_folder() / "utils").glob("dummy_*_objects.py")):
        needed = {_PACKAGES.get(each, each) for each in file.stem[len("dummy_") : -len("_objects")].split("_and_")}
        if needed <= _ALWAYS or f"class {name}(" not in _text(file):
            continue
        if not all(map(is_there, needed - _ALWAYS)):
            return False
    return True
