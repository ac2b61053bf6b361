"""Writes the ``parameters`` chunk: one image in the words of AUTOMATIC1111's web UI.

Most other tools read these.

::

    {prompt}
    Negative prompt: {negative prompt}          (line absent when empty)
    Steps: 25, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.5, Seed: 1, Size: 512x512, …

The rules are those of ``modules/infotext_utils.py`` (``parse_generation_parameters``, ``quote``), made narrower where
sd-parsers, sd-prompt-reader and Civitai read less than the web UI does. The format has no way to quote a prompt, so a
prompt that looks like a part of it is defused with a no-break space: the same tokens for every text encoder that folds
white space, the same look, and no reader takes it for a field. The ``promptlab`` chunk holds the words as they were.
LoRAs stand behind the prompt as ``<lora:name:0.8>``, which is how the web UI asks for them, and in a field of our own.
"""

from __future__ import annotations

import json
import re
from typing import Final

from promptlab import __version__
from promptlab.expand.ranges import show_number
from promptlab.expand.settings_text import short_source
from promptlab.images.samplers import sampler_of
from promptlab.plan import ImageRequest
from promptlab.specs.settings import settings_of

__all__ = ["display_name", "infotext"]

_NO_BREAK: Final = "\N{NO-BREAK SPACE}"
_NEGATIVE: Final = re.compile(r"Negative prompt:", re.IGNORECASE)
_STEPS: Final = re.compile(r"^(?=Steps:)", re.IGNORECASE | re.MULTILINE)
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_WEIGHTS: Final = (".safetensors", ".ckpt", ".bin", ".pt", ".pth")


def infotext(request: ImageRequest, *, size: tuple[int, int] | None = None) -> str:
    """Return the ``parameters`` chunk of one image.

    The first line break is there even when the prompt is empty: sd-prompt-reader finds the other lines by it.

    Args:
        size: width and height of the image, for a call that leaves them to the model.
    """
    call, pipeline = request.call, request.pipeline
    loras = [f"{short_source(each.name)}:{show_number(each.weight)}" for each in pipeline.loras]
    sampler = sampler_of(pipeline.scheduler)
    width, height = size or (call.width, call.height)
    arguments = dict(call.arguments)
    fields: dict[str, object] = {
        "Steps": call.num_inference_steps,  # first on its line: that is how the line is told from a prompt
        "Sampler": sampler.name,
        "Schedule type": sampler.schedule_type,
        "CFG scale": call.guidance_scale,
        "Seed": request.seed,
        "Size": f"{width}x{height}" if width and height else None,
        "Model": display_name(pipeline.model),  # and no "Model hash", which means a hash of a checkpoint file
        "VAE": pipeline.vae and display_name(pipeline.vae),
        "Clip skip": _clip_skip(call.clip_skip),
        "Variation seed": call.variation_seed if call.varied else None,
        "Variation seed strength": call.variation_strength if call.varied else None,
        "LoRA": " + ".join(loras) or None,
        **_table_fields(request),
        "Eta": sampler.eta,
        "Eta DDIM": arguments.get("eta") if sampler.name == "DDIM" else None,
        "RNG": "CPU" if request.generator_device == "cpu" else "GPU",  # absent would mean GPU
        "Version": f"PromptLab {__version__}",  # a bare number would switch the web UI to what it did at that version
    }
    lines = [" ".join([_defused(request.prompt), *(f"<lora:{lora}>" for lora in loras)])]
    if request.negative_prompt.strip():
        lines.append(f"Negative prompt: {_defused(request.negative_prompt)}")
    lines.append(", ".join(f"{key}: {_quoted(value)}" for key, value in fields.items() if value is not None))
    return "\n".join(lines)


def _table_fields(request: ImageRequest) -> dict[str, object]:
    """Return the fields that the table of settings names, for settings that stand in infotext as they are."""
    rows = (row for row in settings_of("pipeline", "call") if row.infotext is not None)
    values = {str(row.infotext): getattr(getattr(request, row.part), row.sets[0]) for row in rows}
    return {key: value for key, value in values.items() if value not in (None, False)}


def display_name(model: str) -> str:
    """Return a model's or VAE's name for people: a Hub id as it is, a folder or file by its own name.

    Folders above are left out: they say where someone keeps models, which is nobody else's business.
    """
    parts = [part for part in re.split(r"[\\/]+", model.strip()) if part not in ("", ".", "..", "~")]
    if not parts:
        return model
    name = parts[-1]
    for ending in _WEIGHTS:
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    is_hub_id = re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", model) is not None
    return model if is_hub_id else name


def _defused(prompt: str) -> str:
    """Return ``prompt`` with nothing in it that a reader takes for the format's words.

    Line breaks are kept.
    """
    text = _CONTROLS.sub(" ", prompt.replace("\r\n", "\n").replace("\r", "\n"))
    text = text.encode("utf-8", "replace").decode()  # half a surrogate pair fits in no chunk
    text = _NEGATIVE.sub(lambda found: found.group().replace(" ", _NO_BREAK), text)
    return _STEPS.sub(_NO_BREAK, text).strip("\n")


def _quoted(value: object) -> str:
    """Quote a value as the web UI's ``quote`` does: JSON for what would end the field early."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if re.search(r"[,:\n]", text) else text


def _clip_skip(value: int | None) -> int | None:
    """Return clip skip as the web UI counts it, the layer taken from the end: 1 skips none.

    diffusers counts the layers left out.
    """
    return value + 1 if value else None
