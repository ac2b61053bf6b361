"""Remembers that a server could not be reached, and says why in a few words.

MLflow waits as long as :func:`~promptlab.tracking.schema.import_mlflow_quietly` lets it, 20 s and once more, and says
at length which of its calls had failed. A sweep of twelve runs would wait twelve times. So once a server could not be
reached, calls within the next minute fail at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

__all__ = ["CircuitBreaker"]

SILENT_SECONDS: Final = 60.0
"""How long a server that could not be reached is not asked again."""

_REASONS: Final = (
    ("refused", "refuses the connection"),
    ("timed out", "does not answer"),
    ("timeout", "does not answer"),
    ("resolve", "has a name that nobody knows"),
    ("certificate", "has a certificate that is not trusted"),
)


@dataclass(slots=True)
class CircuitBreaker:
    """Asks the server at ``url``: everything is asked within :meth:`guard`."""

    url: str
    _silent_until: float = 0.0
    _reason: str = ""

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Translate MLflow's page of text for a server that cannot be reached into a few words.

        Raises:
            ConnectionError: when it cannot be reached, or could not be a moment ago.
        """
        if time.monotonic() < self._silent_until:
            raise ConnectionError(self._reason)
        try:
            yield
        except Exception as error:
            why = _unreachable(error)
            if why is None:
                raise
            self._reason = f"the server at {self.url} {why}"
            self._silent_until = time.monotonic() + SILENT_SECONDS
            raise ConnectionError(self._reason) from error


def _unreachable(error: Exception) -> str | None:
    """Return why a server could not be reached; None when it was, and said no."""
    text = str(error).lower()
    if "failed with" not in text or "api request to" not in text:
        return None
    for sign, reason in _REASONS:
        if sign in text:
            return reason
    return None if "error code" in text else "cannot be reached"
