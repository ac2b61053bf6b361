"""A Ray cluster of two machines that are both this one: what ``ray start`` starts, each a raylet of its own."""

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from unittest.mock import patch

import psutil

REPOSITORY = Path(__file__).parents[2]
TRIES = 4


def is_worker(process):
    """Whether a process that may be ending at this moment is an actor of PromptLab."""
    with suppress(psutil.Error, IndexError):
        return process.cmdline()[0].startswith("ray::Worker")
    return False


class TwoMachines:
    """Starts them; both have one core.

    Args:
        second_path: a folder that the second machine imports from first.
    """

    def __init__(self, *, second_path=""):
        self._second_path = second_path

    def __enter__(self):
        with ExitStack() as opened:
            folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="pl-"))  # paths of sockets must be short
            (Path(folder) / "ray").mkdir()
            variables = {
                "PYTHONPATH": str(REPOSITORY), "RAY_TMPDIR": folder, "RAY_USAGE_STATS_ENABLED": "0",
                "RAY_worker_niceness": "0",
            }  # fmt: skip
            opened.enter_context(patch.dict(os.environ, variables))
            self._start()
            opened.callback(self._cluster.shutdown)
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *_):
        self._opened.close()

    def _start(self):
        """Start both; Ray gives itself half a minute for one, too little for a machine that is very busy."""
        from ray.cluster_utils import Cluster

        common = {"num_cpus": 1, "include_dashboard": False, "node_ip_address": "127.0.0.1"}
        second = os.pathsep.join(filter(None, [self._second_path, str(REPOSITORY)]))
        for left in reversed(range(TRIES)):
            self._cluster = Cluster()
            try:
                self._cluster.add_node(**common)
                self._second = self._cluster.add_node(**common, env_vars={"PYTHONPATH": second})
            except Exception:
                if self._cluster.head_node is not None:
                    self._cluster.shutdown()
                if not left:
                    raise
            else:
                return

    @property
    def address(self):
        return self._cluster.address

    def lose_second(self):
        self._cluster.remove_node(self._second, allow_graceful=False)

    def workers(self):
        """The actors of PromptLab that run."""
        return [
            process
            for node in self._cluster.list_all_nodes()
            for raylet in node.all_processes["raylet"]
            for process in psutil.Process(raylet.process.pid).children()
            if is_worker(process)
        ]

    def drive(self, workspace, images):
        """Begin :mod:`tests.cluster.driver`, in a group of its own."""
        return self._begin("tests.cluster.driver", str(workspace.root), self.address, str(images))

    def promptlab(self, workspace, *words):
        """Begin a command, with painters."""
        return self._begin("promptlab", *words, PROMPTLAB_WORKSPACE=str(workspace.root))

    def _begin(self, module, *words, **variables):
        environ = {
            **os.environ, "PYTHONPATH": str(REPOSITORY), "PROMPTLAB_ENGINE": "painter", "PROMPTLAB_KEEP_ALIVE": "0",
            "PROMPTLAB_CLUSTER": self.address, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # it is on 127.0.0.1
            **variables,
        }  # fmt: skip
        return subprocess.Popen(
            [sys.executable, "-m", module, *words], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, start_new_session=True,
        )  # fmt: skip
