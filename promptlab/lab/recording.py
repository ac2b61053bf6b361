"""Records runs in MLflow for another process, as :mod:`promptlab.lab.execution.recorder` asks.

It imports MLflow as soon as it is started and touches no file until it is asked to. Each line that it reads is a
request, each line that it writes the answer: ``{}``, or an error by its facts. It ends when its input does, however the
other process ended.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from promptlab._gc import collect_rarely
from promptlab.errors import PromptLabError, TrackerError, one_line, to_dict
from promptlab.lab.context import LabContext
from promptlab.workspace import Workspace

__all__ = ["main"]

_NEEDED: Final = ("promptlab.store.notebook", "promptlab.images.grid", "promptlab.images.report")


def main() -> None:
    """Read requests from standard input until it ends, and answer each on standard output."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)  # it ends with the process that it works for
    collect_rarely()
    context = _context(json.loads(sys.stdin.readline()))
    _import_all(own=context.tracking_uri is None)
    with suppress(BrokenPipeError):  # nobody waits any more
        for line in sys.stdin:
            answers.write(json.dumps(_answer(context, json.loads(line))) + "\n")
            answers.flush()
    context.close()
    os._exit(0)  # nothing is left to write, and a million objects to look through


def _context(about: Mapping[str, Any]) -> LabContext:
    workspace = Workspace(Path(about["workspace"]), about["database_url"])
    return LabContext.create(workspace, tracking_uri=about["tracking_uri"])


def _import_all(*, own: bool) -> None:
    """Import what recording needs; what cannot be imported is said when something is recorded."""
    from promptlab.tracking.schema import import_stores

    with suppress(Exception):
        import_stores(own=own)
        for name in _NEEDED:
            import_module(name)


def _answer(context: LabContext, request: Mapping[str, Any]) -> dict[str, Any]:
    try:
        match request["verb"]:
            case "prepare":
                context.publisher.prepare()
            case "run":
                context.publisher.record_run(context.notebook.run(request["id"]))
            case "sweep":
                context.publisher.record_sweep(context.notebook.sweep(request["id"]))
    except PromptLabError as error:
        return to_dict(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other process goes on and says it
        return to_dict(TrackerError(f"MLflow could not be told: {one_line(error) or type(error).__name__}"))
    return {}
