"""Embeds images and prompts with a CLIP model, as unit vectors of one space.

Distance is ``1 − cos`` of two pictures; score is ``100 · max(cos, 0)`` of a picture and its prompt (Hessel et al. 2021,
CLIPScore, with the factor that torchmetrics uses). Images are prepared as CLIP's own code does: the shorter side to
the model's size, bicubic, the middle cut out, normalised; ``transformers``' image processor would need torchvision.

Invariant: only safetensors are loaded, and every failure leaves as one line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from promptlab.engine import ClipEmbeddings
from promptlab.engine.machine.devices import choose_device
from promptlab.engine.machine.idle_threads import idle_threads_by_load
from promptlab.engine.machine.torch_setup import prepare, quietly
from promptlab.engine.sources import hub
from promptlab.engine.sources.files import PICKLES, listing, read_json
from promptlab.errors import EngineError, InputError, NotFound, one_line, ref_value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Clip", "ClipImages", "clip_folder", "embed"]

_BATCH: Final = 16
"""Images or prompts of one forward."""

_MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
_DEVIATION: Final = (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's training pictures, where the model says nothing else."""

_NEEDED: Final = (".safetensors", "config.json", "vocab.json", "merges.txt", "index.json", "tokenizer.json")
_ALLOWED: Final = "a folder or a Hub id of a CLIP model with safetensors"
_HINTS: Final = {
    "clip_model": ref_value("clip_model", "openai/clip-vit-large-patch14"),
    "score": ref_value("score", "clip"),
}


def clip_folder(name: str, *, field: str = "clip_model", kinds: Sequence[str] = ("clip",)) -> Path:
    """Find the folder of a CLIP model, fetched from the Hub where it is not here.

    Args:
        name: a local folder, or a Hub id.
        field: that it was given as, for errors.
        kinds: what its configuration may call itself.

    Raises:
        NotFound, InputError: when there is no CLIP model of that name, or none without pickles.
        EngineError: when it cannot be downloaded.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        if not hub.is_id(name):
            raise NotFound(field, name, allowed=_ALLOWED, hint=_HINTS[field])
        snapshot = hub.find(name, None, field, _ALLOWED, weights=False)
        files = [file for file in snapshot.files if "/" not in file and file.endswith(_NEEDED)]
        _check(name, files, field)
        folder = snapshot.fetch(files)
    else:
        _check(name, listing(folder), field)
    kind = read_json(folder / "config.json").get("model_type")
    if kind not in kinds:
        raise InputError(field, name, problem=f"is no CLIP model but {kind}", allowed=_ALLOWED, hint=_HINTS[field])
    return folder


def embed(
    model: str, images: Sequence[NDArray[np.uint8]], prompts: Sequence[str], device: str | None
) -> ClipEmbeddings:
    """Embed images and prompts by a model that is loaded for it; see :meth:`promptlab.engine.Engine.clip`.

    Raises:
        NotFound, InputError: see :func:`clip_folder`.
        EngineError: when it would not load.
    """
    clip = Clip(model, device=device)
    with idle_threads_by_load(str(clip.device)):
        seen = clip.image_features(images)
        return ClipEmbeddings(images=seen, prompts=clip.text_features(prompts) if prompts else seen[:0])


def _check(name: str, files: Sequence[str], field: str) -> None:
    if "config.json" not in files:
        raise InputError(field, name, problem="has no config.json", allowed=_ALLOWED, hint=_HINTS[field])
    if not any(file.endswith(".safetensors") for file in files):
        pickled = any(file.endswith(PICKLES) for file in files)
        problem = "has no safetensors" + (", only pickles, which could run anything" if pickled else "")
        raise InputError(field, name, problem=problem, allowed=_ALLOWED, hint=_HINTS[field])


def _in_batches(things: Sequence[Any], embed: Callable[[Sequence[Any]], Any]) -> NDArray[np.float32]:
    """Return the directions that ``embed`` gives, each of length 1."""
    import numpy as np
    import torch

    found = []
    with torch.inference_mode():
        for first in range(0, len(things), _BATCH):
            some = embed(things[first : first + _BATCH]).float()
            found.append(torch.nn.functional.normalize(some, dim=-1).cpu().numpy())
    return np.concatenate(found)


class ClipImages:
    """Embeds images with the half of a CLIP model that sees. Imports torch.

    Args:
        model: transformers' ``CLIPModel`` or ``CLIPVisionModelWithProjection``.
        folder: where it was loaded from.
        size: pixels of a side that it sees.
        device: the first of cuda, mps and cpu that is there by default.
    """

    def __init__(self, model: Any, folder: Path, size: int, *, device: str | None = None) -> None:
        self.device = choose_device(device)
        self._model = model.eval().to(self.device)
        self._size = size
        own = folder / "preprocessor_config.json"
        said = read_json(own) if own.is_file() else {}
        self._mean, self._deviation = said.get("image_mean", _MEAN), said.get("image_std", _DEVIATION)

    def features(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Return the images' features, ``[images, features]``, each of length 1.

        Args:
            images: uint8, ``[height, width, 3]`` each.
        """
        return _in_batches(images, self._embed)

    def _embed(self, images: Sequence[NDArray[np.uint8]]) -> Any:
        import numpy as np
        import torch

        values = torch.from_numpy(np.stack([self._prepared(one) for one in images])).to(self.device)
        return self._model.visual_projection(self._model.vision_model(pixel_values=values).pooler_output)

    def _prepared(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return ``[3, size, size]``, normalised."""
        import numpy as np
        from PIL import Image

        picture, size = Image.fromarray(pixels), self._size
        scale = size / min(picture.size)
        width, height = (max(size, round(side * scale)) for side in picture.size)
        left, top = (width - size) // 2, (height - size) // 2
        resized = picture.resize((width, height), Image.Resampling.BICUBIC)
        middle = np.asarray(resized.crop((left, top, left + size, top + size)), np.float32) / 255
        normal = (middle - np.asarray(self._mean, np.float32)) / np.asarray(self._deviation, np.float32)
        return np.ascontiguousarray(normal.transpose(2, 0, 1))


class Clip:
    """Holds a CLIP model in memory. Imports torch and transformers.

    Args:
        name: see :func:`clip_folder`.
        device: the first of cuda, mps and cpu that is there by default.

    Raises:
        InputError: see :func:`clip_folder`.
        EngineError: when it would not load.
    """

    def __init__(self, name: str, *, device: str | None = None) -> None:
        folder = clip_folder(name)
        prepare()
        try:
            with quietly():
                from transformers import AutoTokenizer, CLIPModel

                model: Any = CLIPModel.from_pretrained(str(folder), use_safetensors=True, local_files_only=True)
                self._tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        except Exception as error:
            raise EngineError(f"the CLIP model {name} would not load: {one_line(error)}") from error
        self._images = ClipImages(model, folder, int(model.config.vision_config.image_size), device=device)
        self.device = self._images.device
        self._model = model
        self._words = int(model.config.text_config.max_position_embeddings)

    @property
    def logit_scale(self) -> float:
        """Return what the model multiplies cosines by, in training and in PickScore."""
        return float(self._model.logit_scale.detach().exp())

    def image_features(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Return the images' features; see :meth:`ClipImages.features`."""
        return self._images.features(images)

    def text_features(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """Return the prompts' features, ``[prompts, features]``, each of length 1; long prompts are cut."""
        return _in_batches(prompts, self._embed_texts)

    def _embed_texts(self, prompts: Sequence[str]) -> Any:
        tokens = self._tokenizer(
            list(prompts), padding=True, truncation=True, max_length=self._words, return_tensors="pt", verbose=False
        )
        read = self._model.text_model(
            input_ids=tokens["input_ids"].to(self.device), attention_mask=tokens["attention_mask"].to(self.device)
        )
        return self._model.text_projection(read.pooler_output)
