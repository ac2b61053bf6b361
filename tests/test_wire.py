"""What travels as JSON comes back equal, and what the reader does not know is refused with both sides' versions."""

import dataclasses
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from promptlab import __version__
from promptlab.engine import (
    EngineEvent,
    ForwardOutOfMemory,
    ImageDone,
    ImageFailed,
    ImageStarted,
    ModelLoaded,
    ModelLoading,
    StepDone,
)
from promptlab.errors import InputError, ServerError
from promptlab.expand.axes import Axis
from promptlab.expand.sweep import Sweep, build_sweep
from promptlab.lab.execution.events import (
    BatchSizeChosen,
    DefaultsChosen,
    Event,
    Interrupted,
    JobWaiting,
    PromptsTruncated,
)
from promptlab.plan import ImageRequest, ResolvedSpec, TruncatedPrompt, requests_of
from promptlab.records import Environment, ImageRecord, ImageStatus, SweepRun
from promptlab.specs import (
    CallSpec,
    Change,
    Embedding,
    Lora,
    MachineSpec,
    PipelineSpec,
    RunSpec,
    SchedulerSpec,
    Variant,
    options,
)
from promptlab.store.rated_images import Vote
from promptlab.testing import Painter
from promptlab.wire import decode, encode
from tests.engine.drawing import resolve

SPEC = RunSpec(
    pipeline=PipelineSpec(model="mini", scheduler=SchedulerSpec(name="EulerAncestralDiscreteScheduler")),
    call=CallSpec(num_inference_steps=2, height=64, width=64),
    variants=(Variant(prompt="a wizard"), Variant(prompt="a pirate", negative_prompt="beard")),
    seeds=(0, 1, 7),
    batch_size=4,
)


def back(hint, value):
    """Return ``value`` after a journey as text."""
    return decode(hint, json.loads(json.dumps(encode(value))), theirs=__version__)


def test_requests_come_back_from_the_wire_equal():
    """With everything that a request can hold."""
    spec = SPEC.vary(
        loras=(Lora(name="ink", weight=0.5),), embeddings=(Embedding(name="cat", token="<cat>"),), vae="other",
        arguments=(("eta", 0.5),), weighting=True, variation_seed=3, variation_strength=0.25, offload="model",
    )  # fmt: skip
    for resolved in (
        resolve(Painter(), spec),
        dataclasses.replace(resolve(Painter(), SPEC), steps=(3, 1), pieces=(1, 2)),
    ):
        assert back(ResolvedSpec, resolved) == resolved
        for request in requests_of(resolved, within="12/"):
            same = back(ImageRequest, request)
            assert same == request
            assert [each.identity for each in same.pipeline.loras] == [each.identity for each in request.pipeline.loras]
    assert MachineSpec(offload="model") == resolve(Painter(), spec).spec.machine


EVENTS = [
    ModelLoading(what="mini", done=1, total=2),
    ModelLoaded(seconds=1.5),
    ImageStarted(request_id="1/0"),
    StepDone(batch=0, batches=2, step=1, steps=20),
    ImageFailed(request_id="1/0", reason="no"),
    ForwardOutOfMemory(request_ids=("1/0", "1/1"), rows=4),
    JobWaiting(ahead=3),
    Interrupted(),
    DefaultsChosen(lines=("lcm.safetensors is an LCM LoRA: 4 steps",)),
    PromptsTruncated(prompts=(TruncatedPrompt(prompt="a", encoder="tokenizer", words="b"),)),
    BatchSizeChosen(batch_size=4, tried=3),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_events_come_back_from_the_wire_equal(event):
    """Each as JSON and back."""
    assert back(Event, event) == event


def test_images_come_back_from_the_wire_with_their_pixels():
    """Bytes, size, and all that is told of them."""
    pixels = np.random.default_rng(1).integers(0, 256, (3, 5, 3), dtype=np.uint8)
    image = ImageDone(
        request_id="1/0", pixels=pixels, batch=1, row=2, seconds=0.5, environment=Environment(facts={"threads": 2}),
        peak_memory=7, flag="black", decoded_in="float32",
    )  # fmt: skip
    same = back(EngineEvent, image)
    assert isinstance(same, ImageDone)
    np.testing.assert_array_equal(same.pixels, pixels)
    names = [field.name for field in dataclasses.fields(ImageDone) if field.name != "pixels"]
    assert [getattr(same, name) for name in names] == [getattr(image, name) for name in names]


SPECS = [
    SPEC,
    SPEC.vary(scheduler=SchedulerSpec(name="DDIMScheduler", options=options({"eta": 0.5, "on": True}))),
    SPEC.vary(batch_size="auto"),
    SPEC.vary(
        loras=(Lora(name="ink", weight=0.5),), arguments=(("eta", None), ("type", "x")), guidance_scale=7, exact=True,
        variants=(Variant(prompt="\ud83d half \ud800", label="✓", template="{a|b}", replacement="a=>b", source=0),),
    ),
]  # fmt: skip


@pytest.mark.parametrize("spec", SPECS)
def test_specs_come_back_from_the_wire_equal(spec):
    """With every kind of value that they hold, and words that no encoding has."""
    same = back(RunSpec, spec)
    assert same == spec
    assert same.to_dict() == spec.to_dict()


def test_sweeps_come_back_from_the_wire_equal():
    """Axes may hold anything that a setting is: a scheduler, LoRAs, words, a size, nothing at all."""
    axes = [
        Axis(field="scheduler", values=(None, SchedulerSpec(name="DDIMScheduler"))),
        Axis(field="lora", values=((), (Lora(name="ink"),))),
        Axis(field="size", values=((64, 64), (64, 128))),
        Axis(field="prompts", values=(SPEC.variants, (Variant(prompt="x"),))),
    ]
    sweep = build_sweep(SPEC, axes)
    assert back(Sweep, sweep) == sweep


RECORDS = [
    ImageRecord(run_id=1, position=0, variant=0, seed=3, status=ImageStatus.MADE, recipe_key="k", parent=(1, 2),
                made_at=datetime(2026, 1, 2, 3, 4, 5, 6, UTC), favourite=False),
    SweepRun(run_id=3, place=(0, 1), values=(("steps", "20"),)),
    Change(field="seeds", before=[1, 2], after=None),
    Change(field="x", before={"a": (1, 2)}, after=Lora(name="ink")),
    Environment(facts={"threads": 2, "tf32": False, "driver": None}),
]  # fmt: skip


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_records_come_back_from_the_wire_equal(record):
    """Times with their zone, statuses, tuples as tuples and lists as lists."""
    assert back(type(record), record) == record


def test_collections_come_back_from_the_wire_equal():
    """Those that a verb may return."""
    assert back(tuple[SweepRun, ...], (RECORDS[1],)) == (RECORDS[1],)
    assert back(tuple[int, int], (1, 2)) == (1, 2)
    assert back(int | None, None) is None
    assert back(dict[int, Vote], {1: Vote(winner=1, loser=2, tie=False)}) == {1: Vote(winner=1, loser=2, tie=False)}
    assert back(Counter[str], Counter(new=2)) == Counter(new=2)
    assert back(Path, Path("/a b")) == Path("/a b")


@pytest.mark.parametrize(
    ("plain", "problem"),
    [
        ({"type": "SweepRun", "run_id": 1, "place": [], "values": [], "colour": "red"}, "no field 'colour'"),
        ({"type": "Subprocess"}, "'Subprocess' where SweepRun is expected"),
        ({"type": "SweepRun", "run_id": "1", "place": [], "values": []}, "'1' where a whole number is expected"),
        ({"type": "SweepRun", "run_id": True, "place": [], "values": []}, "'True' where a whole number"),
        ({"type": "SweepRun"}, "missing"),
        (7, "'7' where SweepRun"),
        ([], "where SweepRun"),
        (None, "where SweepRun"),
    ],
)
def test_decode_of_what_is_not_known_is_refused_with_both_versions(plain, problem):
    """A field or class of a newer PromptLab is not dropped in silence."""
    with pytest.raises(
        ServerError, match=rf"PromptLab 9.9 wrote cannot be read by PromptLab {__version__}: .*{problem}"
    ):
        decode(SweepRun, plain, theirs="9.9")


def test_decode_of_an_unknown_event_names_it():
    """Of a union, too."""
    with pytest.raises(ServerError, match="'Exploded' is none of"):
        decode(Event, {"type": "Exploded"}, theirs="9.9")
    with pytest.raises(ServerError, match="'Popen' is unknown"):
        decode(Change, {"type": "Change", "field": "x", "before": {"type": "Popen"}, "after": 1}, theirs="9.9")


def test_decode_of_a_value_out_of_range_is_the_specs_own_error():
    """A spec checks itself wherever it comes from."""
    plain = encode(SPEC)
    plain["call"]["num_inference_steps"] = 0
    with pytest.raises(InputError, match="num_inference_steps"):
        decode(RunSpec, plain, theirs=__version__)


def test_encode_of_a_live_object_is_refused():
    """Nothing but plain data travels."""
    with pytest.raises(TypeError, match="does not travel"):
        encode(object())
