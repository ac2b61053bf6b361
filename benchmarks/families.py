"""Which of diffusers' text-to-image families work, tried one by one with tiny pipelines of random weights. ::

    python -m benchmarks.families                 # all of them: minutes; writes docs/families.md
    python -m benchmarks.families flux qwenimage  # these; writes nothing

Each is built, saved, and put through the command line: a run of two prompts, one short and one of 150 letters, at two
seeds; a rerun with other words; a verify. Then its second picture is made alone and compared, to the byte, with what it
was in company. For a family that is refused, its class is shown to be.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.machine import machine

if TYPE_CHECKING:
    from tests.families.table import Family

TABLE = Path(__file__).parents[1] / "docs" / "families.md"
SHORT = "a red fox"
LONG = (
    "two blue cats beside a tall green tree on a hill under a red moon, painted with a broad brush on old paper by "
    "somebody who had never seen one"
)


def said(*words: str) -> tuple[int, str, str]:
    """A command's exit code, and what it answered."""
    from promptlab.cli import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(words)
        except SystemExit as left:
            return int(left.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def saved(family: Family, home: Path) -> tuple[Path, str]:
    """The tiny pipeline's folder, and its class's name."""
    folder = home / family.name.replace(" ", "-")
    import torch

    torch.manual_seed(0)  # the same weights every time, so that a row is the same when it is written anew
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline = family.build()
        pipeline.save_pretrained(folder)
    return folder, type(pipeline).__name__


def words_of(family: Family, folder: Path) -> tuple[str, ...]:
    steps = () if family.steps is None else ("--steps", str(family.steps))
    return ("--model", str(folder), "--size", str(family.size), "--device", "cpu", *steps, *family.words)


def tried(family: Family, home: Path) -> tuple[str, list[str]]:
    """What came of a family: class name, and a line for each thing that was tried."""
    folder, kind = saved(family, home)
    os.environ |= {"PROMPTLAB_WORKSPACE": str(home / "work"), "PROMPTLAB_KEEP_ALIVE": "0"}
    setting = words_of(family, folder)
    told: list[str] = []
    for name, command in (
        ("run", ("run", SHORT, LONG, "--seeds", "1,2", *setting)),
        ("rerun", ("rerun", "last", "--seed", "2", "--append", ", at night")),
        ("verify", ("verify", "last")),
    ):
        code, _, err = said(*command)
        if code:
            return kind, [*told, f"{name}: {err.strip().splitlines()[-1] if err.strip() else code}"]
        told.append(name)
    return kind, [*told, *in_company(folder)]


def in_company(folder: Path) -> list[str]:
    """Whether the picture of the short prompt is the same beside the long one and alone."""
    import numpy as np

    from promptlab.engine import finished_images
    from promptlab.lab import Lab
    from promptlab.plan import requests_of

    lab = Lab(os.environ["PROMPTLAB_WORKSPACE"])
    listed = lab.history.list()
    run = next(lab.history.find(str(each.id)).run for each in listed if each.model == str(folder) and each.images == 4)
    (resolved,) = lab.engine.resolve([run.spec])
    requests = requests_of(resolved)
    made = {done.request_id: done.pixels for done in finished_images(lab.engine.generate(requests))}
    together = [made[request.id] for request in requests]
    (alone,) = (done.pixels for done in finished_images(lab.engine.generate(requests[1:2])))
    lab.engine.close()
    seeds, texts = (not np.array_equal(together[0], together[other]) for other in (1, 2))
    told = [] if seeds else ["seeds change nothing"]
    told += [] if texts else ["words change nothing"]
    company = np.array_equal(together[1], alone)
    return [*told, "the same in company" if company else "other bytes in mixed company"]


def refused(family: Family) -> tuple[str, list[str]]:
    """The sentence with which a model of this family is refused."""
    from diffusers.pipelines.auto_pipeline import AUTO_TEXT2IMAGE_PIPELINES_MAPPING

    from promptlab.engine.pipelines.calls import pipeline_class
    from promptlab.engine.sources.configuration import Configuration
    from promptlab.errors import InputError

    kind = AUTO_TEXT2IMAGE_PIPELINES_MAPPING[family.name].__name__
    try:
        pipeline_class(
            Configuration(pipeline_class=kind, parts={}, scheduler=None, vae=None, denoiser=None), family.name
        )
    except InputError:
        return kind, ["refused"]
    return kind, ["not refused"]


def main(names: list[str]) -> None:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import promptlab.engine.machine.torch_setup as libraries

    libraries.prepare()
    from tests.families.optional import is_there
    from tests.families.table import FAMILIES

    rows = []
    with tempfile.TemporaryDirectory() as place:
        is_there("torchvision")  # before transformers looks for it
        for each in FAMILIES:
            family = each
            if names and family.name not in names:
                continue
            began = time.perf_counter()
            if family.needs and not is_there(family.needs):
                kind, told = "", list[str]()
                family = replace(each, unproved=f"needs {each.needs}")
            elif family.build is not None:
                kind, told = tried(family, Path(place))
            elif family.refused:
                kind, told = refused(family)
            else:
                kind, told = "", []
            print(
                f"{family.name:40}{kind:40}{', '.join(told) or family.unproved}  {time.perf_counter() - began:.1f} s",
                flush=True,
            )
            rows.append((family, kind, told))
            if not names:
                TABLE.write_text(table(rows), encoding="utf-8")


def table(rows: list[tuple[Family, str, list[str]]]) -> str:
    """The rows as the document has them."""
    import diffusers
    import transformers

    proved = sum(told[:3] == ["run", "rerun", "verify"] for _, _, told in rows)
    refused, untried = (sum(bool(getattr(family, name)) for family, _, _ in rows) for name in ("refused", "unproved"))
    versions = f"diffusers {diffusers.__version__} and transformers {transformers.__version__}"
    lines = [
        "# Families of pipelines", "",
        f"Written by `python -m benchmarks.families`, with {versions}, on {machine()}.", "",
        "Each family's pipeline was built with random weights and a tokenizer of letters, saved, and put through the",
        "command line: a run of two prompts at two seeds, a rerun with other words, a verify, which was exact. Then",
        "the short prompt's picture was made alone and compared with what it was in a stream with the long one's:",
        "what a denoiser is asked decides what shares a forward, so texts of two lengths may not.", "",
        f"{proved} were proved, {refused} are refused, {untried} were not tried.", "",
        "| family | pipeline | |", "| --- | --- | --- |",
    ]  # fmt: skip
    for family, kind, told in rows:
        if family.refused:
            what = f"refused: {family.refused}" if told == ["refused"] else "NOT REFUSED"
        elif family.unproved:
            what = f"not tried: {family.unproved}"
        elif told[:3] == ["run", "rerun", "verify"]:
            what = f"proved; {', '.join(told[3:])}"
        else:
            what = f"FAILED: {', '.join(told)}"
        lines.append(f"| {family.name} | {kind} | {what} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(sys.argv[1:])
