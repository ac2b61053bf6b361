"""How well a model does what it was asked: ``python -m training evaluate``.

Everything is read from generated pictures by the classifier, whose own accuracy on held-out renders is part of the table; what a goal misses is said.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoModel, StableDiffusionPipeline

from training.asks import STORY, four_ages, nonsense, whole
from training.attributes import BY_NAME
from training.autoencoder import psnr, reconstruct
from training.classifier import Reader, accuracies, features, load_reader, read, scores
from training.dataset import HELD_OUT, load_pictures
from training.export import size_of
from training.frame import FACE_BOX
from training.generate import Ask, generate, load
from training.labels import COLUMNS, label_row, label_rows
from training.measures import ages_in_order, entropy, frechet, same_picture_kept

__all__ = ["ASKED", "Measured", "evaluate"]

ASKED = ("role", "age", "view", "makeup", "light", "colour", "background")
"""What the goal of 90 % is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Everything that the table says of one model. Shares are 0…1, distances in feature units, sizes in bytes, times in seconds a picture.

    ``halves`` is, for each half precision, the share of attributes read as from the float32 picture, and the mean difference in levels of 255.
    """

    pictures: int
    reader: dict[str, float]
    obeyed: dict[str, float]
    ages_seeds: int
    ages_order: float
    ages_kept: dict[str, float]
    ages_all: float
    frechet: float
    frechet_floor: float
    psnr: dict[str, tuple[float, float]]
    negative: dict[str, tuple[float, float]]
    spread: dict[str, float]
    nonsense: dict[str, tuple[float, float]]
    halves: dict[str, tuple[float, float]]
    size: int
    seconds: dict[str, float] = field(default_factory=dict)
    machine: str = ""


class Artist:
    """Draws for the evaluation and keeps what was drawn, so that a stopped evaluation goes on and a better reader can read again.

    Args:
        folder: of the pipeline; its weights are loaded when something is really drawn.
        kept: where the pictures go; of these weights only, which its name tells.
    """

    def __init__(self, folder: Path, kept: Path, dtype: torch.dtype) -> None:
        self._folder, self._kept, self._dtype = folder, kept, dtype
        self._pipe: StableDiffusionPipeline | None = None

    def draw(self, what: str, asks: list[Ask]) -> np.ndarray:
        """uint8 pictures of ``asks``."""
        path = self._kept / f"{what}.npy"
        if path.is_file() and len(found := np.load(path)) == len(asks):
            return found
        if self._pipe is None:
            self._pipe = load(self._folder, self._dtype)
        made = generate(self._pipe, asks)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, made)
        return made


def evaluate(work: Path, models: Path, name: str, *, pictures: int, seeds: int, dtype: torch.dtype) -> Measured:
    """Measure the pipeline ``models/name`` and the autoencoders beside it."""
    home = work / "evaluation"
    artist, reader = Artist(models / name, home / f"{name}-{_digest(models / name)}", dtype), load_reader(work)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    reader.to(device)
    held = load_pictures(work)[:HELD_OUT]
    asks, wanted = whole(pictures)
    made = artist.draw("whole", asks)
    labels = np.array([label_row(a) for a in wanted])
    order, kept, both = _ages(reader, artist, seeds)
    result = Measured(
        pictures=len(asks),
        reader=accuracies(read(reader, held), label_rows(HELD_OUT)),
        obeyed={k: v for k, v in accuracies(read(reader, made), labels).items() if k in ASKED},
        ages_seeds=seeds, ages_order=order, ages_kept=kept, ages_all=both,
        frechet=frechet(features(reader, made), features(reader, held)),
        frechet_floor=frechet(features(reader, load_pictures(work)[HELD_OUT : HELD_OUT + len(made)]), features(reader, held)),
        psnr=_sharpness(models, name, held[:256], device),
        negative=_negative(reader, artist), spread=_spread(reader, artist),
        nonsense=_harm(reader, artist, asks[:48], labels[:48], made[:48]),
        halves=_halves(reader, models / name, asks[:32]),
        size=size_of(models / name), seconds=_speed(models / name), machine=f"{platform.machine()}, {torch.get_num_threads()} threads",
    )  # fmt: skip
    (home / f"{name}.json").write_text(json.dumps(asdict(result), indent=1))
    return result


def _digest(folder: Path) -> str:
    """Twelve letters that tell a model's weights from any other's."""
    parts = sorted(folder.rglob("*.safetensors"))
    return hashlib.sha256(b"".join(hashlib.sha256(part.read_bytes()).digest() for part in parts)).hexdigest()[:12]


def _ages(reader: Reader, artist: Artist, seeds: int) -> tuple[float, dict[str, float], float]:
    made = artist.draw("ages", four_ages(seeds))
    rises = ages_in_order(scores(reader, made)["age"])
    kept = same_picture_kept(read(reader, made), ("background", "role", "view"))
    together = rises & np.stack(list(kept.values())).all(0)
    return float(rises.mean()), {name: float(same.mean()) for name, same in kept.items()}, float(together.mean())


def _sharpness(models: Path, name: str, held: np.ndarray, device: torch.device) -> dict[str, tuple[float, float]]:
    """dB of whole frames and of faces, for every autoencoder there is."""
    found = {}
    for label, folder in (
        ("own", models / name / "vae"),
        ("ft", models / "mini-vae-ft"),
        ("tiny", models / "mini-vae-tiny"),
    ):
        if (folder / "config.json").is_file():
            vae = AutoModel.from_pretrained(str(folder), torch_dtype=torch.float32).to(device).eval()
            real, back = reconstruct(vae, held)
            left, top, right, bottom = FACE_BOX
            found[label] = (
                psnr(back, real),
                psnr(back[..., top:bottom, left:right], real[..., top:bottom, left:right]),
            )
    return found


def _negative(reader: Reader, artist: Artist, seeds: int = 96) -> dict[str, tuple[float, float]]:
    """How often the unwanted is there, without and with the negative prompt; the prompts themselves are silent about it."""
    found = {}
    beard, red = COLUMNS.index("beard"), COLUMNS.index("background")
    for negative, prompt, column, value in (
        ("beard", "portrait photo of a king", beard, 1),
        ("red background", "", red, BY_NAME["background"].index("red")),
    ):
        asks = [Ask(prompt=prompt, seed=500 + seed) for seed in range(seeds)]
        word = negative.split()[0]
        before = read(reader, artist.draw(f"with-{word}", asks))[:, column]
        after = read(reader, artist.draw(f"without-{word}", [replace(ask, negative=negative) for ask in asks]))[
            :, column
        ]
        found[f'`--negative "{negative}"`, prompt "{prompt}"'] = (
            float((before == value).mean()),
            float((after == value).mean()),
        )
    return found


def _spread(reader: Reader, artist: Artist, seeds: int = 24) -> dict[str, float]:
    """Bits of what "portrait photo of a king" and the empty prompt leave open, over seeds."""
    found: dict[str, float] = {}
    for words, names in (
        ("portrait photo of a king", ("background", "colour", "view", "beard")),
        ("", ("role", "age", "background", "view")),
    ):
        asks = [Ask(prompt=words, seed=900 + seed) for seed in range(seeds)]
        seen = read(reader, artist.draw("king" if words else "empty", asks))
        found |= {f"{words or 'empty prompt'}: {name}": entropy(seen[:, COLUMNS.index(name)]) for name in names}
    return found


def _harm(
    reader: Reader, artist: Artist, asks: list[Ask], labels: np.ndarray, made: np.ndarray
) -> dict[str, tuple[float, float]]:
    """Obedience without and with unknown words behind the prompt."""
    before = accuracies(read(reader, made), labels)
    after = accuracies(read(reader, artist.draw("nonsense", nonsense(asks))), labels)
    return {name: (before[name], after[name]) for name in ASKED}


def _halves(reader: Reader, folder: Path, asks: list[Ask]) -> dict[str, tuple[float, float]]:
    """The same pictures in float16 and bfloat16 as in float32: whether they are read alike, and how far apart they are."""
    whole = generate(load(folder), asks)
    found = {}
    for dtype in (torch.float16, torch.bfloat16):
        half = generate(load(folder, dtype), asks)
        alike = (read(reader, half) == read(reader, whole)).mean()
        apart = np.abs(half.astype(int) - whole.astype(int)).mean()
        found[str(dtype).removeprefix("torch.")] = (float(alike), float(apart))
    return found


def _speed(folder: Path) -> dict[str, float]:
    """Seconds a picture in float32, alone and in a batch of 8, the best of three."""
    pipe = load(folder)
    ask = Ask(prompt=STORY.format("a old"), seed=1)
    found = {}
    for label, count in (("alone", 1), ("batch of 8", 8)):
        times = []
        for _ in range(3):
            start = time.perf_counter()
            generate(pipe, [ask] * count, batch=count)
            times.append((time.perf_counter() - start) / count)
        found[label] = min(times)
    return found
