"""Scores images: by CLIP and its children, which read the prompt, and by LAION's aesthetic predictors.

PickScore (Kirstain et al. 2023) and HPS v2 (Wu et al. 2023) are CLIP models that were trained on what people chose; an
aesthetic predictor is CLIP's picture half with a few linear layers behind it (LAION, improved-aesthetic-predictor), as
``AestheticsPredictorV1``, ``…V2Linear`` and ``…V2ReLU`` are saved on the Hub. Their layers are put together here from
the file's tensors: the program that lies beside them there is not run.

Invariant: only safetensors are loaded, and every failure leaves as one line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from promptlab.engine.clip import Clip, ClipImages, clip_folder
from promptlab.engine.machine.idle_threads import idle_threads_by_load
from promptlab.engine.machine.torch_setup import prepare, quietly
from promptlab.engine.sources.files import read_json
from promptlab.errors import EngineError, InputError, one_line, ref_value
from promptlab.records.scorers import Scorer, clip_score

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ImageScorer", "find_scorer", "load_scorer"]

_AESTHETIC: Final = "AestheticsPredictor"
_LAYER: Final = re.compile(r"(?:layers\.(?P<number>\d+)|predictor)\.(?P<kind>weight|bias)")


class ImageScorer(Protocol):
    """Scores images; holds its weights for as long as it lives."""

    def score(self, images: Sequence[NDArray[np.uint8]], prompts: Sequence[str], /) -> list[float]:
        """Return the score of each image.

        Args:
            images: uint8, ``[height, width, 3]`` each.
            prompts: that of each image; words beyond what the model reads are cut.
        """
        ...


def find_scorer(scorer: Scorer) -> Path:
    """Find the folder of a scorer's model, fetched from the Hub where it is not here. Imports no torch.

    Raises:
        NotFound, InputError: when there is no such model, it is of another class, or has pickles alone.
        EngineError: when it cannot be downloaded.
    """
    aesthetic = scorer.name == "aesthetic"
    folder = clip_folder(
        scorer.model, field="score", kinds=("aesthetics_predictor", "clip_vision_model") if aesthetic else ("clip",)
    )
    if aesthetic:
        _architecture(scorer, folder)
    return folder


def load_scorer(scorer: Scorer, *, device: str | None = None) -> ImageScorer:
    """Load a scorer. Imports torch and transformers.

    Args:
        device: the first of cuda, mps and cpu that is there by default.

    Raises:
        NotFound, InputError: see :func:`find_scorer`.
        EngineError: when it would not load.
    """
    folder = find_scorer(scorer)
    if scorer.name == "aesthetic":
        return _Aesthetic(scorer, folder, device)
    return _ByPrompt(scorer, folder, device)


class _ByPrompt:
    """Scores by the cosine of image and prompt, on the scales of ``promptlab.records.scorers.SCORERS``."""

    def __init__(self, scorer: Scorer, folder: Path, device: str | None) -> None:
        self._clip = Clip(str(folder), device=device)
        self._name = scorer.name

    def score(self, images: Sequence[NDArray[np.uint8]], prompts: Sequence[str]) -> list[float]:
        clip = self._clip
        with idle_threads_by_load(str(clip.device)):
            texts = list(dict.fromkeys(prompts))
            words = clip.text_features(texts).astype("float64")[[texts.index(one) for one in prompts]]
            cosines = (clip.image_features(images).astype("float64") * words).sum(axis=-1)
        if self._name == "clip":
            return [clip_score(one) for one in cosines.tolist()]
        scale = clip.logit_scale if self._name == "pickscore" else 1.0
        return [float(one) for one in scale * cosines]


class _Aesthetic:
    """Scores by LAION's layers over CLIP's direction of the image."""

    def __init__(self, scorer: Scorer, folder: Path, device: str | None) -> None:
        prepare()
        architecture = _architecture(scorer, folder)
        try:
            with quietly():
                from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

                config: Any = CLIPVisionConfig.from_pretrained(str(folder), local_files_only=True)
                model: Any = CLIPVisionModelWithProjection.from_pretrained(
                    str(folder), config=config, use_safetensors=True, local_files_only=True
                )
                self._layers = _layers(_head(folder), with_relu="ReLU" in architecture)
        except InputError:
            raise
        except Exception as error:
            raise EngineError(f"the aesthetic predictor {scorer.model} would not load: {one_line(error)}") from error
        self._images = ClipImages(model, folder, int(config.image_size), device=device)

    def score(self, images: Sequence[NDArray[np.uint8]], _prompts: Sequence[str]) -> list[float]:
        import torch

        with idle_threads_by_load(str(self._images.device)), torch.inference_mode():
            return [float(one) for one in self._layers(torch.from_numpy(self._images.features(images))).ravel()]


def _architecture(scorer: Scorer, folder: Path) -> str:
    """Return the class that the predictor was saved by, which is one of LAION's.

    Raises:
        InputError: when it is another.
    """
    said = read_json(folder / "config.json").get("architectures") or ["none that it names"]
    if not str(said[0]).startswith(_AESTHETIC):
        raise InputError(
            "score", scorer.model, problem=f"is no aesthetic predictor but {said[0]}",
            allowed=f"a model saved as {_AESTHETIC}V1, V2Linear or V2ReLU", hint=ref_value("score", "aesthetic"),
        )  # fmt: skip
    return str(said[0])


def _head(folder: Path) -> Mapping[str, Any]:
    """Return the tensors that CLIP does not have."""
    from safetensors.torch import load_file

    found: dict[str, Any] = {}
    for path in sorted(folder.glob("*.safetensors")):
        found.update({name: tensor for name, tensor in load_file(path).items() if _LAYER.fullmatch(name)})
    return found


def _layers(tensors: Mapping[str, Any], *, with_relu: bool) -> Any:
    """Put linear layers together in the order of their numbers; dropouts, between them, do nothing here.

    Raises:
        ValueError: when there is none.
    """
    import torch

    numbers = sorted({int(found["number"] or 0) for name in tensors if (found := _LAYER.fullmatch(name))})
    parts: list[Any] = []
    for number in numbers:
        stem = f"layers.{number}" if f"layers.{number}.weight" in tensors else "predictor"
        weight = tensors[f"{stem}.weight"].float()
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
        layer.load_state_dict({"weight": weight, "bias": tensors[f"{stem}.bias"].float()})
        parts += [torch.nn.ReLU()] * (with_relu and bool(parts)) + [layer]
    if not parts:
        raise ValueError("it has no layers behind CLIP")
    return torch.nn.Sequential(*parts).eval()
