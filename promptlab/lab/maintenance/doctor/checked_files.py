"""Remembers which files were read whole and agreed with their rows: they are not read again.

A file that has its size, its time and its place on the disk still, and whose rows say what they said, agrees as it did.
``doctor --deep`` reads it all the same: a disk that rots changes none of these.

It is kept among the user's caches and not in the workspace, where checking changes nothing. Whoever deletes it loses
seconds.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

from promptlab import __version__
from promptlab.workspace import Workspace

__all__ = ["CheckedFiles", "Stamp"]

Stamp = Sequence[object]
"""Identifies a file, as JSON: its size, time and number on the disk, and what its rows said."""

_FORMAT: Final = f"1 {__version__}"
"""Another PromptLab may look for more."""


@dataclass(slots=True)
class CheckedFiles:
    """Knows the files of one workspace that were found whole.

    Args:
        home: the folder that paths are relative to.
        known: what is known of each file, by its path.
        kept_in: the file that it is kept in; None where nothing is.
    """

    home: Path
    known: dict[str, Stamp] = field(default_factory=dict)
    kept_in: Path | None = None
    _found: dict[str, Stamp] = field(default_factory=dict)

    @classmethod
    def of(cls, workspace: Workspace, *, deep: bool = False) -> Self:
        """Read what is known of the files of a workspace.

        Args:
            deep: believe none of it.
        """
        name = sha256(str(workspace.root.resolve()).encode()).hexdigest()[:32]
        kept_in = _cache_folder() / "checked" / f"{name}.json"
        known: dict[str, Stamp] = {}
        with suppress(OSError, ValueError, AttributeError):  # nothing is known, or nothing that can be read
            kept = {} if deep else json.loads(kept_in.read_text(encoding="utf-8"))
            known = dict(kept["files"]) if kept.get("format") == _FORMAT else {}
        return cls(workspace.root, known, kept_in)

    def agrees(self, path: str, said: str) -> bool:
        """Return whether a file, unchanged since, agreed with rows that said this."""
        stamp = self.stamp(path, said)
        if stamp is None or self.known.get(path) != stamp:
            return False
        self._found[path] = stamp
        return True

    def stamp(self, path: str, said: str) -> Stamp | None:
        """Return what is to be remembered of a file, taken before it is read; None where there is none."""
        try:
            found = os.stat(f"{self.home}/{path}")  # noqa: PTH116 - there are tens of thousands of them
        except (OSError, ValueError):
            return None
        return [found.st_size, found.st_mtime_ns, found.st_ino, said]

    def remember(self, path: str, stamp: Stamp | None) -> None:
        """Remember that a file was read whole and agreed."""
        if stamp is not None:
            self._found[path] = stamp

    def keep(self) -> None:
        """Write what was found, in place of what was known; where that cannot be written, nothing is kept."""
        if self.kept_in is None or self._found == self.known:
            return
        with suppress(OSError):
            self.kept_in.parent.mkdir(parents=True, exist_ok=True)
            content = json.dumps({"format": _FORMAT, "files": self._found})
            with tempfile.NamedTemporaryFile(
                "w", encoding="utf-8", dir=self.kept_in.parent, suffix=".part", delete=False
            ) as part:
                part.write(content)
            Path(part.name).replace(self.kept_in)


def _cache_folder() -> Path:
    """Return the folder of what can be found out again: ``PROMPTLAB_CACHE``, or the user's own."""
    if own := os.environ.get("PROMPTLAB_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "promptlab")  # noqa: PTH111 - raises nothing
