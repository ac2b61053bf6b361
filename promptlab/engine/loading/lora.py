"""Adds LoRAs to a loaded pipeline, weighs and removes them, without reading the model's weights again.

peft adds them as layers around the model's; nothing is fused, because fused weights do not come apart to the same bits.
Invariant: a denoiser that is handed out has exactly the LoRAs that its setting names, in that order (sums of floats
depend on it), and one without has the layers it was loaded with.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary

from promptlab.engine.loading.low_rank import Unreadable, has_odd_names, kind_of
from promptlab.engine.loading.low_rank_check import check_low_rank, layers_without_weights
from promptlab.engine.loading.low_rank_layers import add_low_rank
from promptlab.engine.machine.torch_setup import IGNORED, quietly, warned
from promptlab.engine.sources.adapters import LORA, AdapterFile
from promptlab.engine.sources.configuration import DENOISERS, Configuration
from promptlab.engine.sources.finder import ModelSource, SourceFinder
from promptlab.engine.sources.lora_family import check_family
from promptlab.errors import InputError, one_line, ref_value
from promptlab.specs import Lora

__all__ = ["LoraAdapters", "check_unpacked", "resolve_loras"]

_OTHER_KINDS: Final = {
    "on_input": "an IA3",
    "oft_blocks": "an OFT",
    "glora": "a GLoRA",
}
_ENDS: Final = (".lora_A.weight", ".lora_B.weight", ".lora.down.weight", ".lora.up.weight")


def resolve_loras(
    asked: Sequence[Lora],
    config: Configuration,
    source: ModelSource,
    pipeline: Any,
    finder: SourceFinder,
    packed: str | None = None,
) -> tuple[Lora, ...]:
    """Return ``asked``, each with its file and its identity.

    Args:
        pipeline: diffusers class of the model.
        packed: how the denoiser's weights are packed into bytes, where they are: ``nf4``, ``gguf``.

    Raises:
        InputError: when the pipeline takes no LoRA, a file is none, or one for another model.
    """
    if not asked:
        return ()
    if not hasattr(pipeline, "load_lora_weights"):
        raise InputError(
            LORA.field, str(asked[0]), problem=f"means nothing to {pipeline.__name__}, which takes none",
            allowed="a model whose pipeline takes LoRAs", hint=ref_value(LORA.field, "none"),
        )  # fmt: skip
    files = [finder.adapter(each.name, LORA) for each in asked]
    for file in files:
        check_family(file.name, file.header, config)
    for file in files:
        check_unpacked(file.name, file.header, packed)
        _check_file(file, config, source, pipeline)
    return tuple(
        Lora(name=file.name, weight=each.weight, identity=file.identity)
        for each, file in zip(asked, files, strict=True)
    )


def check_unpacked(name: str, header: Iterable[str], packed: str | None) -> None:
    """Refuse kinds whose layers add to the weights themselves, where these are packed into bytes.

    Raises:
        InputError: naming the kind.
    """
    kind = kind_of(header)
    if packed is not None and kind is not None:
        raise InputError(
            LORA.field, name, problem=f"is a {kind}, which is added to weights, and these are packed ({packed})",
            allowed="a plain LoRA, or weights that are not packed", hint=ref_value("quantization", "none"),
        )  # fmt: skip


def _check_file(file: AdapterFile, config: Configuration, source: ModelSource, pipeline: Any) -> None:
    """Check that a file is one of low-rank weights, of a kind that can be put on, for this model."""
    _check_kind(file)
    kind = kind_of(file.header)
    if kind is not None:
        try:
            check_low_rank(file.header, kind, config, source, pipeline)
        except Unreadable as error:
            raise _unfit(file, config, str(error)) from error
        return
    if not any("lora" in name.lower() for name in file.header):
        raise InputError(
            LORA.field, file.name, problem="holds no LoRA", allowed="low-rank weights: lora_A and lora_B",
            hint=ref_value(LORA.field, "FILE.safetensors"),
        )  # fmt: skip
    try:
        _check_fits(file, config, source, pipeline)
    except InputError as error:
        if not has_odd_names(file.header, unet="unet" in config.parts):
            raise
        try:
            check_low_rank(file.header, "LoRA", config, source, pipeline)
        except Unreadable:
            raise error from None


@dataclass(slots=True)
class _Applied:
    """Records a denoiser's LoRAs: identities in the order of their adapters' numbers, and their weights."""

    identities: tuple[str | None, ...] = ()
    weights: tuple[float, ...] = ()


class LoraAdapters:
    """Adds LoRAs to denoisers, which pipelines may share, and remembers what each has."""

    def __init__(self) -> None:
        self._applied: WeakKeyDictionary[Any, _Applied] = WeakKeyDictionary()

    def apply(self, pipeline: Any, wanted: Sequence[Lora], files: Mapping[str, Path]) -> bool:
        """Put exactly ``wanted`` on ``pipeline``.

        Args:
            files: where each lies, by its name.

        Returns:
            Whether anything was read for it.
        """
        denoiser = next((getattr(pipeline, name) for name in DENOISERS if getattr(pipeline, name, None)), None)
        applied = _Applied() if denoiser is None else self._applied.setdefault(denoiser, _Applied())
        identities, weights = tuple(each.identity for each in wanted), tuple(each.weight for each in wanted)
        read = identities != applied.identities
        if read and applied.identities:
            _unload(pipeline)
            applied.identities, applied.weights = (), ()
        names = [f"lora_{number}" for number in range(len(wanted))]
        if read:
            try:
                for each, name in zip(wanted, names, strict=True):
                    _load(pipeline, files[each.name], name)
            except BaseException:
                _unload(pipeline)  # half a LoRA is none
                raise
        if wanted and (read or weights != applied.weights):
            pipeline.set_adapters(names, list(weights))
        applied.identities, applied.weights = identities, weights
        return read


def _load(pipeline: Any, path: Path, name: str) -> None:
    with quietly(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft: "Already found a peft_config", which is what several LoRAs are
        if add_low_rank(pipeline, path, name):
            return
        pipeline.load_lora_weights(
            str(path.parent), weight_name=path.name, adapter_name=name, local_files_only=True,
            use_safetensors=path.suffix == ".safetensors",
        )  # fmt: skip


def _unload(pipeline: Any) -> None:
    with quietly():
        if "reset_to_overwritten_params" in inspect.signature(pipeline.unload_lora_weights).parameters:
            pipeline.unload_lora_weights(reset_to_overwritten_params=True)
        else:
            pipeline.unload_lora_weights()


def _check_kind(file: AdapterFile) -> None:
    """Refuse kinds of LyCORIS' and kohya's scripts that neither diffusers nor peft reads."""
    for mark, kind in _OTHER_KINDS.items():
        if any(mark in name for name in file.header):
            raise InputError(
                LORA.field, file.name, problem=f"is {kind} ({mark}), which diffusers does not apply",
                allowed="low-rank weights: LoRA, DoRA, LoHa, LoKr",
                hint=ref_value(LORA.field, "none"),
            )  # fmt: skip


def _check_fits(file: AdapterFile, config: Configuration, source: ModelSource, pipeline: Any) -> None:
    """Check that each of its layers is one of the model, with the same number of inputs and outputs.

    The names of the layers are diffusers' once ``lora_state_dict`` has read the file, whatever program wrote it; the
    model's layers are those of its configuration, made without weights.
    """
    part = config.denoiser_part
    try:
        with quietly(), warnings.catch_warnings(), warned() as said:
            warnings.simplefilter("ignore")
            state = _read(file, config, pipeline)
            layers = {} if part is None else layers_without_weights(source, part, config.parts[part])
    except Exception as error:
        raise _unfit(file, config, f"cannot be read as one for it: {one_line(error, limit=160)}") from error
    left_out = next((each for each in said if IGNORED.search(each)), None)
    if left_out is not None:
        raise _unfit(file, config, f"has weights that would be left out: {one_line(left_out, limit=200)}")
    own = {key.removeprefix(f"{part}."): value for key, value in state.items() if key.startswith(f"{part}.")}
    if state and not own and not any(key.startswith("text_encoder") for key in state):
        raise _unfit(file, config, f"has no layer of a {part}")
    for key, value in own.items():
        name, down = _layer(key)
        if name is None or not layers:
            continue
        if name not in layers:
            raise _unfit(file, config, f"has the layer {name}, which this model has not")
        layer = layers[name]
        sides = (int(value.shape[1]), layer.inputs) if down else (int(value.shape[0]), layer.outputs)
        if sides[0] != sides[1]:
            raise _unfit(file, config, f"has {sides[0]} {'inputs' if down else 'outputs'} at {name}, not {sides[1]}")


def _read(file: AdapterFile, config: Configuration, pipeline: Any) -> Mapping[str, Any]:
    given: dict[str, Any] = {}
    if "XL" in pipeline.__name__:
        from types import SimpleNamespace

        given["unet_config"] = SimpleNamespace(**(config.denoiser or {}))
    found = pipeline.lora_state_dict(
        str(file.path.parent), weight_name=file.path.name, local_files_only=True,
        use_safetensors=file.path.suffix == ".safetensors", **given,
    )  # fmt: skip
    state: Mapping[str, Any] = found[0] if isinstance(found, tuple) else found
    return state


def _layer(key: str) -> tuple[str | None, bool]:
    """Return the layer of a LoRA's tensor, and whether it is the half that reads the layer's inputs."""
    for place, end in enumerate(_ENDS):
        if key.endswith(end):
            return key.removesuffix(end), place % 2 == 0
    attention, old, rest = key.partition(".processor.")  # diffusers before peft
    if old and "_lora." in rest:
        projection = rest.partition("_lora.")[0]
        return f"{attention}.{projection}{'.0' if projection == 'to_out' else ''}", rest.endswith("down.weight")
    return None, False


def _unfit(file: AdapterFile, config: Configuration, problem: str) -> InputError:
    return InputError(
        LORA.field, file.name, problem=problem, allowed=f"a LoRA that was trained for this {config.pipeline_class}",
        hint=ref_value(LORA.field, "none"),
    )  # fmt: skip
