"""Experiment files and options: what they mean, what is wrong and where, and what an option does to a file."""

import io
import json
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.errors import InputError, NotFound, UnknownValue
from promptlab.expand import Experiment, read_experiment
from promptlab.expand.experiment_file.reader import parse_experiment
from promptlab.specs import SchedulerSpec
from promptlab.specs.settings import SETTINGS

EXAMPLES = Path(__file__).parents[3] / "examples"
EULER, UNIPC = SchedulerSpec(name="EulerDiscreteScheduler"), SchedulerSpec(name="UniPCMultistepScheduler")


def read(text, folder=None):
    return parse_experiment(text, file="f.yaml", folder=folder)


def swept(experiment):
    return experiment.sweep(default_model="mini")


def labels(experiment):
    return [cell.label for cell in swept(experiment).cells]


def only(experiment):
    (cell,) = swept(experiment).cells
    return cell.spec


def refused(text, folder=None):
    with pytest.raises(InputError) as caught:
        swept(read(text, folder))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_parse_experiment_reads_every_key():
    """A file with all that one run can have."""
    experiment = read("""
        experiment: warrior
        name: first
        note: why not
        model: m
        revision: 1e5
        variant: fp16
        vae: v
        scheduler: euler:use_karras_sigmas=true
        dtype: bf16
        steps: 20
        guidance: 7.50
        size: 64x32
        device: cuda:1
        generator_device: cuda
        batch_size: 2
        seeds: 1-10 [4]
        negative: blurry
        prompts: a {red|blue} fox
        arguments: {clip_skip: 1, eta: .5, text: "1", flag: true, nothing: null}
    """)
    assert (experiment.experiment, experiment.name, experiment.note) == ("warrior", "first", "why not")
    spec = only(experiment)
    assert spec.pipeline.revision == "1e5"
    assert str(spec.pipeline.scheduler) == "EulerDiscreteScheduler:use_karras_sigmas=true"
    assert (spec.pipeline.model, spec.pipeline.variant, spec.pipeline.vae, spec.pipeline.dtype) == (
        "m", "fp16", "v", "bfloat16",
    )  # fmt: skip
    assert (spec.call.num_inference_steps, spec.call.guidance_scale) == (20, 7.5)
    assert (spec.call.width, spec.call.height) == (64, 32)
    assert spec.call.clip_skip == 1
    assert dict(spec.call.arguments) == {"eta": 0.5, "text": "1", "flag": True, "nothing": None}
    assert (spec.device, spec.generator_device, spec.batch_size, spec.seeds) == ("cuda:1", "cuda", 2, (1, 4, 7, 10))
    assert [(each.prompt, each.negative_prompt, each.label) for each in spec.variants] == [
        ("a red fox", "blurry", "red"), ("a blue fox", "blurry", "blue"),
    ]  # fmt: skip


def test_parse_experiment_takes_diffusers_names():
    """``num_inference_steps`` and the like are keys, too."""
    spec = only(read("{prompt: a, num_inference_steps: 3, guidance_scale: 2, negative_prompt: b, height: 8}"))
    assert (spec.call.num_inference_steps, spec.call.guidance_scale, spec.call.height) == (3, 2, 8)
    assert spec.variants[0].negative_prompt == "b"


@pytest.mark.parametrize(
    ("said", "seeds"),
    [("3", (3,)), ("0-2", (0, 1, 2)), ("[0, 7-8, 42]", (0, 7, 8, 42)), ("1,5", (1, 5)), ("~", (0,))],
)
def test_parse_experiment_reads_seeds(said, seeds):
    """As on the command line, a number, or a list of these; seed 0 where nothing is said."""
    assert only(read(f"prompts: a\nseeds: {said}")).seeds == seeds


def test_parse_experiment_keeps_words_as_they_look():
    """What other readers of YAML take for a truth value, a time or a date is a prompt like any other."""
    spec = only(read("prompts: [no, 1:30, 2024-01-01, 007, 'null']"))
    assert [each.prompt for each in spec.variants] == ["no", "1:30", "2024-01-01", "007", "null"]
    assert all(type(each.prompt) is str for each in spec.variants)
    assert only(read("prompts: a\nrevision: 0123456")).pipeline.revision == "0123456"


def test_parse_experiment_reads_prompts_of_their_own():
    """A mapping gives a prompt its negative prompt and its label; the others take the experiment's."""
    spec = only(read("negative: n\nprompts: [a, {prompt: b, negative: m, label: bee}, {prompt: c, negative: ''}]"))
    assert [(each.prompt, each.negative_prompt, each.label) for each in spec.variants] == [
        ("a", "n", "a"), ("b", "m", "bee"), ("c", "", "c"),
    ]  # fmt: skip
    assert only(read("template: a {x|y}")).variants[1].prompt == "a y"
    assert only(read("prompts: {text: 'a {x|y}'}")).variants[0].prompt == "a {x|y}"


def test_parse_experiment_reads_lists(tmp_path):
    """Written in the file, in a file that it names, or beside it in ``lists``."""
    (tmp_path / "hues.txt").write_text("red\nblue", encoding="utf-8")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "animal.txt").write_text("fox\ncat", encoding="utf-8")
    path = tmp_path / "e.yaml"
    path.write_text(
        "prompts: __age__ __hue__ ${animal}\nlists:\n  age: [old, young]\n  hue: hues.txt", encoding="utf-8"
    )
    assert [each.prompt for each in only(read_experiment(path)).variants][:3] == [
        "old red fox", "old red cat", "old blue fox",
    ]  # fmt: skip
    path.write_text("prompts: __nope__", encoding="utf-8")
    with pytest.raises(InputError, match=r"e\.yaml, line 1, column 10: prompts, column 1: list 'nope' is unknown"):
        swept(read_experiment(path))


def test_read_experiment_reads_standard_input(monkeypatch):
    """``-`` reads it."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"prompts: a\nsteps: 0")))
    with pytest.raises(InputError, match="standard input, line 2, column 8: steps 0 is too few"):
        read_experiment("-")


def test_read_experiment_of_an_unreadable_file_is_refused(tmp_path):
    """No file, a folder, another encoding: each is said as that."""
    with pytest.raises(NotFound, match=r"file '.*nope\.yaml' does not exist"):
        read_experiment(tmp_path / "nope.yaml")
    with pytest.raises(InputError, match="is a folder"):
        read_experiment(tmp_path)
    (tmp_path / "e.yaml").write_bytes("prompts: é".encode("latin-1"))
    with pytest.raises(InputError, match="is not UTF-8: byte 0xe9 in line 1"):
        read_experiment(tmp_path / "e.yaml")


def test_parse_experiment_reads_axes_zip_and_exclude():
    """Axes multiply, groups go together, excluded combinations are left out; ranges are understood."""
    experiment = read(
        """
        prompts: a
        axes:
          - scheduler: [euler, default]
          - steps: 10-30 (+10)
        zip:
          - {guidance: [1, 0.5..1.0 step .5], arguments.eta: [0, 0.5, 1]}
        exclude:
          - {scheduler: Euler, steps: [20, 30]}
          - {guidance: 0.5, arguments.eta: 0.5}
          - {steps: 20-30 (+10), scheduler: null, arguments.eta: 0}
    """.replace("[1, 0.5..1.0", "[2, 0.5..1.0")
    )
    assert labels(experiment) == [
        "scheduler euler · steps 10 · guidance 2 · arguments.eta 0",
        "scheduler euler · steps 10 · guidance 1 · arguments.eta 1",
        "scheduler default · steps 10 · guidance 2 · arguments.eta 0",
        "scheduler default · steps 10 · guidance 1 · arguments.eta 1",
        "scheduler default · steps 20 · guidance 1 · arguments.eta 1",
        "scheduler default · steps 30 · guidance 1 · arguments.eta 1",
    ]


def test_parse_experiment_takes_words_and_seeds_as_axes():
    """Each value is a text or a list of texts; each makes the rows of its own runs."""
    experiment = read("fragments: [c]\naxes: {prompts: ['{a|b}', [x, y]], seeds: [0-1, 7, [2, 3]], negative: ['', n]}")
    cells = swept(experiment).cells
    assert len(cells) == 12
    assert [each.prompt for each in cells[0].spec.variants] == ["a", "a, c", "b", "b, c"]
    assert [each.prompt for each in cells[-1].spec.variants] == ["x", "x, c", "y", "y, c"]
    assert cells[-1].spec.seeds == (2, 3)
    assert cells[-1].spec.variants[0].negative_prompt == "n"
    assert cells[-1].label == "prompts x · y · seeds 2,3 · negative n"


def test_parse_experiment_ladder_keeps_what_was_said():
    """Each step is a run; what it does not name is as in the step before, before the first as in the file."""
    experiment = read("""
        prompts: a
        steps: 50
        ladder:
          - dtype: float32
          - {dtype: float16, steps: 20}
          - vae: v
          - {prompts: 'a {b|c}', seeds: 1}
          - vae: default
    """)
    assert labels(experiment) == [
        "dtype float32 · steps 50 · vae default · prompts a · seeds 0",
        "dtype float16 · steps 20 · vae default · prompts a · seeds 0",
        "dtype float16 · steps 20 · vae v · prompts a · seeds 0",
        "dtype float16 · steps 20 · vae v · prompts {b|c} · seeds 1",
        "dtype float16 · steps 20 · vae default · prompts {b|c} · seeds 1",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stps: 3", "line 1, column 1: key 'stps' is unknown (did you mean steps?); allowed: experiment, name"),
        ("prompts: [a, {promt: b}]", "line 1, column 15: key 'promt' is unknown (did you mean prompt?)"),
        ("axes: {stps: [1]}", "line 1, column 8: axes 'stps' is no field of a run (did you mean steps?)"),
        ("exclude: [{sheduler: a}]", "line 1, column 12: exclude 'sheduler' is no field of a run (did you mean"),
        ("ladder: [{vea: a}]", "line 1, column 11: ladder 'vea' is no field of a run (did you mean vae?)"),
        ("steps: 3\nnum_inference_steps: 4", "line 2, column 1: num_inference_steps is another word for steps"),
        ("steps: 0", "line 1, column 8: steps 0 is too few; allowed: 1 or more"),
        ("steps: 10-20", "line 1, column 8: steps '10-20' is more than one value; allowed: one here"),
        ("steps: [1]", "line 1, column 8: steps is a list; allowed: one value"),
        ("steps: many", "line 1, column 8: steps 'many' is not a whole number"),
        ("guidance: -1", "line 1, column 11: guidance -1.0 is out of range; allowed: 0 or more"),
        ("dtype: fp8", "line 1, column 8: dtype 'fp8' is unknown; allowed: float32, float16, bfloat16"),
        ("size: 3x", "line 1, column 7: size '3x' is no size"),
        ("size: 64\nheight: 8", "line 2, column 9: height is said twice, beside size"),
        ("model: ''", "line 1, column 8: model '' is empty"),
        ("scheduler: eulr", "line 1, column 12: scheduler 'eulr' is unknown (did you mean euler?)"),
        ("scheduler: 'euler:x'", "line 1, column 12: scheduler 'euler:x' has an option without a value"),
        ("axes:\n  scheduler: [euler,\n    eulr]", "line 3, column 5: scheduler 'eulr' is unknown"),
        ("seeds: 1-", "line 1, column 8: seeds '1-' is not a seed"),
        ("seeds: [1, 1]", "line 1, column 9: seeds 1 is named twice"),
        ("prompts: a {b", "line 1, column 10: prompts 'a {b' at column 3 (from '{b') opens a brace that is"),
        ("prompts: [a, ~]", "line 1, column 10: prompts holds nothing as number 2"),
        ("prompts: [a, [b]]", "line 1, column 14: prompts is a list; allowed: one value"),
        ("prompts:\n- a\n- b\n- a", "line 4, column 3: prompts gives the prompt 'a' twice, as variants 1"),
        ("prompts: {label: b}", "line 1, column 18: prompts has no words"),
        ("prompts: {prompt: a, text: b}", "says prompt beside text"),
        ("prompts: {prompt: a, source: 1}", "line 1, column 30: source goes with text only"),
        ("prompts: a\ntemplate: b", "line 2, column 11: template is said beside prompts"),
        ("prompts: {prompt: '{a|b}', label: c}", "line 1, column 35: label 'c' labels 2 prompts alike"),
        ("replace: b", "line 1, column 10: replace 'b' has no => between old and new words"),
        ("replace: [q=>r]", "line 1, column 11: replace 'q' is not in the prompt 'p'"),
        ("fragments: ['{']", "line 1, column 13: fragments '{' at column 1"),
        ("order: x, y", "line 1, column 8: order 'x' is not in the prompt 'p'"),
        ("sample: 2", "line 1, column 9: sample 2 is too many; allowed: 1 to 1"),
        ("sample: 0", "line 1, column 9: sample '0' is out of range; allowed: 1 to 100,000"),
        ("template_seed: -1", "line 1, column 16: template_seed '-1' is out of range"),
        ("lists: {x: [a, '{']}", "line 1, column 16: list 'x', entry 2 '{' at column 1"),
        ("lists: {x: }", "line 1, column 9: list 'x' is empty"),
        ("lists: {x: y.txt}", "line 1, column 9: list 'x' 'y.txt' is a file, and there are none here"),
        ("lists: {x: [{a: b}]}", "line 1, column 9: lists.x is not a value or a list of values"),
        ("axes: {steps: [1, 2]}\nsteps: 3", "line 1, column 8: axes.steps is said twice"),
        ("axes: {prompts: [a, b]}", "line 1, column 8: axes.prompts is said twice"),
        ("axes: {scheduler: euler}", "line 1, column 8: axes.scheduler 'euler' is no list; allowed: several"),
        ("axes: {scheduler: [euler, EulerDiscrete]}", "has one value in two words: euler and EulerDiscrete"),
        ("axes: {model: [[a]]}", "line 1, column 16: axes.model is a list within a list"),
        ("axes: {steps: [1, 0]}", "line 1, column 19: axes.steps 0 is too few"),
        ("axes: steps", "line 1, column 7: axes 'steps' is one text; allowed: fields and their values"),
        ("axes: [a]", "line 1, column 8: axes 'a' is one text"),
        ("zip: [{steps: [1, 2], guidance: [1]}]", "line 1, column 23: zip.guidance has 1 values, where steps"),
        ("zip: {steps: [1]}\naxes: {steps: [2]}", "line 1, column 7: zip.steps is said twice"),
        ("axes: {steps: [1, 2]}\nexclude: [{steps: 3}]", "line 2, column 12: exclude.steps 'steps: 3' matches"),
        ("axes: {steps: [1, 2]}\nexclude: [{vae: a}]", "line 2, column 12: exclude.vae 'vae' is no axis"),
        ("steps: 1\nexclude: [{steps: 1}]", "line 2, column 12: exclude.steps leaves nothing to run"),
        ("axes: {negative: [a, b]}\nprompts: {prompt: x, negative: y}", "axes.negative is an axis, and a prompt"),
        ("arguments: {eta: [1]}", "line 1, column 13: arguments.eta is a list"),
        ("arguments: {guidance_scale: 1}", "'arguments.guidance_scale' has a name of its own; allowed: guidance"),
        ("arguments: {a b: 1}", "line 1, column 13: arguments 'arguments.a b' is no field of a run"),
        ("arguments: {a: 9999999999999999999999}", "line 1, column 16 '9999999999999999999999' is too large"),
        ("ladder: [{steps: 1}, {}]", "line 1, column 11: ladder.steps says nothing in step 2"),
        ("ladder: [{steps: 1}, {model: m}]", "line 1, column 23: ladder.model is not in the first step"),
        ("ladder: [{steps: 1}, {steps: 1}]", "line 1, column 11: ladder.steps has the same value twice"),
        ("ladder: [{steps: [1, 2]}]", "line 1, column 11: ladder.steps is more than one value"),
        ("- a", "line 1, column 1 is not an experiment"),
        ("", "f.yaml says nothing"),
        ("template: ~\nprompts: []", "f.yaml names no prompt; allowed: prompts or template, or prompts in the command"),
    ],
)  # fmt: skip
def test_parse_experiment_of_what_cannot_be_is_refused(text, message):
    """Each error names file, line and column, what is wrong with which value, and what is allowed."""
    needs = not re.search(r"^(prompts|template|prompt|- a|$)|[{ ]prompts?:", text)
    assert message in refused(text + "\nprompts: p" if needs or "axes: {prompts" in text else text)


def test_parse_experiment_of_unknown_keys_names_the_nearest():
    """The error that says so is the one that the rest of PromptLab raises for it."""
    with pytest.raises(UnknownValue):
        read("stps: 3")


# options over a file


@pytest.fixture
def file():
    return read("""
        experiment: e
        model: m
        revision: r
        steps: 50
        seeds: 0-3
        prompts: a
        axes: {scheduler: [euler, unipc], guidance: [1, 2]}
        zip: [{dtype: [float32, float16, float16], batch_size: [1, 1, 2]}]
    """)


def test_with_options_unnamed_changes_nothing(file):
    """``None`` and no values at all are not named."""
    same = file.with_options(**dict.fromkeys(SETTINGS), experiment=None, name=None, note=None, sample=None, replace=())
    assert swept(same) == swept(file)
    assert len(swept(file).cells) == 12


def test_with_options_replaces_the_value(file):
    """As typed, or as the spec has it; by either name."""
    assert {spec.call.num_inference_steps for spec in swept(file.with_options(num_inference_steps=7)).specs} == {7}
    assert {spec.call.num_inference_steps for spec in swept(file.with_options(steps="8")).specs} == {8}
    assert {spec.seeds for spec in swept(file.with_options(seeds=(7, 8))).specs} == {(7, 8)}
    assert {spec.seeds for spec in swept(file.with_options(seeds="9")).specs} == {(9,)}
    named = file.with_options(experiment="x", name="y", note="z")
    assert (named.experiment, named.name, named.note) == ("x", "y", "z")


def test_with_options_replaces_the_axis(file):
    """One value leaves no axis; several are the axis, at its place."""
    assert labels(file.with_options(scheduler="heun", dtype="float32"))[:3] == [
        "guidance 1 · batch_size 1", "guidance 1 · batch_size 2", "guidance 2 · batch_size 1",
    ]  # fmt: skip
    made = swept(file.with_options(scheduler=[EULER, "heun", "default"]))
    assert [cell.values[0] for cell in made.cells[:13:6]] == [
        ("scheduler", "EulerDiscreteScheduler"), ("scheduler", "heun"), ("scheduler", "default"),
    ]  # fmt: skip
    assert len(made.cells) == 18


def test_with_options_of_several_values_is_an_axis(file):
    """Ranges, too."""
    made = swept(file.with_options(steps="10-30 (+10)", size=["64", (32, 16)], arguments={"eta": [0, 0.5], "x": 1}))
    assert len(made.cells) == 12 * 3 * 2 * 2
    assert made.cells[-1].values[:5] == (
        ("scheduler", "unipc"), ("guidance", "2"), ("steps", "30"), ("size", "32x16"), ("arguments.eta", "0.5"),
    )  # fmt: skip
    assert dict(made.cells[-1].spec.call.arguments) == {"eta": 0.5, "x": 1}


def test_with_options_takes_call_arguments(file):
    """As ``--set`` gives them: a name that comes again makes an axis; texts are no ranges."""
    experiment = file.with_options(
        arguments=(("eta", 0), ("mode", "1-5"), ("eta", 0.5)), scheduler="euler", dtype="float32"
    )
    made = swept(experiment.with_options(guidance=1, batch_size=1))
    assert [dict(spec.call.arguments) for spec in made.specs] == [
        {"eta": 0, "mode": "1-5"},
        {"eta": 0.5, "mode": "1-5"},
    ]
    with pytest.raises(InputError, match=r"arguments\.eta has the same value twice"):
        swept(file.with_options(arguments=(("eta", 0), ("eta", 0))))


def test_with_options_joins_rows_that_become_equal(file):
    """With the dtype typed, the group has two rows left."""
    made = labels(file.with_options(dtype="bfloat16", guidance=3, scheduler=EULER))
    assert made == ["batch_size 1", "batch_size 2"]


def test_with_options_of_another_model_drops_the_revision(file):
    """The file's revision was the other one's; the same model keeps it."""
    assert {spec.pipeline.revision for spec in swept(file.with_options(model="mini")).specs} == {None}
    assert {spec.pipeline.revision for spec in swept(file.with_options(model="m")).specs} == {"r"}
    assert {spec.pipeline.revision for spec in swept(file.with_options(model="mini", revision="s")).specs} == {"s"}


def test_with_options_of_one_side_splits_the_size():
    """With only the height typed, the file's width stays; with a size typed, neither of its sides."""
    plain, axis = read("prompts: a\nsize: 64x32"), read("prompts: a\naxes: {size: [64x32, 16]}")
    assert only(plain.with_options(height=8)).call.width == 64
    assert only(plain.with_options(height=8)).call.height == 8
    assert labels(axis.with_options(width=8)) == ["height 32", "height 16"]
    assert only(axis.with_options(size="8")).call.height == 8
    assert only(read("prompts: a\nheight: 64").with_options(size=(8, 16))).call.height == 16
    with pytest.raises(InputError, match="size is said beside height; allowed: size, or height and width"):
        plain.with_options(size="8", height="8")


def test_with_options_takes_words():
    """Prompts replace prompts; what is done to them may be typed, too."""
    experiment = read("prompts: [a, b]\nnegative: n").with_options(prompts=["{x|y} z"], replace=("z=>{q|r}",))
    assert [each.prompt for each in only(experiment).variants] == ["x q", "x r", "y q", "y r"]
    assert {each.negative_prompt for each in only(experiment.with_options(negative_prompt="m")).variants} == {"m"}
    assert len(only(experiment.with_options(sample="3", template_seed=1)).variants) == 3
    assert labels(experiment.with_options(negative=["", "m"])) == ["negative none", "negative m"]


def test_with_options_without_a_file_is_an_experiment():
    """The same path serves a command without one."""
    spec = only(Experiment().with_options(prompts=("a {b|c}",), seeds="0-1", scheduler="euler"))
    assert spec.image_count == 4
    assert spec.pipeline.model == "mini"
    with pytest.raises(InputError, match="prompts is missing"):
        swept(Experiment())


def test_with_options_drops_excludes_that_match_nothing():
    """They are compared with what was typed, and may match nothing then."""
    experiment = read("""
        prompts: a
        axes: {scheduler: [euler, unipc], steps: [1, 2]}
        exclude: [{scheduler: euler, steps: 2}]
    """)
    assert labels(experiment.with_options(scheduler="euler")) == ["steps 1"]
    assert labels(experiment.with_options(scheduler="heun")) == ["steps 1", "steps 2"]
    assert len(labels(experiment.with_options(scheduler=["heun", "euler"]))) == 3
    assert len(labels(experiment.with_options(scheduler=["heun", "ddim"]))) == 4


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"steps": "x"}, "num_inference_steps 'x' is not a whole number"),
        ({"steps": 0}, "num_inference_steps 0 is too few"),
        ({"steps": [1, 1]}, "num_inference_steps has the same value twice"),
        ({"batch_size": "0"}, "batch_size 0 is too small"),
        ({"dtype": ["float16", "fp8"]}, "dtype 'fp8' is unknown"),
        ({"scheduler": "eulr"}, "scheduler 'eulr' is unknown"),
        ({"prompts": "{"}, "prompts '{' at column 1"),
        ({"sample": 0}, "sample '0' is out of range"),
        ({"template_seed": -1}, "template_seed '-1' is out of range"),
        ({"replace": "x"}, "replace 'x' has no =>"),
        ({"arguments": {"eta": {}}}, "is no value of a call argument"),
    ],
)
def test_with_options_of_what_cannot_be_is_refused(file, typed, message):
    """Errors name the option."""
    with pytest.raises(InputError) as caught:
        swept(file.with_options(**typed))
    assert message in str(caught.value)


def test_with_options_of_an_unknown_name_is_a_type_error():
    """Not of whoever types."""
    with pytest.raises(TypeError, match="'stps'"):
        Experiment().with_options(stps=3)


# what ships, and what never changes


def example_sweeps():
    for path in sorted(EXAMPLES.glob("*.yaml")):
        yield path.name, swept(read_experiment(path))


def test_experiment_examples_are_those_of_every_version():
    """What the shipped files stand for, its order and its words; each says on its first line what it shows."""
    stored = json.loads(Path(__file__).with_name("sweeps.json").read_text(encoding="utf-8"))
    made = {
        name: [
            {
                "label": cell.label,
                "seeds": list(cell.spec.seeds),
                "prompts": [each.prompt for each in cell.spec.variants],
            }
            for cell in each.cells
        ]
        for name, each in example_sweeps()
    }
    assert made == stored
    for path in EXAMPLES.glob("*.yaml"):
        assert path.read_text(encoding="utf-8").startswith("# Shows: ")


def test_experiment_ladder_runs_on_the_bundled_model():
    """As its own comment says."""
    ladder = read_experiment(EXAMPLES / "ladder.yaml")
    specs = swept(ladder.with_options(model="mini", vae="default", dtype="float32")).specs
    assert len(specs) == 6
    assert {(spec.pipeline.model, spec.pipeline.vae, spec.pipeline.dtype) for spec in specs} == {
        ("mini", None, "float32")
    }


# totality

keys = st.sampled_from([*SETTINGS, "axes", "zip", "ladder", "exclude", "lists", "fragments", "order", "replace",
                        "sample", "template", "arguments", "arguments.eta", "prompt", "text", "label"])  # fmt: skip
scalars = (
    st.none() | st.booleans() | st.integers(-2, 40) | st.floats(allow_nan=False) | st.text(max_size=6)
    | st.sampled_from(["1-5", "1-10 [3]", "{a|b}", "__x__", "a=>b", "a, b", "euler", "default", "64x32", "random:2"])
)  # fmt: skip
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=10
)


@given(st.dictionaries(keys, anything, max_size=6) | anything)
def test_parse_experiment_of_any_structure_is_one_or_an_input_error(value):
    """Whatever stands in the file: an experiment and its sweep, or one error in a line."""
    try:
        swept(read(json.dumps(value)))
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017  (hypothesis tries both)


yaml_like = st.lists(
    st.sampled_from(["prompts", "axes", "steps", "seeds", "a", "[", "]", "{", "}", ":", ": ", ", ", "\n", "  ", "- ",
                     "1", "1-5", "&x ", "*x", "'", '"', "|", "#", "zip", "ladder", "~", "true", "euler", "scheduler"])
).map("".join)  # fmt: skip


@given(yaml_like)
def test_parse_experiment_of_any_text_is_one_or_an_input_error(text):
    """Whatever the file is."""
    try:
        swept(read(text))
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017  (hypothesis tries both)


@given(st.dictionaries(keys, anything, max_size=3))
def test_with_options_of_anything_is_one_or_an_input_error(typed):
    """Whatever is typed over a file, but for names that are no options."""
    typed = {key: value for key, value in typed.items() if key in SETTINGS and not isinstance(value, dict)}
    flat = {
        key: [each for each in value if not isinstance(each, list | dict)] if isinstance(value, list) else value
        for key, value in typed.items()
    }
    try:
        swept(read("prompts: a\naxes: {steps: [1, 2], size: [8, 16]}\nexclude: [{steps: 1}]").with_options(**flat))
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017  (hypothesis tries both)
