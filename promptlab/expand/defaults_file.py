"""Reads one defaults file: TOML → settings by their names, and styles.

A workspace may be a stranger's. Its file can say settings and words, and nothing else: not what may be unpickled, not
where a server is, and no file that lies outside of the workspace.

Invariant: whatever is in a file, there is a :class:`DefaultsFile` or one error that names the file and the key.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from promptlab.errors import InputError, UnknownValue, one_line
from promptlab.expand.fields import errors_at
from promptlab.expand.prompts_file import read_text
from promptlab.expand.styles import PromptStyle, read_styles
from promptlab.expand.values import read_scheduler, read_value
from promptlab.specs import Embedding, Lora
from promptlab.specs.settings import SETTINGS, Setting

__all__ = [
    "EXPERIMENT",
    "DefaultsFile",
    "checked_default",
    "default_names",
    "names_of",
    "parse_defaults",
    "read_defaults_file",
    "read_defaults_text",
    "refuse_link",
    "setting_of",
]

EXPERIMENT: Final = "experiment"
"""The one default that is no setting of a run."""

_STYLES: Final = ("styles", "styles_file")
_MAX_BYTES: Final = 2**20
_BEHIND_A_COLON: Final = frozenset({"quantization", "text_encoder_quantization"})
"""Those that name one behind a word: ``gguf:FILE``."""

_FILES: Final = frozenset({"model", "vae", "config", "lora", "textual_inversion", *_BEHIND_A_COLON})
"""Settings that may name files."""

_NEVER: Final = frozenset(
    {
        "allow_pickle", "cluster", "database", "database_url", "server", "ship_model", "tracking_uri", "workers",
        "workspace",
    }
)  # fmt: skip
"""Lists what is typed or stands in the environment alone: it decides about rights and places."""

_SETTING_OF: Final[Mapping[str, Setting]] = MappingProxyType(
    {
        name: row
        for row in SETTINGS.values()
        for name in (*row.names, *row.option_names)
        if row.kind != "prompts" and (name == row.name or name not in SETTINGS)
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultsFile:
    """Holds what one file says.

    Args:
        shown: how it is called: ``promptlab.toml``.
        values: by the names of settings, as :meth:`promptlab.expand.Experiment.with_options` takes them; and
            ``experiment``.
        styles: its own, and those of the ``styles.csv`` that belongs to it.
    """

    shown: str
    values: Mapping[str, Any]
    styles: tuple[PromptStyle, ...] = ()


def default_names() -> tuple[str, ...]:
    """Return the names of all defaults, as errors and completion list them."""
    return (EXPERIMENT, *(_hyphenated(row.name) for row in SETTINGS.values() if row.kind != "prompts"))


def setting_of(name: str, *, what: str) -> Setting | None:
    """Return the setting that goes by ``name``: its option's, or its field's.

    ``None`` stands for the experiment.

    Args:
        what: the place where it was typed, for what errors say.

    Raises:
        InputError: for what is none; it names the nearest.
    """
    plain = name.replace("-", "_")
    if plain == EXPERIMENT:
        return None
    row = _SETTING_OF.get(plain)
    if row is not None:
        return row
    if plain in _NEVER:
        raise InputError(what, name, problem="is no default", allowed="settings; this is typed with each command")
    raise UnknownValue(what, name, default_names(), problem="is no setting")


def names_of(row: Setting | None) -> frozenset[str]:
    """Return every name that a default goes by in a file; ``None`` is the experiment."""
    if row is None:
        return frozenset({EXPERIMENT})
    names = {name for name, each in _SETTING_OF.items() if each is row}
    return frozenset({*names, *map(_hyphenated, names)})


def read_defaults_file(path: Path, *, shown: str, root: Path | None = None) -> DefaultsFile:
    """Read the defaults file at ``path``.

    Args:
        shown: what errors call it.
        root: of the workspace, where it is the workspace's.

    Raises:
        InputError: for anything in it that cannot be.
    """
    return parse_defaults(read_defaults_text(path, shown=shown, root=root), shown=shown, folder=path.parent, root=root)


def read_defaults_text(path: Path, *, shown: str, root: Path | None = None) -> str:
    """Read the text of the defaults file at ``path``; nothing, where there is none.

    Raises:
        InputError: for a file that cannot be read, or a workspace's that is a link to elsewhere.
    """
    if root is not None:
        refuse_link(path, root, shown)
    if not os.path.lexists(path):
        return ""
    if path.is_file() and path.stat().st_size > _MAX_BYTES:
        raise InputError(shown, problem="is too large", allowed=f"up to {_MAX_BYTES // 2**20} MiB")
    return read_text(path, what=shown)


def parse_defaults(text: str, *, shown: str, folder: Path, root: Path | None = None) -> DefaultsFile:
    """Read the defaults that ``text`` is, in TOML.

    Args:
        shown: what errors call the file.
        folder: that it lies in.
        root: of the workspace, where it is the workspace's.

    Raises:
        InputError: see :func:`read_defaults_file`.
    """
    import tomllib

    try:
        tree = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else one_line(error, limit=120)
        raise InputError(shown, problem=f"is no TOML: {reason}", allowed='lines such as scheduler = "unipc"') from None
    values: dict[str, Any] = {}
    for key, said in tree.items():
        if key in _STYLES:
            continue
        row = setting_of(key, what=shown)
        name = EXPERIMENT if row is None else row.name
        if name in values:
            raise InputError(f"{shown}: {key}", problem=f"is said twice, beside {_hyphenated(name)}", allowed="once")
        values[name] = checked_default(row, said, what=f"{shown}: {key}", root=root)
    for side in ("width", "height"):
        if "size" in values and side in values:
            raise InputError(f"{shown}: size", problem=f"is said beside {side}", allowed="size, or height and width")
    return DefaultsFile(shown=shown, values=values, styles=tuple(_styles(tree, shown, folder, root)))


def checked_default(row: Setting | None, said: object, *, what: str, root: Path | None = None) -> Any:
    """Return a default as an experiment takes it, once it is known that it can be.

    Args:
        row: the setting; ``None`` is the experiment.
        said: what a file or a command line says.
        what: the place, or the field, for what errors say.
        root: of the workspace, where its file says it.

    Raises:
        InputError: for what the setting cannot be.
    """
    if not isinstance(said, str | int | float):
        raise InputError(what, problem="is no single value", allowed="a text, a number, true or false")
    if row is None or row.kind == "seeds":
        said = str(said)
    if row is None:
        if not said or not str(said).strip():
            raise InputError(what, str(said), problem="is empty", allowed="the name of a line of work")
        return said
    value = read_value(row, said, what=what)
    if row.kind == "scheduler":
        read_scheduler(value, what=what)
    if root is None or value is None:
        return said
    if row.name == "attention_backend" and str(value).endswith("_hub"):
        raise InputError(what, str(value), problem="downloads code", allowed="in your own config file, or typed")
    if row.name not in _FILES:
        return said
    if isinstance(value, tuple):
        return tuple(_within_part(part, what, root) for part in value) or said
    if row.name in _BEHIND_A_COLON:
        word, colon, file = str(value).partition(":")
        return f"{word}:{_within(file, what, root)}" if colon else said
    return _within(value, what, root)


def _within_part(part: Lora | Embedding, what: str, root: Path) -> Lora | Embedding:
    return replace(part, name=_within(part.name, what, root))


def _within(name: str, what: str, root: Path) -> str:
    """Return the name of a model's file, from the workspace's folder on.

    Raises:
        InputError: for a file that lies elsewhere.
    """
    plain = name.replace("\\", "/")
    inside = root / name
    climbs = plain.startswith(("/", "~")) or plain[1:2] == ":" or ".." in plain.split("/")
    if not climbs and os.path.lexists(inside):
        climbs = not inside.resolve().is_relative_to(root.resolve())
        name = name if Path.cwd() == root else str(inside)
    elif os.path.lexists(name):  # where the command is typed, which the workspace does not mean
        climbs = True
    if climbs:
        raise InputError(
            what,
            name,
            problem="lies outside of the workspace",
            allowed="there; files elsewhere in your own config file",
        )
    return name


def refuse_link(path: Path, root: Path, shown: str) -> None:
    """Refuse a workspace's file that is a link to elsewhere.

    Raises:
        InputError: naming the file.
    """
    if not path.resolve().is_relative_to(root.resolve()):
        raise InputError(shown, problem="is a link to outside of the workspace", allowed="a file")


def _styles(tree: Mapping[str, Any], shown: str, folder: Path, root: Path | None) -> Iterator[PromptStyle]:
    """Yield the styles that belong to a file: those of its CSV first, which its own go over."""
    for key in _STYLES:
        named = tree.get(key)
        if named is None or (key == "styles" and isinstance(named, dict)):
            continue
        what = f"{shown}: {key}"
        if not isinstance(named, str):
            raise InputError(what, problem="is no file and no style", allowed="a styles.csv, or [styles.NAME]")
        if root is not None:
            raise InputError(what, named, problem="is read in your own config file only", allowed="styles.csv here")
        path = folder / Path(named).expanduser()
        yield from read_styles(path, shown=what)
    own = tree.get("styles")
    for name, said in own.items() if isinstance(own, dict) else ():
        yield _style(str(name), said, shown)


def _style(name: str, said: object, shown: str) -> PromptStyle:
    what = f"{shown}: styles.{name}"
    if not isinstance(said, dict) or not all(isinstance(words, str) for words in said.values()):
        raise InputError(what, problem="is no style", allowed='prompt = "{prompt}, …" and negative = "…"')
    for key in said:
        if key not in ("prompt", "negative", "negative_prompt"):
            raise UnknownValue(what, key, ("prompt", "negative"), problem="is nothing that a style has")
    with errors_at(what):
        return PromptStyle(
            name=name, prompt=said.get("prompt", ""),
            negative=said.get("negative") or said.get("negative_prompt") or "", file=shown,
        )  # fmt: skip


def _hyphenated(name: str) -> str:
    return name.replace("_", "-")
