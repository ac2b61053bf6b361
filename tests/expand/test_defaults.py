"""Defaults lie below what is typed and below an experiment file; a workspace's go over the user's."""

import pytest

from promptlab.errors import InputError
from promptlab.expand.defaults import defaults_line, read_defaults, user_file
from promptlab.expand.defaults_file import default_names, parse_defaults
from promptlab.expand.experiment_file.reader import parse_experiment
from promptlab.specs.settings import SETTINGS


@pytest.fixture
def defaults(tmp_path, monkeypatch):
    """Return the defaults of two files' texts: of the workspace, and the user's."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    root = tmp_path / "work"
    root.mkdir()

    def read(workspace="", user=""):
        user_file().parent.mkdir(parents=True, exist_ok=True)
        user_file().write_text(user, encoding="utf-8")
        (root / "promptlab.toml").write_text(workspace, encoding="utf-8")
        return read_defaults(root)

    read.root = root
    return read


def spec_of(experiment):
    return experiment.with_options(prompts=("a fox",)).sweep(default_model="mini").cells[0].spec


def test_defaults_of_a_workspace_go_over_the_users(defaults):
    """Both are in force; of two that say the same setting, by whichever of its names, the workspace's wins."""
    found = defaults('num_inference_steps = 12\nscheduler = "unipc"', 'steps = 30\nguidance = 5\nexperiment = "war"')
    spec, experiment = spec_of(found.experiment()), found.experiment().experiment
    assert (spec.call.num_inference_steps, spec.call.guidance_scale, experiment) == (12, 5.0, "war")
    assert spec.pipeline.scheduler.name == "UniPCMultistepScheduler"
    by_name = {each.name: each for each in found.in_force()}
    assert (by_name["steps"].file, by_name["steps"].hidden) == ("promptlab.toml", ("30", str(user_file())))
    assert by_name["guidance"].file == str(user_file())


def test_defaults_are_none_where_there_is_no_file(tmp_path, monkeypatch):
    """And an experiment is what it would be without them."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    found = read_defaults(tmp_path)
    assert found.files == found.experiment().settings == found.in_force() == ()
    assert defaults_line(found.experiment()) is None


def test_defaults_are_replaced_by_what_is_typed(defaults):
    """A value, several values, and a side of a size; the line says what is left of them."""
    asked = defaults('steps = 12\nsize = "64x32"\nnegative = "blurry, text"\nseeds = "0-2"').experiment()
    assert defaults_line(asked) == (
        "defaults from promptlab.toml: steps 12, size 64x32, negative 'blurry, text', seeds 0-2"
    )
    typed = asked.with_options(steps=("2", "3"), width=48, negative="", prompts=("a fox",))
    cells = typed.sweep(default_model="mini").cells
    assert [cell.spec.call.num_inference_steps for cell in cells] == [2, 3]
    assert {(cell.spec.call.width, cell.spec.call.height) for cell in cells} == {(48, 32)}
    assert {cell.spec.variants[0].negative_prompt for cell in cells} == {""}
    assert defaults_line(typed) == "defaults from promptlab.toml: seeds 0-2"


def test_defaults_of_another_model_lose_its_revision(defaults):
    """As in an experiment file: a branch belongs to the model that it was said of."""
    asked = defaults('model = "mini"\nrevision = "dev"').experiment()
    assert spec_of(asked.with_options(model="mini-vae-ft")).pipeline.revision is None
    both = defaults('model = "mini-vae-ft"', 'model = "mini"\nrevision = "dev"')
    assert spec_of(both.experiment()).pipeline.revision is None
    assert [each.name for each in both.in_force()] == ["model"]


def test_defaults_lie_under_an_experiment_file(defaults):
    """What the file says, as a value or an axis, is the file's; all else is as the defaults have it."""
    found = defaults('steps = 12\nscheduler = "unipc"\nseeds = "5"\nwidth = 64\nexperiment = "war"\nguidance = 3')
    file = parse_experiment("prompts: a fox\naxes: {steps: [2, 3]}\nscheduler: euler\nsize: 32", file="fox.yaml")
    asked = found.under(file)
    cells = asked.sweep(default_model="mini").cells
    assert [cell.spec.call.num_inference_steps for cell in cells] == [2, 3]
    spec = cells[0].spec
    assert (spec.call.width, spec.call.height, spec.seeds, spec.call.guidance_scale) == (32, 32, (5,), 3.0)
    assert (spec.pipeline.scheduler.name, asked.experiment) == ("EulerDiscreteScheduler", "war")
    assert defaults_line(asked) == "defaults from promptlab.toml: seeds 5, experiment war, guidance 3"


def test_default_word_takes_a_users_default_back(defaults):
    """The workspace may want the model's own."""
    assert spec_of(defaults('steps = "default"', "steps = 30").experiment()).call.num_inference_steps is None


def test_default_may_be_any_setting_by_its_option_or_field(tmp_path):
    """No list of settings is kept here."""
    for row in SETTINGS.values():
        if row.kind == "prompts":
            continue
        for name in (row.name, row.name.replace("_", "-"), row.field, *row.option_names):
            text = f'{name} = "{row.example}"'
            assert [*parse_defaults(text, shown="c.toml", folder=tmp_path).values] == [row.name]
        assert row.name.replace("_", "-") in default_names()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("stepps = 3", r"promptlab.toml 'stepps' is no setting \(did you mean steps\?\)"),
        ("prompts = 'a fox'", "'prompts' is no setting"),
        ("steps = 0", "promptlab.toml: steps 0 is too few; allowed: 1 or more"),
        ("steps = '10-30 (+10)'", "promptlab.toml: steps .* is more than one value"),
        ("steps = [1, 2]", "promptlab.toml: steps is no single value"),
        ("steps = true", "promptlab.toml: steps 'true'"),
        ("guidance = nan", "promptlab.toml: guidance"),
        ("scheduler = 'eular'", "promptlab.toml: scheduler .*did you mean euler"),
        ("scheduler = 1979-05-27", "is no single value"),
        ("lora = true", ""),
        ("steps = 3\nnum_inference_steps = 4", "is said twice, beside steps"),
        ("size = 64\nwidth = 32", "size is said beside width"),
        ("experiment = ' '", "experiment '' is empty"),
        ("steps 3", "promptlab.toml is no TOML"),
        ("a = " + "[" * 5000, "promptlab.toml is no TOML"),
        ("steps = " + "9" * 5000, "promptlab.toml"),
        ("styles = 3", "promptlab.toml: styles is no file and no style"),
        ("styles.oil = 3", "promptlab.toml: styles.oil is no style"),
        ("styles.oil.words = 'x'", "styles.oil 'words' is nothing that a style has"),
    ],
)
def test_defaults_file_that_cannot_be_is_refused_by_its_key(text, sentence, defaults):
    """The sentences of options, with the place in front."""
    if sentence:
        with pytest.raises(InputError, match=sentence):
            defaults(text)
    else:
        assert defaults(text).files


@pytest.mark.parametrize(
    "name", ["allow_pickle", "allow-pickle", "server", "cluster", "workers", "tracking_uri", "database", "workspace"]
)
def test_defaults_file_grants_no_rights_and_names_no_places(name, defaults):
    """Neither a stranger's nor one's own."""
    with pytest.raises(InputError, match="is no default; allowed: settings; this is typed with each command"):
        defaults(f'{name} = "true"')


@pytest.mark.parametrize(
    "text",
    [
        'model = "/etc"', 'model = "~/secret"', 'vae = "../other"', 'config = "a/../../b"', 'model = "C:\\\\x"',
        'lora = "../ink.safetensors:0.5"', 'lora = "a:1 + /etc/b:1"', 'embedding = "/etc/passwd:<x>"',
        'model = "inside-link"', 'quantization = "gguf:/x.gguf"', 'quantization = "gguf:../x.gguf"',
    ],
)  # fmt: skip
def test_workspace_file_reads_no_file_outside_of_it(text, defaults):
    """It may be a stranger's; a user's own file may say all of that."""
    (defaults.root / "inside-link").symlink_to("/etc")
    with pytest.raises(InputError, match=r"lies outside of the workspace"):
        defaults(text)
    assert defaults("", text).files


def test_workspace_file_names_files_from_its_own_folder_on(defaults, tmp_path, monkeypatch):
    """Wherever the command is typed; what lies where it is typed is not meant."""
    (defaults.root / "ink.safetensors").touch()
    monkeypatch.chdir(tmp_path)
    text = 'lora = "ink.safetensors:0.5"'
    assert spec_of(defaults(text).experiment()).pipeline.loras[0].name == str(defaults.root / "ink.safetensors")
    (tmp_path / "private").mkdir()
    with pytest.raises(InputError, match="lies outside of the workspace"):
        defaults('model = "private"')
    assert spec_of(defaults('model = "org/model"').experiment()).pipeline.model == "org/model"


def test_workspace_file_is_no_link_and_names_no_table_of_styles(defaults, tmp_path):
    """Nor does it have code downloaded."""
    with pytest.raises(InputError, match="is read in your own config file only"):
        defaults('styles = "/etc/passwd"')
    with pytest.raises(InputError, match="downloads code"):
        defaults('attention_backend = "flash_hub"')
    (defaults.root / "promptlab.toml").unlink()
    (tmp_path / "elsewhere").write_text("steps = 3", encoding="utf-8")
    for name in ("promptlab.toml", "styles.csv"):
        (defaults.root / name).symlink_to(tmp_path / "elsewhere")
        with pytest.raises(InputError, match=f"{name} is a link to outside of the workspace"):
            read_defaults(defaults.root)
        (defaults.root / name).unlink()
