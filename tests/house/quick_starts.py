"""Writes the pages under ``docs/quick-starts/`` from what is known of the models, for ``make docs``."""

from __future__ import annotations

from promptlab.cli.render.known_models import command_line
from promptlab.models.known import UNKNOWN, known_families


def page(name):
    """The command, and a table of what is known, with where it was read."""
    (one,) = [each for each in known_families() if each.name == name]
    command = command_line(one).replace(" --model ", " \\\n    --model ").replace(" --dtype ", " \\\n    --dtype ", 1)
    lines = ["", "```", command, "```", "", "| | | read in |", "| --- | --- | --- |"]
    lines.append(f"| model | `{one.model}`, `{one.pipeline}` of diffusers | |")
    for fact, known in one.facts():
        says, source = (UNKNOWN, "") if known is None else (known.says, known.source)
        lines.append(f"| {fact} | {says} | {source} |")
    return "\n".join([*lines, "", ""])


def index():
    """A line for each page."""
    lines = ["", "| model | licence | login |", "| --- | --- | --- |"]
    for one in known_families():
        licence, login = (UNKNOWN if fact is None else fact.says for fact in (one.licence, one.login))
        lines.append(f"| [{one.title}]({one.name}.md) | {licence} | {login} |")
    return "\n".join([*lines, "", ""])
