"""Lists every command: where it is, and the line that ``promptlab --help`` says of it.

A command is imported when it is called, so its line is written twice: here, and as the first sentence of its docstring.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

__all__ = ["COMMANDS"]

COMMANDS: Final = MappingProxyType(
    {
        "best": ("promptlab.cli.comparing:best",
            "Rank the values of a setting, wordings, words or seeds by all votes and stars."),
        "compare": ("promptlab.cli.comparing:compare",
            "Ask which of two pictures is better: pairs of one seed, other words or settings; then rank them."),
        "completion": ("promptlab.cli.completion:completion",
            "Print the completion script for a shell."),
        "config": ("promptlab.cli.config:config",
            "Show what is taken for settings that are not typed, and which file says so; styles as well."),
        "db": ("promptlab.cli.db:db",
            "Say which schema the workspace's database has, upgrade it, or copy it."),
        "diff": ("promptlab.cli.tree_diff:diff",
            "Compare two runs, or two pictures: settings, words, environments, pictures of the same seed."),
        "doctor": ("promptlab.cli.doctor:doctor",
            "Check that database, image files and MLflow agree; print the command that fixes each problem."),
        "effect": ("promptlab.cli.effect:effect",
            "Measure how much the wordings of a run, or settings of a sweep, change the picture, beside the seed."),
        "export": ("promptlab.cli.import_export:export",
            "Write a run, a sweep or a picture to files that need no workspace."),
        "favourite": ("promptlab.cli.ratings:favourite",
            "Mark pictures as favourites; 'promptlab search --favourite' finds them again."),
        "import": ("promptlab.cli.import_export:import_pictures",
            "Take pictures in by what they say of themselves: PromptLab's own, or others', to go on from them."),
        "list": ("promptlab.cli.list_runs:list_runs",
            "List the runs of the workspace, newest first."),
        "models": ("promptlab.cli.catalog:models",
            "List the models that need no download: those in the package and those in the Hub's cache here."),
        "open": ("promptlab.cli.open_file:open_file",
            "Open the grid of a run (3, last), a picture (3/12) or a sweep's overview (sweep:2) in a viewer."),
        "plan": ("promptlab.cli.generate:plan",
            "Say what run would make, with the same options: runs, images, time, disk, memory."),
        "probe": ("promptlab.cli.probe:probe",
            "Try out batch sizes: seconds per image and peak memory, with and without attention slicing."),
        "rate": ("promptlab.cli.ratings:rate",
            "Give pictures 1 to 5 stars: in the database, and in MLflow as the metric rating of their variant."),
        "rerun": ("promptlab.cli.generate:rerun",
            "Make a run, or one picture of it, again with other words, seeds or settings."),
        "resume": ("promptlab.cli.generate:resume",
            "Make what a stopped or failed run, or sweep, still owes; without a name, whatever is owed."),
        "run": ("promptlab.cli.generate:run",
            "Make a grid: every PROMPT (a row) at every seed (a column), under one setting."),
        "schedulers": ("promptlab.cli.catalog:schedulers",
            "List the schedulers that fit a model, with their options; or one, NAME, with what each may be."),
        "schema": ("promptlab.cli.catalog:schema",
            "Print the JSON Schema of experiment files: editors complete and check them by it."),
        "score": ("promptlab.cli.score:score",
            "Score pictures by models that predict what people like; 'list', 'best', reports and MLflow show it."),
        "search": ("promptlab.cli.search:search",
            "Find pictures by their words: prompts, negative prompts, templates, labels, notes, names of runs."),
        "server": ("promptlab.cli.server:server",
            "Keep a model warm between commands, in a process that stays."),
        "show": ("promptlab.cli.show:show",
            "Show everything recorded about a run (3, last), an image (3/12, or its file) or a sweep (sweep:2)."),
        "sync": ("promptlab.cli.ui:sync",
            "Tell MLflow what it missed: runs and sweeps that it does not show, or shows otherwise than they are."),
        "tree": ("promptlab.cli.tree_diff:tree",
            "Show how runs came from one another: the tree of reruns, with what changed at each step."),
        "ui": ("promptlab.cli.ui:ui",
            "Open the page where one iterates: words, pictures as they come, what came of what."),
        "verify": ("promptlab.cli.verify:verify",
            "Make pictures again exactly as recorded, and compare every pixel with what is kept."),
    }
)  # fmt: skip
"""Name → ``module:function`` and line."""
