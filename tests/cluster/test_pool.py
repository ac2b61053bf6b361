"""What the pool of workers tells of those that are lost, and what a generation makes of it; Ray is not started."""

from types import SimpleNamespace

import pytest

from promptlab.cluster.connection import RayConnection, _home, _imported_ray, _started
from promptlab.cluster.messages import ShareEnded, ShareEvents, ShareFailed, WorkerGone, WorkerReady
from promptlab.cluster.pool import WorkerPool, _Member, _why
from promptlab.cluster.ray_generation import RayGeneration
from promptlab.cluster.worker import WorkerFacts
from promptlab.engine import NO_PERMISSIONS, ImageDone, WorkerLost, WorkerRefused
from promptlab.errors import EngineError, InputError
from promptlab.plan import requests_of
from promptlab.specs import PipelineSpec, RunSpec, Variant
from promptlab.testing import Painter
from tests.engine.drawing import resolve


@pytest.fixture(scope="module", autouse=True)
def ray():
    """Ray as the engine imports it: whoever imports it before that decides how all of this process's Rays listen."""
    return _imported_ray(local=True)


pytestmark = pytest.mark.slow

SPEC = RunSpec(
    pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a wizard"),), seeds=tuple(range(6)), batch_size=4
)


def lost(*_):
    from ray.exceptions import RayError

    raise RayError("its process has exited")


def unreadable():
    yield from ()
    raise ValueError("this is no event")


def dying():
    yield from ()
    lost()


class Actor:
    """Stands for an actor that is gone, whatever it is asked."""

    def __getattr__(self, name):
        return SimpleNamespace(remote=lost, options=lambda **_: SimpleNamespace(remote=lost))


@pytest.fixture
def pool(monkeypatch):
    """One worker, ready; whether it would be greeted anew is in ``pool.greeted``."""
    made = WorkerPool(Painter, workers=1, cluster=None)
    facts = WorkerFacts(host="far", node="n", pid=1, versions={})
    made._members["1"] = _Member(Actor(), facts=facts, host="far")
    made.greeted = []
    monkeypatch.setattr(made, "_greet", made.greeted.append)
    return made


def test_pool_tells_the_share_of_a_lost_worker_that_an_older_share_noticed_first(pool):
    """That of a generation that was left: whoever waits for the new one would wait for ever."""
    pool._dropped = 0
    pool._follow("1", 0, dying())
    pool._follow("1", 1, dying())
    told = pool.receive(1)
    assert isinstance(told, WorkerGone)
    assert told.reason == "its process has exited on far"
    assert pool.receive(0.01) is None
    assert pool.greeted == ["1"]


def test_pool_that_loses_a_worker_that_was_asked_tells_who_asked_alone(pool):
    """A generation that begins later finds the worker as it is then."""
    with pytest.raises(EngineError, match="worker 1 was lost: its process has exited on far"):
        pool.ask("1", "resolve")
    assert pool.receive(0.01) is None
    assert not pool.ready
    assert pool.greeted == ["1"]


def test_pool_ends_a_share_of_which_something_cannot_be_read(pool):
    """By an error, which ends the generation: nothing else would."""
    pool._follow("1", 0, unreadable())
    told = pool.receive(1)
    assert isinstance(told, ShareFailed)
    assert "what worker 1 sent cannot be read: ValueError: this is no event" in str(told.error)


def test_generation_deals_anew_to_a_worker_that_is_back_before_its_loss_is_heard(pool, monkeypatch):
    """It is told that the worker is ready while it thinks it busy, and then that it was lost."""
    given = []

    def give(worker, requests, permissions):
        given.append(requests)
        if len(given) == 1:
            pool._tell(WorkerReady(worker=worker))
            pool._tell(WorkerGone(worker=worker, reason="it exited"))
            return
        pool._tell(ShareEvents(worker=worker, events=list(Painter().generate(requests, permissions=permissions))))
        pool._tell(ShareEnded(worker=worker))

    monkeypatch.setattr(pool, "give", give)
    requests = requests_of(resolve(Painter(), SPEC))
    events = list(RayGeneration(pool, requests, NO_PERMISSIONS))
    made = [event.request_id for event in events if isinstance(event, ImageDone)]
    assert sorted(made) == sorted(request.id for request in requests)
    assert [event.images for event in events if isinstance(event, WorkerLost)] == [4]


def test_pool_of_more_workers_than_gpus_says_so_each_time(monkeypatch):
    """A server that stays is asked again; the Ray that was started is not left behind."""
    closed = []

    def connect(cluster, *, workers):
        return RayConnection(gpus=2, cpus=4, is_own=True, close=lambda: closed.append(workers))

    monkeypatch.setattr("promptlab.cluster.pool.connect", connect)
    pool = WorkerPool(Painter, workers=3, cluster=None)
    for _ in range(2):
        with pytest.raises(InputError, match="more than there are GPUs: 2"):
            pool.open()
    assert closed == [3, 3]


def test_pool_waits_for_workers_without_a_place_once(pool, monkeypatch):
    """Others have the places: not every question to the engine waits for them anew."""
    waited = []
    pool._members["2"] = _Member(Actor())
    pool._connection = RayConnection(gpus=0, cpus=2, is_own=True, close=lambda: None)
    monkeypatch.setattr("promptlab.cluster.pool._STRAGGLERS", 0.05)
    monkeypatch.setattr(pool, "_news", SimpleNamespace(wait=waited.append, clear=lambda: None))
    pool.open()
    assert waited
    waited.clear()
    pool.open()
    assert not waited


def test_generation_says_once_that_a_worker_is_left_out(pool, monkeypatch):
    """The pool knows it as the generation begins, and tells of it as it told before."""

    def give(worker, requests, permissions):
        pool._tell(ShareEvents(worker=worker, events=list(Painter().generate(requests, permissions=permissions))))
        pool._tell(ShareEnded(worker=worker))

    monkeypatch.setattr(pool, "give", give)
    pool._members["2"] = _Member(Actor())
    pool._refuse("2", "has diffusers 0.1 (here 0.2)")
    events = []
    for event in RayGeneration(pool, requests_of(resolve(Painter(), SPEC)), NO_PERMISSIONS):
        if not events:
            pool.refused["3"] = "came later, while this was being heard"
        events.append(event)
    assert [event.worker for event in events if isinstance(event, WorkerRefused)] == ["2"]
    assert len([event for event in events if isinstance(event, ImageDone)]) == 6


def test_why_of_an_error_that_was_raised_there_is_its_own_words(ray):
    """And not the first line of a traceback."""
    error = ray.exceptions.RayError("ray::Worker.receive() (pid=7)\n  File ...")
    error.cause = OSError(28, "No space left on device")
    assert _why(error) == "[Errno 28] No space left on device"
    assert (
        _why(ray.exceptions.RayError("Much.\nThe worker exited by SIGKILL.\nMore.")) == "The worker exited by SIGKILL."
    )


def test_more_workers_than_a_machine_carries_are_refused_before_any_is_started(monkeypatch):
    """A file that says ``workers: 90000``, or a slip of the finger, starts no process for each."""
    monkeypatch.setattr("promptlab.cluster.connection._cores", lambda: 8)
    with pytest.raises(InputError, match="workers 33 are more than this machine carries; allowed: 1 to 32, or auto"):
        _started(None, 33)


@pytest.mark.parametrize(
    ("temporary", "home"), [("/tmp", "/tmp"), ("/var/tmp", "/var/tmp"), ("/var/folders/zz/1" * 3, "/tmp")]
)
def test_folder_of_ray_has_room_for_the_paths_of_its_sockets(monkeypatch, temporary, home):
    """Where temporary files are, on a Mac say, there may be none."""
    monkeypatch.setattr("tempfile.tempdir", temporary)
    assert _home() == home
