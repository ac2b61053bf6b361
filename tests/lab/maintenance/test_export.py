"""Exports: all of a run in a folder or a zip, readable without a workspace, and the same when taken in again."""

import csv
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from promptlab.errors import InputError, NotFound, StoreError
from promptlab.expand import Experiment, read_experiment
from promptlab.images.metadata import self_description
from promptlab.images.png import pixel_sha256, read_pixels
from promptlab.lab import Lab
from promptlab.lab.maintenance.export import ImageFormat
from promptlab.records import plain
from promptlab.specs import PipelineSpec, RunSpec, Variant

SPEC = RunSpec(
    pipeline=PipelineSpec(model="mini"),
    variants=(Variant(prompt="a fox, 전사 <b>", negative_prompt="blur"), Variant(prompt="b")),
    seeds=(0, 1), batch_size=4,
)  # fmt: skip
PHOTOS = ("PNG", "JPEG", "WEBP")


@pytest.fixture
def made(begin_from, lab):
    """Two wordings at two seeds."""
    begin_from(make_run)
    return lab.notebook.run(1)


def make_run(lab):
    lab.run(SPEC, experiment="foxes", note="a note")


def test_export_of_a_run_is_one_folder(lab, made, tmp_path):
    """Pictures as they are, grid, report, an experiment file, all records as JSON and as a table."""
    done = lab.maintenance.export("1", tmp_path / "out")
    assert (done.path, done.pictures) == (tmp_path / "out", 4)
    names = sorted(path.name for path in done.path.iterdir())
    assert names == [
        "experiment.yaml", "grid.png", "images.csv", "report.html", "run.json", "v00-seed0.png", "v00-seed1.png",
        "v01-seed0.png", "v01-seed1.png",
    ]  # fmt: skip
    kept = lab.workspace.root / made.images[3].path
    assert (done.path / "v01-seed1.png").read_bytes() == kept.read_bytes()
    assert json.loads((done.path / "run.json").read_text()) == plain(lab.notebook.run(1))
    rows = list(csv.DictReader((done.path / "images.csv").read_text().splitlines()))
    assert [(row["image"], row["prompt"], row["seed"], row["file"]) for row in rows][:2] == [
        ("1/0", "a fox, 전사 <b>", "0", "v00-seed0.png"), ("1/1", "a fox, 전사 <b>", "1", "v00-seed1.png"),
    ]  # fmt: skip
    report = (done.path / "report.html").read_text()
    assert '"file":"v01-seed1.png"' in report
    assert list(tmp_path.glob(".export-*")) == []


def test_export_experiment_file_asks_for_the_same_run(lab, made, painter, tmp_path):
    """Run in another workspace, it gives the same recipes and the same pixels."""
    lab.maintenance.export("1", tmp_path / "out")
    sweep = read_experiment(tmp_path / "out" / "experiment.yaml").sweep(default_model="other")
    again = Lab(tmp_path / "new", engine=painter).run(sweep.cells[0].spec)
    assert [(image.recipe_key, image.pixel_sha256) for image in again.images] == [
        (image.recipe_key, image.pixel_sha256) for image in made.images
    ]


@pytest.mark.parametrize(
    ("picture", "ending", "same"),
    [
        (ImageFormat(format="jpeg"), ".jpg", False),
        (ImageFormat(format="webp"), ".webp", False),
        (ImageFormat(format="webp", lossless=True), ".webp", True),
    ],
)
def test_export_as_jpeg_or_webp_carries_the_pngs_metadata(lab, made, tmp_path, picture, ending, same):
    """The whole description comes out of the EXIF; without loss the pixels are the same too."""
    done = lab.maintenance.export("1", tmp_path / "out", image_format=picture)
    photo = done.path / f"v00-seed1{ending}"
    kept = lab.workspace.root / made.images[1].path
    assert self_description(photo) == self_description(kept)
    pixels = read_pixels(photo, formats=PHOTOS)
    assert (pixel_sha256(pixels) == made.images[1].pixel_sha256) is same
    assert np.abs(pixels.astype(int) - read_pixels(kept)).mean() < 40
    assert f'"file":"v00-seed1{ending}"' in (done.path / "report.html").read_text()


def test_export_of_an_image_goes_where_it_is_asked_to(lab, made, tmp_path):
    """To a file's name, or into a folder under a name of its own."""
    assert lab.maintenance.export("1/2", tmp_path / "chief.png").path == tmp_path / "chief.png"
    assert lab.maintenance.export("1/2", tmp_path).path == tmp_path / "00001-v01-seed0.png"
    assert (tmp_path / "chief.png").read_bytes() == (lab.workspace.root / made.images[2].path).read_bytes()


def test_export_of_a_sweep_is_a_zip_of_all_its_runs(lab, tmp_path, painter):
    """A folder a run, the overview and a report of all; taken in again, everything is back."""
    sweep = Experiment().with_options(prompts=("a",), seeds="0,1", steps=("2", "3")).sweep(
        default_model="mini"
    )  # fmt: skip
    lab.run_sweep(sweep, experiment="sweeps")
    done = lab.maintenance.export("sweep:1", tmp_path / "all.zip")
    assert done.pictures == 4
    with zipfile.ZipFile(done.path) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "there")
    assert {"all/00001/v00-seed0.png", "all/00002/run.json", "all/sweep-00001/grid-1.png"} <= set(names)
    assert {"all/sweep-00001/report.html", "all/sweep-00001/sweep.json"} <= set(names)
    new = Lab(tmp_path / "new", engine=painter)
    new.maintenance.import_images([str(tmp_path / "there")])
    assert new.notebook.sweep(1).uid == lab.notebook.sweep(1).uid
    assert [run.complete for run in map(new.notebook.run, (1, 2))] == [True, True]


def test_export_of_linked_images_copies_them(lab, made, tmp_path):
    """A run that made nothing itself is exported whole."""
    lab.run(SPEC.vary(seeds=(1,)), experiment="linked")
    done = lab.maintenance.export("2", tmp_path / "out")
    assert pixel_sha256(read_pixels(done.path / "v00-seed1.png")) == made.images[1].pixel_sha256


def test_export_to_an_existing_target_is_refused(lab, made, tmp_path):
    """What is there stays as it is, and half an export is none."""
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="is there already"):
        lab.maintenance.export("1", tmp_path / "out")
    with pytest.raises(InputError, match="lies in a folder that does not exist"):
        lab.maintenance.export("1", tmp_path / "no" / "where")
    (lab.workspace.root / made.images[0].path).unlink()
    with pytest.raises(NotFound, match="promptlab doctor"):
        lab.maintenance.export("1", tmp_path / "other")
    with pytest.raises(InputError, match="quality 0 is out of range"):
        lab.maintenance.export("1/1", tmp_path / "x.jpg", image_format=ImageFormat(format="jpeg", quality=0))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "work space"]


def test_export_to_a_readonly_folder_is_a_store_error(lab, made, tmp_path, monkeypatch):
    """The sentence of the system, in one line."""

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(StoreError, match="No space left on device"):
        lab.maintenance.export("1", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_export_to_a_bare_name_is_in_the_current_folder(lab, made, tmp_path, monkeypatch):
    """By default a run goes into the current folder, under its own name."""
    monkeypatch.chdir(tmp_path)
    assert lab.maintenance.export("last").path == Path("run-00001")
    assert (tmp_path / "run-00001" / "grid.png").is_file()
