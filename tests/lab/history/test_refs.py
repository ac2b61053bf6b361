"""Runs and images are found by what a person types, and what is not found is named with what there is."""

import shutil

import pytest
from PIL import Image

from promptlab.errors import InputError, NotFound
from promptlab.specs import PipelineSpec, RunSpec, Variant

CHIEF = "portrait photo of a old warrior chief"
SPEC = RunSpec(pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt=CHIEF),), seeds=tuple(range(8)))


def test_find_by_number_or_file_gives_the_image_to_rerun(lab, tmp_path):
    """RUN/POSITION, the file where it lies, and a copy of it elsewhere name the same image."""
    run = lab.run(SPEC.vary(variants=(Variant(prompt="a"), Variant(prompt="b"))))
    image = run.images[11]
    copy = shutil.copy(lab.workspace.root / image.path, tmp_path / "on my desk.png")
    for ref in (image.ref, str(lab.workspace.root / image.path), str(copy)):
        source = lab.history.find(ref)
        assert (source.run.id, source.position) == (run.id, 11)
        spec = source.spec()
        assert ([variant.prompt for variant in spec.variants], spec.seeds) == (["b"], (3,))
    assert lab.history.find(str(lab.workspace.grid(run.id))).position is None
    child = lab.rerun(lab.history.find(image.ref), changes={"num_inference_steps": 9})
    assert child.parent_image == (run.id, 11)


def test_find_by_last_and_by_seed_gives_the_image(lab):
    """last/POSITION and RUN@seed:SEED name an image; a seed of several wordings says which images it could be."""
    run = lab.run(SPEC)
    for ref, position in {"last/3": 3, "1@seed:5": 5, "last@seed:0": 0}.items():
        source = lab.history.find(ref)
        assert (source.run.id, source.position) == (run.id, position)
    lab.run(SPEC.vary(variants=(Variant(prompt="a"), Variant(prompt="b")), seeds=(3, 4)))
    with pytest.raises(InputError, match="names 2 images, one a wording; allowed: one of them: 2/0 or 2/2"):
        lab.history.find("2@seed:3")
    with pytest.raises(NotFound, match="does not exist; allowed: seed 3,4; type: promptlab show 2"):
        lab.history.find("last@seed:9")


def test_find_of_what_is_missing_names_what_exists(lab, tmp_path):
    """Runs, images, seeds and files that are not there."""
    with pytest.raises(NotFound, match="run 'last' does not exist; allowed: none yet in this workspace"):
        lab.history.find("last")
    lab.run(SPEC)
    stranger = tmp_path / "stranger.png"
    Image.new("RGB", (8, 8)).save(stranger)
    for ref, sentence in {
        "7": "run 7 does not exist; allowed: 1 to 1; type: promptlab list",
        "1/8": "image '1/8' does not exist; allowed: 1/0 to 1/7; type: promptlab show 1",
        "no.png": "image 'no.png' does not exist",
        str(stranger): "was not made in this workspace",
        "nonsense": "ref 'nonsense' names no run and no image",
        "-1": "names no run",
        "1/x": "names no run",
    }.items():
        with pytest.raises(InputError) as refused:
            lab.history.find(ref)
        assert sentence in str(refused.value)
    with pytest.raises(NotFound, match="seed 9 does not exist; allowed: the seeds of run 1: 0-7; type: seeds=9"):
        lab.rerun(lab.history.find("1"), seeds=(9,))
