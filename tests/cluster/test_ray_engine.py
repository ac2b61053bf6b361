"""Many workers on one machine: what one would make, whoever dies; who can do less, does less."""

import os
import random
import signal
from collections import Counter
from functools import partial

import psutil
import pytest

from promptlab.cluster import RayEngine
from promptlab.engine import (
    DevicesDiffer,
    ForwardOutOfMemory,
    ImageDone,
    ImageFailed,
    ImageStarted,
    WorkerLost,
    WorkerRefused,
    WorkersAtWork,
    create_engine,
)
from promptlab.errors import EngineError, InputError
from promptlab.images.png import pixel_sha256
from promptlab.lab import Lab
from promptlab.plan import requests_of
from promptlab.records import RunStatus
from promptlab.specs import CallSpec, PipelineSpec, RunSpec, Variant
from promptlab.testing import Painter
from tests.cluster import makers
from tests.engine.drawing import draw, resolve

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("local_ray")]

SPEC = RunSpec(
    pipeline=PipelineSpec(model="mini"),
    call=CallSpec(num_inference_steps=2, height=32, width=32),
    variants=(Variant(prompt="a wizard"), Variant(prompt="a pirate")),
    seeds=tuple(range(16)),
    batch_size=4,
)


@pytest.fixture
def workers(request):
    """``workers(make_engine, n)``: an engine of n workers, closed afterwards."""
    engines = []

    def engine(make_engine=Painter, count=2):
        engines.append(RayEngine(workers=count, make_engine=make_engine))
        return engines[-1]

    yield engine
    for each in engines:
        each.close()


def events_of(engine, requests, watch=lambda event: None):
    events = []
    for event in engine.generate(requests):
        events.append(event)
        watch(event)
    return events


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


def made(events):
    return Counter(event.request_id for event in of(ImageDone, events))


def test_everything_that_is_started_here_listens_on_this_machine_alone(workers):
    """Nobody else reaches it, and there is no dashboard."""
    engine = workers()
    resolve(engine, SPEC)
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    places = {
        listening.laddr.ip
        for process in processes
        for listening in process.net_connections()
        if listening.status == psutil.CONN_LISTEN
    }
    assert places
    assert places <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def test_a_killed_worker_loses_no_image_and_makes_none_twice(workers, capfd):
    """``kill -9`` in the middle: what had come counts, the rest is made by the other or by itself once it is back.

    Nothing is written to standard output, which belongs to the command.
    """
    engine = workers(makers.slowly())
    requests = requests_of(resolve(engine, SPEC))
    killed = []

    def kill(event):
        if isinstance(event, ImageDone) and not killed:
            killed.append(next(iter(engine._opened.ready.values())).pid)
            os.kill(killed[0], signal.SIGKILL)

    events = events_of(engine, requests, kill)
    assert made(events) == Counter(request.id for request in requests)
    (lost,) = of(WorkerLost, events)
    assert lost.images > 0
    assert len(of(ImageStarted, events)) == len(requests)
    again = events_of(engine, requests)
    assert made(again) == Counter(request.id for request in requests)
    assert capfd.readouterr().out == ""


@pytest.mark.exhaustive
def test_an_image_by_which_workers_die_is_given_up_and_no_other(workers):
    """After three lost workers it fails with that reason; those that shared its batch are made."""
    engine = workers(makers.Sensitive)
    spec = SPEC.vary(variants=(Variant(prompt="a wizard"), Variant(prompt="a deadly pirate")), seeds=(1, 2))
    requests = requests_of(resolve(engine, spec))
    events = events_of(engine, requests)
    assert set(made(events)) == {"0", "1"}
    assert {event.request_id for event in of(ImageFailed, events)} == {"2", "3"}
    assert all("lost" in event.reason for event in of(ImageFailed, events))


def test_an_image_too_large_for_one_worker_is_made_by_the_other(workers, tmp_path):
    """Out of memory on one, which is said; nothing is made smaller while another has the memory."""
    small = partial(Painter, most_rows=2)
    engine = workers(partial(makers.nth, tmp_path, [small, Painter]))
    requests = requests_of(resolve(engine, SPEC))
    events = events_of(engine, requests)
    assert made(events) == Counter(request.id for request in requests)
    assert [event.reason for event in of(WorkerRefused, events)] == ["has no memory for 4 images in one forward"]


def test_an_image_too_large_for_all_workers_is_out_of_memory_once(workers):
    """As with one engine: all that is left of the kind, and its rows."""
    engine = workers(partial(Painter, most_rows=2))
    requests = requests_of(resolve(engine, SPEC))
    events = events_of(engine, requests)
    (told,) = of(ForwardOutOfMemory, events)
    assert (set(told.request_ids), told.rows) == ({request.id for request in requests}, 4)


def test_two_kinds_of_workers_are_said_once(workers, tmp_path):
    """Their images say each what they were made in."""
    one, other = (partial(Painter, seconds=0.02, facts={"device_name": name}) for name in ("Ada", "Grace"))
    engine = workers(partial(makers.nth, tmp_path, [one, other]))
    events = events_of(engine, requests_of(resolve(engine, SPEC)))
    (told,) = of(DevicesDiffer, events)
    assert set(told.devices) == {"Ada", "Grace"}
    assert {event.environment.facts["device_name"] for event in of(ImageDone, events)} == {"Ada", "Grace"}


def test_what_workers_are_at_is_told(workers):
    """Each with its machine, and how quick they are together."""
    engine = workers(makers.slowly(0.2))
    told = of(WorkersAtWork, events_of(engine, requests_of(resolve(engine, SPEC))))
    assert {one.worker for one in told[-1].workers} == {"1", "2"}
    assert told[-1].images_per_second > 0


def test_an_engine_that_is_damaged_ends_the_generation(workers):
    """With its own sentence, where there is no other."""
    engine = workers(makers.Damaged, 1)
    requests = requests_of(resolve(engine, SPEC))
    with pytest.raises(EngineError, match="this engine is damaged"):
        events_of(engine, requests)


def test_a_damaged_worker_among_two_is_taken_out(workers, tmp_path):
    """It is said, its process is started anew, and the other makes what it had."""
    engine = workers(partial(makers.nth, tmp_path, [makers.Damaged, makers.slowly()]))
    requests = requests_of(resolve(engine, SPEC))
    events = events_of(engine, requests)
    assert made(events) == Counter(request.id for request in requests)
    assert [event.reason.partition(" (on")[0] for event in of(WorkerRefused, events)] == ["this engine is damaged"]
    again = events_of(engine, requests)
    assert made(again) == Counter(request.id for request in requests)
    assert of(WorkerRefused, again) == []


def test_a_generation_that_is_left_lets_the_next_one_begin(workers):
    """Ctrl-C pressed twice in a process that stays: workers are free again after their batch."""
    engine = workers(makers.slowly(0.01))
    requests = requests_of(resolve(engine, SPEC))
    generation = iter(engine.generate(requests))
    next(event for event in generation if isinstance(event, ImageDone))
    generation.close()
    assert made(events_of(engine, requests)) == Counter(request.id for request in requests)


def test_more_workers_than_answer_are_no_error_while_one_does(local_ray, workers):
    """Where places are taken, those that have one make it all."""
    engine = workers(Painter, local_ray.cpus + 1)
    requests = requests_of(resolve(engine, SPEC))
    assert made(events_of(engine, requests)) == Counter(request.id for request in requests)


def test_ray_client_is_refused_with_what_to_type():
    """It cannot stream."""
    with pytest.raises(InputError, match="streams no pictures"):
        RayEngine(cluster="ray://127.0.0.1:10001").resolve([SPEC])


def test_a_cluster_that_is_not_there_is_refused_at_once(unused_port):
    """Ray itself would try for a minute."""
    from promptlab.cluster.connection import _joined

    with pytest.raises(InputError, match=r"cannot be reached.*ray status"):
        _joined(None, f"127.0.0.1:{unused_port}")


def test_lab_of_many_workers_records_what_one_engine_makes(workspace, workers, tmp_path):
    """The same pictures in the same places, of batches that are whole; a resume without Ray finds nothing owed."""
    record = Lab(workspace, engine=workers()).run(SPEC)
    alone = Lab(tmp_path / "alone", engine=Painter()).run(SPEC)
    assert record.status is RunStatus.FINISHED
    assert [image.pixel_sha256 for image in record.images] == [image.pixel_sha256 for image in alone.images]
    assert Counter(image.batch for image in record.images) == Counter(dict.fromkeys(range(8), 4))
    assert record.workers in (1, 2)  # the second may have come too late
    assert record.devices == ("cpu",)
    assert (alone.workers, alone.devices) == (None, ())
    assert Lab(workspace, engine=Painter()).resume() == ()


@pytest.mark.exhaustive
def test_lab_of_lost_workers_is_resumed_without_ray(workspace, workers, tmp_path):
    """All lost for good: the run says so, what was made stays, and one process makes the rest."""
    engine = workers(partial(makers.nth, tmp_path, [makers.slowly(), makers.slowly(), makers.Damaged]))
    lab = Lab(workspace, engine=engine)
    killed = []

    def watch(event):
        if type(event).__name__ == "ImagesGenerated" and not killed:
            killed.extend(facts.pid for facts in engine._opened.ready.values())
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    with pytest.raises(EngineError, match="damaged"):
        lab.run(SPEC, watch=watch)
    (run,) = (lab.notebook.run(summary.id) for summary in lab.history.list())
    assert run.status is RunStatus.FAILED
    assert 0 < len(run.made) < len(run.images)
    there = {image.position: image.pixel_sha256 for image in run.made}
    (whole,) = Lab(workspace, engine=Painter()).resume()
    assert whole.complete
    assert {image.position: image.pixel_sha256 for image in whole.images if image.position in there} == there


def test_workers_make_the_bytes_of_one_engine(workers):
    """The bundled model on cores: one worker or two, in order or not, the same bytes in the same environment."""
    spec = SPEC.vary(height=64, width=64, seeds=(0, 1, 2, 3), batch_size=2)
    engine = workers(create_engine)
    requests = list(requests_of(resolve(engine, spec)))
    hashes = [
        {drawn.request.recipe_key: (pixel_sha256(drawn.pixels), drawn.environment.hash) for drawn in draw(engine, each)}
        for each in (requests, requests[:1], random.Random(3).sample(requests, len(requests)))
    ]
    assert hashes[1].items() <= hashes[0].items()
    assert hashes[2] == hashes[0]
    assert len({key for _, key in hashes[0].values()}) == 1
