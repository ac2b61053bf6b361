"""Carries out the lines of a pipeline's constructor on configurations, as they stand in its source.

Families compute their numbers there: the pixels of a latent, the size they were trained for. The lines are those that
:func:`promptlab.engine.pipelines.meta_pipeline.build_meta_pipeline` has carried out by the imported class; without the
class they are a few assignments over configurations.

Invariant: of a line that wants more than configurations nothing is guessed: :class:`NotTold` is raised.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any, Final

from promptlab.engine.sources.class_source import (
    ClassSource,
    NotTold,
    defaults_of,
    imported_class,
    method_of,
    module_value,
)

__all__ = ["carry_out_constructor"]

_BUILTINS: Final = MappingProxyType(
    {each.__name__: each for each in (bool, dict, float, getattr, hasattr, int, len, list, max, min, range, round, str,
                                      sum, tuple)}
)  # fmt: skip
_PROCESSOR: Final = "ImageProcessor"


def carry_out_constructor(kind: ClassSource, parts: Mapping[str, Any]) -> Any:
    """Return an object with the attributes that the constructor of ``kind`` sets, given ``parts``.

    Args:
        parts: by the names of the constructor's parameters, as far as they have no default.

    Raises:
        NotTold: when a line wants more than these.
    """
    owner, constructor = method_of(kind, "__init__")
    given = {**defaults_of(kind, "__init__"), **parts, "self": _Built(), "logger": _Silent()}
    names = _Names(owner, {**_BUILTINS, **given})
    for statement in constructor.body:
        if _is_passed_over(statement):
            continue
        code = compile(ast.Module([statement], []), f"<constructor of {kind.name}>", "exec")
        try:
            exec(code, {"__builtins__": {}}, names)  # noqa: S102 - diffusers' own line, and no function but these
        except NotTold:
            raise
        except Exception as error:
            raise NotTold(f"{kind.name}: {ast.unparse(statement)[:80]}") from error
    return names["self"]


def _is_passed_over(statement: ast.stmt) -> bool:
    """Tell ``super().__init__(…)`` and what concerns attention layers: they set nothing that is asked for."""
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="super"))))):
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr="set_pag_applied_layers"))):
            return True
    return False


class _Built:
    """Gets the attributes that a constructor sets."""

    def __init__(self) -> None:
        self.config = SimpleNamespace()

    def register_modules(self, **parts: Any) -> None:
        self.__dict__.update(parts)

    def register_to_config(self, **settings: Any) -> None:
        self.config.__dict__.update(settings)


class _Silent:
    def warning(self, *_: object) -> None:
        """Say nothing: what a constructor warns of, it warns of when it is called."""


class _Names(dict[str, Any]):
    """Knows parameters, some builtins, the module's constants, and image processors by their arguments."""

    def __init__(self, kind: ClassSource, known: Mapping[str, Any]) -> None:
        super().__init__(known)
        self._kind = kind

    def __missing__(self, name: str) -> Any:
        if not name.endswith(_PROCESSOR):
            return module_value(self._kind, name)
        processor = imported_class(self._kind, name)

        def make(**given: Any) -> SimpleNamespace:
            return SimpleNamespace(config=SimpleNamespace(**{**defaults_of(processor, "__init__"), **given}))

        return make
