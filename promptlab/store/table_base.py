"""Declares what all tables have in common: names of constraints, and types of columns by kind.

Names follow one convention from the first revision on: alembic's batch mode can then find and change them in SQLite.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    DateTime,
    Dialect,
    Float,
    Integer,
    MetaData,
    String,
    Text,
    TypeDecorator,
)
from sqlalchemy.orm import DeclarativeBase, MappedColumn, mapped_column

from promptlab.specs.settings import Kind, Setting

if TYPE_CHECKING:
    from sqlalchemy.types import TypeEngine

__all__ = ["Base", "setting_column"]


class UtcDateTime(TypeDecorator[datetime]):
    """Stores a UTC-aware time: SQLite keeps no zone, so it is taken off and put back."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Return UTC without its zone."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Return the same, aware again."""
        return None if value is None else value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """Declares the naming convention, and the column types that Python's own stand for."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime,
        float: Float,
        int: Integer,
        dict[str, Any]: JSON,
        list[Any]: JSON,
    }


_SQL_TYPES: Final[Mapping[Kind, TypeEngine[Any]]] = {
    "text": Text(),
    "scheduler": Text(),
    "dtype": String(16),
    "whole": Integer(),
    "natural": Integer(),
    "batch": Integer(),
    "number": Float(),
    "seed": BigInteger(),
    "switch": Boolean(),
    "parts": JSON(none_as_null=True),
    "seeds": JSON(),
}
"""The type of a setting's column by its kind; kinds that are not here have none."""

_OTHERWISE: Final[Mapping[str, dict[str, Any]]] = {
    "model": {"nullable": False},
    "scheduler": {"index": True},
    "seeds": {"nullable": False},
    "asked_device": {"type_": String(32)},
    "generator_device": {"type_": String(32), "nullable": False},
}
"""What the first revision made otherwise. A column that is added later is nullable and of its kind's type."""


def setting_column(row: Setting) -> MappedColumn[Any]:
    """Return the column of a setting that has one.

    Raises:
        KeyError: for a setting of a kind that has no type of column.
    """
    facts = {"type_": _SQL_TYPES[row.kind], **_OTHERWISE.get(row.column or "", {})}
    return mapped_column(facts.pop("type_"), **facts)
