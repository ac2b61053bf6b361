"""The collector is paused for as long as many small objects are made, and is as it was afterwards."""

import gc

import pytest

from promptlab._gc import gc_paused


def test_the_collector_is_paused_inside_and_on_afterwards():
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


def test_a_collector_that_was_off_stays_off():
    """Whoever turned it off has reasons."""
    gc.disable()
    try:
        with gc_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_function_can_be_run_with_it_paused():
    """As a decorator, each time it is called."""
    paused = gc_paused()(gc.isenabled)
    assert (paused(), paused(), gc.isenabled()) == (False, False, True)
