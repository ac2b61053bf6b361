"""Memory, as it is estimated: what a setting takes, whether it fits, and what would make it fit."""

from dataclasses import replace

import pytest

from promptlab.plan.memory import PartWeights, WorkSizes, fit_report, memory_need
from promptlab.specs import CallSpec, MachineSpec, PipelineSpec, RunSpec, Variant

GIB = 2**30
PARTS = (
    PartWeights(name="transformer", numbers=12 * GIB, matrices=12 * GIB, absent=24 * GIB),
    PartWeights(name="text_encoder_2", numbers=5 * GIB, matrices=4 * GIB),
    PartWeights(name="vae", numbers=GIB // 12, matrices=0),
)
WORK = WorkSizes(height=1024, width=1024, halves=1, tokens=4608, channels=3072, decoded=256, can_tile=True)
SPEC = RunSpec(
    pipeline=PipelineSpec(model="m", dtype="bfloat16"), call=CallSpec(height=1024, width=1024),
    variants=(Variant(prompt=""),), seeds=(0,), batch_size=1,
)  # fmt: skip


def report(gib, device="cuda:0", **changes):
    return fit_report(SPEC.vary(**changes), device, PARTS, WORK, available=gib * GIB, disk=5 * GIB)


@pytest.mark.parametrize(
    ("changes", "weights"),
    [
        ({}, 34.2),
        ({"dtype": "float32"}, 68.3),
        ({"quantization": "int8"}, 22.3),
        ({"quantization": "nf4", "text_encoder_quantization": "nf4"}, 11.2),
        ({"offload": "model"}, 24.0),
        ({"offload": "sequential"}, 1.2),
    ],
)
def test_memory_need_counts_numbers_by_their_bytes(changes, weights):
    """Matrices in fewer bits, everything else in the run's dtype; offloaded, the largest part alone."""
    assert memory_need(SPEC.vary(**changes), PARTS, WORK, "cpu").weights / GIB == pytest.approx(weights, abs=0.1)


def test_memory_need_of_decoding_falls_with_tiles_and_pictures():
    """What is computed beside the weights grows with the batch, unless pictures or tiles are decoded one by one."""
    many = SPEC.vary(batch_size=8)
    sizes = [
        memory_need(many.vary(machine=machine), PARTS, WORK, "cpu").work
        for machine in (MachineSpec(), MachineSpec(vae_slicing=True), MachineSpec(vae_slicing=True, vae_tiling=True))
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[-1]


@pytest.mark.parametrize(
    ("gib", "device", "ways"),
    [
        (80, "cuda:0", []),
        (32, "cuda:0", [{"quantization": "int8"}, {"offload": "model"}]),
        (24, "cuda:0", [{"quantization": "int8", "text_encoder_quantization": "int8"}]),
        (20, "cuda:0", [{"offload": "model", "quantization": "int8"}]),
        (16, "cuda:0", [{"quantization": "nf4", "text_encoder_quantization": "nf4"}]),
        (2, "cuda:0", []),
        (48, "cpu", [{"dtype": "bfloat16"}, {"quantization": "int8"}]),
    ],
)
def test_fit_report_names_ways_that_fit_the_cheapest_first(gib, device, ways):
    """Each of them fits by the same sums, and none names more than it needs."""
    found = report(gib, device, dtype="float32" if device == "cpu" else "bfloat16")
    assert found.fits == (gib == 80)
    assert [dict(way.changes) for way in found.ways][: len(ways)] == ways
    assert all(way.need.total <= gib * GIB for way in found.ways)
    assert (not found.ways) == (gib in (80, 2))
    assert (found.absent, found.disk) == (24 * GIB, 5 * GIB)


def test_fit_report_names_no_way_that_would_be_refused():
    """Encoders that a checkpoint's file holds stay as they are, and float16 on a CPU is computed with no others."""
    whole = (PARTS[0], replace(PARTS[1], matrices=0))
    found = fit_report(SPEC, "cuda:0", whole, WORK, available=16 * GIB, disk=None)
    assert found.ways
    assert all("text_encoder_quantization" not in dict(way.changes) for way in found.ways)
    on_cpu = report(24, "cpu", dtype="float16")
    assert all(not {"quantization", "text_encoder_quantization"} & dict(way.changes).keys() for way in on_cpu.ways)


def test_fit_report_counts_what_is_quantised_already_as_it_is():
    """A GGUF, or a repository in four bits, is held as it is stored, whatever is asked for."""
    stored = (PartWeights(name="transformer", numbers=0, matrices=0, held=7 * GIB), *PARTS[1:])
    for changes in ({}, {"quantization": "int8"}, {"dtype": "float32"}):
        held = fit_report(SPEC.vary(**changes), "cuda:0", stored, WORK, available=8 * GIB, disk=None)
        assert dict(held.parts)["transformer"] == 7 * GIB
        assert all("quantization" not in dict(way.changes) for way in held.ways)
