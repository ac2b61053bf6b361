"""Many specs at once: resolved quickly, each as if alone; and a plan's loads are those the engine makes."""

import pytest

from promptlab.engine import ModelLoading
from promptlab.errors import InputError
from promptlab.plan import plan
from promptlab.specs import PipelineSpec, SchedulerSpec
from tests.engine.drawing import draw, resolve


def test_resolver_refuses_a_wrong_spelling_beside_an_equal_right_one(engine, make_spec):
    """``1`` equals ``True`` in Python, and is no value of a switch: what was resolved before must not hide it."""
    right, wrong = (
        make_spec(scheduler=SchedulerSpec(name="EulerDiscreteScheduler", options=(("use_karras_sigmas", value),)))
        for value in (True, 1)
    )
    assert right == wrong
    engine.resolve([right, right])
    with pytest.raises(InputError, match="use_karras_sigmas"):
        engine.resolve([right, wrong])


@pytest.mark.slow
def test_resolver_sees_a_model_changed_between_calls(engine, make_spec, copy_of_mini):
    """What is remembered is remembered for one call."""
    folder = copy_of_mini()
    before = resolve(engine, make_spec(model=str(folder)))
    config = folder / "scheduler" / "scheduler_config.json"
    config.write_text(config.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert resolve(engine, make_spec(model=str(folder))).model_identity != before.model_identity


def test_resolver_tells_a_thousand_settings_apart(engine, make_spec):
    """Each has a key of its own; what that costs is in benchmarks/planning.py."""
    specs = [make_spec(guidance_scale=1 + place / 1000) for place in range(1000)]
    assert len({each.setting_key for each in engine.resolve(specs)}) == 1000


@pytest.mark.slow
def test_plan_of_loading_equals_what_is_loaded(engine, make_spec, copy_of_mini, mini):
    """Pipelines by model and dtype, VAEs again after each of them, schedulers never."""
    other = str(copy_of_mini("other"))
    (copy_of_mini("vae") / "vae" / "config.json").write_text(
        (mini / "vae" / "config.json").read_text(encoding="utf-8") + "\n", encoding="utf-8"
    )
    specs = [
        make_spec().vary(pipeline=PipelineSpec(model=model, vae=vae, dtype=dtype, scheduler=scheduler))
        for scheduler in (None, SchedulerSpec(name="DDIMScheduler"))
        for vae in (None, str(mini / "vae"))
        for model in ("mini", other)
        for dtype in ("float32", "bfloat16")
    ]
    engine.close()
    made = plan(engine.resolve(specs))
    events: list[object] = []
    for run in made.runs:
        list(draw(engine, run.owed, events.append))
    assert made.loads == sum(isinstance(event, ModelLoading) for event in events)
