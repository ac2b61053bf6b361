"""Map the settings of a spec to columns of ``promptlab_runs`` and back, by the table of settings.

A setting whose row in :mod:`promptlab.specs.settings` names a column is written and read here without being named, so
a new one needs a migration and nothing else in this room. Three columns have no row: options of the scheduler, further
arguments of the call, and the machine's settings, a JSON object each. Plain values all: SQLAlchemy's rows, those of
plain SQL (:mod:`promptlab.store.rated_images`) and those that a migration reads have one meaning.

Invariant: ``spec_of(columns_of(spec), spec.variants) == spec`` for a spec whose batch size is a number.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Final

from promptlab.specs import (
    CallSpec,
    Embedding,
    Lora,
    MachineSpec,
    PipelineSpec,
    RunSpec,
    SchedulerSpec,
    Variant,
    options,
)
from promptlab.specs.settings import SETTINGS, Kind, Setting

__all__ = ["COLUMNS", "columns_of", "decoded", "select_list", "spec_of"]

_ROWS: Final[Mapping[str, Setting]] = {row.column: row for row in SETTINGS.values() if row.column is not None}
_OBJECTS: Final = ("scheduler_options", "call_arguments", "machine")
_JSON_KINDS: Final[frozenset[Kind]] = frozenset({"parts", "seeds"})

COLUMNS: Final = (*_ROWS, *_OBJECTS)
"""The columns of ``promptlab_runs`` that hold settings."""

_JSON: Final = frozenset({*_OBJECTS, *(name for name, row in _ROWS.items() if row.kind in _JSON_KINDS)})


def columns_of(spec: RunSpec) -> dict[str, Any]:
    """Return the columns that ``spec`` is written to; its variants are rows of their own."""
    scheduler = spec.pipeline.scheduler
    return {name: _written(row, row.value(spec)) for name, row in _ROWS.items()} | {
        "scheduler_options": dict(scheduler.options) if scheduler else {},
        "call_arguments": dict(spec.call.arguments),
        "machine": spec.machine.said or None,
    }


def spec_of(columns: Mapping[str, Any], variants: tuple[Variant, ...]) -> RunSpec:
    """Return the spec that was written to ``columns``.

    Args:
        columns: by name, JSON decoded; a column that is missing, in a database older than its setting, says nothing.
        variants: one or more.
    """
    parts: dict[str, dict[str, Any]] = {"pipeline": {}, "call": {}, "run": {}}
    for name, row in _ROWS.items():
        parts[row.part][row.sets[0]] = _read(row, columns.get(name))
    if (scheduler := parts["pipeline"]["scheduler"]) is not None:
        found = SchedulerSpec(name=scheduler, options=options(columns["scheduler_options"]))
        parts["pipeline"]["scheduler"] = found
    return RunSpec(
        pipeline=PipelineSpec(**parts["pipeline"]),
        call=CallSpec(**parts["call"], arguments=options(columns["call_arguments"])),
        variants=variants,
        machine=MachineSpec(**(columns.get("machine") or {})),
        **parts["run"],
    )


def select_list(table: str) -> str:
    """Return :data:`COLUMNS` of ``table`` as plain SQL selects them: JSON as text, in both databases."""
    return ", ".join(
        f"CAST({table}.{name} AS TEXT) AS {name}" if name in _JSON else f"{table}.{name}" for name in COLUMNS
    )


def decoded(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of plain SQL with the settings' JSON decoded, where a driver has not done it."""
    return {
        name: json.loads(value) if name in _JSON and isinstance(value, str) else value for name, value in row.items()
    }


def _written(row: Setting, value: Any) -> Any:
    match row.kind:
        case "scheduler":
            return value and value.name
        case "parts":
            return [dataclasses.asdict(each) for each in value] or None
        case "seeds":
            return list(value)
        case "switch":  # as it was before there were switches: nothing is said of one that is off
            return value or None
        case _:
            return value


def _read(row: Setting, value: Any) -> Any:
    match row.kind:
        case "parts":
            kind: type[Lora | Embedding] = Lora if row.name == "lora" else Embedding
            return tuple(kind(**each) for each in value or ())
        case "seeds":
            return tuple(value)
        case "switch":
            return bool(value)
        case _:
            return value
