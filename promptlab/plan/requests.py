"""Makes the requests of a resolved spec: one for each image, variant by variant, seed by seed.

A request carries all that its image needs and no live object: it can be written as JSON (:mod:`promptlab.wire`), sent
to another machine, shuffled or dropped without changing what any other image looks like.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from promptlab.plan.batch_key import batch_keys
from promptlab.plan.resolved import ResolvedSpec
from promptlab.plan.step_scheduler import DenoisingSteps
from promptlab.records import ImageRecord
from promptlab.specs import CallSpec, MachineSpec, PipelineSpec, Variant, recipe_key, words_key

__all__ = ["ImageRequest", "keys_of", "requests_of", "requests_of_records"]

_DEFAULT_MACHINE: Final = MachineSpec()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRequest:
    """Asks for one image: one wording, one seed, one setting.

    Args:
        id: any text, unique within one call of :meth:`promptlab.engine.Engine.generate`: events name the request by it.
        prompt, negative_prompt: the words.
        seed: 0 … 2³²−1.
        pipeline, call: the setting, resolved.
        batch_size: images per forward that the recipe is of.
        device: where the model runs.
        generator_device: where the noise is drawn.
        model_identity, vae_identity: of the weights that the recipe is of, as
            :class:`promptlab.plan.resolved.ResolvedSpec` tells them; those of LoRAs and embeddings are in ``pipeline``.
        recipe_key: see :func:`promptlab.specs.recipe_key`.
        batch_key: equal for images that may share a forward; see :mod:`promptlab.plan.batch_key`.
        machine: how it is carried out.
        steps: how often it asks the denoiser, with guidance and without, where its forwards are shared among runs.
    """

    id: str
    prompt: str
    negative_prompt: str
    seed: int
    pipeline: PipelineSpec
    call: CallSpec
    batch_size: int
    device: str
    generator_device: str
    model_identity: str
    vae_identity: str | None
    recipe_key: str
    batch_key: str
    machine: MachineSpec = _DEFAULT_MACHINE
    steps: DenoisingSteps | None = None


def keys_of(resolved: Iterable[ResolvedSpec]) -> list[tuple[str, ...]]:
    """Return the recipe keys of each run's images in the grid's order, without making their requests."""
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


def requests_of(resolved: ResolvedSpec, *, within: str = "") -> tuple[ImageRequest, ...]:
    """Return a request for each image of a run in the grid's order; its id is its place, from 0.

    Args:
        within: stands before the place in the id, to tell requests of several runs apart: ``"12/"``.
    """
    spec, (keys,), shared = resolved.spec, keys_of((resolved,)), batch_keys(resolved)
    return tuple(
        ImageRequest(
            id=f"{within}{row * len(spec.seeds) + column}",
            prompt=variant.prompt,
            negative_prompt=variant.negative_prompt,
            seed=seed,
            pipeline=spec.pipeline,
            call=spec.call,
            batch_size=resolved.batch_size,
            device=resolved.device,
            generator_device=spec.generator_device,
            model_identity=resolved.model_identity,
            vae_identity=resolved.vae_identity,
            recipe_key=keys[row * len(spec.seeds) + column],
            batch_key=shared[row],
            machine=spec.machine,
            steps=resolved.steps,
        )
        for row, variant in enumerate(spec.variants)
        for column, seed in enumerate(spec.seeds)
    )


def requests_of_records(resolved: ResolvedSpec, images: Iterable[ImageRecord]) -> list[ImageRequest]:
    """Return the requests of recorded images of one run, each at the batch size that its row tells.

    The id of a request is how its image is named, :attr:`promptlab.records.ImageRecord.ref`.
    """
    at: dict[int | None, Sequence[ImageRequest]] = {}
    requests = []
    for image in images:
        if image.batch_size not in at:
            at[image.batch_size] = requests_of(resolved.at(image.batch_size), within=f"{image.run_id}/")
        requests.append(at[image.batch_size][image.position])
    return requests
