"""Searches words and notes in full text, in plain SQL: the images of these words, best match first.

The index (made by migration 0004: FTS5 in SQLite, ``tsvector`` in PostgreSQL) has a document for each variant: prompt,
negative prompt, template and label, and its run's name, note and experiment. All words have to be there. A word is
found from its beginning (``warr`` finds *warrior*), whatever its case and accents; in scripts that write words
together, or add particles to them, anywhere: the index cannot take such words apart, so they are looked for in the
documents. What is typed is text and never the index's language: no sign in it can be an error.

How words are asked for is the business of :mod:`promptlab.store.dialects`; this module asks whose pictures they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from promptlab.store.database import Database
from promptlab.store.dialects import Dialect, utc_time
from promptlab.store.readonly import NO_LIMIT

__all__ = ["SearchHit", "SearchQuery", "search", "words_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchQuery:
    """Says what is looked for; ``None`` and empty ask for nothing.

    Args:
        words: all of them; one in double quotes is a phrase.
        seed, num_inference_steps, dtype, experiment: exactly.
        model, vae, scheduler, lora: a part of the name.
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
    lora: str | None = None
    dtype: str | None = None
    num_inference_steps: int | None = None
    experiment: str | None = None
    rating: int | None = None
    favourite: bool = False
    since: datetime | None = None
    limit: int | None = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchHit:
    """Holds one image that was found, with what a line says of it."""

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
        """Return how the image is named on the command line: ``12/3``."""
        return f"{self.run_id}/{self.position}"


_SELECT: Final = """
    WITH {matching} best AS (
        SELECT image.id, {rank} AS rank FROM {source} WHERE {conditions} ORDER BY {order}image.id DESC LIMIT :limit
    )
    SELECT image.run_id, image.position, image.seed, rating.stars, coalesce(rating.favourite, false) AS favourite,
           variant.prompt, variant.negative_prompt, variant.template, variant.label, run.experiment, run.note,
           run.model, run.vae, run.scheduler, run.num_inference_steps, run.dtype, image.path, image.made_at
    FROM best JOIN promptlab_images image ON image.id = best.id
    JOIN promptlab_variants variant ON variant.id = image.variant_id
    JOIN promptlab_runs run ON run.id = image.run_id {rated}
    ORDER BY best.rank, image.variant_id DESC, best.id DESC
"""
"""Which pictures, from the narrowest tables that can tell; then what is said of the few that are shown.

A newer picture is of a newer variant, so of equal ones the newest come first either way; sorted by variants, though, a
database need not look at more pictures than it gives.
"""

_RUN: Final = "JOIN promptlab_runs run ON run.id = image.run_id"
_RATED: Final = "LEFT JOIN promptlab_ratings rating ON rating.image_id = coalesce(image.linked_image_id, image.id)"


def search(database: Database, query: SearchQuery) -> tuple[SearchHit, ...]:
    """Find the images that were made of ``query``'s words: best match first, of equal ones the newest.

    Raises:
        WorkspaceError: when it is no database, or not of this schema.
        StoreError: when it fails while it is read.
    """
    if not database.is_readable():
        return ()
    with database.reading("searching") as reading:
        return tuple(map(_found, reading.rows(*_statement(query, reading.dialect))))


def words_of(typed: Sequence[str]) -> tuple[str, ...]:
    """Return the words to look for: between blanks, or in double quotes; signs alone are none."""
    pieces = (
        quoted or plain for quoted, plain in re.findall(r'"([^"]*)"|([^\s"]+)', " ".join(typed).replace("\0", " "))
    )
    return tuple(piece for piece in pieces if re.search(r"[^\W_]", piece))


def _statement(query: SearchQuery, dialect: Dialect) -> tuple[str, dict[str, Any]]:
    """Return the select, and what is bound in it.

    Which variants match is decided first, by the index; then which images.
    """
    given: dict[str, Any] = {"limit": NO_LIMIT if query.limit is None else query.limit, "made": "MADE"}
    conditions = ["image.status = :made", *_filters(query, dialect, given)]
    matching = dialect.matching(query.words, given)
    source = "promptlab_images image"
    if matching is not None:
        source = f"{dialect.ranked} JOIN {source} ON image.variant_id = ranked.variant_id"
    for table, join in (("run.", _RUN), ("rating.", _RATED)):
        if any(table in condition for condition in conditions):
            source += f" {join}"
    select = _SELECT.format(
        matching="" if matching is None else f"matching AS MATERIALIZED ({matching}),",
        rank="0" if matching is None else "ranked.rank",
        order="" if matching is None else "ranked.rank, ranked.variant_id DESC, ",
        source=source,
        conditions=" AND ".join(conditions),
        rated=_RATED,
    )
    return select, given


def _filters(query: SearchQuery, dialect: Dialect, given: dict[str, Any]) -> Iterator[str]:
    for name, column in (("seed", "image.seed"), ("num_inference_steps", "run.num_inference_steps"),
                         ("dtype", "run.dtype"), ("experiment", "run.experiment")):  # fmt: skip
        if (value := getattr(query, name)) is not None:
            given[name] = value
            yield f"{column} = :{name}"
    for name, text in (("model", "run.model"), ("vae", "run.vae"), ("scheduler", "run.scheduler"),
                       ("lora", "CAST(run.loras AS TEXT)")):  # fmt: skip
        if (value := getattr(query, name)) is not None:
            given[name] = value
            yield dialect.contains(f"lower({text})", f"lower(:{name})")
    if query.rating is not None:
        given["rating"] = query.rating
        yield "rating.stars >= :rating"
    if query.favourite:
        yield "rating.favourite"
    if query.since is not None:
        given["since"] = dialect.time(query.since)
        yield "image.made_at >= :since"


def _found(row: dict[str, Any]) -> SearchHit:
    return SearchHit(
        **{**row, "favourite": bool(row["favourite"]), "made_at": row["made_at"] and utc_time(row["made_at"])}
    )
