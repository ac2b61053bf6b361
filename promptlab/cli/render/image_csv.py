"""Renders the images of runs as CSV, each with its words and setting. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from promptlab.cli.render.csv import CsvForm, csv_lines
from promptlab.expand.settings_text import CONDITIONING, conditioning_text
from promptlab.records import ImageRecord, RunRecord, plain

__all__ = ["images_csv"]


def images_csv(runs: Iterable[RunRecord], form: CsvForm, position: int | None = None) -> str:
    """Return the images of ``runs``, or the one at ``position``, as CSV.

    A line holds what is known of an image, its words and its setting.
    """
    of_image = ("run_id", "position", "seed", "status", "path", "width", "height", "seconds", "peak_memory", "made_at",
                "stars", "favourite", "votes_won", "votes_lost", "flag", "error", "pixel_sha256",
                "recipe_key")  # fmt: skip
    of_run = ("prompt", "negative_prompt", "label", "model", "vae", "dtype", "scheduler", "num_inference_steps",
              "guidance_scale", *CONDITIONING, "verified")  # fmt: skip
    runs = list(runs)
    scored = sorted({name for run in runs for image in run.images for name in image.scores})
    rows = (
        plain(image) | _setting(run, image) | dict(image.scores)
        for run in runs
        for image in run.images
        if position is None or image.position == position
    )
    return csv_lines(("image", *of_image, *of_run, *scored), rows, form)


def _setting(run: RunRecord, image: ImageRecord) -> dict[str, object]:
    """Return what a line says that is not the image's own."""
    variant, pipeline, call = run.spec.variants[image.variant], run.spec.pipeline, run.spec.call
    return {
        "image": image.ref,
        "prompt": variant.prompt,
        "negative_prompt": variant.negative_prompt,
        "label": variant.label,
        "model": pipeline.model,
        "vae": pipeline.vae,
        "dtype": pipeline.dtype,
        "scheduler": None if pipeline.scheduler is None else str(pipeline.scheduler),
        "num_inference_steps": call.num_inference_steps,
        "guidance_scale": call.guidance_scale,
        **dict(conditioning_text(run.spec)),
        "verified": image.verified and image.verified.outcome.value,
    }
