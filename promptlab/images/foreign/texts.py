"""Finds an image's texts, in chunks, EXIF and XMP, under one set of names.

Names are those of PNG chunks. A UserComment is ``parameters``, as AUTOMATIC1111 and Fooocus write it, unless it is
dgenerate's; what ComfyUI writes into Make and Model begins with the name that it means, ``prompt:{…}``, in capitals
where it is one of its extensions. A PNG may have EXIF as well, also in the hexadecimal digits of ImageMagick's ``Raw
profile type exif``. What a chunk says goes before what EXIF says.
"""

from __future__ import annotations

import html
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from promptlab.errors import InputError, NotFound
from promptlab.images.exif import MAKER_NOTE, USER_COMMENT, comment_text, fields_of, maker_text
from promptlab.images.png import read_text_and_exif

__all__ = ["size_of", "texts_of", "xmp_comment"]

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_JPEG: Final = b"\xff\xd8\xff"

_CAMERA: Final = range(0x010A, 0x0111)
"""``comfy_extras/nodes_images.py`` counts down from Model (0x0110): the prompt, the workflow, what extensions add."""

_DESCRIPTION: Final = 0x010E
_XP_COMMENT: Final = 0x9C9C
"""Numbers the tag that Windows shows as the comments of a file: UTF-16, the low byte first."""

_XMP: Final = "XML:com.adobe.xmp"
_RAW_PROFILES: Final = ("Raw profile type exif", "Raw profile type APP1")
_SCHEMES: Final = ("fooocus", "a1111")


def texts_of(path: Path) -> dict[str, str]:
    """Read the texts of a PNG, JPEG or WebP by keyword. What is no text in a file is left out.

    Raises:
        NotFound: when there is no such file.
        InputError: when it is none of the three, or a damaged one.
    """
    kind = _kind(path)
    if kind is None:
        raise InputError("picture", str(path), problem="is not a PNG, JPEG or WebP")
    if kind == "PNG":
        texts, exif = read_text_and_exif(path)
        xmp = texts.get(_XMP, "")
        blocks = [exif, *(_raw_profile(texts[keyword]) for keyword in _RAW_PROFILES if keyword in texts)]
    else:
        exif, xmp, comment = _blocks_of(path, kind)
        texts, blocks = {}, [exif]
        if comment:
            texts["Comment"] = comment
    for block in blocks:
        for name, text in _named(fields_of(block)):
            texts.setdefault(name, text)
    comment = xmp_comment(xmp)
    if comment:
        texts.setdefault("xmp_comment", comment)
    for name in ("Prompt", "Workflow"):  # as some of ComfyUI's extensions call the two
        if texts.get(name, "").lstrip().startswith("{"):
            texts.setdefault(name.lower(), texts.pop(name))
    return texts


def size_of(path: Path) -> tuple[int, int] | None:
    """Return width and height of an image as its file says them; None where it says none."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=["PNG", "JPEG", "WEBP"]) as image:
                return image.size
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError):
        return None


def xmp_comment(xmp: str) -> str:
    """Return the ``exif:UserComment`` of an XMP packet, as Draw Things writes it; empty for none.

    Looked for as text: a stranger's XML is not handed to a parser that expands entities.
    """
    start = xmp.find("<exif:UserComment")
    end = xmp.find("</exif:UserComment>", start)
    if start < 0 or end < 0:
        return ""
    inner = xmp[start:end]
    item = inner.find("<rdf:li")
    opened = inner.find(">", max(item, 0))
    closed = inner.find("</rdf:li>", opened) if item >= 0 else len(inner)
    return html.unescape(inner[opened + 1 : closed]).strip() if 0 <= opened < closed else ""


def _raw_profile(text: str) -> bytes:
    """Decode ImageMagick's profile: a line with its name, one with its length, then hexadecimal digits."""
    digits = "".join(text.split()[2:])
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return b""


def _kind(path: Path) -> str | None:
    try:
        if path.is_fifo():  # which is waited for until somebody writes into it
            raise InputError("picture", str(path), problem="is a pipe", allowed="a file")
        with path.open("rb") as file:
            head = file.read(12)
    except FileNotFoundError as error:
        raise NotFound("picture", str(path)) from error
    except OSError as error:
        raise InputError("picture", str(path), problem=f"cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # a NUL in the name
        raise NotFound("picture", str(path)) from error
    if head.startswith(_PNG):
        return "PNG"
    if head.startswith(_JPEG):
        return "JPEG"
    return "WEBP" if head[:4] == b"RIFF" and head[8:] == b"WEBP" else None


def _blocks_of(path: Path, kind: str) -> tuple[bytes, str, str]:
    """Return the EXIF block, the XMP packet and a JPEG's comment: Pillow is not asked what is in them."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a damaged MPO, of very many pixels: none of them is decoded
            with Image.open(path, formats=[kind]) as image:
                found = [image.info.get(name, b"") for name in ("exif", "xmp", "comment")]
    except UnidentifiedImageError as error:
        raise InputError("picture", str(path), problem="is not a PNG, JPEG or WebP") from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError) as error:
        raise InputError("picture", str(path), problem=f"is damaged: {error}") from error
    exif, xmp, comment = (each if isinstance(each, bytes) else b"" for each in found)
    return exif, xmp.decode("utf-8", "replace"), _text(comment)


def _text(written: bytes) -> str:
    """Decode a comment, which says nothing of its encoding: UTF-8 where it can be that."""
    try:
        return written.decode().rstrip("\0")
    except UnicodeDecodeError:
        return written.decode("latin-1").rstrip("\0")


def _named(fields: dict[int, bytes]) -> Iterator[tuple[str, str]]:
    for tag in _CAMERA:
        name, colon, text = fields.get(tag, b"").decode("utf-8", "replace").rstrip("\0").partition(":")
        if colon and name.strip().lower() in ("prompt", "workflow"):
            yield name.strip().lower(), text.strip()
    note = fields.get(MAKER_NOTE, b"")
    own = maker_text(note)
    if own is not None:
        yield "promptlab", own
    scheme = note.rstrip(b"\0").decode("latin-1")
    if scheme in _SCHEMES:  # `get_exif` in Fooocus' modules/meta_parser.py
        yield "fooocus_scheme", scheme
    if USER_COMMENT in fields:
        comment = comment_text(fields[USER_COMMENT])
        yield ("DgenerateConfig" if _of_dgenerate(comment) else "parameters"), comment
    if _DESCRIPTION in fields:
        yield "Description", fields[_DESCRIPTION].decode("utf-8", "replace").rstrip("\0")
    if _XP_COMMENT in fields:
        yield "Comment", fields[_XP_COMMENT].decode("utf-16-le", "replace").rstrip("\0")


def _of_dgenerate(comment: str) -> bool:
    """Return whether a UserComment is a config of dgenerate, which begins as a script does.

    See ``renderloop.py``.
    """
    first = comment.partition("\n")[0]
    return first.startswith("#!") and "dgenerate" in first
