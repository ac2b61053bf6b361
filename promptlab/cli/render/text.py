"""Renders what commands share: settings, changes, what was verified. Pure."""

from __future__ import annotations

from promptlab.cli.render.layout import counted, value_text
from promptlab.expand import show_seeds
from promptlab.expand.settings_text import conditioning_text
from promptlab.expand.word_diff import marked, word_diff
from promptlab.records import Outcome, Verification
from promptlab.specs import Change, RunSpec

__all__ = ["change_line", "setting_pairs", "verification_line"]


def verification_line(found: Verification) -> str:
    """Return ``exact``, or how far an image that was made again is from the one that is kept."""
    if found.outcome is Outcome.EXACT:
        return "exact"
    if found.differing_pixels is None:
        return f"{found.outcome}: it has another size"
    how_many = counted(found.differing_pixels, "pixel differs", "pixels differ")
    noise = "" if found.psnr is None else f", PSNR {found.psnr:.1f} dB"
    most, mean = found.greatest_difference, found.mean_difference
    return f"{found.outcome}: {how_many}, by {most} of 255 at most, {mean:.3g} on average{noise}"


def setting_pairs(
    spec: RunSpec, device: str, model_identity: str, vae_identity: str | None
) -> list[tuple[str, str | None]]:
    """Name and value of everything that is set."""
    pipeline, call = spec.pipeline, spec.call
    size = None if call.width is None else f"{call.width}x{call.height}"
    return [
        ("model", f"{pipeline.model} ({_short_identity(model_identity)})"),
        ("revision", pipeline.revision),
        ("weights variant", pipeline.variant),
        ("config", pipeline.config),
        ("vae", f"{pipeline.vae} ({_short_identity(vae_identity)})" if pipeline.vae else None),
        ("scheduler", str(pipeline.scheduler) if pipeline.scheduler else None),
        ("steps", _or_none(call.num_inference_steps)),
        ("guidance", None if call.guidance_scale is None else f"{call.guidance_scale:g}"),
        ("size", size),
        *((name.replace("_", " "), value) for name, value in conditioning_text(spec)),
        *((name, value_text(value)) for name, value in call.arguments),
        ("dtype", pipeline.dtype),
        ("device", device),
        ("batch size", _or_none(spec.batch_size)),
        ("noise drawn on", spec.generator_device),
        *((name.replace("_", " "), value_text(value)) for name, value in spec.machine.said.items()),
        ("seeds", show_seeds(spec.seeds)),
    ]


def change_line(change: Change) -> str:
    """Return a change in a line: seeds as ranges, prompts as the words that went and came."""
    before, after = change.before, change.after
    if change.field == "seeds":
        return f"seeds: {show_seeds(before)} → {show_seeds(after)}"
    if change.field.endswith("prompts") and len(before) == len(after) == 1:
        words = marked(word_diff(before[0], after[0]))
        return f"{change.field.removesuffix('s')}: {words}"
    if change.field.endswith("prompts"):
        return f"{change.field}: {counted(len(before), 'wording')} → {len(after)}"
    return str(change)


def _short_identity(identity: str | None) -> str:
    kind, _, digest = (identity or "?").partition(":")
    return f"{kind}:{digest[:12]}" if digest else kind


def _or_none(value: object) -> str | None:
    return None if value is None else str(value)
