"""Tells of short texts that no encoder cuts them, without loading a tokenizer.

A token stands for one character at least, and a few more mark beginning and end. So a text of fewer characters than an
encoder reads tokens is read whole, whatever the vocabulary. Only of ASCII, which no tokenizer makes longer before it
counts.

Invariant: of a text that may be cut nothing is said: :class:`NotTold` is raised.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from promptlab.engine.pipelines.traits import call_parameters
from promptlab.engine.sources.class_source import ClassSource, NotTold
from promptlab.engine.sources.configuration import Configuration
from promptlab.engine.sources.files import read_json
from promptlab.specs import RunSpec

__all__ = ["check_short"]

_MARKS: Final = 4
"""Tokens that a tokenizer adds, at most: of start and end, and a blank that some put before the first word."""
_SEQUENCE: Final = "max_sequence_length"


def check_short(spec: RunSpec, config: Configuration, folder: Path, kind: ClassSource) -> None:
    """Check that no text of ``spec`` can be longer than what any of the model's encoders reads.

    Args:
        config, folder, kind: the model's configuration, where it lies, and its pipeline.

    Raises:
        NotTold: when one may be, or the lengths are not told.
    """
    texts = [text for each in spec.variants for text in (each.prompt, each.negative_prompt)]
    longest = max(map(len, texts), default=0)
    is_plain = all(text.isascii() and text.isprintable() for text in texts)
    if not is_plain or longest + _MARKS > _fewest(spec, config, folder, kind):
        raise NotTold("a text")


def _fewest(spec: RunSpec, config: Configuration, folder: Path, kind: ClassSource) -> int:
    """Return the fewest tokens that one of the encoders reads."""
    lengths = []
    asked = dict(spec.call.arguments).get(_SEQUENCE)
    parameter = call_parameters(kind).get(_SEQUENCE)
    default = None if parameter is None else parameter.default
    for part, tokenizer in config.parts.items():
        if "Tokenizer" not in tokenizer:
            continue
        about = Path(folder, part, "tokenizer_config.json")
        own = read_json(about).get("model_max_length") if about.is_file() else None
        given = next((each for each in (asked, default) if isinstance(each, int)), None)
        length = own if given is None or tokenizer.startswith("CLIP") else given
        if not isinstance(length, int):
            raise NotTold(part)
        lengths.append(length)
    if not lengths:
        raise NotTold("tokenizer")
    return min(lengths)
