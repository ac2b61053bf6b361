"""Runs servers for tests: on a thread of this process, or in one of its own, where signals arrive."""

import shutil
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

from promptlab.serving.connection import Endpoint
from promptlab.serving.discovery import ServerPlace
from promptlab.serving.lab_server import LabServer
from promptlab.serving.process import serve_at, serve_on


@contextmanager
def short_folder():
    """A folder whose name leaves room for a socket's."""
    folder = Path(tempfile.mkdtemp(prefix="pl-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def running_server(engine, *, server=None, place=None, port=None, open_page=None):
    """Give what finds a server that makes images by ``engine``; it has ended afterwards.

    It listens in a folder of its own, at ``place``, or at a port of 127.0.0.1.
    """
    with short_folder() as folder:
        place, ready = place or ServerPlace(folder=folder, name="s"), threading.Event()
        server = server or LabServer(lambda: engine, keep_alive=5)
        serve, where = (serve_at, (place,)) if port is None else (serve_on, ("127.0.0.1", port))
        pages = {} if open_page is None else {"open_page": open_page}
        thread = threading.Thread(target=serve, args=(*where, server, ready.set), kwargs=pages)
        thread.start()
        ready.wait()
        try:
            yield lambda _replacing=False: Endpoint(socket=place.socket)
        finally:
            server.stop()
            thread.join()


@contextmanager
def server_process(place, *, seed=-1, happens="nothing", in_mlflow=False):
    """Give the process of a server that paints at ``place``; it has ended afterwards."""
    place.folder.mkdir(mode=0o700, exist_ok=True)
    words = ["-m", "tests.serving.painting_server", str(place.folder), place.name, str(seed), happens, str(in_mlflow)]
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.terminate()
            process.communicate()
