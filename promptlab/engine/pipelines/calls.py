"""Reads what a pipeline's call takes from its signature: fills in defaults, checks names and kinds.

diffusers drops a keyword argument that it does not know without a word, so each is looked up here.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Union, get_args, get_origin

from promptlab.engine.pipelines.sizes import adjust_size, check_size, default_size_of
from promptlab.engine.pipelines.traits import call_parameters
from promptlab.engine.sources.auto_pipeline import text_to_image_class, text_to_image_name
from promptlab.engine.sources.class_source import ClassSource, class_source, parameters_of
from promptlab.engine.sources.configuration import Configuration
from promptlab.errors import InputError, UnknownValue, ref, ref_value
from promptlab.specs import CallSpec, RunSpec, Scalar
from promptlab.specs.settings import Setting, settings_of

__all__ = ["argument_settings", "not_taken", "pipeline_class", "pipeline_source", "resolve_call", "setting_arguments"]

_OURS: Final = frozenset({"callback_on_step_end", "callback_on_step_end_tensor_inputs", "output_type", "return_dict"})
"""Arguments that the engine itself gives or needs."""

_FIELDS: Final = {
    "prompt": "prompts", "negative_prompt": "negative_prompt", "generator": "seeds", "num_images_per_prompt": "seeds",
    "height": "size", "width": "size",
}  # fmt: skip
"""Arguments that a field of another name or part gives; further ones are fields of :class:`CallSpec`."""
_OTHER_THINGS: Final = frozenset(
    {"image", "images", "input_images", "mask_image", "video", "video_length", "audio_length_in_s", "audio_end_in_s"}
)
"""Arguments of pipelines that make, or need, something else: asked where AutoPipelineForText2Image lists no class."""
_PICTURES_OPTIONAL: Final = frozenset(
    {"OmniGenPipeline", "BriaFibo2Pipeline", "DreamLitePipeline", "DreamLiteMobilePipeline"}
)
"""Pipelines that AutoPipelineForText2Image does not list and that take pictures besides the words, or none."""

_CONTROL: Final = ("control_image", "controlnet")
"""An argument, or a part, of pipelines that draw over a picture they are given: without one they fail."""
_TYPEABLE: Final = (bool, int, float, str)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    types: frozenset[type]
    choices: tuple[Any, ...]

    def admits(self, value: Scalar) -> bool:
        if value is None:
            return True
        if self.choices and value in self.choices:
            return True
        if isinstance(value, int) and not isinstance(value, bool) and float in self.types:
            return True
        return type(value) in self.types


def pipeline_class(config: Configuration, name: str) -> Any:
    """Return the diffusers class that makes images from text with this model.

    It is the one that ``AutoPipelineForText2Image`` takes, or one of the same interface that it does not list.

    Raises:
        InputError: when the model makes something else than images, or from something else than text.
    """
    import diffusers

    found = text_to_image_class(config.pipeline_class)
    listed = found is not None
    found = found or getattr(diffusers, config.pipeline_class, None)
    _check_makes_images(found, config, name, listed=listed)
    return found


def pipeline_source(config: Configuration, name: str) -> ClassSource:
    """Return the source of the class that :func:`pipeline_class` returns, which is not imported.

    Raises:
        NotTold: when it is not found.
        InputError: as there.
    """
    listed = text_to_image_name(config.pipeline_class)
    found = class_source(listed or config.pipeline_class)
    _check_makes_images(found, config, name, listed=listed is not None)
    return found


def _check_makes_images(found: Any, config: Configuration, name: str, *, listed: bool) -> None:
    parameters = call_parameters(found) if found is not None else {}
    if found is None or not _makes_images(found, parameters, listed=listed) or _wants_a_picture(config):
        problem = f"is a {config.pipeline_class}, which makes no images from text alone"
        if found is None:
            import diffusers

            problem = f"is a {config.pipeline_class}, which this diffusers ({diffusers.__version__}) does not know"
        elif _controlled(found, parameters):
            problem += ": it draws over a picture"
        elif "num_frames" in parameters:
            problem += ": it makes videos"
        raise InputError("model", name, problem=problem, allowed="text-to-image models", hint="promptlab models")


def _makes_images(kind: Any, parameters: Mapping[str, inspect.Parameter], *, listed: bool) -> bool:
    needs = [each.name for each in parameters.values() if each.default is each.empty and each.name != "prompt"]
    if not {"prompt", "generator"} <= parameters.keys() or needs or "num_frames" in parameters:
        return False
    if _controlled(kind, parameters):
        return False
    others = _OTHER_THINGS & parameters.keys() and kind.__name__ not in _PICTURES_OPTIONAL
    return listed or ({"height", "width"} <= parameters.keys() and not others)


def _controlled(kind: Any, parameters: Mapping[str, inspect.Parameter]) -> bool:
    return any(name in parameters or name in parameters_of(kind, "__init__") for name in _CONTROL)


def _wants_a_picture(config: Configuration) -> bool:
    """Tell whether the denoiser gets an image besides the latents.

    Inpainting (9 channels) and editing (8) models of the Stable Diffusion family would load as text-to-image models and
    then fail.
    """
    denoiser = config.denoiser or {}
    return "unet" in config.parts and denoiser.get("in_channels") in {8, 9} and denoiser.get("out_channels") == 4


def argument_settings() -> Mapping[str, Setting]:
    """Return the settings that the pipeline's call takes as they are, by the argument's name."""
    return {row.argument: row for row in settings_of("call") if row.argument is not None}


def setting_arguments(call: CallSpec) -> dict[str, Any]:
    """Return the arguments that ``call`` gives by settings of their own."""
    given = ((name, getattr(call, row.sets[0])) for name, row in argument_settings().items())
    return {name: value for name, value in given if value is not None}


def resolve_call(spec: RunSpec, pipeline: Any, config: Configuration, vae: Any = None, meta: Any = None) -> CallSpec:
    """Fill in every default that signature, configuration or the pipeline's own code tell, and check.

    Args:
        vae: configuration of another VAE than the model's own.
        meta: the pipeline without its weights, where there is one; see
            :mod:`promptlab.engine.pipelines.meta_pipeline`.

    Raises:
        UnknownValue: for an argument that the pipeline does not take.
        InputError: for a value of the wrong kind, one that has no effect, or a size that the VAE cannot make.
    """
    parameters, call = call_parameters(pipeline), spec.call
    _check_asked(spec, parameters, pipeline, embedded=_embeds_guidance(parameters, config))
    _check_arguments(call, parameters, pipeline)

    def default(name: str) -> Any:
        found = parameters[name].default if name in parameters else None
        return found if isinstance(found, int | float) else None

    size = default_size_of(pipeline, config, vae, meta) if "height" in parameters else None
    height = call.height or default("height") or (size and size[0])
    width = call.width or default("width") or (size and size[1])
    guidance = default("guidance_scale") if _embeds_guidance(parameters, config) is not False else None
    resolved = replace(
        call,
        num_inference_steps=call.num_inference_steps or _own_steps(meta) or default("num_inference_steps"),
        guidance_scale=guidance if call.guidance_scale is None else call.guidance_scale,
        height=height and int(height),
        width=width and int(width),
    )
    _check_steps(resolved, pipeline, meta)
    _check_schedule(resolved, parameters, pipeline)
    if call.height is None and call.width is None:
        resolved = adjust_size(resolved, pipeline, meta)
    check_size(resolved, pipeline, config, vae, meta)
    return resolved


def _own_steps(meta: Any) -> int | None:
    """Return the steps that a model was distilled for, where ``model_index.json`` has the noise of each."""
    sigmas = getattr(getattr(meta, "config", None), "sample_sigmas", None)
    return len(sigmas) if sigmas else None


def _check_steps(call: CallSpec, pipeline: Any, meta: Any) -> None:
    """Refuse other steps than those of a distilled model: Qwen-Image 2.1 takes no others."""
    own = _own_steps(meta)
    if own is not None and call.num_inference_steps != own:
        raise InputError(
            "num_inference_steps", call.num_inference_steps,
            problem=f"has no effect on this {pipeline.__name__}, which was distilled for {own}",
            allowed=f"{own}", hint=ref_value("num_inference_steps", own),
        )  # fmt: skip


def _check_schedule(call: CallSpec, parameters: Mapping[str, inspect.Parameter], pipeline: Any) -> None:
    """Refuse steps that do not fit a guidance schedule, which has one number a step: Ideogram's."""
    schedule = getattr(parameters.get("guidance_schedule"), "default", None)
    if schedule is None or call.guidance_scale is not None or call.num_inference_steps == len(schedule):
        return
    raise InputError(
        "num_inference_steps", call.num_inference_steps,
        problem=f"is not the length of {pipeline.__name__}'s guidance schedule",
        allowed=f"{len(schedule)}, or any number with one {ref('guidance_scale')} for all steps",
        hint=ref_value("guidance_scale", f"{schedule[0]:g}"),
    )  # fmt: skip


def _embeds_guidance(parameters: Mapping[str, inspect.Parameter], config: Configuration) -> bool | None:
    """Tell whether the model was distilled to be given its guidance; ``None`` where that is no question.

    FLUX and Qwen-Image take ``guidance_scale`` for that and ``true_cfg_scale`` for guidance proper. Of a model that was
    not distilled so they drop the first without a word.
    """
    embeds = (config.denoiser or {}).get("guidance_embeds")
    return embeds if "true_cfg_scale" in parameters and isinstance(embeds, bool) else None


def _check_asked(
    spec: RunSpec, parameters: Mapping[str, inspect.Parameter], pipeline: Any, *, embedded: bool | None
) -> None:
    """Refuse what was asked for and would be dropped.

    Raises:
        InputError: naming the argument that does what was meant, where the pipeline has one.
    """
    call = spec.call
    for name in ("num_inference_steps", "guidance_scale", "height"):
        value = getattr(call, name)
        if value is not None and (name not in parameters or (name == "guidance_scale" and embedded is False)):
            raise not_taken("size" if name == "height" else name, value, pipeline, _instead(name, parameters))
    given = dict(call.arguments) | setting_arguments(call)
    scale = given.get("true_cfg_scale", getattr(parameters.get("true_cfg_scale"), "default", None))
    for variant in spec.variants:
        if variant.negative_prompt and "negative_prompt" not in parameters:
            raise not_taken("negative_prompt", variant.negative_prompt, pipeline)
        if variant.negative_prompt and isinstance(scale, int | float) and scale <= 1:
            raise InputError(
                "negative_prompt", variant.negative_prompt,
                problem=f"has no effect on {pipeline.__name__} at true_cfg_scale {scale:g}",
                allowed="a true_cfg_scale over 1, which takes a second forward a step",
                hint=_argument_hint("true_cfg_scale", 4),
            )  # fmt: skip


def _instead(name: str, parameters: Mapping[str, inspect.Parameter]) -> list[str]:
    """Return the arguments that do what ``name`` does elsewhere: of a prior, of a decoder."""
    meant = ("cfg_scale", "guidance_scale") if name == "guidance_scale" else (name,)
    return [other for other in parameters if other.endswith(meant) and other != name]


def _argument_hint(name: str, value: object) -> str:
    """Mark how an argument of the call is set: by its setting where it has one, else among ``arguments``."""
    row = argument_settings().get(name)
    return ref_value("arguments", f"{name}={value}") if row is None else ref_value(row.sets[0], value)


def _check_arguments(call: CallSpec, parameters: Mapping[str, inspect.Parameter], pipeline: Any) -> None:
    if not call.arguments:
        return
    fields = {field: field for row in settings_of("call") for field in row.sets}
    fields |= {name: row.sets[0] for name, row in argument_settings().items()} | _FIELDS
    kinds = {name: _kind(each.annotation) for name, each in parameters.items() if name not in _OURS}
    typeable = {name: kind for name, kind in kinds.items() if kind.types or kind.choices}
    for name, value in call.arguments:
        if name in fields:
            own = ref(fields[name])
            raise InputError("arguments", name, problem="has an option of its own", allowed=own, hint=own)
        if name not in typeable:
            raise UnknownValue(
                "arguments", name, typeable, problem=f"is no argument of {pipeline.__name__} that can be typed",
                hint="the command without it",
            )  # fmt: skip
        if not typeable[name].admits(value):
            words = sorted(kind.__name__ for kind in typeable[name].types) or map(str, typeable[name].choices)
            raise InputError(
                "arguments", f"{name}={value}", problem="is of the wrong kind", allowed=", ".join(words),
                hint=ref_value("arguments", f"{name}=VALUE"),
            )  # fmt: skip


def not_taken(field: str, value: object, pipeline: Any, instead: Sequence[str] = ()) -> InputError:
    """Compose the error about a setting that a pipeline has no use for.

    Args:
        instead: arguments of its call that do what was meant.
    """
    shown = f"{value:g}" if isinstance(value, int | float) else value
    hints = " ".join(_argument_hint(name, shown) for name in instead)
    return InputError(
        field, value, problem=f"means nothing to {pipeline.__name__}",
        allowed=hints or f"a model that takes {ref(field)}", hint=hints or f"the command without {ref(field)}",
    )  # fmt: skip


def _kind(annotation: Any) -> _Kind:
    inner = get_args(annotation) if get_origin(annotation) in {Union, types.UnionType} else (annotation,)
    choices = tuple(value for each in inner if get_origin(each) is Literal for value in get_args(each))
    return _Kind(types=frozenset(each for each in inner if each in _TYPEABLE), choices=choices)
