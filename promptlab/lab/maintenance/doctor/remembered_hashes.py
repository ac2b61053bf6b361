"""Reads weights again whose hashes are remembered, and finds those that are not what they were."""

from __future__ import annotations

from collections.abc import Iterator

from promptlab.lab.execution.events import Progress, Watch
from promptlab.lab.maintenance.doctor.findings import Finding, FindingKind

__all__ = ["check_weights"]


def check_weights(watch: Watch) -> Iterator[Finding]:
    """Yield files whose content has another hash than was remembered.

    It is remembered rightly from now on. A disk that rots does that, and a program that sets all times of a file back.
    """
    from promptlab.engine.sources.hash_memory import hash_file, remembered_files

    files = remembered_files()
    for count, (stamp, known) in enumerate(files, 1):
        try:
            found = hash_file(stamp, anew=True)
        except OSError as error:
            found = error.strerror or type(error).__name__
        if found != known:
            yield Finding(
                kind=FindingKind.WEIGHTS, subject=stamp.path,
                problem=f"holds other weights than were hashed (sha256:{known[:12]}; now: {found[:12]}), though its "
                "size and times are the same; pictures recorded meanwhile may be of either",
            )  # fmt: skip
        watch(Progress(what="weights", count=count, of=len(files)))
