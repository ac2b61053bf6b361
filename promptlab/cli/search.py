"""Carries out ``promptlab search``: finds pictures by the words they were made of."""

from __future__ import annotations

import dataclasses
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from promptlab.cli.completing import complete_experiments
from promptlab.cli.context import open_lab, workspace_options
from promptlab.cli.output import echo
from promptlab.cli.param_types import ParsedType, integer
from promptlab.cli.render.csv import CsvForm, check_one_format, csv_lines, csv_options
from promptlab.cli.render.search_hits import hit_lines
from promptlab.cli.render.word_diff import Terminal
from promptlab.errors import InputError
from promptlab.records import plain
from promptlab.store.text_search import SearchHit, SearchQuery, words_of

__all__ = ["search"]

_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def _since(text: str) -> datetime:
    """Read a day, a time, or how long ago: UTC where nothing else is said."""
    if found := re.fullmatch(r"(\d{1,5})([hdw])", text):
        return datetime.now(UTC) - int(found[1]) * _UNITS[found[2]]
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(
            "--since", text, problem="is no time", allowed="a day (2026-01-31), a time, or 12h, 7d, 4w ago",
            hint="--since 7d",
        ) from None  # fmt: skip
    return when if when.tzinfo else when.replace(tzinfo=UTC)


@click.command()
@click.argument("words", nargs=-1, metavar="[WORDS]...")
@click.option("--seed", type=integer("--seed", "7"), metavar="N", help="Only this seed.")
@click.option("--model", metavar="NAME", help="Only models with this in their name.")
@click.option("--scheduler", metavar="NAME", help="Only schedulers with this in their name.")
@click.option("--vae", metavar="NAME", help="Only VAEs with this in their name.")
@click.option("--lora", metavar="NAME", help="Only LoRAs with this in their name.")
@click.option("--dtype", metavar="DTYPE", help="Only float32, float16 or bfloat16.")
@click.option("--steps", "num_inference_steps", type=integer("--steps", "20"), metavar="N", help="Only so many steps.")
@click.option("--experiment", metavar="NAME", shell_complete=complete_experiments, help="Only this experiment.")
@click.option("--rating", type=integer("--rating", "4"), metavar="N", help="Only with N stars or more.")
@click.option("--favourite", is_flag=True, help="Only favourites.")
@click.option(
    "--since", type=ParsedType("time", _since), metavar="WHEN", help="Made since: 2026-01-31, or 7d, 12h, 4w ago."
)
@click.option(
    "--limit", type=integer("--limit", "20"), default=20, show_default=True, help="At most so many; 0 for all."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@csv_options()
@workspace_options
def search(
    words: tuple[str, ...], limit: int, as_json: bool, as_csv: CsvForm | None, workspace: str | None, **typed: Any
) -> None:
    """Find pictures by their words: prompts, negative prompts, templates, labels, notes, names of runs.

    All WORDS have to be there, the best match first. A word is found from its beginning; "two words" in double quotes
    are a phrase. Without WORDS: the newest pictures that fit the options.

    \b
    promptlab search warrior rim light
    promptlab search fox --scheduler euler --rating 4 --since 7d
    promptlab search '"side profile"' --json
    """
    check_one_format(as_json=as_json, as_csv=as_csv)
    if limit < 0:
        raise InputError("--limit", limit, problem="is too small", allowed="0 (for all) or more", hint="--limit 20")
    if typed["rating"] is not None and not 1 <= typed["rating"] <= 5:
        raise InputError("--rating", typed["rating"], problem="is out of range", allowed="1 to 5", hint="--rating 4")
    wanted = words_of(words)
    if words and not wanted:
        raise InputError("WORDS", " ".join(words), problem="hold no letter", hint="promptlab search fox")
    found = open_lab(workspace).history.search(SearchQuery(words=wanted, limit=limit + 1 if limit else None, **typed))
    shown = found[:limit] if limit else found
    if as_json:
        echo(json.dumps([{"image": one.ref, **plain(one)} for one in shown], indent=2, ensure_ascii=False))
    elif as_csv:
        columns = ["image", *(field.name for field in dataclasses.fields(SearchHit))]
        echo(csv_lines(columns, ({"image": one.ref, **plain(one)} for one in shown), as_csv))
    elif shown:
        echo("\n".join(hit_lines(shown, wanted, Terminal.here())))
        if len(found) > len(shown):
            echo(f"the best {limit}; all of them: --limit 0")
    else:
        echo("nothing found" + (f" for {' '.join(words)}" if words else "") + "; promptlab list shows the runs")
