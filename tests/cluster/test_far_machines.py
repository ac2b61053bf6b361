"""Weights that lie here and not there, asked of a machine elsewhere that a pool stands for; Ray is not started."""

import platform
from dataclasses import replace

import pytest

from promptlab.cluster import RayEngine
from promptlab.cluster.connection import RayConnection, _imported_ray
from promptlab.cluster.members import Member
from promptlab.cluster.pool import WorkerPool
from promptlab.cluster.shipping import ShippedSource, fingerprint, local_sources
from promptlab.cluster.worker import Worker, WorkerFacts
from promptlab.engine import NO_PERMISSIONS
from promptlab.errors import EngineError, InputError, NotFound
from promptlab.specs import PipelineSpec, RunSpec, Variant
from promptlab.testing import Painter


@pytest.fixture(scope="module", autouse=True)
def ray():
    """Ray as the engine imports it: whoever imports it before that decides how all of this process's Rays listen."""
    return _imported_ray(local=True)


def spec_of(model):
    return RunSpec(pipeline=PipelineSpec(model=str(model)), variants=(Variant(prompt="a"),), seeds=(1,))


class FarPool(WorkerPool):
    """A worker on each of some machines, which have no folder of ours until it was shipped there."""

    def __init__(self, *hosts, is_own=False):
        super().__init__(Painter, workers=len(hosts), cluster=None)
        self._connection = RayConnection(gpus=0, cpus=len(hosts), is_own=is_own, close=lambda: None)
        self.has, self.asked, self.full = {host: set() for host in hosts}, [], False
        for number, host in enumerate(hosts, 1):
            facts = WorkerFacts(host=host, node=host, pid=number, versions={})
            self._members.by_name[str(number)] = Member(None, facts=facts, host=host)

    def begin(self, worker, method, *arguments):
        self.asked.append(f"begin {worker}")
        host = self.host(worker)

        def answer():
            self.asked.append(f"wait {worker}")
            return getattr(self, f"_{method}")(host, *arguments)

        return answer

    def _receive(self, host, sources):
        if self.full:
            raise EngineError("No space left on device")
        self.has[host].update(source.name for source in sources)

    def _resolve(self, host, specs, permissions):
        for spec in specs:
            if spec.pipeline.model not in self.has[host]:
                raise NotFound("model", spec.pipeline.model, hint="promptlab models")
        return Painter().resolve(specs, permissions=permissions)


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "promptlab.cluster.ray_engine.read_source",
        lambda name: ShippedSource(name=name, is_file=False, key="k", files=()),
    )
    folder = tmp_path / "model"
    folder.mkdir()
    return folder


def engine_on(pool, **more):
    engine = RayEngine(workers=1, **more)
    engine._opened = pool
    return engine


def test_resolve_on_a_first_machine_without_the_folder_names_that_machine(model):
    """Whichever machine has the first worker; and says how the folder comes there."""
    with pytest.raises(InputError, match="does not exist on the machine far") as refused:
        engine_on(FarPool("far")).resolve([spec_of(model)])
    assert "ship_model" in str(refused.value)


def test_resolve_on_this_machine_says_what_the_engine_says(model):
    """A folder that is no model is none on any machine."""
    for pool, name in ((FarPool(platform.node()), model), (FarPool("far"), "org/name")):
        with pytest.raises(NotFound, match="promptlab models") as refused:
            engine_on(pool).resolve([spec_of(name)])
        assert "machine" not in refused.value.problem


def test_folder_that_could_not_be_shipped_is_shipped_when_it_is_asked_for_again(model):
    """Once it came there, it is not sent anew."""
    pool = FarPool("far")
    engine = engine_on(pool, ship_models=True)
    pool.full = True
    with pytest.raises(EngineError, match="No space"):
        engine.resolve([spec_of(model)])
    pool.full = False
    engine.resolve([spec_of(model)])
    assert pool.has == {"far": {str(model)}}
    pool.has["far"].remove(str(model))
    with pytest.raises(InputError):
        engine.resolve([spec_of(model)])


def test_folder_is_not_shipped_to_the_machine_that_it_lies_on(model):
    """A Ray that was started for the command reads it where it is."""
    pool = FarPool(platform.node(), is_own=True)
    with pytest.raises(NotFound):
        engine_on(pool, ship_models=True).resolve([spec_of(model)])
    assert not pool.has[platform.node()]


def test_machines_are_asked_at_once(model):
    """Each may download a model, or unpack one: that takes as long as the slowest of them."""
    pool = FarPool("far", "near", "away")
    engine_on(pool, ship_models=True).resolve([spec_of(model)])
    ship, first, others = pool.asked[:6], pool.asked[6:8], pool.asked[8:]
    assert ship == ["begin 1", "begin 2", "begin 3", "wait 1", "wait 2", "wait 3"]
    assert first == ["begin 1", "wait 1"]
    assert others == ["begin 2", "begin 3", "wait 2", "wait 3"]


def test_second_machine_without_the_folder_is_named(model):
    """The first has it."""
    pool = FarPool("far", "near")
    pool.has["far"].add(str(model))
    with pytest.raises(InputError, match="does not exist on the machine near"):
        engine_on(pool).resolve([spec_of(model)])


def test_worker_of_two_folders_of_the_same_bytes_names_each_as_asked():
    """They lie at one place there."""
    worker = Worker(Painter)
    worker._places.update({"/a": "/cache/k", "/b": "/cache/k"})
    specs = [spec_of("/a"), spec_of("/b"), spec_of("mini")]
    resolved = worker.resolve(specs, NO_PERMISSIONS)
    assert [each.spec.pipeline.model for each in resolved] == ["/a", "/b", "mini"]
    assert replace(resolved[0].spec.pipeline, model="/b") == resolved[1].spec.pipeline


def test_model_whose_name_no_file_can_have_lies_nowhere():
    """It is refused by the engine, in one line."""
    assert local_sources([spec_of("x" * 5000), spec_of("a\0b")]) == {}


def test_folder_that_cannot_be_looked_at_is_one_line(model, monkeypatch):
    """Which folder, and why."""
    monkeypatch.setattr("promptlab.cluster.shipping._files", lambda _: [model / "gone"])
    with pytest.raises(EngineError, match=r"model cannot be shipped: No such file"):
        fingerprint(str(model))
