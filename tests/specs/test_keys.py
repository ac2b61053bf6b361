"""Keys are hashes of canonical JSON, and stay what they are: a stored image is found again by them."""

import json

from hypothesis import given
from hypothesis import strategies as st

from promptlab.specs import (
    CallSpec,
    PipelineSpec,
    RunSpec,
    SchedulerSpec,
    Variant,
    canonical_json,
    options,
    setting_key,
)
from promptlab.specs.keys import _setting_text as setting_text

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)


def whole(value):
    """Every float that is a whole number, as that."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: whole(inner) for key, inner in value.items()}
    return [whole(inner) for inner in value] if isinstance(value, list) else value


@given(value=VALUES)
def test_canonical_json_of_any_value_is_what_json_writes(value):
    """Sorted, without blanks, whole numbers as such: written by hand, it may not differ from the library by a byte."""
    assert canonical_json(value) == json.dumps(whole(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@given(
    given_options=st.dictionaries(st.text(), SCALARS, max_size=3),
    guidance=st.none() | st.floats(0, 1e30),
    scheduler=st.none() | st.text(),
    dtype=st.sampled_from([None, "float32"]),
)
def test_setting_key_text_is_canonical_json(given_options, guidance, scheduler, dtype):
    """The text that is hashed is put together from parts, and is still canonical."""
    spec = RunSpec(
        pipeline=PipelineSpec(
            model="m",
            dtype=dtype,
            scheduler=None if scheduler is None else SchedulerSpec(name=scheduler, options=options(given_options)),
        ),
        call=CallSpec(guidance_scale=guidance, arguments=options(given_options)),
        variants=(Variant(prompt="a"),),
        seeds=(1,),
    )
    text = setting_text(spec, model_identity="sha256:0", vae_identity=None)
    assert canonical_json(json.loads(text)) == text
    assert json.loads(text)["arguments"] == given_options


def test_setting_key_of_one_setting_never_changes():
    """Of this setting, for ever: notebooks are full of them."""
    spec = RunSpec(
        pipeline=PipelineSpec(
            model="mini",
            dtype="float32",
            scheduler=SchedulerSpec(name="DPMSolverMultistepScheduler", options=(("use_karras_sigmas", True),)),
        ),
        call=CallSpec(num_inference_steps=20, guidance_scale=7.5, height=64, width=64, arguments=(("eta", 1.0),)),
        variants=(Variant(prompt="a"),),
        seeds=(1,),
        batch_size=4,
    )
    assert setting_key(spec, model_identity="sha256:0", vae_identity=None) == (
        "6c743c1b62902f32210ad63b8aa7e02f74245ff086a74c4863094d729c74301c"
    )
