"""Serves pages for tests, and while one works on them: ``python -m tests.page.serving FOLDER PORT [ASSETS]``."""

import json
import os
import re
import sys
import threading
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from promptlab.cli.command_line import command_line
from promptlab.cli.spelling import option_of
from promptlab.page.page_server import ASSETS, PageServer
from promptlab.serving.lab_server import LabServer
from promptlab.serving.messages import PageAddress, PageOrder
from promptlab.testing import Painter

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


PLAIN = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirects())


@dataclass
class Answer:
    """What a page answered."""

    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


class Page:
    """A page as a browser sees it that has opened its first address: ``page.get("/api/state").json``."""

    def __init__(self, address: PageAddress, server: LabServer, show_mlflow=None):
        self.show_mlflow = show_mlflow
        self.where, self.server, self.url = address, server, address.url
        self.address = address.first()
        opened = self.ask("GET", f"/?token={address.token}", cookie=None)
        self.cookie = opened.headers["set-cookie"].partition(";")[0]
        self.csrf = self.get("/api/state").json["csrf"]

    def get(self, path, **headers):
        return self.ask("GET", path, headers=headers)

    def post(self, path, body=None, **headers):
        content = body if isinstance(body, bytes) else json.dumps(body if body is not None else {}).encode()
        return self.ask("POST", path, content, {"X-PromptLab": self.csrf, **headers})

    def delete(self, path):
        return self.ask("DELETE", path, headers={"X-PromptLab": self.csrf})

    def ask(self, method, path, content=None, headers=None, *, cookie=""):
        request = urllib.request.Request(self.url + path, content, dict(headers or {}), method=method)
        if cookie is not None and not request.has_header("Cookie"):
            request.add_header("Cookie", cookie or self.cookie)
        try:
            answer = PLAIN.open(request)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            headers = {name.lower(): value for name, value in answer.headers.items()}
            return Answer(answer.status, headers, answer.read())

    @contextmanager
    def events(self, last=None):
        """Give the events that come from now on: an iterator over (id, name, data)."""
        headers = {"Cookie": self.cookie} | ({} if last is None else {"Last-Event-ID": last})
        with PLAIN.open(urllib.request.Request(f"{self.url}/api/events", headers=headers)) as answer:
            yield _events(answer)

    def until(self, events, *names, job=None):
        """Return what was told up to an event of these names (of a job), that one included."""
        heard = []
        for _, name, data in events:
            heard.append((name, data))
            if name in names and (job is None or data.get("job") == job):
                return heard
        raise AssertionError(f"the events ended before {names}")

    def made(self, request):
        """Have a request made; return its run as it ended."""
        with self.events() as events:
            answer = self.post("/api/jobs", request)
            assert answer.status == 202, answer.body
            _, ended = self.until(events, "ended", job=answer.json["job"])[-1]
        assert ended["outcome"] == "done", ended
        return self.get(f"/api/runs/{ended['runs'][-1]}").json


def _events(answer):
    event = {}
    for line in answer:
        text = line.decode().rstrip("\n")
        name, _, value = text.partition(": ")
        if text and name:
            event[name] = value
        elif not text and event:
            if "event" in event:
                yield event.get("id"), event["event"], json.loads(event["data"])
            event = {}


@contextmanager
def working(server):
    """Have a server carry out jobs on a thread, for as long as the context lasts."""
    thread = threading.Thread(target=server.work)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()


@contextmanager
def page_of(workspace, engine, *, port=0, token=None, assets=ASSETS, mlflow_url=None, there=""):
    """Give the page of a workspace whose pictures ``engine`` makes."""
    order = PageOrder(
        workspace=workspace.root, database=workspace.database_url, port=port, token=token, mlflow_url=mlflow_url,
        there=there,
    )  # fmt: skip
    with ExitStack() as open_now:
        server = open_now.enter_context(working(LabServer(lambda: engine, keep_alive=5)))
        pages = PageServer(command_line, option_of, assets=assets)
        opened = open_now.enter_context(pages.opened(order, server))
        yield Page(opened.address, server, opened.show_mlflow)


def main():
    from promptlab.workspace import Workspace

    folder, port, *assets = sys.argv[1:]
    os.environ.setdefault("PROMPTLAB_CACHE", str(Path(folder, ".cache").absolute()))
    seconds = float(re.sub(r"[^0-9.]", "", os.environ.get("PAINTER_SECONDS", "0.15")) or 0)
    workspace = Workspace.at(folder)
    workspace.root.mkdir(parents=True, exist_ok=True)
    with page_of(
        workspace, Painter(seconds=seconds), port=int(port), assets=Path(*assets).absolute() if assets else ASSETS
    ) as page:
        print(page.address, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
