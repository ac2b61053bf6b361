"""Counts work instead of seconds: how many calls something makes, in Python and into C."""

import sys


def calls(function, *words, **more):
    """How many calls ``function`` makes, whatever comes of it."""
    count = 0

    def counting(_frame, event, _argument):
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counting)
    try:
        function(*words, **more)
    except Exception:  # noqa: BLE001 - a refusal is an answer
        return count
    finally:
        sys.setprofile(before)
    return count
