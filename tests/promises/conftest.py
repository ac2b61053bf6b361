"""The engine of tests/engine, held to what is promised to users."""

from tests.engine.conftest import copy_of_mini, engine, make_spec, mini

__all__ = ["copy_of_mini", "engine", "make_spec", "mini"]
