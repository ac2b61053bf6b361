"""The images of a resolved spec, one task each.

The order is the grid's: variant by variant, seed by seed. A task carries all that its image needs and no live object,
so that tasks can be pickled, sent elsewhere, shuffled or dropped without changing what any other image looks like.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from promptlab.specs import (
    AUTO,
    CallSpec,
    MachineSpec,
    PipelineSpec,
    RunSpec,
    Variant,
    recipe_key,
    setting_key,
    words_key,
)

__all__ = ["DEFAULT_BATCH_SIZE", "ImageRequest", "ResolvedSpec", "chosen_batch_size", "keys_of", "requests_of"]

DEFAULT_BATCH_SIZE = 4
_AS_EVER: Final = MachineSpec()


def chosen_batch_size(spec: RunSpec) -> int:
    """The batch size of ``spec``; where it names none, four, or the number of images where there are fewer.

    So it is where the largest that fits is wanted, too, until that is known.
    """
    if spec.batch_size is None or spec.batch_size == AUTO:
        return min(DEFAULT_BATCH_SIZE, spec.image_count)
    return spec.batch_size


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedSpec:
    """A spec with every default filled in, and the weights told apart by content.

    Args:
        spec: complete: dtype, scheduler, steps, guidance, device and batch size are named; ``height`` and ``width``
            too, where the model's configuration tells them. On the Hub, ``revision`` is a commit.
        device: the device that will be used, such as ``cuda:0``.
        model_identity: ``commit:<sha>`` or ``sha256:<hex>`` of the weights and configurations.
        vae_identity: likewise, when another VAE was named.
        mixes_words: whether images of different words may share a forward: not where a pipeline pads each prompt to the
            longest of its batch.
        pieces: of each variant, in how many pieces of the encoder's length its texts are read; empty where all have
            one length. Only texts of one length share a forward.
    """

    spec: RunSpec
    device: str
    model_identity: str
    vae_identity: str | None = None
    mixes_words: bool = True
    pieces: tuple[int, ...] = ()

    @property
    def batch_size(self) -> int:
        """The batch size of its images."""
        return chosen_batch_size(self.spec)

    @property
    def setting_key(self) -> str:
        """The hash of what all images of the run share; see :func:`promptlab.specs.setting_key`."""
        return setting_key(self.spec, model_identity=self.model_identity, vae_identity=self.vae_identity)

    def at(self, batch_size: int | None) -> ResolvedSpec:
        """The same in batches of another size; itself where ``batch_size`` is ``None``."""
        return self if batch_size is None else replace(self, spec=replace(self.spec, batch_size=batch_size))

    def key(self, variant: Variant, seed: int) -> str:
        """The recipe key of the image of ``variant`` at ``seed``."""
        return recipe_key(self.setting_key, words_key(variant), seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRequest:
    """One image to make: one variant, one seed, one setting.

    Args:
        position: the image's place in its run, from 0: ``variant * len(seeds) + seed's place``.
        variant: the variant's place in its run, from 0.
        seed: 0 … 2³²−1.
        prompt, negative_prompt: the words.
        pipeline, call: the setting, resolved.
        batch_size: images per forward; the engine pads to it.
        device: where the model runs.
        generator_device: where the noise is drawn.
        recipe_key: see :func:`promptlab.specs.recipe_key`.
        machine: how it is carried out.
        mixes_words: whether it may share a forward with images of other words.
        pieces: in how many its texts are read; it shares a forward only with images of as many.
    """

    position: int
    variant: int
    seed: int
    prompt: str
    negative_prompt: str
    pipeline: PipelineSpec
    call: CallSpec
    batch_size: int
    device: str
    generator_device: str
    recipe_key: str
    machine: MachineSpec = _AS_EVER
    mixes_words: bool = True
    pieces: int = 1


def keys_of(resolved: Iterable[ResolvedSpec]) -> list[tuple[str, ...]]:
    """The recipe keys of each run's images, in the grid's order: those of its tasks, without making the tasks."""
    remembered: dict[int, tuple[tuple[Variant, ...], list[str]]] = {}
    """By identity, and kept alive with it: the runs of a sweep share their variants."""
    keys = []
    for each in resolved:
        variants, setting, seeds = each.spec.variants, each.setting_key, each.spec.seeds
        if id(variants) not in remembered:
            remembered[id(variants)] = variants, list(map(words_key, variants))
        words = remembered[id(variants)][1]
        keys.append(tuple([recipe_key(setting, text, seed) for text in words for seed in seeds]))
    return keys


def requests_of(resolved: ResolvedSpec) -> tuple[ImageRequest, ...]:
    """The images of a run in the grid's order."""
    spec, (keys,) = resolved.spec, keys_of((resolved,))
    return tuple(
        ImageRequest(
            position=row * len(spec.seeds) + column,
            variant=row,
            seed=seed,
            prompt=variant.prompt,
            negative_prompt=variant.negative_prompt,
            pipeline=spec.pipeline,
            call=spec.call,
            batch_size=resolved.batch_size,
            device=resolved.device,
            generator_device=spec.generator_device,
            recipe_key=keys[row * len(spec.seeds) + column],
            machine=spec.machine,
            mixes_words=resolved.mixes_words,
            pieces=resolved.pieces[row] if resolved.pieces else 1,
        )
        for row, variant in enumerate(spec.variants)
        for column, seed in enumerate(spec.seeds)
    )
