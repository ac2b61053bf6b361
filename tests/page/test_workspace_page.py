"""What a page shows of its workspace, whoever changed it."""

from urllib.parse import quote

import numpy as np

from promptlab.cli.command_line import command_line
from promptlab.cli.spelling import option_of
from promptlab.images.png import write_png
from promptlab.lab import Lab
from promptlab.lab.history.prompt_edit import PromptEdit
from promptlab.page.page_server import PageServer
from promptlab.serving.messages import PageOrder
from promptlab.specs import PipelineSpec, RunSpec, Variant
from promptlab.testing import Painter
from tests.images.foreign import samples
from tests.page.serving import Page, page_of

FOX = RunSpec(pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a red fox"),), seeds=(0, 1))


def test_page_of_an_empty_workspace_has_everything_to_begin(page, workspace):
    """Settings with their options, schedulers, models; no runs yet."""
    state = page.get("/api/state").json
    assert (state["workspace"], state["runs"], state["images"], state["jobs"]) == (str(workspace.root), 0, 0, [])
    rows = {row["name"]: row for row in state["settings"]}
    assert (rows["steps"]["option"], rows["steps"]["kind"], rows["steps"]["minimum"]) == ("--steps", "whole", 1)
    assert "mini" in rows["model"]["choices"]
    assert not {"prompts", "negative", "seeds"} & rows.keys()
    assert "euler" in [each["name"] for each in state["model"]["schedulers"]]
    assert page.get("/api/runs").json == {"runs": [], "more": False}
    for path in ("/api/runs/1", "/api/runs/1/request", "/images/1/0.png", "/thumbs/1/0", "/grids/1.png"):
        assert page.get(path).status == 404


def test_page_tells_what_another_process_does(page, workspace):
    """Its runs, and its ratings: noticed by the database's files."""
    with page.events() as events:
        lab = Lab(workspace, engine=Painter())
        lab.run(FOX)
        _, changed = page.until(events, "changed")[-1]
        assert changed == {"runs": [1]}
        while page.get("/api/runs/1").json["status"] != "FINISHED":
            page.until(events, "changed")
        lab.ratings.rate(["1/1"], 5, tell=False)
        while page.get("/api/runs/1").json["images"][1]["stars"] != 5:
            page.until(events, "changed")


def test_page_tells_what_another_process_does_while_pictures_are_made(page, workspace, painter):
    """Also where the job under way has something to tell all the time."""
    painter.seconds = 0.2
    with page.events() as events:
        job = page.post("/api/jobs", {"prompt": "a fox", "seeds": "0-99"}).json["job"]
        page.until(events, "image")
        Lab(workspace, engine=Painter()).run(FOX)
        name, told = page.until(events, "changed", "ended")[-1]
        assert (name, told) == ("changed", {"runs": [2]})
        page.delete(f"/api/jobs/{job}")
        page.until(events, "ended", job=job)


def test_page_opened_while_a_run_is_made_is_told_of_it_once(page, workspace, painter):
    """The run as it is by then, each image that comes, and the run as it ended."""
    painter.seconds = 0.2
    order = PageOrder(workspace=workspace.root, database=workspace.database_url, port=0)
    with page.events() as events:
        job = page.post("/api/jobs", {"prompt": "a fox", "seeds": "0-15"}).json["job"]
        page.until(events, "image")
        with PageServer(command_line, option_of).opened(order, page.server) as opened:
            later = Page(opened.address, page.server)
            with later.events() as heard_later:
                heard = later.until(heard_later, "ended", job=job)
    runs = [data for name, data in heard if name == "run"]
    assert [run["id"] for run in runs] == [1, 1]
    assert runs[-1]["status"] == "FINISHED"
    images = [data["image"] for name, data in heard if name == "image"]
    assert images
    assert all("parent" not in image for image in images)


def test_page_server_started_anew_is_the_same_page(workspace, painter, our_tables, tmp_path):
    """Cookie and header are as good as before; what was missed is said to be so, and the run is there."""
    (tmp_path / "index.html").write_text("x")
    with page_of(workspace, painter, assets=tmp_path) as before:
        with before.events() as events:
            job = before.post("/api/jobs", {"prompt": "a fox"}).json["job"]
            before.until(events, "ended", job=job)
        last = _last_id(before)
    port, token = before.where.port, before.where.token
    with page_of(workspace, painter, assets=tmp_path, port=port, token=token) as after:
        assert (after.cookie, after.csrf) == (before.cookie, before.csrf)
        with after.events(last) as events:
            assert [name for name, _ in after.until(events, "reset")] == ["queue", "reset"]
        assert after.get("/api/runs/1").json["made"] == 1


def _last_id(page):
    """Return the id of an event that a page tells now."""
    with page.events() as events:
        page.post("/api/images/1/0/rating", {"stars": 3})
        return next(number for number, name, _ in events if name == "rated")


def test_page_picture_of_another_program_is_imported_with_its_losses(page, tmp_path):
    """Dropped onto the page: a run, what could not be carried over, and a form that is filled with it."""
    file = tmp_path / "a.png"
    write_png(file, np.zeros((8, 8, 3), np.uint8), {"parameters": samples.A1111})
    answer = page.post("/api/import", file.read_bytes(), **{"X-Filename": quote("../../ünï cödé.PNG")})
    assert answer.status == 200, answer.body
    found = answer.json
    assert (found["run"], found["position"], found["new"]) == (1, 0, True)
    assert found["program"] == "AUTOMATIC1111"
    assert "Hires upscale" in [loss["name"] for loss in found["losses"]]
    assert found["request"]["parent"] == {"run": 1, "position": 0}
    assert found["request"]["seeds"] == "965400086"
    assert page.get("/api/runs/1").json["name"] == "ünï cödé.PNG"
    for name in ("", "no ending", "..", "/etc/passwd", "a" * 300, quote("戦" * 120), "a%00b.png", "a%0Ab.jpg"):
        assert page.post("/api/import", file.read_bytes(), **{"X-Filename": name}).json["new"] is False


def test_page_own_picture_is_found_again_and_no_picture_is_refused(page, workspace):
    """A picture made here is that image; a text file is none."""
    page.made({"prompt": "a fox", "seeds": "0-1"})
    picture = page.get("/images/1/1.png").body
    found = page.post("/api/import", picture).json
    assert (found["run"], found["position"], found["losses"]) == (1, 1, [])
    assert found["request"]["seeds"] == "1"
    for content in (b"", b"no picture", picture[:100]):
        refused = page.post("/api/import", content, **{"X-Filename": "notes.txt"})
        assert (refused.status, refused.json["error"]["field"]) == (400, "picture")
        assert "/tmp" not in refused.json["error"]["message"]


def test_page_suggests_what_was_tried_in_the_place_of_words(page, workspace, painter):
    """Most often first, then words of the kind that were not."""
    lab = Lab(workspace, engine=painter)
    lab.run(FOX)
    lab.rerun(lab.history.find("1"), edit=PromptEdit(replace=("red=>{violet|golden}",)))
    page.made({"prompt": "a {red|violet} fox", "seeds": "5"})
    words = page.get("/api/words?text=red").json["words"]
    assert words[:2] == [{"text": "violet", "tried": 2}, {"text": "golden", "tried": 1}]
    assert {"text": "blue", "tried": 0} in words
    assert page.get("/api/words?text=").json == {"words": []}


def test_page_picture_outside_of_the_workspace_is_not_shown(page, workspace, tmp_path):
    """Whatever a row or a link says, only files of the images' folder are answered."""
    page.made({"prompt": "a fox"})
    path = workspace.root / page_path(workspace)
    secret = tmp_path / "secret.png"
    secret.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(secret)
    assert page.get("/images/1/0.png").status == 404
    assert page.get("/thumbs/1/0?width=512").status == 404


def page_path(workspace):
    return Lab(workspace).history.find("1/0").run.images[0].path


def test_page_run_of_many_images_is_told_in_parts(page):
    """A list has the first of them, and how many there are; the rest is asked for."""
    run = page.made({"prompt": "a fox", "seeds": "0-79"})
    assert (run["images_count"], len(run["images"])) == (80, 80)
    (listed,) = page.get("/api/runs").json["runs"]
    assert (listed["images_count"], len(listed["images"])) == (80, 64)
    assert [each["position"] for each in page.get("/api/runs/1?from=78").json["images"]] == [78, 79]
    for wrong in ("x", "-1", "9" * 99):
        assert page.get(f"/api/runs?before={wrong}").status == 400


def test_page_job_is_stopped_and_taken_out_of_the_line(page, painter):
    """The one under way keeps what it made; the one that waits is never begun."""
    painter.seconds = 0.2
    with page.events() as events:
        first = page.post("/api/jobs", {"prompt": "a fox", "seeds": "0-39"}).json["job"]
        page.until(events, "image")
        second = page.post("/api/jobs", {"prompt": "an owl"}).json["job"]
        _, queue = page.until(events, "queue")[-1]
        assert [(job["job"], job["place"]) for job in queue["jobs"]] == [(first, 0), (second, 1)]
        assert page.delete(f"/api/jobs/{second}").status == 200
        heard = page.until(events, "ended", job=second)
        assert heard[-1][1]["outcome"] == "stopped"
        assert page.delete("/api/jobs/none").status == 200
    assert page.get("/api/runs").json["more"] is False
