"""The JSON Schema of experiment files, by which editors complete and check them.

Invariant: whatever a file may hold, the schema lets pass, but for what only reading it can tell: templates, names that
the engine knows, lengths that must agree. Nothing here is heavy; pydantic is asked for when the schema is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final, Literal

from promptlab.expand.fields import FIELDS, Field
from promptlab.specs import AUTO, DTYPES, MAX_SEED

__all__ = ["ALSO", "TEXT", "Json", "field_schema", "fields_schema", "json_schema", "listed"]

Json = dict[str, Any]

TEXT: Final[Json] = {"type": "string"}
ALSO: Final = {name: field.name for field in FIELDS.values() for name in field.names if name != field.name}
"""Other names of fields, and the short ones."""

_DEFAULT: Final[Json] = {"const": "default"}
_WHOLE: Final[Json] = {"type": "integer", "minimum": 1}
_SIZE: Final[Json] = {"type": "string", "pattern": "^[0-9]+( *[xX×*] *[0-9]+)?$"}
_SEED: Final[Json] = {"type": "integer", "minimum": 0, "maximum": MAX_SEED}
_SCALAR: Final[Json] = {"type": ["string", "number", "boolean", "null"]}


def json_schema(*, schedulers: Iterable[str] = (), models: Iterable[str] = ()) -> dict[str, Any]:
    """The JSON Schema of an experiment file, draft 2020-12, for editors that complete and check.

    Args:
        schedulers: names to offer; others are allowed, too.
        models: likewise.
    """
    from promptlab.expand.experiment_file.model import File

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


def listed(schema: Json) -> Json:
    """One of it, or several."""
    return {"anyOf": [schema, {"type": "array", "items": schema, "minItems": 1}]}


def field_schema(field: Field) -> Json:
    """What may stand behind a field."""
    if field.kind == "whole":
        return {"anyOf": [_WHOLE, _DEFAULT]}
    if field.kind == "natural":
        return {"anyOf": [_SEED, _DEFAULT]}
    if field.kind == "seed":
        return {"anyOf": [_SEED, TEXT]}
    if field.kind == "parts":
        return listed(TEXT)
    if field.kind == "batch":
        return {"anyOf": [_WHOLE, {"const": AUTO}, _DEFAULT]}
    if field.kind == "switch":
        return {"enum": [True, False, "default"]}
    if field.kind == "number":
        return {"anyOf": [{"type": "number", "minimum": 0}, _DEFAULT]}
    if field.kind == "dtype":
        return {"enum": [*DTYPES, "default"]}
    if field.kind == "size":
        return {"anyOf": [_WHOLE, _SIZE, _DEFAULT]}
    if field.kind == "seeds":
        return listed({"anyOf": [_SEED, TEXT]})
    return listed(TEXT) if field.kind == "prompts" else dict(TEXT)


def fields_schema(kind: Literal["axes", "step", "exclude"]) -> Json:
    """A mapping of fields: to lists or ranges, to one value each, or to either."""

    def behind(schema: Json, *, numeric: bool) -> Json:
        if kind == "step":
            return schema
        value = {"anyOf": [schema, {"type": "null"}, *([TEXT] if numeric else [])]}
        several: Json = {"type": "array", "items": value, "minItems": 1}
        return {"anyOf": [several, *([value] if kind == "exclude" else [TEXT] if numeric else [])]}

    fields = {
        name: {**behind(field_schema(field), numeric=field.is_numeric), "description": field.help}
        for name, field in FIELDS.items()
    }
    argument = behind(_SCALAR, numeric=True)
    return {
        "type": "object",
        "properties": {**fields, **{also: fields[name] for also, name in ALSO.items()}},
        "patternProperties": {"^arguments\\.[A-Za-z_][A-Za-z0-9_]*$": argument},
        "additionalProperties": False,
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
    """``schema`` without the defaults and titles that pydantic adds to each key."""
    if isinstance(schema, list):
        return [_without_noise(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _without_noise(value)
        for key, value in schema.items()
        if key != "default" and not (key == "title" and isinstance(value, str))
    }
