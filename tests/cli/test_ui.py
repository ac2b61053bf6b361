"""Opening the page of a workspace, and runs and pictures on it."""

import http.cookiejar
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from promptlab.serving.connection import Endpoint
from promptlab.serving.discovery import ServerPlace
from promptlab.serving.messages import PageOrder
from promptlab.serving.page_lease import PageLease
from promptlab.specs import PipelineSpec, RunSpec, Variant
from tests.serving.running import running_server, short_folder
from tests.serving.test_page_lease import Pages

FOX = RunSpec(pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a fox"),), seeds=(0, 1))


def test_open_while_the_page_is_open_says_the_address_there(promptlab, lab, painter, monkeypatch):
    """A run and a picture have addresses on the page; files are opened when they are asked for, or there is no page."""
    lab.run(FOX)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with short_folder() as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
        monkeypatch.setenv("PROMPTLAB_KEEP_ALIVE", "15")
        place = ServerPlace.here()
        with running_server(painter, place=place, open_page=Pages().open):
            lease = PageLease(lambda _: Endpoint(socket=place.socket), PageOrder(workspace=lab.workspace.root))
            address = lease.open()
            assert promptlab("open", "1/1").out == f"{address.url}/run/1/1?token=secret\n"
            assert promptlab("open", "last").out == f"{address.url}/run/1?token=secret\n"
            assert promptlab("open", "1/9").code == 2
            for words in (["1/1", "--file"], ["1", "--report"]):
                assert "http" not in promptlab("open", *words).out
            lease.close()
        assert promptlab("open", "1/1").out.endswith("seed1.png\n")


@pytest.mark.exhaustive
@pytest.mark.slow
def test_ui_serves_the_page_and_mlflow_until_ctrl_c(workspace):
    """It says the address, answers who opens it, tells where MLflow's pages are, and leaves nothing running."""
    words = ["ui", "--no-browser", "--port", "0", "--workspace", str(workspace.root)]
    environ = {**os.environ, "PROMPTLAB_ENGINE": "painter", "PROMPTLAB_KEEP_ALIVE": "0"}
    with subprocess.Popen(
        [sys.executable, "-m", "promptlab", *words], env=environ, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            first = process.stdout.readline().split()[-1]
            cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
            browser = urllib.request.build_opener(urllib.request.ProxyHandler({}), cookies)
            assert b"<html" in browser.open(first).read()
            page = first.partition("/?")[0]
            with browser.open(f"{page}/api/events") as events:
                told = next(line for line in events if line.startswith(b'data: {"mlflow_url"'))
            mlflow = json.loads(told.removeprefix(b"data: "))["mlflow_url"]
            assert browser.open(f"{mlflow}/health").status == 200
            assert browser.open(f"{page}/mlflow").url.startswith(f"{mlflow}/#/experiments")
            search = f"{mlflow}/api/2.0/mlflow/experiments/search?max_results=1"
            assert b"experiments" in browser.open(search).read()
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.build_opener(urllib.request.ProxyHandler({})).open(search)
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait() == 0
    with pytest.raises(urllib.error.URLError, match="refused"):
        browser.open(f"{mlflow}/health")
