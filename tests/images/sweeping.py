"""Sweeps painted by hand: records of runs that cross values, with a real PNG behind each picture."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import numpy as np

from promptlab.images.png import pixel_sha256, write_png
from promptlab.records import (
    Environment,
    ImageRecord,
    ImageStatus,
    RunRecord,
    RunStatus,
    SweepRecord,
    SweepRun,
    VariantRecord,
)
from promptlab.specs import CallSpec, PipelineSpec, RunSpec, SchedulerSpec, Variant

LONG_AGO = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CHIEF = (Variant(prompt="portrait photo of a old warrior chief"),)


def disc(hue, place, side):
    """A picture that tells its run by its hue and its place in the run by where the disc is."""
    rows, columns = np.mgrid[0:side, 0:side] / side
    pixels = np.empty((side, side, 3), np.uint8)
    colour = [127 + 100 * np.cos(2 * np.pi * (hue + third / 3)) for third in range(3)]
    for channel in range(3):
        pixels[..., channel] = colour[channel] * (0.35 + 0.5 * rows)
    x, y = 0.3 + 0.4 * (place % 3) / 2, 0.35 + 0.3 * (place // 3 % 2)
    pixels[(columns - x) ** 2 + (rows - y) ** 2 < 0.04] = (245, 240, 225)
    return pixels


def paint_sweep(workspace, axes, *, variants=CHIEF, seeds=(1,), side=64, skip=(), first=1, **changes):
    """A sweep over ``axes``: a list of dimensions, each a list of dicts field → shown value. ``skip``: places left out;
    ``first``: the first run's number.

    Returns:
        The sweep, and the records of its runs; the painted pictures lie in ``workspace``.
    """
    runs, parts = [], []
    places = [place for place in product(*(range(len(axis)) for axis in axes)) if place not in skip]
    for number, place in enumerate(places, first):
        values = tuple(pair for axis, at in zip(axes, place, strict=True) for pair in axis[at].items())
        parts.append(SweepRun(run_id=number, place=place, values=values))
        runs.append(
            _run(workspace, number, (number - first) / len(places), values, tuple(variants), tuple(seeds), side)
        )
    sweep = SweepRecord(
        id=3,
        uid="5" * 32,
        experiment="chiefs",
        name=None,
        note=None,
        created_at=LONG_AGO,
        dimensions=tuple(tuple(axis[0]) for axis in axes),
        runs=tuple(parts),
    )
    return replace(sweep, **changes), runs


def _run(workspace, number, hue, values, variants, seeds, side):
    shown = dict(values)
    spec = RunSpec(
        pipeline=PipelineSpec(
            model="mini", dtype=shown.get("dtype", "float32"),
            scheduler=SchedulerSpec(name=shown.get("scheduler", "DPMSolverMultistepScheduler")),
        ),
        call=CallSpec(
            num_inference_steps=int(shown.get("num_inference_steps", 20)),
            guidance_scale=float(shown.get("guidance_scale", 7.5)), height=side, width=side,
        ),
        variants=variants, seeds=seeds, batch_size=4, device="cpu",
    )  # fmt: skip
    workspace.run_folder(number).mkdir(parents=True, exist_ok=True)
    images = []
    for position in range(spec.image_count):
        variant, seed = position // len(seeds), seeds[position % len(seeds)]
        pixels = disc(hue, position, side)
        path = workspace.run_folder(number) / workspace.image_name(variant, seed)
        write_png(path, pixels, {})
        images.append(
            ImageRecord(
                run_id=number, position=position, variant=variant, seed=seed, status=ImageStatus.MADE,
                recipe_key="f" * 64, path=workspace.relative(path), width=side, height=side,
                pixel_sha256=pixel_sha256(pixels), seconds=0.1 * number,
            )
        )  # fmt: skip
    return RunRecord(
        id=number,
        uid=f"{number:032x}",
        experiment="chiefs",
        name=None,
        note=None,
        status=RunStatus.FINISHED,
        spec=spec,
        device="cpu",
        model_identity="sha256:" + "ab" * 32,
        vae_identity=None,
        created_at=LONG_AGO + timedelta(minutes=number),
        ended_at=LONG_AGO + timedelta(minutes=number, seconds=30),
        generate_seconds=0.1 * number * len(images),
        variants=tuple(VariantRecord(position=at, variant=variant) for at, variant in enumerate(variants)),
        images=tuple(images),
        environment=Environment(facts={}),
        sweep_id=3,
        sweep_values=values,
    )
