"""Offers PromptLab to Python and notebooks: options as keywords, runs that show themselves.

:class:`~promptlab.api.python_lab.PythonLab` is what ``from promptlab import Lab`` gives. It stands on a lab that takes
specs, :class:`promptlab.lab.Lab` here or :class:`promptlab.serving.remote_lab.RemoteLab` behind a server, and
is the same on both: what is typed is read here, and what came of it is shown here.
"""

from typing import TYPE_CHECKING, Final

from promptlab._lazy import imported_from

if TYPE_CHECKING:
    from promptlab.api.handles import Image, Run, Runs, SweepRuns
    from promptlab.api.python_lab import PythonLab

__all__ = ["Image", "PythonLab", "Run", "Runs", "SweepRuns"]

_HOMES: Final = {"handles": ("Image", "Run", "Runs", "SweepRuns"), "python_lab": ("PythonLab",)}
__getattr__ = imported_from(__name__, _HOMES)
