"""Makes the generated blocks of docs/reference/. ``make docs`` writes them, a test compares them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.house.readme import help_of

_WORDS = {"string": "text", "integer": "whole number", "object": "fields", "array": "list", "boolean": "true or false"}


def commands() -> str:
    """Return a section for every command: its name and its ``--help``."""
    from promptlab.cli import promptlab

    sections = [f"## promptlab\n\n{help_of('')}"]
    sections += [f"## promptlab {name}\n\n{help_of(name)}" for name in sorted(promptlab.list_commands(None))]
    return "\n".join(sections)


def experiment_fields() -> str:
    """Return a table of the fields of experiment files, from their JSON Schema."""
    from promptlab.expand.experiment_file.schema import json_schema

    lines = ["| field | values | means |", "| --- | --- | --- |"]
    for name, field in json_schema()["properties"].items():
        lines.append(f"| `{name}` | {', '.join(dict.fromkeys(_types(field)))} | {field.get('description', '')} |")
    return "\n".join(lines) + "\n"


def _types(field: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a field may be, in plain words; alternatives one after the other."""
    if "enum" in field:
        yield from (f"`{json.dumps(value)}`" for value in field["enum"])
    elif "type" in field:
        kind = field["type"]
        yield from (_WORDS.get(each, each) for each in ([kind] if isinstance(kind, str) else kind))
    for alternative in (*field.get("anyOf", ()), *field.get("oneOf", ())):
        yield from _types(alternative)
