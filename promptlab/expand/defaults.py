"""Finds the defaults of a workspace: its ``promptlab.toml`` over the user's config file.

They lie below everything that is typed, and below an experiment file. What is made from something that exists (a rerun,
a resumed run, a run like another) has no use for them: what is not named is inherited there.

Invariant: a run that defaults helped to say is an :class:`~promptlab.expand.Experiment` like any other; nothing behind
it knows of them. Where there is no file, nothing is imported to read one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any, Final

from promptlab.errors import one_line
from promptlab.expand.defaults_file import EXPERIMENT, DefaultsFile, read_defaults_file, refuse_link
from promptlab.expand.experiment import Experiment
from promptlab.expand.styles import PromptStyle, read_styles
from promptlab.expand.values import show_value
from promptlab.expand.word_diff import cut

__all__ = ["Default", "Defaults", "defaults_line", "read_defaults", "shown_file", "user_file", "workspace_file"]

_CSV: Final = "styles.csv"
_SIZES: Final = frozenset({"size", "width", "height"})
_OF_A_MODEL: Final = frozenset({"revision", "variant", "config"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Default:
    """Holds one value in force.

    Args:
        name: of the setting, or ``experiment``.
        shown: the value, as people read it.
        file: that says it.
        hidden: value and file of what it hides, where another file says it, too.
    """

    name: str
    shown: str
    file: str
    hidden: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """Holds what all defaults files say; of two that say the same, the later one wins."""

    files: tuple[DefaultsFile, ...] = ()

    @property
    def styles(self) -> Mapping[str, PromptStyle]:
        """Return the styles by their names."""
        return {style.name: style for file in self.files for style in file.styles}

    def experiment(self) -> Experiment:
        """Return what is in force, with nothing typed."""
        made = reduce(lambda made, file: made.with_options(**file.values), self.files, Experiment())
        origin = {name: file.shown for file in self.files for name in file.values}
        said = {*dict(made.settings), *([] if made.seeds is None else ["seeds"])}
        said |= {EXPERIMENT} if made.experiment is not None else set()
        defaulted = tuple((name, shown) for name, shown in origin.items() if name in said)
        return replace(made, overridden=frozenset(), defaulted=defaulted)

    def under(self, said: Experiment) -> Experiment:
        """Return ``said`` with these where it says nothing: of a file that was read, or of nothing yet."""
        base = self.experiment()
        axes = [*said.axes, *(axis for group in said.zips for axis in group)]
        named = {*dict(said.settings), *(axis.field for axis in axes)}
        named |= {"seeds"} if said.seeds is not None else set()
        if named & _SIZES:
            named |= _SIZES
        if "model" in named and dict(said.settings).get("model") != dict(base.settings).get("model"):
            named |= _OF_A_MODEL
        named |= {EXPERIMENT} if said.experiment is not None else set()
        return replace(
            said,
            experiment=base.experiment if said.experiment is None else said.experiment,
            settings=(*(pair for pair in base.settings if pair[0] not in named), *said.settings),
            seeds=said.seeds if "seeds" in named else base.seeds,
            defaulted=tuple(pair for pair in base.defaulted if pair[0] not in named),
        )

    def in_force(self) -> tuple[Default, ...]:
        """Return each value in force, and where it comes from, in the order of the files."""
        made = self.experiment()
        found: list[Default] = []
        for name, file in made.defaulted:
            others = [(_shown(name, each.values[name]), each.shown) for each in self.files if name in each.values]
            hidden = others[0] if len(others) > 1 else None
            found.append(Default(name=_typed(name), shown=_value(made, name), file=file, hidden=hidden))
        return tuple(found)


def user_file() -> Path:
    """Return the user's config file, whether it is there or not."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111 - raises nothing
    return Path(home, "promptlab", "config.toml")


def workspace_file(root: Path) -> Path:
    """Return the defaults file of a workspace, whether it is there or not."""
    return root / "promptlab.toml"


def shown_file(path: Path) -> str:
    """Return how a defaults file is called: by its name alone, or from the home folder on."""
    if path.name == "promptlab.toml":
        return path.name
    home = os.path.expanduser("~")  # noqa: PTH111 - raises nothing
    return f"~{str(path)[len(home) :]}" if str(path).startswith(home + os.sep) else str(path)


def read_defaults(root: Path) -> Defaults:
    """Read the defaults that hold in the workspace ``root``.

    Raises:
        InputError: for anything in a file that cannot be; it names the file.
    """
    files: list[DefaultsFile] = []
    own, of_workspace, table = user_file(), workspace_file(root), root / _CSV
    if os.path.exists(own):  # noqa: PTH110 - no error where a folder may not be entered
        files.append(read_defaults_file(own, shown=shown_file(own)))
    if os.path.lexists(table):
        files.append(DefaultsFile(shown=_CSV, values={}, styles=_table(table, root)))
    if os.path.lexists(of_workspace):
        files.append(read_defaults_file(of_workspace, shown=shown_file(of_workspace), root=root))
    return Defaults(files=tuple(files))


def defaults_line(experiment: Experiment) -> str | None:
    """Return what defaults decide: ``defaults from promptlab.toml: steps 30, scheduler unipc``."""
    by_file: dict[str, list[str]] = {}
    settings = {**dict(experiment.settings), "seeds": experiment.seeds, EXPERIMENT: experiment.experiment}
    for name, file in experiment.defaulted:
        if name not in experiment.overridden and name in settings:
            by_file.setdefault(file, []).append(f"{_typed(name)} {_value(experiment, name)}")
    parts = [f"from {file}: {', '.join(said)}" for file, said in by_file.items()]
    return f"defaults {'; '.join(parts)}" if parts else None


def _table(path: Path, root: Path) -> tuple[PromptStyle, ...]:
    refuse_link(path, root, _CSV)
    return read_styles(path, shown=_CSV)


def _value(experiment: Experiment, name: str) -> str:
    if name == "seeds" and experiment.seeds is not None:
        from promptlab.expand.seeds import show_seeds

        return cut(show_seeds(experiment.seeds), 40)
    return _shown(name, experiment.experiment if name == EXPERIMENT else dict(experiment.settings)[name])


def _shown(name: str, value: Any) -> str:
    text = one_line(show_value(value))
    return f"'{cut(text, 60)}'" if name in ("negative", EXPERIMENT) and " " in text else text


def _typed(name: str) -> str:
    return name.replace("_", "-")
