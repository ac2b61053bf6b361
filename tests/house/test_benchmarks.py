"""The benchmarks are not forgotten when what they measure is renamed."""

import subprocess
import sys

import pytest

from tests.house.source import ROOT

IMPORT_ALL = """
import importlib, pathlib
for path in sorted(pathlib.Path("benchmarks").glob("*.py")):
    importlib.import_module(f"benchmarks.{path.stem}")
    print(path.stem)
"""


@pytest.mark.slow
def test_benchmarks_are_imported_without_error():
    """Each module is imported, in one process; mypy sees to what they call."""
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) >= 15
