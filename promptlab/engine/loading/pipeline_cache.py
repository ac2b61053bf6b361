"""Caches one pipeline in memory and changes it into the next one with as little loading as possible.

A change of scheduler loads nothing, a change of VAE the VAE alone. A change of model frees what the next setting has no
use for before anything is loaded: two models side by side are what runs an accelerator out of memory. Parts that both
have (the same files, dtype and device: a text encoder, a VAE, a UNet) stay, and are loaded once.

Invariant: a pipeline that is handed out holds exactly the parts that its setting names, whatever was loaded before; the
one that was handed out before holds none.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from promptlab.engine.errors import is_out_of_memory, translate_errors
from promptlab.engine.events import ModelLoaded, ModelLoading
from promptlab.engine.loading.components import Component, component_identities
from promptlab.engine.loading.lora import LoraAdapters
from promptlab.engine.loading.pipeline_loader import load_pipeline
from promptlab.engine.loading.placement import offload, place
from promptlab.engine.loading.quantization import Quantization
from promptlab.engine.loading.vae import VaeSource, load_vae
from promptlab.engine.machine.devices import torch_dtype
from promptlab.engine.machine.memory import release
from promptlab.engine.machine.torch_setup import IGNORED, quietly, warned
from promptlab.engine.sources import hub
from promptlab.engine.sources.finder import ModelSource
from promptlab.engine.text.textual_inversion import TextualInversions
from promptlab.errors import EngineError, one_line
from promptlab.specs import Embedding, Lora, MachineSpec, canonical_json

__all__ = ["PipelineCache", "PipelineSetting"]

_Report = Callable[[ModelLoading | ModelLoaded], None]
_DEFAULT_MACHINE: Final = MachineSpec()
_NOT_QUANTIZED: Final = Quantization()
_LONGEST_REMARK: Final = 300
_BUFFERS: Final = re.compile(r"'?[\w.]*position_ids'?,? ?")
"""Matches the counters of positions that older checkpoints hold: the model counts them itself."""

_NAMED: Final = re.compile(r"\w\.\w")
"""Matches a name of a weight: without one left, nothing is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSetting:
    """Identifies a loaded pipeline: what decides which weights are in memory, and where.

    Args:
        model: the source of the pipeline.
        vae: another VAE than its own.
        dtype: of everything but that VAE.
        device: where it lies.
        machine: as far as weights are loaded for it; see :func:`promptlab.engine.loading.placement.placement`.
        quantization: how the weights of parts are held, of which the spec's two fields count.
        packages: that quantise them, or read them so.
        loras, embeddings: what is added to the weights.
        files: where each of these lies, by its name.
    """

    model: ModelSource
    vae: VaeSource | None
    dtype: str
    device: str
    machine: MachineSpec = _DEFAULT_MACHINE
    quantization: Quantization = _NOT_QUANTIZED
    packages: tuple[str, ...] = ()
    loras: tuple[Lora, ...] = ()
    embeddings: tuple[Embedding, ...] = ()
    files: Mapping[str, Path] = field(default_factory=dict)

    @property
    def base(self) -> tuple[object, ...]:
        """Return what tells it from another, the VAE apart."""
        return self.model.identity, self.model.variant, self.dtype, self.device, self.machine, self.quantization

    @property
    def other_vae(self) -> Component | None:
        """Return the other VAE, as it lies in memory."""
        if self.vae is None:
            return None
        about = canonical_json({**self.vae.config, "_class_name": self.vae.class_name})
        return self._component(f"{self.vae.source.identity} {about}")

    def components(self) -> dict[str, Component]:
        """Return what its pipeline is made of, by name. Its model must have been downloaded."""
        identities = component_identities(self.model)
        held = self.quantization.methods(identities)
        named = {
            name: self._component(f"{identity} {held[name]}" if name in held else identity)
            for name, identity in identities.items()
        }
        return named if self.other_vae is None else {**named, "vae": self.other_vae}

    def _component(self, identity: str) -> Component:
        return Component(identity=identity, dtype=self.dtype, device=self.device, machine=self.machine)


class PipelineCache:
    """Keeps one pipeline, and of its components those that the next one shares."""

    def __init__(self) -> None:
        self._setting: PipelineSetting | None = None
        self._pipeline: Any = None
        self._components: dict[Component, Any] = {}
        self._remarks: tuple[str, ...] = ()
        self._vae_remarks: tuple[str, ...] = ()
        self._loras, self._inversions = LoraAdapters(), TextualInversions()

    def ready(self, setting: PipelineSetting, report: _Report) -> Any:
        """Return the diffusers pipeline for ``setting``, loaded as far as it is not there yet.

        Whoever has the one that was handed out before has an empty one now.

        Raises:
            EngineError: when weights cannot be downloaded or loaded.
        """
        began, before = time.perf_counter(), self._setting
        loaded = before is None or (before.base, before.other_vae) != (setting.base, setting.other_vae)
        if loaded:
            self._exchange(before, setting, report)
        with translate_errors(f"what {setting.model.name} is used with would not load", setting.model.name):
            loaded = self._add(setting) or loaded
        remarks = (*self._vae_remarks, *self._remarks)  # also where it is there already: it is no better by that
        report(ModelLoaded(seconds=time.perf_counter() - began if loaded else 0.0, remarks=remarks))
        return self._pipeline

    def _add(self, setting: PipelineSetting) -> bool:
        """Apply exactly the setting's LoRAs and textual inversions; tell whether any was read."""
        read = self._inversions.apply(self._pipeline, setting.embeddings, setting.files)
        return self._loras.apply(self._pipeline, setting.loras, setting.files) or read

    def _exchange(self, before: PipelineSetting | None, setting: PipelineSetting, report: _Report) -> None:
        """Load the pipeline of ``setting``, as far as it is not there yet, in place of the one before."""
        model, vae = setting.model, setting.vae
        if before is not None:
            self._add(replace(before, loras=(), embeddings=()))  # parts that stay are handed on as they came
        with translate_errors(f"{model.name} would not load"):
            _download(model, report)
            wanted = setting.components()
        other = before is None or before.base != setting.base or setting.machine.offload is not None
        had_vae = setting.other_vae in self._components
        kept = self._keep(wanted, setting)
        if other or (vae is None and "vae" in wanted and "vae" not in kept):
            report(ModelLoading(what=Path(model.name).name if model.kind in {"folder", "file"} else model.name))
        if vae is None:
            self._vae_remarks = ()
        elif not (had_vae and "vae" in kept):
            report(ModelLoading(what=f"VAE {Path(vae.source.name).name}"))
            with translate_errors(f"the VAE {vae.source.name} would not load"):
                _download(vae.source, report)
                with _heard(f"the VAE {vae.source.name}") as said:
                    loaded = load_vae(vae, model, torch_dtype(setting.dtype))
                self._vae_remarks = _remarks(f"the VAE {vae.source.name}", said)
                kept["vae"] = place(loaded, setting.machine, setting.device)
        with translate_errors(f"{model.name} would not load", model.name), quietly(), _heard(model.name) as said:
            self._pipeline = _load(setting, kept)
        before_it = () if other else self._remarks  # of parts that are kept nothing is said again
        self._remarks = tuple(dict.fromkeys((*before_it, *_remarks(model.name, said))))
        components = self._pipeline.components
        self._components = {part: components[name] for name, part in wanted.items() if components.get(name) is not None}
        self._setting = setting

    def free(self) -> None:
        """Let go of every weight."""
        self._keep({}, None)

    def _keep(self, wanted: Mapping[str, Component], setting: PipelineSetting | None) -> dict[str, Any]:
        """Let go of all that is not wanted; what is, by name. Weights that hooks fetch belong to one pipeline."""
        hooked = setting is None or setting.machine.offload is not None
        kept = (
            {}
            if hooked
            else {name: self._components[part] for name, part in wanted.items() if part in self._components}
        )
        pipeline, device = self._pipeline, "cpu" if self._setting is None else self._setting.device
        self._setting, self._pipeline, self._components = None, None, {}
        if pipeline is not None:
            for name in pipeline.components:  # whoever still has it would keep all of it alive
                vars(pipeline)[name] = None
            del pipeline
            release(device)
        return kept


@contextmanager
def _heard(name: str) -> Iterator[list[str]]:
    """Collect what the libraries log while they load; where they fail, what they logged says why.

    Raises:
        EngineError: for weights that are missing, in place of what comes of that.
    """
    with warned() as said:
        try:
            yield said
        except Exception as error:
            if is_out_of_memory(error):
                raise
            for line in _remarks(name, said):
                raise EngineError(line) from error
            raise


def _remarks(name: str, said: Iterable[str]) -> tuple[str, ...]:
    """Return what was said of weights that were left out or made up, but for counters of positions."""
    lines = (one_line(_BUFFERS.sub("", each), limit=_LONGEST_REMARK) for each in said if IGNORED.search(each))
    return tuple(f"{name}: {line}" for line in dict.fromkeys(lines) if _NAMED.search(line))


def _load(setting: PipelineSetting, kept: Mapping[str, Any]) -> Any:
    """Load the pipeline around the components that are there already, and place what it is made of."""
    import torch

    pipeline = load_pipeline(setting.model, setting.dtype, setting.device, setting.quantization, kept)
    pipeline.set_progress_bar_config(disable=True)
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            place(part, setting.machine, setting.device)
    return offload(pipeline, setting.machine, setting.device)


def _download(source: ModelSource, report: _Report) -> None:
    if source.prior is not None:
        _download(source.prior, report)
    if source.revision is not None and not all((source.folder / file).is_file() for file in source.absent):
        what = f"{source.name} from the Hub"
        report(ModelLoading(what=what))
        hub.fetch(
            source.name, source.revision, source.absent,
            lambda done, total: report(ModelLoading(what=what, done=done, total=total)),
        )  # fmt: skip
