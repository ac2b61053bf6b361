"""Forwards that are replayed: the same bits or eager for good, bounded, and gone when weights or memory are.

What only CUDA can do, the recording itself, is replaced by running the forward again on a CPU; on an accelerator
(`PROMPTLAB_TEST_DEVICE=cuda`) the last tests use graphs.
"""

from dataclasses import replace
from functools import wraps

import pytest

from promptlab.engine import ImageDone, ImageStarted
from promptlab.engine.sampling.call_hub import Known
from promptlab.engine.sampling.graphs import GraphCache, Recorded
from promptlab.engine.sampling.image_stream import ImageStream
from promptlab.engine.sampling.progress import BatchProgress
from promptlab.images.png import pixel_sha256
from promptlab.plan import requests_of
from promptlab.records import Environment
from promptlab.specs import CallSpec, PipelineSpec, RunSpec, Variant
from promptlab.specs.schedulers import parse_scheduler
from tests.engine.company import DEVICE
from tests.engine.drawing import draw, loaded_pipeline, numbered
from tests.engine.tiny import save_tiny

pytestmark = pytest.mark.slow

on_cuda = pytest.mark.skipif(not DEVICE.startswith("cuda"), reason="needs CUDA")


class Again:
    """Records a forward as what it is: a function of the tensors that it was recorded with."""

    def __init__(self, *, wrong=0.0, memory=0):
        self.replays, self.first, self._wrong, self._memory = 0, [], wrong, memory

    @property
    def recorded(self):
        return len(self.first)

    def __call__(self, run, first):
        output = run()
        self.first.append(first)

        def replay():
            self.replays += 1
            first, fresh = (value[0] if isinstance(value, tuple) else value for value in (output, run()))
            first.copy_(fresh + self._wrong)

        return Recorded(replay=replay, output=output, memory=self._memory)


@pytest.fixture
def layer():
    """A module of a few weights."""
    import torch

    torch.manual_seed(0)
    return torch.nn.Linear(3, 2).requires_grad_(requires_grad=False)


def rows(count, seed):
    import torch

    return torch.randn(count, 3, generator=torch.Generator().manual_seed(seed))


def asked(graphs, layer, count=2, seeds=range(4), scale=None):
    """What a module gives for several inputs, by graphs; and checks that it is what it gives by itself."""
    import torch

    def forward(numbers, scale=1.0):
        return layer(numbers) * scale

    for seed in seeds:
        given = {} if scale is None else {"scale": scale}
        assert torch.equal(graphs.run(layer, forward, [rows(count, seed)], given), forward(rows(count, seed), **given))


def test_graph_of_a_forward_that_comes_twice_is_replayed_from_the_third_on(layer):
    """The first is answered, the second recorded and proved; another shape, or another number in Python, is another."""
    record = Again()
    graphs = GraphCache(record)
    asked(graphs, layer, seeds=range(2))
    assert (len(graphs), record.replays) == (1, 1)
    asked(graphs, layer, seeds=range(5, 8))
    assert (len(graphs), record.replays) == (1, 4)
    asked(graphs, layer, count=3)
    asked(graphs, layer, scale=2.0)
    asked(graphs, layer, scale=3.0)
    assert len(graphs) == record.recorded == 4


def test_graph_that_gives_other_bits_is_eager_for_good(layer):
    """It is recorded once, found out, and never used; nor is one that cannot be recorded."""
    wrong = Again(wrong=1e-7)
    graphs = GraphCache(wrong)
    asked(graphs, layer)
    assert (len(graphs), wrong.recorded, list(graphs.eager.values())) == (0, 1, ["a replay gives other bits"])

    def refuse(run, first):
        raise RuntimeError("operation not permitted when stream is capturing")

    graphs = GraphCache(refuse)
    asked(graphs, layer)
    assert (len(graphs), list(graphs.eager.values())) == (0, ["RuntimeError"])


def test_graph_keeps_the_objects_that_it_was_recorded_with(layer):
    """They are told from others by identity: another that came to lie in the place of a freed one would be replayed."""
    import gc
    import weakref

    class Scale:
        factor = 2.0

    def forward(numbers, scale):
        return layer(numbers) * scale.factor

    graphs, scale = GraphCache(lambda run, first: Recorded(replay=lambda: None, output=run())), Scale()
    for _ in range(2):
        graphs.run(layer, forward, [rows(2, 0)], {"scale": scale})
    kept = weakref.ref(scale)
    del scale
    gc.collect()
    assert (len(graphs), kept() is None) == (1, False)
    graphs.drop()
    gc.collect()
    assert kept() is None


def test_graph_of_weights_that_moved_is_recorded_anew(layer):
    """A cast there and back leaves the numbers, and other addresses."""
    import torch

    record = Again()
    graphs = GraphCache(record)
    asked(graphs, layer)
    layer.weight.data = layer.weight.data.clone() + 1
    asked(graphs, layer)
    assert (len(graphs), record.recorded) == (1, 2)
    assert torch.equal(layer.weight, layer.weight.data)


def test_graphs_above_their_number_are_dropped_oldest_first(layer):
    """What is dropped comes back when it comes again, twice as often as the first time."""
    record = Again()
    graphs = GraphCache(record, most=2)
    for count in (1, 2, 3):
        asked(graphs, layer, count=count)
    assert (len(graphs), record.recorded) == (2, 3)
    asked(graphs, layer, count=1, seeds=range(3))
    assert (len(graphs), record.recorded) == (2, 3)
    asked(graphs, layer, count=1, seeds=range(1))
    assert (len(graphs), record.recorded) == (2, 4)


def test_graphs_above_their_memory_are_dropped_together(layer):
    """They share one pool, which is given back as a whole; one alone may be greater."""
    record = Again(memory=10)
    graphs = GraphCache(record, most_bytes=25)
    for count, kept in ((1, 1), (2, 2), (3, 0)):
        asked(graphs, layer, count=count, seeds=range(2))
        assert len(graphs) == kept
    asked(graphs, layer, count=3)
    assert (len(graphs), record.first) == (1, [True, False, False, True])
    graphs = GraphCache(record, most_bytes=5)
    asked(graphs, layer)
    assert len(graphs) == 1


def test_graphs_of_more_shapes_than_are_kept_are_not_recorded_at_every_turn(layer):
    """Five shapes by turns where three have room: each is recorded at the 2nd eager forward, then the 4th, the 8th …"""
    record = Again()
    graphs = GraphCache(record, most=3)
    turns = 64
    for seed in range(turns):
        for count in range(1, 6):
            asked(graphs, layer, count=count, seeds=[seed])
    assert len(graphs) == 3
    assert record.recorded <= 5 * 6
    assert record.replays - record.recorded > turns * 5 // 2  # more than half of all forwards


def test_graph_pool_of_graphs_that_are_gone_is_not_used_again(layer):
    """torch's allocator refuses a pool whose graphs have all been dropped: the next recording begins another."""
    record = Again()
    graphs = GraphCache(record)
    for count in (1, 2):
        asked(graphs, layer, count=count)
    graphs.belong_to("a model and a LoRA")
    asked(graphs, layer)
    assert record.first == [True, False, True]


def test_graphs_of_other_weights_are_dropped(layer):
    """A LoRA more or less, another model, another attention backend: the first forwards are eager again."""
    graphs = GraphCache(Again())
    graphs.belong_to("a model")
    asked(graphs, layer)
    graphs.belong_to("a model")
    assert len(graphs) == 1
    graphs.belong_to("a model and a LoRA")
    assert len(graphs) == 0
    assert not graphs.drop()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A Stable Diffusion of a few thousand weights."""
    return str(save_tiny(tmp_path_factory.mktemp("tiny")))


def requests_for(engine, model, *schedulers):
    """Six images of each scheduler, in forwards of four."""
    specs = [
        RunSpec(
            pipeline=PipelineSpec(model=model, dtype="float32", scheduler=parse_scheduler(scheduler)),
            call=CallSpec(num_inference_steps=3, height=32, width=32), variants=(Variant(prompt="a fox"),),
            seeds=tuple(range(6)), batch_size=4, device=DEVICE,
        )
        for scheduler in schedulers
    ]  # fmt: skip
    return numbered([one for each in engine.resolve(specs) for one in requests_of(each)])


@pytest.fixture
def requests(engine, tiny):
    """Twelve images of two schedulers."""
    return requests_for(engine, tiny, "ddim", "euler")


def stream(engine, requests, known):
    """Events of a stream whose machine replays forwards."""
    pipeline = loaded_pipeline(engine, requests[0])
    replaying = [replace(one, machine=replace(one.machine, graphs=True)) for one in requests]
    progress = BatchProgress(batches=3, going=lambda: True, environment=Environment(facts={}))
    return ImageStream(pipeline, replaying, progress, known, ("weights",)).events()


def hashes(events):
    return {event.request_id: pixel_sha256(event.pixels) for event in events if isinstance(event, ImageDone)}


def test_graphs_of_a_stream_give_the_bytes_of_eager_forwards(engine, requests):
    """Denoiser and decoder, in mixed forwards, and in the next stream."""
    eager = {done.request.id: pixel_sha256(done.pixels) for done in draw(engine, requests)}
    record = Again()
    known = Known(graphs=GraphCache(record))
    assert hashes(stream(engine, requests, known)) == eager
    assert (len(known.graphs), known.graphs.eager) == (2, {})
    before = record.replays
    assert hashes(stream(engine, requests, known)) == eager
    assert record.recorded == 2
    assert record.replays - before == 9 + 3  # all of it: 12 images of 3 steps, and 12 to decode, by fours


def test_graphs_are_dropped_before_a_batch_is_made_smaller(engine, requests, monkeypatch):
    """Out of memory with graphs: the images that are left are made by eager forwards of as many rows, each once."""
    import torch
    from diffusers import UNet2DConditionModel

    eager = {done.request.id: pixel_sha256(done.pixels) for done in draw(engine, requests)}
    record = Again()
    known = Known(graphs=GraphCache(record))
    forward, short = UNet2DConditionModel.forward, []

    @wraps(forward)  # whoever asks for its parameters, and remembers them, is told the truth
    def running_out(self, *args, **kwargs):
        if record.replays > 3 and not short:
            short.append(len(known.graphs))
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(UNet2DConditionModel, "forward", running_out)
    events = list(stream(engine, requests, known))
    assert hashes(events) == eager
    assert short == [1]  # the denoiser's; nothing was decoded yet
    assert len(known.graphs) == 0
    started = [event.request_id for event in events if isinstance(event, ImageStarted)]
    assert sorted(started) == sorted(eager)


def test_graphs_that_were_dropped_leave_nothing_of_the_forward_that_failed(engine, requests, monkeypatch):
    """What it computed with is freed before the images that are left are made: else they would not fit either."""
    import weakref

    import torch
    from diffusers import UNet2DConditionModel

    record = Again()
    known = Known(graphs=GraphCache(record))
    forward, held, alive = UNet2DConditionModel.forward, [], []

    @wraps(forward)
    def running_out(self, *args, **kwargs):
        if record.replays > 3 and not held:
            working = torch.zeros(3)
            held.extend(weakref.ref(each) for each in (working, args[0], kwargs["encoder_hidden_states"]))
            raise torch.OutOfMemoryError("CUDA out of memory")
        alive.append([one() is not None for one in held])
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(UNet2DConditionModel, "forward", running_out)
    assert len(hashes(stream(engine, requests, known))) == len(requests)
    afterwards = [any(each) for each in alive if each]
    assert afterwards
    assert not any(afterwards)


@on_cuda
def test_graphs_of_cuda_are_recorded_again_after_all_were_dropped(engine, requests):
    """Other weights, or too little memory, drop them all, and with them the pool that they shared."""
    known = Known()
    for _ in range(2):
        hashes(stream(engine, requests, known))
        assert (len(known.graphs), known.graphs.eager) == (2, {})
        known.graphs.drop()


@on_cuda
def test_graphs_of_cuda_give_the_bytes_of_eager_forwards(engine, requests):
    """Recorded and replayed by the device: none is refused."""
    eager = {done.request.id: pixel_sha256(done.pixels) for done in draw(engine, requests)}
    known = Known()
    assert hashes(stream(engine, requests, known)) == eager
    assert hashes(stream(engine, requests, known)) == eager
    assert (len(known.graphs), known.graphs.eager) == (2, {})


@on_cuda
@pytest.mark.parametrize("scheduler", ["ddim", "euler", "dpmsolver++", "pndm", "unipc", "heun", "dpmsolver-sde"])
def test_stream_of_a_scheduler_waits_for_the_device_at_its_ends_only(engine, tiny, scheduler):
    """Between the first step and the last nothing synchronises: torch itself raises where something does."""
    import torch

    requests, known = requests_for(engine, tiny, scheduler), Known()
    hashes(stream(engine, requests, known))
    made = 0
    try:
        for event in stream(engine, requests, known):
            torch.cuda.set_sync_debug_mode("default" if isinstance(event, ImageStarted) else "error")
            made += isinstance(event, ImageDone)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert made == len(requests)
