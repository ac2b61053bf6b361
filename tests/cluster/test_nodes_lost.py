"""Bad days of a cluster of two machines, both on this one: one lost, other versions, Ctrl-C, a driver killed."""

import json
import signal
import time

import pytest

from promptlab.lab import Lab
from promptlab.testing import Painter
from tests.cluster.two_machines import TwoMachines

pytestmark = [pytest.mark.slow, pytest.mark.exhaustive]


@pytest.fixture
def machines():
    with TwoMachines() as cluster:
        yield cluster


def images_there(workspace):
    return len(list(workspace.root.glob("images/*/v*.png")))


def wait_for(condition, process=None, seconds=800):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.02)


def test_a_lost_machine_loses_no_image(machines, workspace):
    """Both make pictures, one is gone, the other makes the rest: one row and one file each."""
    process = machines.drive(workspace, 200)
    wait_for(lambda: images_there(workspace) > 20, process)
    machines.lose_second()
    _out, err = process.communicate()
    assert process.returncode == 0, err
    assert "was lost" in err
    run = Lab(workspace, engine=Painter()).notebook.run(1)
    assert run.complete
    assert images_there(workspace) == 200
    assert len({image.path for image in run.images}) == 200


def test_ctrl_c_finishes_what_is_under_way_and_resume_needs_no_ray(machines, workspace):
    """The run is KILLED with whole rows; one process makes what it owes, and no picture anew."""
    process = machines.drive(workspace, 200)
    wait_for(lambda: images_there(workspace) > 20, process)
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate()
    assert process.returncode == 130, err
    lab = Lab(workspace, engine=Painter())
    before = {image.position: image.made_at for image in lab.notebook.run(1).made}
    assert 0 < len(before) < 200
    assert len(before) == images_there(workspace)
    (whole,) = lab.resume()
    assert whole.complete
    assert {image.position: image.made_at for image in whole.images if image.position in before} == before


def test_a_machine_with_other_versions_is_left_out_by_name(tmp_path, workspace):
    """It is said which versions it has; the other machine makes everything."""
    stranger = tmp_path / "stranger" / "diffusers-0.1.dist-info"
    stranger.mkdir(parents=True)
    (stranger / "METADATA").write_text("Metadata-Version: 2.1\nName: diffusers\nVersion: 0.1\n")
    with TwoMachines(second_path=str(stranger.parent)) as machines:
        process = machines.drive(workspace, 20)
        _, err = process.communicate()
    assert process.returncode == 0, err
    assert "is left out" in err
    assert "diffusers 0.1 (here" in err
    assert images_there(workspace) == 20


def test_a_driver_that_is_killed_leaves_its_workers_behind_nowhere(machines, workspace):
    """``kill -9`` of the command: Ray ends its workers, ``resume`` makes the rest."""
    process = machines.drive(workspace, 200)
    wait_for(lambda: images_there(workspace) > 20, process)
    process.kill()
    process.communicate()
    wait_for(lambda: not machines.workers())
    (whole,) = Lab(workspace, engine=Painter()).resume()
    assert whole.complete
    assert images_there(workspace) == 200


def test_doctor_tells_what_each_machine_has(machines, workspace):
    """Places, and whether it could make pictures."""
    process = machines.promptlab(workspace, "doctor", "--json")
    out, err = process.communicate()
    assert process.returncode == 0, err
    nodes = json.loads(out)["cluster"]
    assert [node["cpus"] for node in nodes] == [1, 1]
    assert [node["problem"] for node in nodes] == [None, None]
