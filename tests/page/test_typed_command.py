"""The command line that a page shows is what the page does: read back by the terminal, it asks for the same specs."""

import shlex

import pytest

from promptlab.cli import promptlab as group
from promptlab.cli.command_line import command_line, command_words
from promptlab.cli.parse import changes_of, experiment_of, prompt_edit_of, seeds_of, sweep_of, takes_run_options
from promptlab.errors import InputError
from promptlab.lab import Lab
from promptlab.lab.history.experiment_like import varied_from
from promptlab.lab.history.rerun import derived_spec
from promptlab.page.page_request import read_request, request_of
from promptlab.page.typed_command import carried_out, typed_command
from promptlab.specs import CallSpec, Lora, PipelineSpec, RunSpec, SchedulerSpec, Variant, options
from promptlab.testing import Painter
from tests.workspaces import prepared_workspace

PARENT = RunSpec(
    pipeline=PipelineSpec(
        model="mini", dtype="float32", loras=(Lora(name="ink", weight=0.8), Lora(name="wash")),
        scheduler=SchedulerSpec(name="DPMSolverMultistepScheduler", options=options({"use_karras_sigmas": True})),
    ),
    call=CallSpec(num_inference_steps=3, guidance_scale=2.5, width=32, height=48, arguments=options({"eta": 0.5})),
    variants=(
        Variant(prompt="a red_fox {sic}", negative_prompt="blurry", label="red"),
        Variant(prompt="a blue fox, at $5", negative_prompt="blurry", label="blue"),
    ),
    seeds=(1, 2, 3, 9),
)  # fmt: skip


@pytest.fixture(scope="module")
def lab(tmp_path_factory, prepared_database):
    """A lab with one run of two wordings, odd words and many settings."""
    found = Lab(prepared_workspace(tmp_path_factory.mktemp("page") / "work", prepared_database), engine=Painter())
    found.run(PARENT, experiment="foxes")
    return found


def typed(words):
    """Return what a terminal understands: the specs, and the experiment."""
    params = group.commands[words[0]].make_context(words[0], list(words[1:]), **group.context_settings).params
    return takes_run_options(lambda options, **own: (options, own))(**params)


def specs_of_words(words, lab):
    read, own = typed(words)
    if words[0] == "run":
        sweep = sweep_of(experiment_of(read))
        return (sweep if read.like is None else varied_from(sweep, lab.history.find(read.like))).specs, read.experiment
    source = lab.history.find(own["source"])
    others = seeds_of(read.seeds, what="--seeds")
    changes = changes_of(read) | ({} if others is None else {"seeds": others})
    return (derived_spec(source, (), prompt_edit_of(read), changes),), read.experiment or source.run.experiment


def carried(request, lab):
    parent = request.parent
    source = (
        None if parent is None else lab.history.find(f"{parent[0]}" + ("" if parent[1] is None else f"/{parent[1]}"))
    )
    command = typed_command(request, source)
    return command, carried_out(command, source, lab.workspace.root)


WORDS = [
    "a fox", "-a fox", "a {red|blue||old} fox", 'the "old" fox\'s $HOME `x` \\{sic\\}', "two\nlines", "  ", "é 狐 🦊",
    "--steps", "a, b, c!",
]  # fmt: skip
SETTINGS = [
    {},
    {"steps": ["3"], "guidance": ["7.5"], "scheduler": ["euler"], "size": ["64x48"], "dtype": ["float16"]},
    {"scheduler": ["dpmsolver++:use_karras_sigmas=true"], "lora": ["ink:0.5 + wash"], "weighting": ["true"]},
    {"steps": ["2-4 (+1)"], "scheduler": ["euler", "unipc", "default"], "compile": ["false", "true"]},
    {"arguments.eta": ["0.5"], "arguments.clean": ["true"], "clip_skip": ["default"], "batch_size": ["2"]},
    {"variation_seed": ["7"], "variation_strength": ["0.2"], "vae": ["mini-vae-tiny"], "offload": ["model"]},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: "-".join(settings) or "none")
def test_command_of_a_request_without_a_parent_is_read_back_the_same(lab, settings):
    """All words, seeds, negatives and settings: the terminal makes the same specs of the line."""
    for at, words in enumerate(WORDS):
        plain = {
            "prompt": words, "negatives": [[], ["blurry, -"], ["", "-grey"]][at % 3],
            "seeds": ["", "0-7", "3,9"][at % 3], "settings": settings, "parent": None,
            "experiment": [None, "my foxes"][at % 2], "again": at % 2 == 0,
        }  # fmt: skip
        command, asked = carried(read_request(plain), lab)
        assert specs_of_words(command_words(command), lab) == (asked.specs, plain["experiment"])
        line = command_line(command, " --workspace 'my foxes'")
        assert shlex.split(line.replace(" --workspace 'my foxes'", "")) == ["promptlab", *command_words(command)]
        assert typed(shlex.split(line)[1:])[0].workspace == "my foxes"


@pytest.mark.parametrize("position", [None, 0, 6])
@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: "-".join(settings) or "none")
def test_command_of_a_varied_run_or_image_is_read_back_the_same(lab, settings, position, monkeypatch):
    """What equals the parent's is inherited; a sweep starts from a picture of it."""
    monkeypatch.chdir(lab.workspace.root)
    own = request_of(lab.history.find("1" if position is None else f"1/{position}")).to_json()
    settings = {**own["settings"], **settings}
    for at, words in enumerate([own["prompt"], *WORDS]):
        plain = own | {
            "prompt": words, "settings": settings, "seeds": [own["seeds"], "4-5"][at % 2],
            "negatives": [own["negatives"], [], ["grey"]][at % 3],
        }  # fmt: skip
        command, asked = carried(read_request(plain), lab)
        specs, experiment = specs_of_words(command_words(command), lab)
        assert specs == asked.specs
        assert (experiment, asked.experiment) == ("foxes", "foxes")


@pytest.mark.parametrize("position", [None, 0, 6])
def test_request_of_a_run_or_image_is_the_rerun_that_changes_nothing(lab, position):
    """A form that is filled with it and sent back as it is asks for the very same images."""
    source = lab.history.find("1" if position is None else f"1/{position}")
    request = request_of(source)
    assert read_request(request.to_json()) == request
    command, asked = carried(request, lab)
    assert command_line(command) == f"promptlab rerun 1{'' if position is None else f'/{position}'}"
    assert asked.specs == (derived_spec(source, (), None, None),)


def test_request_with_everything_spelled_out_makes_the_images_of_its_run(lab):
    """Without a parent, the same texts make a run of the same recipes: nothing of the form is lost."""
    own = request_of(lab.history.find("1")).to_json() | {"parent": None}
    _, asked = carried(read_request(own), lab)
    run = lab.run(asked.spec, experiment="foxes")
    assert [image.recipe_key for image in run.images] == [
        image.recipe_key for image in lab.history.find("1").run.images
    ]


@pytest.mark.parametrize(
    ("plain", "field"),
    [
        ([], "request"), ({"prompts": ["a"]}, "prompts"), ({"prompt": 3}, "prompt"), ({"negatives": "a"}, "negatives"),
        ({"settings": []}, "settings"), ({"settings": {"step": ["3"]}}, "setting"),
        ({"settings": {"steps": "3"}}, "steps"), ({"settings": {"prompts": ["a"]}}, "setting"),
        ({"parent": 3}, "parent"), ({"parent": {"run": "3"}}, "parent"), ({"parent": {"run": -1}}, "parent"),
        ({"prompt": "a" * 200_001}, "request"), ({"negatives": ["a"] * 1001}, "negatives"),
    ],
)  # fmt: skip
def test_request_that_is_none_is_refused_by_its_field(plain, field):
    """A page of another version, or what is no page, is told what is wrong."""
    with pytest.raises(InputError) as error:
        read_request(plain)
    assert error.value.field == field


def test_typed_command_without_a_parent_takes_the_workspaces_defaults(lab):
    """As the line that is shown does in a terminal; a rerun takes its parent's."""
    file = lab.workspace.root / "promptlab.toml"
    file.write_text('steps = 7\nexperiment = "war"', encoding="utf-8")
    try:
        _, found = carried(read_request({"prompt": "a fox"}), lab)
        assert (found.spec.call.num_inference_steps, found.experiment) == (7, "war")
        _, own = carried(read_request({"prompt": "a fox", "parent": {"run": 1, "position": 0}}), lab)
        assert own.spec.call.num_inference_steps == 3
    finally:
        file.unlink()
