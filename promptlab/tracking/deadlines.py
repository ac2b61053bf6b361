"""Reads how long an MLflow server elsewhere is waited for."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Final

from promptlab.errors import InputError

__all__ = ["Deadlines"]

CALL_SECONDS: Final = 10.0
TELLING_SECONDS: Final = 30.0

_CALL: Final = "PROMPTLAB_TRACKING_TIMEOUT"
_TELLING: Final = "PROMPTLAB_TRACKING_DEADLINE"
_MLFLOWS: Final = "MLFLOW_HTTP_REQUEST_TIMEOUT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Says how long a server is waited for, in seconds.

    Args:
        call: to connect and answer one request.
        telling: for all requests by which it is told of a run or a sweep. Files that are uploaded extend both by a
            second for each megabyte, so that a large run can be told at all.
    """

    call: float = CALL_SECONDS
    telling: float = TELLING_SECONDS

    @classmethod
    def from_environment(cls) -> Deadlines:
        """Read the two times from the environment: ``PROMPTLAB_TRACKING_TIMEOUT`` and ``…_DEADLINE``.

        MLflow's own variable for a call, ``MLFLOW_HTTP_REQUEST_TIMEOUT``, counts where the first is not set.

        Raises:
            InputError: when one is no number above 0.
        """
        call = _seconds(_CALL) or _seconds(_MLFLOWS) or CALL_SECONDS
        return cls(call=call, telling=_seconds(_TELLING) or max(TELLING_SECONDS, call))


def _seconds(name: str) -> float | None:
    text = os.environ.get(name, "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise InputError(name, text, problem="is no time", allowed="seconds, more than 0")
    return seconds
