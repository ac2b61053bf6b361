"""Full-text search over words and notes, in plain SQL: which pictures were made of these words, the best match first.

The index (FTS5, made by migration 0004) has a document for each variant: prompt, negative prompt, template and label,
and its run's name, note and experiment. All words have to be there. A word is found from its beginning (``warr`` finds
*warrior*), whatever its case and accents; in scripts that write words together, or add particles to them, anywhere: the
index cannot take such words apart, so they are looked for in the documents. What is typed is text and never FTS5's
language: no sign in it can be an error.

As for the list (see :mod:`promptlab.store.glance`), SQLAlchemy would take longer to import than a search takes.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from promptlab.errors import StoreError
from promptlab.store.glance import connect_reading, is_readable

__all__ = ["Found", "Query", "search", "words_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is looked for; ``None`` and empty ask for nothing.

    Args:
        words: all of them; one in double quotes is a phrase.
        seed, num_inference_steps, dtype, experiment: exactly.
        model, vae, scheduler: a part of the name.
        rating: at least so many stars.
        favourite: only such.
        since: made then or later, UTC.
        limit: at most so many; ``None`` for all.
    """

    words: tuple[str, ...] = ()
    seed: int | None = None
    model: str | None = None
    scheduler: str | None = None
    vae: str | None = None
    dtype: str | None = None
    num_inference_steps: int | None = None
    experiment: str | None = None
    rating: int | None = None
    favourite: bool = False
    since: datetime | None = None
    limit: int | None = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One picture that was found, with what a line says of it."""

    run_id: int
    position: int
    seed: int
    stars: int | None
    favourite: bool
    prompt: str
    negative_prompt: str
    template: str | None
    label: str
    experiment: str
    note: str | None
    model: str
    vae: str | None
    scheduler: str | None
    num_inference_steps: int | None
    dtype: str | None
    path: str | None
    made_at: datetime | None

    @property
    def ref(self) -> str:
        """How the image is named on the command line: ``12/3``."""
        return f"{self.run_id}/{self.position}"


_SCRIPTS: Final = (
    r"[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3040-\u30ff"
    r"\u3130-\u318f\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]"
)
"""Thai, Lao, Burmese, Khmer, kana, Han, Hangul: words stand without blanks, or with particles at their ends."""

_TEXTS: Final = ("prompt", "negative_prompt", "template", "label", "name", "note", "experiment")

_RANK: Final = "bm25(promptlab_search, 10, 3, 1, 3, 5, 5, 3)"
"""What a word weighs, by the text it is in: a template names much that its variant has not become."""

_MATCHING: Final = "SELECT rowid AS variant_id, {rank} AS rank FROM promptlab_search WHERE {conditions}"

_COLUMNS: Final = """
    SELECT image.run_id, image.position, image.seed, rating.stars, coalesce(rating.favourite, 0) AS favourite,
           variant.prompt, variant.negative_prompt, variant.template, variant.label, run.experiment, run.note,
           run.model, run.vae, run.scheduler, run.num_inference_steps, run.dtype, image.path, image.made_at
"""
_RATED: Final = """
    LEFT JOIN promptlab_ratings rating ON rating.image_id = coalesce(image.linked_image_id, image.id)
"""


def search(database: Path, query: Query) -> tuple[Found, ...]:
    """The pictures that were made of ``query``'s words: the best match first, of equal ones the newest.

    Raises:
        WorkspaceError: when the file is no database, or not of this schema.
        StoreError: when it fails while it is read.
    """
    if not is_readable(database):
        return ()
    try:
        with closing(connect_reading(database)) as connection:
            connection.row_factory = sqlite3.Row
            return tuple(map(_found, connection.execute(*_statement(query))))
    except sqlite3.Error as error:
        raise StoreError(f"searching failed: {error}") from error


def words_of(typed: Sequence[str]) -> tuple[str, ...]:
    """The words to look for: what stands between blanks, or in double quotes; signs alone are none."""
    pieces = (
        quoted or plain for quoted, plain in re.findall(r'"([^"]*)"|([^\s"]+)', " ".join(typed).replace("\0", " "))
    )
    return tuple(piece for piece in pieces if re.search(r"\w", piece))


def _statement(query: Query) -> tuple[str, dict[str, Any]]:
    """The select, and what is bound in it. Whose words match is decided first, by the index; then whose pictures."""
    given: dict[str, Any] = {"limit": -1 if query.limit is None else query.limit}
    conditions = list(_filters(query, given))
    matching = _matching(query.words, given)
    if matching is None:
        order, source = "image.id DESC", "promptlab_images image"
    else:
        order = "matching.rank, image.id DESC"
        source = "matching JOIN promptlab_images image ON image.variant_id = matching.variant_id"
    start = "" if matching is None else f"WITH matching AS MATERIALIZED ({matching})"
    select = (
        f"{start} {_COLUMNS} FROM {source} JOIN promptlab_variants variant ON variant.id = image.variant_id "
        f"JOIN promptlab_runs run ON run.id = image.run_id {_RATED} "
        f"WHERE {' AND '.join(['image.status = :made', *conditions])} ORDER BY {order} LIMIT :limit"
    )
    return select, {**given, "made": "MADE"}


def _matching(words: Sequence[str], given: dict[str, Any]) -> str | None:
    """The variants that have all words, and how well; ``None`` where no word is asked for."""
    whole = [word for word in words if not re.search(_SCRIPTS, word)]
    conditions = []
    if whole:
        given["match"] = " AND ".join('"' + word.replace('"', '""') + '"*' for word in whole)
        conditions.append("promptlab_search MATCH :match")
    for number, word in enumerate(word for word in words if word not in whole):
        given[f"part{number}"] = word
        joined = " || char(10) || ".join(f"coalesce({column}, '')" for column in _TEXTS)
        conditions.append(f"instr({joined}, :part{number})")
    if not conditions:
        return None
    return _MATCHING.format(rank=_RANK if whole else "0", conditions=" AND ".join(conditions))


def _filters(query: Query, given: dict[str, Any]) -> Iterator[str]:
    for name, column in (("seed", "image.seed"), ("num_inference_steps", "run.num_inference_steps"),
                         ("dtype", "run.dtype"), ("experiment", "run.experiment")):  # fmt: skip
        if (value := getattr(query, name)) is not None:
            given[name] = value
            yield f"{column} = :{name}"
    for name in ("model", "vae", "scheduler"):
        if (value := getattr(query, name)) is not None:
            given[name] = value
            yield f"instr(lower(run.{name}), lower(:{name}))"
    if query.rating is not None:
        given["rating"] = query.rating
        yield "rating.stars >= :rating"
    if query.favourite:
        yield "rating.favourite"
    if query.since is not None:
        given["since"] = query.since.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
        yield "image.made_at >= :since"


def _found(row: sqlite3.Row) -> Found:
    made_at = row["made_at"] and datetime.fromisoformat(row["made_at"]).replace(tzinfo=UTC)
    return Found(**{**dict(row), "favourite": bool(row["favourite"]), "made_at": made_at})
