"""The engine of tests/engine, held to what is promised to users."""

from tests.engine.conftest import engine, make_spec, mini

__all__ = ["engine", "make_spec", "mini"]
