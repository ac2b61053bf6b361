"""What the tests of this room share: a resolved spec of any words, and a run whose pictures lie on disk."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest

from promptlab.images.png import pixel_sha256, write_png
from promptlab.plan import ResolvedSpec
from promptlab.records import Environment, ImageRecord, ImageStatus, RunRecord, RunStatus, VariantRecord
from promptlab.specs import CallSpec, PipelineSpec, RunSpec, SchedulerSpec, Variant
from promptlab.workspace import Workspace
from tests.browsing import chromium

UID = "0123456789abcdef" * 2


A_FOX = (Variant(prompt="a fox"),)


def a_spec(variants=A_FOX, seeds=(7,), *, scheduler=None, side=32, **changes) -> RunSpec:
    spec = RunSpec(
        pipeline=PipelineSpec(
            model="mini",
            dtype="float32",
            scheduler=scheduler
            or SchedulerSpec(name="DPMSolverMultistepScheduler", options=(("use_karras_sigmas", True),)),
        ),
        call=CallSpec(num_inference_steps=20, guidance_scale=7.5, height=side, width=side),
        variants=tuple(variants),
        seeds=tuple(seeds),
        batch_size=4,
        device="cpu",
    )
    return spec.vary(**changes)


def painted(variant: int, seed: int, side: int = 32):
    """A picture that is like no other of its run."""
    return np.random.default_rng([variant, seed]).integers(0, 256, (side, side, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def browser():
    """Start a browser for the tests of a file; Playwright keeps an event loop running for as long as it is open."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def resolve() -> Callable[..., ResolvedSpec]:
    def resolve(*args, **changes) -> ResolvedSpec:
        return ResolvedSpec(spec=a_spec(*args, **changes), device="cpu", model_identity="sha256:" + "ab" * 32)

    return resolve


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace.at(tmp_path)


@pytest.fixture
def make_run(workspace) -> Callable[..., RunRecord]:
    """A run with one PNG for every image but those named as owed or failed, by position."""

    def make_run(
        variants, seeds, *, side=32, owed=(), failed=(), flags=None, status=RunStatus.FINISHED, name=None
    ) -> RunRecord:
        spec = a_spec(variants, seeds, side=side)
        workspace.run_folder(3).mkdir(parents=True)
        images = []
        for position in range(spec.image_count):
            variant, seed = position // len(spec.seeds), spec.seeds[position % len(spec.seeds)]
            known = {"run_id": 3, "position": position, "variant": variant, "seed": seed, "recipe_key": "f" * 64}
            if position in owed:
                images.append(ImageRecord(**known, status=ImageStatus.OWED))
                continue
            if position in failed:
                images.append(ImageRecord(**known, status=ImageStatus.FAILED, error="out of memory"))
                continue
            pixels = painted(variant, seed, side)
            path = workspace.run_folder(3) / workspace.image_name(variant, seed)
            write_png(path, pixels, {})
            images.append(
                ImageRecord(
                    **known, status=ImageStatus.MADE, path=workspace.relative(path), width=side, height=side,
                    pixel_sha256=pixel_sha256(pixels), seconds=0.25, flag=(flags or {}).get(position),
                )
            )  # fmt: skip
        return RunRecord(
            id=3,
            uid=UID,
            experiment="foxes",
            name=name,
            note=None,
            status=status,
            spec=spec,
            device="cpu",
            model_identity="sha256:" + "ab" * 32,
            vae_identity=None,
            created_at=datetime(2025, 1, 1, tzinfo=UTC),
            ended_at=None,
            variants=tuple(VariantRecord(position=at, variant=variant) for at, variant in enumerate(spec.variants)),
            images=tuple(images),
            environment=Environment(facts={}),
        )

    return make_run
