"""Opens MLflow's own pages on what one came for: images.

MLflow 3 greets with an assistant's panel over a quarter of the page, in its mode for language models, folds a run's
description (our grid) down to a hundred pixels, and heads our view with a banner about saved views. None of this can be
set from the server, so a few lines of style and preferences ride along with its one HTML page; all that follows is
MLflow's, untouched. They name things no release promises to keep; when a name goes, MLflow merely looks as it always
does.

This is an *app* in MLflow's sense (entry-point group ``mlflow.app``), started by ``mlflow server --app-name promptlab``
in the server's process alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from promptlab.tracking.beside_page import GATE, PageBeside, gated
from promptlab.tracking.internals import server_app

__all__ = ["APP_NAME", "app"]

APP_NAME: Final = "promptlab"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
"""The ASGI interface, https://asgi.readthedocs.io/en/latest/specs/main.html."""

EXTRA: Final = b"""
<style>
/* "#root" outweighs MLflow's own "!important". The description in full, because it begins with the grid: */
#root div:has(> .note-view-outer-container) { max-height: none !important; }
#root div:has(> .note-view-outer-container) > [data-testid="truncation-gradient"],
#root [data-testid="show-comment-toggle"] { display: none !important; }
#root .note-view-outer-container img { max-width: 100%; }
#root .note-view-outer-container blockquote { margin: 0 0 12px; padding-left: 12px; border-left: 3px solid #8884; }
/* The experiment opens with our view: no need to say that it is not the reader's own. */
#root [data-component-id="mlflow.experiment_page.shared_view.banner"] { display: none !important; }
</style>
<script>
try {
  // Each only once: what the reader chooses later stays chosen.
  const first = (key, value) => localStorage.getItem(key) ?? localStorage.setItem(key, JSON.stringify(value));
  first("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", true);
  first("mlflow.workflowType_v1", "machine_learning");
} catch {}
</script>
"""

_REFUSED: Final = f"""
<script>
// Whoever has not opened the page is told so, and not of errors in each part of this one.
fetch("{GATE}").then(async (answer) => {{
  if (answer.status !== 401) return;
  const said = await answer.text(), say = () => {{ document.body.textContent = said; }};
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", say); else say();
}});
</script>
""".encode()


def app() -> App:
    """Return MLflow's server with :data:`EXTRA` at the head of its page, behind the page beside it."""
    page = PageBeside.of_environment()
    guarded: App = gated(with_extra(server_app(), EXTRA if page is None else EXTRA + _REFUSED), page)
    return guarded


def with_extra(inner: App, extra: bytes = EXTRA) -> App:
    """Wrap ``inner`` so that ``extra`` stands before ``</head>`` in its answer to ``GET /``."""

    async def outer(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] != "/":
            await inner(scope, receive, send)
            return
        # "Not modified" would bring back the page that a plain MLflow once served at this address.
        asked = [(name, value) for name, value in scope["headers"] if not name.startswith(b"if-")]
        started: list[Message] = []
        body = bytearray()

        async def extending(message: Message) -> None:
            if message["type"] == "http.response.start":
                started.append(message)
                return
            if message["type"] != "http.response.body":
                await send(message)
                return
            body.extend(message.get("body", b""))
            if message.get("more_body"):
                return
            page = bytes(body).replace(b"</head>", extra + b"</head>", 1)
            kept = [
                (name, value)
                for name, value in started[0]["headers"]
                if name.lower() not in (b"content-length", b"etag", b"last-modified", b"accept-ranges")
            ]
            headers = [*kept, (b"content-length", str(len(page)).encode())]
            await send({**started[0], "headers": headers})
            await send({**message, "body": page, "more_body": False})

        await inner({**scope, "headers": asked}, receive, extending)

    return outer
