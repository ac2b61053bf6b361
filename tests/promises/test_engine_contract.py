"""What every engine promises, asked of the painter, of engines in other processes, and of diffusers."""

import dataclasses
import json
import random
from functools import partial

import numpy as np
import pytest

from promptlab.cluster import RayEngine
from promptlab.engine import (
    ImageDone,
    ImageFailed,
    ImageStarted,
    ModelLoaded,
    StepDone,
    create_engine,
)
from promptlab.errors import EngineError, UnknownValue
from promptlab.images.png import pixel_sha256
from promptlab.plan import TruncatedPrompt, requests_of
from promptlab.records import plain
from promptlab.specs import CallSpec, PipelineSpec, RunSpec, SchedulerSpec, Variant
from promptlab.testing import Painter
from tests.engine.drawing import draw, numbered, resolve
from tests.promises.process_engine import ProcessEngine

SPEC = RunSpec(
    pipeline=PipelineSpec(model="mini", scheduler=SchedulerSpec(name="EulerAncestralDiscreteScheduler")),
    call=CallSpec(num_inference_steps=2, height=64, width=64),
    variants=(Variant(prompt="a wizard"), Variant(prompt="a pirate", negative_prompt="beard")),
    seeds=(0, 1, 7),
    batch_size=4,
)
ENGINES = {
    "painter": Painter,
    "process": ProcessEngine,
    "cluster": lambda: RayEngine(workers=2, make_engine=partial(Painter, seconds=0.01)),
    "diffusers": create_engine,
}


@pytest.fixture(
    scope="module",
    params=[
        "painter",
        "process",
        pytest.param("cluster", marks=pytest.mark.slow),
        pytest.param("diffusers", marks=pytest.mark.slow),
    ],
)
def engine(request):
    if request.param == "cluster":
        request.getfixturevalue("local_ray")
    engine = ENGINES[request.param]()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def requests(engine):
    return requests_of(resolve(engine, SPEC))


def bytes_of(engine, requests):
    """Recipe key → pixel hash."""
    return {drawn.request.recipe_key: pixel_sha256(drawn.pixels) for drawn in draw(engine, requests)}


@pytest.fixture(scope="module")
def together(engine, requests):
    return bytes_of(engine, requests)


def test_resolve_completes_specs_and_then_changes_nothing(engine):
    """Every default is named; what is resolved resolves to itself, whatever it is asked of."""
    resolved = resolve(
        engine, RunSpec(pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a"),), seeds=(1,))
    )
    spec = resolved.spec
    assert None not in (spec.pipeline.dtype, spec.pipeline.scheduler, spec.batch_size, spec.call.guidance_scale)
    assert None not in (spec.call.num_inference_steps, spec.call.height, spec.call.width)
    assert resolved.device
    assert resolved.model_identity.split(":")[0] in ("commit", "sha256")
    assert resolve(engine, spec) == resolved
    assert RunSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_resolve_leaves_the_device_out_of_the_spec(engine):
    """A spec that names no device still names none when resolved: a rerun elsewhere takes what is there."""
    assert resolve(engine, SPEC).spec.device is None
    assert resolve(engine, SPEC.vary(device="cpu")).spec.device == "cpu"


def test_resolve_of_many_is_resolve_of_each(engine):
    """Looking once at what specs share changes nothing, and says the same of what is wrong."""
    specs = [
        SPEC,
        SPEC.vary(scheduler=None, num_inference_steps=None),
        SPEC.vary(dtype="bfloat16", batch_size=None),
        SPEC.vary(arguments=(("eta", 1.0),)),
        SPEC.vary(seeds=(3,), batch_size=None),
        SPEC,
    ]
    assert engine.resolve(specs) == tuple(resolve(engine, spec) for spec in specs)
    assert engine.resolve(()) == ()
    with pytest.raises(UnknownValue, match="device"):
        engine.resolve([SPEC, SPEC.vary(device="abacus")])


def test_resolve_tells_the_environment_in_plain_stable_facts(engine):
    """The same facts twice, storable as JSON, without a path, a name of a host or a token in them."""
    environment = resolve(engine, SPEC).environment
    assert environment == resolve(engine, SPEC).environment
    assert environment.facts
    text = json.dumps(plain(environment))
    assert "/root" not in text
    assert "/home" not in text


def test_generate_gives_every_request_one_image(engine, requests):
    """Batches are numbered from 0, rows stay below the batch size, pixels are RGB bytes of the size asked for."""
    events = list(engine.generate(requests))
    images = [event for event in events if isinstance(event, ImageDone)]
    assert sorted(image.request_id for image in images) == sorted(request.id for request in requests)
    assert len({(image.batch, image.row) for image in images}) == 6
    for image in images:
        assert 0 <= image.row < SPEC.batch_size
        assert (image.pixels.dtype, image.pixels.shape) == (np.uint8, (64, 64, 3))
        assert image.pixels.flags.c_contiguous
        assert image.seconds >= 0
        assert image.environment == resolve(engine, SPEC).environment
    assert {image.batch for image in images} == set(range(max(image.batch for image in images) + 1))


def test_generate_says_what_happens_in_order(engine, requests):
    """The pipeline is ready before an image is begun, and an image is begun once, before it is there."""
    events = list(engine.generate(requests))
    kinds = [type(event) for event in events]
    assert kinds.index(ModelLoaded) < kinds.index(ImageStarted)
    started = [event.request_id for event in events if isinstance(event, ImageStarted)]
    assert sorted(started) == sorted(request.id for request in requests)
    for request in requests:
        told = [type(event) for event in events if getattr(event, "request_id", None) == request.id]
        assert told == [ImageStarted, ImageDone]
    steps = [event for event in events if isinstance(event, StepDone)]
    assert steps
    assert all(1 <= event.step <= event.steps and 0 <= event.batch < event.batches for event in steps)


def test_generate_of_an_image_does_not_depend_on_its_company(engine, requests, together):
    """Alone, shuffled, or one left out: the same bytes, and different requests give different ones."""
    assert len(set(together.values())) == 6
    shuffled = list(requests)
    random.Random(5).shuffle(shuffled)
    assert bytes_of(engine, shuffled) == together
    assert bytes_of(engine, requests[4:5]) == {requests[4].recipe_key: together[requests[4].recipe_key]}
    rest = {key: value for key, value in together.items() if key != requests[0].recipe_key}
    assert bytes_of(engine, requests[1:]) == rest


def test_generate_of_nothing_gives_no_image(engine):
    """No request, no image, no error."""
    assert list(draw(engine, ())) == []


def test_generate_refuses_an_id_that_is_there_twice(engine, requests):
    """Events could not say whose they are."""
    with pytest.raises(ValueError, match="id"):
        engine.generate([requests[0], requests[0]])


def test_generate_cancelled_finishes_what_is_begun(engine, requests):
    """Every image that was begun comes out, and not all were."""
    many = numbered(requests * 20)
    generation, started, done = engine.generate(many), set(), set()
    for event in generation:
        if isinstance(event, ImageStarted):
            started.add(event.request_id)
            generation.cancel()
        if isinstance(event, ImageDone):
            done.add(event.request_id)
    assert done == started
    assert 0 < len(done) < len(many)


@pytest.mark.parametrize("what", ["model_identity", "vae_identity"])
def test_generate_refuses_weights_other_than_the_recipes(engine, requests, together, what):
    """An image is never made under a recipe key by other weights than its own; the others are made."""
    other = dataclasses.replace(requests[0], **{what: "sha256:" + "0" * 64}, batch_key="another")
    if what == "vae_identity":
        other = dataclasses.replace(other, pipeline=dataclasses.replace(other.pipeline, vae="mini"))
    events = list(engine.generate([other, *requests[1:]]))
    (failed,) = [event for event in events if isinstance(event, ImageFailed)]
    assert failed.request_id == other.id
    assert "is not what the image is to be made by" in failed.reason
    made = {event.request_id: pixel_sha256(event.pixels) for event in events if isinstance(event, ImageDone)}
    assert made == {request.id: together[request.recipe_key] for request in requests[1:]}


def test_truncated_prompts_names_every_text_once(engine):
    """The end of a prompt that is too long, negative ones included, however many runs have it; short ones never."""
    long = " ".join(["red"] * 80 + ["blue", "circle"])
    spec = SPEC.vary(
        variants=(Variant(prompt="a fox"), Variant(prompt=long), Variant(prompt="b", negative_prompt=long))
    )
    resolved = engine.resolve([spec, spec.vary(seeds=(4,)), spec.vary(guidance_scale=2.0)])
    assert engine.truncated_prompts(resolved) == (
        TruncatedPrompt(prompt=long, encoder="tokenizer", words=" ".join(["red"] * 5 + ["blue", "circle"])),
    )
    assert engine.truncated_prompts(()) == ()


def test_available_memory_is_a_number_of_bytes(engine):
    """Of the device that a run would use."""
    assert engine.available_memory(resolve(engine, SPEC).device) > 2**20


def test_process_engine_that_is_gone_is_an_engine_error():
    """Whoever waits for an answer is told, in a line."""
    engine = ProcessEngine()
    requests = requests_of(resolve(engine, SPEC))
    generation = engine.generate(requests)
    engine._process.kill()
    with pytest.raises(EngineError, match="is gone"):
        list(generation)
    engine.close()
