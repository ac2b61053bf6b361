"""From a few words on the command line, or in a file, to everything they stand for. Pure, but for the files named.

Words:

- :mod:`~promptlab.expand.seeds`: ``0-7,42`` ↔ seeds; :mod:`~promptlab.expand.ranges`: ``0.5-1.5 (+0.25)`` → numbers;
- :mod:`~promptlab.expand.templates`: ``{a|b||c}`` → prompts;
- :mod:`~promptlab.expand.wording`: append, prepend, replace: variants → variants;
- :mod:`~promptlab.expand.matrix`: words switched on and off, and in every order;
- :mod:`~promptlab.expand.sampling`: some variants instead of all;
- :mod:`~promptlab.expand.phrasing`: all of these, one after the other;
- :mod:`~promptlab.expand.labels`: a few words that tell each variant from its neighbours;
- :mod:`~promptlab.expand.words`: the words that changed from one text to another;
- :mod:`~promptlab.expand.prompts_file`, :mod:`~promptlab.expand.shelf`: prompts and lists from text files.

Settings and sweeps:

- :mod:`~promptlab.expand.fields`: what can be set, by which name, and what a typed value means;
- :mod:`~promptlab.expand.axes`: axes, zip groups and excludes → one spec a combination;
- :mod:`~promptlab.expand.experiment`: all that a file or a command line says → a sweep;
- :mod:`~promptlab.expand.reading`, :mod:`~promptlab.expand.remake`: experiment file ↔ experiment, spec.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from promptlab.expand.labels import labelled
from promptlab.expand.prompts_file import read_prompts
from promptlab.expand.seeds import parse_seeds, show_seeds
from promptlab.expand.templates import Template, parse
from promptlab.expand.wording import appended, from_prompts, inherited, prepended, replaced
from promptlab.expand.words import Piece, word_diff

if TYPE_CHECKING:
    from promptlab.expand.axes import Axis, Cell, Exclude, Sweep, sweep
    from promptlab.expand.experiment import Experiment
    from promptlab.expand.reading import read_experiment
    from promptlab.expand.remake import experiment_file
    from promptlab.expand.schema import json_schema

__all__ = [
    "Axis",
    "Cell",
    "Exclude",
    "Experiment",
    "Piece",
    "Sweep",
    "Template",
    "appended",
    "experiment_file",
    "from_prompts",
    "inherited",
    "json_schema",
    "labelled",
    "parse",
    "parse_seeds",
    "prepended",
    "read_experiment",
    "read_prompts",
    "replaced",
    "show_seeds",
    "sweep",
    "word_diff",
]

_LATER: Final = {
    **dict.fromkeys(("Axis", "Cell", "Exclude", "Sweep", "sweep"), "axes"),
    "Experiment": "experiment",
    "experiment_file": "remake",
    "json_schema": "schema",
    "read_experiment": "reading",
}
"""What is imported when it is first asked for: lists and help need none of it."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
