"""Images of a stream: what pipelines make by themselves, in any company, in as few forwards as there can be."""

import random
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps

import numpy as np
import pytest

from promptlab.engine import ImageDone, ImageFailed, ImageStarted, StepDone
from promptlab.engine.machine.torch_setup import deterministic, quietly
from promptlab.engine.schedulers.registry import build_scheduler
from promptlab.images.png import pixel_sha256
from promptlab.plan import plan, requests_of
from promptlab.specs import CallSpec, PipelineSpec, RunSpec, Variant
from promptlab.specs.schedulers import parse_scheduler
from tests.engine.company import DEVICE, SCHEDULERS, hashes
from tests.engine.drawing import draw, numbered, resolve
from tests.engine.tiny import save_tiny, save_tiny_xl

pytestmark = pytest.mark.slow

PNDM = "pndm:skip_prk_steps=true"
SIX = ("dpmsolver++", "euler-a", "ddim", PNDM, "heun", "dpmsolver-sde")
ALL = tuple(PNDM if scheduler == "pndm" else scheduler for scheduler in SCHEDULERS)
WORDS = ("a red circle", "a fox at night", "portrait of a chief")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A Stable Diffusion of a few thousand weights."""
    return str(save_tiny(tmp_path_factory.mktemp("tiny")))


@pytest.fixture(scope="module")
def tiny_xl(tmp_path_factory):
    """The same of XL's kind."""
    return str(save_tiny_xl(tmp_path_factory.mktemp("tiny-xl")))


def spec_of(model, *, scheduler="ddim", steps=3, guidance=5.0, size=32, prompts=WORDS[:2], seeds=(3, 4), **changes):
    spec = RunSpec(
        pipeline=PipelineSpec(model=model, dtype="float32", scheduler=parse_scheduler(scheduler)),
        call=CallSpec(num_inference_steps=steps, guidance_scale=guidance, height=size, width=size),
        variants=tuple(Variant(prompt=prompt, negative_prompt="dull") for prompt in prompts),
        seeds=tuple(seeds),
        batch_size=4,
        device=DEVICE,
    )
    return spec.vary(**changes)


def tasks_for(engine, specs):
    return [task for each in engine.resolve(specs) for task in requests_of(each)]


@contextmanager
def counted():
    """The rows of each forward of the denoiser in the block, and the texts of each of the text encoder."""
    import diffusers
    import transformers

    rows, texts = [], []
    denoise, encode = diffusers.UNet2DConditionModel.forward, transformers.CLIPTextModel.forward

    @wraps(denoise)
    def denoising(self, sample, *args, **kwargs):
        rows.append(len(sample))
        return denoise(self, sample, *args, **kwargs)

    @wraps(encode)
    def encoding(self, tokens, *args, **kwargs):
        texts.append([tuple(each.tolist()) for each in tokens])
        return encode(self, tokens, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(diffusers.UNet2DConditionModel, "forward", denoising)
        patched.setattr(transformers.CLIPTextModel, "forward", encoding)
        yield rows, texts


@pytest.fixture(scope="module")
def stock():
    """diffusers' own pipelines, called by themselves: spec → pixels of its four images in one batch."""
    import diffusers
    import torch

    loaded = {}

    def of(kind, resolved, **arguments):
        folder = resolved.spec.pipeline.model
        if folder not in loaded:
            loaded[folder] = getattr(diffusers, kind).from_pretrained(folder, dtype=torch.float32).to(DEVICE)
            loaded[folder].set_progress_bar_config(disable=True)
        pipeline, rows, call = loaded[folder], requests_of(resolved), resolved.spec.call
        own = pipeline.scheduler
        pipeline.scheduler = build_scheduler(resolved.spec.pipeline.scheduler, own.config, [task.seed for task in rows])
        with quietly(), deterministic(), torch.inference_mode():
            images = pipeline(
                [task.prompt for task in rows],
                negative_prompt=[task.negative_prompt for task in rows] if rows[0].negative_prompt else None,
                num_inference_steps=call.num_inference_steps,
                guidance_scale=call.guidance_scale,
                height=call.height,
                width=call.width,
                generator=[torch.Generator("cpu").manual_seed(task.seed) for task in rows],
                output_type="np",
                **arguments,
            ).images
        pipeline.scheduler = own
        return {
            task.recipe_key: (image * 255).round().astype(np.uint8) for task, image in zip(rows, images, strict=True)
        }

    return of


def made(engine, tasks):
    return {picture.request.recipe_key: picture.pixels for picture in draw(engine, tasks)}


def differing(ours, theirs):
    """Recipe key → the greatest difference, of those that differ."""
    apart = {key: int(np.abs(ours[key].astype(int) - theirs[key].astype(int)).max()) for key in theirs}
    return {key: levels for key, levels in apart.items() if levels}


@pytest.mark.parametrize("guidance", [5.0, pytest.param(1.0, marks=pytest.mark.exhaustive)])
def test_image_stream_of_every_scheduler_makes_what_its_pipeline_makes(engine, stock, tiny, guidance):
    """All fifteen, and options of theirs, in one stream: to the byte the pipeline's own picture at that batch size.

    But for dpmsolver-sde on an accelerator, whose pipeline draws the steps' noise there: ours is a CPU's everywhere.
    """
    names = [scheduler for scheduler in ALL if DEVICE == "cpu" or scheduler != "dpmsolver-sde"]
    specs = [spec_of(tiny, scheduler=scheduler, guidance=guidance) for scheduler in names]
    ours = made(engine, tasks_for(engine, specs))
    for resolved, scheduler in zip(engine.resolve(specs), names, strict=True):
        assert differing(ours, stock("StableDiffusionPipeline", resolved)) == {}, scheduler


def test_image_stream_with_the_bundled_model_makes_what_its_pipeline_makes(engine, stock, mini):
    """Whose denoiser is given the words once more, as an added condition."""
    specs = [
        spec_of(str(mini), scheduler=scheduler, steps=2, size=64, guidance=guidance)
        for scheduler, guidance in (("euler-a", 5.0), ("dpmsolver++", 1.0), ("kdpm2", 3.0))
    ]
    ours = made(engine, tasks_for(engine, specs))
    for resolved in engine.resolve(specs):
        assert differing(ours, stock("StableDiffusionPipeline", resolved)) == {}


@pytest.mark.parametrize("negative", ["dull", pytest.param("", marks=pytest.mark.exhaustive)])
def test_image_stream_of_xl_makes_what_its_pipeline_makes(engine, stock, tiny_xl, negative):
    """Added conditions of words and sizes; no negative prompt is zeros there, and not the empty text."""
    variants = tuple(Variant(prompt=prompt, negative_prompt=negative) for prompt in WORDS[:2])
    specs = [
        spec_of(tiny_xl, scheduler=scheduler, guidance=guidance, variants=variants)
        for scheduler, guidance in (("euler", 5.0), ("unipc", 1.0), (PNDM, 3.0))
    ]
    ours = made(engine, tasks_for(engine, specs))
    for resolved in engine.resolve(specs):
        assert differing(ours, stock("StableDiffusionXLPipeline", resolved)) == {}


def test_image_stream_of_call_arguments_makes_what_its_pipeline_makes(engine, stock, tiny):
    """``eta`` and rescaled guidance reach each image's own steps."""
    specs = [spec_of(tiny, arguments=(("eta", 0.7),)), spec_of(tiny, guidance_rescale=0.6)]
    ours = made(engine, tasks_for(engine, specs))
    for resolved, arguments in zip(engine.resolve(specs), ({"eta": 0.7}, {"guidance_rescale": 0.6}), strict=True):
        assert differing(ours, stock("StableDiffusionPipeline", resolved, **arguments)) == {}


@pytest.mark.parametrize("prompts", [1, pytest.param(2, marks=pytest.mark.exhaustive)])
def test_image_stream_in_any_company_makes_the_same_bytes(engine, tiny, prompts):
    """Images over 6 schedulers, 5 to 30 steps and three guidance values: together, in random order, and alone."""
    specs = [
        spec_of(tiny, scheduler=scheduler, steps=steps, guidance=guidance, prompts=WORDS[:prompts], seeds=seeds)
        for scheduler, steps, guidance, seeds in zip(
            SIX * 2, (5, 9, 30, 7, 6, 5, 25, 12, 8, 6, 5, 7), (7.5, 1.0, 3.0) * 4, ((0,), (7,)) * 6, strict=True
        )
    ]
    tasks = tasks_for(engine, specs)
    assert len(tasks) == 12 * prompts
    pooled = hashes(engine, tasks)
    assert len(set(pooled.values())) == 12 * prompts
    shuffled = list(tasks)
    random.Random(4).shuffle(shuffled)
    assert hashes(engine, shuffled) == pooled
    alone = {}
    for task in shuffled:
        alone |= hashes(engine, [task])
    assert alone == pooled


def test_image_stream_of_a_sweep_takes_the_forwards_that_were_planned(engine, tiny):
    """64 images over 4 schedulers and 4 numbers of steps: no forward more than ceil(work / slots), as planned."""
    specs = [
        spec_of(tiny, scheduler=scheduler, steps=steps, seeds=(0, 1))
        for scheduler in ("ddim", "euler", PNDM, "heun")
        for steps in (2, 3, 5, 7)
    ]
    resolved = engine.resolve(specs)
    tasks = [task for each in resolved for task in requests_of(each)]
    assert len(tasks) == 64
    begun = []
    engine.close()  # and with it what other tests have encoded
    with counted() as (rows, texts):
        list(draw(engine, tasks, lambda event: begun.append(event) if isinstance(event, ImageStarted) else None))
    work = 4 * sum(steps + steps + steps + 1 + 2 * steps - 1 for steps in (2, 3, 5, 7))
    assert set(rows) == {8}
    assert len(rows) <= 1.05 * -(-work // 4)
    made = plan(resolved)
    assert (len(rows), made.forwards, made.batches) == (-(-work // 4), made.forwards, 16)
    assert made.forwards == len(rows)
    assert sorted(int(event.request_id) for event in begun) == list(range(64))
    assert [len(each) for each in texts] == [4, 4, 4]  # two prompts and a negative one, each encoded once
    assert [len(set(each)) for each in texts] == [1, 1, 1]  # beside nothing but copies of itself
    with counted() as (_, again):
        list(draw(engine, tasks[:2]))
    assert again == []  # and remembered


def test_image_stream_of_eight_settings_takes_a_quarter_of_the_forwards(engine, tiny):
    """Against one picture after the other, a forward for each of its steps."""
    specs = [
        spec_of(tiny, scheduler=scheduler, steps=steps, prompts=WORDS[:1], seeds=(1,), batch_size=8)
        for scheduler in ("ddim", "euler", "unipc", "dpmsolver++")
        for steps in (6, 8)
    ]
    tasks = tasks_for(engine, specs)
    with counted() as (together, _):
        pooled = hashes(engine, tasks)
    with counted() as (apart, _):
        for task in tasks:
            assert hashes(engine, [task]).items() <= pooled.items()
    assert len(together) == 8
    assert len(together) <= len(apart) / 4


def test_image_stream_without_guidance_takes_one_row_an_image(engine, tiny):
    """Four with guidance are eight rows, four without it four."""
    specs = [spec_of(tiny, guidance=guidance) for guidance in (5.0, 1.0)]
    with counted() as (rows, _):
        list(draw(engine, tasks_for(engine, specs)))
    assert sorted(rows) == [4, 4, 4, 8, 8, 8]


def test_denoising_steps_of_what_only_a_pipeline_knows_are_none(engine, stock, tiny_xl):
    """An argument of the call that leaves steps out: the images are the pipeline's all the same."""
    cut_short = spec_of(tiny_xl, steps=4, arguments=(("denoising_end", 0.5),))
    (resolved,) = engine.resolve([cut_short])
    assert resolved.steps is None
    assert (
        differing(made(engine, requests_of(resolved)), stock("StableDiffusionXLPipeline", resolved, denoising_end=0.5))
        == {}
    )
    assert resolve(engine, spec_of(tiny_xl, weighting=True)).steps == (3, 0)
    assert resolve(engine, spec_of(tiny_xl)).steps == (3, 0)
    assert resolve(engine, spec_of(tiny_xl, guidance=1.0)).steps == (0, 3)


def test_image_stream_image_that_fails_costs_only_itself(engine, tiny):
    """The others come out, and are what they would have been; at the end it is said which did not, and why."""
    fine = tasks_for(engine, [spec_of(tiny, scheduler="euler")])
    (task,) = tasks_for(engine, [spec_of(tiny, seeds=(3,), prompts=WORDS[:1])])
    bad = [replace(task, call=replace(task.call, clip_skip=50))]  # as resolving would not let it
    requests = numbered([*bad, *fine])
    events = list(engine.generate(requests))
    (failed,) = [event for event in events if isinstance(event, ImageFailed)]
    assert failed.request_id == "0"
    assert "range" in failed.reason
    others = {requests[int(e.request_id)].recipe_key: e.pixels for e in events if isinstance(e, ImageDone)}
    assert len(others) == 4
    assert differing(others, made(engine, fine)) == {}


def test_image_stream_cancelled_finishes_what_is_begun(engine, tiny):
    """Asked to stop, those under way come out whole, and nothing else is begun."""
    tasks = tasks_for(engine, [spec_of(tiny, scheduler=scheduler, steps=4) for scheduler in ("ddim", "euler", "unipc")])
    requests = numbered(tasks)
    generation, begun, images = engine.generate(requests), [], {}
    for event in generation:
        if isinstance(event, StepDone) and event.step == 2:
            generation.cancel()
        if isinstance(event, ImageStarted):
            begun.append(requests[int(event.request_id)])
        if isinstance(event, ImageDone):
            images[requests[int(event.request_id)].recipe_key] = pixel_sha256(event.pixels)
    assert 0 < len(begun) < len(tasks)
    assert images == hashes(engine, begun)


@pytest.mark.parametrize(
    "dtype", ["float32", *(pytest.param(dtype, marks=pytest.mark.exhaustive) for dtype in ("bfloat16", "float16"))]
)
def test_image_stream_with_two_threads_makes_the_same_bytes(engine, mini, dtype):
    """Guided rows come in pairs, timesteps differ from row to row: an image's bytes are its own all the same."""
    import torch

    specs = [
        spec_of(str(mini), scheduler=scheduler, steps=steps, size=64, dtype=dtype, seeds=(0,))
        for scheduler, steps in (("euler-a", 2), ("pndm", 3))
    ]
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        tasks = tasks_for(engine, specs)
        pooled = hashes(engine, tasks)
        assert hashes(engine, [tasks[3], tasks[0]]).items() <= pooled.items()
        assert hashes(engine, [tasks[2]]).items() <= pooled.items()
    finally:
        torch.set_num_threads(before)
