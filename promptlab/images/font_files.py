"""Finds the installed font files: of scripts that the main font lacks, and of emoji in colour.

Fontconfig says where a Unix system keeps its fonts; its configuration is read as text, because asking it would start a
program for every grid.
"""

from __future__ import annotations

import os
import re
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

__all__ = ["Face", "emoji_faces", "system_faces"]

_SYSTEM_FONTS: Final = (
    "notosanscjk-regular",
    "notosanscjkkr-regular",
    "notosanscjkjp-regular",
    "notosanscjk",
    "notosanskr",
    "notosansjp",
    "notosanssc",
    "notosanstc",
    "sourcehansans",
    "nanumgothic",
    "nanumbarungothic",
    "nanumsquare",
    "applesdgothicneo",
    "malgun",
    "gulim",
    "undotum",
    "baekmuk",
    "hiraginosans",
    "hiragino sans gb",
    "ヒラギノ角ゴシック w3",
    "msgothic",
    "meiryo",
    "yugoth",
    "ipagothic",
    "ipaexg",
    "ipag",
    "takaogothic",
    "takaopgothic",
    "vl-gothic",
    "mplus",
    "pingfang",
    "stheiti",
    "msyh",
    "msjh",
    "simsun",
    "simhei",
    "wqy-zenhei",
    "wqy-microhei",
    "lxgwwenkai",
    "uming",
    "notoserifcjk",
    "droidsansfallback",
    "notosansarabic",
    "notonaskharabic-regular",
    "geezapro",
    "amiri-regular",
    "unifont",
    "arial unicode",
    "arialuni",
    "notosans-regular",
    "notosansdevanagari",
    "notosansthai",
    "notosansbengali",
    "notosanstamil",
    "notosanshebrew",
    "nirmala",
    "leelawui",
    "tahoma",
    "segoeui.ttf",
    "seguisym",
    "notosanssymbols",
    "notosanssymbols2-regular",
    "notoemoji",
    "symbola",
    "notosans",
)
"""Lists how file names of fonts worth asking begin, best first."""

_EMOJI_FONTS: Final = ("notocoloremoji", "apple color emoji", "seguiemj", "twemoji", "joypixels")

_FOLDER: Final = re.compile(r'<dir(?:\s+prefix="(\w+)")?[^>]*>([^<]+)</dir>')


@dataclass(frozen=True, slots=True)
class Face:
    """Names one font file and which of the fonts in it.

    Args:
        path: ``None`` for Pillow's own font.
        index: of the font in its file.
        strike: pixels to the em of a font that has bitmaps of this size alone.
        coloured: whether its glyphs have colours of their own.
    """

    path: Path | None
    index: int = 0
    strike: int | None = None
    coloured: bool = False


@lru_cache(maxsize=1)
def system_faces() -> tuple[Face, ...]:
    """Return the well-known fonts that are installed, best first."""
    return tuple(map(Face, _ranked(_SYSTEM_FONTS)))


@lru_cache(maxsize=1)
def emoji_faces() -> tuple[Face, ...]:
    """Return the fonts of coloured emoji that are installed and that Pillow can draw, best first."""
    return tuple(face for path in _ranked(_EMOJI_FONTS) for face in _coloured(path))


def _coloured(path: Path) -> Iterator[Face]:
    """Yield the font of bitmaps (CBDT, sbix) or of coloured outlines (COLR 0); Pillow draws no COLR 1."""
    from fontTools.ttLib import TTFont, TTLibError

    try:
        with path.open("rb") as file, TTFont(file, fontNumber=0, lazy=True) as font:
            if "CBLC" in font:
                yield Face(path, strike=max(one.bitmapSizeTable.ppemY for one in font["CBLC"].strikes), coloured=True)
            elif "sbix" in font:
                yield Face(path, strike=max(_strikes(font.reader)), coloured=True)
            elif "COLR" in font and font["COLR"].version == 0:
                yield Face(path, coloured=True)
    except (OSError, TTLibError, KeyError, ValueError, AttributeError, struct.error):
        return


def _strikes(reader: Any) -> Iterator[int]:
    """Yield the sizes of the bitmaps in a table ``sbix`` (OpenType), without reading them all."""
    start = reader.tables["sbix"].offset
    reader.file.seek(start)
    (count,) = struct.unpack(">4xL", reader.file.read(8))
    for offset in struct.unpack(f">{count}L", reader.file.read(4 * count)):
        reader.file.seek(start + offset)
        yield struct.unpack(">H", reader.file.read(2))[0]


def _ranked(names: tuple[str, ...]) -> list[Path]:
    """Return the installed files whose names begin with one of ``names``, in its order."""
    ranked: dict[Path, int] = {}
    for path in _font_files():
        name = path.name.lower()
        rank = next((at for at, start in enumerate(names) if name.startswith(start)), None)
        if rank is not None:
            ranked[path] = rank
    return sorted(ranked, key=lambda path: (ranked[path], str(path)))


@lru_cache(maxsize=1)
def _font_files() -> tuple[Path, ...]:
    found = (path for folder in _font_folders() for path in sorted(folder.rglob("*")))
    return tuple(dict.fromkeys(path for path in found if path.suffix.lower() in (".ttf", ".otf", ".ttc", ".otc")))


def _font_folders() -> tuple[Path, ...]:
    home = Path.home()
    if sys.platform == "darwin":
        folders = [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts"]
    elif sys.platform == "win32":
        local = Path(os.environ.get("LOCALAPPDATA", home)) / "Microsoft/Windows/Fonts"
        folders = [Path(os.environ.get("WINDIR", "C:/Windows")) / "Fonts", local]
    else:
        data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share")
        shared = (os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share").split(":")
        folders = [Path(each) / "fonts" for each in shared if each]
        folders += [Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), data / "fonts", home / ".fonts"]
        folders += _fontconfig_folders(data)
    return tuple(dict.fromkeys(folder for folder in folders if folder.is_dir()))


def _fontconfig_folders(data: Path) -> Iterator[Path]:
    """Yield the folders that fontconfig's files name: ``<dir>`` in its ``fonts.conf``."""
    main = Path(os.environ.get("FONTCONFIG_FILE") or "/etc/fonts/fonts.conf")
    for file in (main, *sorted((main.parent / "conf.d").glob("*.conf")), main.parent / "local.conf"):
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        for prefix, name in _FOLDER.findall(text):
            folder = data / name.strip() if prefix == "xdg" else Path(name.strip()).expanduser()
            if folder.is_absolute() and len(folder.parts) > 1:  # a whole disk is no folder of fonts
                yield folder
