"""The public Python API: :class:`Lab`, and what one passes to it."""

from promptlab.lab.lab import DEFAULT_EXPERIMENT, Lab
from promptlab.lab.variation import Source, Wording

__all__ = ["DEFAULT_EXPERIMENT", "Lab", "Source", "Wording"]
