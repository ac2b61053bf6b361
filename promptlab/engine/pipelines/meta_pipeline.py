"""Builds a pipeline without weights from its components' configurations, to ask it what only it knows.

Families compute their default size, and what a size must be divisible by, in their constructors and in the first lines
of their calls. Reading both gives the family's own answer, and no list of families has to be kept here.

Invariant: nothing of a model is run: configurations are numbers and texts, and the code is diffusers' own. A
constructor that wants more than configurations gives no meta pipeline, and nothing is known then.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from promptlab.engine.machine.torch_setup import quietly
from promptlab.engine.pipelines.constructor_source import carry_out_constructor
from promptlab.engine.sources.class_source import (
    ClassSource,
    NotTold,
    class_source,
    defaults_of,
    parameters_of,
    text_of,
)

__all__ = ["build_meta_pipeline", "default_size", "multiples"]

_MULTIPLES: Final = ("multiple_of", "multiple", "division")
"""What calls name the number that sides are rounded to."""
_CONFIGS: Final = ("config.json", "scheduler_config.json", "tokenizer_config.json", "preprocessor_config.json")


class _Values:
    """Holds a configuration as diffusers hands it out: by attribute and by key."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__.update(values)

    def get(self, name: str, default: Any = None) -> Any:
        return self.__dict__.get(name, default)

    def __getitem__(self, name: str) -> Any:
        return self.__dict__[name]

    def __contains__(self, name: str) -> bool:
        return name in self.__dict__


class _Part:
    """Stands in for a component: holds its configuration and nothing else.

    A tokenizer's values are reached without ``config`` in between.
    """

    dtype = None

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.config = _Values(values)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["config"][name]
        except KeyError as error:
            raise AttributeError(name) from error


def build_meta_pipeline(kind: Any, folder: Path, classes: Mapping[str, str]) -> Any:
    """Build a pipeline of class ``kind`` with configurations for components; ``None`` where it needs more.

    Args:
        kind: the class, or its source: then its constructor's lines are carried out without importing it.
        folder: holds the configurations.
        classes: class name of every part that is there, by the part's name.

    Raises:
        NotTold: when a source's constructor wants more.
    """
    parameters = parameters_of(kind, "__init__")
    parts: dict[str, Any] = {}
    settings = _read(folder / "model_index.json")
    for name, parameter in parameters.items():
        if name == "self" or parameter.kind is parameter.VAR_KEYWORD:
            continue
        if name in classes:
            parts[name] = _part(folder / name, classes[name], imported=not isinstance(kind, ClassSource))
        elif name in settings and not isinstance(settings[name], list):
            parts[name] = settings[name]
        elif parameter.default is parameter.empty:
            parts[name] = None
    if isinstance(kind, ClassSource):
        return carry_out_constructor(kind, parts)
    try:
        with quietly():
            return kind(**parts)
    except Exception:  # noqa: BLE001 - whatever a constructor wants beyond configurations
        return None


def default_size(kind: Any, pipeline: Any) -> tuple[int, int] | None:
    """Return height and width that a call makes when it is given none: the family's own code, evaluated.

    Args:
        pipeline: a :func:`build_meta_pipeline`, or ``None``.

    Returns:
        Pixels; ``None`` where the call computes it from more than the pipeline's own numbers.
    """
    sides = [_side(kind, name, pipeline) for name in ("height", "width")]
    return (sides[0], sides[1]) if sides[0] and sides[1] else None


def multiples(kind: Any, pipeline: Any) -> tuple[int, ...]:
    """Return what the call rounds sides to, in pixels, where it names such a number."""
    found = (_side(kind, name, pipeline) for name in _MULTIPLES) if pipeline is not None else ()
    return tuple(each for each in found if each)


def _side(kind: Any, name: str, pipeline: Any) -> int | None:
    for code in _expressions(kind, name):
        try:
            value = eval(code, {"__builtins__": {}}, {"self": pipeline})  # noqa: S307 - diffusers' own line
        except Exception:  # noqa: BLE001, S112 - it needs something else than the pipeline
            continue
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


@lru_cache(maxsize=128)
def _expressions(kind: Any, name: str) -> tuple[Any, ...]:
    """Return what the call computes for ``name`` where it is not given: ``height = height or EXPRESSION``."""
    try:
        tree = ast.parse(textwrap.dedent(text_of(kind, "__call__")))
    except (OSError, TypeError, SyntaxError):
        return ()
    found = []
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Assign) and [getattr(each, "id", "") for each in node.targets] == [name]):
            continue
        value = node.value
        if (
            isinstance(value, ast.BoolOp)
            and isinstance(value.op, ast.Or)
            and getattr(value.values[0], "id", "") == name
        ):
            value = value.values[-1]
        if not any(isinstance(each, ast.Name) and each.id != "self" for each in ast.walk(value)):
            found.append(compile(ast.Expression(value), f"<{name} of {kind.__name__}>", "eval"))
    return tuple(found)


def _part(folder: Path, class_name: str, *, imported: bool) -> Any:
    """Stand in for a part.

    Args:
        imported: whether classes may be imported; else the defaults of its class are those that its source has.
    """
    values: dict[str, Any] = {}
    if not imported:
        with suppress(NotTold):  # a class of transformers
            values |= defaults_of(class_source(class_name), "__init__")
        return _Part(values | _configured(folder))
    import diffusers

    known: Any = getattr(diffusers, class_name, None)
    if isinstance(known, type):
        parameters = inspect.signature(known).parameters.values()
        values |= {each.name: each.default for each in parameters if each.default is not each.empty}
    values |= _configured(folder)
    if isinstance(known, type) and issubclass(known, diffusers.SchedulerMixin):
        scheduler: Any = known
        with quietly():
            return scheduler.from_config(values)
    return _Part(values)


def _configured(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for file in _CONFIGS:
        values |= _read(folder / file)
    return values


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
