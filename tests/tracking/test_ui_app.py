"""MLflow's one HTML page gets our lines; whatever else it answers passes through untouched."""

from __future__ import annotations

import asyncio

from promptlab.tracking import pages, ui_app
from promptlab.tracking.ui_app import EXTRA, with_extra

PAGE = b"<html><head><title>MLflow</title></head><body></body></html>"


def ask(path="/", *, method="GET", kind="http", body=(PAGE,), headers=()):
    """What an app that answers ``body`` answers through ours, and the scope it was asked with."""
    seen = []

    async def inner(scope, receive, send):
        seen.append(scope)
        headers = [(b"ETag", b"1"), (b"content-length", b"60"), (b"x-frame-options", b"SAMEORIGIN")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for at, part in enumerate(body):
            await send({"type": "http.response.body", "body": part, "more_body": at + 1 < len(body)})

    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request"}

    scope = {"type": kind, "method": method, "path": path, "headers": list(headers)}
    asyncio.run(with_extra(inner)(scope, receive, send))
    return sent, seen[0]


def test_ui_app_adds_its_lines_at_the_end_of_the_head():
    """They come before MLflow's script runs, and the length is right."""
    (start, body), _ = ask()
    assert body["body"] == PAGE.replace(b"</head>", EXTRA + b"</head>")
    assert dict(start["headers"])[b"content-length"] == str(len(body["body"])).encode()


def test_ui_app_puts_a_page_in_pieces_together():
    """``</head>`` may lie across two pieces."""
    (_, body), _ = ask(body=(PAGE[:35], PAGE[35:]))
    assert EXTRA in body["body"]


def test_ui_app_keeps_mlflows_headers():
    """What MLflow says about frames and kinds is kept; what would bring back an old page is not."""
    (start, _), scope = ask(headers=[(b"if-none-match", b"1"), (b"host", b"127.0.0.1")])
    assert dict(start["headers"])[b"x-frame-options"] == b"SAMEORIGIN"
    assert b"ETag" not in dict(start["headers"])
    assert scope["headers"] == [(b"host", b"127.0.0.1")]


def test_ui_app_passes_everything_else_through():
    """Calls, files and the server's own life are MLflow's business."""
    for changed in ({"path": "/health"}, {"method": "POST"}, {"kind": "lifespan"}):
        sent, _ = ask(**changed)
        assert sent[1]["body"] == PAGE


def test_ui_app_leaves_a_page_without_a_head_alone():
    """A refusal is text, and stays what it is."""
    (_, body), _ = ask(body=(b"Invalid Host header",))
    assert body["body"] == b"Invalid Host header"


def test_ui_app_is_found_under_its_former_module():
    """An installation made before the module was renamed names ``promptlab.tracking.pages:app`` as its entry point."""
    assert pages.app is ui_app.app
