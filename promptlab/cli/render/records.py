"""Renders a run and an image as lines for a terminal. Pure."""

from __future__ import annotations

from collections import Counter

from promptlab.cli.paths import shown_path
from promptlab.cli.render.layout import pairs, shown_time, table, value_text
from promptlab.cli.render.rating import rating_text
from promptlab.cli.render.scores import scores_text
from promptlab.cli.render.text import change_line, setting_pairs, verification_line
from promptlab.cli.render.truncation import truncation_lines
from promptlab.cli.render.warnings import flag_text, warning_lines
from promptlab.errors import one_line
from promptlab.records import ImageRecord, ImageStatus, Outcome, RunRecord
from promptlab.records.scorers import score_text
from promptlab.workspace import Workspace

__all__ = ["image_lines", "show_lines"]


def show_lines(run: RunRecord, workspace: Workspace) -> list[str]:
    """Return everything recorded about a run, in the order in which people ask for it."""
    title = " · ".join(part for part in (f"run {run.id}", run.name, run.status, run.experiment) if part)
    about = [
        ("note", run.note),
        ("taken in", None if run.origin is None else f"{run.origin.file}, made by {run.origin.program}"),
        ("error", run.error),
        ("sweep", None if run.sweep_id is None else " · ".join([str(run.sweep_id), *map(" ".join, run.sweep_values)])),
        ("made at", f"{shown_time(run.created_at)} UTC"),
        ("grid", shown_path(workspace.grid(run.id)) if workspace.grid(run.id).exists() else None),
        ("report", shown_path(workspace.report(run.id)) if workspace.report(run.id).exists() else None),
        ("images", _made_of(run)),
        ("verified", _verified_of(run)),
        ("seconds", _seconds(run)),
        ("peak memory", _memory(run.peak_memory)),
        (
            "MLflow",
            f"told at {shown_time(run.tracked_at)} UTC" if run.tracked_at else "not told yet; type: promptlab sync",
        ),
        ("uid", run.uid),
    ]
    lines = [title, *pairs(about), *(f"  {line}" for line in warning_lines(run))]
    if run.parent_run_id is not None:
        lines += ["", f"varied from {_origin(run)}", *(f"  {change_line(change)}" for change in run.changes)]
    if run.origin is not None and run.origin.lost:
        lines += ["", "not carried over", *(f"  {loss}" for loss in run.origin.lost)]
    lines += ["", "setting", *pairs(setting_pairs(run.spec, run.device, run.model_identity, run.vae_identity))]
    lines += ["", "variants"]
    for record in run.variants:
        variant = record.variant
        lines.append(f"  {record.position}  {variant.prompt}")
        details = [
            ("label", variant.label if variant.label != variant.prompt else None),
            ("negative", variant.negative_prompt or None),
            ("template", variant.template),
            ("replaced", variant.replacement),
            ("MLflow run", record.mlflow_run_id),
        ]
        lines += [f"   {line}" for line in pairs(details)]
    lines += ["", *truncation_lines(run.cut)] if run.cut else []
    lines += ["", "said of its weights", *(f"  {one_line(remark)}" for remark in run.remarks)] if run.remarks else []
    lines += ["", "images", *(f"  {line}" for line in _image_table(run))]
    lines += ["", "environment", *pairs([(name, value_text(value)) for name, value in run.environment.facts.items()])]
    return lines


def image_lines(run: RunRecord, image: ImageRecord, workspace: Workspace) -> list[str]:
    """Return everything recorded about one image."""
    variant = run.spec.variants[image.variant]
    size = None if image.width is None else f"{image.width}x{image.height}"
    place = (
        None
        if image.batch is None
        else f"batch {image.batch}, slot {image.slot} of {image.batch_size or run.spec.batch_size}"
    )
    fewer = f"asked for in batches of {run.spec.batch_size}: out of memory"
    again = f"in {image.decoded_in}, for in {run.spec.pipeline.dtype} nothing was to be seen"
    about = [
        ("file", None if image.path is None else shown_path(workspace.root / image.path)),
        ("prompt", variant.prompt),
        ("negative", variant.negative_prompt or None),
        ("seed", str(image.seed)),
        ("size", size),
        ("place", place),
        ("smaller", fewer if image.batch_size else None),
        (
            "decoded",
            again if image.decoded_in and not image.flag else image.decoded_in and f"in {image.decoded_in} too",
        ),
        ("seconds", None if image.seconds is None else f"{image.seconds:.3f}"),
        ("peak memory", _memory(image.peak_memory)),
        ("made at", None if image.made_at is None else f"{shown_time(image.made_at)} UTC"),
        ("look again", image.flag and f"it {flag_text(image.flag)}"),
        ("error", image.error),
        ("varied from", None if image.parent is None else f"image {_ref(image.parent)}"),
        ("same as", None if image.linked is None else f"image {_ref(image.linked)}, made before"),
        ("verified", _verified(image)),
        ("rated", rating_text(image)),
        ("scores", scores_text(image.scores)),
        ("recipe key", image.recipe_key),
        ("pixel sha256", image.pixel_sha256),
    ]
    lines = [f"image {image.ref} · {image.status} · run {run.id} · {run.experiment}", *pairs(about)]
    if run.changes:
        lines += ["", f"changed from run {run.parent_run_id}", *(f"  {change_line(change)}" for change in run.changes)]
    lines += ["", "setting", *pairs(setting_pairs(run.spec, run.device, run.model_identity, run.vae_identity))]
    lines += ["", "environment", *pairs([(name, value_text(value)) for name, value in run.environment.facts.items()])]
    return [*lines, "", f'next: promptlab rerun {image.ref} --append ", …"']


def _image_table(run: RunRecord) -> list[str]:
    names = sorted({name for image in run.images for name in image.scores})
    rows = [
        (
            image.ref,
            str(image.variant),
            str(image.seed),
            ("" if image.linked is None else f"= {_ref(image.linked)}")
            or image.status + (f" ({image.flag})" if image.flag else ""),
            "-" if image.batch is None else f"{image.batch}.{image.slot}",
            "-" if image.seconds is None else f"{image.seconds:.2f}",
            (image.pixel_sha256 or "-")[:12],
            "-" if image.verified is None else image.verified.outcome,
            "★" * (image.stars or 0) + ("♥" if image.favourite else "") or "-",
            *(score_text(name, image.scores[name]) if name in image.scores else "-" for name in names),
            "-" if image.parent is None else _ref(image.parent),
            image.error or image.path or "",
        )
        for image in run.images
    ]
    headers = ("IMAGE", "VARIANT", "SEED", "STATUS", "BATCH.SLOT", "SECONDS", "PIXELS", "VERIFIED", "RATED",
               *(name.upper() for name in names), "FROM", "FILE")  # fmt: skip
    return table(headers, rows, right=frozenset({1, 2, 5, *range(9, 9 + len(names))}))


def _made_of(run: RunRecord) -> str:
    counts = {status: sum(image.status is status for image in run.images) for status in ImageStatus}
    linked = len(run.made) - len(run.made_here)
    said = [f"{count} {status.lower()}" for status, count in counts.items() if count]
    return ", ".join(said) + (f", {linked} of them before" if linked else "")


def _verified(image: ImageRecord) -> str | None:
    found = image.verified
    if found is None:
        return None
    since = "; ".join(map(str, found.changes)) or "nothing that is recorded of the environment"
    causes = "" if found.outcome is Outcome.EXACT else f"; changed since it was made: {since}"
    return f"{verification_line(found)}, {shown_time(found.verified_at)} UTC{causes}"


def _verified_of(run: RunRecord) -> str | None:
    found = [image.verified for image in run.images if image.verified is not None]
    if not found:
        return None
    counts = Counter(one.outcome for one in found)
    tally = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome])
    return f"{tally} of {len(run.images)}, last {shown_time(max(one.verified_at for one in found))} UTC"


def _told(run: RunRecord) -> str:
    return f"told at {shown_time(run.tracked_at)} UTC" if run.tracked_at else "not told yet; type: promptlab sync"


def _seconds(run: RunRecord) -> str | None:
    parts = [
        (run.load_seconds, "loading"),
        (run.generate_seconds, "generating and saving"),
        (run.seconds_per_image, "an image"),
    ]
    return ", ".join(f"{seconds:.2f} {what}" for seconds, what in parts if seconds is not None) or None


def _origin(run: RunRecord) -> str:
    image = run.parent_image
    return f"run {run.parent_run_id}" if image is None else f"image {_ref(image)}"


def _ref(image: tuple[int, int]) -> str:
    return f"{image[0]}/{image[1]}"


def _memory(size: int | None) -> str | None:
    return None if size is None else f"{size / 2**20:,.0f} MiB"
