"""The files MLflow shows: the pictures themselves, under MLflow's names and under names people can read."""

from __future__ import annotations

import os
import re
import shutil

import pytest
from PIL import Image

from promptlab.tracking import artifacts
from promptlab.tracking.artifacts import write_variant_artifacts
from promptlab.tracking.variant_run import VariantRun
from promptlab.workspace import Workspace
from tests.tracking.painting import paint_run, spec, thumbnail


@pytest.fixture
def empty(tmp_path):
    return Workspace.at(tmp_path / "workspace")


def laid_out(workspace, run, at=0):
    folder = workspace.artifacts / "here"
    page = VariantRun(run=run, variant=run.variants[at])
    write_variant_artifacts(folder, page, workspace=workspace, thumbnail=thumbnail(workspace, run))
    return folder, {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_artifacts_have_every_image_for_people_and_for_charts(empty):
    """Readable names that sort as the seeds do, and the names that MLflow's ``log_image`` gives."""
    run = paint_run(empty, 1, spec(["x"], [3, 10]))
    _, names = laid_out(empty, run)
    assert {name for name in names if not name.startswith("images/")} == {
        "grid.png",
        "thumb.png",
        "prompt.txt",
        "pictures/seed-03.png",
        "pictures/seed-10.png",
    }
    logged = sorted(name for name in names if name.startswith("images/"))
    pattern = r"images/seed~(3|10)\+step\+0\+timestamp\+\d+\+[0-9a-f-]{36}(\+compressed)?\.png"
    assert len(logged) == 4
    assert all(re.fullmatch(pattern, name) for name in logged)


def test_artifacts_are_links_and_cost_no_space(empty):
    """The same file under another name keeps its text chunks to the byte."""
    run = paint_run(empty, 1, spec(["a chief"], [3]))
    folder, names = laid_out(empty, run)
    home = empty.root / run.images[0].path
    assert home.stat().st_nlink == 4
    assert all((folder / name).samefile(home) for name in names if "seed" in name)
    with Image.open(folder / "pictures/seed-3.png") as shown:
        assert shown.text["parameters"].startswith("a chief")


def test_artifacts_of_a_variant_are_its_own_images_only(empty):
    """The grid is everybody's; the pictures are the variant's."""
    run = paint_run(empty, 1, spec(["one", "two"], [3]))
    folder, _ = laid_out(empty, run, at=1)
    assert (folder / "pictures/seed-3.png").samefile(empty.root / run.images[1].path)


def test_artifacts_written_again_change_nothing(empty):
    """The same names again, and no file beside them."""
    run = paint_run(empty, 1, spec(["x"], [3, 4]))
    assert laid_out(empty, run)[1] == laid_out(empty, run)[1]


def test_artifacts_image_made_later_replaces_the_one_before(empty):
    """A picture that was made anew is a new file; the old link must not linger."""
    run = paint_run(empty, 1, spec(["x"], [3]))
    folder, before = laid_out(empty, run)
    home = empty.root / run.images[0].path
    content = home.read_bytes() + b"more"
    home.unlink()
    home.write_bytes(content)
    assert laid_out(empty, run)[1] == before
    assert (folder / "pictures/seed-3.png").read_bytes() == content


def test_artifacts_without_links_are_copies(empty, monkeypatch):
    """Another disk, a file system without links: it costs space, and works."""

    def no_links(source, target, **_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", no_links)
    run = paint_run(empty, 1, spec(["x"], [3]))
    folder, _ = laid_out(empty, run)
    home = empty.root / run.images[0].path
    assert not (folder / "pictures/seed-3.png").samefile(home)
    assert (folder / "pictures/seed-3.png").read_bytes() == home.read_bytes()


def test_artifacts_heavy_image_gets_a_light_preview(empty, monkeypatch):
    """A page of large pictures must load; a click still shows the original."""
    monkeypatch.setattr(artifacts, "SMALL_ENOUGH", 1000)
    run = paint_run(empty, 1, spec(["x"], [3]), side=640)
    folder, names = laid_out(empty, run)
    (preview,) = (folder / name for name in names if name.endswith("+compressed.webp"))
    with Image.open(preview) as small:
        assert small.size == (512, 512)
    assert preview.stat().st_size < (empty.root / run.images[0].path).stat().st_size / 4


def test_artifacts_without_images_have_the_words(empty):
    """A run that was stopped at once still says what was asked."""
    run = paint_run(empty, 1, spec(["a chief"], [3]), made=0)
    folder, names = laid_out(empty, run)
    assert names == {"prompt.txt"}
    assert (folder / "prompt.txt").read_text() == "a chief\n"


def test_artifacts_of_a_lost_image_are_an_error(empty):
    """What is recorded as made and is not there must not pass in silence."""
    run = paint_run(empty, 1, spec(["x"], [3]))
    shutil.rmtree(empty.run_folder(1))
    with pytest.raises(FileNotFoundError):
        write_variant_artifacts(
            empty.root / "a", VariantRun(run=run, variant=run.variants[0]), workspace=empty, thumbnail=b""
        )
