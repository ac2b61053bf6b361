"""A server in a process of its own, to which something happens as it paints: ``FOLDER NAME SEED HAPPENS True|False``.

It prints a line once it listens. What happens at the picture of that seed is SIGKILL, SIGTERM, SIGHUP, or nothing; the
last word says whether it records in MLflow.
"""

import os
import signal
import sys
from pathlib import Path

from promptlab.serving.discovery import ServerPlace
from promptlab.serving.lab_server import LabServer
from promptlab.serving.process import end_process, serve_at
from promptlab.testing import Painter
from tests.tracking.without_mlflow import recording

SIGNALS = {"kill": signal.SIGKILL, "end": signal.SIGTERM, "hang up": signal.SIGHUP}


class Accident(Painter):
    """Sends this process a signal at one picture."""

    def __init__(self, seed, happens):
        super().__init__(seconds=0.05)
        self._seed, self._happens = seed, happens

    def _paint(self, request, **where):
        if request.seed == self._seed and self._happens in SIGNALS:
            os.kill(os.getpid(), SIGNALS[self._happens])
        return super()._paint(request, **where)


def main():
    folder, name, seed, happens, in_mlflow = sys.argv[1:]
    engine, place = Accident(int(seed), happens), ServerPlace(folder=Path(folder), name=name)
    with recording(in_mlflow=in_mlflow == "True"):
        serve_at(place, LabServer(lambda: engine), lambda: print("ready", flush=True))
    end_process()


if __name__ == "__main__":
    main()
