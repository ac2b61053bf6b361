"""Engines that workers make: painters that differ by who makes them."""

import os
import time
from functools import partial
from pathlib import Path

from promptlab.errors import EngineError
from promptlab.testing import Painter


class Sensitive(Painter):
    """Dies with its process where a prompt says so."""

    def _paint(self, request, **place):
        if "deadly" in request.prompt:
            os._exit(1)
        return super()._paint(request, **place)


class Damaged(Painter):
    def generate(self, requests, **more):
        raise EngineError("this engine is damaged")


def nth(folder, makers):
    """The first worker to ask gets the first maker's engine, and so on; the last is everybody else's."""
    for number, maker in enumerate(makers[:-1]):
        try:
            (Path(folder) / str(number)).touch(exist_ok=False)
        except FileExistsError:
            continue
        return maker()
    return makers[-1]()


def slowly(seconds=0.05, **more):
    return partial(Painter, seconds=seconds, **more)


def waiting_for(path, **more):
    """Paints once a file is there."""
    while not Path(path).exists():
        time.sleep(0.01)
    return Painter(**more)
