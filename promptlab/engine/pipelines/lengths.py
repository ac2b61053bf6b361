"""Which families may make different words in one forward: those that read every prompt at one length.

Some pipelines pad prompts to the longest of their batch, or cut what all of them leave empty (Qwen-Image, Kandinsky 3).
The length of its neighbour then decides an image's bytes. Nothing in a signature tells. Those below pad every prompt to
``max_length`` in their ``encode_prompt``, and their tiny pipelines made a short prompt alone and beside one of 150
letters, the same to the byte: see ``benchmarks/families.py``.

Invariant: any other family makes equal words only in one forward, which costs time and never bytes.
"""

from __future__ import annotations

from typing import Any, Final

__all__ = ["MIXING", "ONE_BY_ONE", "mixes_words"]

MIXING: Final = frozenset(
    {
        "AuraFlowPipeline", "ChromaPipeline", "CogView3PlusPipeline", "Flux2KleinPipeline", "Flux2Pipeline",
        "FluxKontextPipeline", "FluxPipeline", "HunyuanDiTPAGPipeline", "HunyuanDiTPipeline", "IFPipeline",
        "Ideogram4Pipeline",
        "KandinskyCombinedPipeline", "KandinskyV22CombinedPipeline", "LatentConsistencyModelPipeline",
        "Lumina2Pipeline", "OvisImagePipeline", "PixArtAlphaPipeline", "PixArtSigmaPAGPipeline", "PixArtSigmaPipeline",
        "SanaPAGPipeline", "SanaPipeline", "StableCascadeCombinedPipeline", "StableDiffusion3PAGPipeline",
        "StableDiffusion3Pipeline", "StableDiffusionPAGPipeline", "StableDiffusionPipeline",
        "StableDiffusionXLPAGPipeline", "StableDiffusionXLPipeline",
    }
)  # fmt: skip
"""Pipelines whose images were the same to the byte in any company."""

ONE_BY_ONE: Final = frozenset({"GlmImagePipeline", "PRXPipeline", "WuerstchenCombinedPipeline"})
"""Pipelines that make one picture at a time: GLM-Image draws the codes of all pictures of a batch with the seed of the
first; PRX tells its transformer the time of two rows, one guided and one not; Wuerstchen's decoder repeats its texts
once for each picture, and fails on several."""


def mixes_words(kind: Any) -> bool:
    """Whether the pipeline class ``kind`` may be given different prompts in one forward."""
    return kind.__name__ in MIXING
