"""Pictures taken in: a lost notebook written anew from them, edited rows put right, other programs' made parents."""

import hashlib
import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from promptlab.errors import InputError, NotFound
from promptlab.images.exif import write_photo
from promptlab.images.metadata import CHUNK, self_description
from promptlab.images.png import pixel_sha256, read_pixels, read_text, write_png
from promptlab.lab import Lab, PromptEdit
from promptlab.plan import ResolvedSpec
from promptlab.records import ImageStatus, RunStatus
from promptlab.specs import PipelineSpec, RunSpec, SchedulerSpec, Variant, options

SPEC = RunSpec(
    pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a fox", label="전사"), Variant(prompt="b")),
    seeds=(0, 1, 2), batch_size=4,
)  # fmt: skip


@pytest.fixture
def story(begin_from):
    """A run, a rerun of one seed, a run that is all links, and a sweep."""
    return begin_from(tell)


def tell(lab):
    from promptlab.expand import Experiment

    lab.run(SPEC, experiment="foxes", note="first")
    lab.rerun(lab.history.find("1"), seeds=(1,), edit=PromptEdit(append=(", snow",)))
    lab.run(SPEC.vary(seeds=(1, 2)), experiment="linked")
    sweep = Experiment().with_options(prompts=("a",), seeds="0,1", steps=("2", "3")).sweep(
        default_model="mini"
    )  # fmt: skip
    lab.run_sweep(sweep, experiment="sweeps")


def as_told(run):
    """A run's record without what is about this database alone: numbers of MLflow, and when a row was written."""
    return replace(
        run, tracked_at=None, variants=tuple(replace(one, mlflow_run_id=None) for one in run.variants),
        images=tuple(replace(image, made_at=None) for image in run.images),
    )  # fmt: skip


@pytest.mark.parametrize(
    "harm",
    [
        lambda record: record.update(status="JOYFUL"),
        pytest.param(lambda record: record["images"].pop(), marks=pytest.mark.exhaustive),
        pytest.param(lambda record: record["images"][0].update(variant=7), marks=pytest.mark.exhaustive),
        pytest.param(lambda record: record["variants"].pop(), marks=pytest.mark.exhaustive),
        lambda record: record["spec"].update(seeds=[]),
        pytest.param(lambda record: record.update(images="all"), marks=pytest.mark.exhaustive),
    ],
)
def test_import_of_a_tampered_grid_is_refused(story, painter, tmp_path, harm):
    """A record that is none is one line about that file; the pictures beside it are taken."""
    new, folder = tampered(story, painter, tmp_path, harm)
    taken = new.maintenance.import_images([str(folder)])
    assert [one.run.id for one in taken if one.run] == [1]
    assert "cannot be read" in next(one.problem for one in taken if one.problem)


@pytest.mark.parametrize(
    "harm",
    [
        lambda record: [image.update(path="../../elsewhere.png") for image in record["images"]],
        pytest.param(
            lambda record: [image.update(path="/etc/passwd", status="FAILED", error="x") for image in record["images"]],
            marks=pytest.mark.exhaustive,
        ),
        lambda record: record.update(id=10**30),
        pytest.param(
            lambda record: [image.update(linked=[1, 0]) for image in record["images"]], marks=pytest.mark.exhaustive
        ),
    ],
)
def test_import_of_a_grid_believes_no_paths(story, painter, tmp_path, harm):
    """No row points out of the workspace, whatever a stranger's record says."""
    new, folder = tampered(story, painter, tmp_path, harm)
    new.maintenance.import_images([str(folder)])
    paths = [image.path for image in new.notebook.run(1).images]
    assert [path for path in paths if path and not path.startswith("images/00001/v")] == []


def test_import_of_a_number_too_large_is_one_line_about_its_file(story, painter, tmp_path):
    """No database holds it; the pictures beside that file are taken."""
    new, folder = tampered(story, painter, tmp_path, lambda record: record["images"][0].update(peak_memory=10**30))
    taken = new.maintenance.import_images([str(folder)])
    (problem,) = [one for one in taken if one.problem]
    assert problem.file.endswith("grid.png")
    assert "too large a number" in problem.problem
    assert [(one.run.id, one.files) for one in taken if one.run] == [(1, 6)]


def tampered(story, painter, tmp_path, harm):
    """A new lab, and a folder with the pictures of run 1 and a grid whose record ``harm`` was done to."""
    folder = tmp_path / "some"
    shutil.copytree(story.workspace.root / "images" / "00001", folder)
    text = read_text(folder / "grid.png")
    told = json.loads(text[CHUNK])
    harm(told["record"])
    write_png(folder / "grid.png", read_pixels(folder / "grid.png"), {CHUNK: json.dumps(told)})
    return Lab(tmp_path / "new", engine=painter), folder


@pytest.mark.mlflow
@pytest.mark.parametrize("folder", ["images", "mlartifacts"])
def test_import_of_images_rebuilds_a_lost_database(story, painter, tmp_path, folder):
    """From the pictures' home or from what MLflow shows: every record equal to the lost one, links and lineage too."""
    new = Lab(tmp_path / "new", engine=painter)
    new.maintenance.import_images([str(story.workspace.root / folder)])
    for run_id in range(1, 6):
        assert as_told(new.notebook.run(run_id)) == as_told(story.notebook.run(run_id))
    before, after = story.notebook.sweep(1), new.notebook.sweep(1)
    assert (after.uid, after.dimensions, after.runs) == (before.uid, before.dimensions, before.runs)
    for run_id in range(1, 6):
        for image in new.notebook.run(run_id).images:
            assert pixel_sha256(read_pixels(new.workspace.root / image.path)) == image.pixel_sha256
    assert new.notebook.run(3).images[0].linked == (1, 1)
    assert new.notebook.untracked() == ()
    assert new.maintenance.doctor() == ()
    assert new.resume() == ()


def test_import_twice_changes_nothing(story, painter, tmp_path):
    """What is here is here."""
    new = Lab(tmp_path / "new", engine=painter)
    source = [str(story.workspace.root / "images")]
    first = new.maintenance.import_images(source)
    assert [one.files for one in first] == [6, 2, 0, 2, 2]
    records = [new.notebook.run(run_id) for run_id in range(1, 6)]
    assert [one.files for one in new.maintenance.import_images(source)] == [0, 0, 0, 0, 0]
    assert [new.notebook.run(run_id) for run_id in range(1, 6)] == records


def test_import_without_grid_rebuilds_the_run_from_its_images(story, painter, tmp_path):
    """Words, seeds, recipes, environment and lineage; seeds of which no picture is left are owed, and can be made."""
    folder = tmp_path / "some"
    folder.mkdir()
    for name in ("v00-seed0.png", "v00-seed2.png", "v01-seed1.png"):
        shutil.copy(story.workspace.root / "images" / "00001" / name, folder / name)
    shutil.copy(story.workspace.root / "images" / "00002" / "v00-seed1.png", folder / "child.png")
    new = Lab(tmp_path / "new", engine=painter)
    new.maintenance.import_images([str(folder)])
    before, run = story.notebook.run(1), new.notebook.run(1)
    assert (run.spec, run.uid, run.experiment, run.note, run.created_at) == (
        before.spec, before.uid, "foxes", "first", before.created_at,
    )  # fmt: skip
    assert [image.recipe_key for image in run.images] == [image.recipe_key for image in before.images]
    assert [image.status for image in run.images] == [
        ImageStatus.MADE, ImageStatus.OWED, ImageStatus.MADE, ImageStatus.OWED, ImageStatus.MADE, ImageStatus.OWED,
    ]  # fmt: skip
    assert (run.status, run.environment, run.origin.program) == (RunStatus.KILLED, before.environment, "PromptLab")
    child = new.notebook.run(2)
    assert (child.parent_run_id, child.images[0].parent) == (1, (1, 1))
    (resumed,) = [one for one in new.resume() if one.id == 1]
    assert [image.pixel_sha256 for image in resumed.images] == [image.pixel_sha256 for image in before.images]


def test_import_of_numbers_in_use_gives_new_ones(story, painter, tmp_path):
    """Another workspace has a run 1 of its own: the one taken in gets the next number, its pictures a new place."""
    other = Lab(tmp_path / "other", engine=painter)
    own = other.run(SPEC.vary(seeds=(77,)), experiment="mine")
    other.maintenance.import_images([str(story.workspace.run_folder(number)) for number in (1, 2)])
    assert other.notebook.run(1).uid == own.uid
    runs = {run.uid: run for run in map(other.notebook.run, (2, 3))}
    parent, child = (runs[story.notebook.run(number).uid] for number in (1, 2))
    assert child.parent_run_id == parent.id
    assert all(f"images/{parent.id:05d}/" in image.path for image in parent.images)
    assert other.history.find(str(story.workspace.root / child.images[0].path.replace(f"{child.id:05d}", "00002")))


def test_import_of_an_image_restores_its_edited_row(story):
    """The picture says what it was made from; the row is made to say so again."""
    before = story.notebook.run(1)
    with closing(sqlite3.connect(story.workspace.database)) as connection, connection:
        connection.execute("UPDATE promptlab_variants SET prompt = 'a dog' WHERE run_id = 1 AND position = 0")
    (taken,) = story.maintenance.import_images([str(story.workspace.root / before.images[0].path)])
    assert taken.files == 1
    assert as_told(story.notebook.run(1)) == as_told(before)


def test_import_of_a_copy_restores_a_deleted_image(story, tmp_path):
    """The row is owed no more, the file lies where it lay."""
    image = story.notebook.run(1).images[4]
    home = story.workspace.root / image.path
    shutil.copy(home, tmp_path / "copy.png")
    home.unlink()
    (taken,) = story.maintenance.import_images([str(tmp_path / "copy.png")])
    assert (taken.files, taken.run.images[4].status) == (1, ImageStatus.MADE)
    assert pixel_sha256(read_pixels(home)) == image.pixel_sha256


def test_import_of_a_jpeg_of_ours_owes_the_image(story, painter, tmp_path):
    """Its pixels are not those that were made, so it is not taken for the picture itself."""
    before = story.notebook.run(1)
    kept = story.workspace.root / before.images[0].path
    write_photo(tmp_path / "a.jpg", read_pixels(kept), read_text(kept), format="jpeg")
    new = Lab(tmp_path / "new", engine=painter)
    (taken,) = new.maintenance.import_images([str(tmp_path / "a.jpg")])
    assert (taken.files, taken.run.images[0].status) == (0, ImageStatus.OWED)
    (resumed,) = new.resume()
    assert resumed.images[0].pixel_sha256 == before.images[0].pixel_sha256


def forged(source, target, pixels=None, **changes):
    """A copy of a picture with other pixels, or another chunk: what an editor leaves, or somebody means to."""
    texts = read_text(source)
    told = json.loads(texts[CHUNK])
    words = changes.pop("prompt", None)
    if words is not None:
        told["spec"]["variants"][0]["prompt"] = words
    told |= changes
    write_png(target, read_pixels(source) if pixels is None else pixels, texts | {CHUNK: json.dumps(told)})
    return str(target)


def own_key(path):
    """The recipe key that follows from what a file says."""
    told = self_description(path)
    resolved = ResolvedSpec(
        spec=told.spec, device=told.device, model_identity=told.model_identity, vae_identity=told.vae_identity
    )
    return resolved.key(told.spec.variants[0], told.spec.seeds[0])


RED = np.full((64, 64, 3), (255, 0, 0), np.uint8)


@pytest.mark.mlflow
@pytest.mark.parametrize(
    ("pixels", "changes", "why"),
    [
        (RED, {}, "its pixels are not those that were made"),
        (RED, {"pixel_sha256": None}, "its pixels are not those that were made"),
        (RED, {"prompt": "a dog"}, "its words and settings are not those of its recipe key"),
        pytest.param(None, {"prompt": "a dog"}, "its words and settings are", marks=pytest.mark.exhaustive),
        pytest.param(None, {"position": 4, "recipe_key": "0" * 64}, "its words", marks=pytest.mark.exhaustive),
        pytest.param(RED, {"pixel_sha256": pixel_sha256(RED)}, "its pixels", marks=pytest.mark.exhaustive),
    ],
)
def test_import_of_an_edited_picture_changes_no_record(story, tmp_path, pixels, changes, why):
    """It says that it is image 1/0 and is not: a picture of its own, whose words are there to go on from."""
    before = story.notebook.run(1)
    kept = story.workspace.root / before.images[0].path
    (taken,) = story.maintenance.import_images([forged(kept, tmp_path / "edited.png", pixels, **changes)])
    assert story.notebook.run(1) == before
    assert (taken.new, taken.run.origin.program) == (True, "PromptLab (edited)")
    (gap,) = taken.run.origin.lost
    assert why in gap.why
    assert taken.run.spec.variants[0].prompt == changes.get("prompt", "a fox")
    assert story.maintenance.doctor() == ()


def test_import_of_true_pixels_with_other_words_changes_no_record(story, tmp_path):
    """The key follows from the words, and the pixels are the row's; but the row has another key, which follows too."""
    before = story.notebook.run(1)
    kept = story.workspace.root / before.images[0].path
    other = forged(kept, tmp_path / "other.png", prompt="a dog")
    other = forged(kept, tmp_path / "other.png", prompt="a dog", recipe_key=own_key(tmp_path / "other.png"))
    (taken,) = story.maintenance.import_images([other])
    assert story.notebook.run(1) == before
    assert taken.run.origin.lost[0].why == "it was made by another recipe"


@pytest.mark.mlflow
@pytest.mark.parametrize("noticed", [False, True], ids=["", "after doctor --fix"])
def test_import_of_an_edited_picture_takes_no_lost_ones_place(story, tmp_path, noticed):
    """Its hash is remembered, also where it is owed again; even a chunk that was made to fit does not help."""
    image = story.notebook.run(1).images[0]
    home = story.workspace.root / image.path
    edited = forged(home, tmp_path / "edited.png", RED, pixel_sha256=pixel_sha256(RED))
    home.unlink()
    if noticed:
        shutil.rmtree(story.workspace.artifacts)
        story.maintenance.fix(story.maintenance.doctor())
    story.maintenance.import_images([edited])
    now = story.notebook.run(1).images[0]
    assert (now.status, home.exists()) == (ImageStatus.OWED, False)
    assert now.pixel_sha256 == image.pixel_sha256
    assert "image 1/0" in [finding.subject for finding in story.maintenance.doctor()]


def test_import_of_a_lost_database_tells_edited_pictures_from_theirs(story, painter, tmp_path):
    """Whichever is read first."""
    home = story.workspace.root / story.notebook.run(1).images[0].path
    folder = tmp_path / "some"
    folder.mkdir()
    for name in ("a.png", "z.png"):
        forged(home, folder / name, RED[:, ::2].repeat(2, 1) // (1 if name == "a.png" else 2))
    shutil.copy(home, folder / "m.png")
    new = Lab(tmp_path / "new", engine=painter)
    taken = new.maintenance.import_images([str(folder)])
    assert [one.run.origin.program for one in taken] == ["PromptLab", *["PromptLab (edited)"] * 2]
    assert new.notebook.run(1).images[0].pixel_sha256 == story.notebook.run(1).images[0].pixel_sha256


@pytest.mark.mlflow
def test_doctor_of_a_picture_edited_with_its_row_finds_it(story):
    """The row's hash is made to fit; that of the picture's own chunk is not."""
    image = story.notebook.run(1).images[0]
    home = story.workspace.root / image.path
    write_png(home, RED, read_text(home))
    with closing(sqlite3.connect(story.workspace.database)) as connection, connection:
        row = (pixel_sha256(RED), image.pixel_sha256)
        connection.execute(
            "UPDATE promptlab_images SET pixel_sha256 = ?, width = 64, height = 64 WHERE pixel_sha256 = ?", row
        )
    assert any("the hash of the pixels is" in finding.problem for finding in story.maintenance.doctor())


def test_import_of_a_folder_says_of_each_bad_file_why_and_takes_the_others(story, painter, tmp_path):
    """A number that no database holds, a uid that is none, pixels cut short: each is one line."""
    folder = tmp_path / "some"
    shutil.copytree(story.workspace.root / "images" / "00002", folder)
    good = next(path for path in folder.glob("v*.png"))
    bad = {
        "large.png": forged(good, folder / "large.png", peak_memory=10**30),
        "quote.png": forged(good, folder / "quote.png", run_uid="it's"),
        "short.png": str(folder / "short.png"),
    }
    (folder / "short.png").write_bytes(good.read_bytes()[:-200])
    new = Lab(tmp_path / "new", engine=painter)
    taken = new.maintenance.import_images([str(folder)])
    assert {one.file for one in taken if one.problem} == set(bad.values())
    assert [one.files for one in taken if one.run] == [2]


A1111 = (
    "a (red:1.2) fox\nNegative prompt: blur\nSteps: 25, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 123, "
    "Size: 32x64, Model: dreamshaper_8, Hires upscale: 2, Version: v1.9.0"
)


def foreign(path, text=A1111, keyword="parameters"):
    write_png(path, np.random.default_rng(0).integers(0, 256, (64, 32, 3), dtype=np.uint8), {keyword: text})
    return str(path)


def test_import_of_another_programs_image_makes_a_parent(lab, tmp_path):
    """Its words and settings are a run of one picture, what was lost stays with it, and rerun goes on from it."""
    (taken,) = lab.maintenance.import_images([foreign(tmp_path / "theirs.png")])
    run = taken.run
    assert (run.experiment, run.name, run.status, run.origin.program) == (
        "imported", "theirs.png", RunStatus.FINISHED, "AUTOMATIC1111",
    )  # fmt: skip
    assert run.spec.pipeline == PipelineSpec(
        model="dreamshaper_8",
        scheduler=SchedulerSpec(name="DPMSolverMultistepScheduler", options=options({"use_karras_sigmas": True})),
    )
    assert (run.spec.call.num_inference_steps, run.spec.call.guidance_scale, run.spec.seeds) == (25, 7.0, (123,))
    assert (run.images[0].width, run.images[0].height, run.images[0].status) == (32, 64, ImageStatus.MADE)
    assert "Hires upscale" in [loss.name for loss in run.origin.lost]
    assert read_text(lab.workspace.root / run.images[0].path) == {"parameters": A1111}
    child = lab.rerun(lab.history.find("1"), edit=PromptEdit(append=(", snow",)), changes={"model": "mini"})
    assert (child.parent_run_id, child.images[0].parent) == (1, (1, 0))
    assert child.spec.variants[0].prompt == "a (red:1.2) fox, snow"
    (again,) = lab.maintenance.import_images([foreign(tmp_path / "copy.png")])
    assert (again.run.id, again.files, again.known) == (1, 0, 1)


def test_import_of_equal_pixels_with_other_words_makes_another_run(lab, tmp_path):
    """A black picture is a black picture, but not the same request; each is known again."""
    files = [foreign(tmp_path / "fox.png"), foreign(tmp_path / "owl.png", A1111.replace("fox", "owl"))]
    for new in (True, False):
        taken = lab.maintenance.import_images(files)
        assert [(one.run.id, one.new) for one in taken] == [(1, new), (2, new)]
    assert [lab.notebook.run(number).spec.variants[0].prompt for number in (1, 2)] == [
        "a (red:1.2) fox", "a (red:1.2) owl",
    ]  # fmt: skip


def test_import_of_a_picture_that_was_known_by_its_pixels_alone_is_known_again(lab, tmp_path):
    """Runs of older versions have the uid that pixels alone give; with the same words they are the same picture."""
    file = foreign(tmp_path / "theirs.png")
    lab.maintenance.import_images([file])
    digest = pixel_sha256(read_pixels(tmp_path / "theirs.png"))
    uid = hashlib.sha256(f"AUTOMATIC1111:{digest}".encode()).hexdigest()[:32]
    with closing(sqlite3.connect(lab.workspace.database)) as connection, connection:
        connection.execute("UPDATE promptlab_runs SET uid = ?", (uid,))
    other = foreign(tmp_path / "owl.png", A1111.replace("fox", "owl"))
    assert [(one.run.id, one.known) for one in lab.maintenance.import_images([file, other])] == [(1, 1), (2, 0)]


def test_import_of_another_programs_image_cannot_be_verified(lab, tmp_path):
    """Nobody knows by which weights: that is said, with what can be typed instead."""
    lab.maintenance.import_images([foreign(tmp_path / "theirs.png")])
    (verdict,) = lab.verify(["last"])
    assert verdict.problem.startswith("run 1 was made by AUTOMATIC1111, which does not say by which weights")


def test_import_names_files_without_metadata_and_takes_the_others(lab, tmp_path):
    """A folder is a mixture; a lone file that says nothing is an error."""
    foreign(tmp_path / "theirs.png")
    foreign(tmp_path / "silent.png", text="hello", keyword="note")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    taken = lab.maintenance.import_images([str(tmp_path / name) for name in ("broken.png", "silent.png", "theirs.png")])
    assert sorted((one.file.rpartition("/")[2], one.problem) for one in taken if one.problem)[1] == (
        "silent.png", "does not say how it was made in a way that is understood here (it holds: note)",
    )  # fmt: skip
    assert len([one for one in taken if one.run]) == 1
    with pytest.raises(InputError, match=r"silent\.png' does not say how it was made"):
        lab.maintenance.import_images([str(tmp_path / "silent.png")])
    with pytest.raises(NotFound, match="nowhere"):
        lab.maintenance.import_images(["nowhere"])


def test_import_of_nothing_usable_writes_nothing(painter, tmp_path):
    """No folder, no database."""
    (tmp_path / "empty").mkdir()
    new = Lab(tmp_path / "new", engine=painter)
    with pytest.raises(InputError, match="holds no picture"):
        new.maintenance.import_images([str(tmp_path / "empty")])
    assert not (tmp_path / "new").exists()
