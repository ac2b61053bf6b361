"""What one does on a page: words, pictures, one of them varied, judged and made again."""

import threading

from promptlab.cli.command_line import command_line
from promptlab.cli.spelling import option_of
from promptlab.lab import Lab
from promptlab.page.page_server import PageServer
from promptlab.records import Outcome
from promptlab.serving.lab_server import LabServer
from promptlab.serving.messages import PageOrder
from promptlab.testing import Painter
from tests.page.serving import Page

FOX = {"prompt": "a {red|blue} fox", "negatives": [], "seeds": "0-1", "settings": {"steps": ["3"]}, "parent": None}


def test_page_request_is_made_and_every_picture_told_once(page):
    """A run of two wordings at two seeds: begun, each image as it is stored, and what came of it."""
    with page.events() as events:
        job = page.post("/api/jobs", FOX).json["job"]
        heard = page.until(events, "ended", job=job)
    told = [data["image"] for name, data in heard if name == "image"]
    assert sorted(image["position"] for image in told) == [0, 1, 2, 3]
    assert heard[-1][1]["outcome"] == "done"
    assert {"queue", "run", "image", "ended"} <= {name for name, _ in heard}
    run = page.get("/api/runs/1").json
    assert (run["status"], run["made"], run["seeds"], run["images_count"]) == ("FINISHED", 4, [0, 1], 4)
    assert run["settings"]["steps"] == "3"
    assert {image["position"]: image["pixels"] for image in told} == {
        image["position"]: image["pixels"] for image in run["images"]
    }
    picture = page.get(run["images"][3]["full"])
    assert picture.body.startswith(b"\x89PNG")
    assert "immutable" in picture.headers["cache-control"]
    thumb = page.get(run["images"][3]["thumb"] + "&width=128")
    assert (thumb.body[8:12], thumb.headers["content-type"]) == (b"WEBP", "image/webp")
    download = page.get("/images/1/3.png?download=1")
    assert download.headers["content-disposition"] == 'attachment; filename="run-1-seed1.png"'
    assert page.get("/grids/1.png").status == 200


def test_page_report_and_its_pictures_are_shown_without_the_cookie(page):
    """It is shown in a sandbox, which has none: its address has a key, which opens reports and pictures alone."""
    run = page.made(FOX)
    folder = run["report"].removesuffix("report.html")
    report = page.ask("GET", run["report"], headers={"Sec-Fetch-Site": "cross-site"}, cookie=None)
    assert "sandbox" in report.headers["content-security-policy"]
    assert run["uid"].encode() in report.body
    picture = page.ask("GET", f"{folder}v01-seed1.png", headers={"Sec-Fetch-Site": "cross-site"}, cookie=None)
    assert picture.body.startswith(b"\x89PNG")
    assert picture.headers["cross-origin-resource-policy"] == "cross-origin"
    for wrong in (f"/reports/{'0' * 64}/00001/report.html", f"{folder}../../mlflow.db", f"{folder}%2e%2e/x.png"):
        assert page.ask("GET", wrong, cookie=None).status in (401, 404)
    assert page.ask("POST", run["report"], b"", cookie=None).status == 401


def test_page_sweep_of_a_picture_has_it_as_parent_and_is_asked_for_as_a_whole(page):
    """It hangs from the picture in the tree; with new seeds all of its settings are made once more."""
    page.made(FOX)
    clicked = page.get("/api/runs/1/request?position=3").json["request"]
    last = page.made(clicked | {"settings": clicked["settings"] | {"steps": ["4", "5"]}})
    assert (last["id"], last["sweep"]["id"], last["parent"]) == (3, 1, {"run": 1, "position": 3})
    assert [each["what"] for each in last["change"]] == ["steps", "seeds"]
    whole = page.get("/api/runs/2/whole").json
    assert whole["request"]["settings"]["steps"] == ["4", "5"]
    assert whole["command"].startswith("promptlab run ")
    assert page.made(whole["request"] | {"seeds": "7"})["parent"]["run"] == 2
    assert [run["sweep"]["id"] for run in page.get("/api/runs?limit=2").json["runs"]] == [2, 2]
    assert page.get("/api/runs/1/whole").json["request"] == page.get("/api/runs/1/request").json["request"]


def test_page_vote_is_taken_back(page):
    """As if it had not been given; what was never given cannot be taken back."""
    page.made(FOX)
    pair = {"winner": "1/2", "loser": "1/3"}
    assert page.post("/api/votes/undo", pair).status == 400
    page.post("/api/votes", pair)
    assert page.post("/api/votes/undo", pair).json == {}
    assert [image["votes_won"] for image in page.get("/api/runs/1").json["images"]] == [0, 0, 0, 0]


def test_page_picture_clicked_and_reworded_has_it_as_parent(page):
    """Two acts: its request fills the form, other words are asked for; the words that changed are marked."""
    page.made(FOX)
    clicked = page.get("/api/runs/1/request?position=1").json
    assert (clicked["request"]["prompt"], clicked["request"]["seeds"]) == ("a red fox", "1")
    assert clicked["command"] == "promptlab rerun 1/1"
    child = page.made(clicked["request"] | {"prompt": "a red fox at dusk"})
    assert child["parent"] == {"run": 1, "position": 1}
    assert child["variants"][0]["marks"] == [["kept", "a red fox"], ["added", " at dusk"]]
    assert (child["seeds"], child["settings"]["steps"]) == ([1], "3")
    assert child["change"] == [{"what": "seeds", "from": "0,1", "to": "1"}]  # and no batch size, which nobody named
    listed = page.get("/api/runs").json
    assert [(run["id"], run["children"]) for run in listed["runs"]] == [(2, []), (1, [2])]
    assert listed["more"] is False
    assert [run["id"] for run in page.get("/api/runs?before=2&limit=1").json["runs"]] == [1]
    assert page.get("/api/runs?limit=1").json["more"] is True


def test_page_ratings_and_votes_are_kept_at_once_and_told_to_other_tabs(page, workspace, painter):
    """The same tables as the command line's; a tab that is open beside it hears of them."""
    page.made(FOX)
    with page.events() as events:
        assert page.post("/api/images/1/2/rating", {"stars": 4}).json["stars"] == 4
        assert page.post("/api/images/1/2/favourite", {"favourite": True}).json["favourite"] is True
        assert page.post("/api/votes", {"winner": "1/2", "loser": "1/3"}).json == {}
        heard = [page.until(events, "rated")[-1][1] for _ in range(4)]
    assert heard[-2:] == [
        {"run": 1, "position": 2, "stars": 4, "favourite": True, "votes_won": 1, "votes_lost": 0},
        {"run": 1, "position": 3, "stars": None, "favourite": False, "votes_won": 0, "votes_lost": 1},
    ]
    image = Lab(workspace, engine=painter).history.find("1/2").run.images[2]
    assert (image.stars, image.favourite, image.votes_won) == (4, True, 1)
    for wrong in ({"stars": 9}, {"stars": "4"}, {}, []):
        assert page.post("/api/images/1/2/rating", wrong).status == 400
    assert page.post("/api/images/1/9/rating", {"stars": 4}).status == 404
    assert page.post("/api/votes", {"winner": "1/2", "loser": "1/2"}).status == 400


def test_page_picture_is_verified_by_a_job(page):
    """Its outcome is told when the job has ended, and stays with the image."""
    page.made(FOX)
    with page.events() as events:
        job = page.post("/api/images/1/2/verify").json["job"]
        _, ended = page.until(events, "ended", job=job)[-1]
    assert [(each["ref"], each["outcome"]) for each in ended["verdicts"]] == [("1/2", Outcome.EXACT)]
    assert page.get("/api/runs/1").json["images"][2]["verified"] == "exact"


def test_page_run_that_fails_says_why_and_is_resumed(page, painter):
    """What was made stays; the rest is made once more."""
    painter.fail_on = "blue"
    with page.events() as events:
        job = page.post("/api/jobs", FOX).json["job"]
        _, ended = page.until(events, "ended", job=job)[-1]
        assert (ended["outcome"], "will not paint" in ended["error"]["message"]) == ("failed", True)
        assert page.get("/api/runs/1").json["made"] == 2
        painter.fail_on = None
        job = page.post("/api/runs/1/resume").json["job"]
        assert page.until(events, "ended", job=job)[-1][1]["outcome"] == "done"
    assert page.get("/api/runs/1").json["made"] == 4


def test_page_stop_ends_the_job_under_way_after_its_pictures(workspace, assets):
    """What was made stays, the run is stopped, and the server goes on with the next job."""
    begun, stopped = threading.Event(), threading.Event()

    class Held(Painter):
        def _paint(self, request, **where):
            begun.set()
            stopped.wait()
            return super()._paint(request, **where)

    painter, ended = Held(), []
    server = LabServer(lambda: painter, keep_alive=5)
    order = PageOrder(workspace=workspace.root, database=workspace.database_url, port=0)

    def press(page):
        try:
            with page.events() as events:
                job = page.post("/api/jobs", FOX | {"seeds": "0-9", "settings": {"batch_size": ["1"]}}).json["job"]
                begun.wait()
                assert page.delete(f"/api/jobs/{job}").status == 200
                stopped.set()
                ended.append(page.until(events, "ended", job=job)[-1][1]["outcome"])
            ended.append(page.get("/api/runs/1").json["status"])
            ended.append(page.made(FOX)["status"])
        finally:
            stopped.set()
            server.stop()

    with PageServer(command_line, option_of, assets=assets).opened(order, server) as opened:
        pressing = threading.Thread(target=press, args=(Page(opened.address, server),))
        pressing.start()
        server.work()  # on the main thread, where a process hears the signal of Ctrl-C
        pressing.join()
    assert ended == ["stopped", "KILLED", "FINISHED"]
    assert 0 < len(painter.painted) < 24
