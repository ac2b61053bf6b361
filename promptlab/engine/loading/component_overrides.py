"""Finds components that ``from_pretrained`` must be handed: of a class that moved, or from elsewhere.

A class may have moved since the folder was written (``["wuerstchen", "PaellaVQModel"]``), while the pipeline's
constructor still names it; or its library may keep it to itself (transformers' ``T5GemmaEncoder``), and the pipeline
brings one of its own. And a decoder may leave its prior in a repository of its own, which its model card names.

Invariant: the model's own folder is never written to; what diffusers is shown instead is a folder of links.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Union, get_args, get_origin

from promptlab.engine.sources.files import INDEX, read_json

__all__ = ["folder_without", "relocated_classes"]


def relocated_classes(kind: Any, folder: Path) -> Mapping[str, Any]:
    """Return the classes of the parts that the index declares where they are not, by the part's name.

    Args:
        kind: the pipeline's class, whose constructor names the classes of its parts.
        folder: of the model.
    """
    found = {}
    for part, value in read_json(folder / INDEX).items():
        if not (isinstance(value, list) and len(value) == 2 and value[0]) or _is_defined(*value):
            continue
        parameter = inspect.signature(kind.__init__).parameters.get(part)
        for named in _classes(parameter.annotation) if parameter is not None else ():
            if named.__name__ == value[1]:
                found[part] = getattr(_package_of(kind), value[1], named)
    return found


@contextmanager
def folder_without(folder: Path, parts: Mapping[str, Any]) -> Iterator[Path]:
    """Yield a folder like ``folder`` without these parts and its model card; itself where there are none."""
    if not parts:
        yield folder
        return
    with TemporaryDirectory(prefix="promptlab-") as place:
        links = Path(place)
        for path in folder.iterdir():
            if path.name not in (INDEX, "README.md", *parts):
                (links / path.name).symlink_to(path.absolute(), target_is_directory=path.is_dir())
        index = {name: value for name, value in read_json(folder / INDEX).items() if name not in parts}
        (links / INDEX).write_text(json.dumps(index), encoding="utf-8")
        yield links


def _is_defined(library: str, name: str) -> bool:
    import diffusers
    import transformers
    from diffusers import pipelines

    homes = {"diffusers": diffusers, "transformers": transformers}
    home = homes[library] if library in homes else getattr(pipelines, library, None)
    return home is not None and hasattr(home, name)


def _package_of(kind: Any) -> Any:
    """Return a pipeline's package, which may have a class of its own beside the one its constructor names."""
    return import_module(kind.__module__.rpartition(".")[0])


def _classes(annotation: Any) -> tuple[type, ...]:
    inner = get_args(annotation) if get_origin(annotation) is Union or "|" in str(annotation) else (annotation,)
    return tuple(each for each in inner if isinstance(each, type))
