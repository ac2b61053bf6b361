"""One pipeline in memory, ready for the next batch, and the shortest way from the last setting to this one.

A change of scheduler loads nothing, a change of VAE loads the VAE alone, a change of model frees the old weights before
it loads the new ones: two models side by side are what runs an accelerator out of memory.

Invariant: a pipeline that is handed out holds exactly the parts that its setting names, whatever was loaded before.
"""

from __future__ import annotations

import gc
import inspect
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptlab.engine import Loaded, Loading, Watch
from promptlab.engine.families.calls import pipeline_class
from promptlab.engine.finding import hub
from promptlab.engine.finding.configuration import read_configuration
from promptlab.engine.finding.sources import Source
from promptlab.engine.loading.vaes import VaeSource, load_vae
from promptlab.engine.machine.devices import torch_dtype
from promptlab.errors import EngineError, PromptLabError, one_line

__all__ = ["Pipelines", "Setting", "in_one_line"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What decides which weights are in memory, and where.

    Args:
        model: the source of the pipeline.
        vae: another VAE than its own.
        dtype: of everything but that VAE.
        device: where it lies.
    """

    model: Source
    vae: VaeSource | None
    dtype: str
    device: str


class Pipelines:
    """Keeps the pipeline of one model, and of each VAE the last one used with it."""

    def __init__(self) -> None:
        self._base_key: tuple[str, str | None, str, str] | None = None
        self._base: Any = None
        self._vae_key: str | None = None
        self._with_vae: Any = None

    def ready(self, setting: Setting, watch: Watch) -> Any:
        """The diffusers pipeline for ``setting``, loaded as far as it is not there yet.

        Raises:
            EngineError: when weights cannot be downloaded or loaded.
        """
        began, loaded = time.perf_counter(), False
        model, vae = setting.model, setting.vae
        key = (model.identity, model.variant, setting.dtype, setting.device)
        if key != self._base_key:
            self.free()
            watch(Loading(what=Path(model.name).name if model.kind in {"folder", "file"} else model.name))
            with in_one_line(f"{model.name} would not load"):
                self._base = _load(setting, watch)
            self._base_key, loaded = key, True
        pipeline = self._base
        if vae is not None:
            if vae.source.identity != self._vae_key:
                self._vae_key = self._with_vae = None
                watch(Loading(what=f"VAE {Path(vae.source.name).name}"))
                with in_one_line(f"the VAE {vae.source.name} would not load"):
                    self._with_vae = _with_vae(self._base, setting, vae, watch)
                self._vae_key, loaded = vae.source.identity, True
            pipeline = self._with_vae
        watch(Loaded(seconds=time.perf_counter() - began if loaded else 0.0))
        return pipeline

    def free(self) -> None:
        """Let go of every weight."""
        import torch

        if self._base is None:
            return
        self._base_key = self._base = self._vae_key = self._with_vae = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


@contextmanager
def in_one_line(what: str) -> Iterator[None]:
    """Turn whatever torch, diffusers or the system raise in the block into one :class:`EngineError` of one line.

    An interrupt passes through: it is not an error.
    """
    try:
        yield
    except PromptLabError:
        raise
    except Exception as error:
        advice = ""
        if (
            isinstance(error, MemoryError)
            or "OutOfMemoryError" in type(error).__name__
            or "out of memory" in str(error)
        ):
            advice = "; type: --batch-size 1, a smaller --size, or --dtype float16"
        raise EngineError(f"{what}: {one_line(error) or type(error).__name__}{advice}") from error


def _load(setting: Setting, watch: Watch) -> Any:
    import diffusers

    model = setting.model
    kind = pipeline_class(read_configuration(model.folder, model.name), model.name)
    _download(model, watch)
    diffusers.utils.logging.disable_progress_bar()  # ours is fed by watch()
    if model.file is not None:
        pipeline = kind.from_single_file(
            str(model.file), config=str(model.folder), dtype=torch_dtype(setting.dtype), local_files_only=True
        )
    else:
        pipeline = kind.from_pretrained(
            str(model.folder), dtype=torch_dtype(setting.dtype), variant=model.variant,
            use_safetensors=None if model.pickled else True, local_files_only=True,
        )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(setting.device)


def _with_vae(base: Any, setting: Setting, vae: VaeSource, watch: Watch) -> Any:
    """A pipeline of the same parts around another VAE: built anew, because constructors derive sizes from their VAE."""
    _download(vae.source, watch)
    parts = {**base.components, "vae": load_vae(vae, setting.model, torch_dtype(setting.dtype), setting.device)}
    names = inspect.signature(type(base).__init__).parameters
    settings = {name: value for name, value in base.config.items() if name in names and name not in parts}
    pipeline = type(base)(**settings, **parts)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _download(source: Source, watch: Watch) -> None:
    if source.revision is not None and not all((source.folder / file).is_file() for file in source.absent):
        watch(Loading(what=f"{source.name} from the Hub"))
        hub.fetch(source.name, source.revision, source.absent)
