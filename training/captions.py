"""What people would type for a portrait: the tutorial's words, paraphrases, short forms, and words that mean nothing here.

A caption never contradicts its picture; it may be silent. What is not said must then vary, and what is unknown must do no harm.
"""

from __future__ import annotations

import random
from typing import Final

from training.attributes import AGES, EITHER, FEMININE, Attributes

__all__ = ["UNKNOWN", "caption"]

AGE_WORDS: Final = {
    "child": ("child", "little", "very young"),
    "young": ("young", "young", "young", "youthful", "teenage"),
    "adult": ("", "", "", "", "adult", "middle-aged"),
    "old": ("old", "old", "old", "elderly", "aged"),
    "oldest": ("oldest", "oldest", "very old", "ancient", "extremely old"),
}
ROLE_WORDS: Final = {
    "warrior chief": ("warrior chief",) * 5 + ("tribal chief", "chieftain", "chief"), "warrior": ("warrior", "warrior", "fighter"),
    "king": ("king", "king", "monarch"), "queen": ("queen", "queen", "empress"), "wizard": ("wizard", "wizard", "sorcerer", "magician"),
    "pirate": ("pirate", "pirate", "pirate captain"), "astronaut": ("astronaut", "astronaut", "cosmonaut", "spaceman"),
    "robot": ("robot", "robot", "android"), "samurai": ("samurai", "samurai", "samurai warrior"), "viking": ("viking", "viking", "viking warrior"),
    "knight": ("knight", "knight", "knight in armor"), "doctor": ("doctor", "doctor", "physician"), "chef": ("chef", "chef", "cook"),
    "clown": ("clown", "clown", "jester"), "monk": ("monk", "monk", "hooded monk"), "detective": ("detective", "detective", "spy"),
    "man": ("man", "man", "man", "guy"), "woman": ("woman", "woman", "woman", "lady"),
}  # fmt: skip
MAKEUP_WORDS: Final = {
    "panther": ("tribal panther make up",) * 4
    + ("panther make up", "panther makeup", "panther face paint", "leopard make up"),
    "stripes": ("war paint", "striped war paint", "striped face paint", "stripes make up", "striped make up"),
    "none": ("no make up", "without make up", "bare face"),
}
VIEW_WORDS: Final = {
    "front": ("front view", "facing the camera", "frontal", "facing forward"),
    "three-quarter": ("three-quarter view", "three quarter view", "3/4 view", "turned slightly"),
    "profile": ("side profile",) * 4 + ("profile view", "side view", "profile", "seen from the side"),
}
EXPRESSION_WORDS: Final = {
    "neutral": ("neutral", "calm"), "serious": ("serious eyes",) * 3 + ("serious", "serious look", "stern"),
    "smiling": ("smiling", "smiling", "smile", "happy", "laughing"), "angry": ("angry", "angry", "furious", "angry eyes"),
    "surprised": ("surprised", "surprised", "shocked", "astonished"),
}  # fmt: skip
LIGHT_WORDS: Final = {
    "soft": ("soft light", "soft lighting", "studio light", "even light"),
    "rim": ("hard rim lighting photography",) * 3 + ("hard rim lighting", "rim lighting", "rim light", "backlight"),
    "dramatic": ("dramatic shadow", "dramatic lighting", "dramatic light", "low key lighting", "dark shadow"),
}
LEADS: Final = ("portrait photo of",) * 4 + (
    "portrait of",
    "portrait of",
    "photo of",
    "a photo of",
    "a portrait of",
    "photograph of",
    "close-up portrait of",
    "",
    "",
    "",
)
DRAWINGS: Final = (
    "drawing of",
    "a drawing of",
    "ink drawing of",
    "pencil drawing of",
    "sketch of",
    "illustration of",
    "comic drawing of",
)
LENSES: Final = ("50mm portrait photography",) * 4 + ("50mm", "85mm portrait photography")
PRAISE: Final = (
    "4k",
    "8k",
    "highly detailed",
    "masterpiece",
    "beautiful",
    "sharp focus",
    "best quality",
    "award winning",
    "cinematic",
)
FLAGS: Final = ("--beta --ar 2:3  --beta --upbeta", " --beta --ar 2:3", "--beta --upbeta")
GREYS: Final = ("grey background",) * 4 + ("gray background", "on grey", "on a grey background")
SAID: Final = 0.84
"""The share of captions that name background, clothes' colour and view, whatever these are.

Were one value named less often than another, silence would mean it, and guidance would make that certain: what is left open
would no longer vary over seeds.
"""
SINGLE: Final = 0.06
"""The share of captions that are one phrase."""
UNKNOWN: Final = tuple(
    """
    the of in at and by from for to is intricate elegant concept art artstation trending epic fantasy moody vivid
    colorful handsome brave strong fierce mysterious noble tired proud confident shy good holy modern futuristic
    medieval vintage retro steampunk forest mountain city castle desert ocean river sky night sunset winter snow
    rain fire smoke fog storm stars moon sun clouds sword shield shirt glasses necklace leather wood stone glass
    oil watercolor acrylic digital render octane photograph film grain kodak lens f1.8 hdr uhd natural golden hour
    volumetric cat dog horse wolf lion bear eagle dragon fish bird tree flower car house banker teacher soldier
    farmer artist dancer singer hero elf dwarf style wide shot upper body symmetrical centered composition
    professional blurry ugly deformed low quality cropped watermark text signature
    """.split()  # noqa: SIM905 - a hundred quoted words would hide the sentence
)
"""Words that the tokenizer shall know and the pictures do not."""


def caption(a: Attributes, r: random.Random) -> str:
    """One of many captions for ``a``.

    Some are a single phrase and no subject, since that is what a negative prompt says: "beard", "red background".
    """
    phrases, tail = _phrases(a, r), _tail(a, r)
    if (phrases or tail) and r.random() < SINGLE:
        return r.choice(phrases + tail)
    head = _subject(a, r)
    if r.random() < 0.4:
        r.shuffle(phrases)
    if r.random() < 0.12:
        phrases = [phrase for phrase in phrases if r.random() < 0.5]
    if r.random() < 0.25:
        phrases += tail
        r.shuffle(phrases)
        tail = []
    if r.random() < 0.06:
        text = ", ".join([*phrases, head, *tail])
    else:
        text = ", ".join([head, *phrases]) + (r.choice([" ", ", "]) + ", ".join(tail) if tail else "")
    return _frayed(text, r)


def _subject(a: Attributes, r: random.Random) -> str:
    age = r.choice(AGE_WORDS[a.age]) if a.age == "adult" or r.random() < 0.95 else ""
    role = r.choice(ROLE_WORDS[a.role])
    if a.feminine and a.role in EITHER and r.random() < 0.6:
        role = f"female {role}"
    if a.age == "child" and r.random() < 0.3:
        age, role = "", f"{role} child"
    article = (
        "the"
        if age == "oldest" or r.random() < 0.06
        else "an"
        if age[:1] in ("a", "e", "o") and age and r.random() < 0.5
        else "a"
    )
    lead = r.choice(LEADS if a.style == "photo" else DRAWINGS)
    if not lead and r.random() < 0.5:
        article = ""
    return " ".join(word for word in (lead, article, age, role) if word)


def _phrases(a: Attributes, r: random.Random) -> list[str]:
    left_right = "left" if a.side < 0 else "right"
    found = []
    if r.random() < (0.95 if a.makeup != "none" else 0.06):
        found.append(r.choice(MAKEUP_WORDS[a.makeup]))
    found += _colours(a, r)
    if r.random() < SAID:
        found.append(
            r.choice(VIEW_WORDS[a.view]) + (f" facing {left_right}" if a.view != "front" and r.random() < 0.12 else "")
        )
    if a.away and r.random() < 0.85:
        found.append(r.choice(["looking away"] * 4 + ["looking to the side", "looking aside", f"looking {left_right}"]))
    elif not a.away and r.random() < 0.1:
        found.append("looking at the camera")
    if r.random() < (0.95 if a.expression != "neutral" else 0.08):
        found.append(r.choice(EXPRESSION_WORDS[a.expression]))
    if a.bearded and r.random() < 0.35:
        found.append(
            r.choice(
                (
                    "beard",
                    "bearded",
                    "with a beard",
                    {"adult": "short beard", "old": "grey beard", "oldest": "long white beard"}[a.age],
                )
            )
        )
    elif not a.bearded and r.random() < (0.35 if a.shaven and a.age in AGES[2:] and a.role not in FEMININE else 0.05):
        found.append(r.choice(("no beard", "clean-shaven", "without a beard", "shaven")))
    return found


def _colours(a: Attributes, r: random.Random) -> list[str]:
    clothes = a.colour is not None and r.random() < SAID
    behind = r.random() < SAID
    if clothes and behind and a.background and r.random() < 0.6:
        return [f"{a.colour} on {a.background}"]
    found = []
    if a.colour and clothes:
        k = a.colour
        found.append(
            r.choice(
                [
                    k,
                    f"in {k}",
                    f"dressed in {k}",
                    f"{k} clothes",
                    f"wearing {k}",
                    f"{k} colors",
                    f"{k} paint" if a.makeup != "none" else f"in {k}",
                ]
            )
        )
    if behind and a.background:
        found.append(
            r.choice(
                [f"{a.background} background"] * 3
                + [f"on {a.background}", f"on {a.background} background", f"on a {a.background} background"]
            )
        )
    elif behind:
        found.append(r.choice(GREYS))
    return found


def _tail(a: Attributes, r: random.Random) -> list[str]:
    found = []
    if a.style == "photo" and r.random() < 0.2:
        found.append(r.choice(LENSES))
    if r.random() < (0.96 if a.light != "soft" else 0.12):
        found.append(r.choice(LIGHT_WORDS[a.light]))
    if r.random() < 0.08:
        found.append(r.choice(PRAISE))
    return found


def _frayed(text: str, r: random.Random) -> str:
    """As people type: flags of other tools, words nobody knows, capitals, no commas."""
    if r.random() < 0.10:
        text += r.choice([", ", " "]) + " ".join(r.choice(UNKNOWN) for _ in range(r.randint(1, 4)))
    if r.random() < 0.03:
        text += r.choice(FLAGS)
    if r.random() < 0.05:
        text = text.capitalize()
    return text.replace(",", "") if r.random() < 0.10 else text
