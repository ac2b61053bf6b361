"""Run records painted by hand, with real PNG files behind them: what the tracker is told of, without an engine."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import uuid4

import numpy as np
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from promptlab.records import Environment, ImageRecord, ImageStatus, RunRecord, RunStatus, VariantRecord
from promptlab.specs import CallSpec, PipelineSpec, RunSpec, SchedulerSpec, Variant
from promptlab.workspace import Workspace

LONG_AGO = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def spec(prompts, seeds, **changes):
    """A resolved spec; ``prompts`` are texts or variants."""
    variants = tuple(
        one if isinstance(one, Variant) else Variant(prompt=one, label=one if len(prompts) > 1 else "")
        for one in prompts
    )
    base = RunSpec(
        pipeline=PipelineSpec(
            model="mini", dtype="float32", scheduler=SchedulerSpec(name="DPMSolverMultistepScheduler")
        ),
        call=CallSpec(num_inference_steps=20, guidance_scale=7.5, height=128, width=128),
        variants=variants,
        seeds=tuple(seeds),
        batch_size=4,
        device="cpu",
    )
    return base.vary(**changes)


def picture(variant, seed, side):
    """A picture that tells its variant (hue of the disc) and its seed (place of the disc) at a glance."""
    draw_from = np.random.default_rng([seed, side])
    ground = np.linspace(20, 150, side)[:, None, None] * draw_from.uniform(0.5, 1.2, 3)[None, None, :]
    pixels = np.broadcast_to(ground, (side, side, 3)) + draw_from.normal(0, 6, (side, side, 3))
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    x, y, r = (*draw_from.uniform(0.3, 0.7, 2) * side, side * 0.22)
    hue = tuple(int(part) for part in np.random.default_rng(variant + 7).integers(60, 255, 3))
    ImageDraw.Draw(image).ellipse((x - r, y - r, x + r, y + r), fill=hue, outline="white", width=2)
    return image


def png(image, text=None):
    """``image`` as a PNG file's bytes, with one text chunk."""
    told, encoded = PngInfo(), io.BytesIO()
    if text:
        told.add_text("parameters", text)
    image.save(encoded, "PNG", pnginfo=told, compress_level=1)
    return encoded.getvalue()


def paint_run(
    workspace: Workspace,
    run_id: int,
    asked: RunSpec,
    *,
    experiment="warrior chief",
    side=128,
    made=None,
    status=RunStatus.FINISHED,
    parent=None,
    **changes,
):
    """A record of ``asked`` as run ``run_id``; the first ``made`` of its pictures (all unless said) lie on disk."""
    began = LONG_AGO + timedelta(minutes=run_id)
    images = []
    for position in range(asked.image_count):
        row, seed = position // len(asked.seeds), asked.seeds[position % len(asked.seeds)]
        image = ImageRecord(
            run_id=run_id,
            position=position,
            variant=row,
            seed=seed,
            status=ImageStatus.OWED,
            recipe_key=sha256(f"{asked.variants[row].prompt} at {seed}".encode()).hexdigest(),
            parent=None if parent is None else (parent.id, 0),
        )
        if made is None or position < made:
            image = _made(workspace, image, picture(row + 10 * run_id, seed, side), asked.variants[row], began)
        images.append(image)
    record = RunRecord(
        id=run_id,
        uid=uuid4().hex,
        experiment=experiment,
        name=None,
        note=None,
        status=status,
        spec=asked,
        device="cpu",
        model_identity="sha256:" + "ab" * 32,
        vae_identity=None,
        created_at=began,
        ended_at=began + timedelta(seconds=30),
        variants=tuple(VariantRecord(position=at, variant=one) for at, one in enumerate(asked.variants)),
        images=tuple(images),
        environment=Environment(facts={"torch": "2.13.0"}),
        parent_run_id=None if parent is None else parent.id,
        changes=() if parent is None else parent.spec.diff(asked),
        load_seconds=1.5,
        generate_seconds=0.4 * len(images),
    )
    record = replace(record, **changes)
    if record.made:
        workspace.grid(run_id).write_bytes(png(grid(workspace, record)))
    return record


def grid(workspace, record):
    """A plain grid: rows variants, columns seeds, with room for labels."""
    side = record.made[0].width
    columns, rows = len(record.spec.seeds), len(record.variants)
    sheet = Image.new("RGB", (110 + columns * (side + 4), 24 + rows * (side + 4)), "white")
    draw = ImageDraw.Draw(sheet)
    for column, seed in enumerate(record.spec.seeds):
        draw.text((114 + column * (side + 4), 6), f"seed {seed}", fill="black")
    for image in record.made:
        row, column = divmod(image.position, columns)
        draw.text((4, 30 + row * (side + 4)), record.variants[row].variant.label[:16], fill="black")
        with Image.open(workspace.root / image.path) as one:
            sheet.paste(one, (110 + column * (side + 4), 24 + row * (side + 4)))
    return sheet


def thumbnail(workspace, record):
    """The grid's PNG, at most 640 px wide; empty without a grid."""
    if not record.made:
        return b""
    with Image.open(workspace.grid(record.id)) as sheet:
        sheet.thumbnail((640, 4000))
        return png(sheet)


def _made(workspace, image, drawn, variant, began):
    path = workspace.run_folder(image.run_id) / workspace.image_name(image.variant, image.seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(drawn, f"{variant.prompt}\nSteps: 20, Seed: {image.seed}"))
    return replace(
        image,
        status=ImageStatus.MADE,
        path=workspace.relative(path),
        width=drawn.width,
        height=drawn.height,
        pixel_sha256=sha256(drawn.tobytes()).hexdigest(),
        batch=image.position // 4,
        slot=image.position % 4,
        seconds=0.4,
        peak_memory=1_300_000_000,
        made_at=began + timedelta(seconds=image.position),
    )
