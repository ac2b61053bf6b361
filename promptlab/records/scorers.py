"""Names the models that score images: how well one fits its words, how much people like it.

A scorer is typed as its name, ``pickscore``, or with another model of the same class, ``pickscore=FOLDER_OR_ID``. What
cannot be loaded soundly is known by name as well, with the reason and what to use instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from promptlab.errors import InputError, UnknownValue, ref_value

__all__ = [
    "SCORERS",
    "KnownScorer",
    "Scorer",
    "clip_score",
    "known_scorer",
    "parse_scorer",
    "parse_scorers",
    "score_text",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownScorer:
    """Describes a scorer that can be loaded.

    Args:
        about: what it measures, and on which scale.
        model: the Hub id of its own weights; ``None`` where these are no safetensors, so that a conversion is named.
        why_not: the reason why it has no model of its own, the rest of a sentence.
        digits: behind the point, of a value that is shown.
    """

    about: str
    model: str | None
    why_not: str = ""
    digits: int = 2


SCORERS: Final = MappingProxyType(
    {
        "clip": KnownScorer(
            about="how well the picture fits its prompt: 100 times the cosine of CLIP's two directions",
            model="openai/clip-vit-large-patch14",
            digits=1,
        ),
        "pickscore": KnownScorer(
            about="which picture people would pick for the prompt: PickScore, the cosine times the model's own scale",
            model="yuvalkirstain/PickScore_v1",
        ),
        "hpsv2": KnownScorer(
            about="how much people prefer the picture for the prompt: HPS v2, the cosine itself",
            model=None,
            why_not="comes as pickles of another program, which could run anything",
            digits=4,
        ),
        "aesthetic": KnownScorer(
            about="how beautiful the picture is, whatever its prompt: LAION's predictor, of ratings from 1 to 10",
            model="shunk031/aesthetics-predictor-v2-sac-logos-ava1-l14-linearMSE",
        ),
    }
)
"""Every scorer that can be loaded, by its name."""

_REFUSED: Final = MappingProxyType(
    {
        "imagereward": "comes as a pickle for a program of its own, of a class that transformers does not have",
        "image-reward": "comes as a pickle for a program of its own, of a class that transformers does not have",
        "mps": "comes as a pickle for a program of its own, of a class that transformers does not have",
        "hpsv3": "comes with a program of its own, which PromptLab does not run",
    }
)
"""Scorers that people name and that cannot be loaded soundly, with the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorer:
    """Names a scorer and its weights.

    Args:
        name: one of :data:`SCORERS`.
        model: a folder, or a Hub id.
    """

    name: str
    model: str

    def __str__(self) -> str:
        known = SCORERS[self.name].model
        return self.name if self.model == known else f"{self.name}={self.model}"


def known_scorer(name: str) -> KnownScorer:
    """Return what is known of a scorer.

    Raises:
        InputError: for one that cannot be loaded soundly.
        UnknownValue: for any other name.
    """
    if name in _REFUSED:
        raise InputError(
            "score", name, problem=f"cannot be loaded: it {_REFUSED[name]}", allowed=", ".join(SCORERS),
            hint=ref_value("score", "pickscore"),
        )  # fmt: skip
    if name not in SCORERS:
        raise UnknownValue("score", name, SCORERS, hint=ref_value("score", "pickscore"))
    return SCORERS[name]


def parse_scorer(text: str) -> Scorer:
    """Read ``pickscore`` or ``pickscore=FOLDER_OR_ID``.

    Raises:
        InputError: for a scorer that cannot be loaded, or that needs a model to be named.
        UnknownValue: for any other name.
    """
    name, _, model = text.partition("=")
    name, model = name.strip().lower(), model.strip()
    known = known_scorer(name)
    if not model and known.model is None:
        raise InputError(
            "score", name, problem=f"needs its model named: its own {known.why_not}",
            allowed="a folder or Hub id of a conversion to transformers' CLIPModel, with safetensors; or pickscore",
            hint=ref_value("score", f"{name}=FOLDER_OR_ID"),
        )  # fmt: skip
    return Scorer(name=name, model=model or known.model or "")


def parse_scorers(texts: tuple[str, ...]) -> tuple[Scorer, ...]:
    """Read several, each once.

    Raises:
        InputError: see :func:`parse_scorer`; and for two models of one scorer, whose values could not be told apart.
    """
    found: dict[str, Scorer] = {}
    for one in map(parse_scorer, texts):
        if found.setdefault(one.name, one) != one:
            raise InputError("score", str(one), problem=f"is said beside {found[one.name]}", allowed="one model each")
    return tuple(found.values())


def clip_score(cosine: float) -> float:
    """Return the CLIP score of a picture and its prompt, 0 to 100, of the cosine of their directions."""
    return 100 * max(cosine, 0.0)


def score_text(name: str, value: float) -> str:
    """Return a score with as many digits as its scale deserves."""
    digits = SCORERS[name].digits if name in SCORERS else 3
    return f"{value:.{digits}f}"
