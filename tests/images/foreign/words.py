"""Words that are hard to carry, and the two texts of a picture that was made from them."""

import json
import re

from hypothesis import strategies as st

from promptlab.images.infotext import infotext
from promptlab.plan import requests_of

nasty = st.text(st.characters(codec="utf-8"), max_size=60) | st.lists(
    st.sampled_from(["Steps: 20, Sampler: Euler, CFG scale: 7, Seed: 1", "Negative prompt:", "\n", ", ", '"', "전",
                     ": ", "🔥", "\0", "\r\n", "Negative prompt: no", "(a:1.2)", "<lora:x:1>", "\\", "BREAK", "[b]"]),
    max_size=6,
).map("".join)  # fmt: skip

NASTY = [
    "portrait photo of a old warrior chief",
    "Steps: 5 of them, Sampler: none, CFG scale: 9, Seed: 3",
    "a list\nSteps: first this, then that\nand more",
    "Negative prompt: at the front",
    'quotes "and" colons: and, commas — 50mm --ar 2:3  --beta',
    "windows\r\nlines",
    "老いた戦士 🔥👨‍👩‍👧",
]


def as_read(prompt):
    """What the format can carry of a prompt: white space folded as text encoders fold it."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", prompt).split())


def two_texts(resolve, variant, **changes):
    """Both texts of a picture, ours as it was written first, in format 1."""
    resolved = resolve((variant,), (7,), **changes)
    (task,) = requests_of(resolved)
    ours = {
        "kind": "image", "format": 1, "version": "0.1.0", "run": {"uid": "0f" * 16, "id": 3, "experiment": "foxes"},
        "position": 0, "recipe_key": task.recipe_key, "environment": "e" * 64,
        "model_identity": resolved.model_identity, "vae_identity": None, "device": "cpu", "parent": None,
        "spec": resolved.spec.to_dict(),
    }  # fmt: skip
    return {"promptlab": json.dumps(ours), "parameters": infotext(task)}
