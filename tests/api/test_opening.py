"""A lab is opened as arguments say, else as the environment does: by the variables of the command line."""

import pytest

from promptlab import Lab
from promptlab.cluster import RayEngine
from promptlab.cluster.asked_workers import AskedWorkers
from promptlab.errors import InputError, UnknownValue
from promptlab.lab import Lab as LocalLab
from promptlab.serving.remote_lab import RemoteLab
from promptlab.testing import Painter

VARIABLES = ("PROMPTLAB_WORKSPACE", "PROMPTLAB_DATABASE", "PROMPTLAB_TRACKING_URI", "MLFLOW_TRACKING_URI",
             "PROMPTLAB_ENGINE", "PROMPTLAB_WORKERS", "PROMPTLAB_CLUSTER", "PROMPTLAB_SHIP_MODEL",
             "PROMPTLAB_SERVER")  # fmt: skip


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    """An environment that says nothing."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_lab_without_arguments_is_what_the_environment_says(bare, tmp_path):
    """Workspace, database, MLflow server and engine; nothing is written or connected to."""
    bare.setenv("PROMPTLAB_WORKSPACE", str(tmp_path / "new"))
    bare.setenv("PROMPTLAB_DATABASE", "sqlite:////nowhere/rows.db")
    bare.setenv("MLFLOW_TRACKING_URI", "http://somewhere:5000")
    bare.setenv("PROMPTLAB_ENGINE", "painter")
    lab = Lab()
    assert lab.workspace.root == (tmp_path / "new").resolve()
    assert lab.workspace.database_url == "sqlite:////nowhere/rows.db"
    assert lab.tracking_uri == "http://somewhere:5000"
    assert isinstance(lab.lab.engine, Painter)
    assert not lab.workspace.root.exists()
    assert Lab(tmp_path, tracking_uri="http://else:1").tracking_uri == "http://else:1"
    assert repr(Lab(tmp_path)) == f"<lab of {tmp_path.resolve()}>"
    lab.close()


def test_lab_without_anything_said_is_in_this_process_and_folder(bare, tmp_path):
    """The current folder, its own MLflow, the engine of diffusers."""
    bare.chdir(tmp_path)
    bare.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    lab = Lab()
    assert isinstance(lab.lab, LocalLab)
    assert (lab.workspace.root, lab.tracking_uri) == (tmp_path.resolve(), None)


def test_lab_of_a_server_is_remote(bare, tmp_path):
    """Named, or in the environment; False is this process whatever the environment says."""
    assert isinstance(Lab(tmp_path, server="http://studio:7860").lab, RemoteLab)
    assert isinstance(Lab(tmp_path, server=True).lab, RemoteLab)
    bare.setenv("PROMPTLAB_SERVER", "http://studio:7860")
    assert isinstance(Lab(tmp_path).lab, RemoteLab)
    assert isinstance(Lab(tmp_path, server=False).lab, LocalLab)
    assert isinstance(Lab(tmp_path, engine=Painter()).lab, LocalLab)


def test_lab_with_workers_in_the_environment_has_their_engine(bare, tmp_path):
    """As many as are named, or all; nothing is started yet."""
    for workers in ("2", "auto"):
        bare.setenv("PROMPTLAB_WORKERS", workers)
        assert isinstance(Lab(tmp_path).lab.engine, RayEngine)
    bare.setenv("PROMPTLAB_WORKERS", "none")
    with pytest.raises(InputError, match="PROMPTLAB_WORKERS 'none' is no number of workers"):
        Lab(tmp_path)


@pytest.mark.parametrize(("said", "ships"), [("0", False), ("", False), ("no", False), ("1", True), ("true", True)])
def test_workers_in_the_environment_ship_the_model_only_where_that_is_said(said, ships, bare):
    """As the command line reads the variable: 0 is no yes."""
    bare.setenv("PROMPTLAB_CLUSTER", "head:6379")
    bare.setenv("PROMPTLAB_SHIP_MODEL", said)
    assert AskedWorkers.by_environment() == AskedWorkers(cluster="head:6379", ship_model=ships)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"server": "http://studio:7860", "engine": Painter()}, "engine is said beside a server"),
        ({"server": "ftp://studio"}, "studio"),
        ({"tracking_uri": "somewhere"}, "somewhere"),
    ],
)
def test_lab_that_cannot_be_opened_is_refused(given, words, tmp_path):
    """Before anything is done."""
    with pytest.raises(InputError, match=words):
        Lab(tmp_path, **given)


def test_lab_of_an_unknown_engine_is_refused(bare, tmp_path):
    """With the names of those that there are."""
    bare.setenv("PROMPTLAB_ENGINE", "oils")
    with pytest.raises(UnknownValue, match="allowed: diffusers, painter"):
        Lab(tmp_path)
