"""The file that makes a run again: whatever the run was."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.expand import json_schema, read_experiment, write_experiment
from promptlab.expand.experiment_file.reader import parse_experiment
from promptlab.specs import (
    DTYPES,
    MAX_SEED,
    QUANTIZATIONS,
    CallSpec,
    Embedding,
    Lora,
    PipelineSpec,
    RunSpec,
    SchedulerSpec,
    Variant,
    options,
)

EXAMPLES = Path(__file__).parents[3] / "examples"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(lambda text: text.replace("\0", ""))
words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(
    lambda text: text.strip() and text != "default"
)
maybe = lambda strategy: st.none() | strategy  # noqa: E731
numbers = st.integers(0, 10**6) | st.floats(0, 1e6)
shares = st.floats(0, 1)
files = st.from_regex(r"[A-Za-z0-9 _+.,'-]{1,9}[a-z]", fullmatch=True).map(str.strip)
loras = st.builds(Lora, name=files, weight=st.floats(-2, 2))
embeddings = st.builds(Embedding, name=files, token=maybe(st.from_regex(r"<?[a-z]{1,5}>?", fullmatch=True)))
variants = st.builds(
    Variant, prompt=texts, negative_prompt=texts, label=texts, template=maybe(texts), replacement=maybe(texts),
    source=maybe(st.integers(0, 99)),
)  # fmt: skip
schedulers = st.builds(
    SchedulerSpec,
    name=st.sampled_from(["EulerDiscreteScheduler", "DPMSolverMultistepScheduler", "MyOwnScheduler"]),
    options=st.dictionaries(st.sampled_from(["use_karras_sigmas", "order"]), st.booleans() | st.integers(0, 9)).map(
        options
    ),
)
specs = st.builds(
    RunSpec,
    pipeline=st.builds(
        PipelineSpec, model=words, revision=maybe(words), variant=maybe(words), config=maybe(words), vae=maybe(words),
        dtype=maybe(st.sampled_from(DTYPES)), scheduler=maybe(schedulers),
        loras=st.lists(loras, max_size=2, unique_by=lambda each: each.name).map(tuple),
        embeddings=st.lists(embeddings, max_size=2, unique_by=lambda each: each.token or each.name).map(tuple),
        quantization=maybe(st.sampled_from([*QUANTIZATIONS, "gguf:/models/a b.gguf"])),
        text_encoder_quantization=maybe(st.sampled_from(QUANTIZATIONS)),
    ),
    call=st.builds(
        CallSpec, num_inference_steps=maybe(st.integers(1, 999)), guidance_scale=maybe(st.floats(0, 1e6)),
        height=maybe(st.integers(1, 9999)), width=maybe(st.integers(1, 9999)),
        arguments=st.dictionaries(
            st.from_regex(r"[a-z]{1,8}_[a-z]", fullmatch=True), maybe(st.booleans() | numbers | texts), max_size=3
        ).map(options),
        weighting=st.booleans(), clip_skip=maybe(st.integers(0, 9)), guidance_rescale=maybe(shares),
        guidance_until=maybe(shares), variation_seed=maybe(st.integers(0, MAX_SEED)), variation_strength=maybe(shares),
        true_cfg_scale=maybe(numbers),
    ),
    variants=st.lists(variants, min_size=1, max_size=3).map(tuple),
    seeds=st.lists(st.integers(0, 9) | st.integers(0, MAX_SEED), min_size=1, max_size=6, unique=True).map(tuple),
    batch_size=maybe(st.integers(1, 64)),
    device=maybe(words),
    generator_device=st.sampled_from(["cpu", "cuda"]),
)  # fmt: skip


@given(specs, maybe(words), maybe(texts))
def test_write_experiment_of_any_spec_makes_it_again(spec, experiment, note):
    """Equal in every field, whatever the words: quotes, braces, colons, line breaks, marks that nobody sees."""
    again = parse_experiment(write_experiment(spec, experiment=experiment, note=note), file="f.yaml")
    (cell,) = again.sweep(default_model="another").cells
    assert cell.spec == spec
    assert (again.experiment, again.note) == (experiment, note)


def test_write_experiment_reads_well():
    """What is not set is not there."""
    spec = RunSpec(
        pipeline=PipelineSpec(model="mini", scheduler=SchedulerSpec(name="DDIMScheduler")),
        call=CallSpec(num_inference_steps=20, guidance_scale=7.0, width=64, height=32),
        variants=(Variant(prompt="a {fox}: “red”", label="red"),),
        seeds=(0, 1, 2, 42),
    )
    assert write_experiment(spec, experiment="foxes", note="why not") == (
        'experiment: "foxes"\nnote: "why not"\nmodel: "mini"\nscheduler: "DDIMScheduler"\nsteps: 20\nguidance: 7\n'
        'size: "64x32"\nseeds: "0-2,42"\nprompts:\n  - text: "a {fox}: “red”"\n    label: "red"\n'
    )


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_write_experiment_of_every_example_makes_it_again(path):
    """A run of a sweep is a file of its own."""
    for spec in read_experiment(path).sweep(default_model="mini").specs:
        again = parse_experiment(write_experiment(spec), file="f.yaml")
        assert again.sweep(default_model="x").specs == (spec,)


# the schema


KINDS = {
    "string": str, "integer": int, "number": (int, float), "boolean": bool, "null": type(None), "array": list,
    "object": dict,
}  # fmt: skip


def is_a(value, kind):
    return isinstance(value, KINDS[kind]) and (kind == "boolean") == (type(value) is bool)


def fits(value, schema, root):
    """As much of JSON Schema as ours uses."""
    if "$ref" in schema:
        return fits(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    kinds = schema.get("type", list(KINDS))
    return (
        any(is_a(value, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds))
        and value in schema.get("enum", [value])
        and value == schema.get("const", value)
        and (not isinstance(value, str) or bool(re.search(schema.get("pattern", ""), value)))
        and (type(value) not in (int, float) or schema.get("minimum", value) <= value <= schema.get("maximum", value))
        and all(any(fits(value, each, root) for each in schema[some]) for some in ("anyOf", "oneOf") if some in schema)
        and (not isinstance(value, list) or all(fits(each, schema.get("items", {}), root) for each in value))
        and (not isinstance(value, list) or len(value) >= schema.get("minItems", 0))
        and (not isinstance(value, dict) or len(value) <= schema.get("maxProperties", len(value)))
        and (not isinstance(value, dict) or all(fits_key(*pair, schema, root) for pair in value.items()))
    )


def fits_key(key, value, schema, root):
    patterns = [inner for pattern, inner in schema.get("patternProperties", {}).items() if re.search(pattern, key)]
    rest = schema.get("additionalProperties", {})
    behind = schema.get("properties", {}).get(key, patterns[0] if patterns else rest)
    return behind is not False and fits(value, behind, root)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_json_schema_accepts_the_examples(path):
    """Editors find nothing wrong with what ships."""
    import yaml

    schema = json_schema(schedulers=["euler"], models=["mini"])
    assert fits(yaml.safe_load(path.read_text(encoding="utf-8")), schema, schema)


@pytest.mark.parametrize(
    "value",
    [
        {"stps": 3}, {"steps": 0}, {"steps": "x"}, {"dtype": "fp8"}, {"axes": {"stps": [1]}}, {"axes": {"model": "a"}},
        {"prompts": [{"promt": "a"}]}, {"seeds": -1}, {"size": "3x"}, {"ladder": [{"vea": "x"}]}, {"zip": [1]},
    ],
    ids=json.dumps,
)  # fmt: skip
def test_json_schema_refuses_what_reading_refuses(value):
    """Unknown keys, wrong kinds, values outside a closed set."""
    schema = json_schema()
    assert not fits(value, schema, schema)


def test_json_schema_offers_names():
    """Descriptions everywhere, names to offer where there are some, the names of diffusers beside the short ones."""
    schema = json_schema(schedulers=["euler", "unipc"], models=["mini"])
    assert all(each.get("description") for each in schema["properties"].values())
    assert {"steps", "num_inference_steps", "axes", "ladder"} <= schema["properties"].keys()
    assert {"enum": ["euler", "unipc"]} in schema["properties"]["scheduler"]["anyOf"]
    assert '"euler"' in json.dumps(schema["properties"]["axes"])
    assert '"mini"' in json.dumps(schema["properties"]["ladder"])
    assert fits({"scheduler": "another"}, schema, schema)
    assert json.loads(json.dumps(schema)) == schema
