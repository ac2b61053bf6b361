"""Tells what can be chosen: models, and the schedulers that fit one. Loads no weights.

Which schedulers fit, diffusers says, whose import takes seconds. So it is asked once it has been imported for a
picture; until then every alias is offered, and a wrong choice is refused as ever.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from promptlab.errors import PromptLabError
from promptlab.models import DEFAULT_MODEL
from promptlab.specs.schedulers import ALIASES

__all__ = ["model_facts", "model_names"]


def model_facts(name: str) -> dict[str, Any]:
    """Return what a page shows of a model; nothing is downloaded.

    Args:
        name: as a spec has it.
    """
    fitting = _fitting(name) if _is_imported() else None
    if fitting is None:
        schedulers = [{"name": alias, "title": spec.name, "own": False} for alias, spec in ALIASES.items()]
        return {"source": name, "schedulers": schedulers, "settled": False}
    own, names = fitting
    schedulers = [
        {"name": alias, "title": spec.name, "own": spec.name == own and not spec.options}
        for alias, spec in ALIASES.items()
        if spec.name in names
    ]
    spelled = {spec.name for spec in ALIASES.values()}
    schedulers += [{"name": each, "title": each, "own": each == own} for each in sorted(names - spelled)]
    return {"source": name, "schedulers": schedulers, "settled": True}


@lru_cache(maxsize=1)
def model_names() -> tuple[str, ...]:
    """Return the models that need no download: those in the package, those in the Hub's cache."""
    from promptlab.engine.sources.catalog import known_models

    try:
        found = [info.name for info in known_models() if "Autoencoder" not in info.pipeline]
    except (PromptLabError, OSError):  # a cache that cannot be read has nothing to offer
        found = [DEFAULT_MODEL]
    return tuple(dict.fromkeys(found))


def _is_imported() -> bool:
    """Say whether diffusers was imported for a picture: a second thread must not begin to."""
    return "diffusers.pipelines.pipeline_utils" in sys.modules


@lru_cache(maxsize=32)
def _fitting(name: str) -> tuple[str, frozenset[str]] | None:
    """Return a model's own scheduler and all that fit it; None where it is not on this machine."""
    from promptlab.engine.schedulers.registry import fitting_schedulers
    from promptlab.engine.sources.catalog import known_models
    from promptlab.engine.sources.configuration import read_configuration

    try:
        folder = next((Path(info.path) for info in known_models() if info.name == name), Path(name).expanduser())
        if not (folder / "model_index.json").is_file():
            return None
        config = read_configuration(folder, name)
        own = config.parts.get("scheduler")
        if own is None:
            return None
        return own, frozenset(fitting_schedulers(own, config.scheduler or {}, config.pipeline_class))
    except (PromptLabError, OSError):
        return None
