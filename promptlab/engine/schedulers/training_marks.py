"""Reads how a checkpoint in one file was trained, and what its scheduler must be told for it.

The configuration is that of the base model, which knows nothing of it. Trainers of Stable Diffusion XL put tensors into
the file: empty ones (``v_pred``, ``ztsnr``), and ``edm_vpred.sigma_max`` with a number (CosXL); kohya's scripts write
``modelspec.prediction_type`` into its header. Sources: ``comfy/supported_models.py`` of ComfyUI for the tensors, the
modelspec of Stability AI for the header.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from promptlab.engine.schedulers.config_options import scheduler_options
from promptlab.engine.sources.files import read_header, read_metadata
from promptlab.errors import InputError, ref_value
from promptlab.specs import Scalar, SchedulerSpec, options
from promptlab.specs.schedulers import short_name

__all__ = ["as_marked"]

_MARKS: Final[Mapping[str, tuple[str, Scalar]]] = {
    "v_pred": ("prediction_type", "v_prediction"),
    "ztsnr": ("rescale_betas_zero_snr", True),
}
_PREDICTIONS: Final = {"v": "v_prediction", "v_prediction": "v_prediction"}
_EDM: Final = "edm_vpred.sigma_max"
_EDM_SCHEDULER: Final = "EDMEulerScheduler"


def as_marked(asked: SchedulerSpec | None, file: Path, own: str) -> SchedulerSpec | None:
    """Return ``asked`` with what the safetensors file says; options that are asked for win.

    Args:
        asked: ``None`` for the model's own.
        file: a checkpoint.
        own: class name of the scheduler of its base model.

    Raises:
        InputError: when that scheduler has not the option.
    """
    given = _marked(file)
    if not given:
        return asked
    chosen = asked or SchedulerSpec(name=_EDM_SCHEDULER if "sigma_data" in given else own)
    known = {option.name for option in scheduler_options(chosen.name)}
    lacking = next((option for option in given if option not in known), None)
    if lacking is not None:
        usual = "edm-euler" if "sigma_data" in given else "euler"
        raise InputError(
            "scheduler", short_name(chosen.name), problem=f"has no {lacking}, which this model asks for by its marks",
            allowed="a scheduler that has it", hint=ref_value("scheduler", usual),
        )  # fmt: skip
    return SchedulerSpec(name=chosen.name, options=options({**given, **dict(chosen.options)}))


def _marked(file: Path) -> dict[str, Scalar]:
    held = read_header(file, "model")
    if _EDM in held:
        numbers = {key: _number(file, f"edm_vpred.{key}", held) for key in ("sigma_max", "sigma_min")}
        return {
            "sigma_data": 1.0, "prediction_type": "v_prediction",
            **{key: value for key, value in numbers.items() if value is not None},
        }  # fmt: skip
    given: dict[str, Scalar] = {option: value for mark, (option, value) in _MARKS.items() if mark in held}
    said = _PREDICTIONS.get(read_metadata(file).get("modelspec.prediction_type", ""))
    return {"prediction_type": said, **given} if said is not None else given


def _number(file: Path, name: str, held: Mapping[str, Any]) -> float | None:
    if name not in held:
        return None
    from safetensors import safe_open

    with safe_open(file, framework="pt") as tensors:
        return float(tensors.get_tensor(name))
