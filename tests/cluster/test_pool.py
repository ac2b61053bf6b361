"""What the pool of workers tells of those that are lost, and what a generation makes of it; Ray is not started."""

import threading
from types import SimpleNamespace

import pytest

from promptlab.cluster import RayEngine
from promptlab.cluster.actors import why
from promptlab.cluster.connection import RayConnection, _home, _imported_ray, _started
from promptlab.cluster.inbox import IN_FLIGHT
from promptlab.cluster.members import Member, Members
from promptlab.cluster.messages import ShareEnded, ShareEvents, ShareFailed, WorkerGone, WorkerReady
from promptlab.cluster.pool import WorkerPool
from promptlab.cluster.ray_generation import RayGeneration
from promptlab.cluster.worker import WorkerFacts
from promptlab.engine import NO_PERMISSIONS, ImageDone, ImageFailed, ImageStarted, WorkerLost, WorkerRefused
from promptlab.errors import EngineError, InputError
from promptlab.plan import requests_of
from promptlab.specs import PipelineSpec, RunSpec, Variant
from promptlab.testing import Painter
from tests.cluster.makers import Damaged
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
    made._members.by_name["1"] = Member(Actor(), facts=facts, host="far")
    made.greeted = []
    monkeypatch.setattr(Members, "greet", lambda _, worker: made.greeted.append(worker))
    return made


def test_pool_tells_the_share_of_a_lost_worker_that_an_older_share_noticed_first(pool):
    """That of a generation that was left: whoever waits for the new one would wait for ever."""
    pool._inbox.drop(0)
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


def test_pool_hears_a_share_after_many_that_failed(pool, monkeypatch):
    """Ray yields what was raised as the last of a share: it must not take the room of what comes later."""
    monkeypatch.setattr("ray.get", lambda reference: reference())
    for share in range(IN_FLIGHT):
        pool._follow("1", share, [lost])
        assert isinstance(pool.receive(1), WorkerGone)
    threading.Thread(target=pool._follow, args=("1", IN_FLIGHT, [list]), daemon=True).start()
    assert isinstance(pool.receive(10), ShareEvents)


def test_generation_deals_anew_to_a_worker_that_is_back_before_its_loss_is_heard(pool, monkeypatch):
    """It is told that the worker is ready while it thinks it busy, and then that it was lost."""
    given = []

    def give(worker, requests, permissions):
        given.append(requests)
        if len(given) == 1:
            pool._inbox.put(WorkerReady(worker=worker))
            pool._inbox.put(WorkerGone(worker=worker, reason="it exited"))
            return
        pool._inbox.put(ShareEvents(worker=worker, events=list(Painter().generate(requests, permissions=permissions))))
        pool._inbox.put(ShareEnded(worker=worker))

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
    pool._members.by_name["2"] = Member(Actor())
    pool._connection = RayConnection(gpus=0, cpus=2, is_own=True, close=lambda: None)
    monkeypatch.setattr("promptlab.cluster.members._STRAGGLERS", 0.05)
    monkeypatch.setattr(pool._members, "_news", SimpleNamespace(wait=waited.append, clear=lambda: None))
    pool.open()
    assert waited
    waited.clear()
    pool.open()
    assert not waited


def test_generation_says_once_that_a_worker_is_left_out(pool, monkeypatch):
    """The pool knows it as the generation begins, and tells of it as it told before."""

    def give(worker, requests, permissions):
        pool._inbox.put(ShareEvents(worker=worker, events=list(Painter().generate(requests, permissions=permissions))))
        pool._inbox.put(ShareEnded(worker=worker))

    monkeypatch.setattr(pool, "give", give)
    pool._members.by_name["2"] = Member(Actor())
    pool._members.refuse("2", "has diffusers 0.1 (here 0.2)")
    events = []
    for event in RayGeneration(pool, requests_of(resolve(Painter(), SPEC)), NO_PERMISSIONS):
        if not events:
            pool._members.refused["3"] = "came later, while this was being heard"
        events.append(event)
    assert [event.worker for event in events if isinstance(event, WorkerRefused)] == ["2"]
    assert len([event for event in events if isinstance(event, ImageDone)]) == 6


class Failing(Painter):
    """Fails whatever it is given, as a process does that has lost its GPU."""

    def _paint(self, request, **place):
        raise EngineError("CUDA error: an illegal memory access was encountered")


class Faults:
    """Hands shares to engines in this process, and keeps who was given what, and started anew."""

    def __init__(self, monkeypatch, pool, **engines):
        self.pool, self.engines = pool, {name[1:]: engine for name, engine in engines.items()}
        self.given, self.restarted = [], []
        for name in self.engines:
            facts = WorkerFacts(host=f"host{name}", node=name, pid=1, versions={})
            pool._members.by_name[name] = Member(Actor(), facts=facts, host=f"host{name}")
        monkeypatch.setattr(pool, "give", self.give)
        monkeypatch.setattr(pool, "restart", self.restarted.append)

    def give(self, worker, requests, permissions):
        self.given.append((worker, [request.id for request in requests]))
        try:
            events = list(self.engines[worker].generate(requests, permissions=permissions))
        except EngineError as error:
            self.pool._inbox.put(ShareFailed(worker=worker, error=error))
            return
        self.pool._inbox.put(ShareEvents(worker=worker, events=events))
        self.pool._inbox.put(ShareEnded(worker=worker))

    def made(self, spec=SPEC):
        requests = requests_of(resolve(Painter(), spec))
        events = list(RayGeneration(self.pool, requests, NO_PERMISSIONS))
        made = sorted(event.request_id for event in events if isinstance(event, ImageDone))
        return events, made, sorted(request.id for request in requests)


def said(events):
    return [event.reason for event in events if isinstance(event, WorkerRefused)]


def test_images_that_a_broken_worker_failed_are_made_by_another(pool, monkeypatch):
    """None counts as failed; the worker is taken out, with the machine named, and started anew for the next time."""
    faults = Faults(monkeypatch, pool, _1=Failing(), _2=Painter())
    events, made, asked = faults.made(SPEC.vary(seeds=tuple(range(40))))
    assert made == asked
    assert said(events) == [
        "pictures failed that another worker made: CUDA error: an illegal memory access was encountered (on host1)"
    ]
    assert faults.restarted == ["1"]
    assert len([event for event in events if isinstance(event, ImageStarted)]) == len(asked)
    assert len([ids for worker, ids in faults.given if worker == "1"]) <= 2


def test_an_image_that_fails_on_two_workers_has_failed(pool, monkeypatch):
    """It is tried no third time, whoever is left, and nobody is taken out for it."""
    faults = Faults(monkeypatch, pool, **{f"_{n}": Painter(fail_on="pirate") for n in (1, 2, 3)})
    spec = SPEC.vary(variants=(Variant(prompt="a wizard"), Variant(prompt="a pirate")), batch_size=1)
    events, made, asked = faults.made(spec)
    failed = [event.request_id for event in events if isinstance(event, ImageFailed)]
    assert sorted([*made, *failed]) == asked
    assert len(failed) == 6
    assert all(sum(one in ids for _, ids in faults.given) == 2 for one in failed)
    assert said(events) == faults.restarted == []


def test_an_image_that_cannot_be_is_tried_once(pool, monkeypatch):
    """What was asked is at fault, and is so everywhere."""

    class Strict(Painter):
        def _generate(self, requests, going):
            for request in requests:
                yield ImageStarted(request_id=request.id)
                yield ImageFailed.because(InputError("arguments.eta", 7, problem="is out of range"), request.id)

    faults = Faults(monkeypatch, pool, _1=Strict(), _2=Strict())
    events, made, asked = faults.made()
    assert made == []
    assert len([event for event in events if isinstance(event, ImageFailed)]) == len(asked)
    assert sum(len(ids) for _, ids in faults.given) == len(asked)


def test_a_worker_whose_engine_is_damaged_is_taken_out(pool, monkeypatch):
    """By a line that names the machine; the others make it all. The next generation gives it another chance."""
    faults = Faults(monkeypatch, pool, _1=Damaged(), _2=Painter())
    events, made, asked = faults.made()
    assert made == asked
    assert said(events) == ["this engine is damaged (on host1)"]
    faults.engines["1"] = Painter()
    events, made, asked = faults.made()
    assert (made, said(events)) == (asked, [])


def test_images_too_large_for_a_worker_wait_for_one_that_is_being_started(pool, monkeypatch):
    """Nothing is made smaller while another may have the memory."""
    faults = Faults(monkeypatch, pool, _1=Painter(most_rows=2), _2=Painter())
    second = pool._members.by_name["2"]
    facts, second.facts = second.facts, None

    def give(worker, requests, permissions):
        faults.give(worker, requests, permissions)
        if second.facts is None:
            second.facts = facts
            pool._inbox.put(WorkerReady(worker="2"))

    monkeypatch.setattr(pool, "give", give)
    _, made, asked = faults.made()
    assert made == asked


def test_a_generation_ends_when_every_worker_was_taken_out(pool, monkeypatch):
    """By an error that names them all; what was not made is owed."""
    faults = Faults(monkeypatch, pool, _1=Damaged(), _2=Damaged())
    with pytest.raises(
        EngineError, match=r"no worker is left: worker 1 .*damaged \(on host1\); worker 2 .*\(on host2\)"
    ):
        faults.made()
    assert faults.restarted == ["1", "2"]


def test_resolve_asks_another_worker_where_the_first_is_broken(pool, monkeypatch):
    """And says so where all are."""
    engine = RayEngine(workers=2)
    engine._opened = pool
    monkeypatch.setattr(pool, "open", lambda: None)
    Faults(monkeypatch, pool, _1=Damaged(), _2=Painter())
    answers = {"1": EngineError("this engine is damaged"), "2": (resolve(Painter(), SPEC),)}

    def begin(worker, method, *arguments):
        def answer():
            if isinstance(answers[worker], EngineError):
                raise answers[worker]
            return answers[worker]

        return answer

    monkeypatch.setattr(pool, "begin", begin)
    assert engine.resolve([SPEC]) == answers["2"]
    answers["2"] = EngineError("so is this")
    with pytest.raises(EngineError, match="so is this"):
        engine.resolve([SPEC])


def test_why_of_an_error_that_was_raised_there_is_its_own_words(ray):
    """And not the first line of a traceback."""
    error = ray.exceptions.RayError("ray::Worker.receive() (pid=7)\n  File ...")
    error.cause = OSError(28, "No space left on device")
    assert why(error) == "[Errno 28] No space left on device"
    assert (
        why(ray.exceptions.RayError("Much.\nThe worker exited by SIGKILL.\nMore.")) == "The worker exited by SIGKILL."
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
