"""Every picture describes itself: to us without loss, to other tools in the words they know."""

import json
import re
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sd_parsers import ParserManager

from promptlab import __version__
from promptlab.errors import InputError
from promptlab.expand import parse_seeds
from promptlab.images.foreign import recognise
from promptlab.images.grid import save_grid
from promptlab.images.grid_metadata import GridMetadata, read_grid_metadata, read_grid_owner
from promptlab.images.infotext import display_name, infotext
from promptlab.images.metadata import ParentImage, describe, self_description
from promptlab.images.png import read_text, write_png
from promptlab.plan import requests_of
from promptlab.records import Environment, ImageRecord, ImageStatus, RunRecord, RunStatus
from promptlab.specs import Change, Lora, SchedulerSpec, Variant

UID = "0123456789abcdef" * 2
PIXELS = np.zeros((32, 48, 3), np.uint8)
same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
typed = st.text(st.characters(codec="utf-8"), max_size=60)
nasty = typed | st.lists(
    st.sampled_from(["Steps: 20, Sampler: Euler, CFG scale: 7, Seed: 1", "Negative prompt:", "\n", ", ", '"', "전",
                     ": ", "🔥", "\0", "\r\n", "Negative prompt: no", "Size: 1x1", "{a|b}", "\\", "<b>", "Hashes: {}"]),
    max_size=6,
).map("".join)  # fmt: skip

NASTY = [
    "portrait photo of a old warrior chief",
    "Steps: 5 of them, Sampler: none, CFG scale: 9, Seed: 3",
    "a list\nSteps: first this, then that\nand more",
    "words: Negative prompt: in the middle",
    "Negative prompt: at the front",
    'quotes "and" colons: and, commas — 50mm --ar 2:3  --beta',
    "two\nlines",
    "windows\r\nlines",
    "늙은 전사 추장의 초상 사진",
    "老いた戦士 🔥👨‍👩‍👧",
]


def chunks(resolve, variant, *, seed=7, **changes):
    return described(resolve((variant,), (seed,), **changes), parent=ParentImage(recipe_key="p" * 64))


ENVIRONMENT = Environment(facts={"torch": "2.13", "threads": 2, "tf32": False, "driver": None, "eta": 0.5})


def described(resolved, position=0, **about):
    """The chunks of one picture of a run of ``resolved``."""
    requests = requests_of(resolved)
    image = ImageRecord(
        run_id=3, position=position, variant=position // len(resolved.spec.seeds), seed=requests[position].seed,
        status=ImageStatus.MADE, recipe_key=requests[position].recipe_key, width=32, height=32, batch=1, slot=2,
        seconds=0.5, flag="black",
    )  # fmt: skip
    run = RunRecord(
        id=3, uid=UID, experiment="전사", name="a name", note=None, status=RunStatus.RUNNING, spec=resolved.spec,
        device="cpu", model_identity=resolved.model_identity, vae_identity=None,
        created_at=datetime(2025, 1, 1, 12, 30, tzinfo=UTC), ended_at=None, variants=(), images=(),
        environment=ENVIRONMENT, changes=(Change(field="seeds", before=[1], after=[1, 2]),),
    )  # fmt: skip
    return describe(run, image, requests[position], **{"environment": ENVIRONMENT, **about})


def as_read(prompt: str) -> str:
    """What the format can carry of a prompt: white space folded as text encoders fold it."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", prompt).split())


def as_the_web_ui_reads(text: str) -> dict[str, str]:
    """The steps of ``parse_generation_parameters`` in the web UI's ``modules/infotext_utils.py``."""
    pattern = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
    *lines, last = text.strip().split("\n")
    found = {"prompt": [], "negative": []}
    into = "prompt"
    for line in lines:
        if line.strip().startswith("Negative prompt:"):
            into = "negative"
        found[into].append(line.strip().removeprefix("Negative prompt:").strip())
    fields = {key: json.loads(value) if value[:1] == '"' else value for key, value in pattern.findall(last)}
    return {**fields, "prompt": "\n".join(found["prompt"]), "negative": "\n".join(found["negative"])}


def as_the_prompt_reader_reads(text: str) -> tuple[str, str, str]:
    """Where sd-prompt-reader's ``format/a1111.py`` cuts: at the first of each line's beginnings."""
    steps = text.find("\nSteps:")
    assert steps != -1
    if "Negative prompt:" not in text:
        return text[:steps], "", text[steps:]
    negative = text.find("\nNegative prompt:")
    return text[:negative], text[negative + 17 : steps], text[steps:]


@pytest.mark.parametrize("negative", ["", "blurry, Negative prompt: nested", "Steps: 1\nlow quality"])
@pytest.mark.parametrize("prompt", NASTY)
def test_infotext_every_field_is_read_by_sd_parsers(tmp_path, resolve, prompt, negative):
    """Words, sampler, schedule, steps, guidance, seed, size and model come out of the real reader as they went in."""
    write_png(tmp_path / "a.png", PIXELS, chunks(resolve, Variant(prompt=prompt, negative_prompt=negative)))
    info = ParserManager().parse(tmp_path / "a.png")
    (sampler,) = info.samplers
    assert [as_read(each.value) for each in sampler.prompts] == [as_read(prompt)]
    assert [as_read(each.value) for each in sampler.negative_prompts] == ([as_read(negative)] if negative else [])
    assert sampler.name == "DPM++ 2M"
    assert sampler.parameters["scheduler"] == "Karras"
    assert sampler.parameters["steps"] == "20"
    assert sampler.parameters["cfg_scale"] == "7.5"
    assert sampler.parameters["seed"] == "7"
    assert info.metadata["Size"] == "32x32"
    assert info.metadata["RNG"] == "CPU"
    assert info.metadata["Version"] == f"PromptLab {__version__}"
    assert sampler.model.name == "mini"
    assert sampler.model.hash is None


@given(prompt=nasty, negative=nasty)
@settings(deadline=None)
def test_infotext_every_reader_finds_the_same_words(resolve, prompt, negative):
    """For any text at all, three readers with different habits agree on where the prompts end."""
    (task,) = requests_of(resolve((Variant(prompt=prompt, negative_prompt=negative),)))
    text = infotext(task)
    web_ui = as_the_web_ui_reads(text)
    reader = as_the_prompt_reader_reads(text)
    assert as_read(web_ui["prompt"]) == as_read(reader[0]) == as_read(prompt)
    assert as_read(web_ui["negative"]) == as_read(reader[1]) == as_read(negative)
    assert (web_ui["Steps"], web_ui["Seed"], web_ui["Size"]) == ("20", "7", "32x32")
    assert reader[2].startswith("\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.5, Seed: 7")


def test_infotext_line_breaks_stay_where_the_format_has_room(resolve):
    """A prompt of two lines is two lines in the web UI too."""
    parameters = chunks(resolve, Variant(prompt="two\nlines"))["parameters"]
    assert parameters.startswith("two\nlines\nSteps: 20, ")


@same_folder
@given(prompt=nasty, negative=nasty, seed=st.integers(0, 2**32 - 1))
def test_metadata_read_back_is_what_was_written(tmp_path, resolve, prompt, negative, seed):
    """The promptlab chunk is lossless: the spec of this image alone, to the last character, and all that names it."""
    variant = Variant(prompt=prompt, negative_prompt=negative, label="x", replacement="a=>b", source=1)
    resolved = resolve((Variant(prompt="other"), variant), (1 if seed != 1 else 2, seed))
    task = requests_of(resolved)[3]
    parent = ParentImage(recipe_key="p" * 64, run_uid=UID, position=3)
    text = described(resolved, 3, parent=parent)
    write_png(tmp_path / "a.png", PIXELS, text)
    own = self_description(tmp_path / "a.png")
    assert own.spec == resolved.spec.vary(variants=(variant,), seeds=(seed,))
    assert own.recipe_key == task.recipe_key == resolved.key(variant, seed)
    assert (own.run_uid, own.run_id, own.position, own.experiment) == (UID, 3, 3, "전사")
    assert (own.model_identity, own.vae_identity, own.device) == (resolved.model_identity, None, "cpu")
    assert (own.environment_hash, own.parent, own.version) == (ENVIRONMENT.hash, parent, __version__)
    assert (own.environment, own.environment.hash) == (ENVIRONMENT, ENVIRONMENT.hash)
    assert (own.variant, parse_seeds(own.seeds), own.name, own.note) == (1, resolved.spec.seeds, "a name", None)
    assert own.changes == (Change(field="seeds", before=[1], after=[1, 2]),)
    assert (own.created_at, own.batch, own.slot, own.seconds, own.peak_memory, own.flag) == (
        datetime(2025, 1, 1, 12, 30, tzinfo=UTC), 1, 2, 0.5, None, "black",
    )  # fmt: skip


def test_metadata_of_the_first_format_is_still_read(tmp_path, resolve):
    """What 0.1's first pictures say of themselves: no environment's facts, a parent by its recipe alone."""
    (task,) = requests_of(resolve((Variant(prompt="a fox"),), (7,)))
    first = {
        "kind": "image", "format": 1, "version": "0.1.0", "run": {"uid": UID, "id": 3, "experiment": "foxes"},
        "position": 0, "recipe_key": task.recipe_key, "environment": "e" * 64, "model_identity": "sha256:1",
        "vae_identity": None, "device": "cpu", "parent": "p" * 64,
        "spec": resolve((Variant(prompt="a fox"),), (7,)).spec.to_dict(),
    }  # fmt: skip
    write_png(tmp_path / "a.png", PIXELS, {"promptlab": json.dumps(first)})
    own = self_description(tmp_path / "a.png")
    assert (own.run_uid, own.run_id, own.experiment, own.environment_hash) == (UID, 3, "foxes", "e" * 64)
    assert (own.environment, own.parent) == (None, ParentImage(recipe_key="p" * 64))


def test_metadata_has_two_chunks_and_never_one_called_prompt(tmp_path, resolve):
    """``prompt`` belongs to ComfyUI; and ours stays in the plainest kind of chunk whatever the words."""
    write_png(tmp_path / "a.png", PIXELS, chunks(resolve, Variant(prompt="전사")))
    assert set(read_text(tmp_path / "a.png")) == {"promptlab", "parameters"}
    assert b"tEXtpromptlab\0" in (tmp_path / "a.png").read_bytes()


def test_infotext_unknown_value_is_not_written(resolve):
    """No hash for a folder, no size that the call leaves to the model, no VAE that was not named."""
    (task,) = requests_of(resolve(height=None, width=None))
    assert not {"Size", "VAE", "Model hash", "Eta", "Clip skip"} & as_the_web_ui_reads(infotext(task)).keys()
    assert as_the_web_ui_reads(infotext(task, size=(48, 32)))["Size"] == "48x32"


def test_infotext_other_settings_have_the_web_uis_words(resolve):
    """VAE, clip skip, eta and noise from the GPU are written as the web UI would; a whole guidance has no point."""
    given = resolve(
        vae="stabilityai/sd-vae-ft-mse", guidance_scale=7.0, generator_device="cuda",
        arguments=(("eta", 0.5),), clip_skip=1, scheduler=SchedulerSpec(name="DDIMScheduler"),
    )  # fmt: skip
    read = as_the_web_ui_reads(infotext(requests_of(given)[0]))
    assert (read["VAE"], read["CFG scale"]) == ("stabilityai/sd-vae-ft-mse", "7")
    assert (read["Clip skip"], read["Eta DDIM"], read["RNG"]) == ("2", "0.5", "GPU")


def test_infotext_conditioning_has_the_web_uis_words(resolve):
    """LoRAs behind the prompt, a second noise, and all of it back again; a text that looks like one stays a word."""
    given = resolve(
        variation_seed=9, variation_strength=0.25,
        loras=(Lora(name="/l/ink.safetensors", weight=0.8), Lora(name="o/wash")),
        variants=(Variant(prompt="a <lora:fox:1>, <lora:fox:1>", negative_prompt="blurry"),),
    )  # fmt: skip
    text = infotext(requests_of(given)[0])
    read = as_the_web_ui_reads(text)
    assert text.startswith("a <lora:fox:1>, <lora:fox:1> <lora:ink:0.8> <lora:o/wash:1>\nNegative prompt: blurry\n")
    assert (read["Variation seed"], read["Variation seed strength"]) == ("9", "0.25")
    spec = recognise({"parameters": text}).spec
    assert spec.variants[0].prompt == "a <lora:fox:1>, <lora:fox:1>"
    assert spec.pipeline.loras == (Lora(name="ink", weight=0.8), Lora(name="o/wash"))
    assert (spec.call.variation_seed, spec.call.variation_strength) == (9, 0.25)


def test_infotext_model_name_cannot_break_the_line(resolve):
    """A name with a comma or a colon is quoted, as the web UI quotes it."""
    read = as_the_web_ui_reads(infotext(requests_of(resolve(model="/models/a, b: c"))[0]))
    assert (read["Model"], read["RNG"]) == ("a, b: c", "CPU")


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        ("mini", "mini"),
        ("stable-diffusion-v1-5/stable-diffusion-v1-5", "stable-diffusion-v1-5/stable-diffusion-v1-5"),
        ("/home/jane/models/dream.safetensors", "dream"),
        ("C:\\models\\dream.safetensors", "dream"),
        ("../models/sd15/", "sd15"),
        ("./sd15", "sd15"),
        ("/", "/"),
    ],
)
def test_display_name_is_the_models_own_name(model, shown):
    """Hub ids stay whole; the folders in which someone keeps models are nobody else's business."""
    assert display_name(model) == shown


def test_metadata_of_other_programs_images_is_none(tmp_path):
    """No chunk of ours, no description: not an error."""
    write_png(tmp_path / "a.png", PIXELS, {"parameters": "x"})
    assert self_description(tmp_path / "a.png") is None
    assert read_grid_owner(tmp_path / "a.png") is None


def test_grid_metadata_names_its_run_and_is_no_image(make_run, workspace, tmp_path, resolve):
    """A grid has no recipe of its own, but leads to the run; a picture is not taken for a grid."""
    path = save_grid(make_run((Variant(prompt="a fox"),), (1,)), workspace)
    write_png(tmp_path / "a.png", PIXELS, chunks(resolve, Variant(prompt="a fox")))
    assert self_description(path) is None
    assert read_grid_owner(path) == ("run", UID)
    assert read_grid_owner(tmp_path / "a.png") is None


def test_grid_metadata_holds_the_whole_run(make_run, workspace):
    """The record comes out of the grid equal to the one it was drawn from, the numbers of other runs explained."""
    run = make_run((Variant(prompt="a fox", label="전사 🦊"), Variant(prompt="b", source=0)), (1, 2), owed=(1,))
    told = read_grid_metadata(save_grid(run, workspace, uids={2: "b" * 32}))
    assert told == GridMetadata(record=run, uids={2: "b" * 32})
    assert read_grid_metadata(workspace.root / run.images[0].path) is None


def broken(plain, *path, value=None):
    *way, last = path
    inner = plain
    for step in way:
        inner = inner[step]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return plain


@pytest.mark.parametrize(
    "harm",
    [
        lambda plain: [plain],
        lambda plain: broken(plain, "spec"),
        lambda plain: broken(plain, "run_uid"),
        lambda plain: broken(plain, "environment", value="x"),
        lambda plain: broken(plain, "seeds", value="1-3"),
        lambda plain: broken(plain, "format", value="1"),
        lambda plain: broken(plain, "position", value="first"),
        lambda plain: broken(plain, "spec", "seeds", value=[1, 2]),
        lambda plain: broken(plain, "spec", "seeds", value=[-1]),
        lambda plain: broken(plain, "spec", "seeds", value=[float("inf")]),
        lambda plain: broken(plain, "spec", "variants", value=[]),
        lambda plain: broken(plain, "spec", "call", value=7),
        lambda plain: broken(plain, "spec", "call", "num_inference_steps", value="many"),
        lambda plain: broken(plain, "spec", "unheard_of", value=1),
    ],
)
def test_metadata_that_was_tampered_with_is_refused(tmp_path, resolve, harm):
    """Whatever is wrong in it, it is one line that names the file."""
    plain = json.loads(chunks(resolve, Variant(prompt="a fox"))["promptlab"])
    write_png(tmp_path / "a.png", PIXELS, {"promptlab": json.dumps(harm(plain))})
    with pytest.raises(InputError, match=r"a\.png.*cannot be read") as caught:
        self_description(tmp_path / "a.png")
    assert "\n" not in str(caught.value)


@same_folder
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | typed,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["format", "kind", "run", "spec", "uid", "seeds"]) | typed, inner, max_size=4
            )
        ),
    )
)
def test_metadata_any_other_json_is_refused(tmp_path, plain):
    """No foreign exception comes out of a chunk that someone else wrote under our name."""
    write_png(tmp_path / "a.png", PIXELS, {"promptlab": json.dumps(plain)})
    for read in (self_description, read_grid_owner, read_grid_metadata):
        try:
            read(tmp_path / "a.png")
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017 - both outcomes are right


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "1" * 5000])
def test_metadata_that_is_no_json_is_refused(tmp_path, text):
    """Cut off, nested without end, or a number without end: one line."""
    write_png(tmp_path / "a.png", PIXELS, {"promptlab": text})
    with pytest.raises(InputError, match="cannot be read"):
        self_description(tmp_path / "a.png")


def test_metadata_of_a_newer_promptlab_says_so(tmp_path):
    """A format from the future is told apart from a damaged one."""
    write_png(tmp_path / "a.png", PIXELS, {"promptlab": json.dumps({"format": 99, "version": "9.1"})})
    with pytest.raises(InputError, match=r"newer PromptLab \(9\.1\)"):
        self_description(tmp_path / "a.png")
