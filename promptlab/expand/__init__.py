"""Expands a few words, typed or in a file, to all that they stand for. Pure, but for the files named.

Words:

- :mod:`~promptlab.expand.seeds`: ``0-7,42`` ↔ seeds; :mod:`~promptlab.expand.ranges`: ``0.5-1.5 (+0.25)`` → numbers;
- :mod:`~promptlab.expand.templates`: ``{a|b||c}`` → prompts;
- :mod:`~promptlab.expand.prompt_edits`: append, prepend, replace: variants → variants;
- :mod:`~promptlab.expand.prompt_matrix`: words switched on and off, and in every order;
- :mod:`~promptlab.expand.sampling`: some variants instead of all;
- :mod:`~promptlab.expand.prompt_steps`: all of these, one after the other;
- :mod:`~promptlab.expand.labels`: a few words that tell each variant from its neighbours;
- :mod:`~promptlab.expand.word_diff`: the words that changed from one text to another;
- :mod:`~promptlab.expand.prompts_file`, :mod:`~promptlab.expand.wildcards`: prompts and lists from text files.

Settings and sweeps:

- :mod:`~promptlab.expand.fields`, :mod:`~promptlab.expand.values`: settings by their names, and what is typed behind
  them; :mod:`~promptlab.expand.settings_text`: settings as people read them;
- :mod:`~promptlab.expand.axes`: axes, zip groups and excludes → combinations; :mod:`~promptlab.expand.sweep`: one spec
  a combination;
- :mod:`~promptlab.expand.defaults`, :mod:`~promptlab.expand.styles`: what defaults files say, below all that is typed;
- :mod:`~promptlab.expand.experiment`: all that a file or a command line says → a sweep;
- :mod:`~promptlab.expand.experiment_file.reader`, :mod:`~promptlab.expand.experiment_file.writer`: experiment file ↔
  experiment, spec.
"""

from typing import TYPE_CHECKING, Final

from promptlab._lazy import imported_from

if TYPE_CHECKING:
    from promptlab.expand.axes import Axis, Exclude
    from promptlab.expand.experiment import Experiment
    from promptlab.expand.experiment_file.reader import read_experiment
    from promptlab.expand.experiment_file.schema import json_schema
    from promptlab.expand.experiment_file.writer import write_experiment
    from promptlab.expand.labels import labelled
    from promptlab.expand.prompt_edits import appended, from_prompts, inherited, prepended, replaced
    from promptlab.expand.prompts_file import read_prompts
    from promptlab.expand.seeds import parse_seeds, show_seeds
    from promptlab.expand.sweep import Sweep, SweepPoint, build_sweep
    from promptlab.expand.templates import Template, parse

__all__ = [
    "Axis",
    "Exclude",
    "Experiment",
    "Sweep",
    "SweepPoint",
    "Template",
    "appended",
    "build_sweep",
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
    "write_experiment",
]

_HOMES: Final = {
    "axes": ("Axis", "Exclude"),
    "experiment": ("Experiment",),
    "experiment_file.reader": ("read_experiment",),
    "experiment_file.schema": ("json_schema",),
    "experiment_file.writer": ("write_experiment",),
    "labels": ("labelled",),
    "prompt_edits": ("appended", "from_prompts", "inherited", "prepended", "replaced"),
    "prompts_file": ("read_prompts",),
    "seeds": ("parse_seeds", "show_seeds"),
    "sweep": ("Sweep", "SweepPoint", "build_sweep"),
    "templates": ("Template", "parse"),
}
__getattr__ = imported_from(__name__, _HOMES)
