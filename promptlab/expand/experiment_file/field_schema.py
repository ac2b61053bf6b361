"""Writes the JSON Schema of what may stand behind each setting, from the table of settings.

Invariant: whatever a file may hold, the schema lets pass, but for what only reading it can tell: templates, names that
the engine knows, lengths that must agree. Nothing here is heavy.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from promptlab.expand.seeds import MAX_LONG_SEED
from promptlab.specs import AUTO, DTYPES, MAX_SEED
from promptlab.specs.settings import SETTINGS, Setting

__all__ = ["ALSO", "TEXT", "Json", "fields_schema", "listed", "setting_schema"]

Json = dict[str, Any]

TEXT: Final[Json] = {"type": "string"}
ALSO: Final = {name: row.name for row in SETTINGS.values() for name in sorted(row.names) if name != row.name}
"""Other names of settings, and the short ones."""

_DEFAULT: Final[Json] = {"const": "default"}
_WHOLE: Final[Json] = {"type": "integer", "minimum": 1}
_SIZE: Final[Json] = {"type": "string", "pattern": "^[0-9]+( *[xX×*] *[0-9]+)?$"}
_NATURAL: Final[Json] = {"type": "integer", "minimum": 0, "maximum": MAX_SEED}
_SEED: Final[Json] = {"type": "integer", "minimum": 0, "maximum": MAX_LONG_SEED}
_SCALAR: Final[Json] = {"type": ["string", "number", "boolean", "null"]}


def listed(schema: Json) -> Json:
    """Allow one of it, or several."""
    return {"anyOf": [schema, {"type": "array", "items": schema, "minItems": 1}]}


def setting_schema(row: Setting) -> Json:
    """Return the schema of what may stand behind a setting."""
    if row.kind == "whole":
        return {"anyOf": [_WHOLE, _DEFAULT]}
    if row.kind == "natural":
        return {"anyOf": [_NATURAL, _DEFAULT]}
    if row.kind == "seed":
        return {"anyOf": [_SEED, TEXT]}
    if row.kind == "parts":
        return listed(TEXT)
    if row.kind == "batch":
        return {"anyOf": [_WHOLE, {"const": AUTO}, _DEFAULT]}
    if row.kind == "switch":
        return {"enum": [True, False, "default"]}
    if row.kind == "number":
        return {"anyOf": [{"type": "number", "minimum": row.minimum or 0}, _DEFAULT]}
    if row.kind == "dtype":
        return {"enum": [*DTYPES, AUTO, "default"]}
    if row.kind == "size":
        return {"anyOf": [_WHOLE, _SIZE, _DEFAULT]}
    if row.kind == "seeds":
        return listed({"anyOf": [_SEED, TEXT]})
    return listed(TEXT) if row.kind == "prompts" else dict(TEXT)


def fields_schema(kind: Literal["axes", "step", "exclude"]) -> Json:
    """Return the schema of a mapping of settings: to lists or ranges, to one value each, or to either."""

    def behind(schema: Json, *, numeric: bool) -> Json:
        if kind == "step":
            return schema
        value = {"anyOf": [schema, {"type": "null"}, *([TEXT] if numeric else [])]}
        several: Json = {"type": "array", "items": value, "minItems": 1}
        return {"anyOf": [several, *([value] if kind == "exclude" else [TEXT] if numeric else [])]}

    fields = {
        name: {**behind(setting_schema(row), numeric=row.is_numeric), "description": row.help}
        for name, row in SETTINGS.items()
    }
    argument = behind(_SCALAR, numeric=True)
    return {
        "type": "object",
        "properties": {**fields, **{also: fields[name] for also, name in ALSO.items()}},
        "patternProperties": {"^arguments\\.[A-Za-z_][A-Za-z0-9_]*$": argument},
        "additionalProperties": False,
    }
