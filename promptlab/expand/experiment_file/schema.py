"""Writes the JSON Schema of experiment files, by which editors complete and check them.

This module imports pydantic, and none imports it before the schema is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from promptlab.expand.experiment_file.field_schema import ALSO, TEXT
from promptlab.expand.experiment_file.model import File

__all__ = ["json_schema"]


def json_schema(*, schedulers: Iterable[str] = (), models: Iterable[str] = ()) -> dict[str, Any]:
    """Return the JSON Schema of an experiment file, draft 2020-12, for editors that complete and check.

    Args:
        schedulers: names to offer; others are allowed, too.
        models: likewise.
    """
    schema = _without_noise(File.model_json_schema())
    properties = schema["properties"]
    for also, name in ALSO.items():
        properties[also] = {**properties[name], "description": f"The same as {name}."}
    offers = {"scheduler": list(schedulers), "model": list(models)}
    for name, names in offers.items():
        if names:
            _offer(schema, name, names)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "PromptLab experiment",
        **{key: value for key, value in schema.items() if key != "$schema"},
    }


def _offer(schema: Any, name: str, names: list[str]) -> None:
    """Offer ``names`` wherever the field ``name`` is, in lists, too."""
    if isinstance(schema, dict):
        for key, inner in schema.items():
            if key == name and isinstance(inner, dict):
                text = json.dumps(inner)
                offer = json.dumps({"anyOf": [{"enum": names}, TEXT]})
                schema[key] = json.loads(text.replace('"type": "string"', offer.removeprefix("{").removesuffix("}")))
            else:
                _offer(inner, name, names)
    elif isinstance(schema, list):
        for inner in schema:
            _offer(inner, name, names)


def _without_noise(schema: Any) -> Any:
    """Return ``schema`` without the defaults and titles that pydantic adds to each key."""
    if isinstance(schema, list):
        return [_without_noise(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _without_noise(value)
        for key, value in schema.items()
        if key != "default" and not (key == "title" and isinstance(value, str))
    }
