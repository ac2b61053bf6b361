"""Remembers that a server could not be reached, and says why in a few words.

MLflow says at length which of its calls had failed. And a sweep of twelve runs would wait twelve times: so once a
server could not be reached, calls within the next minute fail at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

__all__ = ["CircuitBreaker", "Unanswered"]

SILENT_SECONDS: Final = 60.0
"""How long a server that could not be reached is not asked again."""


class Unanswered(OSError):
    """Says why a server did not answer, as what goes on after its name: ``refuses the connection``."""


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
            why = _unanswered(error)
            if why is None:
                raise
            self._reason = f"the server at {self.url} {why}"
            self._silent_until = time.monotonic() + SILENT_SECONDS
            raise ConnectionError(self._reason) from error


def _unanswered(error: BaseException | None) -> Unanswered | None:
    """Return why a server did not answer; None when it did, and said no.

    MLflow's own error has it as its context.
    """
    while error is not None and not isinstance(error, Unanswered):
        error = error.__cause__ or error.__context__
    return error
