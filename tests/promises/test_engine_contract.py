"""What every engine promises, asked of the painter and of diffusers with the bundled model."""

import json
import pickle
import random

import numpy as np
import pytest

from promptlab.engine import Denoising, Loaded, create_engine
from promptlab.errors import UnknownValue
from promptlab.images.png import pixel_sha256
from promptlab.plan import TruncatedPrompt, requests_of
from promptlab.records import plain
from promptlab.specs import CallSpec, PipelineSpec, RunSpec, SchedulerSpec, Variant
from promptlab.testing import Painter

SPEC = RunSpec(
    pipeline=PipelineSpec(model="mini", scheduler=SchedulerSpec(name="EulerAncestralDiscreteScheduler")),
    call=CallSpec(num_inference_steps=2, height=64, width=64),
    variants=(Variant(prompt="a wizard"), Variant(prompt="a pirate", negative_prompt="beard")),
    seeds=(0, 1, 7),
    batch_size=4,
)


@pytest.fixture(scope="module", params=["painter", pytest.param("diffusers", marks=pytest.mark.slow)])
def engine(request):
    return Painter() if request.param == "painter" else create_engine()


@pytest.fixture(scope="module")
def tasks(engine):
    return requests_of(engine.resolve(SPEC))


def bytes_of(engine, tasks):
    """Recipe key → pixel hash."""
    return {picture.task.recipe_key: pixel_sha256(picture.pixels) for picture in engine.generate(tasks)}


@pytest.fixture(scope="module")
def together(engine, tasks):
    return bytes_of(engine, tasks)


def test_resolving_completes_and_then_changes_nothing(engine):
    """Every default is named; what is resolved resolves to itself, whatever it is asked of."""
    resolved = engine.resolve(RunSpec(pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a"),), seeds=(1,)))
    spec = resolved.spec
    assert None not in (spec.pipeline.dtype, spec.pipeline.scheduler, spec.batch_size, spec.call.guidance_scale)
    assert None not in (spec.call.num_inference_steps, spec.call.height, spec.call.width)
    assert resolved.device
    assert resolved.model_identity.split(":")[0] in ("commit", "sha256")
    assert engine.resolve(spec) == resolved
    assert RunSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_the_device_is_not_written_into_the_recipe(engine):
    """A spec that names no device still names none when resolved: a rerun elsewhere takes what is there."""
    assert engine.resolve(SPEC).spec.device is None
    assert engine.resolve(SPEC.vary(device="cpu")).spec.device == "cpu"


def test_every_task_comes_back_once_with_its_place(engine, tasks):
    """Batches are numbered from 0, slots stay below the batch size, pixels are RGB bytes of the size asked for."""
    events = []
    pictures = list(engine.generate(tasks, events.append))
    assert sorted(picture.task.position for picture in pictures) == list(range(6))
    assert len({(picture.batch, picture.slot) for picture in pictures}) == 6
    for picture in pictures:
        assert picture.task == tasks[picture.task.position]
        assert 0 <= picture.slot < picture.task.batch_size
        assert (picture.pixels.dtype, picture.pixels.shape) == (np.uint8, (64, 64, 3))
        assert picture.pixels.flags.c_contiguous
        assert picture.seconds >= 0
    assert sorted({picture.batch for picture in pictures}) == list(range(max(p.batch for p in pictures) + 1))
    assert any(isinstance(event, Loaded) for event in events)
    assert all(1 <= event.step <= event.steps for event in events if isinstance(event, Denoising))


def test_an_image_does_not_depend_on_its_company(engine, tasks, together):
    """Alone, shuffled, or one left out: the same bytes, and different tasks give different ones."""
    assert len(set(together.values())) == 6
    shuffled = list(tasks)
    random.Random(5).shuffle(shuffled)
    assert bytes_of(engine, shuffled) == together
    assert bytes_of(engine, tasks[4:5]) == {tasks[4].recipe_key: together[tasks[4].recipe_key]}
    assert bytes_of(engine, tasks[1:]) == {key: value for key, value in together.items() if key != tasks[0].recipe_key}


def test_tasks_and_pictures_travel(engine, tasks, together):
    """They are picklable: an engine may one day live in another process."""
    travelled = pickle.loads(pickle.dumps(tasks[:1]))
    (picture,) = engine.generate(travelled)
    assert pixel_sha256(pickle.loads(pickle.dumps(picture)).pixels) == together[tasks[0].recipe_key]


def test_the_environment_is_plain_and_stable(engine):
    """The same facts twice, storable as JSON, without a path, a name of a host or a token in them."""
    resolved = engine.resolve(SPEC)
    environment = engine.environment(resolved)
    assert environment == engine.environment(resolved)
    assert environment.hash == engine.environment(resolved).hash
    text = json.dumps(plain(environment))
    assert "/root" not in text
    assert "/home" not in text


def test_nothing_to_do_is_done_at_once(engine):
    """No task, no picture, no error."""
    assert list(engine.generate(())) == []


def test_many_resolve_as_each_alone(engine):
    """Looking once at what specs share changes nothing, and says the same of what is wrong."""
    specs = [
        SPEC,
        SPEC.vary(scheduler=None, num_inference_steps=None),
        SPEC.vary(dtype="bfloat16", batch_size=None),
        SPEC.vary(arguments=(("eta", 1.0),)),
        SPEC.vary(seeds=(3,), batch_size=None),
        SPEC,
    ]
    assert engine.resolve_all(specs) == tuple(map(engine.resolve, specs))
    assert engine.resolve_all(()) == ()
    with pytest.raises(UnknownValue, match="--device"):
        engine.resolve_all([SPEC, SPEC.vary(device="abacus")])


def test_words_that_are_cut_are_named_once(engine):
    """The end of a prompt that is too long, negative ones included, however many runs have it; short ones never."""
    long = " ".join(["red"] * 80 + ["blue", "circle"])
    spec = SPEC.vary(
        variants=(Variant(prompt="a fox"), Variant(prompt=long), Variant(prompt="b", negative_prompt=long))
    )
    resolved = engine.resolve_all([spec, spec.vary(seeds=(4,)), spec.vary(guidance_scale=2.0)])
    assert engine.cut_words(resolved) == (
        TruncatedPrompt(prompt=long, encoder="tokenizer", words=" ".join(["red"] * 5 + ["blue", "circle"])),
    )
    assert engine.cut_words(()) == ()
