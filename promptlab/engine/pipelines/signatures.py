"""A pipeline's call as its signature tells it."""

from __future__ import annotations

import inspect
import types
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

__all__ = ["call_parameters"]


def call_parameters(pipeline: Any) -> Mapping[str, inspect.Parameter]:
    """The named parameters of the pipeline's call, without ``self``."""
    return _parameters(pipeline)


@lru_cache(maxsize=64)
def _parameters(pipeline: Any) -> Mapping[str, inspect.Parameter]:
    variable = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    parameters = inspect.signature(pipeline.__call__).parameters
    named = {name: each for name, each in parameters.items() if name != "self" and each.kind not in variable}
    return types.MappingProxyType(named)
