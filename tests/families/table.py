"""Every family that diffusers maps to text-to-image, by its name there, and some that it does not map: what is proved,
and how; what is refused, and why. ``benchmarks/families.py`` carries it out and writes ``docs/families.md``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.families import language, processing, transforming, unets

_CONTROL = "draws over a control picture, which a prompt does not give"
_VIDEO = "makes videos"


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One family.

    Args:
        name: the key of ``AUTO_TEXT2IMAGE_PIPELINES_MAPPING``, or the name it goes by.
        build: gives the pipeline, tiny; ``None`` where none is built.
        refused: why such a model is refused; empty where it is not.
        unproved: why none was built and run.
        needs: a package without which it cannot be built, and that PromptLab does not install.
        words: further words of the command line, for a picture small enough.
        size: of the picture, both sides.
        steps: of the command line; some families have none of that name.
        represents: the kind of family that it stands for in every run of the suite; of those that stand for none, the
            same is proved by ``make exhaustive`` and once a week.
    """

    name: str
    build: Callable[[], Any] | None = None
    refused: str = ""
    unproved: str = ""
    needs: str = ""
    words: tuple[str, ...] = ()
    size: int = 64
    steps: int | None = 2
    represents: str = ""


_UNBINNED = ("--set", "use_resolution_binning=false")
_FEW = ("--set", "prior_num_inference_steps=2")

FAMILIES = (
    Family(name="stable-diffusion", build=unets.stable_diffusion),
    Family(name="stable-diffusion 2.x", build=unets.stable_diffusion_2),
    Family(name="turbo", build=unets.turbo, words=("--guidance", "0"), steps=1, represents="one step without guidance"),
    Family(name="stable-diffusion-xl", build=unets.stable_diffusion_xl, represents="two text encoders"),
    Family(
        name="stable-diffusion-3",
        build=transforming.stable_diffusion_3,
        represents="flow matching, three text encoders",
    ),
    Family(name="stable-diffusion-3-pag", build=transforming.stable_diffusion_3_pag),
    Family(name="if", build=unets.deepfloyd_if),
    Family(name="hunyuan", build=transforming.hunyuan, words=_UNBINNED),
    Family(name="hunyuan-pag", build=transforming.hunyuan_pag, words=_UNBINNED),
    Family(name="kandinsky", build=unets.kandinsky, words=_FEW),
    Family(name="kandinsky22", build=unets.kandinsky_22, words=_FEW, represents="a prior and a decoder under one name"),
    Family(name="kandinsky3", build=unets.kandinsky_3),
    Family(name="stable-diffusion-controlnet", refused=_CONTROL),
    Family(name="stable-diffusion-xl-controlnet", refused=_CONTROL),
    Family(name="stable-diffusion-xl-controlnet-union", refused=_CONTROL),
    Family(name="stable-diffusion-3-controlnet", refused=_CONTROL),
    Family(
        name="wuerstchen",
        build=unets.wuerstchen,
        words=_FEW,
        size=128,
        represents="decoder that repeats texts",
    ),
    Family(name="cascade", build=unets.stable_cascade, words=_FEW, size=128),
    Family(name="lcm", build=unets.latent_consistency),
    Family(name="pixart-alpha", build=transforming.pixart_alpha, words=_UNBINNED),
    Family(name="pixart-sigma", build=transforming.pixart_sigma, words=_UNBINNED),
    Family(name="sana", build=transforming.sana, words=_UNBINNED),
    Family(name="sana-pag", build=transforming.sana_pag, words=_UNBINNED),
    Family(name="stable-diffusion-pag", build=unets.stable_diffusion_pag),
    Family(name="stable-diffusion-controlnet-pag", refused=_CONTROL),
    Family(name="stable-diffusion-xl-pag", build=unets.stable_diffusion_xl_pag),
    Family(name="stable-diffusion-xl-controlnet-pag", refused=_CONTROL),
    Family(name="pixart-sigma-pag", build=transforming.pixart_sigma_pag, words=_UNBINNED),
    Family(name="auraflow", build=transforming.auraflow),
    Family(name="flux", build=transforming.flux, represents="guidance that the model was distilled to be told"),
    Family(name="flux-control", refused=_CONTROL),
    Family(name="flux-controlnet", refused=_CONTROL),
    Family(name="flux-kontext", build=transforming.flux_kontext, words=("--set", "max_area=4096")),
    Family(name="flux2-klein", build=language.flux_2_klein),
    Family(name="flux2", build=language.flux_2),
    Family(
        name="ideogram4",
        build=language.ideogram_4,
        words=("--guidance", "4", "--set", "max_sequence_length=400"),
    ),
    Family(name="krea2", build=language.krea_2),
    Family(name="lumina", build=transforming.lumina),
    Family(name="lumina2", build=transforming.lumina_2),
    Family(name="chroma", build=transforming.chroma),
    Family(name="cogview3", build=transforming.cogview_3),
    Family(name="cogview4", build=language.cogview_4),
    Family(name="glm_image", build=processing.glm_image),
    Family(name="helios", refused=_VIDEO),
    Family(name="helios-pyramid", refused=_VIDEO),
    Family(name="cogview4-control", refused=_CONTROL),
    Family(name="nucleusmoe-image", build=processing.nucleus_moe_image, needs="torchvision"),
    Family(name="qwenimage", build=language.qwen_image, represents="prompts padded to the longest of the batch"),
    Family(name="qwenimage21", build=processing.qwen_image_21, needs="torchvision"),
    Family(name="qwenimage-controlnet", refused=_CONTROL),
    Family(name="z-image", build=language.z_image),
    Family(name="z-image-controlnet", refused=_CONTROL),
    Family(name="z-image-controlnet-inpaint", refused=_CONTROL),
    Family(name="z-image-omni", build=language.z_image_omni),
    Family(name="ovis", build=language.ovis),
    Family(name="prx", build=language.prx, needs="ftfy", words=_UNBINNED),
    Family(name="hidream (not mapped)", build=transforming.hidream, size=128, steps=1),
    Family(name="omnigen (not mapped)", build=processing.omnigen, needs="torchvision"),
)
