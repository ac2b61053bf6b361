"""From a few words on the command line to everything they stand for. Pure: no room is cheaper to import or to test.

- :mod:`~promptlab.expand.seeds`: ``0-7,42`` ↔ seeds;
- :mod:`~promptlab.expand.templates`: ``{a|b||c}`` → prompts;
- :mod:`~promptlab.expand.wording`: append, prepend, replace: variants → variants;
- :mod:`~promptlab.expand.labels`: a few words that tell each variant from its neighbours;
- :mod:`~promptlab.expand.words`: the words that changed from one text to another;
- :mod:`~promptlab.expand.prompts_file`: the one thing read from disk.
"""

from promptlab.expand.labels import labelled
from promptlab.expand.prompts_file import read_prompts
from promptlab.expand.seeds import parse_seeds, show_seeds
from promptlab.expand.templates import Template, parse
from promptlab.expand.wording import appended, from_prompts, inherited, prepended, replaced
from promptlab.expand.words import Piece, word_diff

__all__ = [
    "Piece",
    "Template",
    "appended",
    "from_prompts",
    "inherited",
    "labelled",
    "parse",
    "parse_seeds",
    "prepended",
    "read_prompts",
    "replaced",
    "show_seeds",
    "word_diff",
]
