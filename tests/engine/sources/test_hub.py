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
BREAK = 2**20

LOOK = """
import json, sys
from promptlab.engine.sources import hub
from promptlab.engine.sources.finder import find_model
from promptlab.errors import PromptLabError
hub.cache_home()
from huggingface_hub import constants
constants.DOWNLOAD_CHUNK_SIZE = 2**16  # what is lost when a connection breaks: 10 MB, more than a small file has
for words in json.loads(sys.argv[1]):
    try:
        source = find_model(*words)
        print(source.identity, source.revision, len(source.absent))
        if source.absent:
            seen = []
            hub.fetch(source.name, source.revision, source.absent, lambda *bytes: seen.append(bytes))
            print(seen[-1][0] == seen[-1][1] > 0)
        print(len(find_model(*words).absent))
    except PromptLabError as error:
        print(type(error).__name__, error)
"""


class Replies(BaseHTTPRequestHandler):
    """How things are said, whatever is asked."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.do_GET()

    def answer_file(self, content, *, breaks=False):
        about = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
        begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        if breaks and self.command == "GET":
            self.send_response(200)
            for name, value in {**about, "Content-Length": len(content)}.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(content[:BREAK])
            self.close_connection = True
        elif begin:
            about["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
            self.answer(content[begin:], 206, about)
        else:
            self.answer(content, 200, about)

    def answer(self, body, code=200, headers=()):
        self.send_response(code)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@contextmanager
def small_hub(folder, gated=None, breaks=None):
    """The three answers that downloading a model needs: what it is, its tree, its files. Yields address and log.

    ``gated`` is the status that files of ``org/gated`` are refused with; a file whose name ends with ``breaks`` breaks
    off after :data:`BREAK` bytes when it is first asked for.
    """
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    asked = []

    class Answers(Replies):
        def log_message(self, *args):
            begin = self.headers.get("Range", "")
            asked.append(f"{self.command} {self.path} {begin}".rstrip())

        def do_GET(self):
            path = self.path.partition("?")[0]
            file = files.get("/".join(path.split("/")[5:]))
            known = next((answer for start, answer in answers.items() if path.startswith(start)), None)
            if path.startswith("/org/gated/"):
                self.answer(b"{}", gated, {"X-Error-Code": "GatedRepo"})
            elif file is not None:
                first = not any(line.startswith(f"GET {path}") for line in asked)
                self.answer_file(file.read_bytes(), breaks=first and breaks is not None and path.endswith(breaks))
            elif isinstance(known, str):
                self.answer(b"{}", 404, {"X-Error-Code": known})
            else:
                self.answer(json.dumps(known).encode())

    def about(name):
        content = files[name].read_bytes()
        return {"type": "file", "oid": hashlib.sha1(content).hexdigest(), "size": len(content), "path": name}

    model = {"id": "org/model", "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
    tree = [about(name) for name in files]
    answers = {
        "/api/models/org/model/tree": tree,
        "/api/models/org/gated/tree": tree,
        f"/api/models/org/model/revision/{COMMIT}": model,
        "/api/models/org/model/": "RevisionNotFound",
        "/api/models/org/gated": {**model, "id": "org/gated"},
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
    """What is said of a model; of several, where each is a list of words."""
    models = words if words and isinstance(words[0], list) else [words]
    done = subprocess.run(
        [sys.executable, "-c", LOOK, json.dumps(models)],
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
def test_hub_model_downloads_configs_then_weights_then_nothing(mini, tmp_path):
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
def test_hub_model_unknown_is_refused(mini, tmp_path):
    """A model and a revision that the Hub does not know are told apart."""
    with small_hub(mini) as (address, _):
        (model,) = look(tmp_path / "home", "org/other", HF_ENDPOINT=address)
        (revision,) = look(tmp_path / "home", "org/model", "v7", HF_ENDPOINT=address)
    assert model.startswith("NotFound model 'org/other' does not exist; allowed: a Hub id, a folder, a .safetensors")
    assert revision == (
        "NotFound revision 'v7' does not exist; allowed: a branch, tag or commit of org/model; type: model=org/model"
    )


@pytest.mark.slow
@pytest.mark.parametrize("status", [401, 403])
def test_hub_model_gated_says_how_to_log_in(mini, tmp_path, status):
    """What it is, anyone may read; its files are refused, whether nobody is logged in or somebody without leave."""
    with small_hub(mini, gated=status) as (address, _):
        (line,) = look(tmp_path / "home", "org/gated", HF_ENDPOINT=address)
    assert line == (
        "InputError org/gated is gated, and this account may not read it; allowed: models whose terms you accepted at "
        "https://huggingface.co/org/gated; type: hf auth login"
    )


@pytest.mark.slow
def test_hub_variants_are_asked_for_beyond_the_cache(copy_of_mini, tmp_path):
    """Weights that were fetched plain do not hide a variant that the Hub has; one that it lacks is told with those it
    has, and without network it is told, too."""
    folder = copy_of_mini()
    name = "unet/diffusion_pytorch_model"
    (folder / f"{name}.fp16.safetensors").write_bytes((folder / f"{name}.safetensors").read_bytes() + b"\0")
    with small_hub(folder) as (address, asked):
        found = look(
            tmp_path / "home", ["org/model"], ["org/model", None, "bf16"], ["org/model", None, "fp16"],
            HF_ENDPOINT=address,
        )  # fmt: skip
    no_variant = "UnknownValue variant 'bf16' is no variant of org/model"
    assert found[:3] == [f"commit:{COMMIT} {COMMIT} 3", "True", "0"]
    assert found[3].startswith(no_variant)
    assert found[3].endswith("allowed: fp16; type: variant=fp16")
    assert found[4:] == [f"commit:{COMMIT} {COMMIT} 1", "True", "0"]
    assert sum("fp16.safetensors" in line and line.startswith("GET") for line in asked) == 1
    (line,) = look(tmp_path / "home", ["org/model", None, "bf16"], HF_HUB_OFFLINE="1")
    assert line.startswith(no_variant)


@pytest.mark.slow
def test_hub_model_of_pickles_is_refused_before_download(copy_of_mini, tmp_path):
    """Loading one runs any program inside; so not even its bytes come."""
    folder = copy_of_mini()
    (folder / "unet" / "diffusion_pytorch_model.safetensors").rename(folder / "unet" / "diffusion_pytorch_model.bin")
    with small_hub(folder) as (address, asked):
        (line,) = look(tmp_path / "home", "org/model", HF_ENDPOINT=address)
    assert line.startswith("InputError model 'org/model' has only pickled weights in unet, which may hold programs;")
    assert not any(".bin" in line or ".safetensors" in line for line in asked)


@pytest.mark.slow
def test_hub_download_interrupted_is_resumed(mini, tmp_path):
    """The second request asks for the rest, and the file is whole."""
    weights = "unet/diffusion_pytorch_model.safetensors"
    with small_hub(mini, breaks=weights) as (address, asked):
        found = look(tmp_path / "home", "org/model", HF_ENDPOINT=address)
    assert found == [f"commit:{COMMIT} {COMMIT} 3", "True", "0"]
    requests = [line for line in asked if line.startswith("GET") and weights in line]
    assert [line.partition(" bytes=")[2] for line in requests] == ["", f"{BREAK}-"]
    (kept,) = (tmp_path / "home").glob(f"hub/models--org--model/snapshots/*/{weights}")
    assert kept.read_bytes() == (mini / weights).read_bytes()


@pytest.mark.slow
def test_hub_download_partial_is_completed_or_refused(mini, tmp_path):
    """Of a download that was stopped, what came whole stays, and what was begun is no weight of the model."""
    home = tmp_path / "home"
    with small_hub(mini) as (address, asked):
        look(home, "org/model", HF_ENDPOINT=address)
        (unet,) = home.glob("hub/models--org--model/snapshots/*/unet/*.safetensors")
        blob = unet.resolve()
        unet.unlink()
        blob.rename(blob.with_suffix(".0123abcd.incomplete"))
        (line,) = look(home, "org/model", HF_HUB_OFFLINE="1")
        asked.clear()
        assert look(home, "org/model", HF_ENDPOINT=address) == [f"commit:{COMMIT} {COMMIT} 1", "True", "0"]
    assert line.startswith("InputError model 'org/model' is in the Hub cache only in part, and the Hub cannot be")
    assert {line.split("/", 5)[-1] for line in asked if line.startswith("GET") and ".safetensors" in line} == {
        "unet/diffusion_pytorch_model.safetensors"
    }


@pytest.mark.slow
def test_hub_offline_and_not_cached_is_one_line(tmp_path):
    """Told to stay offline, nothing is asked."""
    (line,) = look(tmp_path / "home", "org/model", HF_HUB_OFFLINE="1")
    assert line.startswith(
        "InputError model 'org/model' is neither a folder here nor in the Hub cache, and the Hub cannot be reached;"
    )
