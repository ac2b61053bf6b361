"""MLflow's pages beside ours: who is let in, and where addresses of runs lead."""

from __future__ import annotations

import asyncio

import pytest

from promptlab.tracking.beside_page import GATE, PageBeside, environment_beside, gated, run_path

PAGE = PageBeside(url="http://127.0.0.1:7870", cookie="promptlab_7870=secret")
RUN_ID = "0123456789abcdef" * 2
PICTURE = f"run_uuid={RUN_ID}&path=pictures/seed-1.png"


def ask(path, *, method="GET", kind="http", query="", cookie=None, page=PAGE):
    """Return the status and headers that are answered; the app behind answers 200 to everything."""
    sent = []

    async def inner(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"inner", b"1")]})

    async def send(message):
        sent.append(message)

    headers = [] if cookie is None else [(b"Cookie", cookie.encode())]
    scope = {"type": kind, "path": path, "query_string": query.encode(), "headers": headers}
    asyncio.run(gated(inner, page)(scope if kind != "http" else {**scope, "method": method}, None, send))
    return sent[0].get("status", sent[0]["type"]), dict(sent[0].get("headers", ()))


@pytest.mark.parametrize(
    "asked",
    [
        {"path": "/ajax-api/2.0/mlflow/runs/search", "method": "POST"}, {"path": "/api/2.0/mlflow/runs/get"},
        {"path": "/", "method": "POST"}, {"path": GATE}, {"path": "/graphql", "method": "POST"},
        {"path": "/get-artifact", "query": f"run_uuid={RUN_ID}&path=prompt.txt"},
        {"path": "/get-artifact", "query": f"run_uuid={RUN_ID}&path=../../secret.png"},
        {"path": "/get-artifact", "query": f"{PICTURE}&path=prompt.txt"},
        {"path": "/get-artifact", "query": "run_uuid=1&path=a.png"}, {"path": "/get-artifact"},
    ],
)  # fmt: skip
def test_mlflow_beside_the_page_answers_who_has_its_cookie(asked):
    """And nobody else, nor who has another; what a guess at it would read is refused alike."""
    for cookie in (None, "promptlab_7870=wrong", "promptlab_7871=secret", "theme=dark"):
        assert ask(**asked, cookie=cookie)[0] == 401
    assert ask(**asked, cookie="a=b; promptlab_7870=secret; c")[0] == 200


@pytest.mark.parametrize(
    ("path", "query"), [("/", ""), ("/health", ""), ("/static-files/a.js", ""), ("/get-artifact", PICTURE)]
)
def test_mlflow_beside_the_page_shows_everybody_what_says_nothing(path, query):
    """Its document, whether it is well, and pictures of runs whose id one has to know."""
    assert ask(path, query=query)[1] == {b"inner": b"1"}
    assert ask(path, query=query, method="POST")[0] == 401


def test_mlflow_beside_the_page_closes_sockets_without_the_cookie():
    """No other way leads in."""
    assert ask("/", kind="websocket")[0] == "websocket.close"


def test_mlflow_alone_answers_everybody():
    """As it does without us; its own address of the gate is not there."""
    assert ask("/api/2.0/mlflow/runs/get", page=None)[0] == 200
    assert ask(GATE, page=None)[1] == {b"inner": b"1"}


@pytest.mark.parametrize("place", ["run/3", "run/3/1"])
def test_address_of_a_run_leads_to_the_page(place):
    """With the id that tells workspaces apart, and nothing else; without a page one is told what opens it."""
    assert ask(f"/promptlab/{place}")[1][b"location"] == f"http://127.0.0.1:7870/{place}".encode()
    assert ask(f"/promptlab/{place}", query="uid=0a1b")[1][b"location"].endswith(b"?uid=0a1b")
    assert ask(f"/promptlab/{place}", query="token=1")[1][b"location"].endswith(place.encode())
    assert ask(f"/promptlab/{place}", page=None)[0] == 404
    assert f"/{run_path(3)}" == "/promptlab/run/3"


def test_server_is_told_of_its_page_by_its_environment(monkeypatch):
    """And one that is started alone is not told of another's."""
    for name, value in environment_beside(PAGE).items():
        monkeypatch.setenv(name, value)
    assert PageBeside.of_environment() == PAGE
    assert "_PROMPTLAB_PAGE" not in environment_beside(None)
    assert "secret" not in repr(PAGE)
