"""Nothing lost: whatever kills a run, rows and files agree afterwards, and resume completes it to the same bytes."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing

import numpy as np
import pytest
from sqlalchemy import Engine, event

from promptlab.errors import EngineError, InputError, StoreError
from promptlab.images.png import pixel_sha256, read_pixels, write_png
from promptlab.lab import Lab
from promptlab.lab.execution.events import ImagesGenerated, Interrupted
from promptlab.records import ImageStatus, RunStatus
from promptlab.specs import PipelineSpec, RunSpec, Variant
from promptlab.testing import Painter
from promptlab.workspace import Workspace
from tests.promises import victim

SPEC = RunSpec(
    pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a"), Variant(prompt="b")), seeds=(0, 1, 2, 3),
    batch_size=2,
)  # fmt: skip


class Victim:
    """The process of :mod:`tests.promises.victim`, spoken to."""

    def __init__(self, engine, scratch):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.promises.victim", engine, scratch.root], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert self._process.stdout.readline() == "ready\n"

    def start(self, verb, workspace):
        self._process.stdin.write(f"{verb} {workspace.root}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def ended(self):
        return int(self._process.stdout.readline())

    def close(self):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def agree(workspace):
    """Every image that counts as made is a whole PNG with the recorded pixels, and nothing lies in two places."""
    if not workspace.database.exists():
        return None
    lab = Lab(workspace, engine=Painter())
    if lab.notebook.last_run_id() is None:
        return None
    run = lab.notebook.run(lab.notebook.last_run_id())
    for image in run.made:
        assert pixel_sha256(read_pixels(workspace.root / image.path)) == image.pixel_sha256
    return run


@pytest.mark.mlflow
@pytest.mark.parametrize(
    ("engine", "wanted"),
    [
        ("painter", 3),
        *(pytest.param(engine, 20, marks=pytest.mark.exhaustive) for engine in ("painter", "diffusers")),
    ],
)
def test_run_killed_at_any_moment_is_completed_to_the_same_bytes(engine, wanted, tmp_path, needed_database):
    """kill -9, some times in all over some runs; then resume: the bytes of an undisturbed run."""

    def fresh(name):
        workspace = Workspace.at(tmp_path / name)
        workspace.root.mkdir()
        shutil.copy(needed_database, workspace.database)
        return workspace

    undisturbed, process = fresh("undisturbed"), Victim(engine, fresh("scratch"))
    began = time.monotonic()
    process.start("run", undisturbed)
    assert process.ended() == 0
    lasts = time.monotonic() - began
    expected = {image.recipe_key: image.pixel_sha256 for image in agree(undisturbed).images}
    chance, kills, rounds = random.Random(20), 0, 0
    while kills < wanted:
        rounds += 1
        workspace = fresh(f"disturbed {rounds}")
        for turn in range(30):
            child = process.start("run" if agree(workspace) is None else "resume", workspace)
            killer = threading.Timer(chance.uniform(0, lasts), kill, [child])
            if kills < wanted and turn < 5:
                killer.start()
            code = process.ended()
            killer.cancel()
            if code == 0:
                break
            assert code == -signal.SIGKILL
            kills += 1
        run = agree(workspace)
        assert (run.status, len(run.made)) == (RunStatus.FINISHED, 12)
        assert {image.recipe_key: image.pixel_sha256 for image in run.images} == expected
        assert {"grid.png", "report.html"} <= {path.name for path in workspace.run_folder(run.id).iterdir()}
        assert not list(workspace.run_folder(run.id).glob(".*.tmp"))
    process.close()


def killed_while_published(lab):
    """A run whose process was killed while it drew the report; nothing of it is in MLflow."""
    run = lab.run(SPEC)
    folder = lab.workspace.run_folder(run.id)
    (folder / "report.html").rename(folder / ".report.html.0123456789abcdef.tmp")
    (folder / ".grid.png.0123456789abcdef.tmp").touch()
    with closing(sqlite3.connect(lab.workspace.database)) as database:
        database.execute("UPDATE promptlab_runs SET tracked_at = NULL")
        database.commit()
    return folder


@pytest.mark.parametrize("then", ["the same command", "resume", "resume of it"])
def test_run_killed_while_it_was_published_is_published_by_who_comes_next(lab, then):
    """Its pictures are whole and are not made again; grid, report and MLflow are seen to, and nothing is left over."""
    folder = killed_while_published(lab)
    lab.engine.painted.clear()
    {"the same command": lambda: lab.run(SPEC), "resume": lab.resume, "resume of it": lambda: lab.resume("1")}[then]()
    assert not lab.engine.painted
    assert {"grid.png", "report.html"} <= {path.name for path in folder.iterdir()}
    assert not list(folder.glob(".*.tmp"))
    assert lab.notebook.run(1).tracked_at is not None


def test_run_folder_that_is_a_link_is_not_written_through(lab, tmp_path):
    """What lies elsewhere stays as it is; all of ``images`` may lie on another disk."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    lab.workspace.run_folder(1).parent.symlink_to(tmp_path / "disk")
    (tmp_path / "disk").mkdir()
    lab.workspace.run_folder(1).symlink_to(elsewhere)
    with pytest.raises(StoreError, match=r"00001 is a link, .* make all of images/ a link"):
        lab.run(SPEC)
    assert not list(elsewhere.iterdir())
    lab.workspace.run_folder(1).unlink()
    (run,) = lab.resume()
    assert len(list((tmp_path / "disk" / "00001").glob("v*.png"))) == 8
    assert run.status is RunStatus.FINISHED


def kill(process):
    """At once, with nothing said."""
    os.kill(process, signal.SIGKILL)


def test_ctrl_c_once_finishes_the_batch_in_flight(lab):
    """The pictures of the batch are saved, the next batch is not begun, and it is said."""
    lab.engine.seconds = 0.02
    heard = []

    def press_at_the_third(event):
        heard.append(event)
        if event == ImagesGenerated(count=3):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        lab.run(SPEC, watch=press_at_the_third)
    run = lab.history.find("last").run
    assert (run.status, len(run.made)) == (RunStatus.KILLED, 4)
    assert Interrupted() in heard
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    (completed,) = lab.resume()
    assert (completed.id, completed.status, len(completed.made)) == (run.id, RunStatus.FINISHED, 8)


def test_ctrl_c_twice_stops_at_once(lab):
    """Pressed again, not even the batch in flight is waited for."""

    def press_twice(event):
        if event == ImagesGenerated(count=1):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        lab.run(SPEC, watch=press_twice)
    run = lab.history.find("last").run
    assert (run.status, len(run.made)) == (RunStatus.KILLED, 1)


def test_image_that_fails_leaves_the_others_alone(workspace):
    """Its row says why, the others are made, and resume tries it again."""
    lab = Lab(workspace, engine=Painter(fail_on="ugly"))
    spec = SPEC.vary(variants=(Variant(prompt="fine"), Variant(prompt="ugly"), Variant(prompt="good")), seeds=(0, 1, 2))
    with pytest.raises(EngineError, match="3 of 9 images could not be made: the painter will not paint 'ugly'"):
        lab.run(spec.vary(batch_size=4))
    run = lab.history.find("last").run
    assert run.status is RunStatus.FAILED
    assert [image.status for image in run.images if image.variant == 1] == [ImageStatus.FAILED] * 3
    assert [image.status for image in run.images if image.variant != 1] == [ImageStatus.MADE] * 6
    assert run.images[3].error == "the painter will not paint 'ugly'"
    (completed,) = Lab(workspace, engine=Painter()).resume("last")
    assert (completed.status, len(completed.made)) == (RunStatus.FINISHED, 9)
    assert all(image.error is None for image in completed.images)


def test_import_stopped_before_its_picture_is_recorded_is_completed(lab, tmp_path):
    """The row of another program's picture is there, the picture is not: the same command puts it there."""
    path = tmp_path / "theirs.png"
    pixels = np.full((64, 32, 3), 7, np.uint8)
    write_png(path, pixels, {"parameters": "an owl\nSteps: 5, Sampler: Euler, Seed: 1, Size: 32x64"})

    def stop(_connection, _cursor, statement, *_):
        if statement.startswith("UPDATE promptlab_images"):
            raise KeyboardInterrupt

    event.listen(Engine, "before_cursor_execute", stop)
    try:
        with pytest.raises(KeyboardInterrupt):
            lab.maintenance.import_images([str(path)], experiment="e")
    finally:
        event.remove(Engine, "before_cursor_execute", stop)
    assert len(lab.notebook.run(1).owed) == 1
    for known in (0, 1):
        (taken,) = lab.maintenance.import_images([str(path)], experiment="e")
        assert (taken.run.id, taken.known, len(taken.run.made)) == (1, known, 1)
    assert pixel_sha256(read_pixels(lab.workspace.root / taken.run.images[0].path)) == pixel_sha256(pixels)


def test_picture_of_another_program_that_is_gone_leaves_the_others_to_resume(lab, tmp_path):
    """No engine makes it: it is said how it comes back, and what is owed besides is made."""
    path = tmp_path / "theirs.png"
    write_png(path, np.full((64, 32, 3), 7, np.uint8), {"parameters": "an owl\nSteps: 5, Seed: 1, Size: 32x64"})
    (taken,) = lab.maintenance.import_images([str(path)], experiment="e")
    own = lab.run(SPEC)
    for run in (taken.run, own):
        (lab.workspace.root / run.images[0].path).unlink()
        lab.notebook.owe_images(run.id, [0])
    (resumed,) = lab.resume()
    assert (resumed.id, resumed.complete) == (own.id, True)
    with pytest.raises(InputError, match="its picture is gone; type: promptlab import FILE"):
        lab.resume(str(taken.run.id))
    lab.maintenance.import_images([str(path)], experiment="e")
    assert lab.notebook.run(taken.run.id).complete


def test_picture_deleted_is_made_again(lab):
    """Asking for the same run again finds the gap and fills it, and only it."""
    run = lab.run(SPEC)
    (lab.workspace.root / run.images[5].path).unlink()
    lab.engine.painted.clear()
    again = lab.run(SPEC)
    assert again.id == run.id
    assert [request.id for request in lab.engine.painted] == ["1/5"]
    assert again.images[5].pixel_sha256 == run.images[5].pixel_sha256
    assert (lab.workspace.root / again.images[5].path).is_file()


def test_resume_with_nothing_owed_makes_nothing(lab):
    """No run owes a picture; an empty workspace is not made."""
    lab.run(SPEC)
    assert lab.resume() == ()
    assert lab.resume("last") == ()
    empty = Lab(lab.workspace.root / "nowhere", engine=Painter())
    assert empty.resume() == ()
    assert not empty.workspace.root.exists()


def test_resume_model_changed_makes_nothing(lab, monkeypatch):
    """A run begun with one model is not completed with another under the same name."""

    def stop(event):
        if event == ImagesGenerated(count=2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lab.run(SPEC, watch=stop)
    monkeypatch.setattr("promptlab.testing._identity", lambda name: "sha256:other")
    with pytest.raises(InputError, match="model 'mini' is not what run 1 was made by"):
        lab.resume()


def test_resume_of_a_run_being_made_is_refused(lab):
    """While one makes it, another that would resume it is told so."""

    def resume_meanwhile(event):
        if event == ImagesGenerated(count=1):
            with pytest.raises(InputError, match="run 1 is being made by another process"):
                Lab(lab.workspace, engine=Painter()).resume("1")

    assert len(lab.run(SPEC, watch=resume_meanwhile).made) == 8


def test_victims_spec_has_moments_to_be_killed_in():
    """Twelve images in six batches: enough moments to be killed in."""
    assert victim.SPEC.image_count == 12
