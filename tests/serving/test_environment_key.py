"""One server for one environment: what decides bytes, passwords or rights is another server's, where it differs."""

import os

import pytest

from promptlab.engine.machine.torch_setup import prepare
from promptlab.serving import environment_key as module
from promptlab.serving.environment_key import code_stamp, environment_key

HERE = {"HOME": "/home/me", "LANG": "C", "TERM": "xterm", "OMP_WAIT_POLICY": "PASSIVE"}


@pytest.mark.parametrize(
    "name", ["HF_HOME", "HF_TOKEN", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "MKL_NUM_THREADS",
             "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "PYTORCH_CUDA_ALLOC_CONF", "PYTHONPATH", "PROMPTLAB_ENGINE",
             "MLFLOW_TRACKING_PASSWORD", "AWS_ACCESS_KEY_ID", "HTTPS_PROXY", "PGPASSWORD"],
)  # fmt: skip
def test_key_of_another_setting_is_another(name):
    """Another cache, token, device, number of threads, password or network; the value does not stand in the key."""
    key = environment_key({**HERE, name: "7"})
    assert key != environment_key(HERE)
    assert key != environment_key({**HERE, name: "8"})
    assert len(key) == 16


@pytest.mark.parametrize(
    "name", ["TERM", "PWD", "SHLVL", "PROMPTLAB_WORKSPACE", "PROMPTLAB_DATABASE", "COLUMNS", "MLFLOW_LOGGING_LEVEL",
             "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD", "MLFLOW_SQLALCHEMYSTORE_POOLCLASS"],
)  # fmt: skip
def test_key_of_what_a_request_says_itself_is_the_same(name):
    """Two terminals have one server, also where MLflow is set up; what a request says travels with it."""
    assert environment_key({**HERE, name: "7"}) == environment_key(HERE)


def test_key_is_the_same_once_the_engine_has_prepared_its_libraries(monkeypatch):
    """A command that has looked a model up in the Hub's cache finds the server that the one before it started."""
    monkeypatch.setattr(os, "environ", {"HOME": "/home/me"})
    before = environment_key()
    prepare()
    assert "CUBLAS_WORKSPACE_CONFIG" in os.environ
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # which depends on the machine
    assert environment_key() == before


def test_key_of_another_version_is_another(monkeypatch):
    """Two versions have a server each, side by side."""
    before = environment_key(HERE)
    monkeypatch.setattr(module, "__version__", "0.0.1")
    assert environment_key(HERE) != before


def test_key_of_another_interpreter_or_mask_is_another(monkeypatch):
    """So do two Pythons, and two masks of the rights of new files."""
    before = environment_key(HERE)
    mask = os.umask(0o027)
    try:
        assert environment_key(HERE) != before
    finally:
        os.umask(mask)
    assert environment_key(HERE) == before
    monkeypatch.setattr("sys.executable", "/usr/bin/python4")
    assert environment_key(HERE) != before


def test_key_of_other_cores_is_another(monkeypatch):
    """Torch has as many threads as it may use cores, and another number is another environment."""
    before = environment_key(HERE)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {0, 77}, raising=False)
    assert environment_key(HERE) != before


def test_code_stamp_of_edited_code_is_another(monkeypatch, tmp_path):
    """A module that is edited or replaced, in any folder of the package, is noticed."""
    (tmp_path / "promptlab" / "serving").mkdir(parents=True)
    (tmp_path / "promptlab" / "cli").mkdir()
    code = tmp_path / "promptlab" / "cli" / "run.py"
    code.write_text("")
    monkeypatch.setattr(module, "__file__", str(tmp_path / "promptlab" / "serving" / "environment_key.py"))
    before = code_stamp()
    assert code_stamp() == before
    os.utime(code, (1, 2_000_000_000))
    assert code_stamp() != before
