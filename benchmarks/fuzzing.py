"""Types random command lines, and counts those that are answered with "unexpected", or not at all.

    python -m benchmarks.fuzzing [COUNT] [SEED]

Commands, options and files are real; what is put into them is what people paste and strangers make: long texts, half
brackets, control characters, numbers without end, folders, pipes, files cut short. The painter draws, in a workspace
that is thrown away. Commands that go on until they are stopped, or open a window, are left out.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Final

SECONDS: Final = 60
"""A command that takes longer hangs: the painter needs a millisecond an image."""

LEFT_OUT: Final = frozenset({"ui", "open", "serve", "server", "completion"})

WORDS: Final = (
    "a fox", "", " ", "(" * 3_000, "{a|b}", "{", "}", "{2$$a|b}", "__age__", "a=>b", "=>", "\x1b]52;c;\x07", "\u202e",
    "猫", "😀", "e\u0301", "\n", "'; --", "%s%n", "$(id)", "x" * 300, "a" * 20_000, "..", "/", "/dev/null", "~", "-",
    "0", "1", "-1", "1e309", "nan", "0-7", "1/0", "1@seed:0", "last", "sweep:1", "999999999", "9" * 30, "10-30 (+10)",
    "euler", "dpmsolver++", "mini", "default", "none", "64", "64x64", "0x0", "7:0.5", "a:b:c", "cpu", "cuda", "float32",
    "1:1 > 2:1", "0>1", "7d", "2026-13-01", "http://127.0.0.1:1", "postgresql://", "json", "png", "5",
)  # fmt: skip


def main(count: int = 200, seed: int = 0) -> int:
    """Type ``count`` command lines and print what came of them."""
    from promptlab.cli import promptlab
    from promptlab.cli.commands import COMMANDS

    chosen, codes, bad = random.Random(seed), Counter[str](), list[str]()
    with tempfile.TemporaryDirectory(prefix="promptlab-fuzzing-") as folder:
        os.chdir(folder)
        os.environ |= {"PROMPTLAB_ENGINE": "painter", "PROMPTLAB_WORKSPACE": folder}
        files = make_files(Path(folder))
        typed(["run", "a fox", "--seeds", "0-1", "--size", "64", "--no-show"])
        names = sorted(set(COMMANDS) - LEFT_OUT)
        for _ in range(count):
            name = chosen.choice(names)
            options = [option for one in promptlab.commands[name].params for option in one.opts if option[:1] == "-"]
            words = [name, *(draw(chosen, options, files) for _ in range(chosen.randrange(4)))]
            code, said = typed(words)
            codes[code] += 1
            if "promptlab: unexpected " in said or code not in ("0", "1", "2", "130"):
                bad.append(f"{code}: {[word[:60] for word in words]}: {said.strip()[-300:]}")
        os.chdir("/")
    print("\n".join(bad))
    print(f"{count} command lines, seed {seed}: {dict(codes)}, {len(bad)} unexpected or stuck")
    return 1 if bad else 0


def draw(chosen: random.Random, options: list[str], files: list[str]) -> str:
    """Draw an option, a word or a file."""
    kind = chosen.random()
    if kind < 0.35 and options:
        return chosen.choice(options)
    return chosen.choice(files) if kind < 0.5 else chosen.choice(WORDS)


def make_files(folder: Path) -> list[str]:
    """Make the files that command lines may name; some are not there, some are what they should not be."""
    contents = {
        "empty.png": b"", "short.png": b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "words.txt": b"a fox\n{a|b}\n",
        "latin.txt": b"caf\xe9", "a.yaml": b"prompts: [a fox]\nseeds: 0-1\n", "bad.yaml": b"prompts: [\n",
        "deep.yaml": b"[" * 2_000, "zip.zip": b"PK\x03\x04",
    }  # fmt: skip
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "pipe.png")  # a command that waits for it is stuck
    made = ["images/00001/v00-seed0.png", "images/00001/grid.png", "images", "nowhere.png", "folder.png", "pipe.png"]
    return [*contents, *made]


def typed(words: list[str]) -> tuple[str, str]:
    """Carry out a command line in this process; return its exit code and what it said."""
    from promptlab import cli

    said, code = io.StringIO(), "0"

    def stuck(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError

    before, sys.stdin = sys.stdin, io.StringIO("")
    signal.signal(signal.SIGALRM, stuck)
    signal.alarm(SECONDS)
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            cli.main(words)
    except SystemExit as left:
        code = str(left.code or 0)
    except BaseException as error:  # noqa: BLE001 - it is what is looked for
        code = type(error).__name__
    finally:
        signal.alarm(0)
        sys.stdin = before
    return code, said.getvalue()


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:3])))
