"""Measures, wraps and draws text with the fonts that really draw it.

Nothing is ever shrunk, and nothing cut but where a number of lines is given: a line that is too long is broken, at
blanks and between CJK characters first, inside a word only when the word alone is too wide.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, islice
from typing import TYPE_CHECKING, Final

from promptlab.images.fonts import JOINERS, Face, face_for, has_glyph, legible, loaded, main_face

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

__all__ = ["Style", "TextBlock", "wrapped"]

_CJK: Final = "\u1100-\u11ff\u2e80-\u303f\u3040-\u30ff\u3130-\u318f\u3400-\u4dbf\u4e00-\u9fff\uff00-\uffef"
_OPENING: Final = "「『（【〔〈《［｛"
_CLOSING: Final = "、。，．・：；？！」』）】〕〉》］｝ー々ゝゞぁぃぅぇぉっゃゅょァィゥェォッャュョ"
_TOKENS: Final = re.compile(rf" +|[{_OPENING}]*[{_CJK}][{_CLOSING}]*|[^ {_CJK}]+[{_CLOSING}]*")
"""What a line is broken between: words, and CJK characters with the signs that may not begin or end a line with them.

Hangul syllables are letters of words here: Korean puts blanks between its words. Signs: JIS X 4051, "kinsoku".
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """Describes how text looks: ``size`` in pixels to the em, ``colour`` as Pillow names it."""

    size: int
    colour: str
    bold: bool = False

    @property
    def line_height(self) -> int:
        """Return pixels from one baseline to the next."""
        return round(self.size * 1.4)

    def width(self, text: str) -> float:
        """Return how many pixels ``text``, one legible line, takes."""
        return sum(self._advance(face, run) for face, run in self._runs(text))

    def draw(self, canvas: ImageDraw, x: float, top: int, text: str) -> None:
        """Draw one legible line from ``x`` on, all its fonts on one baseline, inside ``line_height`` pixels."""
        baseline = top + round(self.size * 1.08)
        main = main_face(bold=self.bold)
        for face, run in self._runs(text):
            if face.strike is not None:
                self._draw_bitmaps(canvas, face, x, baseline, run)
            else:
                plain = face == main or face.coloured
                stroke = 0 if plain or not self.bold else self.size / 40  # fallbacks come in one weight only
                canvas.text(
                    (x, baseline), run, font=loaded(face, self.size), fill=self.colour, anchor="ls",
                    stroke_width=stroke, embedded_color=face.coloured,
                )  # fmt: skip
            x += self._advance(face, run)

    def _advance(self, face: Face, run: str) -> float:
        length = loaded(face, self.size).getlength(run)
        return length if face.strike is None else length * self.size / face.strike

    def _draw_bitmaps(self, canvas: ImageDraw, face: Face, x: float, baseline: int, run: str) -> None:
        """Draw glyphs of one size scaled down to this one, over what is there."""
        from PIL import Image, ImageDraw

        assert face.strike is not None  # noqa: S101 - asked by the caller
        font, scale = loaded(face, self.size), self.size / face.strike
        left, upper, right, lower = font.getbbox(run, anchor="ls")
        whole = Image.new("RGBA", (max(1, round(right - left)), max(1, round(lower - upper))))
        ImageDraw.Draw(whole).text((-left, -upper), run, font=font, anchor="ls", embedded_color=True)
        small = whole.resize((max(1, round(whole.width * scale)), max(1, round(whole.height * scale))))
        sheet = canvas._image  # noqa: SLF001 - ImageDraw itself puts bitmaps down in one colour only
        sheet.paste(small, (round(x + left * scale), round(baseline + upper * scale)), small)

    def _runs(self, text: str) -> Iterator[tuple[Face, str]]:
        """Yield ``text`` in pieces of one font each; a blank, or a joiner, goes with what stands before it."""
        main = main_face(bold=self.bold)
        faces: list[Face] = []
        for character in text:
            joined = character == " " or character in JOINERS
            if joined and faces and not (character == " " and faces[-1].coloured) and has_glyph(faces[-1], character):
                faces.append(faces[-1])
            else:
                faces.append(face_for(character, bold=self.bold) or main)
        for face, run in groupby(zip(faces, text, strict=True), key=lambda pair: pair[0]):
            yield face, "".join(character for _, character in run)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextBlock:
    """Holds lines of one style, one under the other."""

    lines: tuple[str, ...]
    style: Style

    @property
    def height(self) -> int:
        """Return pixels from the top of the first line to the bottom of the last."""
        return len(self.lines) * self.style.line_height

    @property
    def width(self) -> float:
        """Return the pixels of the widest line."""
        return max((self.style.width(line) for line in self.lines), default=0)

    def draw(self, canvas: ImageDraw, x: float, top: int) -> None:
        """Draw the lines, flush left at ``x``, the first one's top at ``top``."""
        for at, line in enumerate(self.lines):
            self.style.draw(canvas, x, top + at * self.style.line_height, line)


def wrapped(text: str, style: Style, width: int, *, lines: int | None = None) -> TextBlock:
    """Wrap ``text``, made legible, in lines of at most ``width`` pixels.

    Line breaks in it stay. Only a character that is wider than ``width`` by itself sticks out.

    Args:
        lines: how many there may be; the last ends in ``…`` where there would be more. None keeps all.
    """
    found = _lines(text, style, width, lines)
    if lines is not None and len(found) > lines:
        *kept, last = found[:lines]
        found = (*kept, f"{last.rstrip(' ,;')}…")
    return TextBlock(lines=found, style=style)


@lru_cache(maxsize=1024)
def _lines(text: str, style: Style, width: int, most: int | None) -> tuple[str, ...]:
    """Return the lines, and of more than ``most`` one more: what is not shown is not measured."""
    filled = (line for paragraph in legible(text).split("\n") for line in _fill(paragraph, style, width))
    return tuple(islice(filled, None if most is None else most + 1))


def _fill(paragraph: str, style: Style, width: int) -> Iterator[str]:
    line = ""
    for found in _TOKENS.finditer(paragraph):
        token = found[0]
        joined = (line + token).rstrip(" ")
        if _longest(joined, style, width) == len(joined):
            line += token
            continue
        if line.strip(" "):
            yield line.rstrip(" ")
        line, begin = "" if token.isspace() else token, 0
        while begin + (fits := _longest(line, style, width, begin)) < len(line):
            yield line[begin : begin + fits]
            begin += fits
        line = line[begin:]
    if line.strip(" ") or not paragraph.strip(" "):
        yield line.rstrip(" ")


def _longest(text: str, style: Style, width: int, begin: int = 0) -> int:
    """Return how many characters from ``begin`` on fit, one at least: a longer text is never narrower.

    What lies far beyond is not measured, however long a word is.
    """
    left = len(text) - begin
    low, high = min(1, left), min(32, left)
    while low < high and style.width(text[begin : begin + high]) <= width:
        low, high = high, min(2 * high, left)
    while low < high:
        middle = (low + high + 1) // 2
        fits = style.width(text[begin : begin + middle]) <= width
        low, high = (middle, high) if fits else (low, middle - 1)
    return low
