"""Several processes write runs into one workspace at once while its pages are open: nothing is locked, nothing lost."""

import json
import os
import subprocess
import sys
import urllib.request

import pytest

from promptlab.errors import InputError
from promptlab.expand import Axis, build_sweep
from promptlab.lab import Lab
from promptlab.lab.execution.events import ImagesGenerated, RunStarted
from promptlab.lab.maintenance.doctor.sync import SyncResult
from promptlab.records import RunStatus
from promptlab.specs import PipelineSpec, RunSpec, Variant
from promptlab.testing import Painter
from promptlab.tracking import serve
from promptlab.tracking.schema import database_uri
from promptlab.workspace import Workspace

SPEC = RunSpec(
    pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a fox"),), seeds=(0, 1), batch_size=2
)  # fmt: skip

WRITERS = """
import os, sys
from promptlab import cli
from promptlab.lab.recording import _import_all
import promptlab.lab.launch, promptlab.testing

_import_all(own=True)  # once for all of them: MLflow takes seconds
for me in sys.argv[1:]:
    if os.fork() == 0:
        codes = [
            cli._exit_code(["run", f"a fox of {me}", "--seeds", "0-7"]),
            cli._exit_code(["run", "a cat of nobody's", "--seeds", "0-3", "--name", f"of {me}"]),
            cli._exit_code(["run", f"a dog of {me}", "--steps", "5", "--steps", "6", "--seeds", "0-1"]),
            cli._exit_code(["run", "an owl of everybody's", "--seeds", "0-3"]),
            cli._exit_code(["resume"]),
        ]
        print(f"{me}: {codes}", flush=True)
        os._exit(0)
for me in sys.argv[1:]:
    os.wait()
"""


class Reader:
    """Asks for pages, as an open browser does."""

    def __init__(self, url):
        self._url = url

    def look(self):
        page = self._ask("/")
        found = json.loads(self._ask("/api/2.0/mlflow/experiments/search", {"max_results": 100}))
        ids = [one["experiment_id"] for one in found["experiments"]]
        self._ask("/api/2.0/mlflow/runs/search", {"experiment_ids": ids, "max_results": 100})
        return page

    def _ask(self, path, body=None):
        request = urllib.request.Request(
            self._url + path, data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=300) as answer:
            return answer.read()


def write(workspace, names, reader):
    """What the processes said, all of which begin at the same moment; at each line the pages are looked at."""
    environment = {
        **os.environ, "PROMPTLAB_ENGINE": "painter", "PROMPTLAB_WORKSPACE": str(workspace.root), "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    said = []
    with subprocess.Popen(
        [sys.executable, "-c", WRITERS, *names], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=environment,
    ) as writers:  # fmt: skip
        for line in writers.stdout:
            said.append(line)
            assert b"<title>" in reader.look()
    return said


@pytest.mark.mlflow
@pytest.mark.slow
def test_processes_writing_at_once_lose_nothing(tmp_path):
    """From the making of the tables on: all rows, all files and all MLflow runs are there, and agree."""
    from mlflow import MlflowClient

    count = 3  # more than two, so that two may wait for a third; each costs seconds of MLflow's imports
    workspace = Workspace.at(tmp_path / "together")
    names = [f"writer {number}" for number in range(count)]
    with serve(workspace, port=0) as server:
        said = write(workspace, names, Reader(server.url))
    assert "locked" not in "".join(said)
    assert {f"{name}: [0, 0, 0, 0, 0]\n" for name in names} <= set(said), said
    lab = Lab(workspace, engine=Painter())
    runs = [lab.history.find(str(summary.id)).run for summary in lab.history.list()]
    owls = [run for run in runs if run.spec.variants[0].prompt.startswith("an owl")]
    assert 1 <= len(owls) <= count  # whoever comes later is given the run that is there, or begins one of their own
    assert len(runs) == 4 * count + len(owls)
    assert all(run.status is RunStatus.FINISHED and not run.owed and run.tracked_at for run in runs)
    assert sum(len(run.made) for run in runs) == count * (8 + 4 + 2 + 2) + len(owls) * 4
    assert {run.name for run in runs if run.name} == {f"of {name}" for name in names}
    client = MlflowClient(tracking_uri=database_uri(workspace))
    experiment = client.get_experiment_by_name("promptlab")
    shown = client.search_runs([experiment.experiment_id])
    assert len(shown) == len(runs) + count  # the sweeps stand above their runs
    assert {one.info.status for one in shown} == {"FINISHED"}
    assert lab.maintenance.doctor() == ()


@pytest.mark.mlflow
def test_sweep_in_the_making_is_left_to_its_process(lab):
    """Its later runs are written and not begun: resume, a run of the same words and sync pass them by."""
    swept = build_sweep(SPEC, [Axis(field="steps", values=(5, 9))])
    seen = []

    def meanwhile(event):
        if event == ImagesGenerated(count=1) and not seen:
            other = Lab(lab.workspace, engine=Painter())
            seen.append((other.resume(), other.maintenance.sync(), other.maintenance.doctor()))
            seen.append(other.run(SPEC.vary(num_inference_steps=9)).id)
            for refused in (lambda: other.resume("sweep:1"), lambda: other.run_sweep(swept)):
                with pytest.raises(InputError, match="sweep 1 is being made by another process"):
                    refused()

    made = lab.run_sweep(swept, watch=meanwhile)
    assert seen == [((), SyncResult(), ()), 3]
    assert [lab.history.find(str(one.run_id)).run.status for one in made.runs] == [RunStatus.FINISHED] * 2
    assert lab.maintenance.doctor() == ()


def test_run_only_begun_belongs_to_its_process(lab):
    """Between its row and its first picture nobody else takes it up."""
    other, seen = Lab(lab.workspace, engine=Painter()), []
    lab.run(SPEC, watch=lambda event: seen.append(other.resume()) if isinstance(event, RunStarted) else None)
    assert seen == [()]
