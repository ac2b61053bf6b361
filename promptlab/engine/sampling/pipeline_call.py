"""Makes one image by its pipeline's own call: a copy of the pipeline, a scheduler, a generator.

Invariants: what an image looks like is decided by its request alone; its generator is made anew from its seed, its
schedulers are its own and never used before, and the pipeline that was handed in is not changed.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from promptlab.engine.pipelines.calls import setting_arguments
from promptlab.engine.pipelines.denoising_steps import guided_steps
from promptlab.engine.pipelines.sizes import check_image_size
from promptlab.engine.pipelines.traits import GUIDED_TENSORS, call_parameters, images_of
from promptlab.engine.sampling.guidance import drop_guidance
from promptlab.engine.sampling.pixels import PictureOnDevice
from promptlab.engine.sampling.text_memory import encoding_alone
from promptlab.engine.sampling.variation_noise import mix_noise
from promptlab.engine.schedulers.dry_run import draw_from_generators
from promptlab.engine.schedulers.noise_sampler import draw_on_device
from promptlab.engine.schedulers.registry import build_scheduler
from promptlab.engine.text.prompt_encoding import Encoding, encode_pair, needs_prompt_embeds
from promptlab.plan import ImageRequest
from promptlab.specs import SchedulerSpec

if TYPE_CHECKING:
    import torch

__all__ = ["PipelineCall", "generator_of"]

_DEVICE: Final = "_promptlab_device"
"""Names the attribute of a copied pipeline that says where it computes."""


def generator_of(request: ImageRequest) -> torch.Generator:
    """Make the generator of one image: one for several would give each the noise of its place among them."""
    import torch

    return torch.Generator(request.generator_device).manual_seed(request.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineCall:
    """Calls a pipeline for one image, when it is called itself.

    Args:
        pipeline: loaded; others may be using it.
        request: the image.
    """

    pipeline: Any
    request: ImageRequest

    def __call__(self) -> PictureOnDevice:
        """Make the image.

        Raises:
            InputError: when the pipeline makes another size than was asked for.
            Exception: whatever the pipeline raises.
        """
        generator = generator_of(self.request)
        pipeline = _copied(self.pipeline, self.request, generator)
        output = pipeline(**_arguments(pipeline, self.request, generator))
        image = _image(output)
        check_image_size(self.request.call, (*image.shape[1:], image.shape[0]), type(self.pipeline))
        unsafe = getattr(output, "nsfw_content_detected", None)
        return PictureOnDevice(image, unsafe=bool(unsafe[0]) if unsafe else False)


def _copied(pipeline: Any, request: ImageRequest, generator: torch.Generator) -> Any:
    """Return a pipeline of this image's own around the same weights, with fresh schedulers.

    One scheduler that several pipelines share is one in the copy. What noise a scheduler draws comes from the image's
    generator, whoever calls it.
    """
    import torch
    from diffusers import DiffusionPipeline, SchedulerMixin

    made: dict[int, Any] = {}

    def own(name: str, part: Any) -> Any:
        if isinstance(part, DiffusionPipeline):
            return copied(part)
        if not isinstance(part, SchedulerMixin):
            return part
        if id(part) not in made:
            made[id(part)] = draw_from_generators(_fresh(name, part, request), [generator])
        return made[id(part)]

    def copied(one: Any) -> Any:
        mine = copy.copy(one)
        vars(mine).update({name: own(name, part) for name, part in vars(one).items()})
        if request.machine.offload is None:
            vars(mine)[_DEVICE] = torch.device(request.device)
            kind: Any = type(one)
            mine.__class__ = _of_known_device(kind)
        else:  # hooks belong to the weights, which others are using
            vars(mine)["maybe_free_model_hooks"] = lambda: None
        return mine

    for name, part in vars(pipeline).items():  # its names for schedulers count, not those of pipelines in it
        if isinstance(part, SchedulerMixin):
            own(name, part)
    return copied(pipeline)


@lru_cache(maxsize=64)
def _of_known_device(kind: type) -> type:
    """Return a class like ``kind`` whose pipelines know where they compute.

    Each call of a pipeline of diffusers looks for it in all layers of all parts, for what an offloading hook may say;
    that takes as long as several steps of a small scheduler.
    """

    def device(self: Any) -> Any:
        return vars(self)[_DEVICE]

    same = {name: getattr(kind, name) for name in ("__doc__", "__module__", "__qualname__")}
    return type(kind.__name__, (kind,), {**same, "_execution_device": property(device)})


def _fresh(name: str, own: Any, request: ImageRequest) -> Any:
    chosen = request.pipeline.scheduler
    spec = chosen if chosen is not None and name == "scheduler" else SchedulerSpec(name=type(own).__name__)
    return draw_on_device(build_scheduler(spec, own.config, [request.seed]), request.generator_device)


def _arguments(pipeline: Any, request: ImageRequest, generator: torch.Generator) -> dict[str, Any]:
    parameters: Mapping[str, Any] = call_parameters(type(pipeline))
    call, given = request.call, dict(request.call.arguments)
    arguments: dict[str, Any] = {
        "num_inference_steps": call.num_inference_steps,
        "guidance_scale": 1.0 if call.guidance_until == 0 else call.guidance_scale,
        "height": call.height,
        "width": call.width,
        "clip_skip": None if needs_prompt_embeds(pipeline, call) else call.clip_skip,
        **setting_arguments(call),
        **given,
    }
    arguments = {name: value for name, value in arguments.items() if value is not None or name in given}
    if "guidance_schedule" in parameters and call.guidance_scale is not None:
        arguments["guidance_schedule"] = None  # it takes one number or one a step, never both
    if call.guidance_until is not None:
        arguments["callback_on_step_end"] = _guidance_dropper(request)
        arguments["callback_on_step_end_tensor_inputs"] = ["latents", *GUIDED_TENSORS.get(type(pipeline).__name__, ())]
    if call.varied:
        arguments |= mix_noise(pipeline, request, generator)
    return {
        **arguments, **_texts(pipeline, request), "generator": [generator],
        "output_type": "pt" if hasattr(pipeline, "image_processor") else "np",
    }  # fmt: skip


def _texts(pipeline: Any, request: ImageRequest) -> dict[str, Any]:
    """Return the arguments that hold the words, or what stands for them."""
    if not needs_prompt_embeds(pipeline, request.call):
        words = {"prompt": [request.prompt], "negative_prompt": [request.negative_prompt]}
        return words if request.negative_prompt else {"prompt": words["prompt"]}
    with encoding_alone():
        prompt, negative = encode_pair(pipeline, request.prompt, request.negative_prompt, request.call)
    given = _named("", prompt) | _named("negative_", negative)
    return {name: value for name, value in given.items() if name in call_parameters(type(pipeline))}


def _named(kind: str, encoding: Encoding) -> dict[str, torch.Tensor]:
    pooled = {} if encoding.pooled is None else {f"{kind}pooled_prompt_embeds": encoding.pooled}
    return {f"{kind}prompt_embeds": encoding.embeds, **pooled}


def _guidance_dropper(request: ImageRequest) -> Any:
    """Return a callback that drops guidance at the end of the step where it stops."""

    def done(pipeline: Any, step: int, timestep: object, tensors: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001
        due = step + 1 == guided_steps(_steps(pipeline, step + 1), request.call)
        return drop_guidance(pipeline, tensors) if due and pipeline.do_classifier_free_guidance else tensors

    return done


def _steps(pipeline: Any, at_least: int) -> int:
    """Return the steps of a call: schedulers may take more than asked for, Heun almost twice as many."""
    steps = getattr(pipeline, "num_timesteps", None) or len(getattr(pipeline.scheduler, "timesteps", ()))
    return max(int(steps), at_least)


def _image(output: Any) -> torch.Tensor:
    """Return the image of a pipeline's output, ``[3, height, width]``, 0 … 1, on its device."""
    import torch

    given = getattr(output, "images", None)
    if isinstance(given, torch.Tensor) and given.dim() == 4 and given.shape[1] == 3:
        return given[0]
    (image,) = images_of(output, 1)
    return torch.from_numpy(image).permute(2, 0, 1)
