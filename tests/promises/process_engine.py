"""An engine behind a process border: a child process that speaks JSON lines, and what stands for it here.

It proves that what crosses the engine's door is plain data. Each line to the child asks for one thing, each line back
is an answer, an event or an error; a line that says ``cancel`` may come while a generation is under way. ::

    python -m tests.promises.process_engine
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import asdict
from queue import SimpleQueue

from promptlab import __version__, wire
from promptlab.engine import NO_PERMISSIONS, ClipEmbeddings, EngineEvent, Permissions
from promptlab.errors import EngineError, PromptLabError, from_dict, to_dict
from promptlab.plan import ImageRequest, ResolvedSpec, TruncatedPrompt
from promptlab.specs import RunSpec


def read(hint, plain):
    return wire.decode(hint, plain, theirs=__version__)


class ProcessEngine:
    """Implements the engine's protocol by a painter in another process."""

    def __init__(self):
        self._process = None

    def resolve(self, specs, *, permissions=NO_PERMISSIONS):
        answer = self._ask("resolve", permissions, specs=wire.encode(specs))
        return read(tuple[ResolvedSpec, ...], answer)

    def truncated_prompts(self, resolved, *, permissions=NO_PERMISSIONS):
        answer = self._ask("truncated_prompts", permissions, resolved=wire.encode(resolved))
        return read(tuple[TruncatedPrompt, ...], answer)

    def generate(self, requests, *, permissions=NO_PERMISSIONS):
        if len({request.id for request in requests}) < len(requests):
            raise ValueError("two requests have one id")
        self._send("generate", permissions, requests=wire.encode(requests))
        return ProcessGeneration(self)

    def available_memory(self, device):
        return self._ask("available_memory", NO_PERMISSIONS, device=device)

    def clip(self, model, *, images, prompts=(), device=None) -> ClipEmbeddings:
        raise EngineError("the child has no CLIP model")

    def close(self):
        if self._process is not None:
            self._process.stdin.close()
            self._process.wait()
            self._process.stdout.close()
            self._process = None

    def _ask(self, call, permissions, **facts):
        self._send(call, permissions, **facts)
        return self.receive()

    def _send(self, call, permissions, **facts):
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.promises.process_engine"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                text=True, encoding="utf-8",
            )  # fmt: skip
        self._process.stdin.write(json.dumps({"call": call, "permissions": asdict(permissions), **facts}) + "\n")
        self._process.stdin.flush()

    def cancel(self):
        self._process.stdin.write(json.dumps({"call": "cancel"}) + "\n")
        self._process.stdin.flush()

    def receive(self):
        line = self._process.stdout.readline()
        if not line:
            raise EngineError("the engine's process is gone")
        kind, value = json.loads(line)
        if kind == "error":
            raise from_dict(value)
        return value


class ProcessGeneration:
    """What comes of one ``generate``: events until the child says that there are no more."""

    def __init__(self, engine):
        self._engine, self.cancel = engine, engine.cancel

    def __iter__(self):
        while (plain := self._engine.receive()) is not None:
            yield read(EngineEvent, plain)


def serve(engine, lines, answer):
    """Answer what is asked, one after the other; ``cancel`` is heard at any time."""
    asked, under_way = SimpleQueue(), []

    def listen():
        for line in lines:
            ask = json.loads(line)
            if ask["call"] == "cancel":
                [generation.cancel() for generation in under_way]
            else:
                asked.put(ask)
        asked.put(None)

    threading.Thread(target=listen, daemon=True).start()
    while (ask := asked.get()) is not None:
        try:
            carry_out(engine, ask, under_way, answer)
        except PromptLabError as error:
            answer(["error", to_dict(error)])


def carry_out(engine, ask, under_way, answer):
    permissions = Permissions(**ask["permissions"])
    match ask["call"]:
        case "resolve":
            specs = read(tuple[RunSpec, ...], ask["specs"])
            answer(["answer", wire.encode(engine.resolve(specs, permissions=permissions))])
        case "truncated_prompts":
            resolved = read(tuple[ResolvedSpec, ...], ask["resolved"])
            answer(["answer", wire.encode(engine.truncated_prompts(resolved, permissions=permissions))])
        case "available_memory":
            answer(["answer", engine.available_memory(ask["device"])])
        case "generate":
            requests = read(tuple[ImageRequest, ...], ask["requests"])
            under_way[:] = [engine.generate(requests, permissions=permissions)]
            for event in under_way[0]:
                answer(["event", wire.encode(event)])
            under_way.clear()
            answer(["event", None])


def main():
    from promptlab.testing import Painter

    def answer(value):
        sys.stdout.write(json.dumps(value) + "\n")
        sys.stdout.flush()

    serve(Painter(seconds=0.01), sys.stdin, answer)


if __name__ == "__main__":
    main()
