"""Makes the README's generated blocks by running what they show. ``make docs`` writes them, a test compares them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
_WIDTH = 78
"""Columns of help in a terminal of 80: click leaves two free."""


def help_of(*commands: str) -> str:
    """Return the ``--help`` of each command, as a terminal of 80 columns shows it."""
    from click.testing import CliRunner

    from promptlab.cli import promptlab

    blocks = []
    for command in commands:
        words = [command] if command else []
        typed = [*words, "--help"]
        shown = CliRunner().invoke(
            promptlab, typed, prog_name="promptlab", terminal_width=_WIDTH, catch_exceptions=False
        )
        blocks.append(f"```\n$ {' '.join(['promptlab', *typed])}\n{shown.stdout.rstrip()}\n```\n")
    return "\n".join(blocks)


def tables() -> str:
    """Return our tables and their columns, from SQLAlchemy's own metadata."""
    from promptlab.store.tables import Base

    lines = ["| table | columns |", "| --- | --- |"]
    for table in Base.metadata.sorted_tables:
        columns = ", ".join(f"`{column.name}`" for column in table.columns)
        lines.append(f"| `{table.name}` | {columns} |")
    return "\n".join(lines) + "\n"


def measured(name: str) -> str:
    """Return what ``benchmarks/results/NAME.md`` holds: on which machine, and the table."""
    text = (ROOT / "benchmarks" / "results" / f"{name}.md").read_text(encoding="utf-8")
    return text[text.index("Written by") :]


def story(engine: str = "diffusers") -> str:
    """Return what ``make demo`` prints, from a run of it; the closing lines, which name folders, left out.

    Args:
        engine: ``painter`` prints the same in a third of the time.
    """
    with tempfile.TemporaryDirectory() as folder:
        return shown(_told_by(f"{Path(sys.executable).parent}/promptlab", cwd=folder, PROMPTLAB_ENGINE=engine))


def story_typed(typed: Callable[..., str]) -> str:
    """Return the same of commands that are carried out in this process.

    Args:
        typed: carries out the words of a command, and returns what it says.
    """
    with tempfile.TemporaryDirectory() as folder:
        names = Path(folder, "names")  # a command that says its own words, a line each
        names.write_text("#!/bin/sh\nprintf '@words\\n'; printf '%s\\n' \"$@\"; printf '@end\\n'\n", encoding="utf-8")
        names.chmod(0o755)
        told = _told_by(str(names), cwd=folder)
    return shown(re.sub(r"@words\n(.*?)\n@end\n", lambda found: typed(*found[1].split("\n")), told, flags=re.DOTALL))


def _told_by(command: str, *, cwd: str, **environment: str) -> str:
    words = ["sh", str(ROOT / "examples/story.sh"), command, "demo"]
    wide = {**os.environ, "COLUMNS": "100", **environment}
    return subprocess.run(words, check=True, capture_output=True, text=True, cwd=cwd, env=wide).stdout


def shown(told: str) -> str:
    """Return what the README shows of a story."""
    return f"```\n{told[: told.index('$ promptlab list')].strip()}\n```\n"


def without_times(text: str) -> str:
    """Return ``text`` with its measured seconds masked: the same words are expected, not the same machine."""
    return re.sub(r"\d+\.\d+ s( an |/)image", r"… s\1image", text)
