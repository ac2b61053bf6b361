"""One process at a time creates tables; whoever waits too long is told which file is held."""

import pytest

from promptlab._locks import file_locked
from promptlab.errors import StoreError, TrackerError


def test_file_lock_held_elsewhere_raises_after_the_timeout(tmp_path):
    """The error is of the room that waits, and names the file; afterwards the lock is free again."""
    path = tmp_path / "new" / ".lock"
    for error in (StoreError, TrackerError):
        with (
            file_locked(path, timeout=0, error=error),
            pytest.raises(error, match=r"\.lock is held by another process for more than 0 s; end that process"),
            file_locked(path, timeout=0, error=error),
        ):
            pass
    with file_locked(path, timeout=0, error=StoreError):
        assert path.exists()
