"""LoRAs, words of their own, weights, second noises, early stops: recorded like everything else, and found again."""

import json
from dataclasses import replace

import pytest

from promptlab.expand import read_experiment
from promptlab.expand.settings_text import CONDITIONING, conditioning_text
from promptlab.images.metadata import self_description
from promptlab.images.png import read_text
from promptlab.lab import Lab
from promptlab.specs import CallSpec, Embedding, Lora, PipelineSpec, RunSpec, Variant
from promptlab.testing import Painter
from promptlab.workspace import Workspace

SPEC = RunSpec(
    pipeline=PipelineSpec(
        model="mini", loras=(Lora(name="/loras/ink.safetensors", weight=0.8), Lora(name="org/wash", weight=-0.5)),
        embeddings=(Embedding(name="cat.safetensors", token="<cat>"),),
        quantization="int8", text_encoder_quantization="nf4",
    ),
    call=CallSpec(
        num_inference_steps=3, weighting=True, clip_skip=1, guidance_rescale=0.25, guidance_until=0.5,
        variation_seed=0, variation_strength=0.2, true_cfg_scale=4.0,
    ),
    variants=(Variant(prompt="a (red)1.3 <cat>"),), seeds=(0, 1), batch_size=2,
)  # fmt: skip
SAID = {
    "lora": "ink:0.8 + org/wash:-0.5", "textual_inversion": "cat:<cat>", "weighting": "compel", "clip_skip": "1",
    "guidance_rescale": "0.25", "guidance_until": "0.5", "variation_seed": "0", "variation_strength": "0.2",
    "true_cfg_scale": "4", "quantization": "int8", "text_encoder_quantization": "nf4",
}  # fmt: skip


@pytest.fixture
def made(begin_from, lab):
    begin_from(make_run)
    return lab.notebook.run(1)


def make_run(lab):
    lab.run(SPEC, experiment="steered")


def parts_of(spec):
    """LoRAs and embeddings with their identities, which equality leaves out."""
    return [(each.name, each.identity) for each in (*spec.pipeline.loras, *spec.pipeline.embeddings)]


def test_conditioning_is_stored_in_the_row_and_the_picture(lab, made):
    """What comes back from the database equals what went in, identities too; so does what the picture says."""
    assert made.spec == replace(SPEC, pipeline=made.spec.pipeline, call=made.spec.call)
    again = lab.history.find("1").run
    told = self_description(lab.workspace.root / again.images[0].path)
    for spec in (again.spec, told.spec):
        assert (spec.pipeline, spec.call) == (made.spec.pipeline, made.spec.call)
        assert parts_of(spec) == parts_of(made.spec)
        assert all(identity.startswith("sha256:") for _, identity in parts_of(spec))
    text = read_text(lab.workspace.root / again.images[0].path)["parameters"]
    assert "<lora:ink:0.8> <lora:org/wash:-0.5>" in text
    assert "Variation seed: 0, Variation seed strength: 0.2" in text
    assert "Clip skip: 2" in text


@pytest.mark.mlflow
def test_conditioning_is_shown_everywhere(lab, made, promptlab):
    """In the report, the table, the CSV, and MLflow's parameters, under one name each."""
    assert dict(conditioning_text(made.spec)) == SAID
    assert set(SAID) == set(CONDITIONING)
    frame = lab.history.to_pandas()
    assert {name: frame[name][0] for name in SAID} == SAID
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{lab.workspace.database}")
    assert SAID.items() <= client.get_run(made.variants[0].mlflow_run_id).data.params.items()
    for words in (("show", "1"), ("show", "1/0"), ("show", "1", "--csv")):
        said = promptlab(*words).out
        assert all(value in said for value in SAID.values()), words
    report = lab.workspace.report(made.id).read_text(encoding="utf-8")
    assert "variation_strength" in report
    assert "/loras/ink.safetensors:0.8" in report


def test_conditioning_of_every_kind_is_another_recipe(lab, made, painter):
    """The same again is linked; each field changed or dropped is another recipe, and another picture."""
    assert {image.linked for image in lab.run(SPEC).images} == {(1, 0), (1, 1)}
    dropped = [
        {"loras": SPEC.pipeline.loras[:1]}, {"loras": SPEC.pipeline.loras[::-1]}, {"embeddings": ()},
        {"weighting": False}, {"clip_skip": 2}, {"guidance_rescale": None}, {"guidance_until": 0.4},
        {"variation_seed": 1}, {"variation_strength": 0.3}, {"true_cfg_scale": 3.0},
        {"quantization": "fp8"}, {"quantization": None}, {"text_encoder_quantization": None},
    ]  # fmt: skip
    keys = {lab.resolve(spec).setting_key for spec in (SPEC, *(SPEC.vary(**changes) for changes in dropped))}
    assert len(keys) == 1 + len(dropped)
    assert {image.linked for image in lab.run(SPEC.vary(**dropped[-1])).images} == {None}
    assert len(painter.painted) == 2


def test_conditioning_is_inherited_by_a_rerun_and_named_by_a_diff(lab, made, promptlab):
    """What is not named stays; 'none' takes LoRAs off; the changes are kept by the names of options."""
    changes = ("--lora", "none", "--no-weighting", "--variation-strength", "0.5", "--quantization", "none")
    assert promptlab("rerun", "1", *changes).code == 0
    child = lab.history.find("last").run
    assert child.spec.pipeline.loras == ()
    assert (child.spec.call.weighting, child.spec.call.clip_skip, child.spec.call.variation_strength) == (False, 1, 0.5)
    assert child.spec.pipeline.embeddings == made.spec.pipeline.embeddings
    assert child.spec.pipeline.quantization is None
    assert {change.field for change in child.changes} == {"lora", "weighting", "variation_strength", "quantization"}
    for words in (("diff", "1", "2"), ("tree",)):
        said = " ".join(promptlab(*words).out.split())
        assert "lora: ink:0.8 + org/wash:-0.5 → none" in said
        assert "variation_strength: 0.2 → 0.5" in said
        assert "quantization: int8 → none" in said


def test_conditioning_comes_back_when_a_lost_database_is_rebuilt(lab, made, tmp_path):
    """From the pictures: the same run, the same recipes."""
    other = Workspace.at(tmp_path / "new")
    other.root.mkdir()
    there = Lab(other.root, engine=Painter())
    there.maintenance.import_images([lab.workspace.root / "images"])
    again = there.history.find("last").run
    assert (again.spec.pipeline, again.spec.call) == (made.spec.pipeline, made.spec.call)
    assert parts_of(again.spec) == parts_of(made.spec)
    assert [image.recipe_key for image in again.images] == [image.recipe_key for image in made.images]


def test_conditioning_comes_back_from_an_export(lab, made, tmp_path):
    """The experiment file of the export names all of it."""
    done = lab.maintenance.export("1", tmp_path / "out")
    experiment = read_experiment(done.path / "experiment.yaml")
    (cell,) = experiment.sweep(default_model="other").cells
    assert (cell.spec.pipeline.loras, cell.spec.pipeline.embeddings) == (SPEC.pipeline.loras, SPEC.pipeline.embeddings)
    assert cell.spec.call == made.spec.call
    assert json.loads((done.path / "run.json").read_text())["spec"]["call"]["variation_seed"] == 0


def test_conditioning_can_be_ranked_by(lab, made, promptlab):
    """``search --lora`` and ``best --by lora``."""
    promptlab("run", "a fox", "--seeds", "0")
    assert [line.split()[0] for line in promptlab("search", "--lora", "WASH").out.splitlines()[1:]] == ["1/1", "1/0"]
    promptlab("rate", "1/0", "5")
    assert "ink:0.8 + org/wash:-0.5" in promptlab("best", "--by", "lora").out
