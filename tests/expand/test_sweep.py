"""Sweeps: products, groups that vary together, what is left out, and that no run is there twice."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.errors import InputError
from promptlab.expand import Axis, Exclude, build_sweep
from promptlab.expand.axes import MAX_CELLS
from promptlab.specs import Embedding, Lora, PipelineSpec, RunSpec, SchedulerSpec, Variant
from promptlab.specs.settings import SETTINGS

EULER, UNIPC = SchedulerSpec(name="EulerDiscreteScheduler"), SchedulerSpec(name="UniPCMultistepScheduler")


@pytest.fixture
def base():
    return RunSpec(pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a fox"),), seeds=(0, 1))


def settings(made):
    return [[value for _, value in cell.values] for cell in made.cells]


def test_sweep_without_axes_is_one_run(base):
    """A sweep of nothing is the base."""
    made = build_sweep(base)
    assert [cell.spec for cell in made.cells] == [base]
    assert made.cells[0].label == ""
    assert made.image_count == 2


def test_sweep_axes_multiply_and_the_first_changes_slowest(base):
    """The order is that of nested loops, as written."""
    made = build_sweep(base, [Axis(field="scheduler", values=(EULER, None)), Axis(field="steps", values=(10, 20, 30))])
    assert [(spec.pipeline.scheduler, spec.call.num_inference_steps) for spec in made.specs] == [
        (EULER, 10), (EULER, 20), (EULER, 30), (None, 10), (None, 20), (None, 30),
    ]  # fmt: skip
    assert made.cells[4].label == "scheduler default · steps 20"
    assert made.cells[4].values == (("scheduler", "default"), ("steps", "20"))
    assert [cell.place for cell in made.cells] == list(itertools.product(range(2), range(3)))
    assert made.image_count == 12


def test_sweep_axis_of_any_setting_sets_only_its_fields(base):
    """Each sets its own fields of the spec, and nothing else."""
    values = {
        "model": "m", "revision": "r", "variant": "fp16", "config": "c", "vae": "v",
        "scheduler": EULER, "dtype": "float16",
        "steps": 3, "guidance": 2.5, "size": (64, 32), "height": 96, "width": 96, "batch_size": 2, "device": "cpu",
        "generator_device": "cuda", "negative": "blurry", "prompts": (Variant(prompt="b"),), "seeds": (7, 8),
        "arguments.eta": 0.5, "attention_slicing": True, "vae_slicing": True, "vae_tiling": True, "offload": "model",
        "attention_backend": "native", "compile": True, "channels_last": True, "exact": True,
        "lora": (Lora(name="ink", weight=0.5),), "textual_inversion": (Embedding(name="cat", token="<cat>"),),
        "weighting": True, "clip_skip": 1, "guidance_rescale": 0.5, "guidance_until": 0.5, "variation_seed": 0,
        "variation_strength": 0.5, "true_cfg_scale": 4.0, "graphs": True,
        "quantization": "int8", "text_encoder_quantization": "nf4",
    }  # fmt: skip
    assert values.keys() == {*SETTINGS, "arguments.eta"}
    for field, value in values.items():
        (cell,) = build_sweep(base, [Axis(field=field, values=(value,))]).cells
        changed = {change.field for change in base.diff(cell.spec)}
        sets = {"arguments.eta": {"eta"}, "negative": {"negative_prompts"}, "prompts": {"prompts"}}
        sets |= {name: {name} for name in ("lora", "textual_inversion")}
        assert changed == sets.get(field) or changed == set(SETTINGS[field].sets), field
    assert build_sweep(base, [Axis(field="size", values=((64, 32),))]).cells[0].values == (("size", "64x32"),)
    assert build_sweep(base, [Axis(field="seeds", values=((7, 8),))]).cells[0].values == (("seeds", "7,8"),)


def test_sweep_axis_by_diffusers_name_is_shown_short(base):
    """``num_inference_steps`` is ``steps``, and labels say the short one."""
    made = build_sweep(
        base, [Axis(field="num_inference_steps", values=(10,)), Axis(field="guidance_scale", values=(7.0,))]
    )
    assert made.cells[0].label == "steps 10 · guidance 7"


def test_sweep_axes_of_call_arguments_add_up(base):
    """Two arguments on two axes are both in the call, beside what the base has."""
    base = base.vary(arguments=(("shift", 1),))
    made = build_sweep(base, [Axis(field="arguments.eta", values=(0, 0.5)), Axis(field="arguments.shift", values=(2,))])
    assert [dict(spec.call.arguments) for spec in made.specs] == [
        {"shift": 2, "eta": 0}, {"shift": 2, "eta": 0.5},
    ]  # fmt: skip


def test_sweep_zip_group_varies_together(base):
    """Its fields take their first values, then their second ones; groups multiply after the axes."""
    made = build_sweep(
        base,
        [Axis(field="dtype", values=("float32", "bfloat16"))],
        [[Axis(field="scheduler", values=(EULER, UNIPC), shown=("e", "u")), Axis(field="steps", values=(30, 30))]],
    )
    assert settings(made) == [
        ["float32", "e", "30"], ["float32", "u", "30"], ["bfloat16", "e", "30"], ["bfloat16", "u", "30"],
    ]  # fmt: skip


def test_sweep_negative_prompts_reach_every_variant(base):
    """Words and what they steer away from are two axes, in whichever order."""
    words = Axis(field="prompts", values=((Variant(prompt="a"), Variant(prompt="b")), (Variant(prompt="c"),)))
    negative = Axis(field="negative", values=("", "blurry"))
    for axes in ([words, negative], [negative, words]):
        made = build_sweep(base, axes)
        assert {
            tuple((each.prompt, each.negative_prompt) for each in spec.variants) for spec in made.specs
        } == {
            (("a", ""), ("b", "")), (("a", "blurry"), ("b", "blurry")), (("c", ""),), (("c", "blurry"),),
        }  # fmt: skip
    assert made.cells[0].label == "negative none · prompts a · b"


def test_sweep_leaves_out_excluded_combinations(base):
    """All keys of an exclude have to match; a key may name several values."""
    axes = [Axis(field="scheduler", values=(EULER, UNIPC)), Axis(field="steps", values=(10, 20, 30))]
    made = build_sweep(base, axes, [], [Exclude(values={"scheduler": [EULER], "num_inference_steps": [20, 30]})])
    assert [cell.place for cell in made.cells] == [(0, 0), (1, 0), (1, 1), (1, 2)]
    made = build_sweep(base, axes, [], [Exclude(values={"steps": [10]}), Exclude(values={"scheduler": [UNIPC]})])
    assert [cell.place for cell in made.cells] == [(0, 1), (0, 2)]


def test_sweep_exclude_of_two_fields_of_one_group(base):
    """Only rows that have both are left out."""
    group = [Axis(field="steps", values=(10, 10, 20)), Axis(field="guidance", values=(1, 2, 2))]
    made = build_sweep(base, [], [group], [Exclude(values={"steps": [10], "guidance": [2]})])
    assert [cell.place for cell in made.cells] == [(0,), (2,)]


@pytest.mark.parametrize(
    ("axes", "zips", "excludes", "words"),
    [
        ([Axis(field="stps", values=(1,))], [], [], "axes.stps 'stps' is no field of a run (did you mean steps?)"),
        ([Axis(field="steps", values=())], [], [], "axes.steps has no value"),
        ([Axis(field="steps", values=(1, 1))], [], [], "axes.steps has the same value twice: 1, as number 1 and 2"),
        (
            [Axis(field="scheduler", values=(EULER, EULER), shown=("euler", "Euler"))], [], [],
            "axes.scheduler has one value in two words: euler and Euler",
        ),
        (
            [Axis(field="steps", values=(1,)), Axis(field="num_inference_steps", values=(2,))], [], [],
            "axes.num_inference_steps is set by the axis steps already",
        ),
        (
            [Axis(field="size", values=((1, 1),)), Axis(field="height", values=(2,))], [], [],
            "axes.height is set by the axis size already",
        ),
        (
            [], [[Axis(field="steps", values=(1, 2)), Axis(field="guidance", values=(1,))]], [],
            "axes.guidance has 1 values, where steps beside it has 2",
        ),
        (
            [], [[Axis(field="steps", values=(1, 1)), Axis(field="guidance", values=(2, 2))]], [],
            "axes.steps with guidance has the same value twice: 1, 2",
        ),
        ([Axis(field="steps", values=(1, 2))], [], [{"steps": [3]}], "exclude 'steps: 3' matches no combination"),
        ([Axis(field="steps", values=(1, 2))], [], [{"dtype": ["float16"]}], "dtype is no axis of this sweep"),
        ([Axis(field="steps", values=(1, 2))], [], [{}], "exclude names no field"),
        ([Axis(field="steps", values=(1, 2))], [], [{"steps": [1, 2]}], "exclude leaves nothing to run"),
        (
            [Axis(field="steps", values=tuple(range(1, 1001))), Axis(field="guidance", values=tuple(range(101)))],
            [], [], "axes.steps makes 101,000 runs with the axes beside it, too many; allowed: 100,000",
        ),
        ([Axis(field="steps", values=(0,))], [], [], "num_inference_steps 0 is too few"),
    ],
)  # fmt: skip
def test_sweep_that_cannot_be_is_refused(base, axes, zips, excludes, words):
    """What cannot be is said before a cell is made, with the field that is wrong."""
    with pytest.raises(InputError) as caught:
        build_sweep(base, axes, zips, [Exclude(values=values) for values in excludes])
    assert words in str(caught.value).replace("exclude 'dtype' is", "dtype is")


def test_sweep_with_a_run_twice_is_refused(base):
    """Prompts that differ in their negative prompts only are one run where an axis covers those up."""
    words = (Variant(prompt="a", negative_prompt="x"),), (Variant(prompt="a", negative_prompt="y"),)
    axes = [Axis(field="prompts", values=words, shown=("ax", "ay")), Axis(field="negative", values=("n", "m"))]
    with pytest.raises(InputError, match="one run of 'prompts ax · negative n' and of 'prompts ay · negative n'"):
        build_sweep(base, axes)


def test_axis_labels_of_different_values_differ():
    """Values that look alike are numbered; equal ones, which a zip group may have, are not."""
    long = "x" * 100
    assert Axis(field="model", values=(long + "a", long + "b")).labels()[1].endswith("(2)")
    assert Axis(field="steps", values=(10, 10)).labels() == ("10", "10")


axes_of_any_kind = st.lists(
    st.sampled_from(
        [
            Axis(field="scheduler", values=(EULER, UNIPC, None)), Axis(field="steps", values=(1, 2, 3)),
            Axis(field="guidance", values=(0, 1.5)), Axis(field="dtype", values=("float32", None)),
            Axis(field="negative", values=("", "x")), Axis(field="seeds", values=((0,), (1, 2))),
            Axis(field="prompts", values=((Variant(prompt="a"),), (Variant(prompt="b"),))),
            Axis(field="arguments.eta", values=(0, 1)), Axis(field="batch_size", values=(1, 4)),
        ]
    ),
    unique_by=lambda axis: axis.field, max_size=5,
)  # fmt: skip


@given(axes_of_any_kind, st.data())
def test_sweep_cells_are_the_product_less_excludes(axes, data):
    """As a plain product of all values would have it, in its order; and no spec is there twice."""
    base = RunSpec(pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a fox"),), seeds=(0,))
    every = list(itertools.product(*(range(len(axis.values)) for axis in axes)))
    excludes = []
    for axis in axes[:3]:
        if data.draw(st.booleans()):
            other = data.draw(st.sampled_from(axes))
            excludes.append({axis.field: [axis.values[0]], other.field: [other.values[-1], other.values[0]]})
    left = [
        place
        for place in every
        if not any(
            all(
                axis.values[at] in exclude[axis.field]
                for axis, at in zip(axes, place, strict=True)
                if axis.field in exclude
            )
            for exclude in excludes
        )
    ]
    if not left:
        return
    made = build_sweep(base, axes, [], [Exclude(values=values) for values in excludes])
    assert [cell.place for cell in made.cells] == left
    assert len(set(made.specs)) == len(left)
    for cell in made.cells:
        for axis, at in zip(axes, cell.place, strict=True):
            if axis.field == "steps":
                assert cell.spec.call.num_inference_steps == axis.values[at]


def test_sweep_of_a_hundred_thousand_cells_shares_parts(base):
    """The largest sweep there may be; what its cells have in common is one object."""
    axes = [
        Axis(field="model", values=tuple(f"m{at}" for at in range(10))),
        Axis(field="steps", values=tuple(range(1, 101))),
        Axis(field="seeds", values=tuple((at,) for at in range(100))),
    ]
    made = build_sweep(base, axes)
    assert len(made.cells) == MAX_CELLS == math.prod(len(axis.values) for axis in axes)
    assert len({id(spec.pipeline) for spec in made.specs}) == 10
    assert len({id(spec.call) for spec in made.specs}) == 100
    assert len({id(spec.variants) for spec in made.specs}) == 1
    assert made.cells[-1].label == "model m9 · steps 100 · seeds 99"
