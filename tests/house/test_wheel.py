"""The wheel holds all it needs: built, installed outside the checkout, and used in an empty folder."""

import os
import subprocess
import sys
import zipfile
from email import message_from_bytes
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]

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
    """Every requirement of the wheel is among the locked packages that are installed, in a version that will do."""
    with zipfile.ZipFile(wheel) as packed:
        (metadata,) = (name for name in packed.namelist() if name.endswith(".dist-info/METADATA"))
        wanted = [Requirement(line) for line in message_from_bytes(packed.read(metadata)).get_all("Requires-Dist")]
    always = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    assert len(always) > 20
    assert [str(one) for one in always if not one.specifier.contains(version(one.name), prereleases=True)] == []


@pytest.mark.parametrize("engine", ["painter", pytest.param("diffusers", marks=pytest.mark.exhaustive)])
@pytest.mark.exhaustive
def test_wheel_installed_elsewhere_makes_a_run(wheel, tmp_path, engine):
    """The installed wheel, not the checkout, has all it needs in it, makes a run and remembers it.

    CI does the same with the bundled model at every change, in an environment that has nothing else.
    """
    site, folder = tmp_path / "site", tmp_path / "empty"
    folder.mkdir()
    with zipfile.ZipFile(wheel) as packed:  # all that pip does with a wheel of Python files alone
        packed.extractall(site)
    environment = {**os.environ, "PYTHONPATH": str(site), "PROMPTLAB_ENGINE": engine}
    environment.pop("PROMPTLAB_WORKSPACE", None)

    def typed(*words):
        return subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True)

    where = typed(
        "-c",
        "import promptlab.models as a, promptlab.store.migrate as b; print(a.bundled('mini'), b.migrations_folder())",
    )
    assert where.stdout.split() == [str(site / "promptlab/models/mini"), str(site / "promptlab/migrations")]
    made = typed("-m", "promptlab", "run", "a wizard", "--steps", "2", "--seeds", "0-1")
    assert made.returncode == 0, made.stderr
    assert (folder / "images/00001/grid.png").is_file()
    assert "FINISHED" in typed("-m", "promptlab", "list").stdout
