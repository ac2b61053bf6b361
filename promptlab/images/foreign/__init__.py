"""Reads the metadata that other programs wrote into images, as a spec and what a spec cannot say.

::

    found = read_foreign(path)        # None: nothing that a known program wrote
    found.spec                        # one variant, one seed: a parent to go on from
    found.lost                        # what could not be carried over, each with the reason

Nothing in an image is ever executed, imported, expanded or looked up. It is text from a stranger: it is parsed, by
rules that end, into numbers and words, and what does not fit is among the lost. A text is of a program or it is not;
no text at all makes :func:`recognise` fail.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from promptlab.errors import InputError
from promptlab.images.foreign import (
    automatic1111,
    comfyui,
    dgenerate,
    draw_things,
    fooocus,
    invokeai,
    novelai,
    swarmui,
)
from promptlab.images.foreign.record import ForeignMetadata, brief
from promptlab.images.foreign.stealth import hidden_text
from promptlab.images.foreign.texts import size_of, texts_of
from promptlab.records import ImportGap

__all__ = ["PROGRAMS", "ForeignMetadata", "read_foreign", "recognise", "why_unread"]

PROGRAMS: Final = (
    "AUTOMATIC1111", "Civitai", "ComfyUI", "dgenerate", "Draw Things", "Fooocus", "InvokeAI", "NovelAI", "SwarmUI",
)  # fmt: skip
"""Lists the programs whose images are read. Forge, SD.Next and others write as AUTOMATIC1111 does."""

_READERS: Final = (
    dgenerate.read,
    invokeai.read,
    swarmui.read,
    fooocus.read,
    novelai.read,
    draw_things.read,
    comfyui.read,
    automatic1111.read,
)
"""Those who sign their text first. ComfyUI's graph before the ``parameters`` that some of its nodes write beside it,
because the graph is what was run."""

_LONGEST: Final = 8_000_000
"""Characters of one text. Workflows have a few hundred thousand."""


def read_foreign(path: Path) -> ForeignMetadata | None:
    """Read what the program that made the image at ``path`` wrote; return None for no known program.

    Where its texts were stripped, one that is hidden in its pixels is looked for.

    An image of PromptLab's is read from its ``parameters``, as others see it; everything else of it is in
    :func:`promptlab.images.metadata.self_description`.

    Raises:
        NotFound: when there is no such file.
        InputError: when it is no PNG, JPEG or WebP, a damaged one, or holds a text too long to have been meant.
    """
    texts = texts_of(path)
    for keyword, text in texts.items():
        if len(text) > _LONGEST:
            raise InputError(
                "picture", str(path), problem=f"holds a text of {len(text):,} characters under '{keyword}'",
                allowed=f"{_LONGEST:,} or fewer",
            )  # fmt: skip
    found = recognise(texts)
    if found is None and (hidden := hidden_text(path)):
        found = recognise({**texts, "parameters": hidden})
    return found if found is None else _with_size(found, path)


def _with_size(found: ForeignMetadata, path: Path) -> ForeignMetadata:
    """Say of a file that is larger than the picture of its words that it is a grid, or enlarged."""
    call, size = found.spec.call, size_of(path)
    if size is None or call.width is None or call.height is None or (size[0] <= call.width and size[1] <= call.height):
        return found
    why = f"is larger than the {call.width}x{call.height} that the words are of: a grid, or enlarged afterwards"
    gap = ImportGap(name="the file", value=f"{size[0]}x{size[1]}", why=why)
    return replace(found, lost=(*found.lost, gap))


def recognise(texts: Mapping[str, str]) -> ForeignMetadata | None:
    """Read the texts of an image, by keyword; return None when no known program wrote them."""
    for read in _READERS:
        found = read(texts)
        if found is not None:
            return found
    return None


def why_unread(path: Path) -> str:
    """Return why :func:`read_foreign` finds nothing in an image: the rest of a sentence about it.

    A text that nobody here understands is another matter than none.
    """
    texts = texts_of(path)
    if "workflow" in texts and "prompt" not in texts:
        return "holds the drawing of a ComfyUI workflow, and not the graph that was run ('prompt')"
    named = [keyword for keyword, text in texts.items() if text.strip()]
    if hidden_text(path):
        named.append("a text hidden in its pixels")
    if not named:
        return "does not say how it was made"
    shown = ", ".join(brief(keyword) for keyword in named[:6])
    return f"does not say how it was made in a way that is understood here (it holds: {shown})"
