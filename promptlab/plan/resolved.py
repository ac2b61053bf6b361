"""Holds a spec with every default filled in, and its weights told apart by content.

Invariant: a resolved spec is plain data. What an engine found out about a spec is in it, so that planning, writing rows
and making requests ask the engine for nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from promptlab.plan.step_scheduler import DenoisingSteps
from promptlab.records import Environment
from promptlab.specs import AUTO, RunSpec, Variant, recipe_key, setting_key, words_key

__all__ = ["DEFAULT_BATCH_SIZE", "ResolvedSpec", "chosen_batch_size", "images_per_forward"]

DEFAULT_BATCH_SIZE: Final = 4
_UNKNOWN: Final = Environment(facts={})


def chosen_batch_size(spec: RunSpec, default: int = DEFAULT_BATCH_SIZE) -> int:
    """Return the batch size of ``spec``: ``default`` where it names none, or as many as it has images.

    So it is where the largest that fits is wanted, too, until that is known.
    """
    if spec.batch_size is None or spec.batch_size == AUTO:
        return min(default, spec.image_count)
    return spec.batch_size


def images_per_forward(device: str, batch_size: int, *, threads: int, compiled: bool = False) -> int:
    """Return how many images share a forward: 1 where their bytes would depend on their rows.

    It is ``batch_size`` everywhere else.

    On a CPU that is where the threads do not get equal shares of whole images, a power of two each. Linear layers of a
    few rows, and the last numbers of functions that are computed as vectors (GELU), then round otherwise. Measured with
    the bundled model in three dtypes, with and without guidance, at 64 and 128 pixels: 3 images on 2 threads, 4 on 3, 5
    on 2 and 6 on 2 differ from row to row; 2, 4 and 8 on 2, 3 on 3, 4 and 8 on 4 never did, nor any on 1. Compiled
    loops run over whole batches and end in numbers that are computed one by one, so a compiled image is always alone.

    Args:
        device: where the model runs, such as ``cuda:0``.
        batch_size: images that were asked for in one forward, 1 or more.
        threads: of the CPU (``torch.get_num_threads``), 1 or more.
        compiled: whether the denoiser is compiled.
    """
    if device != "cpu":
        return batch_size
    if compiled:
        return 1
    share, rest = divmod(batch_size, threads)
    even = rest == 0 and share & (share - 1) == 0
    return batch_size if threads == 1 or even else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedSpec:
    """Holds what an engine makes of a spec.

    Args:
        spec: complete: dtype, scheduler, steps, guidance, device and batch size are named; ``height`` and ``width``
            too, where the model's configuration tells them. On the Hub, ``revision`` is a commit.
        device: the device that will be used, such as ``cuda:0``.
        model_identity: ``commit:<sha>`` or ``sha256:<hex>`` of the weights and configurations.
        vae_identity: likewise, when another VAE was named.
        environment: what else decides the bytes there: versions, device, threads, kernels, flags. Empty where the spec
            was read from a row and is not to be carried out.
        steps: how often an image asks the denoiser, with guidance and without; None where only the pipeline's own code
            could tell.
        pieces: of each variant, in how many pieces of the encoder's length its texts are read; empty where all have
            one length. Only texts of one length share a forward.
        default_batch_size: what its batch size is where nobody names one, or fewer where it has fewer images.
        alone: whether no two images may share a forward, whatever the batch size, because rows depend on each other.
        remarks: lines about what was filled in and would surprise; what was resolved before has none.
    """

    spec: RunSpec
    device: str
    model_identity: str
    vae_identity: str | None = None
    environment: Environment = field(default=_UNKNOWN, hash=False)
    steps: DenoisingSteps | None = None
    pieces: tuple[int, ...] = ()
    default_batch_size: int = DEFAULT_BATCH_SIZE
    alone: bool = False
    remarks: tuple[str, ...] = field(default=(), compare=False)

    @property
    def batch_size(self) -> int:
        """Return the batch size of its images."""
        return chosen_batch_size(self.spec)

    @property
    def rows(self) -> int:
        """Return how many of its images share a forward; see :func:`images_per_forward`.

        A forward with fewer images is padded to it and takes as long.
        """
        if self.alone:
            return 1
        threads = self.environment.facts.get("threads")
        return images_per_forward(
            self.device, self.batch_size, threads=threads if isinstance(threads, int) else 1,
            compiled=self.spec.machine.compile,
        )  # fmt: skip

    @property
    def setting_key(self) -> str:
        """Return the hash of what all images of the run share; see :func:`promptlab.specs.setting_key`."""
        return setting_key(self.spec, model_identity=self.model_identity, vae_identity=self.vae_identity)

    def at(self, batch_size: int | None) -> ResolvedSpec:
        """Return the same in batches of another size; itself where ``batch_size`` is None."""
        return self if batch_size is None else replace(self, spec=replace(self.spec, batch_size=batch_size))

    def key(self, variant: Variant, seed: int) -> str:
        """Return the recipe key of the image of ``variant`` at ``seed``."""
        return recipe_key(self.setting_key, words_key(variant), seed)
