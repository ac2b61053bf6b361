"""Idle threads spin where the cores are free, and sleep where others compute or a user has said how they wait."""

import os
import subprocess
import sys
import threading

import pytest

from promptlab.engine.machine import idle_threads
from promptlab.engine.machine.idle_threads import (
    CpuTimes,
    busy_seconds,
    has_quota,
    idle_threads_by_load,
    others_compute,
    teams_needed,
)
from promptlab.engine.machine.openmp import choose_wait_policy

STAT = """cpu  300 30 90 1000 50 6 9 12 40 0
cpu0 100 10 30 500 20 2 3 4 20 0
cpu1 200 20 60 500 30 4 6 8 20 0
intr 1 2 3
"""
WATCHED = """
import os
import threading
from promptlab.engine.machine.idle_threads import idle_threads_by_load
from promptlab.engine.machine.openmp import choose_wait_policy

assert choose_wait_policy() == {}
import torch

CORES = max(2, len(os.sched_getaffinity(0)))

def held():
    return sum(thread.name == "holds a team" for thread in threading.enumerate())

torch.set_num_threads(CORES)
numbers = torch.arange(1 << 20, dtype=torch.float64)
before = numbers.sin().sum()
with idle_threads_by_load("cpu"):
    print(held())
    assert numbers.sin().sum() == before
    assert torch.get_num_threads() == CORES
print(held())
with idle_threads_by_load("cuda:0"):
    print(held())
"""


@pytest.mark.parametrize(("cores", "ticks"), [({0}, 149), ({1}, 298), ({0, 1}, 447), ({5}, 0), (set(), 0)])
def test_busy_seconds_are_of_the_cores_that_may_be_used(cores, ticks):
    """Idle time, and time that waits for a disk, is not busy; what a guest used is counted once."""
    assert busy_seconds(STAT.splitlines(), frozenset(cores)) == ticks / os.sysconf("SC_CLK_TCK")


def times(at, busy, own):
    return CpuTimes(at=at, busy=busy, own=own)


@pytest.mark.parametrize(
    ("busy", "own", "spare", "asleep", "compute"),
    [
        (0.2, 0.2, 0, False, False),  # all of it is our own
        (0.2, 0.22, 0, True, False),  # the system counts in ticks
        (0.2, 0.1, 0, False, True),  # a whole core is somebody else's
        (0.2, 0.17, 0, False, False),  # a third of one: not yet
        (0.2, 0.17, 0, True, True),  # but enough to stay asleep
        (0.2, 0.1, 1, True, False),  # where a core is left over for it
        (0.4, 0.1, 2, False, True),
    ],
)
def test_others_compute_where_they_use_cores_that_are_needed(busy, own, spare, asleep, compute):
    """In a tenth of a second; one that is nearly so does not change what was chosen."""
    before, now = times(5.0, 100.0, 7.0), times(5.1, 100.0 + busy, 7.0 + own)
    assert others_compute(before, now, spare=spare, asleep=asleep) is compute
    assert others_compute(before, before, spare=0, asleep=asleep) is False


@pytest.mark.skipif(not idle_threads._STAT.is_file(), reason="reads /proc/stat")
def test_cpu_times_of_the_system_grow():
    """None of the three goes back."""
    with idle_threads._STAT.open("rb") as stat:
        before = CpuTimes.now(stat.fileno())
        now = CpuTimes.now(stat.fileno())
    assert (now.at >= before.at, now.own >= before.own, now.busy >= before.busy > 0) == (True, True, True)


@pytest.mark.parametrize(
    ("threads", "cores", "teams"), [(1, 2, 0), (2, 2, 1), (4, 2, 1), (2, 3, 2), (32, 64, 2), (2, 64, 63)]
)
def test_teams_needed_make_more_threads_than_cores(threads, cores, teams):
    """No more of them than that; one thread waits for nobody."""
    assert teams_needed(threads, cores) == teams
    if teams:
        assert threads + teams * (threads - 1) > cores >= threads + (teams - 1) * (threads - 1) or teams == 1


@pytest.mark.parametrize("said", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"])
def test_idle_threads_wait_as_the_user_says(monkeypatch, said):
    """Nothing is chosen, now or later."""
    monkeypatch.delenv("OMP_WAIT_POLICY")
    monkeypatch.setenv(said, "7")
    assert choose_wait_policy() == {}
    with idle_threads_by_load("cpu"):
        assert "who computes" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("quota", ["200000 100000\n", "max 100000\n", None])
def test_idle_threads_sleep_where_the_process_has_a_share_of_time(monkeypatch, tmp_path, quota):
    """As in a container: a thread that spins there uses up what the others need."""
    monkeypatch.setattr(idle_threads, "_OLDER_QUOTA", tmp_path / "none")
    monkeypatch.setattr(idle_threads, "_QUOTA", tmp_path / "cpu.max")
    if quota is not None:
        (tmp_path / "cpu.max").write_text(quota)
    assert has_quota() is (quota == "200000 100000\n")
    if has_quota():
        assert choose_wait_policy({}) == {"OMP_WAIT_POLICY": "PASSIVE"}


@pytest.mark.slow
@pytest.mark.skipif(not idle_threads.can_be_told(), reason="this torch, or this machine, cannot be told")
def test_idle_threads_begin_asleep_and_are_let_go_of():
    """A team is held from the beginning of the block at most to its end; results and threads are what they were."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    said = subprocess.run([sys.executable, "-c", WATCHED], env=environ, capture_output=True, text=True)
    assert said.stdout.split() == ["1", "0", "0"], said.stderr
