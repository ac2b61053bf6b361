"""Reads what Civitai adds to an infotext: ``Civitai resources``, models as unquoted JSON.

An entry is ``{"type": "lora", "weight": 0.65, "modelVersionId": 7, "modelName": "…", "modelVersionName": "…"}``; older
ones name a number or an AIR alone (``urn:air:sdxl:lora:civitai:200@300``). A name that is given is taken; the version
is among the gaps, because weights are found by name here.
"""

from __future__ import annotations

import json
from typing import Any, Final

from promptlab.images.foreign.record import as_int, brief, cleaned
from promptlab.images.foreign.spec_builder import SpecBuilder

__all__ = ["FIELDS", "RESOURCES", "take_resources"]

RESOURCES: Final = "Civitai resources"
FIELDS: Final = (RESOURCES, "Civitai metadata")
_LORAS: Final = ("lora", "locon", "lycoris", "dora", "loha", "lokr")
_MODELS: Final = ("checkpoint", "model")
_BY_NAME: Final = "weights are found by name here"
_MOST: Final = 100


def take_resources(builder: SpecBuilder, written: str) -> None:
    """Take the model and the LoRAs that ``written`` lists; all else of it is a gap."""
    try:
        plain = json.loads(written)
    except (ValueError, RecursionError):
        plain = None
    if not isinstance(plain, list):
        builder.record_gaps([(RESOURCES, written)], why="is no list of models")
        return
    for each in plain[:_MOST]:
        if isinstance(each, dict):
            _take(builder, each)
        else:
            builder.record_gap(RESOURCES, each, "names no model")


def _take(builder: SpecBuilder, entry: dict[str, Any]) -> None:
    kind = cleaned(entry.get("type")).strip().lower()
    name = cleaned(entry.get("modelName") or entry.get("air")).strip()
    version = as_int(entry.get("modelVersionId"))
    about = ", ".join(
        part for part in (
            name, cleaned(entry.get("modelVersionName")).strip(), "" if version is None else f"version {version}",
            brief(entry["weight"]) if "weight" in entry else "",
        ) if part
    )  # fmt: skip
    if kind in _MODELS and name and not builder.model:
        builder.set_model(RESOURCES, name)
        builder.record_gap(f"{RESOURCES} {kind}", about, _BY_NAME)
    elif kind in _LORAS and name:
        builder.add_lora(f"{RESOURCES} {kind}", name, entry.get("weight"))
        builder.record_gap(f"{RESOURCES} {kind}", about, _BY_NAME)
    else:
        why = "is not named, and numbers of Civitai's are not looked up" if not name else "is not loaded here"
        if kind in _MODELS and name:
            why = _BY_NAME
        builder.record_gap(f"{RESOURCES} {kind}".strip(), about or entry, why)
