"""What is planned without torch is what is planned with it; what cannot be is left to the resolver."""

import pytest

from promptlab.engine.planning_engine import resolve_without_torch
from promptlab.engine.refusals import EarlyChecks
from promptlab.engine.sources.class_source import NotTold
from promptlab.engine.sources.environment_memory import recall_environment, remember_environment
from promptlab.engine.sources.finder import SourceFinder
from promptlab.records import Environment
from promptlab.specs import Lora, SchedulerSpec
from tests.engine.drawing import resolve


def early(spec):
    """The spec as it is completed without torch."""
    finder = SourceFinder()
    return resolve_without_torch(spec, EarlyChecks(finder=finder), finder)


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """A memory of the test's own."""
    monkeypatch.setenv("PROMPTLAB_CACHE", str(tmp_path / "cache"))


RIGHT = [
    {},
    {"num_inference_steps": None, "height": None, "width": None, "device": None},
    {"width": None, "guidance_scale": 1.0, "batch_size": 2},
    {"scheduler": SchedulerSpec(name="PNDMScheduler"), "clip_skip": 1, "guidance_until": 0.5},
    {"vae": "mini-vae-tiny", "arguments": (("eta", 0.5),)},
]


@pytest.mark.slow
@pytest.mark.parametrize("said", RIGHT, ids=range(len(RIGHT)))
def test_plan_without_torch_is_the_resolvers(engine, make_spec, cache, said):
    """Every field: defaults, identities, scheduler, steps, environment."""
    spec = make_spec("a fox", "a dog", seeds=(1, 2), **said)
    late = resolve(engine, spec)
    remember_environment(late.environment, late.spec.generator_device, late.spec.pipeline.dtype)
    assert early(spec) == late
    assert early(late.spec) == late


@pytest.mark.parametrize(
    "said",
    [{"scheduler": SchedulerSpec(name="EulerDiscreteScheduler")}, {"weighting": True}, {"attention_slicing": True},
     {"loras": (Lora(name="style.safetensors"),)}, {"model": "some/model"}],
    ids="-".join,
)  # fmt: skip
def test_plan_that_needs_torch_is_not_told(make_spec, cache, said):
    """Whether a scheduler runs, how kernels compute, what is in files of weights."""
    remember_environment(Environment(facts={"threads": 1}), "cpu", "float32")
    early(make_spec())
    with pytest.raises(NotTold):
        early(make_spec(**said))


def test_environment_is_remembered_with_all_that_decides_it(cache, monkeypatch):
    """Another number of threads that is asked for, another dtype: another environment, which nobody has measured."""
    measured = Environment(facts={"threads": 3, "torch": "2.0", "cudnn": None, "tf32": False})
    assert recall_environment("cpu", "float32") is None
    remember_environment(measured, "cpu", "float32")
    assert recall_environment("cpu", "float32") == measured
    assert recall_environment("cpu", "float16") is None
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert recall_environment("cpu", "float32") is None


def test_environment_that_was_written_in_part_is_not_there(cache, tmp_path):
    """Whatever is wrong with the memory, it has nothing."""
    remember_environment(Environment(facts={"threads": 3}), "cpu", "float32")
    (entry,) = (tmp_path / "cache" / "environments").iterdir()
    for text in ("", "[1]", '{"threads":'):
        entry.write_text(text, encoding="utf-8")
        assert recall_environment("cpu", "float32") is None


def test_environment_that_cannot_be_remembered_leaves_nothing_behind(cache, tmp_path):
    """A full disk, or something in the way, and no half of a file for each command that tried."""
    remember_environment(Environment(facts={"threads": 3}), "cpu", "float32")
    (entry,) = (tmp_path / "cache" / "environments").iterdir()
    entry.unlink()
    entry.mkdir()
    remember_environment(Environment(facts={"threads": 3}), "cpu", "float32")
    assert list(entry.parent.iterdir()) == [entry]
