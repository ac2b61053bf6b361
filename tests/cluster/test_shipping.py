"""Weights that a machine lacks come to it whole, once, and are named as ever."""

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from promptlab.cluster import RayEngine
from promptlab.cluster.shipped_cache import ShippedCache
from promptlab.cluster.shipping import fingerprint, local_sources, read_source, with_places
from promptlab.cluster.worker import Worker
from promptlab.engine import NO_PERMISSIONS
from promptlab.errors import EngineError
from promptlab.specs import Lora, PipelineSpec, RunSpec, Variant
from promptlab.testing import Painter
from tests.engine.drawing import resolve

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("local_ray")]


def spec_of(model, **more):
    return RunSpec(pipeline=PipelineSpec(model=model, **more), variants=(Variant(prompt="a"),), seeds=(1,))


def unpacked(source):
    return ShippedCache().place(source)


@pytest.fixture
def model(tmp_path):
    """A folder with files in folders, one of them larger than a piece would be."""
    folder = tmp_path / "my model"
    (folder / "unet").mkdir(parents=True)
    (folder / "model_index.json").write_text("{}")
    (folder / "unet" / "weights.safetensors").write_bytes(bytes(range(256)) * 1000)
    (folder / "unet" / "empty").touch()
    return folder


@pytest.fixture(autouse=True)
def pieces(monkeypatch, tmp_path):
    monkeypatch.setattr("promptlab.cluster.shipping.PIECE", 100_000)
    monkeypatch.setenv("PROMPTLAB_CACHE", str(tmp_path / "cache"))


def test_shipped_folder_arrives_whole_and_once(model):
    """The same files; what is there is not written again, a changed folder lies beside it."""
    place = unpacked(read_source(str(model)))
    files = [path.relative_to(model) for path in model.rglob("*") if path.is_file()]
    assert {(each, (model / each).read_bytes()) for each in files} == {
        (each.relative_to(place), each.read_bytes()) for each in Path(place).rglob("*") if each.is_file()
    }
    before = fingerprint(place)
    assert unpacked(read_source(str(model))) == place
    assert fingerprint(place) == before
    (model / "model_index.json").write_text("[]")
    assert unpacked(read_source(str(model))) != place


def test_shipped_file_is_a_file(model):
    """A checkpoint keeps its ending, by which it is known."""
    place = unpacked(read_source(str(model / "unet" / "weights.safetensors")))
    assert place.endswith("/weights.safetensors")


def test_shipped_bytes_that_changed_on_the_way_are_refused(model):
    """Nothing is loaded, and nothing is left."""
    source = read_source(str(model))
    broken = replace(source, files=tuple(replace(file, sha256="0" * 64) for file in source.files))
    with pytest.raises(EngineError, match="other bytes"):
        unpacked(broken)
    place = unpacked(source)
    assert [path.name for path in Path(place).parent.iterdir()] == [source.key]


def test_shipped_cache_removes_the_oldest_that_nobody_uses(model, tmp_path):
    """Its bound is kept but for what a living process holds, and what was left unfinished goes."""
    home = tmp_path / "cache" / "shipped"

    def ship(cache, text):
        (model / "model_index.json").write_text(text)
        return Path(cache.place(read_source(str(model))))

    using, ended, now = (ShippedCache(most=600_000) for _ in range(3))
    kept, oldest, older = ship(using, "in use"), ship(ended, "oldest"), ship(ended, "older")
    for age, folder in enumerate((older, oldest, kept), 1):
        os.utime(folder, (1000 - age, 1000 - age))
    (home / f".{'0' * 64}.broken").mkdir()
    ended._held.clear()  # the locks of a process that has ended
    newest = ship(now, "new")
    assert set(home.iterdir()) == {kept, newest}
    assert ship(now, "new") == newest
    assert len(list((tmp_path / "cache" / "shipped-in-use").glob("*.lock"))) == 2


def test_shipped_cache_takes_half_of_the_room_of_a_disk(model, monkeypatch):
    """Of what is free, and what lies there already; what is asked for is unpacked all the same."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=300_000))
    cache = ShippedCache()
    first = cache.place(read_source(str(model)))
    assert cache._bound(256_000) == 278_000
    cache._held.clear()
    (model / "model_index.json").write_text("[]")
    second = cache.place(read_source(str(model)))
    assert not Path(first).exists()
    assert Path(second).is_dir()


def test_shipped_cache_makes_room_beside_what_another_process_is_removing(model, tmp_path):
    """What is listed may be gone when it is looked at, as this link is: a worker is not left out for that."""
    home = tmp_path / "cache" / "shipped"
    home.mkdir(parents=True)
    (home / f".{'0' * 64}.gone").symlink_to(tmp_path / "nowhere")
    assert Path(unpacked(read_source(str(model)))).is_dir()


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a//b", "."])
def test_shipped_file_outside_its_folder_is_refused(model, path):
    """Whatever a driver says."""
    source = read_source(str(model))
    with pytest.raises(EngineError, match="no file of a model"):
        unpacked(replace(source, files=(replace(source.files[0], path=path),)))


def test_worker_loads_from_where_it_was_shipped_to_and_names_it_as_asked(model):
    """Specs go out and come back under the name that was typed."""
    asked = []

    class Seeing(Painter):
        def resolve(self, specs, **more):
            asked.extend(specs)
            return super().resolve(specs, **more)

    worker, name = Worker(Seeing), "/nowhere/model"
    worker.receive([replace(read_source(str(model)), name=name)])
    (resolved,) = worker.resolve([spec_of(name)], NO_PERMISSIONS)
    assert asked[0].pipeline.model.startswith(str(model.parent / "cache"))
    assert resolved.spec.pipeline.model == name


def test_local_sources_are_what_lies_here(model, monkeypatch):
    """By absolute paths; bundled models and those of the Hub are on every machine."""
    monkeypatch.chdir(model.parent)
    specs = [spec_of("mini"), spec_of("org/name"), spec_of(model.name, loras=(Lora(name=str(model / "unet")),))]
    assert local_sources(specs) == {model.name: str(model), str(model / "unet"): str(model / "unet")}


def test_with_places_exchanges_every_name():
    """Of the model and all that is added to it."""
    spec = spec_of("a", vae="b", config="c", loras=(Lora(name="d"),))
    there = with_places(spec, {"a": "/a", "b": "/b", "c": "/c", "d": "/d"}).pipeline
    assert (there.model, there.vae, there.config, there.loras[0].name) == ("/a", "/b", "/c", "/d")
    assert with_places(spec, {"x": "/x"}) is spec
    packed = spec_of("a", quantization="gguf:b")
    assert with_places(packed, {"b": "/b"}).pipeline.quantization == "gguf:/b"
    assert with_places(spec_of("a", quantization="nf4"), {"a": "/a", "nf4": "/x"}).pipeline.quantization == "nf4"


def test_engine_that_ships_resolves_by_the_name_that_was_typed(model, monkeypatch):
    """Relative names, too: a worker is in another folder."""
    monkeypatch.chdir(model.parent)
    engine = RayEngine(workers=1, ship_models=True, make_engine=Painter)
    resolved = resolve(engine, spec_of(model.name))
    engine.close()
    assert resolved.spec.pipeline.model == model.name
