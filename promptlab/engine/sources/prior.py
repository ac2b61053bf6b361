"""Finds the prior of a decoder that lies in a repository of its own, by the name in the model card.

Kandinsky's, Wuerstchen's and Stable Cascade's decoders draw what a prior has thought of. diffusers' combined pipelines
take both, and find the prior by ``prior:`` in the front matter of the decoder's ``README.md``.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from promptlab.engine.sources.auto_pipeline import text_to_image_class
from promptlab.errors import InputError

__all__ = ["CARD", "lacks_prior", "read_prior_id"]

CARD: Final = "README.md"
_PREFIX: Final = "prior_"
_MADE_OF_TWO: Final = ("Kandinsky", "StableCascade", "Wuerstchen")
"""Whose classes are looked at: importing diffusers takes seconds, and other families have no priors."""


def lacks_prior(index: Mapping[str, Any]) -> bool:
    """Tell whether the model with this ``model_index.json`` needs a prior that it does not hold."""
    name = index.get("_class_name")
    if not (isinstance(name, str) and name.startswith(_MADE_OF_TWO)):
        return False
    kind = text_to_image_class(name)
    if kind is None or not getattr(kind, "_load_connected_pipes", False):
        return False
    return any(part.startswith(_PREFIX) and part not in index for part in inspect.signature(kind.__init__).parameters)


def read_prior_id(folder: Path, name: str) -> str:
    """Read the Hub id of the prior from the card in ``folder``.

    Raises:
        InputError: when it names none.
    """
    import yaml

    try:
        text = (folder / CARD).read_text(encoding="utf-8")
        _, front, _ = re.split(r"-{3}\n", text, maxsplit=2)
        value = yaml.safe_load(front).get("prior")
        return str(value[0] if isinstance(value, list) else value.strip())
    except (OSError, ValueError, AttributeError, IndexError, TypeError, yaml.YAMLError) as error:
        raise InputError(
            "model", name, problem=f"needs a prior, which no {CARD} of it names",
            allowed="a folder with the prior's parts in it, or the model as the Hub has it", hint="promptlab models",
        ) from error  # fmt: skip
