"""Nothing from a model is run, pickles are read only when that was typed, and tokens stay where they are."""

import json
import pickle
import shutil
from contextlib import suppress

import pytest

from promptlab.engine.sources.configuration import read_configuration
from promptlab.engine.sources.finder import find_model
from promptlab.errors import InputError, PromptLabError
from promptlab.lab import Lab
from promptlab.plan import requests_of
from promptlab.specs import PipelineSpec, RunSpec
from tests.engine.drawing import Trusting, draw, resolve
from tests.engine.folders import write_hub_cache, write_json

TOKEN = "hf_ThisIsNobodysToken0123456789"


class Program:
    """What a pickle may hold: reading it carelessly writes a file."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return open, (str(self.marker), "w")


@pytest.fixture
def pickled(copy_of_mini):
    """The bundled model with its denoiser, text encoder and VAE pickled, as models were before safetensors."""
    import torch
    from safetensors.torch import load_file

    folder = copy_of_mini("pickled")
    for path in list(folder.glob("*/*.safetensors")):
        name = "pytorch_model.bin" if path.parent.name == "text_encoder" else "diffusion_pytorch_model.bin"
        torch.save(load_file(path), path.with_name(name))
        path.unlink()
    return folder


@pytest.fixture(scope="module")
def trusting(engine):
    """The engine, its calls permitted to read pickles."""
    return Trusting(engine)


@pytest.fixture
def make(make_spec):
    """The one picture of a spec."""

    def one(engine, **changes):
        return next(draw(engine, requests_of(resolve(engine, make_spec(**changes))))).pixels.tobytes()

    return one


@pytest.mark.slow
def test_pickled_model_needs_the_flag_and_makes_the_same_image(engine, trusting, make, pickled):
    """Refused by name of the flag; with it, the same numbers give the same bytes."""
    with pytest.raises(InputError, match=r"has only pickled weights in .*; type: allow_pickle if you trust"):
        make(engine, model=str(pickled))
    assert make(trusting, model=str(pickled)) == make(engine, model="mini")


@pytest.mark.slow
def test_pickled_hub_model_needs_the_flag(engine, trusting, make, pickled, tmp_path, monkeypatch):
    """The same holds for what lies in the Hub's cache, offline."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    write_hub_cache(tmp_path / "hub", "somebody/pickled", pickled)
    with pytest.raises(InputError, match=r"'somebody/pickled' has only pickled weights in .* allow_pickle"):
        make(engine, model="somebody/pickled")
    assert make(trusting, model="somebody/pickled") == make(engine, model="mini")


@pytest.mark.slow
@pytest.mark.parametrize("single", [False, True])
def test_pickled_vae_needs_the_flag(engine, trusting, make, pickled, single, tmp_path):
    """As a folder and as a file of its own."""
    vae = pickled / "vae"
    if single:
        vae = shutil.copy(vae / "diffusion_pytorch_model.bin", tmp_path / "vae.ckpt")
    with pytest.raises(InputError, match=r"vae '.*pickled.*allow_pickle"):
        make(engine, vae=str(vae))
    assert make(trusting, vae=str(vae)) == make(engine, model="mini")


@pytest.mark.slow
def test_pickled_weights_beside_safetensors_are_ignored(trusting, make, copy_of_mini, tmp_path):
    """With the flag, a pickle beside safetensors weights is not even opened."""
    folder = copy_of_mini()
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps(Program(tmp_path / "marker")))
    assert not find_model(str(folder), allow_pickle=True).pickled
    assert make(trusting, model=str(folder))
    assert not (tmp_path / "marker").exists()


@pytest.mark.slow
@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_pickled_program_with_the_flag_is_not_run(trusting, make, pickled, part, tmp_path):
    """The reader makes tensors and nothing else; what else is in there is one line of an error."""
    import torch

    (path,) = (pickled / part).glob("*.bin")
    torch.save({"weight": torch.zeros(1), "extra": Program(tmp_path / "marker")}, path)
    with pytest.raises(PromptLabError) as caught:
        make(trusting, model=str(pickled))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "marker").exists()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".ckpt", ".bin"])
def test_pickled_program_in_a_checkpoint_is_not_run(engine, trusting, make, suffix, tmp_path):
    """Refused unopened without the flag, and by the reader with it: with no word about loading it carelessly."""
    path = tmp_path / f"model{suffix}"
    path.write_bytes(pickle.dumps({"state_dict": Program(tmp_path / "marker")}))
    for asked, match in ((engine, "is pickled.*allow_pickle"), (trusting, "is no checkpoint of weights alone")):
        for option in ("model", "vae"):
            with pytest.raises(InputError, match=match) as caught:
                make(asked, **{option: str(path)})
            assert "weights_only" not in str(caught.value)
    assert not (tmp_path / "marker").exists()


@pytest.mark.slow
def test_pickled_checkpoint_is_told_by_its_tensors(tmp_path):
    """With the flag, a checkpoint in one file gets as far as a safetensors one: to its configuration."""
    import torch

    path = tmp_path / "v1.ckpt"
    weight = torch.zeros(4, 4, 3, 3)
    torch.save({"state_dict": {"model.diffusion_model.input_blocks.0.0.weight": weight}, "epoch": 3}, path)
    with pytest.raises(InputError, match="needs the configuration of stable-diffusion-v1-5/stable-diffusion-v1-5, "):
        find_model(str(path), allow_pickle=True)


@pytest.mark.slow
def test_pickle_flag_is_not_remembered(workspace, engine, make_spec, pickled):
    """A rerun and a resume of a run that needed it need it typed again; nothing in the notebook says it was."""
    run = Lab(workspace, engine=engine, allow_pickle=True).run(make_spec(model=str(pickled)))
    assert "allow_pickle" not in json.dumps(run.spec.to_dict())
    later = Lab(workspace, engine=engine)
    with pytest.raises(InputError, match="allow_pickle"):
        later.rerun(later.history.find("last"), seeds=(0,), again=True)
    again = Lab(workspace, engine=engine, allow_pickle=True)
    assert again.rerun(again.history.find("last"), again=True).images[0].pixel_sha256 == run.images[0].pixel_sha256


@pytest.mark.slow
def test_pickle_flag_reaches_the_engine_from_the_command_line(promptlab, monkeypatch, pickled):
    """Typed it works, for this command; the next one is refused, and told what to type."""
    monkeypatch.setenv("PROMPTLAB_ENGINE", "diffusers")
    words = ("a fox", "--model", str(pickled), "--steps", "1", "--size", "64", "--device", "cpu")
    assert promptlab("run", *words, "--allow-pickle").code == 0
    for command in (("run", *words), ("plan", *words), ("rerun", "last", "--steps", "2")):
        said = promptlab(*command)
        assert (said.code, said.err.count("\n")) == (2, 1)
        assert "type: --allow-pickle if you trust whoever made it" in said.err
    assert promptlab("plan", *words, "--again", "--allow-pickle").code == 0


PROGRAM = "from pathlib import Path\nPath({marker!r}).write_text('ran')\nraise SystemExit(3)\n"


@pytest.mark.slow
@pytest.mark.parametrize("way", ["pipeline class", "library", "part", "auto_map", "beside"])
def test_model_with_python_files_runs_none(engine, make, copy_of_mini, tmp_path, monkeypatch, way):
    """However a model names a file of its own: refused in one line, or not looked at, and never run."""
    folder, marker = copy_of_mini(), tmp_path / "marker"
    for home in (folder, *(path for path in folder.iterdir() if path.is_dir())):
        for name in ("pipeline", "mine", "unet", "modeling", "__init__"):
            (home / f"{name}.py").write_text(PROGRAM.format(marker=str(marker)), encoding="utf-8")
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))  # as python -m promptlab has it, in that folder
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    config = json.loads((folder / "unet" / "config.json").read_text(encoding="utf-8"))
    if way == "pipeline class":
        index["_class_name"] = ["pipeline", "MyPipeline"]
    elif way == "library":
        index["safety_checker"] = ["mine", "Checker"]
    elif way == "part":
        index["unet"] = ["unet", "UNet2DConditionModel"]
    elif way == "auto_map":
        config["auto_map"] = {"AutoModel": "modeling.MyUNet"}
        index["trust_remote_code"] = True
    write_json(folder / "model_index.json", index)
    write_json(folder / "unet" / "config.json", config)
    if way in ("auto_map", "beside"):
        assert make(engine, model=str(folder))
    else:
        with pytest.raises(InputError, match=r"brings code of its own \(.*\), which is never run"):
            make(engine, model=str(folder))
    assert not marker.exists()


def test_model_parts_of_unknown_libraries_are_refused(copy_of_mini):
    """A module of any other name would be imported to look for a class; those of diffusers' own pipelines are known."""
    folder = copy_of_mini()
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    for library in ("os", "antigravity", "diffusers.utils", "..", "", 7, ["diffusers"]):
        write_json(folder / "model_index.json", {**index, "unet": [library, "UNet2DConditionModel"]})
        if library:
            with pytest.raises(InputError, match="brings code of its own"):
                read_configuration(folder, "model")
    write_json(folder / "model_index.json", {**index, "safety_checker": ["stable_diffusion", "Checker"]})
    assert read_configuration(folder, "model").parts["safety_checker"] == "Checker"


@pytest.mark.slow
def test_hub_tokens_are_recorded_nowhere(promptlab, workspace, monkeypatch, tmp_path):
    """Neither a Hub token nor a password in a server's address is in a row, a PNG, an MLflow tag or what is said."""
    monkeypatch.setenv("PROMPTLAB_ENGINE", "diffusers")
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "PGPASSWORD", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, TOKEN)
    words = ("a fox", "--steps", "1", "--size", "64", "--device", "cpu")
    answers = [
        promptlab("run", *words),
        promptlab("rerun", "last", "--append", ", red"),
        promptlab("run", *words, "--model", "nobody/nothing"),
        promptlab("run", *words, "--set", "clip_skip=50"),
        promptlab("list"),
        promptlab("show", "last"),
    ]
    assert [said.code for said in answers] == [0, 0, 2, 2, 0, 0]
    assert not [said for said in answers if TOKEN in said.out + said.err]
    files = [path for path in workspace.root.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".db", ".png"}
    assert [path for path in files if TOKEN.encode() in path.read_bytes()] == []


@pytest.mark.parametrize("name", ["../outside", "..", "a/../../outside", "/outside", "..\\outside", "\0", "con/../x"])
def test_workspace_names_stay_inside_it(lab, workspace, make_spec, name):
    """An experiment or a run may be called anything that MLflow takes; no file of it lies outside the workspace."""
    outside = workspace.root.parent
    before = {path for path in outside.rglob("*") if not path.is_relative_to(workspace.root)}
    spec = RunSpec(pipeline=PipelineSpec(model="mini"), variants=make_spec().variants, seeds=(0,))
    with suppress(InputError):
        run = lab.run(spec, experiment=name, name=name, note=name)
        assert all((workspace.root / image.path).resolve().is_relative_to(workspace.root) for image in run.images)
    assert {path for path in outside.rglob("*") if not path.is_relative_to(workspace.root)} == before
