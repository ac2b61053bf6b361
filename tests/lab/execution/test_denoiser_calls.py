"""What is made again costs what it must and no more, counted where it costs: in forwards of the UNet."""

import pytest

from promptlab.engine import create_engine
from promptlab.lab import Lab
from promptlab.specs import CallSpec, PipelineSpec, RunSpec, SchedulerSpec, Variant

pytestmark = pytest.mark.slow

STEPS = 3
SPEC = RunSpec(
    pipeline=PipelineSpec(model="mini", scheduler=SchedulerSpec(name="DDIMScheduler")),
    call=CallSpec(num_inference_steps=STEPS, height=64, width=64),
    variants=(Variant(prompt="a wizard"), Variant(prompt="a pirate")),
    seeds=(0, 1),
    batch_size=1,
)


@pytest.fixture
def evaluations():
    """The UNet's forwards since the fixture was made."""
    from diffusers import UNet2DConditionModel
    from torch.nn.modules.module import register_module_forward_pre_hook

    seen = []
    hook = register_module_forward_pre_hook(
        lambda module, _inputs: seen.append(module) if isinstance(module, UNet2DConditionModel) else None
    )
    yield seen
    hook.remove()


def test_denoiser_calls_are_changed_images_times_steps(workspace, evaluations):
    """Four cells, then one seed and one word more, then the same again: 4, then 5, then 0 cells × steps."""
    lab = Lab(workspace, engine=create_engine())
    lab.run(SPEC)
    assert len(evaluations) == 4 * STEPS
    evaluations.clear()
    more = SPEC.vary(seeds=(0, 1, 2), variants=(*SPEC.variants, Variant(prompt="a chef")))
    run = lab.run(more)
    assert len(run.made_here) == 5
    assert len(evaluations) == 5 * STEPS
    evaluations.clear()
    assert lab.run(more).id == run.id
    assert evaluations == []
