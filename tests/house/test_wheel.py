"""The wheel holds all it needs: built, installed outside the checkout, and used in an empty folder."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PIP = (sys.executable, "-m", "pip", "install", "--disable-pip-version-check")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built once, from this checkout, with the build tools of the lock."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=True, capture_output=True,
    )  # fmt: skip
    (built,) = folder.glob("promptlab-*.whl")
    return built


def test_wheel_holds_migrations_models_and_licence(wheel):
    """What the code looks for beside itself is in the package, and tests are not."""
    names = set(zipfile.ZipFile(wheel).namelist())
    for name in (
        "promptlab/migrations/env.py",
        "promptlab/migrations/script.py.mako",
        "promptlab/models/mini/model_index.json",
        "promptlab/models/mini/unet/diffusion_pytorch_model.safetensors",
        "promptlab/images/report/report.html.jinja",
        "promptlab/images/report/report.css",
        "promptlab/images/report/report.js",
        "promptlab/py.typed",
    ):
        assert name in names
    assert any(name.startswith("promptlab/migrations/versions/0001") for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith(("tests/", "migrations/", "training/")) for name in names)


def test_wheel_requirements_are_satisfied_by_the_lock(wheel):
    """pip finds every requirement of the wheel among the locked packages that are installed: no version, no index."""
    said = subprocess.run([*PIP, "--dry-run", "--no-index", str(wheel)], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr


def test_wheel_installed_elsewhere_makes_a_run(wheel, tmp_path):
    """The installed wheel, not the checkout, makes a run with the bundled model and remembers it."""
    site, folder = tmp_path / "site", tmp_path / "empty"
    folder.mkdir()
    subprocess.run(
        [*PIP, "--quiet", "--no-index", "--no-deps", "--target", str(site), str(wheel)],
        check=True, capture_output=True,
    )  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(site)}
    environment.pop("PROMPTLAB_WORKSPACE", None)

    def typed(*words):
        return subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True)

    where = typed(
        "-c", "import promptlab, promptlab.store.migrate as m; print(promptlab.__file__, m.migrations_folder())"
    )
    assert where.stdout.split() == [str(site / "promptlab/__init__.py"), str(site / "promptlab/migrations")]
    made = typed("-m", "promptlab", "run", "a wizard", "--steps", "2", "--seeds", "0-1")
    assert made.returncode == 0, made.stderr
    assert (folder / "images/00001/grid.png").is_file()
    assert "FINISHED" in typed("-m", "promptlab", "list").stdout
