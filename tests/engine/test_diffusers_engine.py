"""The promise: an image's bytes are decided by its task alone. And what happens when one cannot be made."""

import gc
import time
from dataclasses import replace

import numpy as np
import pytest

from promptlab.engine import ModelLoaded, ModelLoading, StepDone
from promptlab.errors import EngineError, InputError
from promptlab.images.png import pixel_sha256
from promptlab.plan import requests_of
from promptlab.specs.schedulers import parse_scheduler
from tests.engine.company import DEVICE, hashes
from tests.engine.drawing import draw, resolve
from tests.engine.schedulers.test_registry import COMPATIBLE

pytestmark = pytest.mark.slow

ONE_OF_EACH = {"EulerDiscreteScheduler", "PNDMScheduler", "DPMSolverSDEScheduler"}
"""As many evaluations as steps, one more, and two a step; test_image_stream.py has all schedulers in every run."""


def make(engine, spec):
    """The pixels of every image of ``spec``, by prompt and seed."""
    return by_task(draw(engine, requests_of(resolve(engine, spec))))


def by_task(pictures):
    return {(p.request.prompt, p.request.seed): p.pixels.tobytes() for p in pictures}


@pytest.mark.parametrize(
    "scheduler",
    [
        "dpmsolver-sde",
        *(pytest.param(name, marks=pytest.mark.exhaustive)
          for name in ("euler-a", "pndm", "ddpm", "sde-dpmsolver++", "lms", "kdpm2-a")),
    ],
)  # fmt: skip
def test_generate_in_any_company_makes_the_same_bytes(engine, make_spec, scheduler):
    """The same task gives the same bytes alone in a padded batch, among others, in any order and any slot."""
    spec = make_spec(
        "a red circle", "a blue square", seeds=(0, 1, 7), batch_size=4, scheduler=parse_scheduler(scheduler)
    )
    tasks = requests_of(resolve(engine, spec))
    together = by_task(draw(engine, tasks))
    assert len(set(together.values())) == 6
    assert by_task(draw(engine, tasks[::-1])) == together
    assert by_task(draw(engine, (tasks[4], tasks[0], tasks[4]))).items() <= together.items()
    for task in (tasks[1], tasks[5]):
        assert by_task(draw(engine, [task])).items() <= together.items()


def test_generate_beside_another_setting_makes_the_same_bytes(engine, make_spec):
    """Runs of several schedulers in one call are as if each had been alone."""
    first = make_spec("a red circle", seeds=(0, 1), batch_size=2)
    second = first.vary(scheduler=parse_scheduler("euler-a"), num_inference_steps=3)
    alone = {}
    for spec in (first, second):
        alone |= hashes(engine, requests_of(resolve(engine, spec)))
    tasks = [
        task for pair in zip(*(requests_of(resolve(engine, s)) for s in (first, second)), strict=True) for task in pair
    ]
    pictures = list(draw(engine, tasks))
    assert [(p.batch, p.row) for p in pictures] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert {p.request.recipe_key: pixel_sha256(p.pixels) for p in pictures} == alone


def test_generate_beside_a_negative_prompt_makes_the_same_bytes(engine, make_spec):
    """Tasks with and without a negative prompt are made apart: some pipelines treat none and empty differently."""
    plain = make_spec("a red circle", batch_size=2)
    both = plain.vary(variants=(*plain.variants, replace(plain.variants[0], prompt="a fox", negative_prompt="red")))
    assert make(engine, plain).items() <= make(engine, both).items()


@pytest.mark.parametrize("scheduler", ["euler-a", "dpmsolver++", pytest.param("pndm", marks=pytest.mark.exhaustive)])
def test_generate_makes_the_image_that_diffusers_makes(engine, make_spec, mini, scheduler):
    """The pipeline called directly with the same batch gives the same bytes: nothing is added on the way."""
    import diffusers
    import torch

    from promptlab.engine.machine.torch_setup import deterministic, quietly

    spec = make_spec(
        "a red circle", "a blue square", seeds=(3, 4), negative_prompt="dull", batch_size=4, dtype="float32",
        scheduler=parse_scheduler(scheduler), guidance_scale=5.0,
    )  # fmt: skip
    ours = [picture.pixels for picture in draw(engine, requests_of(resolve(engine, spec)))]
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(mini, dtype=torch.float32).to(DEVICE)
    pipeline.set_progress_bar_config(disable=True)
    with quietly(), deterministic():  # a GPU would compute float32 in fewer bits
        kind = getattr(diffusers, parse_scheduler(scheduler).name)
        pipeline.scheduler = kind.from_config(pipeline.scheduler.config)
        theirs = pipeline(
            ["a red circle", "a red circle", "a blue square", "a blue square"],
            negative_prompt=["dull"] * 4,
            num_inference_steps=2,
            guidance_scale=5.0,
            height=64,
            width=64,
            generator=[torch.Generator("cpu").manual_seed(seed) for seed in (3, 4, 3, 4)],
        ).images
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine, np.asarray(other))


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in ONE_OF_EACH else pytest.mark.exhaustive) for name in COMPATIBLE],
)
def test_generate_with_every_compatible_scheduler_makes_images(engine, make_spec, name):
    """All fifteen run on the bundled model, and tell every evaluation of it, however many that is."""
    events = []
    spec = make_spec(seeds=(0, 1), num_inference_steps=3, scheduler=parse_scheduler(name))
    pictures = list(draw(engine, requests_of(resolve(engine, spec)), events.append))
    assert all(p.pixels.shape == (64, 64, 3) and p.pixels.flags.c_contiguous and p.flag is None for p in pictures)
    assert all(p.pixels.std() > 1 for p in pictures)
    steps = [(e.step, e.steps) for e in events if isinstance(e, StepDone)]
    evaluations = {"PNDMScheduler": 4}.get(name, 5 if name.startswith(("Heun", "KDPM2")) or "SDE" in name else 3)
    assert steps == [(at, evaluations) for at in range(1, evaluations + 1)]


def test_generate_in_half_precision_runs_on_a_cpu(engine, make_spec):
    """The other dtypes make about the same picture."""
    seen = {
        dtype: np.frombuffer(next(iter(make(engine, make_spec(dtype=dtype)).values())), np.uint8).astype(float)
        for dtype in ("float32", "float16", "bfloat16")
    }
    assert not np.array_equal(seen["float32"], seen["bfloat16"])
    for dtype in ("float16", "bfloat16"):
        assert np.abs(seen["float32"] - seen[dtype]).mean() < 12


def test_generate_in_float16_on_a_cpu_is_rounded_float32(make_spec):
    """float16 kernels that few processors have are computed in float32: the same numbers, each rounded once."""
    import torch
    from torch.nn import functional

    from promptlab.engine.machine.torch_setup import half_on_cpu

    torch.manual_seed(0)
    image, kernel, bias = torch.randn(2, 8, 9, 9).half(), torch.randn(4, 8, 3, 3).half(), torch.randn(4).half()
    with half_on_cpu("cpu", "float16"):
        half = functional.conv2d(image, kernel, bias=bias, padding=1)
        assert functional.conv2d(image.float(), kernel.float()).dtype is torch.float32
    assert half.dtype is torch.float16
    torch.testing.assert_close(half, functional.conv2d(image.float(), kernel.float(), bias.float(), padding=1).half())
    native = functional.conv2d(image, kernel, bias, padding=1)
    torch.testing.assert_close(half, native, atol=0.02, rtol=0.002)


def test_generate_settings_reach_the_pipeline(engine, make_spec):
    """Every part of the call changes the picture."""
    spec = make_spec()
    specs = [
        spec,
        spec.vary(guidance_scale=1.0),
        spec.vary(num_inference_steps=3),
        spec.vary(arguments=(("guidance_rescale", 0.7),)),
    ]
    assert len({next(iter(make(engine, each).values())) for each in specs}) == 4
    picture = next(draw(engine, requests_of(resolve(engine, spec.vary(width=96)))))
    assert picture.pixels.shape == (64, 96, 3)


def test_generate_with_another_scheduler_loads_nothing(engine, make_spec):
    """Weights stay in memory: only what differs is loaded."""
    events = []
    list(draw(engine, requests_of(resolve(engine, make_spec())), events.append))
    events.clear()
    list(draw(engine, requests_of(resolve(engine, make_spec(scheduler=parse_scheduler("unipc")))), events.append))
    assert not [event for event in events if isinstance(event, ModelLoading)]
    assert [event.seconds for event in events if isinstance(event, ModelLoaded)] == [0.0]


def test_generate_tells_memory_and_time(engine, make_spec):
    """Each image has its share of the forwards that it took part in, padding included, and the batch's peak memory."""
    tasks = requests_of(resolve(engine, make_spec(seeds=(0, 1, 2), batch_size=2)))
    began = time.perf_counter()
    pictures = list(draw(engine, tasks))
    took = time.perf_counter() - began
    assert [(p.batch, p.row) for p in pictures] == [(0, 0), (0, 1), (1, 0)]
    assert all(0 < p.seconds < 60 and p.peak_memory > 50_000_000 for p in pictures)
    assert sum(picture.seconds for picture in pictures) <= took  # no second is counted twice


def test_generate_leaves_the_flags_of_the_process_alone(engine, make_spec):
    """Deterministic kernels are for the forward alone, whatever the program around it has chosen."""
    import torch

    torch.backends.cudnn.benchmark = True
    try:
        for _ in draw(engine, requests_of(resolve(engine, make_spec()))):
            assert torch.backends.cudnn.benchmark
            assert not torch.are_deterministic_algorithms_enabled()
            assert torch.is_grad_enabled()
    finally:
        torch.backends.cudnn.benchmark = False


def test_generate_interrupted_leaves_no_trace(engine, make_spec):
    """Ctrl-C in the middle of a batch is not an error, and the next picture is as it would have been."""
    spec = make_spec(seeds=(5,), num_inference_steps=4, scheduler=parse_scheduler("lms"))
    before = make(engine, spec)

    def interrupt(event):
        if isinstance(event, StepDone) and event.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(draw(engine, requests_of(resolve(engine, spec)), interrupt))
    assert make(engine, spec) == before


def test_generate_foreign_error_becomes_a_line(engine, make_spec):
    """What the pipeline raises is one line of PromptLab's own, and the engine goes on working."""
    (task,) = requests_of(resolve(engine, make_spec()))
    with pytest.raises(EngineError, match="range") as caught:
        list(draw(engine, [replace(task, call=replace(task.call, clip_skip=50))]))  # as resolving would not let it
    assert "\n" not in str(caught.value)
    assert len(make(engine, make_spec())) == 1


@pytest.mark.parametrize("kind", ["MemoryError", "OutOfMemoryError"])
def test_generate_out_of_memory_says_what_to_try(kind):
    """The one failure that a user can do something about says what."""
    import torch

    from promptlab.engine.errors import translate_errors

    error = MemoryError() if kind == "MemoryError" else torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate")
    with (
        pytest.raises(EngineError, match=r"^mini would not load: out of memory; end what else .*offload=model"),
        translate_errors("mini would not load"),
    ):
        raise error


def test_resolve_weights_that_are_cut_short_become_a_line(engine, make_spec, copy_of_mini):
    """A download that was broken off is found before anything is begun, and said in one line."""
    folder = copy_of_mini()
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(InputError, match="is cut short: it has 100,000 of its ") as caught:
        resolve(engine, make_spec(model=str(folder)))
    assert "\n" not in str(caught.value)


def test_picture_black_or_broken_is_flagged():
    """A picture that is black, is no numbers, or was blacked out by the model's checker is to be looked at again."""
    import torch

    from promptlab.engine.sampling.pixels import PictureOnDevice

    grey = torch.full((3, 8, 8), 0.5)
    broken = grey.clone()
    broken[:, 0, 0] = float("nan")
    given = [(grey, False), (grey * 0.001, False), (grey * 0, True), (broken, False)]
    images = [PictureOnDevice(image, unsafe=unsafe).taken() for image, unsafe in given]
    assert [image.flag for image in images] == [None, "black", "unsafe", "nan"]
    assert images[3].pixels[0, 0].tolist() == [0, 0, 0]
    assert images[3].pixels[1, 1].tolist() == [128, 128, 128]


def test_generate_prints_nothing(engine, make_spec, copy_of_mini, capfd):
    """Progress is told to the watcher; the terminal stays the command line's."""
    list(draw(engine, requests_of(resolve(engine, make_spec(model=str(copy_of_mini()), dtype="bfloat16")))))
    assert capfd.readouterr() == ("", "")


def test_generate_with_another_model_frees_the_old_one(engine, make_spec, copy_of_mini):
    """Two models side by side are what runs an accelerator out of memory."""
    import torch

    def denoisers():
        gc.collect()
        found = [each for each in gc.get_objects() if type(each).__name__ == "UNet2DConditionModel"]
        return [each for each in found if isinstance(each, torch.nn.Module)]

    engine.close()
    of_others = len(denoisers())
    list(draw(engine, requests_of(resolve(engine, make_spec()))))
    folder = copy_of_mini()
    (folder / "tokenizer" / "note.txt").write_text("another model")
    list(draw(engine, requests_of(resolve(engine, make_spec(model=str(folder))))))
    assert len(denoisers()) == of_others + 1
    engine.close()
