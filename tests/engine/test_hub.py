"""The Hub: asked once, believed ever after. A small Hub on this machine stands in for the real one."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

COMMIT = "f" * 40

LOOK = """
import sys
from promptlab.engine.finding import hub
from promptlab.engine.finding.sources import find_model
from promptlab.errors import PromptLabError
try:
    source = find_model(*sys.argv[1:])
    print(source.identity, source.revision, len(source.absent))
    if source.absent:
        seen = []
        hub.fetch(source.name, source.revision, source.absent, lambda *bytes: seen.append(bytes))
        print(seen[-1][0] == seen[-1][1] > 0)
    print(len(find_model(*sys.argv[1:]).absent))
except PromptLabError as error:
    print(type(error).__name__, error)
"""


@contextmanager
def small_hub(folder):
    """The three answers that downloading a model needs: what it is, its tree, its files. Yields address and log."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    asked = []

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args):
            asked.append(f"{self.command} {self.path}")

        def do_HEAD(self):
            self.do_GET()

        def do_GET(self):
            path = self.path.partition("?")[0]
            file = files.get("/".join(path.split("/")[5:]))
            known = next((answer for start, answer in answers.items() if path.startswith(start)), None)
            if file is not None:
                content = file.read_bytes()
                self.answer(content, 200, {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": COMMIT})
            elif isinstance(known, str):
                self.answer(b"{}", 404, {"X-Error-Code": known})
            else:
                self.answer(json.dumps(known).encode())

        def answer(self, body, code=200, headers=()):
            self.send_response(code)
            for name, value in dict(headers).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

    def about(name):
        content = files[name].read_bytes()
        return {"type": "file", "oid": hashlib.sha1(content).hexdigest(), "size": len(content), "path": name}

    model = {"id": "org/model", "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
    answers = {
        "/api/models/org/model/tree": [about(name) for name in files],
        f"/api/models/org/model/revision/{COMMIT}": model,
        "/api/models/org/model/": "RevisionNotFound",
        "/api/models/org/model": model,
        "/": "RepoNotFound",
    }
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def look(home, *words, **environment):
    done = subprocess.run(
        [sys.executable, "-c", LOOK, *words],
        capture_output=True,
        text=True,
        env={
            **{name: value for name, value in os.environ.items() if name != "HF_HUB_CACHE"},
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            **environment,
        },
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.slow
def test_a_model_is_downloaded_in_two_steps_and_then_needs_no_network(mini, tmp_path):
    """To check a command only configurations come; the weights follow when they are loaded; later all is cached."""
    with small_hub(mini) as (address, asked):
        assert look(tmp_path / "home", "org/model", HF_ENDPOINT=address) == [
            f"commit:{COMMIT} {COMMIT} 3", "True", "0",
        ]  # fmt: skip
        weights = [at for at, line in enumerate(asked) if line.endswith(".safetensors")]
        configs = [at for at, line in enumerate(asked) if line.endswith("/config.json")]
        assert max(configs) < min(weights)
        asked.clear()
        assert look(tmp_path / "home", "org/model", HF_ENDPOINT=address)[0] == f"commit:{COMMIT} {COMMIT} 0"
        assert asked == []
    assert look(tmp_path / "home", "org/model", HF_HUB_OFFLINE="1")[0] == f"commit:{COMMIT} {COMMIT} 0"
    assert look(tmp_path / "home", "org/model", COMMIT, HF_HUB_OFFLINE="1")[0] == f"commit:{COMMIT} {COMMIT} 0"


@pytest.mark.slow
def test_what_the_hub_does_not_have_does_not_exist(mini, tmp_path):
    """A model and a revision that the Hub does not know are told apart."""
    with small_hub(mini) as (address, _):
        (model,) = look(tmp_path / "home", "org/other", HF_ENDPOINT=address)
        (revision,) = look(tmp_path / "home", "org/model", "v7", HF_ENDPOINT=address)
    assert model.startswith("NotFound --model 'org/other' does not exist; allowed: a Hub id, a folder, a .safetensors")
    assert revision == (
        "NotFound --revision 'v7' does not exist; allowed: a branch, tag or commit of org/model; "
        "type: --model org/model"
    )
