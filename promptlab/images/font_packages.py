"""Says which package of this system has the font that is missing here."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from shutil import which
from typing import Final

from promptlab.images.fonts import EMOJI, scripts_without_font

__all__ = ["fonts_line", "install_command"]

_EAST_ASIAN: Final = ("CJK", "Japanese", "Korean")

_PACKAGES: Final = {
    "apt": ("apt install", "fonts-noto-cjk", "fonts-noto-color-emoji", "fonts-noto-core"),
    "dnf": ("dnf install", "google-noto-sans-cjk-fonts", "google-noto-color-emoji-fonts", "google-noto-fonts-all"),
    "pacman": ("pacman -S", "noto-fonts-cjk", "noto-fonts-emoji", "noto-fonts"),
    "apk": ("apk add", "font-noto-cjk", "font-noto-emoji", "font-noto-all"),
    "brew": ("brew install --cask", "font-noto-sans-cjk", "font-noto-color-emoji", "font-noto-sans"),
}
"""Program that installs → how it is called, and its packages of East Asian letters, of emoji, of all others."""

_BEYOND: Final = "\u0590"
"""Ends what the main font has whole: Latin, Greek, Cyrillic, Armenian. Asking it takes a tenth of a second."""


def install_command(scripts: Sequence[str]) -> str | None:
    """Return the line that installs fonts for ``scripts``, as :func:`scripts_without_font` names them.

    None where no program is known that would: Windows has such fonts among its optional features.
    """
    programs = {"win32": (), "darwin": ("brew",)}.get(sys.platform, tuple(_PACKAGES))
    program = next((name for name in programs if which(name)), None)
    if program is None or not scripts:
        return None
    command, east_asian, emoji, other = _PACKAGES[program]
    kinds = {east_asian if one in _EAST_ASIAN else emoji if one == EMOJI else other for one in scripts}
    return " ".join((command, *sorted(kinds)))


def fonts_line(text: str) -> str | None:
    """Return a line that says which letters a grid cannot show here, and what to type; else None."""
    if max(text, default="") < _BEYOND or not (scripts := scripts_without_font(text)):
        return None
    command = install_command(scripts)
    letters = " and ".join(one if one == EMOJI else f"{one} letters" for one in scripts)
    what = f"; type: {command}" if command else ", such as Noto Sans CJK or Noto Color Emoji"
    return f"no font here has {letters}, so grids name them in brackets (the model gets them whole){what}"
