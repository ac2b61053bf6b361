"""Writes what differs between the databases in plain SQL, so that each select is written once.

Statements bind ``:name``; all that SQLite and PostgreSQL both understand is said in what they have in common, and the
rest through a :class:`Dialect`: lists of numbers, a text within a text, times, and the full-text index.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

__all__ = ["Dialect", "PostgresqlDialect", "SqliteDialect", "utc_time"]

_SCRIPTS: Final = (
    r"[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3040-\u30ff"
    r"\u3130-\u318f\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]"
)
"""Thai, Lao, Burmese, Khmer, kana, Han, Hangul: words stand without blanks, or with particles at their ends."""


def utc_time(value: Any) -> datetime:
    """Return a time out of a row, aware again.

    SQLite gives text, others a time without its zone; both are UTC.
    """
    when: datetime = datetime.fromisoformat(value) if isinstance(value, str) else value
    return when.replace(tzinfo=UTC)


class Dialect(ABC):
    """Writes the parts of plain SQL in which one database differs from others.

    Attributes:
        ranked: the table ``matching`` (see :meth:`matching`) as ``ranked``, for a select that wants its first few rows.
    """

    ranked: ClassVar[str] = "matching ranked"

    @abstractmethod
    def numbers(self, name: str) -> str:
        """Return a select of the numbers in the JSON list that is bound as ``name``."""

    @abstractmethod
    def contains(self, text: str, part: str) -> str:
        """Return the condition that ``part`` stands in ``text``, letter for letter; both are expressions."""

    @abstractmethod
    def time(self, when: datetime) -> object:
        """Return a time as it is bound to be compared with a column."""

    def matching(self, words: Sequence[str], given: dict[str, Any]) -> str | None:
        """Return a select of the variants with all ``words``: ``variant_id``, and ``rank``, the least first.

        Whole words are asked of the index, from their beginnings; what is written without blanks is looked for in the
        texts themselves, because no index can take it apart.

        Args:
            given: what is bound; the words are added to it.

        Returns:
            ``None`` where no word is asked for.
        """
        whole = [word for word in words if not re.search(_SCRIPTS, word)]
        parts = [word for word in words if re.search(_SCRIPTS, word)]
        if not words:
            return None
        bound = {f"part{number}": part for number, part in enumerate(parts)}
        given.update(bound)
        return self._matching(whole, [f":{name}" for name in bound], given)

    @abstractmethod
    def _matching(self, whole: Sequence[str], parts: Sequence[str], given: dict[str, Any]) -> str: ...


class SqliteDialect(Dialect):
    """Writes SQL for SQLite, with FTS5.

    ``promptlab_search`` has a document for each variant, kept by triggers (migration 0004).
    """

    _WEIGHTS: Final[Mapping[str, int]] = {
        "prompt": 10, "negative_prompt": 3, "template": 1, "label": 3, "name": 5, "note": 5, "experiment": 3,
    }  # fmt: skip
    """What a word weighs, by the text it is in: a template names much that its variant has not become."""

    def numbers(self, name: str) -> str:
        """Use ``json_each``: it takes a list of any length; a statement takes 32,766 variables."""
        return f"SELECT value FROM json_each(:{name})"  # noqa: S608 - a name of ours

    def contains(self, text: str, part: str) -> str:
        """Use ``instr``, which counts from 1."""
        return f"instr({text}, {part}) > 0"

    def time(self, when: datetime) -> object:
        """Return text: SQLite keeps times as SQLAlchemy writes them."""
        return when.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")

    def _matching(self, whole: Sequence[str], parts: Sequence[str], given: dict[str, Any]) -> str:
        joined = " || char(10) || ".join(f"coalesce({column}, '')" for column in self._WEIGHTS)
        conditions = [self.contains(joined, part) for part in parts]
        rank = "0"
        if whole:
            given["match"] = " AND ".join('"' + word.replace('"', '""') + '"*' for word in whole)
            conditions.append("promptlab_search MATCH :match")
            rank = f"bm25(promptlab_search, {', '.join(map(str, self._WEIGHTS.values()))})"
        return (
            f"SELECT rowid AS variant_id, {rank} AS rank FROM promptlab_search "  # noqa: S608 - columns of ours
            f"WHERE {' AND '.join(conditions)}"
        )


class PostgresqlDialect(Dialect):
    """Writes SQL for PostgreSQL, with a ``tsvector`` for each variant in ``promptlab_search``.

    It is kept by triggers (migration 0004).

    Its four classes of weight hold the seven texts as :class:`SqliteDialect` weighs them: A the prompt, B the run's
    name and
    note, C negative prompt, label and experiment, D the template.
    """

    _WEIGHTS: Final = "'{0.1, 0.3, 0.5, 1.0}'"
    """Of D, C, B and A."""

    ranked = "(SELECT variant_id, rank FROM matching ORDER BY rank, variant_id DESC) ranked"
    """Sorted before it is joined: PostgreSQL then stops at the pictures that are asked for; SQLite would sort twice."""

    _BY_LENGTH: Final = 1
    """A word in a short text says more of it: the rank is divided by one more than the logarithm of the length."""

    def numbers(self, name: str) -> str:
        """Use ``json_array_elements_text``, for a list of any length."""
        return f"SELECT CAST(value AS bigint) FROM json_array_elements_text(CAST(:{name} AS json))"  # noqa: S608

    def contains(self, text: str, part: str) -> str:
        """Use ``strpos``, which counts from 1."""
        return f"strpos({text}, {part}) > 0"

    def time(self, when: datetime) -> object:
        """Return a time without a zone, which is UTC."""
        return when.astimezone(UTC).replace(tzinfo=None)

    def _matching(self, whole: Sequence[str], parts: Sequence[str], given: dict[str, Any]) -> str:
        conditions = [self.contains("search.texts", part) for part in parts]
        query, rank = "", "0"
        if whole:
            given |= {f"word{number}": word for number, word in enumerate(whole)}
            asked = " && ".join(f"promptlab_query(:word{number})" for number in range(len(whole)))
            query = f", (SELECT {asked} AS asked) query"
            conditions.append("search.words @@ query.asked")
            rank = f"-ts_rank({self._WEIGHTS}, search.words, query.asked, {self._BY_LENGTH})"
        return (
            f"SELECT search.variant_id, {rank} AS rank FROM promptlab_search search{query} "  # noqa: S608 - of ours
            f"WHERE {' AND '.join(conditions)}"
        )
