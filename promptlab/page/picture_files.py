"""Finds the files of pictures that a page may show, and keeps small ones of them.

Invariants: a file is answered only where a row of the workspace names it and it lies in the folder of its images,
whatever links lead there; a thumbnail is known by its pixels' hash, so that it never has to be made or asked for twice.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Final

from promptlab.engine.sources.hash_memory import cache_folder
from promptlab.errors import NotFound
from promptlab.images.report.thumbnails import small_webp
from promptlab.store.database import Database
from promptlab.store.image_locations import ImageLocation, image_location
from promptlab.workspace import Workspace

__all__ = ["WIDTHS", "PictureFiles"]

WIDTHS: Final = (128, 256, 512)
"""Pixels of the longer side that thumbnails are made in."""

_REMEMBERED: Final = 20_000
_ROOM: Final = 400 * 2**20
"""Bytes of thumbnails that are kept; the oldest are removed when a page is opened and there are more."""

_AT_ONCE: Final = 2
"""Thumbnails that are made at a time: pictures are being made on the same cores."""


class PictureFiles:
    """Finds pictures of one workspace."""

    def __init__(self, database: Database, workspace: Workspace) -> None:
        self._database, self._workspace = database, workspace
        self._known: OrderedDict[tuple[int, int], ImageLocation] = OrderedDict()
        self._lock = threading.Lock()
        self._making = threading.BoundedSemaphore(_AT_ONCE)
        self._folder = cache_folder() / "thumbnails"

    def picture(self, run_id: int, position: int) -> tuple[Path, ImageLocation]:
        """Return the file of an image, and what is known of it.

        Raises:
            NotFound: when there is no such image, it is not made, or its file is gone.
        """
        place = run_id, position
        with self._lock:
            known = self._known.get(place)
        if known is None:
            known = image_location(self._database, run_id, position)
            if known is None:
                raise NotFound("image", f"{run_id}/{position}", hint=f"promptlab show {run_id}")
            with self._lock:
                self._known[place] = known
                if len(self._known) > _REMEMBERED:
                    self._known.popitem(last=False)
        with suppress(NotFound):
            return self.inside(self._workspace.root / known.path), known
        with self._lock:
            self._known.pop(place, None)
        raise NotFound("file", known.path, hint="promptlab doctor")

    def inside(self, path: Path) -> Path:
        """Return ``path`` if it is a file in the workspace's folder of images.

        Raises:
            NotFound: when it is not.
        """
        folder, found = (self._workspace.root / "images").resolve(), path.resolve()
        if not found.is_relative_to(folder) or not found.is_file():
            raise NotFound("file", path.name, hint="promptlab doctor")
        return found

    def thumbnail(self, run_id: int, position: int, width: int) -> bytes:
        """Return an image of at most ``width`` pixels a side as WebP.

        Raises:
            NotFound: see :meth:`picture`.
            InputError: when the file is damaged.
        """
        path, known = self.picture(run_id, position)
        key = known.pixel_sha256
        kept = self._folder / key[:2] / f"{key}-{width}.webp"
        with suppress(OSError):
            return kept.read_bytes()
        with self._making:
            made = small_webp(path, width)
        if re.fullmatch("[0-9a-f]{64}", key):
            with suppress(OSError):  # it can be made again
                _keep(kept, made)
        return made

    def prune(self) -> None:
        """Remove the oldest thumbnails where there are too many."""
        with suppress(OSError):
            files = [(about.st_mtime, about.st_size, path) for path, about in _files(self._folder)]
            over = sum(size for _, size, _ in files) - _ROOM
            for _, size, path in sorted(files):
                if over <= 0:
                    return
                path.unlink(missing_ok=True)
                over -= size


def _files(folder: Path) -> list[tuple[Path, os.stat_result]]:
    found = []
    for path in folder.glob("??/*.webp"):
        with suppress(OSError):
            found.append((path, path.stat()))
    return found


def _keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    Path(name).replace(path)
