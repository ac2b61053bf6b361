"""Finds the modules of a pipeline whose calls are caught: denoisers and decoders, and text encoders.

Which is which is told by what a module is, not by the family's name: text encoders are models of transformers, decoders
have a ``decode``, and everything else that diffusers calls is asked for rows: UNets, transformers, priors.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

__all__ = ["Method", "caught_methods", "text_encoders"]

_COMPILED: Final = "_compiled_call_impl"
"""Names the attribute with the compiled forward of a module, which torch calls instead of ``forward``."""
_LOOKS: Final = "safety_checker"
"""A model of transformers that reads no text."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Method:
    """Holds a method of a module that calls are caught at.

    Args:
        part: the module's name in its pipeline.
        name: the attribute that is replaced: ``forward`` of a denoiser, ``decode`` of a VAE.
        original: what it is otherwise.
        rows: images that share a call of it.
        parameters: names of its positional parameters.
    """

    module: Any
    part: str
    name: str
    original: Callable[..., Any]
    rows: int
    parameters: tuple[str, ...]

    @property
    def decodes(self) -> bool:
        """Say whether it makes pictures of latents."""
        return self.name == "decode"

    @property
    def compiled(self) -> bool:
        """Say whether torch has compiled it."""
        return self.name == _COMPILED

    @property
    def key(self) -> tuple[int, str]:
        """Return what tells it from others of the pipeline."""
        return id(self.module), self.name


def caught_methods(pipeline: Any, rows: int, decoded: int) -> tuple[Method, ...]:
    """Return what images ask of: denoisers with ``rows`` images a forward, decoders with ``decoded``."""
    from transformers import PreTrainedModel

    found = []
    for part, module in _modules(pipeline):
        if isinstance(module, PreTrainedModel):
            continue
        if hasattr(module, "decode"):
            found.append(_method(part, module, "decode", decoded))
        else:
            compiled = getattr(module, _COMPILED, None) is not None
            found.append(_method(part, module, _COMPILED if compiled else "forward", rows))
    return tuple(found)


def text_encoders(pipeline: Any, rows: int) -> tuple[Method, ...]:
    """Return the encoders whose outputs are remembered, with ``rows`` texts a forward."""
    from transformers import PreTrainedModel

    return tuple(
        _method(part, module, "forward", rows)
        for part, module in _modules(pipeline)
        if isinstance(module, PreTrainedModel) and _LOOKS not in part
    )


def _modules(pipeline: Any) -> list[tuple[str, Any]]:
    """Return the modules by name, each once: pipelines made of pipelines have some under two names."""
    import torch

    found = {
        id(module): (part, module)
        for part, module in pipeline.components.items()
        if isinstance(module, torch.nn.Module)
    }
    return list(found.values())


def _method(part: str, module: Any, name: str, rows: int) -> Method:
    kind: Any = type(module)
    return Method(
        module=module, part=part, name=name, original=getattr(module, name), rows=rows,
        parameters=_parameters(getattr(kind, "forward" if name == _COMPILED else name)),
    )  # fmt: skip


@lru_cache(maxsize=256)
def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of the positional parameters of a method, but for ``self``."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return tuple(each.name for each in parameters if each.kind in kinds)[1:]
