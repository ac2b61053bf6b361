"""Resolves texts that nodes of a ComfyUI graph make of other texts: joined, replaced, trimmed, chosen.

What a node computes is computed here where it is plain (core's ``comfy_extras/nodes_string.py``, WAS Node Suite,
comfyroll, KJNodes, Easy Use, pysssss' Custom Scripts). Nothing is run that a stranger wrote: no regular expression, no
expression, no template. Where the words that were used cannot be known, what can be read of them is taken, and the
node is named: nobody takes a part for the whole.

A text that a model wrote is not its question: a stored answer is taken, if there is one.

Invariant: each node is resolved once, and no text grows past a bound, so that a graph that doubles a text at every node
ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from promptlab.images.foreign.comfyui_routes import Routes
from promptlab.images.foreign.graph import Link, Node
from promptlab.images.foreign.record import as_int, cleaned

__all__ = ["GraphTexts"]

_DEEP: Final = 40
_LONGEST: Final = 200_000
_MOST_MADE: Final = 5_000_000
"""Characters that the nodes of a graph may make together: a few thousand are made by those of people."""

_PARTIAL: Final = "makes the words: those that are read may be a part of them"
_TEMPLATE: Final = "is a template: what it stood for is not in the picture"
_ASKED: Final = "asks a model for the words, and its answer is not in the picture"
_STORED: Final = "shows words that another node makes: those stored with it are taken"

_ASKS: Final = re.compile(
    r"llm|ollama|gpt|gemini|claude|openai|florence|caption|tagger|llava|chat|vlm|qwen.*vl|tipo|promptgen|enhanc|upsampl"
    r"|interrogat|moondream|groq|mistral|deepseek|describe",
    re.IGNORECASE,
)
_SHOWS: Final = re.compile(r"show|preview|display|view", re.IGNORECASE)
_TEMPLATES: Final = re.compile(r"wildcard|random|dynamic|^DP|template", re.IGNORECASE)
_IN_TEMPLATE: Final = re.compile(r"\{[^{}]*\|[^{}]*\}|__[\w/*-]+__|\{\w{1,40}\}|%\w{1,40}%|\$\w")
_JOINS: Final = re.compile(
    r"concat|join|combine|append|merge|(text|string|prompt)s? ?add|add ?(text|string|prompt)", re.IGNORECASE
)
_EXACT: Final = frozenset(
    {
        "CR Text Concatenate", "Concat Text _O", "JoinStringMulti", "JoinStrings", "StringConcatenate",
        "Text Concatenate", "easy promptConcat",
    }
)  # fmt: skip
"""Joins whose code is known: the delimiter stands between the texts, in their order."""

_SKIPS_EMPTY: Final = frozenset({"Text Concatenate"})
_BETWEEN: Final = ("delimiter", "separator", "seperator", "delim", "sep", "joiner", "join_with", "glue")
_WORDED: Final = {"none": "", "space": " ", "comma": ",", "newline": "\n", "\\n": "\n", "comma + space": ", "}
_NOT_JOINED: Final = frozenset(
    {*_BETWEEN, "clean_whitespace", "inputcount", "return_list", "mode", "action", "tidy_tags"}
)
_FIND: Final = ("find", "search", "old", "find_text", "search_text", "text_to_find")
_REPLACE: Final = ("replace", "replacement", "new", "replace_with", "replace_text", "text_to_replace")
_BASE: Final = ("text", "string", "input", "source", "prompt", "input_string", "source_text")
_HOLDS: Final = re.compile(
    r"primitive|literal|multiline|constant|textbox|^text$|^CR (text|prompt)|string$|^ttN text", re.IGNORECASE
)
_HELD: Final = (
    "populated_text", "text", "string", "value", "prompt", "String", "Text", "text_g", "t5xxl", "clip_l",
    "wildcard_text", "template", "text_0", "text1", "string_a", "text_a", "string1", "anything", "source", "input",
)  # fmt: skip
_ANSWERS: Final = (
    "text_0",
    "text2",
    "answer",
    "response",
    "output_text",
    "generated_text",
    "result",
    "output",
    "preview",
)
_SIDES: Final = ("{}", "text_{}", "{}_prompt", "prompt_{}", "{}_text")


class GraphTexts:
    """Resolves the texts of one graph; names the nodes whose words cannot be known.

    Args:
        note: is told a node's class and why its words may be incomplete.
    """

    def __init__(self, routes: Routes, note: Callable[[str, str], None]) -> None:
        self._routes, self._graph, self._note = routes, routes.graph, note
        self._made: dict[tuple[Link, str], str | None] = {}
        self._room = _MOST_MADE
        self._whole = True

    def of(self, node: Node, name: str, side: str) -> str | None:
        """Return the text of an input of ``node``; None when it is none.

        Args:
            side: ``positive`` or ``negative``, for nodes that make both.
        """
        return self._value(node.inputs.get(name), side, 0)

    def _value(self, value: object, side: str, depth: int) -> str | None:
        link = self._graph.link(value)
        if link is None:
            return cleaned(value) if isinstance(value, str) else None
        if (link, side) not in self._made:
            self._made[link, side] = None  # of a circle nothing comes
            made = self._of_link(link, side, depth + 1)
            if made is not None and len(made) > self._room:
                self._tell(self._graph.nodes[link[0]], _PARTIAL)
                made = made[: self._room]
            self._room -= len(made or "")
            self._made[link, side] = made
        return self._made[link, side]

    def _of_link(self, link: Link, side: str, depth: int) -> str | None:
        node, port = self._routes.origin(link, side)
        self._routes.passed.add(node.key)
        if depth > _DEEP:
            self._tell(node, _PARTIAL)
            return None
        if (name := self._routes.chosen(node)) is not None:
            return self._value(node.inputs[name], side, depth)
        if _ASKS.search(node.kind):
            return self._answer(node)
        if _SHOWS.search(node.kind) and any(self._graph.links(node)):
            return self._shown(node, side, depth)
        made = self._computed(node, side, depth)
        if made is not None:
            return made[:_LONGEST]
        return self._held(node, link[1], port, side, depth)

    def _tell(self, node: Node, why: str) -> None:
        self._whole = False
        self._note(node.kind, why)

    def _answer(self, node: Node) -> str:
        stored = next((text for name in _ANSWERS if (text := cleaned(node.inputs.get(name)))), "")
        self._tell(node, _STORED if stored else _ASKED)
        return stored

    def _shown(self, node: Node, side: str, depth: int) -> str | None:
        """Return what a node shows: the text behind it, or the one stored with it where that is not known."""
        link = next(iter(self._graph.links(node)))
        before, self._whole = self._whole, True
        behind = self._value(list(link), side, depth)
        known, self._whole = self._whole and behind is not None, before and self._whole
        stored = next((text for value in node.inputs.values() if (text := cleaned(value).strip())), "")
        if known or not stored:
            return behind
        self._tell(node, _STORED)
        return stored

    def _computed(self, node: Node, side: str, depth: int) -> str | None:
        """Return what a node that works on texts makes of them; None when it is no such node."""
        inputs = node.inputs
        if "pysssss" in node.kind and "action" in inputs:
            return self._string_function(node, side, depth)
        if any(name in inputs or f"{name}1" in inputs for name in _FIND):
            return self._replaced(node, side, depth)
        base = next((name for name in _BASE if name in inputs), None)
        if base is not None and (work := _WORK.get(node.kind)) is not None:
            text = self._value(inputs[base], side, depth)
            return None if text is None else work(text, inputs)
        if _JOINS.search(node.kind):
            return self._joined(node, side, depth)
        return None

    def _string_function(self, node: Node, side: str, depth: int) -> str:
        texts = [self._value(node.inputs.get(f"text_{name}"), side, depth) or "" for name in "abc"]
        tidy = node.inputs.get("tidy_tags") in ("yes", True)
        if node.inputs["action"] == "append":
            made = (", " if tidy else "").join(filter(None, texts))
        elif texts[1].startswith("/") and texts[1].endswith("/"):
            self._tell(node, _PARTIAL)
            made = texts[0]
        else:
            made = _with(texts[0], texts[1], texts[2]) if texts[1] else texts[0]
        if tidy:
            made = re.sub(r",{2,}", ",", re.sub(r"\s{2,}", " ", made).replace(" ,", ",")).strip()
        return made

    def _replaced(self, node: Node, side: str, depth: int) -> str | None:
        inputs = node.inputs
        base = next((name for name in _BASE if name in inputs), None)
        text = self._value(inputs.get(base), side, depth) if base else None
        if text is None:
            return None
        if re.search(r"regex|regular", node.kind, re.IGNORECASE) or inputs.get("use_regex") is True:
            self._tell(node, _PARTIAL)
            return text
        for number in ("", "1", "2", "3", "4", "5"):
            find, replace = (
                next((inputs[f"{name}{number}"] for name in names if f"{name}{number}" in inputs), None)
                for names in (_FIND, _REPLACE)
            )
            if old := self._value(find, side, depth):
                text = _with(text, old, self._value(replace, side, depth) or "")
        return text

    def _joined(self, node: Node, side: str, depth: int) -> str | None:
        between = next((cleaned(node.inputs[name]) for name in _BETWEEN if name in node.inputs), None)
        names = sorted((name for name in node.inputs if name not in _NOT_JOINED), key=_in_order)
        found = [(name, self._value(node.inputs[name], side, depth)) for name in names]
        texts = [text for _, text in found if text is not None]
        missing = [name for name, text in found if text is None and isinstance(node.inputs[name], list | dict)]
        if not texts:
            return None
        if node.kind not in _EXACT or between is None or missing:
            self._tell(node, _PARTIAL)
        if node.inputs.get("clean_whitespace") in ("true", True):
            texts = [text.strip() for text in texts]
        if node.kind in _SKIPS_EMPTY or node.kind not in _EXACT:
            texts = [text for text in texts if text]
        delimiter = " " if between is None else _WORDED.get(between, between)
        return delimiter.join(texts)

    def _held(self, node: Node, slot: int, port: str, side: str, depth: int) -> str | None:
        """Return the text that a node holds, and say so where the node may do more than hold it."""
        names = [form.format(each) for each in dict.fromkeys((port, side)) for form in _SIDES]
        if node.kind == "Text String" and 0 <= slot < 4:
            names = [("text", "text_b", "text_c", "text_d")[slot]]
        for name in (*names, *_HELD):
            text = self._value(node.inputs.get(name), side, depth)
            if not text:
                continue
            if _TEMPLATES.search(node.kind) and name != "populated_text":
                self._tell(node, _TEMPLATE if _IN_TEMPLATE.search(text) else _PARTIAL)
            elif name != "populated_text" and not self._only_holds(node, name):
                self._tell(node, _PARTIAL)
            return text
        empty = next((name for name in (*names, *_HELD) if node.inputs.get(name) == ""), None)
        return "" if empty is not None and self._only_holds(node, empty) else None

    def _only_holds(self, node: Node, name: str) -> bool:
        if _HOLDS.search(node.kind) or node.kind == "Text String":
            return True
        others = [value for key, value in node.inputs.items() if key != name]
        return not any((isinstance(value, str) and value) or self._graph.link(value) for value in others)


def _with(text: str, old: str, new: str) -> str:
    """Return ``text`` with ``new`` in every place of ``old``, as far as there is room."""
    longer = len(new) - len(old)
    most = -1 if longer <= 0 else max(0, _LONGEST - len(text)) // longer
    return text.replace(old, new, most)[:_LONGEST]


def _in_order(name: str) -> tuple[int, str, int]:
    """Sort ``text_a, text_b`` and ``string1, string2, string10`` as they are meant, prefixes first."""
    place = {"prefix": -1, "prepend": -1, "before": -1, "suffix": 1, "append": 1, "after": 1}.get(name, 0)
    digits = re.search(r"[0-9]{1,9}$", name)
    return place, name[: digits.start()] if digits else name, int(digits.group()) if digits else 0


def _trimmed(text: str, inputs: Mapping[str, Any]) -> str:
    return {"Left": text.lstrip, "Right": text.rstrip}.get(cleaned(inputs.get("mode")), text.strip)()


def _cased(text: str, inputs: Mapping[str, Any]) -> str:
    mode = cleaned(inputs.get("mode")) or cleaned(inputs.get("operation"))
    works: Mapping[str, Callable[[], str]] = {
        "uppercase": text.upper, "lowercase": text.lower, "capitalize": text.capitalize, "title case": text.title,
        "invert case": text.swapcase, "trim": text.strip, "remove spaces": lambda: text.replace(" ", ""),
        "reverse": lambda: text[::-1],
    }  # fmt: skip
    return works.get(mode.lower(), lambda: text)()


def _cut(text: str, inputs: Mapping[str, Any]) -> str:
    start, end = as_int(inputs.get("start")), as_int(inputs.get("end"))
    return text[slice(start, end)] if -_LONGEST < (start or 0) < _LONGEST else ""


_WORK: Final[Mapping[str, Callable[[str, Mapping[str, Any]], str]]] = {
    "CR Text Operation": _cased,
    "CaseConverter": _cased,
    "StringSubstring": _cut,
    "StringTrim": _trimmed,
}
