"""One truth, three faces: each way in which they can disagree is found, and mended where it is safe."""

import json
import os
import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from promptlab.errors import NotFound, WorkspaceError
from promptlab.expand import Axis, build_sweep
from promptlab.images.png import encode_png, pixel_sha256, read_pixels, read_text
from promptlab.lab import Lab
from promptlab.lab.execution.events import ImagesGenerated
from promptlab.lab.maintenance.doctor import FindingKind
from promptlab.records import RunStatus
from promptlab.specs import PipelineSpec, RunSpec, Variant
from promptlab.testing import Painter
from promptlab.tracking.schema import database_uri
from promptlab.workspace import Workspace

pytestmark = pytest.mark.mlflow

SPEC = RunSpec(
    pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a fox"), Variant(prompt="a cat")), seeds=(0, 1, 2),
    batch_size=2,
)  # fmt: skip


@pytest.fixture
def run(begin_from, lab):
    """Six pictures that MLflow knows."""
    begin_from(make_run)
    return lab.notebook.run(1)


def make_run(lab):
    lab.run(SPEC)


def kinds(lab):
    return [finding.kind for finding in lab.maintenance.doctor()]


def sql(lab, statement, *values):
    with closing(sqlite3.connect(lab.workspace.database)) as connection:
        connection.execute(statement, values)
        connection.commit()


def file_of(lab, run, position):
    return lab.workspace.root / run.images[position].path


def truncate(path):
    os.truncate(path, path.stat().st_size - 40)


def client_of(lab):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=database_uri(lab.workspace))


def content(workspace):
    """Every file with its bytes, and every row: what looking must not change. Time's own columns apart."""
    with closing(sqlite3.connect(workspace.database)) as connection:
        rows = "\n".join(connection.iterdump())
    files = {
        path: path.read_bytes() for path in workspace.root.rglob("*") if path.is_file() and "mlflow.db" not in path.name
    }
    return rows, files


def test_doctor_of_a_whole_workspace_finds_and_changes_nothing(lab, run):
    """Runs, a rerun of linked pictures and a sweep: nothing is found, no byte is written."""
    lab.run(SPEC, name="the same again, linked")
    lab.run_sweep(build_sweep(SPEC, [Axis(field="steps", values=(5, 9))]))
    before = content(lab.workspace)
    assert lab.maintenance.doctor() == ()
    assert content(lab.workspace) == before


def test_doctor_reads_again_what_changed_and_deep_what_did_not(lab, run):
    """A disk that rots changes neither size nor time: only --deep finds that. A row that is edited is found by both."""
    assert lab.maintenance.doctor() == ()
    path = file_of(lab, run, 4)
    whole, times = path.read_bytes(), path.stat()
    path.write_bytes(whole[:-60] + bytes(60))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert lab.maintenance.doctor() == ()
    (found,) = lab.maintenance.doctor(deep=True)
    assert (found.kind, found.subject) == (FindingKind.DAMAGED, "image 1/4")
    assert lab.maintenance.doctor() == (found,)
    path.write_bytes(whole)
    assert lab.maintenance.doctor() == ()
    sql(lab, "UPDATE promptlab_images SET pixel_sha256 = 'x' WHERE position = 1")
    assert FindingKind.PIXELS in kinds(lab)


def test_doctor_of_a_whole_workspace_reads_no_picture_twice(lab, run, monkeypatch):
    """What was read whole and has not changed is left alone, also where the cache cannot be kept."""
    read = []
    monkeypatch.setattr("promptlab.images.png.pixel_sha256", lambda pixels: read.append(pixels) or pixel_sha256(pixels))
    assert (lab.maintenance.doctor(), len(read)) == ((), 6)
    assert (lab.maintenance.doctor(), len(read)) == ((), 6)
    lab.run(SPEC.vary(seeds=(7,)))
    assert (lab.maintenance.doctor(), len(read)) == ((), 8)
    (lab.workspace.root.parent / "file").touch()
    monkeypatch.setenv("PROMPTLAB_CACHE", str(lab.workspace.root.parent / "file"))
    assert (lab.maintenance.doctor(), len(read)) == ((), 16)


def test_doctor_of_an_empty_folder_leaves_it_empty(tmp_path):
    """Nobody has made anything yet, and a look makes no database."""
    lab = Lab(tmp_path / "new", engine=Painter())
    assert lab.maintenance.doctor() == ()
    assert not lab.workspace.root.exists()


def test_doctor_remedy_for_a_deleted_image_makes_it_again(lab, run):
    """What the finding says to type makes the same bytes in the same place."""
    path = file_of(lab, run, 4)
    before = path.read_bytes()
    path.unlink()
    (finding,) = lab.maintenance.doctor()
    assert (finding.kind, finding.subject, finding.remedy) == (FindingKind.MISSING, "image 1/4", "promptlab resume 1")
    lab.engine.painted.clear()
    lab.resume("1")
    assert [request.id for request in lab.engine.painted] == ["1/4"]
    assert (read_pixels(path) == np.asarray(read_pixels(path))).all()
    assert len(before) == pytest.approx(len(path.read_bytes()), rel=0.1)
    assert lab.maintenance.doctor() == ()


def test_fix_of_a_deleted_image_restores_mlflows_copy(lab, run):
    """A hard link outlives the name: nothing has to be made."""
    path = file_of(lab, run, 4)
    before = path.read_bytes()
    path.unlink()
    lab.engine.painted.clear()
    assert lab.maintenance.fix(lab.maintenance.doctor()) == ()
    assert path.read_bytes() == before
    assert lab.engine.painted == []


def test_fix_of_a_truncated_image_owes_it(lab, run):
    """Cut short it is cut short in MLflow too: it is marked for resume, which makes it, and all agree again."""
    truncate(file_of(lab, run, 2))
    found = lab.maintenance.doctor()
    assert [(finding.kind, finding.subject) for finding in found] == [(FindingKind.DAMAGED, "image 1/2")]
    assert found[0].remedy == "promptlab doctor --fix; promptlab resume 1"
    (left,) = lab.maintenance.fix(found)
    assert (left.kind, left.subject, left.remedy) == (FindingKind.OWED, "image 1/2", "promptlab resume 1")
    (completed,) = lab.resume("1")
    assert completed.images[2].pixel_sha256 == run.images[2].pixel_sha256
    assert lab.maintenance.doctor() == ()


def test_doctor_of_a_lost_linked_image_has_one_finding(lab, run):
    """The file is looked at once, and all images that it is the picture of are named."""
    lab.run(SPEC, name="linked")
    truncate(file_of(lab, run, 0))
    (finding,) = lab.maintenance.doctor()
    assert (finding.subject, finding.run_id) == ("images 1/0, 2/0", 1)
    lab.maintenance.fix([finding])
    lab.resume("1")
    (told,) = lab.maintenance.doctor()
    assert (told.kind, told.subject) == (FindingKind.MLFLOW, "run 2")
    assert lab.maintenance.fix([told]) == ()


def test_doctor_of_an_edited_prompt_finds_it_three_times(lab, run):
    """By its recipe key, by the pictures' own words, and by MLflow's; MLflow is not told the edited words by --fix."""
    sql(lab, "UPDATE promptlab_variants SET prompt = 'a dog' WHERE position = 1")
    key, words, told = lab.maintenance.doctor()
    assert (key.kind, key.subject) == (FindingKind.ROW, "images 1/3, 1/4, 1/5")
    assert key.problem == "the recipe key does not follow from the row, which was edited"
    assert (words.kind, words.subject) == (FindingKind.CHUNK, "images 1/3, 1/4, 1/5")
    assert words.problem == "the prompt is 'a dog' in the row and 'a cat' in the file"
    assert words.remedy == f"promptlab import {run.images[3].path}"
    assert (told.kind, told.fixable) == (FindingKind.MLFLOW, False)
    assert "tag prompt is 'a cat' in MLflow and 'a dog' here" in told.problem
    assert lab.maintenance.fix(lab.maintenance.doctor()) == (key, words, told)
    assert "a dog" not in str([one.data.tags for one in client_of(lab).search_runs(["1"])])


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ("UPDATE promptlab_runs SET num_inference_steps = 7", "num_inference_steps is '7' in the row and '50'"),
        ("UPDATE promptlab_runs SET model_identity = 'sha256:0'", "the model is 'sha256:0' in the row"),
        ("UPDATE promptlab_images SET seed = 9 WHERE position = 5", "the seed is '9' in the row and '2' in the file"),
        ("UPDATE promptlab_images SET recipe_key = 'x' WHERE position = 0", "the recipe key is 'x' in the row"),
        ("UPDATE promptlab_environments SET facts = '{}'", "the environment is"),
        ("UPDATE promptlab_variants SET negative_prompt = 'beard'", "the negative prompt is 'beard' in the row"),
    ],
)
def test_doctor_of_an_edited_field_names_it(edit, said, lab, run):
    """With what the row says and what the file says."""
    sql(lab, edit)
    assert any(said in finding.problem for finding in lab.maintenance.doctor() if finding.kind is FindingKind.CHUNK)


def test_doctor_of_an_edited_image_finds_and_keeps_it(lab, run):
    """Somebody may have meant it: it is not made again before it has been put aside."""
    path = file_of(lab, run, 1)
    pixels = read_pixels(path)
    pixels[0, 0] = 255 - pixels[0, 0]
    path.write_bytes(encode_png(pixels, read_text(path)))
    (finding,) = [one for one in lab.maintenance.doctor() if one.kind is FindingKind.PIXELS]
    assert "the file has other pixels than were made" in finding.problem
    assert finding.remedy == f"mv {run.images[1].path} {run.images[1].path}.changed; promptlab resume 1"
    painted = path.read_bytes()
    lab.maintenance.fix(lab.maintenance.doctor())
    assert path.read_bytes() == painted
    path.rename(path.with_name(path.name + ".changed"))
    lab.resume("1")
    assert lab.maintenance.doctor() == ()


def test_doctor_of_a_swapped_or_bare_image_finds_it(lab, run):
    """It says whose it is, or nothing at all."""
    shutil.copy(file_of(lab, run, 0), file_of(lab, run, 1))
    file_of(lab, run, 2).write_bytes(encode_png(read_pixels(file_of(lab, run, 2))))
    said = [finding.problem for finding in lab.maintenance.doctor() if finding.kind is FindingKind.CHUNK]
    assert any(one.startswith("the file says it is image 1/0 of run ") for one in said)
    assert any(one.startswith("the file says nothing about itself") for one in said)


def test_doctor_of_an_unfinished_run_says_resume(lab):
    """A crash (RUNNING, and nobody at it), a stopped run, a picture that could not be made."""

    def stop(event):
        if event == ImagesGenerated(count=2):
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            lab.run(SPEC, watch=stop, again=True)
    sql(lab, "UPDATE promptlab_runs SET status = 'RUNNING', ended_at = NULL WHERE id = 1")
    sql(lab, "UPDATE promptlab_images SET status = 'FAILED', error = 'no paint' WHERE run_id = 2 AND position = 5")
    found = [finding for finding in lab.maintenance.doctor() if finding.kind in (FindingKind.CRASHED, FindingKind.OWED)]
    assert [(one.kind, one.subject, one.problem, one.remedy) for one in found] == [
        (FindingKind.CRASHED, "run 1", "left with 2 of 6 pictures made: no process is making it", "promptlab resume 1"),
        (FindingKind.OWED, "images 2/2, 2/3, 2/4", "still owed", "promptlab resume 2"),
        (FindingKind.OWED, "image 2/5", "could not be made: no paint", "promptlab resume 2"),
    ]
    lab.resume()
    assert lab.maintenance.doctor() == ()


def test_doctor_of_a_run_being_made_leaves_it_alone(lab):
    """Neither its owed pictures nor its half-written files are findings, and sync does not tell it."""
    looked = []

    def look(event):
        if event == ImagesGenerated(count=3):
            (lab.workspace.run_folder(1) / ".v00-seed0.png.0123.tmp").touch()
            other = Lab(lab.workspace, engine=Painter())
            looked.append((other.maintenance.doctor(), other.maintenance.fix(()), other.maintenance.sync().runs))

    lab.run(SPEC, watch=look)
    assert looked == [((), (), ())]


def test_fix_of_stray_files_removes_only_leftovers(lab, run):
    """A copy, a stranger, a picture whose run is unknown, half of one; grids and comparisons are none."""
    folder = lab.workspace.run_folder(run.id)
    shutil.copy(file_of(lab, run, 0), folder / "copy.png")
    (folder / "stranger.png").write_bytes(encode_png(np.zeros((8, 8, 3), np.uint8)))
    (folder / "half.png").write_bytes(file_of(lab, run, 0).read_bytes()[:200])
    (folder / "diff-1-0.png").write_bytes(encode_png(np.zeros((8, 8, 3), np.uint8)))
    (folder / "report.html").write_text("<html>")
    (folder / ".v00-seed0.png.0123.tmp").touch()
    journal = lab.workspace.root / "mlflow.db.backup-20200101-000000.bak.1.part-journal"
    journal.touch()
    os.utime(journal, (0, 0))
    other = Lab(lab.workspace.root.parent / "other", engine=Painter())
    shutil.copytree(lab.workspace.root, other.workspace.root)
    there = other.run(SPEC.vary(num_inference_steps=3))
    shutil.copy(other.workspace.root / there.images[0].path, folder / "lost.png")
    found = {finding.path: finding for finding in lab.maintenance.doctor()}
    where = lab.workspace.relative(folder)
    assert {path.removeprefix(f"{where}/") for path in found} == {
        "copy.png", "stranger.png", "half.png", ".v00-seed0.png.0123.tmp", "lost.png", journal.name,
    }  # fmt: skip
    assert found[f"{where}/lost.png"].remedy == f"promptlab import {where}/lost.png"
    assert found[f"{where}/copy.png"].problem.startswith("a second copy of image 1/0")
    assert len(lab.maintenance.fix(tuple(found.values()))) == 4
    assert not (folder / ".v00-seed0.png.0123.tmp").exists()
    assert not journal.exists()
    assert (folder / "lost.png").exists()


def test_doctor_of_an_image_without_a_row_yet_is_no_orphan(lab):
    """Killed between file and row: the run owes it, and that is all there is to say."""

    def stop(event):
        if event == ImagesGenerated(count=4):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lab.run(SPEC, watch=stop)
    lab.notebook.owe_images(1, [3])
    assert {finding.kind for finding in lab.maintenance.doctor()} == {FindingKind.OWED, FindingKind.MLFLOW}


def test_fix_of_grids_and_overviews_draws_them_again(lab):
    """Missing and damaged ones."""
    swept = lab.run_sweep(build_sweep(SPEC, [Axis(field="steps", values=(5, 9))]))
    lab.workspace.grid(1).unlink()
    truncate(lab.workspace.grid(2))
    lab.workspace.report(2).unlink()
    lab.workspace.sweep_grid(swept.id, 1).unlink()
    found = [finding for finding in lab.maintenance.doctor() if finding.kind is FindingKind.GRID]
    assert [finding.subject for finding in found] == ["run 1", "run 2", "run 2", "sweep 1"]
    assert lab.maintenance.fix(lab.maintenance.doctor()) == ()
    assert lab.workspace.sweep_grid(swept.id, 1).is_file()


def in_mlflow(told):
    """Ways in which MLflow comes to say something else, each on one of its runs."""
    return {
        "deleted in MLflow": lambda client: client.delete_run(told),
        "FAILED in MLflow and FINISHED here": lambda client: client.set_terminated(told, "FAILED"),
        "tag prompt is 'no' in MLflow": lambda client: client.set_tag(told, "prompt", "no"),
        "tag promptlab.uid": lambda client: client.delete_tag(told, "prompt"),
        "metric images_made is '1.0' in MLflow": lambda client: client.log_metric(told, "images_made", 1.0),
        "no longer holds": lambda client: client.set_tag(told, "promptlab.error", "once"),
    }


@pytest.mark.parametrize("said", in_mlflow(""))
def test_fix_of_what_mlflow_says_otherwise_records_it_again(said, lab, run):
    """Found by the checkup, mended by sync, and then nothing is left to be told."""
    in_mlflow(run.variants[1].mlflow_run_id)[said](client_of(lab))
    (finding,) = lab.maintenance.doctor()
    assert (finding.kind, finding.subject, finding.remedy) == (FindingKind.MLFLOW, "run 1", "promptlab sync")
    assert said == "tag promptlab.uid" or said in finding.problem
    assert finding.problem.startswith("variant 1: ")
    assert lab.maintenance.sync().runs == (1,)
    assert lab.maintenance.doctor() == ()
    assert lab.maintenance.sync().runs == ()


def test_fix_of_mlflows_artifacts_lays_them_out_again(lab, run):
    """A missing one, and one that is another."""
    folder = next(lab.workspace.artifacts.glob(f"*/{run.variants[0].mlflow_run_id}/artifacts"))
    (folder / "pictures" / "seed-0.png").unlink()
    shutil.copy(folder / "pictures" / "seed-2.png", folder / "waiting")
    (folder / "waiting").replace(folder / "pictures" / "seed-1.png")
    (finding,) = lab.maintenance.doctor()
    assert "file pictures/seed-0.png is missing in MLflow; file pictures/seed-1.png is another" in finding.problem
    assert lab.maintenance.fix([finding]) == ()


def test_fix_of_a_run_deleted_in_mlflow_records_it_again(lab, run):
    """As one whose tables were lost: all of it is there again."""
    for table in ("tags", "params", "metrics", "latest_metrics", "runs"):
        sql(lab, f"DELETE FROM {table}")
    assert [finding.problem for finding in lab.maintenance.doctor()] == ["variant 0: not in MLflow"]
    assert lab.maintenance.sync().runs == (1,)
    assert kinds(lab) == []


def test_doctor_of_mlflow_runs_without_rows_names_their_images(lab, run):
    """Rows that were lost can be taken in again from the pictures that MLflow shows."""
    for table in ("images", "variants", "runs"):
        sql(lab, f"DELETE FROM promptlab_{table}")
    shutil.rmtree(lab.workspace.run_folder(1))
    found = lab.maintenance.doctor()
    assert [finding.kind for finding in found] == [FindingKind.STRANGER] * 2
    assert (lab.workspace.root / found[0].remedy.removeprefix("promptlab import ")).is_dir()


def test_doctor_of_a_changed_parameter_says_the_long_way(lab, run):
    """MLflow's cannot be told anew; sync does not try for ever."""
    sql(lab, "UPDATE params SET value = '99' WHERE key = 'num_inference_steps'")
    (finding,) = lab.maintenance.doctor()
    assert "parameter num_inference_steps is '99' in MLflow and '50' here" in finding.problem
    assert finding.remedy.startswith("mlflow runs delete --run-id ")
    assert lab.maintenance.sync().runs == ()


def test_sync_of_sweeps_records_them_again(lab):
    """Deleted in MLflow, or with a run that no longer stands below: found, and told by sync."""
    swept = lab.run_sweep(build_sweep(SPEC, [Axis(field="steps", values=(5, 9))]))
    client = client_of(lab)
    client.delete_run(swept.mlflow_run_id)
    assert [finding.subject for finding in lab.maintenance.doctor()] == ["sweep 1"]
    told = lab.maintenance.sync()
    assert (told.runs, told.sweeps) == ((), (1,))
    client.set_tag(lab.history.find("1").run.variants[0].mlflow_run_id, "mlflow.parentRunId", "0" * 32)
    (finding,) = lab.maintenance.doctor()
    assert finding.problem == "1 of its runs do not stand below it in MLflow"
    assert lab.maintenance.fix(lab.maintenance.doctor()) == ()


def test_sync_of_everything_changes_nothing_that_is_right(lab, run):
    """sync --all, twice: MLflow's rows are the same to the byte."""

    def told():
        with closing(sqlite3.connect(lab.workspace.database)) as connection:
            return [
                line
                for line in connection.iterdump()
                if "promptlab_runs" not in line and "promptlab_sweeps" not in line
            ]

    lab.run_sweep(build_sweep(SPEC, [Axis(field="steps", values=(5, 9))]))
    before = told()
    synced = lab.maintenance.sync(everything=True)
    assert (synced.runs, synced.sweeps) == ((1, 2, 3), (1,))
    assert told() == before


def test_doctor_on_a_full_disk_asks_for_room_and_moves_nothing(lab, run, monkeypatch):
    """A log that has no room for its index makes a whole file unreadable; setting it aside would lose what is whole."""
    usage = shutil.disk_usage(lab.workspace.root)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage._replace(free=0))
    for end in ("-wal", "-shm"):
        lab.workspace.database.with_name(f"mlflow.db{end}").mkdir()
    (finding,) = lab.maintenance.doctor()
    assert (finding.kind, finding.problem) == (FindingKind.DATABASE, "cannot be read: its disk is full")
    assert (finding.remedy, finding.fixable) == ("df -h .", False)


def test_doctor_of_damaged_pages_finds_nothing_else(lab, run):
    """Nothing else can be believed; the newest backup is what to put back, or the pictures are taken in."""
    copy = lab.maintenance.backup()
    with closing(sqlite3.connect(lab.workspace.database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    with lab.workspace.database.open("r+b") as file:
        file.seek(size * 3)
        file.write(os.urandom(size * 40))
    (finding,) = Lab(lab.workspace, engine=Painter()).maintenance.doctor()
    assert (finding.kind, finding.subject) == (FindingKind.DATABASE, "mlflow.db")
    assert f"cp {copy.name} mlflow.db" in finding.remedy
    copy.unlink()
    (finding,) = Lab(lab.workspace, engine=Painter()).maintenance.doctor()
    assert finding.remedy.endswith("; promptlab import images")


def test_doctor_of_a_lost_or_foreign_database_finds_it(lab, run):
    """Gone, and no database at all."""
    lab.workspace.database.unlink()
    (finding,) = Lab(lab.workspace, engine=Painter()).maintenance.doctor()
    assert (finding.problem, finding.remedy) == ("not there, though pictures are", "promptlab import images")
    lab.workspace.database.write_text("a diary, not a database")
    (finding,) = Lab(lab.workspace, engine=Painter()).maintenance.doctor()
    assert finding.problem == "is not a SQLite file"


def test_doctor_of_dangling_rows_counts_them(lab, run):
    """A variant that is gone leaves its images behind; tables of others may refer to what has no key."""
    sql(lab, "DELETE FROM promptlab_environments")
    for statement in (
        "CREATE TABLE theirs (x)",
        "CREATE TABLE more (y REFERENCES theirs (x))",
        "INSERT INTO more VALUES (1)",
    ):
        sql(lab, statement)
    assert "1 row of promptlab_runs that point at no row of promptlab_environments" in [
        finding.problem for finding in lab.maintenance.doctor() if finding.kind is FindingKind.DATABASE
    ]


def test_doctor_of_a_newer_database_is_refused(lab, run):
    """That is no damage, and nothing that this version could judge."""
    sql(lab, "UPDATE promptlab_alembic_version SET version_num = '9999'")
    with pytest.raises(WorkspaceError, match="written by a newer PromptLab"):
        Lab(lab.workspace, engine=Painter()).maintenance.doctor()


def test_backup_is_a_workspaces_database(lab, run, tmp_path):
    """Taken while the workspace is open, put beside the images in another folder, it is all there, and goes on."""
    copy = lab.maintenance.backup(tmp_path / "kept.db")
    other = Workspace.at(tmp_path / "other")
    shutil.copytree(lab.workspace.root / "images", other.root / "images")
    shutil.copytree(lab.workspace.artifacts, other.artifacts)
    shutil.copy(copy, other.database)
    there = Lab(other, engine=Painter())
    assert there.history.find("1").run == lab.history.find("1").run
    assert there.maintenance.doctor() == ()
    assert there.rerun(there.history.find("last"), changes={"num_inference_steps": 3}).status is RunStatus.FINISHED


def test_backup_overwrites_nothing(lab, run, tmp_path):
    """Neither a file nor, by default, an earlier backup; and there must be something to copy."""
    kept = tmp_path / "kept.db"
    kept.write_text("mine")
    with pytest.raises(Exception, match="exists already"):
        lab.maintenance.backup(kept)
    assert kept.read_text() == "mine"
    with pytest.raises(Exception, match="does not exist"):
        lab.maintenance.backup(tmp_path / "nowhere" / "kept.db")
    with pytest.raises(NotFound):
        Lab(tmp_path / "new", engine=Painter()).maintenance.backup()


def test_findings_are_json(lab, run):
    """Plain values only."""
    from promptlab.records import plain

    truncate(file_of(lab, run, 2))
    assert json.loads(json.dumps([plain(finding) for finding in lab.maintenance.doctor()]))[0]["kind"] == "damaged"
