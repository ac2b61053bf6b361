"""Turns records into values that JSON can hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from promptlab.specs import RunSpec

__all__ = ["plain"]


def plain(record: object) -> Any:
    """Return a record as JSON can hold it.

    Dataclasses become objects, times ISO 8601, a spec its own ``to_dict``.
    """
    match record:
        case RunSpec():
            return record.to_dict()
        case datetime():
            return record.isoformat()
        case StrEnum():
            return record.value
        case Mapping():
            return {str(key): plain(value) for key, value in record.items()}
        case list() | tuple():
            return [plain(value) for value in record]
        case _ if dataclasses.is_dataclass(record):
            return {field.name: plain(getattr(record, field.name)) for field in dataclasses.fields(record)}
        case _:
            return record
