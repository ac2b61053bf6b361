"""How many random inputs a test tries: a tenth in the suite, all of them in ``make exhaustive``.

Of those that try a hundred anyway, because that takes no time to speak of, ``make check`` has a quarter.
"""

import os

EXHAUSTIVE = os.environ.get("PROMPTLAB_TESTS") == "exhaustive"
PROPERTY = 25 if os.environ.get("PROMPTLAB_TESTS") == "quick" else 100
"""The inputs of a test that says no number."""


def examples(number: int) -> int:
    """Return how many of ``number`` inputs are tried now."""
    return number if EXHAUSTIVE else max(1, number // 10)
