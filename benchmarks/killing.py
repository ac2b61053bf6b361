"""Kills commands at random moments (SIGKILL), and counts what is lost, cut short or stuck afterwards.

    python -m benchmarks.killing [COUNT] [FIRST] [--keep FILE] [--write]

Each round copies a workspace, types a command and kills it, alone or with all that it has started, at a moment drawn
between its beginning and its end. Then the same command, or ``resume``, is typed as somebody would, and ``doctor
--fix`` and ``sync``; what is there must be what an undisturbed command leaves, to the pixel. Rounds are numbered and
draw by their number, so that ``FIRST`` goes on where an earlier call ended; ``--keep`` gathers their outcomes in a
file, and ``--write`` makes ``results/killing.md`` of them.

Commands are carried out in forks of this process, which has imported everything: a command is killed in its work and
not in its imports. The painter draws.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.machine import machine, write_result

__all__ = ["SCENARIOS", "Killer", "Outcome"]

STUCK_SECONDS: Final = 120
"""A command that takes longer does not end: the slowest takes three seconds."""

_NEARLY: Final = 40
"""So often a command is tried that ends before it is killed."""

_UPGRADED: Final = Path(__file__).parents[1] / "tests" / "store" / "databases" / "0004.db.gz"
_NOBODY: Final = "http://127.0.0.1:9"
_ABOUT: Final = (
    "Each was killed (SIGKILL, alone or with all that it had started) between its beginning and its end. Then somebody "
    "typed it again, or `resume`, `doctor --fix` and `sync`; what was there then was compared with what an undisturbed "
    "command leaves: pictures by their pixels, runs, stars, files, and what MLflow shows."
)
_SIZE: Final = ("--size", "64", "--no-show")
_SWEEP: Final = ("run", "a fox", "--seeds", "0-1", "--steps", "10-17 (+1)", *_SIZE)
_RUN: Final = ("run", "a fox", "a cat", "--seeds", "0-5", "--batch-size", "2", *_SIZE)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One command, where it is typed, and what is typed after it was killed.

    Args:
        command: the words; ``{pictures}`` is a folder of pictures to import, ``{folder}`` the workspace.
        before: commands that make the workspace, those of ``_KEPT`` first; none for an empty folder.
        after: commands of which one is typed first, drawn by lot; the command itself follows.
        database: of an older version, in place of a workspace that is made.
    """

    command: tuple[str, ...]
    before: tuple[tuple[str, ...], ...] = ()
    after: tuple[tuple[str, ...], ...] = ()
    database: Path | None = None


_KEPT: Final = (("run", "an owl", "--seeds", "0-2", *_SIZE), ("rate", "1/0", "4"))
SCENARIOS: Final = {
    "run": Scenario(command=_RUN, before=_KEPT, after=(("resume",), _RUN)),
    "sweep": Scenario(command=_SWEEP, before=_KEPT, after=(("resume",), _SWEEP, ("doctor", "--fix"))),
    "import": Scenario(command=("import", "{pictures}"), before=_KEPT),
    "sync": Scenario(
        command=("sync",), before=(*_KEPT, *((*words, "--tracking-uri", _NOBODY) for words in (_SWEEP[:-1], _RUN[:-1])))
    ),
    "rate": Scenario(command=("rate", "1/0", "1/1", "1/2", "5"), before=_KEPT, after=(("sync",), ("rate", "1/1", "5"))),
    "db upgrade": Scenario(command=("db", "upgrade"), database=_UPGRADED),
    "backup": Scenario(command=("db", "backup"), before=_KEPT),
    "first start": Scenario(command=_RUN),
}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a round came to: ``bad`` says what was lost, cut short, twice or stuck, in lines."""

    round: int
    scenario: str
    moment: float
    bad: tuple[str, ...]


class Killer:
    """Carries out rounds in a folder; what the rounds of a scenario begin with is made once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._said = folder / "said.txt"
        self._begins: dict[str, Path] = {}
        self._expected: dict[str, State] = {}
        self._lasts: dict[str, float] = {}
        os.environ |= {"PROMPTLAB_ENGINE": "painter", "PROMPTLAB_KEEP_ALIVE": "0", "PROMPTLAB_WAIT": "1"}
        (folder / "tmp").mkdir(exist_ok=True)  # where MLflow's new tables are made, and left by who is killed
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder / "tmp")
        self._pictures, self._kept = folder / "pictures", folder / "kept"
        self._warm_up()

    def rounds(self, count: int, first: int = 0, names: Sequence[str] = ()) -> Iterator[Outcome]:
        """Carry out ``count`` rounds, the scenarios in turn."""
        names = names or tuple(SCENARIOS)
        for number in range(first, first + count):
            yield self.round(number, names[number % len(names)])

    def round(self, number: int, name: str) -> Outcome:
        """Kill the command of a scenario once, mend, and compare with what is left when nobody kills it."""
        chance, scenario = random.Random(number), SCENARIOS[name]
        begin, expected = self._prepared(name)
        workspace = self._folder / "workspace"
        for _ in range(_NEARLY):
            copy_workspace(begin, workspace)
            moment = chance.uniform(0, self._lasts[name])
            killed = self._typed(scenario.command, workspace, kill=moment, group=chance.random() < 0.5) is None
            if killed:
                break
        else:
            return Outcome(round=number, scenario=name, moment=moment, bad=("never killed",))
        bad: list[str] = []
        first = [chance.choice(scenario.after)] if scenario.after else []
        for words in (*first, scenario.command, ("doctor", "--fix"), ("sync",), ("doctor",)):
            looks = words[0] in ("doctor", "sync")
            if looks and scenario.database is not None:
                continue  # its pictures are not there, and what is half written is found by doctor
            if looks:
                age_leftovers(workspace)
            code = self._typed(words, workspace)
            if code is None:
                bad.append(f"stuck: {' '.join(words)} does not end")
            elif code not in (0, 2 if words == ("resume",) and name == "first start" else 0) and words not in first:
                bad.append(f"stuck: {' '.join(words)} ends with {code}: {self._said.read_text()[-400:]}")
        bad += differences(expected, State.of(workspace), looked=scenario.database is None)
        return Outcome(round=number, scenario=name, moment=round(moment, 4), bad=tuple(bad))

    def _prepared(self, name: str) -> tuple[Path, State]:
        """Return the workspace that a scenario begins with, and the state that it ends in undisturbed."""
        if name not in self._begins:
            scenario = SCENARIOS[name]
            begin, undisturbed = self._folder / f"{name} begin", self._folder / f"{name} end"
            if scenario.before:
                copy_workspace(self._kept, begin)
            else:
                begin.mkdir()
            if scenario.database is not None:
                (begin / "mlflow.db").write_bytes(gzip.decompress(scenario.database.read_bytes()))
            for words in scenario.before[len(_KEPT) :]:
                self._must(words, begin)
            copy_workspace(begin, undisturbed)
            began = time.monotonic()
            self._must(scenario.command, undisturbed)
            self._lasts[name] = time.monotonic() - began
            self._begins[name], self._expected[name] = begin, State.of(undisturbed)
        return self._begins[name], self._expected[name]

    def _must(self, words: Sequence[str], workspace: Path) -> None:
        code = self._typed(words, workspace)
        if code != 0:
            raise RuntimeError(f"{words} ends with {code}: {self._said.read_text()[-2000:]}")

    def _warm_up(self) -> None:
        """Import all that commands import, by carrying them out here; make the pictures that are imported."""
        from promptlab.images.png import write_png
        from promptlab.tracking.schema import import_mlflow_quietly

        import_mlflow_quietly()
        scratch = self._folder / "scratch"
        self._pictures.mkdir(exist_ok=True)
        words: tuple[str, ...]
        for words in _KEPT:
            here(words, scratch, self._pictures, self._said)
        copy_workspace(scratch, self._kept)
        for words in (_RUN, ("sync",), ("doctor", "--fix"), ("db", "backup"), ("resume",)):
            here(words, scratch, self._pictures, self._said)
        for number, path in enumerate(sorted((scratch / "images" / "00002").glob("v*.png"))[:6]):
            shutil.copy(path, self._pictures / f"ours-{number}.png")
        import numpy as np

        for number in range(3):
            pixels = np.random.default_rng(number).integers(0, 256, (64, 32, 3), dtype=np.uint8)
            text = f"an owl {number}\nSteps: 5, Sampler: Euler, Seed: {number}, Size: 32x64, Model: x, Version: v1.9"
            write_png(self._pictures / f"theirs-{number}.png", pixels, {"parameters": text})
        here(("import", "{pictures}"), scratch, self._pictures, self._said)
        if threading.active_count() > 1:
            raise RuntimeError(f"threads do not survive a fork: {threading.enumerate()}")

    def _typed(
        self, words: Sequence[str], workspace: Path, *, kill: float | None = None, group: bool = False
    ) -> int | None:
        """Carry out a command in a fork; return its exit code, or None where it was killed.

        Args:
            kill: seconds after which it is killed.
            group: whether all that it started is killed along.
        """
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.setpgid(0, 0)
                code = here(words, workspace, self._pictures, self._said)
            finally:
                os._exit(code)
        with suppress(OSError):
            os.setpgid(child, child)  # the child does it, too: whoever comes first
        killer = threading.Timer(STUCK_SECONDS if kill is None else kill, _kill, [child, group or kill is None])
        killer.start()
        _, status = os.waitpid(child, 0)
        killer.cancel()
        killer.join()
        code = os.waitstatus_to_exitcode(status)
        return None if code == -signal.SIGKILL else code


def _kill(child: int, group: bool) -> None:
    with suppress(ProcessLookupError):
        (os.killpg if group else os.kill)(child, signal.SIGKILL)


def here(words: Sequence[str], workspace: Path, pictures: Path, said: Path) -> int:
    """Carry out a command in this process, as one of its own; return its exit code."""
    from promptlab import cli

    os.environ["PROMPTLAB_WORKSPACE"] = str(workspace)
    workspace.mkdir(exist_ok=True)
    os.chdir(workspace)
    arguments = [word.format(pictures=pictures, folder=workspace) for word in words]
    with said.open("w") as file:
        out, err = sys.stdout, sys.stderr
        sys.stdout = sys.stderr = file
        try:
            cli.main(arguments)
        except SystemExit as left:
            return left.code if isinstance(left.code, int) else int(left.code is not None)
        finally:
            sys.stdout, sys.stderr = out, err
    return 0


def copy_workspace(begin: Path, to: Path) -> None:
    """Copy a workspace that nobody writes to; what are links to one file stay links to one file."""
    shutil.rmtree(to, ignore_errors=True)
    links: dict[int, str] = {}

    def copy(source: str, target: str) -> object:
        number = Path(source).stat().st_ino
        if number in links:
            os.link(links[number], target)
        else:
            links[number] = target
            shutil.copy2(source, target)
        return target

    shutil.copytree(begin, to, copy_function=copy)


def age_leftovers(workspace: Path) -> None:
    """Make files that are half written look as old as they are when somebody wonders about them.

    ``doctor`` leaves those alone that a process may still be writing.
    """
    for path in [each for name in ("*.tmp", "*.part*", ".upload-*") for each in workspace.rglob(name)]:
        os.utime(path, (path.stat().st_mtime - 3_600,) * 2)


@dataclass(frozen=True, kw_only=True)
class State:
    """What counts in a workspace: pictures with their pixels, runs, stars, and what MLflow knows."""

    pictures: Counter[tuple[str, ...]]
    runs: Counter[tuple[str, ...]]
    stars: Counter[tuple[str, ...]]
    mlflow: Counter[tuple[str, ...]]
    files: Counter[str]
    wrong: tuple[str, ...]

    @classmethod
    def of(cls, workspace: Path) -> State:
        """Read a workspace as its files are, without PromptLab."""
        with closing(sqlite3.connect(workspace / "mlflow.db")) as database:

            def rows(query: str) -> Counter[tuple[str, ...]]:
                return Counter(tuple(map(str, row)) for row in database.execute(query))

            def missing(error: Callable[[], Counter[tuple[str, ...]]]) -> Counter[tuple[str, ...]]:
                try:
                    return error()
                except sqlite3.OperationalError:
                    return Counter()

            check = [str(row[0]) for row in database.execute("PRAGMA integrity_check")]
            check += [f"foreign key {row}" for row in database.execute("PRAGMA foreign_key_check")]
            images = "SELECT recipe_key, pixel_sha256, status FROM promptlab_images"
            runs = "promptlab_runs r JOIN promptlab_images i ON i.run_id = r.id GROUP BY r.id"
            tags = "(SELECT value FROM tags WHERE tags.run_uuid = runs.run_uuid AND key = 'mlflow.runName')"
            return cls(
                pictures=rows(images),
                runs=rows(f"SELECT r.status, COUNT(i.id) FROM {runs}"),
                stars=missing(lambda: rows("SELECT image_id, stars FROM promptlab_ratings")),
                mlflow=missing(lambda: rows(f"SELECT status, {tags} FROM runs WHERE lifecycle_stage = 'active'")),
                files=Counter(shape(path.relative_to(workspace)) for path in workspace.rglob("*") if path.is_file()),
                wrong=tuple(line for line in check if line != "ok"),
            )  # fmt: skip


def shape(path: Path) -> str:
    """Return where a file lies, but for what differs from one workspace to the next; empty for what may be left."""
    if path.suffix == ".bak":
        return "a backup"
    if path.suffix == ".lock" or path.name == ".lock" or path.name.startswith("mlflow.db-"):
        return ""
    if path.parts[0] == "mlartifacts":  # below, the names of pictures have the time and a random number
        return f"mlartifacts/…/{path.name.partition('+')[0]}{'+compressed' * ('+compressed' in path.name)}"
    return path.as_posix()


def differences(expected: State, found: State, *, looked: bool = True) -> list[str]:
    """Say what is lost, cut short, there twice or left over.

    Args:
        looked: whether ``doctor --fix`` was typed, which takes away what is half written.
    """
    bad = [f"wrong: {line}" for line in found.wrong]
    for what in ("pictures", "runs", "stars", "mlflow"):
        wanted, there = getattr(expected, what), getattr(found, what)
        bad += [f"lost: {what} {each}" for each in (wanted - there).elements()]
        bad += [f"twice: {what} {each}" for each in (there - wanted).elements()]
    bad += [f"lost: file {each}" for each in expected.files - found.files if each and each != "a backup"]
    left = found.files - expected.files
    bad += [f"left: file {each}" for each in left if each and each != "a backup" and (looked or ".part" not in each)]
    return bad


def main() -> int:
    """Carry out rounds and print what was bad; 0 where nothing was."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("count", type=int, nargs="?", default=200)
    parser.add_argument("first", type=int, nargs="?", default=0)
    parser.add_argument("--only", choices=[*SCENARIOS], action="append", default=[])
    parser.add_argument("--keep", type=Path, help="a file that gathers the outcomes of several calls")
    parser.add_argument("--write", action="store_true", help="write results/killing.md")
    asked = parser.parse_args()
    kept: dict[int, dict[str, object]] = {}
    if asked.keep is not None and asked.keep.exists():
        kept = {each["round"]: each for each in map(json.loads, asked.keep.read_text().splitlines())}
    with tempfile.TemporaryDirectory(prefix="promptlab-killing-", ignore_cleanup_errors=True) as folder:
        killer = Killer(Path(folder).resolve())
        for one in killer.rounds(asked.count, asked.first, asked.only):
            kept[one.round] = {"round": one.round, "scenario": one.scenario, "moment": one.moment, "bad": one.bad}
            if asked.keep is not None:
                with asked.keep.open("a") as file:
                    file.write(json.dumps(kept[one.round]) + "\n")
            print(one.round, one.scenario, one.moment, *one.bad, sep="\n  " if one.bad else " ", flush=True)
        os.chdir("/")
    text = table(list(kept.values()))
    if asked.write:
        write_result("killing", text)
    else:
        print(text)
    return 1 if any(each["bad"] for each in kept.values()) else 0


def table(rounds: Sequence[dict[str, object]]) -> str:
    """Return what came of the rounds, a line for each command."""
    lines = [
        "# Commands killed at random moments", "", machine(), "", _ABOUT, "",
        "| command | kills | lost | cut short or stuck | twice or left over |", "| --- | --: | --: | --: | --: |",
    ]  # fmt: skip
    for name in (*SCENARIOS, ""):
        those = [each for each in rounds if name in ("", each["scenario"])]
        counts = [
            sum(any(str(line).startswith(words) for line in each["bad"]) for each in those)  # type: ignore[attr-defined]
            for words in (("lost", "wrong"), ("stuck", "never"), ("twice", "left"))
        ]
        lines.append(f"| {name or 'all'} | {len(those)} | {' | '.join(map(str, counts))} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
