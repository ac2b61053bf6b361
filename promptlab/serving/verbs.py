"""Lists the verbs of a lab that a server carries out, and calls them with arguments that came as JSON.

What an argument is, the lab's own type hints say; so a client cannot name a class that the verb does not take.

Invariant: what is not listed cannot be called from outside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final, get_type_hints

from promptlab import __version__
from promptlab.errors import ServerError, UnknownValue
from promptlab.lab.execution.events import Watch
from promptlab.wire import decode, encode

if TYPE_CHECKING:
    from promptlab.lab import Lab

__all__ = ["GENERATING", "VERBS", "call_verb"]

GENERATING: Final = frozenset({"effect", "plan", "probe", "rerun", "resume", "run", "run_sweep", "score", "verify"})
"""Verbs that ask the engine for something: one at a time. All others are answered beside them."""

VERBS: Final = GENERATING | {
    "history.count", "history.find", "history.find_sweep", "history.list", "history.search", "history.sweep",
    "maintenance.doctor", "maintenance.fix", "maintenance.sync", "ratings.favourite", "ratings.rate",
}  # fmt: skip


def call_verb(lab: Lab, verb: str, arguments: Mapping[str, Any], *, theirs: str, watch: Watch) -> Any:
    """Call a verb of ``lab``; return what it returns as plain values.

    Args:
        arguments: by name, as :func:`promptlab.wire.encode` wrote them.
        theirs: the version of PromptLab that wrote them.
        watch: told of what happens, where the verb tells.

    Raises:
        UnknownValue: for a verb that is not listed.
        ServerError: for an argument that the verb does not take.
        PromptLabError: whatever the verb raises.
    """
    if verb not in VERBS:
        raise UnknownValue("verb", verb, sorted(VERBS))
    service, _, name = verb.rpartition(".")
    method = getattr(getattr(lab, service) if service else lab, name)
    hints = _hints(method.__func__)
    unknown = arguments.keys() - (hints.keys() - {"watch"})
    if unknown:
        raise ServerError(f"{verb} of PromptLab {theirs} takes {min(unknown)}, that of {__version__} does not")
    given = {argument: decode(hints[argument], plain, theirs=theirs) for argument, plain in arguments.items()}
    return encode(method(**given, **({"watch": watch} if "watch" in hints else {})))


@cache
def _hints(method: Callable[..., Any]) -> Mapping[str, Any]:
    """Return the hints of a verb's arguments; of classes that are imported for type checkers, too."""
    from promptlab.expand.sweep import Sweep
    from promptlab.lab.history.prompt_edit import PromptEdit
    from promptlab.lab.history.rerun import RunOrImage
    from promptlab.lab.maintenance.doctor.findings import Finding
    from promptlab.records import RunRecord
    from promptlab.specs import RunSpec
    from promptlab.store.text_search import SearchQuery

    every = (Finding, PromptEdit, RunOrImage, RunRecord, RunSpec, SearchQuery, Sweep)
    names = {"Watch": Callable, **{each.__name__: each for each in every}}
    annotated = {name: hint for name, hint in method.__annotations__.items() if name != "return"}
    shown = type("_Shown", (), {"__annotations__": annotated, "__module__": method.__module__})
    return get_type_hints(shown, None, names)
