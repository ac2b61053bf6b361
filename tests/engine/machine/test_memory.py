"""Memory, measured; and what happens when there is too little of it."""

import gc
import pickle
import weakref

import pytest

from promptlab.engine.errors import is_out_of_memory
from promptlab.engine.machine import memory
from promptlab.errors import EngineError, OutOfMemory
from promptlab.plan import requests_of
from promptlab.specs import PipelineSpec
from tests.engine.drawing import draw, resolve
from tests.engine.tiny import save_tiny

MIB = 2**20


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def torch():
    import torch

    return torch


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def tiny_spec(make_spec, tiny):
    def make(*prompts, **changes):
        spec = make_spec(*prompts, model=str(tiny), num_inference_steps=1, height=32, width=32)
        assert isinstance(spec.pipeline, PipelineSpec)
        return spec.vary(**changes)

    return make


def touched(size):
    """So many bytes that are really there: memory that is only asked for costs nothing."""
    return bytearray(b"x") * size


@pytest.mark.parametrize("way", ["the kernel's mark", "looking again and again"])
def test_memory_peak_is_of_its_own_block(monkeypatch, way):
    """What was taken before, however much, does not count; what is taken within, does."""
    if way != "the kernel's mark":
        monkeypatch.setattr(memory, "_reset_peak", lambda: False)
    elif not memory._reset_peak():
        pytest.skip("this system does not let a process set its mark back")
    before = touched(200 * MIB)
    del before
    with memory.measure_peak_memory("cpu") as small:
        pass
    with memory.measure_peak_memory("cpu") as large:
        held = touched(100 * MIB)
        if way == "the kernel's mark":
            del held  # the other way would have to be lucky to see it
    held = None
    with memory.measure_peak_memory("cpu") as after:
        pass
    assert 90 * MIB < large.bytes - small.bytes < 150 * MIB
    assert abs(after.bytes - small.bytes) < 20 * MIB


def test_memory_available_includes_the_process():
    """Available memory is some of the machine's, and what the process has is part of it."""
    there = memory.available_memory("cpu")
    with memory.measure_peak_memory("cpu") as peak:
        pass
    assert peak.bytes < there


@pytest.mark.parametrize(
    "said",
    [
        "MemoryError",
        "torch: CUDA out of memory. Tried to allocate",
        "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory",
        "MPS backend out of memory (MPS allocated: 17.0 GB)",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    ],
)
def test_memory_errors_have_one_class(torch, said):
    """However torch says it; other errors keep theirs."""
    error = MemoryError() if said == "MemoryError" else RuntimeError(said)
    if said.startswith("torch"):
        error = torch.OutOfMemoryError(said)
    assert is_out_of_memory(error)
    with pytest.raises(OutOfMemory, match="out of memory: 4 images") as raised, memory.out_of_memory(4, "cpu"):
        raise error
    assert raised.value.rows == 4
    assert "batch_size=2" in str(raised.value)
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)
    with pytest.raises(RuntimeError, match="wrong shape"), memory.out_of_memory(4, "cpu"):
        raise RuntimeError("wrong shape")


def test_memory_error_of_a_cpu_is_known(torch):
    """What torch's allocator says when it is asked for more than there is."""
    with pytest.raises(OutOfMemory), memory.out_of_memory(1, "cpu"):
        torch.empty(2**50)


def test_memory_of_a_failed_forward_is_freed(torch):
    """The frames that a traceback keeps alive would keep the tensors that filled the memory."""
    kept = []

    def forward():
        activations = torch.zeros(10)
        kept.append(weakref.ref(activations))
        raise torch.OutOfMemoryError("out of memory")

    with pytest.raises(OutOfMemory) as raised, memory.out_of_memory(2, "cpu"):
        forward()
    assert raised.value.__cause__ is None
    assert kept[0]() is None


def test_memory_error_of_a_forward_names_its_rows(engine, tiny_spec):
    """The engine says how many rows did not fit, and makes smaller ones afterwards; what fits is made before."""
    tasks = requests_of(resolve(engine, tiny_spec("a fox", "a dog", batch_size=2)))
    engine.most_rows = 1
    try:
        with pytest.raises(OutOfMemory) as raised:
            list(draw(engine, tasks))
        assert raised.value.rows == 2
        assert isinstance(raised.value, EngineError)
        alone = requests_of(resolve(engine, tiny_spec("a fox", "a dog", batch_size=1)))
        assert len(list(draw(engine, alone))) == 2
    finally:
        engine.most_rows = None
    gc.collect()
    (first, second) = draw(engine, tasks)
    assert first.batch == second.batch == 0


def test_memory_error_of_an_accelerator_is_survived(engine, tiny_spec, torch):
    """A real one: a forward larger than the device is OutOfMemory, and the next, smaller one is made."""
    if not torch.cuda.is_available():
        pytest.skip("needs an accelerator")
    huge = tiny_spec("a fox", device="cuda:0", batch_size=64, height=4096, width=4096)
    with pytest.raises(OutOfMemory):
        list(draw(engine, requests_of(resolve(engine, huge))))
    assert len(list(draw(engine, requests_of(resolve(engine, tiny_spec("a fox", device="cuda:0")))))) == 1
