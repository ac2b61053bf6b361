"""Packages that some families need and PromptLab does not install: brought in here where they lie."""

import sys
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from unittest import mock


@lru_cache(maxsize=8)
def is_there(package):
    """Whether ``package`` can be had; it is imported then."""
    if find_spec(package) is None:
        return False
    if package == "torchvision":
        _import_torchvision()
    else:
        import_module(package)
    return True


def _import_torchvision():
    """Import it, with its operators or without.

    A torchvision that was built for another torch (for CUDA's, beside a CPU's) has operators that do not load, and its
    import fails where it tells torch the shapes that the first of them makes. Processors need none of them, only
    transforms, which are written in Python: so it is imported a second time without telling torch anything.
    """
    from torch import library

    try:
        import_module("torchvision")
    except RuntimeError as error:
        if "does not exist" not in str(error):
            raise
        for name in [each for each in sys.modules if each.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        with mock.patch.object(library, "register_fake", return_value=lambda function: function):
            import_module("torchvision")
