"""Checks the lengths that a GGUF states at its beginning, before the package ``gguf`` believes them.

Its reader makes an object of each value of a list, and goes on behind the end of the file for as long as the file says:
sixty bytes of a stranger's would fill the memory. Source of the layout: ``docs/gguf.md`` of ggml.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO, Final

__all__ = ["check_metadata"]

_SIZES: Final = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of a number, by its type."""

_TEXT: Final = 8
_LIST: Final = 9
_MOST: Final = 1_000_000
"""Values of all lists together, tensors, and fields: the words of a tokenizer are a quarter of it."""


def check_metadata(path: Path) -> None:
    """Refuse metadata that go beyond the file, or have more values than any model's.

    Raises:
        ValueError: saying which; also for what is no GGUF.
        OSError: when the file cannot be read.
    """
    with path.open("rb") as file:
        magic, version = struct.unpack("<4sI", _read(file, 8))
        if magic != b"GGUF":
            raise ValueError("it does not begin with GGUF")
        _Metadata(file, path.stat().st_size, "<" if version & 0xFFFF else ">").check()


class _Metadata:
    """Walks over the fields of a file.

    Args:
        order: of bytes, as :mod:`struct` writes it.
    """

    def __init__(self, file: BinaryIO, size: int, order: str) -> None:
        self._file, self._size, self._order = file, size, order
        self._values = 0

    def check(self) -> None:
        tensors, fields = self._unpacked("QQ")
        self._count(max(tensors, fields))
        for _ in range(fields):
            self._skip(self._unpacked("Q")[0])
            self._skip_value(self._unpacked("I")[0])

    def _skip_value(self, kind: int) -> None:
        if kind != _LIST:
            self._skip(self._unpacked("Q")[0] if kind == _TEXT else _SIZES.get(kind, 0))
            return
        inner, count = self._unpacked("IQ")
        self._count(count)
        if inner == _TEXT:
            for _ in range(count):
                self._skip(self._unpacked("Q")[0])
        elif inner in _SIZES:
            self._skip(count * _SIZES[inner])
        else:
            raise ValueError("its metadata has lists of lists")

    def _count(self, more: int) -> None:
        self._values += more
        if self._values > _MOST:
            raise ValueError(f"its metadata has more than {_MOST:,} values")

    def _skip(self, length: int) -> None:
        if self._file.tell() + length > self._size:
            raise ValueError("its metadata goes beyond its end")
        self._file.seek(length, 1)

    def _unpacked(self, types: str) -> tuple[int, ...]:
        layout = f"{self._order}{types}"
        found: tuple[int, ...] = struct.unpack(layout, _read(self._file, struct.calcsize(layout)))
        return found


def _read(file: BinaryIO, count: int) -> bytes:
    found = file.read(count)
    if len(found) < count:
        raise ValueError("its metadata goes beyond its end")
    return found
