"""Writes JPEG and WebP that describe themselves: the two texts of a PNG, in EXIF.

``parameters`` is in UserComment, as AUTOMATIC1111's ``save_image_with_geninfo`` (``modules/images.py``) puts it there
with piexif: ``UNICODE``, a NUL, UTF-16 with the high byte first. ``promptlab`` is in MakerNote, which the EXIF standard
leaves to whoever makes the file: viewers do not show it, as they would a caption in ImageDescription, and editors hand
it on without understanding it. It begins with our name, because MakerNote has no format of its own.

Written by Pillow; read by our own few lines, because they have to bear whatever a stranger wrote: every offset is
checked, nothing is followed twice, and what makes no sense is skipped.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from promptlab.errors import InputError, StoreError, ref, ref_value
from promptlab.images.png import write_atomically

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["MAKER_NOTE", "USER_COMMENT", "comment_text", "fields_of", "maker_text", "write_photo"]

USER_COMMENT: Final = 0x9286
MAKER_NOTE: Final = 0x927C

_SOFTWARE: Final = 0x0131
_EXIF_FOLDER: Final = 0x8769
_MARK: Final = b"PromptLab\0"
_HEAD: Final = b"Exif\0\0"
_UNICODE: Final = b"UNICODE\0"
_JPEG_ROOM: Final = 65_533 - len(_HEAD)
"""A JPEG segment counts its own length in 16 bits."""

_BYTES: Final = {1: 1, 2: 1, 7: 1}
"""The types that hold text: BYTE, ASCII, UNDEFINED."""

_MOST_FIELDS: Final = 512
_LARGEST: Final = {"jpeg": 65_535, "webp": 16_383}


def write_photo(
    path: Path,
    pixels: NDArray[np.uint8],
    text: Mapping[str, str],
    *,
    format: Literal["jpeg", "webp"],  # noqa: A002 - Pillow's word
    quality: int = 92,
    lossless: bool = False,
) -> tuple[str, ...]:
    """Write an image as JPEG or WebP with its texts, whole or not at all.

    The EXIF of a JPEG has room for 64 KB. Where the texts need more, ``promptlab`` goes first, because the other can be
    made from it; then ``parameters``, if there is room left. A text is there to the last character or it is not there.

    Args:
        pixels: uint8, ``[height, width, 3]``, RGB.
        text: ``promptlab`` and ``parameters``, as :func:`promptlab.images.metadata.describe` gives them.
        quality: 1 to 100.
        lossless: WebP only: the very same pixels.

    Returns:
        The keywords of the texts that did not fit, nearly always none.

    Raises:
        InputError: for a quality or a size that the format does not have, or a JPEG without loss.
        StoreError: when the folder is missing, the disk full or the file not ours to write.
        ValueError: for a text of another name, which has no place in EXIF.
    """
    from PIL import Image

    _check(pixels, format=format, quality=quality, lossless=lossless)
    exif, left_out = _exif(text, room=_JPEG_ROOM if format == "jpeg" else None)
    file = io.BytesIO()
    image = Image.fromarray(pixels)
    try:
        if format == "jpeg":
            image.save(file, "JPEG", quality=quality, subsampling="4:4:4", exif=_HEAD + exif)
        else:
            image.save(file, "WEBP", quality=quality, lossless=lossless, exact=True, method=4, exif=exif)
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} could not be written: {error}") from error
    write_atomically(path, file.getvalue())
    return left_out


def fields_of(exif: bytes) -> dict[int, bytes]:
    """Return the fields of an EXIF block that can hold text, by their tags.

    Those of the first folder, then of Exif's own.

    TIFF 6.0, section 2, and EXIF 2.32, 4.6: a byte order, an offset, and entries of 12 bytes that hold their value when
    it has 4 bytes or less and point to it otherwise. A damaged block gives what can be read of it.
    """
    block = exif.removeprefix(_HEAD).removeprefix(_HEAD)  # a PNG of another program may hold the head, too
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < 8:
        return {}
    found: dict[int, bytes] = {}
    (first,) = struct.unpack_from(f"{order}I", block, 4)
    deeper: list[int] = []
    for tag, value in _entries(block, first, order):
        if tag == _EXIF_FOLDER and len(value) == 4:
            deeper.append(struct.unpack(f"{order}I", value)[0])
        else:
            found.setdefault(tag, value)
    for offset in deeper[:1]:
        found.update(_entries(block, offset, order))
    found.pop(_EXIF_FOLDER, None)
    return found


def comment_text(value: bytes) -> str:
    """Decode a UserComment: 8 bytes that say the code, then the text (EXIF 2.32, 4.6.5).

    Unicode is UTF-16 without a word on its byte order, so the order is taken that has its zeros where Latin letters
    have them. Other tools leave the code out or write UTF-8 under every name; one that says Unicode and has no zero in
    it is UTF-8, for in UTF-16 every digit, comma and line end of such a text has one.
    """
    code, rest = value[:8], value[8:]
    if code == _UNICODE:
        return _utf_16(rest) if 0 in rest.rstrip(b"\0") else _eight_bits_or_16(rest)
    if code.startswith(b"JIS\0"):
        return _decoded(rest, "iso2022_jp")
    if code.startswith(b"ASCII\0") or code == bytes(8):
        return _decoded(rest, "utf-8")
    return _decoded(value, "utf-8")


def maker_text(value: bytes) -> str | None:
    """Return the ``promptlab`` text of a MakerNote; None when someone else wrote it."""
    return _decoded(value.removeprefix(_MARK), "utf-8") if value.startswith(_MARK) else None


def _check(pixels: NDArray[np.uint8], *, format: str, quality: int, lossless: bool) -> None:  # noqa: A002
    if pixels.dtype != "uint8" or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise ValueError(f"pixels must be uint8 [height, width, 3], not {pixels.dtype} {list(pixels.shape)}")
    if not 1 <= quality <= 100:
        raise InputError(
            "quality", quality, problem="is out of range", allowed="1 to 100", hint=ref_value("quality", "92")
        )
    if lossless and format == "jpeg":
        raise InputError(
            "lossless", problem="is not possible in a JPEG", hint=f"{ref_value('format', 'webp')} {ref('lossless')}"
        )
    side = max(pixels.shape[:2])
    if side > _LARGEST[format]:
        raise InputError(
            "picture", f"{pixels.shape[1]}x{pixels.shape[0]}", problem=f"is too large for {format}",
            allowed=f"{_LARGEST[format]} pixels a side", hint=ref_value("format", "png"),
        )  # fmt: skip


def _exif(text: Mapping[str, str], *, room: int | None) -> tuple[bytes, tuple[str, ...]]:
    """Return the EXIF block with as many texts as fit, ours first, and the names of the others."""
    unknown = text.keys() - {"promptlab", "parameters"}
    if unknown:
        raise ValueError(f"a photo has no place for texts called {', '.join(sorted(unknown))}")
    ours, theirs = (text.get(keyword, "") for keyword in ("promptlab", "parameters"))
    values = {
        "promptlab": (MAKER_NOTE, _MARK + ours.encode("utf-8", "replace")),
        "parameters": (USER_COMMENT, _UNICODE + theirs.encode("utf-16-be", "replace")),
    }
    chosen: dict[int, bytes] = {}
    left_out: list[str] = []
    block = _block(chosen)
    for keyword, (tag, value) in values.items():
        if keyword not in text:
            continue
        larger = _block({**chosen, tag: value})
        if room is not None and len(larger) > room:
            left_out.append(keyword)
        else:
            chosen[tag], block = value, larger
    return block, tuple(left_out)


def _block(fields: Mapping[int, bytes]) -> bytes:
    from PIL import Image

    exif = Image.Exif()
    exif[_SOFTWARE] = "PromptLab"
    folder = exif.get_ifd(_EXIF_FOLDER)
    folder.update(fields)
    return exif.tobytes().removeprefix(_HEAD)


def _entries(block: bytes, offset: int, order: str) -> Iterator[tuple[int, bytes]]:
    """Yield the entries of one folder that hold text or point to another folder.

    Those that point outside are skipped.
    """
    if offset + 2 > len(block):
        return
    (count,) = struct.unpack_from(f"{order}H", block, offset)
    for at in range(offset + 2, offset + 2 + min(count, _MOST_FIELDS) * 12, 12):
        if at + 12 > len(block):
            return
        tag, kind, length = struct.unpack_from(f"{order}HHI", block, at)
        if tag == _EXIF_FOLDER:
            yield tag, block[at + 8 : at + 12]
        elif kind in _BYTES:
            (start,) = (at + 8,) if length <= 4 else struct.unpack_from(f"{order}I", block, at + 8)
            if start + length <= len(block):
                yield tag, block[start : start + length]


def _utf_16(raw: bytes) -> str:
    if raw[:2] in (b"\xfe\xff", b"\xff\xfe"):
        return _decoded(raw, "utf-16")
    swapped = raw[1::2].count(0) > raw[0::2].count(0)
    return _decoded(raw[: len(raw) // 2 * 2], "utf-16-le" if swapped else "utf-16-be")


def _eight_bits_or_16(raw: bytes) -> str:
    """Decode what is called Unicode and has no zero: UTF-8, or Latin-1 where fields are seen in it."""
    try:
        return raw.decode("utf-8").rstrip("\0")
    except UnicodeDecodeError:
        return _decoded(raw, "utf-8") if b"Steps:" in raw else _utf_16(raw)


def _decoded(raw: bytes, code: str) -> str:
    try:
        text = raw.decode(code)
    except UnicodeDecodeError:
        text = raw.decode(code, "replace") if code.startswith("utf-16") else raw.decode("latin-1")
    return text.rstrip("\0")
