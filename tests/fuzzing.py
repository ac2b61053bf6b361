"""How many random inputs a test tries: a tenth in the suite, all of them in ``make exhaustive``."""

import os

EXHAUSTIVE = os.environ.get("PROMPTLAB_TESTS") == "exhaustive"


def examples(number: int) -> int:
    """Return how many of ``number`` inputs are tried now."""
    return number if EXHAUSTIVE else max(1, number // 10)
