"""Records in MLflow by a process of its own, which imports MLflow while this one imports torch.

Both take seconds of one core. In one process they would wait for each other, and what is left of MLflow's import would
take a core from the first picture. The other process (:mod:`promptlab.lab.recording`) reads what it records from the
database, so that nothing but numbers of runs crosses: a line of JSON each way.

Invariant: nothing is written before :meth:`Recorder.prepare`, and what was recorded is in MLflow when the call returns.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from promptlab.errors import from_dict
from promptlab.workspace import Workspace

__all__ = ["Recorder", "RecorderLost"]

_BOOT: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.stdin.readline()); from promptlab.lab.recording import main; main()"
)
"""Finds modules where this process finds them, and none in the current folder."""
_END_SECONDS: Final = 30.0
"""Bounds the seconds that the process may take to close MLflow's file before it is ended."""


class RecorderLost(Exception):
    """Says that there is no other process, or none any more: whoever asked records in this one."""


class Recorder:
    """Starts the process, asks it, and ends it.

    Args:
        workspace: whose runs are recorded.
        tracking_uri: of an MLflow server elsewhere, without credentials: these are in the environment.
    """

    def __init__(self, workspace: Workspace, tracking_uri: str | None = None) -> None:
        self._workspace, self._tracking_uri = workspace, tracking_uri
        self._process: subprocess.Popen[str] | None = None
        self._asked = False
        self._turn = threading.Lock()

    def start(self) -> None:
        """Start the process, unless it is there; where none can be, whoever asks is told."""
        if self._process is not None:
            return
        with suppress(OSError, ValueError):
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter
                [sys.executable, "-P", "-c", _BOOT], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                encoding="utf-8", start_new_session=True,  # a Ctrl-C is meant for the pictures
            )  # fmt: skip
            self._say(sys.path)
            self._say(
                {
                    "workspace": str(self._workspace.root),
                    "database_url": self._workspace.database_url,  # may hold a password: on no command line
                    "tracking_uri": self._tracking_uri,
                }
            )

    def prepare(self) -> None:
        """Get MLflow ready, as :meth:`promptlab.tracking.Tracker.prepare` does.

        Raises:
            RecorderLost: when there is no process.
            TrackerError: when it cannot be.
        """
        self._ask({"verb": "prepare"})

    def record_run(self, run_id: int) -> None:
        """Record a run, as it stands in the database.

        Raises:
            RecorderLost: when there is no process.
            TrackerError: when MLflow could not record it.
        """
        self._ask({"verb": "run", "id": run_id})

    def record_sweep(self, sweep_id: int) -> None:
        """Record a sweep, as it stands in the database.

        Raises:
            RecorderLost: when there is no process.
            TrackerError: when MLflow could not record it.
        """
        self._ask({"verb": "sweep", "id": sweep_id})

    def close(self) -> None:
        """End the process: once it has closed MLflow's file, or at once where it was asked for nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        if not self._asked:
            process.kill()
        try:
            process.communicate(timeout=_END_SECONDS)  # closes its input, at whose end it ends
        except (subprocess.TimeoutExpired, OSError, ValueError):
            process.kill()
            process.wait()

    def _ask(self, request: Mapping[str, Any]) -> None:
        with self._turn:
            process = self._process
            if process is None or process.stdout is None:
                raise RecorderLost
            self._asked = True
            try:
                self._say(request)
                answer = json.loads(process.stdout.readline())
            except (OSError, ValueError) as error:  # it was killed
                self.close()
                raise RecorderLost from error
        if answer:
            raise from_dict(answer)

    def _say(self, words: object) -> None:
        if self._process is None or self._process.stdin is None:
            raise RecorderLost
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
