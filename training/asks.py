"""What the evaluation asks for: whole descriptions in several wordings, four ages at one seed, negatives, silence and nonsense."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Final

from training.attributes import BY_NAME, COLOURS, FEMININE, Attributes
from training.captions import LIGHT_WORDS, MAKEUP_WORDS, ROLE_WORDS, UNKNOWN, VIEW_WORDS
from training.generate import Ask

__all__ = ["AGES_ASKED", "STORY", "four_ages", "nonsense", "whole"]

AGE_WORDS: Final = {
    "child": ("a child {}", "a little {}"), "young": ("a young {}", "a youthful {}"), "adult": ("a {}", "an adult {}"),
    "old": ("a old {}", "an elderly {}"), "oldest": ("the oldest {}", "a very old {}"),
}  # fmt: skip
STORY: Final = (
    "portrait photo of {} warrior chief, tribal panther make up, blue on red, side profile, looking away, serious eyes "
    "50mm portrait photography, hard rim lighting photography--beta --ar 2:3  --beta --upbeta"
)
AGES_ASKED: Final = {"young": "a young", "adult": "a", "old": "a old", "oldest": "the oldest"}


def whole(count: int, seed: int = 1) -> tuple[list[Ask], list[Attributes]]:
    """Prompts that name role, age, colour, background, view, make-up and light, each value as often as any other."""
    r = random.Random(seed)
    decks: dict[str, list[str]] = {}

    def deal(name: str) -> str:
        if not decks.get(name):
            decks[name] = list(BY_NAME[name])
            r.shuffle(decks[name])
        return decks[name].pop()

    asks, wanted = [], []
    for i in range(count):
        a = Attributes(
            role=deal("role"),
            age=deal("age"),
            view=deal("view"),
            makeup=deal("makeup"),
            light=deal("light"),
            colour=deal("colour"),
        )
        a = replace(a, background=r.choice([name for name in COLOURS if name != a.colour]), feminine=a.role in FEMININE)
        asks.append(Ask(prompt=_wording(a, r), seed=10_000 + i))
        wanted.append(a)
    return asks, wanted


def _wording(a: Attributes, r: random.Random) -> str:
    """The tutorial's words, a paraphrase, or a short form."""
    who = r.choice(AGE_WORDS[a.age]).format(r.choice(sorted(set(ROLE_WORDS[a.role]))))
    phrases = [
        r.choice([f"{a.colour} on {a.background}", f"dressed in {a.colour}, {a.background} background"]),
        r.choice(sorted(set(VIEW_WORDS[a.view]))),
    ]
    if a.makeup != "none" or r.random() < 0.3:
        phrases.insert(0, r.choice(sorted(set(MAKEUP_WORDS[a.makeup]))))
    if a.light != "soft" or r.random() < 0.3:
        phrases.append(r.choice(sorted(set(LIGHT_WORDS[a.light]))))
    return ", ".join([f"{r.choice(('portrait photo of', 'portrait of', 'a photo of', ''))} {who}".strip(), *phrases])


def four_ages(seeds: int) -> list[Ask]:
    """The story's last step at every seed: four in a row, youngest first."""
    return [Ask(prompt=STORY.format(words), seed=seed) for seed in range(seeds) for words in AGES_ASKED.values()]


def nonsense(asks: list[Ask], seed: int = 3) -> list[Ask]:
    """The same prompts and seeds with words behind them that the model was never shown a meaning of."""
    r = random.Random(seed)
    return [
        replace(ask, prompt=f"{ask.prompt}, {' '.join(r.choice(UNKNOWN) for _ in range(3))}, zyxquabble")
        for ask in asks
    ]
