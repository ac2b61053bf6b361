"""Renders how much each wording of a run changes the image: as lines, JSON and CSV. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from promptlab._csv import csv_text
from promptlab.cli.paths import elsewhere, shown_path
from promptlab.cli.render.csv import RAW, CsvForm
from promptlab.cli.render.layout import table
from promptlab.lab.preferences.prompt_effect import Estimate, PromptEffect, effect_in_words
from promptlab.records import RunRecord, plain
from promptlab.workspace import Workspace

__all__ = ["effect_csv", "effect_json", "effect_lines"]

_MOST = 28


def effect_lines(found: PromptEffect, run: RunRecord, workspace: Workspace) -> list[str]:
    """Return a table of the wordings, one of their pairs where there are several, and where the plot is."""
    from promptlab.lab.preferences.effect_report import estimate_text, label_of

    sure = "" if found.measured[0].wordings[0].effect.low is not None else "; four or more would say how sure it is"
    lines = [f"run {run.id}: {len(run.variants)} wordings at {len(found.seeds)} seeds{sure}", ""]
    names = ["EFFECT" if one.kind == "pixels" else f"{one.kind.upper()} EFFECT" for one in found.measured]
    scored = ["CLIP SCORE"] if found.scores else []
    rows = [
        (
            str(one.position),
            *(estimate_text(each.wordings[one.position].effect) for each in found.measured),
            *(f"{found.scores[one.position]:.1f}" for _ in scored),
            effect_in_words(found.measured[0].wordings[one.position].effect),
            label_of(run, one.position),
        )
        for one in run.variants
    ]
    lines += table(("", *names, *scored, "IN WORDS", "WORDING"), rows)
    pairs = found.measured[0].pairs
    if len(pairs) > 1:
        rows = [
            (
                f"{pair.before} and {pair.after}",
                *(estimate_text(each.pairs[at].effect) for each in found.measured),
                effect_in_words(pair.effect),
                f"{label_of(run, pair.before, limit=36)} | {label_of(run, pair.after, limit=36)}",
            )
            for at, pair in enumerate(pairs[:_MOST])
        ]
        lines += ["", *table(("TWO", *names, "IN WORDS", "WORDINGS"), rows)]
        if len(pairs) > _MOST:
            lines.append(f"… and {len(pairs) - _MOST} more: --csv")
    return [*lines, "", f"plot: {shown_path(workspace.effect(run.id))}", f"next: promptlab ui{elsewhere(workspace)}"]


def effect_json(found: PromptEffect, run: RunRecord) -> dict[str, Any]:
    """Return what was measured, and each wording with what its effect is called."""
    return plain(found) | {  # type: ignore[no-any-return]
        "wordings": [
            {"position": one.position, "label": one.variant.label, "prompt": one.variant.prompt,
             "says": {each.kind: effect_in_words(each.wordings[one.position].effect) for each in found.measured}}
            for one in run.variants
        ],
    }  # fmt: skip


def effect_csv(found: PromptEffect, run: RunRecord, form: CsvForm) -> str:
    """Return CSV in long form: a line for each kind of distance and wording, or pair of wordings."""
    return csv_text(_csv_rows(found, run), raw=form == RAW)


def _csv_rows(found: PromptEffect, run: RunRecord) -> Iterator[tuple[object, ...]]:
    yield "kind", "wording", "other", "effect", "low", "high", "distance", "clip_score", "says", "prompt"

    def figures(effect: Estimate) -> tuple[float | None, ...]:
        return effect.value, effect.low, effect.high

    for each in found.measured:
        for one in each.wordings:
            score = found.scores[one.position] if found.scores else None
            prompt = run.variants[one.position].variant.prompt
            yield (each.kind, one.position, None, *figures(one.effect), one.words, score, effect_in_words(one.effect),
                   prompt)  # fmt: skip
        for pair in each.pairs:
            yield (each.kind, pair.before, pair.after, *figures(pair.effect), pair.distance, None,
                   effect_in_words(pair.effect), None)  # fmt: skip
