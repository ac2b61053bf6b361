"""Specs: equal values are equal everywhere, and every field that decides pixels is in the recipe key."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.errors import InputError
from promptlab.specs import (
    AUTO,
    MAX_SEED,
    OFFLOADS,
    QUANTIZATIONS,
    CallSpec,
    Embedding,
    Lora,
    MachineSpec,
    PipelineSpec,
    RunSpec,
    SchedulerSpec,
    Variant,
    canonical_json,
    options,
    recipe_key,
    setting_key,
    words_key,
)

SPEC = RunSpec(
    pipeline=PipelineSpec(
        model="mini",
        revision="abc",
        variant="fp16",
        vae="other",
        dtype="float16",
        scheduler=SchedulerSpec(name="EulerDiscreteScheduler", options=options({"use_karras_sigmas": True})),
    ),
    call=CallSpec(num_inference_steps=20, guidance_scale=7.5, height=128, width=96, arguments=options({"eta": 0.5})),
    variants=(Variant(prompt="a", negative_prompt="b", label="c", template="{a}", replacement="x=>a", source=0),),
    seeds=(1, 5),
    batch_size=4,
    device="cuda:0",
)

texts = st.text(max_size=30)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts)
lora_sets = st.lists(
    st.builds(Lora, name=texts, weight=st.floats(-2, 2)), max_size=2, unique_by=lambda each: each.name
).map(tuple)
embedding_sets = st.lists(
    st.builds(Embedding, name=texts, token=texts), max_size=2, unique_by=lambda each: each.token or each.name
).map(tuple)
shares = st.none() | st.floats(0, 1)
option_sets = st.dictionaries(texts, scalars, max_size=4).map(options)
variants = st.builds(Variant, prompt=texts, negative_prompt=texts, label=texts)
machines = st.builds(
    MachineSpec,
    **{name: st.booleans() for name in ("attention_slicing", "vae_tiling", "compile", "exact")},
    offload=st.none() | st.sampled_from(OFFLOADS),
    attention_backend=st.none() | texts,
)
specs = st.builds(
    RunSpec,
    pipeline=st.builds(
        PipelineSpec,
        model=texts,
        revision=st.none() | texts,
        config=st.none() | texts,
        vae=st.none() | texts,
        dtype=st.sampled_from([None, "float16", "float32"]),
        scheduler=st.none() | st.builds(SchedulerSpec, name=texts, options=option_sets),
        loras=lora_sets,
        embeddings=embedding_sets,
        quantization=st.none() | st.sampled_from(QUANTIZATIONS),
    ),
    call=st.builds(
        CallSpec,
        num_inference_steps=st.none() | st.integers(1, 999),
        guidance_scale=st.none() | st.floats(0, 100),
        height=st.none() | st.integers(1, 4096),
        arguments=option_sets,
        weighting=st.booleans(),
        clip_skip=st.none() | st.integers(0, 11),
        variation_seed=st.none() | st.integers(0, MAX_SEED),
        variation_strength=shares,
        guidance_until=shares,
        true_cfg_scale=st.none() | st.floats(0, 100),
    ),
    variants=st.lists(variants, min_size=1, max_size=3).map(tuple),
    seeds=st.lists(st.integers(0, MAX_SEED), min_size=1, max_size=5, unique=True).map(tuple),
    batch_size=st.none() | st.just(AUTO) | st.integers(1, 64),
    machine=machines,
)  # fmt: skip


@given(specs)
def test_run_spec_through_json_is_equal(spec):
    """A spec written to JSON and read back is the same spec."""
    assert RunSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@given(specs, specs)
def test_run_spec_diff_is_empty_only_between_equals(one, other):
    """diff(x, x) is empty, and what it names differs."""
    assert one.diff(one) == ()
    for change in one.diff(other):
        assert change.before != change.after


def test_run_spec_vary_finds_the_part_of_a_field():
    """Fields of the pipeline and of the call are varied by their own names."""
    varied = SPEC.vary(seeds=(9,), num_inference_steps=25, scheduler=None)
    assert (varied.seeds, varied.call.num_inference_steps, varied.pipeline.scheduler) == ((9,), 25, None)
    assert varied.call.guidance_scale == SPEC.call.guidance_scale
    assert {change.field for change in SPEC.diff(varied)} == {
        "seeds",
        "num_inference_steps",
        "scheduler",
        "scheduler.use_karras_sigmas",
    }


def test_run_spec_vary_of_an_unknown_name_is_refused():
    """A misspelt field is an error, never silently dropped."""
    with pytest.raises(TypeError, match="step"):
        SPEC.vary(steps=3)


def key(spec=SPEC, *, variant=None, seed=1, model_identity="sha256:1", vae_identity=None):
    """The recipe key of one image, with one thing changed."""
    setting = setting_key(spec, model_identity=model_identity, vae_identity=vae_identity)
    return recipe_key(setting, words_key(variant or spec.variants[0]), seed)


@pytest.mark.parametrize(
    "changed",
    [
        {"variant": "fp32"},
        {"dtype": "float32"},
        {"scheduler": None},
        {"scheduler": SchedulerSpec(name="EulerDiscreteScheduler")},
        {"num_inference_steps": 21},
        {"guidance_scale": 7.0},
        {"height": 64},
        {"width": 64},
        {"arguments": options({"eta": 0.6})},
        {"batch_size": 5},
        {"generator_device": "cuda"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_recipe_key_changes_with_every_setting(changed):
    """Every setting that changes pixels makes another recipe."""
    assert key(SPEC.vary(**changed)) != key()


def test_recipe_key_changes_with_words_seed_and_weights():
    """So do the words, the seed and the weights' identity."""
    keys = [
        key(),
        key(variant=Variant(prompt="other", negative_prompt="b")),
        key(variant=Variant(prompt="a", negative_prompt="")),
        key(seed=2),
        key(model_identity="sha256:2"),
        key(vae_identity="sha256:1"),
    ]
    assert len(set(keys)) == len(keys)


def test_recipe_key_keeps_with_names_and_spelling():
    """Labels, origins, the folder's name and the spelling of a number mean nothing to pixels."""
    renamed = dataclasses.replace(SPEC.variants[0], label="z", template=None, replacement=None, source=7)
    assert key(SPEC.vary(model="elsewhere/mini", guidance_scale=7.50), variant=renamed) == key()
    assert canonical_json({"b": 7.0, "a": [1, True]}) == canonical_json({"a": (1, True), "b": 7})


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (
            lambda: CallSpec(num_inference_steps=0),
            "num_inference_steps 0 is too few; allowed: 1 or more; type",
        ),
        (
            lambda: CallSpec(guidance_scale=-1.0),
            "guidance_scale -1.0 is out of range; allowed: 0 or more; type: guid",
        ),
        (lambda: CallSpec(guidance_scale=float("nan")), "guidance_scale nan is out of range"),
        (lambda: CallSpec(height=0, width=8), "size '8x0' is too small"),
        (lambda: SPEC.vary(seeds=()), "seeds names no seed"),
        (lambda: SPEC.vary(seeds=(2**32,)), "seeds 4294967296 is out of range; allowed: 0 to 4294967295"),
        (lambda: SPEC.vary(seeds=(3, 3)), "seeds 3 is named twice"),
        (lambda: SPEC.vary(batch_size=0), "batch_size 0 is too small"),
        (lambda: SPEC.vary(variants=()), "prompts is missing"),
        (
            lambda: SPEC.vary(offload="disk"),
            "offload 'disk' is unknown; allowed: model, sequential, group",
        ),
        (
            lambda: SPEC.vary(compile="yes"),
            "compile 'yes' is neither on nor off; allowed: true, false",
        ),
        (lambda: CallSpec(guidance_until=1.5), "guidance_until 1.5 is out of range; allowed: 0 to 1"),
        (lambda: CallSpec(variation_strength=-0.1), "variation_strength -0.1 is out of range; allowed: 0 to 1"),
        (lambda: CallSpec(guidance_rescale=2), "guidance_rescale 2 is out of range; allowed: 0 to 1"),
        (lambda: CallSpec(variation_seed=-1), "variation_seed -1 is out of range; allowed: 0 to 4294967295"),
        (lambda: CallSpec(clip_skip=-1), "clip_skip -1 is out of range; allowed: 0 or more; type: clip_skip=1"),
        (lambda: CallSpec(true_cfg_scale=-1), "true_cfg_scale -1 is out of range; allowed: 0 or more"),
        (
            lambda: PipelineSpec(model="m", quantization="int4"),
            "quantization 'int4' is unknown (did you mean int8?); allowed: nf4, int8, fp8, gguf:FILE, none; type: ",
        ),
        (lambda: PipelineSpec(model="m", quantization="gguf:"), "quantization 'gguf:' is unknown"),
        (
            lambda: PipelineSpec(model="m", text_encoder_quantization="gguf:a.gguf"),
            "text_encoder_quantization 'gguf:a.gguf' is unknown",
        ),
        (lambda: CallSpec(clip_skip=0.5), "clip_skip 0.5 is not a whole number; allowed: 0 or more"),
        (lambda: Lora(name="a", weight=float("nan")), "loras 'a:NaN' has no finite weight"),
        (lambda: SPEC.vary(loras=(Lora(name="a"), Lora(name="a", weight=0.5))), "loras 'a' is named twice"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_specs_out_of_range_are_refused_in_a_sentence(made, sentence):
    """What, which value, what is allowed, what to type."""
    with pytest.raises(InputError) as refused:
        made()
    assert str(refused.value).startswith(sentence)


@given(st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)))
def test_run_spec_from_any_json_is_a_spec_or_an_input_error(value):
    """Foreign JSON never raises anything but InputError."""
    with pytest.raises(InputError):
        RunSpec.from_dict(value if isinstance(value, dict) else {"pipeline": value})


CHANGED = {
    "variant": st.none() | texts,
    "dtype": st.sampled_from(["float32", "float16", "bfloat16"]),
    "scheduler": st.none() | st.builds(SchedulerSpec, name=texts, options=option_sets),
    "num_inference_steps": st.integers(1, 999),
    "guidance_scale": st.floats(0, 100),
    "height": st.none() | st.integers(1, 4096),
    "width": st.none() | st.integers(1, 4096),
    "arguments": option_sets,
    "loras": lora_sets,
    "embeddings": embedding_sets,
    "weighting": st.booleans(),
    "clip_skip": st.none() | st.integers(0, 11),
    "guidance_rescale": shares,
    "variation_seed": st.none() | st.integers(0, MAX_SEED),
    "variation_strength": shares,
    "guidance_until": shares,
    "true_cfg_scale": st.none() | st.floats(0, 100),
    "quantization": st.none() | st.sampled_from([*QUANTIZATIONS, "gguf:a.gguf"]),
    "text_encoder_quantization": st.none() | st.sampled_from(QUANTIZATIONS),
    "batch_size": st.integers(1, 64),
    "generator_device": st.sampled_from(["cpu", "cuda", "mps"]),
}
BY_OTHER_MEANS = {
    "model": "by its identity",
    "revision": "by the model's identity",
    "config": "by the model's identity",
    "vae": "by its identity",
    "pipeline": "field by field",
    "call": "field by field",
    "variants": "word by word",
    "seeds": "one by one",
    "device": "by the environment",
    "machine": "by the environment",
}


def test_recipe_key_forgets_no_field():
    """Whoever adds a field to a spec decides here whether it decides pixels."""
    fields = {field.name for part in (PipelineSpec, CallSpec, RunSpec) for field in dataclasses.fields(part)}
    assert fields == CHANGED.keys() | BY_OTHER_MEANS.keys()


def test_recipe_key_without_later_fields_stays():
    """Databases and pictures of the first version keep theirs; what they had as arguments is the field of today."""
    assert key(SPEC) == "452ef97a134df9faf01fedbb67224ac5904c6d546467e5180f87a2bedc5959bc"
    before = SPEC.vary(arguments=options({"eta": 0.5, "guidance_rescale": 0.7}))
    assert key(before) == "ee03e482b2a2f61ba20e56e81ec7b3bb1bb324d3f9c8bd0c4de94272870da042"
    assert before == SPEC.vary(guidance_rescale=0.7)
    before = SPEC.vary(arguments=options({"eta": 0.5, "true_cfg_scale": 4}))
    assert key(before) == "4be96ce656f8cae64c1cd0b6b7af5ddbf9fa5872bad8e2b44c4f4d530ad821f5"
    assert before == SPEC.vary(true_cfg_scale=4.0)


def test_recipe_key_of_a_gguf_does_not_depend_on_where_it_lies():
    """Its content is part of the model's identity."""
    one, other = (SPEC.vary(quantization=f"gguf:/{place}/a.gguf") for place in ("here", "there"))
    assert key(one) == key(other) != key(SPEC)


def test_former_argument_out_of_range_stays_an_argument():
    """A run that was made with it is read; the engine says that it has a field of its own."""
    spec = CallSpec(arguments=options({"true_cfg_scale": -1, "clip_skip": 1}))
    assert (spec.true_cfg_scale, spec.clip_skip, spec.arguments) == (None, 1, (("true_cfg_scale", -1),))


@given(st.data(), specs, st.sampled_from(sorted(CHANGED)))
def test_recipe_key_changes_exactly_with_any_field(data, spec, field):
    """For any two values of any field: the keys are equal exactly when the values are."""
    one, other = (spec.vary(**{field: data.draw(CHANGED[field])}) for _ in range(2))
    values = [canonical_json(each.to_dict()) for each in (one, other)]
    assert (key(one) == key(other)) == (values[0] == values[1])


@given(specs, machines)
def test_recipe_key_keeps_with_machine_settings(spec, machine):
    """It is part of the environment: the picture is meant to be the same."""
    assert key(dataclasses.replace(spec, machine=machine)) == key(spec)


@given(specs, st.randoms())
def test_recipe_key_keeps_with_order_of_arguments(spec, chance):
    """Options in any order, whole numbers written as decimals: one recipe."""
    pairs = list(spec.call.arguments)
    chance.shuffle(pairs)
    spelled = [(name, float(value) if type(value) is int and abs(value) < 2**53 else value) for name, value in pairs]
    same = spec.vary(arguments=options(dict(spelled)))
    if spec.call.guidance_scale is not None and spec.call.guidance_scale.is_integer():
        same = same.vary(guidance_scale=int(spec.call.guidance_scale))
    assert key(same) == key(spec)
