"""``promptlab effect``: does this word do anything? Wordings against seeds: a table, a plot, figures in MLflow."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import click

from promptlab.cli.context import open_lab, tracking_option, workspace_options
from promptlab.cli.inline_pictures import show_option, show_picture
from promptlab.cli.paths import elsewhere, shown_path
from promptlab.cli.progress import ProgressDisplay
from promptlab.cli.render.text import table
from promptlab.errors import InputError, UnknownValue
from promptlab.lab.history.rerun import RunOrImage
from promptlab.lab.preferences.prompt_effect import Estimate, PromptEffect, effect_in_words
from promptlab.records import RunRecord, plain
from promptlab.workspace import Workspace

__all__ = ["effect"]

_MOST = 28


@click.command()
@click.argument("ref", metavar="RUN|last")
@click.option(
    "--clip-model", envvar="PROMPTLAB_CLIP_MODEL", metavar="MODEL",
    help="A CLIP model, folder or Hub id: its distance is measured as well. [default: $PROMPTLAB_CLIP_MODEL]",
)  # fmt: skip
@click.option("--score", metavar="clip", help="'clip': the CLIP score of each wording against its own prompt, too.")
@click.option("--device", metavar="DEVICE", help="Where CLIP runs. [default: the first that is there]")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="As CSV: a line a wording, then a line a pair.")
@show_option
@workspace_options
@tracking_option
def effect(
    ref: str,
    clip_model: str | None,
    score: str | None,
    device: str | None,
    as_json: bool,
    as_csv: bool,
    show: bool | None,
    workspace: str | None,
    tracking_uri: str | None,
) -> None:
    """How much each wording of a run changes the picture, against how much the seed does.

    1 is as much as another seed does, 0 is nothing at all. The run needs two wordings or more at two seeds or more;
    from four seeds on an interval says how sure that is.

    \b
    promptlab run "a fox {|, masterpiece}" --seeds 0-7
    promptlab effect last
    """
    if score not in (None, "clip"):
        raise UnknownValue("--score", score, ["clip"])
    if score is not None and clip_model is None:
        raise InputError("--score", score, problem="needs a CLIP model", hint="--clip-model FOLDER_OR_ID")
    if as_json and as_csv:
        raise InputError("--csv", problem="is said beside --json", allowed="one of them")
    lab = open_lab(workspace, tracking_uri)
    source: RunOrImage = lab.history.find(ref)
    with ProgressDisplay(lab.workspace, tracking_uri=lab.tracking_uri) as progress:
        found = lab.effect(str(source.run.id), clip_model=clip_model, score=score is not None, device=device,
                           watch=progress)  # fmt: skip
    if as_json:
        click.echo(json.dumps(_told(found, source.run), indent=2, ensure_ascii=False))
    elif as_csv:
        click.echo(_csv(found, source.run), nl=False)
    else:
        show_picture(lab.workspace.effect(source.run.id), show)
        click.echo("\n".join(_lines(found, source.run, lab.workspace)))


def _lines(found: PromptEffect, run: RunRecord, workspace: Workspace) -> list[str]:
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


def _told(found: PromptEffect, run: RunRecord) -> dict[str, Any]:
    return plain(found) | {  # type: ignore[no-any-return]
        "wordings": [
            {"position": one.position, "label": one.variant.label, "prompt": one.variant.prompt,
             "says": {each.kind: effect_in_words(each.wordings[one.position].effect) for each in found.measured}}
            for one in run.variants
        ],
    }  # fmt: skip


def _csv(found: PromptEffect, run: RunRecord) -> str:
    """Long: a line for each kind of distance and wording, or pair of wordings."""
    written = io.StringIO()
    lines = csv.writer(written, lineterminator="\n")
    lines.writerow(("kind", "wording", "other", "effect", "low", "high", "distance", "clip_score", "says", "prompt"))

    def figures(effect: Estimate) -> tuple[float | None, ...]:
        return effect.value, effect.low, effect.high

    for each in found.measured:
        for one in each.wordings:
            score = found.scores[one.position] if found.scores else None
            prompt = run.variants[one.position].variant.prompt
            lines.writerow(
                (
                    each.kind,
                    one.position,
                    None,
                    *figures(one.effect),
                    one.words,
                    score,
                    effect_in_words(one.effect),
                    prompt,
                )
            )
        for pair in each.pairs:
            lines.writerow((each.kind, pair.before, pair.after, *figures(pair.effect), pair.distance, None,
                            effect_in_words(pair.effect), None))  # fmt: skip
    return written.getvalue()
