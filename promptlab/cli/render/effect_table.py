"""Renders how much wordings, or settings of a sweep, change the image: as lines, JSON and CSV. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from promptlab._csv import csv_text
from promptlab.cli.paths import elsewhere, shown_path
from promptlab.cli.render.csv import RAW, CsvForm
from promptlab.cli.render.layout import table
from promptlab.errors import one_line
from promptlab.lab.preferences.prompt_effect import (
    Estimate,
    GroupEffect,
    PairEffect,
    PromptEffect,
    SettingEffect,
    SweepEffect,
    effect_in_words,
)
from promptlab.records import RunRecord, plain
from promptlab.workspace import Workspace

__all__ = ["effect_csv", "effect_json", "effect_lines", "sweep_effect_csv", "sweep_effect_json", "sweep_effect_lines"]

_MOST = 28


def effect_lines(found: PromptEffect, run: RunRecord, workspace: Workspace) -> list[str]:
    """Return a table of the wordings, one of their pairs where there are several, and where the plot is."""
    from promptlab.lab.preferences.effect_report import label_of

    names = [label_of(run, one.position) for one in run.variants]
    lines = [f"run {run.id}: {len(run.variants)} wordings at {len(found.seeds)} seeds{_sure(found)}", ""]
    lines += [*_tables(found, names, "WORDING"), "", f"plot: {shown_path(workspace.effect(run.id))}"]
    if run.sweep_id is not None:
        lines.append(f"what the settings of its sweep do: promptlab effect sweep:{run.sweep_id}{elsewhere(workspace)}")
    return [*lines, f"next: promptlab ui{elsewhere(workspace)}"]


def sweep_effect_lines(found: SweepEffect, workspace: Workspace) -> list[str]:
    """Return the tables of each setting, with where its plot is, and what could not be compared."""
    lines: list[str] = []
    for one in found.settings:
        mean = f", the mean over {one.circumstances} combinations of wording and other settings"
        said = f"sweep {found.sweep_id}: {len(one.values)} values of {one.name} at {len(one.seeds)} seeds"
        said += mean * (one.circumstances > 1) + _sure(one)
        lines += [said, "", *_tables(one, one.values, one.name.upper()), ""]
        lines += [f"plot: {shown_path(workspace.sweep_effect(found.sweep_id, one.name))}", ""]
    lines += [f"left out: {said}" for said in found.left_out]
    return [*lines, f"next: promptlab open sweep:{found.sweep_id} --report{elsewhere(workspace)}"]


def _sure(found: PromptEffect | SettingEffect) -> str:
    first = found.measured[0].wordings[0].effect
    return "; four or more would say how sure it is" if first.value is not None and first.low is None else ""


def _tables(found: PromptEffect | SettingEffect, names: Sequence[str], noun: str) -> list[str]:
    """Return a table of the groups, and one of their pairs where there are several."""
    from promptlab.lab.preferences.effect_report import estimate_text

    effects = ["EFFECT" if one.kind == "pixels" else f"{one.kind.upper()} EFFECT" for one in found.measured]
    scored = ["CLIP SCORE"] if found.scores else []
    psnr = ["PSNR"] if isinstance(found, SettingEffect) else []
    rows = [
        (
            str(one.position),
            *(estimate_text(each.wordings[one.position].effect) for each in found.measured),
            *(_decibels(one) for _ in psnr),
            *(f"{found.scores[one.position]:.1f}" for _ in scored),
            effect_in_words(one.effect),
            one_line(names[one.position], limit=60),
        )
        for one in found.measured[0].wordings
    ]
    lines = table(("", *effects, *psnr, *scored, "IN WORDS", noun), rows)
    pairs = found.measured[0].pairs
    if len(pairs) < 2:
        return lines
    rows = [
        (
            f"{pair.before} and {pair.after}",
            *(estimate_text(each.pairs[at].effect) for each in found.measured),
            *(_decibels(pair) for _ in psnr),
            effect_in_words(pair.effect),
            " | ".join(one_line(names[place], limit=36) for place in (pair.before, pair.after)),
        )
        for at, pair in enumerate(pairs[:_MOST])
    ]
    lines += ["", *table(("TWO", *effects, *psnr, "IN WORDS", "VALUES" if psnr else "WORDINGS"), rows)]
    return lines if len(pairs) <= _MOST else [*lines, f"… and {len(pairs) - _MOST} more: --csv"]


def _decibels(one: GroupEffect | PairEffect) -> str:
    return "-" if one.psnr is None else f"{one.psnr:.1f} dB"


def effect_json(found: PromptEffect, run: RunRecord) -> dict[str, Any]:
    """Return what was measured, and each wording with what its effect is called."""
    return plain(found) | {  # type: ignore[no-any-return]
        "wordings": [
            {"position": one.position, "label": one.variant.label, "prompt": one.variant.prompt,
             "says": _says(found, one.position)}
            for one in run.variants
        ],
    }  # fmt: skip


def sweep_effect_json(found: SweepEffect) -> dict[str, Any]:
    """Return what was measured of each setting, and each value with what its effect is called."""
    settings = [
        plain(one)
        | {"values": [{"position": at, "value": value, "says": _says(one, at)} for at, value in enumerate(one.values)]}
        for one in found.settings
    ]
    return plain(found) | {"settings": settings}  # type: ignore[no-any-return]


def _says(found: PromptEffect | SettingEffect, position: int) -> dict[str, str]:
    return {each.kind: effect_in_words(each.wordings[position].effect) for each in found.measured}


def effect_csv(found: PromptEffect, run: RunRecord, form: CsvForm) -> str:
    """Return CSV in long form: a line for each kind of distance and wording, or pair of wordings."""
    head = ("kind", "wording", "other", "effect", "low", "high", "distance", "clip_score", "says", "prompt")
    prompts = [one.variant.prompt for one in run.variants]
    return csv_text([head, *(row for row, _ in _csv_rows(found, prompts))], raw=form == RAW)


def sweep_effect_csv(found: SweepEffect, form: CsvForm) -> str:
    """Return CSV in long form: a line for each setting, kind of distance and value, or pair of values."""
    head = ("setting", "kind", "position", "other", "effect", "low", "high", "distance", "clip_score", "says", "value",
            "psnr")  # fmt: skip
    rows = ((one.name, *row, psnr) for one in found.settings for row, psnr in _csv_rows(one, one.values))
    return csv_text([head, *rows], raw=form == RAW)


def _csv_rows(
    found: PromptEffect | SettingEffect, names: Sequence[str]
) -> Iterator[tuple[tuple[object, ...], float | None]]:
    """Yield the cells of each group and pair, and its PSNR."""

    def figures(effect: Estimate) -> tuple[float | None, ...]:
        return effect.value, effect.low, effect.high

    for each in found.measured:
        for one in each.wordings:
            score = found.scores[one.position] if found.scores else None
            yield (each.kind, one.position, None, *figures(one.effect), one.words, score, effect_in_words(one.effect),
                   names[one.position]), one.psnr  # fmt: skip
        for pair in each.pairs:
            yield (each.kind, pair.before, pair.after, *figures(pair.effect), pair.distance, None,
                   effect_in_words(pair.effect), None), pair.psnr  # fmt: skip
