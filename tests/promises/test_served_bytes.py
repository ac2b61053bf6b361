"""The same bytes from a server, whether it has just started or is warm, as from a process that does all itself."""

import pytest

from promptlab.images.png import pixel_sha256, read_pixels
from promptlab.lab import Lab
from promptlab.serving.connection import request
from promptlab.serving.discovery import find_or_start
from promptlab.serving.remote_lab import RemoteLab
from promptlab.specs import CallSpec, PipelineSpec, RunSpec, SchedulerSpec, Variant

pytestmark = [pytest.mark.slow, pytest.mark.mlflow]

SPEC = RunSpec(
    pipeline=PipelineSpec(model="mini", dtype="bfloat16", scheduler=SchedulerSpec(name="DPMSolverSDEScheduler")),
    call=CallSpec(num_inference_steps=2, height=64, width=64), variants=(Variant(prompt="a wizard"),), seeds=(0, 1),
)  # fmt: skip
"""Noise of the scheduler's own, in bfloat16: what would differ first."""


def test_bytes_of_a_server_are_those_of_a_process_alone(engine, workspace, runtime, monkeypatch):
    """In this process, in a server's first job and in its next: one recipe, one environment, one picture each."""
    monkeypatch.setenv("PROMPTLAB_ENGINE", "diffusers")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as many as the engine of this process has
    address = find_or_start(runtime, keep_alive="5")
    served = RemoteLab(lambda _replacing: address, workspace)
    alone, cold, warm = (
        Lab(workspace, engine=engine).run(SPEC),
        served.run(SPEC, again=True),
        served.run(SPEC, again=True),
    )
    assert request(address, "GET", "/status")["status"]["jobs_done"] == 2
    assert alone.environment == cold.environment == warm.environment
    assert [image.recipe_key for image in alone.images] == [image.recipe_key for image in warm.images]
    made = [
        [pixel_sha256(read_pixels(workspace.root / image.path)) for image in run.images] for run in (alone, cold, warm)
    ]
    assert made[0] == made[1] == made[2]
    assert len(set(made[0])) == 2
    assert not any(image.linked for image in (*cold.images, *warm.images))
