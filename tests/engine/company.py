"""Pictures of every scheduler, to be made in any company: here, and in a process of its own. ::

    python -m tests.engine.company euler:float32 dpmsolver-sde:bfloat16

prints, as JSON, the hash of the last picture of each of those cases.
"""

import json
import os
import sys

from promptlab.engine import create_engine
from promptlab.images.png import pixel_sha256
from promptlab.plan import requests_of
from promptlab.specs import CallSpec, PipelineSpec, RunSpec, Variant
from promptlab.specs.schedulers import parse_scheduler
from tests.engine.drawing import draw, resolve

SCHEDULERS = (
    "ddim", "ddpm", "deis", "dpmsolver++", "dpmsolver++-singlestep", "dpmsolver-sde", "edm-euler", "euler", "euler-a",
    "heun", "kdpm2", "kdpm2-a", "lms", "pndm", "unipc",
    "sde-dpmsolver++", "DPMSolverSinglestepScheduler:algorithm_type=sde-dpmsolver++", "dpmsolver++-karras",
    "lcm", "tcd",
)  # fmt: skip
"""All that fit the bundled model, then options of theirs that draw noise of their own or space the steps otherwise."""

DTYPES = ("float32", "bfloat16")

DEVICE = os.environ.get("PROMPTLAB_TEST_DEVICE", "cpu")
"""Where the engine's tests draw: ``PROMPTLAB_TEST_DEVICE=cuda`` holds an accelerator to the promises of a CPU."""


def spec_of(scheduler, dtype, *, size=64, steps=3, batch_size=3):
    return RunSpec(
        pipeline=PipelineSpec(model="mini", dtype=dtype, scheduler=parse_scheduler(scheduler)),
        call=CallSpec(num_inference_steps=steps, height=size, width=size),
        variants=(Variant(prompt="a red circle"), Variant(prompt="portrait of a blue square, side profile, at night")),
        seeds=(0, 7),
        batch_size=batch_size,
        device=DEVICE,
    )


def hashes(engine, tasks):
    """Recipe key → hash of the pixels."""
    return {picture.request.recipe_key: pixel_sha256(picture.pixels) for picture in draw(engine, tasks)}


def main():
    engine = create_engine()
    cases = [(case, *case.rsplit(":", 1)) for case in sys.argv[1:]]
    made = {case: hashes(engine, requests_of(resolve(engine, spec_of(*words)))[3:]) for case, *words in cases}
    json.dump(made, sys.stdout)


if __name__ == "__main__":
    main()
