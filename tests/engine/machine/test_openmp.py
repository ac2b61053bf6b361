"""How threads wait: asleep where others want the cores, or nobody can see; as the environment says otherwise."""

import os
import subprocess
import sys

import pytest

from promptlab.engine.machine import idle_threads, openmp
from promptlab.engine.machine.openmp import choose_wait_policy, is_shared


@pytest.fixture
def four_cores(monkeypatch):
    """A machine whose kernel counts, look by look, who runs."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3})


@pytest.mark.parametrize(
    ("counts", "threads", "shared"),
    [
        ([1, 1, 1, 1, 1], "", False),
        ([2, 2, 3, 2, 2], "", True),
        ([2, 5, 1, 4, 2], "", False),  # one look without them: they come and go
        ([3, 3, 3, 3, 3], "2", False),  # two others on the two cores that are left
        ([4, 4, 4, 4, 4], "2,1", True),
        ([2, 2, 2, 2, 2], "16", True),
        ([None], "", None),
    ],
)
def test_cores_that_others_want_at_every_look_are_shared(four_cores, counts, threads, shared):
    """One process more than there are cores to spare, each time."""
    looks = iter(counts)
    assert is_shared({"OMP_NUM_THREADS": threads}, lambda: next(looks)) is shared


def test_wait_policy_that_somebody_chose_stays(monkeypatch, tmp_path):
    """Spinning or sleeping, by any of the names; where nothing is said and nothing seen, threads sleep."""
    monkeypatch.setattr(idle_threads, "BY_LOAD", False)
    for name, value in (("OMP_WAIT_POLICY", "ACTIVE"), ("GOMP_SPINCOUNT", "1000"), ("KMP_BLOCKTIME", "0")):
        assert choose_wait_policy({name: value}) == {}
    monkeypatch.setattr(openmp, "_LOAD", tmp_path / "none")
    assert choose_wait_policy({}) == {"OMP_WAIT_POLICY": "PASSIVE"}
    monkeypatch.setattr(openmp, "_LOAD", tmp_path / "alone")
    (tmp_path / "alone").write_text("0.00 0.01 0.05 1/123 4567\n")
    assert choose_wait_policy({}) == {}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_cores_beside_busy_processes_are_shared():
    """By the kernel's own count: as many processes at work as there are cores."""
    busy = [
        subprocess.Popen([sys.executable, "-c", "print(flush=True)\nwhile True: pass"], stdout=subprocess.PIPE)
        for _ in os.sched_getaffinity(0)
    ]
    try:
        for each in busy:
            assert each.stdout.readline()
        assert is_shared({})
    finally:
        for each in busy:
            each.kill()
            each.communicate()
