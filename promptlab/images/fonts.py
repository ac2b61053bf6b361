"""Finds the font that can draw a character, and names the characters that none can.

The main font is DejaVu Sans, which ships inside matplotlib (found without importing it): Latin, Greek, Cyrillic,
Arabic, mathematics. What it lacks is drawn with a well-known font of the system where one is installed, emoji with the
system's coloured ones, and otherwise named in brackets: ``[8 Korean characters]``, ``[fire]``. The invariant: text that
went through :func:`legible` has a glyph for every character, so no label ever shows an empty box.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final

from promptlab.images.font_files import Face, emoji_faces, system_faces

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

__all__ = [
    "EMOJI",
    "JOINERS",
    "Face",
    "face_for",
    "has_glyph",
    "legible",
    "loaded",
    "main_face",
    "scripts_without_font",
]

EMOJI: Final = "emoji"
"""Names what :func:`scripts_without_font` calls pictures among the letters."""

_EMOJI: Final = range(0x1F000, 0x1FB00)
"""Code points that are drawn in colour first: fonts of letters have outlines of a few of them."""

JOINERS: Final = frozenset("\u200b\u200c\u200d\u2060\ufe0e\ufe0f\ufeff")
"""Joiners and variation selectors: they change how their neighbours look; without these they are no loss."""

_BETWEEN: Final = re.compile(r"[ ,.;:!?'\"()/-]+")

_SCRIPTS: Final = {
    "HANGUL": "Korean",
    "HIRAGANA": "Japanese",
    "KATAKANA": "Japanese",
    "KATAKANA-HIRAGANA": "Japanese",
    "CJK": "CJK",
    "IDEOGRAPHIC": "CJK",
    "FULLWIDTH": "CJK",
    "HALFWIDTH": "CJK",
}


@lru_cache(maxsize=2)
def main_face(*, bold: bool = False) -> Face:
    """Return DejaVu Sans from matplotlib's data, or Pillow's own font where matplotlib was left out."""
    found = find_spec("matplotlib")
    for place in (found and found.submodule_search_locations) or ():
        path = Path(place, "mpl-data", "fonts", "ttf", "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")
        if path.is_file():
            return Face(path)
    return Face(None)


@lru_cache(maxsize=64)
def loaded(face: Face, size: int) -> FreeTypeFont:
    """Load the font at ``size`` pixels to the em, or at the size of its bitmaps where it has only these."""
    from PIL import ImageFont

    if face.path is None:
        return ImageFont.load_default(size)  # type: ignore[return-value]  # with a size it is always a FreeType font
    return ImageFont.truetype(str(face.path), face.strike or size, index=face.index)


def has_glyph(face: Face, character: str) -> bool:
    """Return whether ``face`` draws ``character`` as itself."""
    return ord(character) in _coverage(face)


@lru_cache(maxsize=4096)
def face_for(character: str, *, bold: bool = False) -> Face | None:
    """Return the font that draws ``character``: the main one, else the first installed one, else None.

    Whether there is one does not depend on ``bold``.
    """
    if ord(character) in _EMOJI and (found := _having(emoji_faces(), character)):
        return found
    for main in (main_face(bold=bold), main_face()):  # the bold font has fewer characters than the regular one
        if has_glyph(main, character):
            return main
    return _having(system_faces(), character) or _having(emoji_faces(), character)


def _having(faces: tuple[Face, ...], character: str) -> Face | None:
    return next((face for face in faces if has_glyph(face, character)), None)


def legible(text: str) -> str:
    """Replace every character of ``text`` that no font here can draw by its name, each run once.

    Words in a script become ``[8 Korean characters]`` (what stands between them is part of it), a symbol becomes its
    Unicode name, ``[fire]``. Every other white space and every control character becomes a blank; line breaks stay.
    """
    seen = "".join(map(_plain, text.replace("\r\n", "\n").replace("\r", "\n")))
    if all(character == "\n" or face_for(character) for character in set(seen)):
        return seen
    return "".join(_named("".join(character for character in seen if character not in JOINERS)))


def scripts_without_font(text: str) -> tuple[str, ...]:
    """Return what no font here can draw: ``("Korean",)``, :data:`EMOJI` for these; other symbols left out."""
    missing = {character: _script(_plain(character)) for character in set(text) if not character.isascii()}
    found = {script for script in missing.values() if script}
    if any(script == "" and ord(character) in _EMOJI for character, script in missing.items()):
        found.add(EMOJI)
    return tuple(sorted(found))


def _plain(character: str) -> str:
    """Replace white space and control characters by blanks: fonts have no glyph for most of them."""
    return " " if character != "\n" and (character.isspace() or unicodedata.category(character) == "Cc") else character


def _named(text: str) -> Iterator[str]:
    """Yield the stretches of ``text`` as they can be shown."""
    scripts = [_script(character) for character in text]
    for between in _BETWEEN.finditer(text):  # what stands between two words without a font belongs to them
        first, last = between.start() - 1, between.end()
        if first >= 0 and last < len(text) and scripts[first] and scripts[last]:
            scripts[first + 1 : last] = [scripts[first]] * (last - first - 1)
    for missing, stretch in groupby(zip(scripts, text, strict=True), key=lambda pair: pair[0] is not None):
        pairs = list(stretch)
        if not missing:
            yield "".join(character for _, character in pairs)
        elif {script for script, _ in pairs} == {"CJK", "Japanese"}:  # kana among the ideographs: it is Japanese
            yield _counted("Japanese", [character for _, character in pairs])
        else:
            for script, run in groupby(pairs, key=lambda pair: pair[0]):
                yield _counted(script, [character for _, character in run])


def _counted(script: str | None, characters: list[str]) -> str:
    """Name a run of characters without a font: letters by number and script, symbols by their names."""
    if not script:
        return "".join(f"[{_symbol(character)}]" for character in dict.fromkeys(characters))
    count = sum(_script(character) is not None for character in characters)
    together = "\N{NO-BREAK SPACE}" if face_for("\N{NO-BREAK SPACE}") else " "
    return together.join((f"[{count}", script, f"character{'s' * (count != 1)}]"))


def _script(character: str) -> str | None:
    """Return None for what can be drawn; else the script, ``""`` for a symbol that has a name."""
    if character == "\n" or face_for(character) is not None:
        return None
    first = unicodedata.name(character, "").split(" ")[0]
    if first in _SCRIPTS:
        return _SCRIPTS[first]
    is_word = unicodedata.category(character)[0] in "LMN" and first not in ("", "COMBINING")
    return first.capitalize() if is_word else ""


def _symbol(character: str) -> str:
    return unicodedata.name(character, "").lower() or f"U+{ord(character):04X}"


@lru_cache(maxsize=32)
def _coverage(face: Face) -> frozenset[int]:
    """Return the code points that ``face`` has glyphs for, from the font's table (OpenType's ``cmap``)."""
    from fontTools.ttLib import TTFont, TTLibError

    try:
        source = loaded(face, 12).path if face.path is None else str(face.path)
        if hasattr(source, "seek"):
            source.seek(0)
        with TTFont(source, fontNumber=face.index, lazy=True) as font:
            return frozenset(font.getBestCmap() or ())
    except (OSError, TTLibError, KeyError, ValueError):
        return frozenset()  # a font that cannot be read draws nothing
