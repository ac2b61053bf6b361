"""The collector is paused for as long as many small objects are made, and is as it was afterwards."""

import gc
import subprocess
import sys

import pytest

from promptlab._gc import gc_paused


def test_gc_paused_is_off_inside_and_on_afterwards():
    """Also after an error, and where one pause lies in another."""
    assert gc.isenabled()
    with gc_paused():
        assert not gc.isenabled()
        with gc_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), gc_paused():
        _ = 1 / 0
    assert gc.isenabled()


def test_gc_paused_where_it_was_off_stays_off():
    """Whoever turned it off has reasons."""
    gc.disable()
    try:
        with gc_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_gc_paused_as_a_decorator_pauses():
    """As a decorator, each time it is called."""
    paused = gc_paused()(gc.isenabled)
    assert (paused(), paused(), gc.isenabled()) == (False, False, True)


def test_collect_rarely_holds_until_as_usual():
    """What is there by then is never looked at again; a process that asked for nothing is left alone."""
    script = (
        "import gc\n"
        "from promptlab._gc import collect_as_usual, collect_rarely\n"
        "usual = gc.get_threshold()\n"
        "collect_as_usual()\n"
        "assert (gc.get_threshold(), gc.get_freeze_count()) == (usual, 0)\n"
        "collect_rarely(), collect_rarely()\n"
        "assert gc.get_threshold()[0] > 100 * usual[0]\n"
        "collect_as_usual(), collect_as_usual()\n"
        "assert gc.get_threshold() == usual and gc.get_freeze_count() > 0\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
