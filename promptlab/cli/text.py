"""Records as lines of text: what a run, a picture and a sweep look like in a terminal. Pure."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from promptlab.cli.odd_text import odd_lines
from promptlab.cli.places import shown_path
from promptlab.errors import one_line
from promptlab.expand import show_seeds
from promptlab.expand.steering import steering_of
from promptlab.expand.words import marked, word_diff
from promptlab.records import ImageRecord, ImageStatus, Outcome, RunRecord, RunStatus, RunSummary, Verification
from promptlab.spec import Change, RunSpec
from promptlab.workspace import Workspace

__all__ = [
    "change_line",
    "counted",
    "image_lines",
    "judgement",
    "or_dash",
    "pairs",
    "setting_pairs",
    "show_lines",
    "shown_width",
    "summary_lines",
    "table",
    "verification_line",
]


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, right: frozenset[int] = frozenset()) -> list[str]:
    """Aligned columns, two blanks apart. Wide characters count as two; columns in ``right`` are flush right."""
    cells = [list(headers), *(list(row) for row in rows)]
    widths = [max(shown_width(row[at]) for row in cells) for at in range(len(headers))]
    lines = []
    for row in cells:
        padded = [
            " " * (width - shown_width(cell)) + cell if at in right else cell + " " * (width - shown_width(cell))
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(padded).rstrip())
    return lines


def shown_width(text: str) -> int:
    """Columns that ``text`` takes in a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def summary_lines(summaries: Sequence[RunSummary]) -> list[str]:
    """``promptlab list``: a line a run."""
    rows = [
        (
            str(run.id),
            _when(run.created_at),
            one_line(run.experiment, limit=20),
            run.status + ("" if run.tracked or run.status is RunStatus.RUNNING else " (unsynced)"),
            f"{run.made}/{run.images}",
            _short_scheduler(run.scheduler),
            or_dash(run.num_inference_steps),
            or_dash(run.dtype),
            one_line(Path(run.model).name or run.model, limit=24),
            "-" if run.seconds_per_image is None else f"{run.seconds_per_image:.2f}",
            or_dash(run.parent_run_id),
            one_line(run.name or run.prompt, limit=60) + (f" (+{run.variants - 1})" if run.variants > 1 else ""),
        )
        for run in summaries
    ]
    headers = ("RUN", "MADE AT (UTC)", "EXPERIMENT", "STATUS", "IMAGES", "SCHEDULER", "STEPS", "DTYPE", "MODEL",
               "S/IMAGE", "FROM", "PROMPT")  # fmt: skip
    return table(headers, rows, right=frozenset({0, 4, 6, 9, 10}))


def show_lines(run: RunRecord, workspace: Workspace) -> list[str]:
    """``promptlab show RUN``: everything recorded, in the order in which people ask for it."""
    title = " · ".join(part for part in (f"run {run.id}", run.name, run.status, run.experiment) if part)
    about = [
        ("note", run.note),
        ("taken in", None if run.origin is None else f"{run.origin.file}, made by {run.origin.program}"),
        ("error", run.error),
        ("sweep", None if run.sweep_id is None else " · ".join([str(run.sweep_id), *map(" ".join, run.sweep_values)])),
        ("made at", f"{_when(run.created_at)} UTC"),
        ("grid", shown_path(workspace.grid(run.id)) if workspace.grid(run.id).exists() else None),
        ("report", shown_path(workspace.report(run.id)) if workspace.report(run.id).exists() else None),
        ("images", _made_of(run)),
        ("verified", _verified_of(run)),
        ("seconds", _seconds(run)),
        ("peak memory", _memory(run.peak_memory)),
        ("MLflow", f"told at {_when(run.tracked_at)} UTC" if run.tracked_at else "not told yet; type: promptlab sync"),
        ("uid", run.uid),
    ]
    lines = [title, *pairs(about), *(f"  {line}" for line in odd_lines(run))]
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
    lines += ["", "images", *(f"  {line}" for line in _image_table(run))]
    lines += ["", "environment", *pairs([(name, _plainly(value)) for name, value in run.environment.facts.items()])]
    return lines


def image_lines(run: RunRecord, image: ImageRecord, workspace: Workspace) -> list[str]:
    """``promptlab show IMAGE``: everything recorded about one picture."""
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
        ("decoded", again if image.decoded_in else None),
        ("seconds", None if image.seconds is None else f"{image.seconds:.3f}"),
        ("peak memory", _memory(image.peak_memory)),
        ("made at", None if image.made_at is None else f"{_when(image.made_at)} UTC"),
        ("look again", image.flag),
        ("error", image.error),
        ("varied from", None if image.parent is None else f"image {_ref(image.parent)}"),
        ("same as", None if image.linked is None else f"image {_ref(image.linked)}, made before"),
        ("verified", _verified(image)),
        ("rated", judgement(image)),
        ("recipe key", image.recipe_key),
        ("pixel sha256", image.pixel_sha256),
    ]
    lines = [f"image {image.ref} · {image.status} · run {run.id} · {run.experiment}", *pairs(about)]
    if run.changes:
        lines += ["", f"changed from run {run.parent_run_id}", *(f"  {change_line(change)}" for change in run.changes)]
    lines += ["", "setting", *pairs(setting_pairs(run.spec, run.device, run.model_identity, run.vae_identity))]
    lines += ["", "environment", *pairs([(name, _plainly(value)) for name, value in run.environment.facts.items()])]
    return [*lines, "", f'next: promptlab rerun {image.ref} --append ", …"']


def judgement(image: ImageRecord) -> str | None:
    """What was thought of a picture: ``4 of 5 stars · favourite · 3 votes won, 1 lost``."""
    said = (
        None if image.stars is None else f"{image.stars} of 5 stars",
        "favourite" if image.favourite else None,
        f"{counted(image.votes_won, 'vote')} won, {image.votes_lost} lost"
        if image.votes_won or image.votes_lost
        else None,
    )
    return " · ".join(part for part in said if part) or None


def verification_line(found: Verification) -> str:
    """``exact``, or how far a picture that was made again is from the one that is kept."""
    if found.outcome is Outcome.EXACT:
        return "exact"
    if found.differing_pixels is None:
        return f"{found.outcome}: it has another size"
    how_many = counted(found.differing_pixels, "pixel differs", "pixels differ")
    noise = "" if found.psnr is None else f", PSNR {found.psnr:.1f} dB"
    most, mean = found.greatest_difference, found.mean_difference
    return f"{found.outcome}: {how_many}, by {most} of 255 at most, {mean:.3g} on average{noise}"


def setting_pairs(
    spec: RunSpec, device: str, model_identity: str, vae_identity: str | None
) -> list[tuple[str, str | None]]:
    """Name and value of everything that is set."""
    pipeline, call = spec.pipeline, spec.call
    size = None if call.width is None else f"{call.width}x{call.height}"
    return [
        ("model", f"{pipeline.model} ({_short_identity(model_identity)})"),
        ("revision", pipeline.revision),
        ("weights variant", pipeline.variant),
        ("vae", f"{pipeline.vae} ({_short_identity(vae_identity)})" if pipeline.vae else None),
        ("scheduler", str(pipeline.scheduler) if pipeline.scheduler else None),
        ("steps", _or_none(call.num_inference_steps)),
        ("guidance", None if call.guidance_scale is None else f"{call.guidance_scale:g}"),
        ("size", size),
        *((name.replace("_", " "), value) for name, value in steering_of(spec)),
        *((name, _plainly(value)) for name, value in call.arguments),
        ("dtype", pipeline.dtype),
        ("device", device),
        ("batch size", _or_none(spec.batch_size)),
        ("noise drawn on", spec.generator_device),
        *((name.replace("_", " "), _plainly(value)) for name, value in spec.machine.said.items()),
        ("seeds", show_seeds(spec.seeds)),
    ]


def _image_table(run: RunRecord) -> list[str]:
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
            "-" if image.parent is None else _ref(image.parent),
            image.error or image.path or "",
        )
        for image in run.images
    ]
    headers = ("IMAGE", "VARIANT", "SEED", "STATUS", "BATCH.SLOT", "SECONDS", "PIXELS", "VERIFIED", "RATED", "FROM",
               "FILE")  # fmt: skip
    return table(headers, rows, right=frozenset({1, 2, 5}))


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
    return f"{verification_line(found)}, {_when(found.verified_at)} UTC{causes}"


def _verified_of(run: RunRecord) -> str | None:
    found = [image.verified for image in run.images if image.verified is not None]
    if not found:
        return None
    counts = Counter(one.outcome for one in found)
    tally = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome])
    return f"{tally} of {len(run.images)}, last {_when(max(one.verified_at for one in found))} UTC"


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


def change_line(change: Change) -> str:
    """A change in a line: seeds as ranges, one prompt against another as the words that went and came."""
    before, after = change.before, change.after
    if change.field == "seeds":
        return f"seeds: {show_seeds(before)} → {show_seeds(after)}"
    if change.field.endswith("prompts") and len(before) == len(after) == 1:
        words = marked(word_diff(before[0], after[0]))
        return f"{change.field.removesuffix('s')}: {words}"
    if change.field.endswith("prompts"):
        return f"{change.field}: {counted(len(before), 'wording')} → {len(after)}"
    return str(change)


def pairs(named: Iterable[tuple[str, str | None]]) -> list[str]:
    """A line each, values aligned; those without a value are left out."""
    known = [(name, value) for name, value in named if value is not None]
    width = max((len(name) for name, _ in known), default=0)
    return [f"  {name:<{width}}  {value}" for name, value in known]


def _when(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M")


def _memory(size: int | None) -> str | None:
    return None if size is None else f"{size / 2**20:,.0f} MiB"


def _short_identity(identity: str | None) -> str:
    kind, _, digest = (identity or "?").partition(":")
    return f"{kind}:{digest[:12]}" if digest else kind


def _short_scheduler(name: str | None) -> str:
    return "-" if name is None else name.removesuffix("Scheduler")


def or_dash(value: object) -> str:
    """``-`` for what is not known."""
    return "-" if value is None else str(value)


def _or_none(value: object) -> str | None:
    return None if value is None else str(value)


def _plainly(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "unknown" if value is None else str(value)


def counted(number: int, one: str, many: str | None = None) -> str:
    """``1 image``, ``2,000 images``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
