"""Reads a command line, calls one verb of the lab and prints what came of it.

Every command is a function in a module of this room, imported when it is called (:mod:`promptlab.cli.commands` lists
them), and nothing heavy is imported to show help or a list. :func:`main` is the one place where an error becomes a line
on standard error and an exit code: 2 when what was asked cannot be, 1 when it failed, 130 after Ctrl-C.
"""

from __future__ import annotations

import errno
import os
import shlex
import sys
from collections.abc import Sequence

import click

from promptlab import __version__
from promptlab.cli import own_process
from promptlab.cli.commands import COMMANDS
from promptlab.cli.lazy_group import LazyGroup
from promptlab.cli.output import echo
from promptlab.cli.signals import termination_as_ctrl_c
from promptlab.errors import InputError, PromptLabError, one_line, spelled_by

__all__ = ["main", "promptlab"]


@click.group(
    cls=LazyGroup,
    homes=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Each command has its own --help. Pictures lie in WORKSPACE/images, records in WORKSPACE/mlflow.db.",
)
@click.version_option(__version__, prog_name="promptlab", message="%(prog)s %(version)s")
def promptlab() -> None:
    """Keep a lab notebook of prompts for text-to-image diffusion models.

    \b
    promptlab run "portrait photo of a old warrior chief" --seeds 0-7
    promptlab rerun last --seed 1 --replace "a old=>{the oldest|a old|a|a young}"
    promptlab ui
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit. ``PROMPTLAB_DEBUG=1`` lets tracebacks through.

    Args:
        arguments: those that the process was started with by default: then it is this command's own.
    """
    if arguments is None:
        own_process.begin()
    try:
        with termination_as_ctrl_c(), spelled_by(_spell):
            sys.exit(_exit_code(arguments))
    finally:
        own_process.end()


def _spell(field: str, value: str | None) -> str:
    from promptlab.cli.spelling import spell  # the table of settings: only an error needs it

    return spell(field, value)


def _exit_code(arguments: Sequence[str] | None) -> int:
    debugging = os.environ.get("PROMPTLAB_DEBUG", "") not in ("", "0")
    try:
        _check_words(sys.argv[1:] if arguments is None else arguments)
        result = promptlab.main(args=arguments, prog_name="promptlab", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        echo(error.format_message())
        return 0
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "promptlab"
        _say(f"{error.format_message().rstrip('.')}; see: {where} --help")
        return 2
    except PromptLabError as error:
        if debugging:
            raise
        _say(_with_hint(str(error), error))
        return error.exit_code
    except (KeyboardInterrupt, click.Abort) as error:
        _say(_with_hint("stopped; what was made stays", error))
        return 130
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - so that Python's own flush at exit finds no pipe
        return 1
    except click.ClickException as error:
        _say(error.format_message())
        return 1
    except OSError as error:
        if debugging:
            raise
        what = one_line(error.filename, limit=80) if error.filename is not None else type(error).__name__
        _say(_with_hint(f"'{what}': {one_line(error.strerror or error)}", error))
        return 2 if error.errno == errno.ENAMETOOLONG else 1
    except Exception as error:
        if debugging:
            raise
        sentence = (
            f"unexpected {type(error).__name__}: {one_line(error)}; PROMPTLAB_DEBUG=1 shows where, please report it"
        )
        _say(_with_hint(sentence, error))
        return 1
    return result if isinstance(result, int) else 0


def _with_hint(sentence: str, error: BaseException) -> str:
    """Append what to type next, which stands in the error's notes when something was begun.

    Click wraps a Ctrl-C in an exception of its own; then the notes are those of its cause.
    """
    notes = [*getattr(error, "__notes__", ()), *getattr(error.__cause__, "__notes__", ())]
    hint = next((note for note in notes if note.startswith("promptlab ")), None)
    if hint is None:
        return sentence
    return f"{sentence}; {'then' if '; type: ' in sentence else 'type'}: {hint}"


def _check_words(words: Sequence[str]) -> None:
    """Refuse what no command can do with: a folder that is gone, words in another encoding."""
    if not {"-h", "--help", "--version"}.intersection(words):
        _check_folder()
    _check_encoding(words)


def _check_folder() -> None:
    """Refuse to work in a folder that was deleted, where no path means anything."""
    from pathlib import Path

    try:
        Path.cwd()
    except OSError:
        gone = os.environ.get("PWD", "")
        nearest = next((each for each in (Path(gone), *Path(gone).parents) if each.is_dir()), Path.home())
        raise InputError(
            "the current folder", gone or None, problem="was deleted, or moved, since this terminal went there",
            hint=f"cd {shlex.quote(str(nearest if gone else Path.home()))}",
        ) from None  # fmt: skip


def _check_encoding(words: Sequence[str]) -> None:
    """Refuse words in another encoding than the terminal's: they arrive in pieces that nothing can store."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise InputError("argument", word, problem="is not UTF-8", hint="the command in a UTF-8 terminal") from None


def _say(sentence: str) -> None:
    echo(f"promptlab: {one_line(sentence, limit=2000)}", err=True)
