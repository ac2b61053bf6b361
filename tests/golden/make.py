"""Make a generation of golden files by the PromptLab that is here::

    python -m tests.golden.make

Run it only to add a generation, when a release is near or a format has grown: it makes the folder that is named after
this version (``0.1``), and refuses where there is one. What is there is never made again: the files are worth
something because an older PromptLab wrote them. It takes two or three minutes on a CPU, with two threads.

What is in a generation:

- ``workspace/``: the pictures, two grids, the overview of the sweep, two reports and the database of :data:`STORY`;
- ``exported/``: pictures as JPEG and WebP;
- ``records.json``: every run and sweep, as ``promptlab show --json`` says them;
- ``mlflow.json``: what MLflow was told, without what is random about it;
- ``recipe_keys.json``: specs, each with the texts that are hashed, and the keys;
- ``weights.json``: the hashes of the bundled weights that made the pictures.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import promptlab
from promptlab.specs import (
    AUTO,
    MAX_SEED,
    CallSpec,
    Embedding,
    Lora,
    MachineSpec,
    PipelineSpec,
    RunSpec,
    SchedulerSpec,
    Variant,
    canonical_json,
    options,
    recipe_key,
    setting_key,
    words_key,
)
from promptlab.specs.keys import _setting_text as setting_text
from tests.golden.reading import HOME, told_to_mlflow, type_in, weights_in

SMALL = ("--size", "64", "--steps", "2", "--device", "cpu")
STORY = (
    ("run", "a red fox in the snow", "a blue car, 한국어: “quoted”", "--negative", "blurry, text", "--seeds", "0-1",
     *SMALL, "--batch-size", "4", "--experiment", "golden", "--name", "첫 번째",
     "--note", "the first; <b>no markup</b>"),
    ("rerun", "1/1", "--replace", "a red fox=>{a red fox|a green fox}", "--guidance-rescale", "0.7",
     "--variation-seed", "7", "--variation-strength", "0.25"),
    ("run", "a red fox", "--seeds", "3", *SMALL, "--guidance", "5", "--dtype", "float32", "--dtype", "bfloat16",
     "--scheduler", "dpmsolver++:use_karras_sigmas=true", "--scheduler", "euler", "--experiment", "swept",
     "--note", "which scheduler?"),
    ("run", "a red fox in the snow", "--negative", "blurry, text", "--seeds", "1-2", *SMALL, "--batch-size", "4",
     "--experiment", "golden"),
    ("run", "a (red)1.3 fox", "--seed", "4294967295", *SMALL, "--weighting", "--clip-skip", "1", "--guidance-until",
     "0.5", "--vae", "mini-vae-ft", "--dtype", "float16", "--scheduler", "ddim", "--set", "eta=0.5", "--vae-slicing",
     "--experiment", "golden"),
    ("rate", "1/0", "1/2", "5"),
    ("favourite", "1/1"),
    ("verify", "1/0", "1/3", "3"),
)  # fmt: skip
"""A run (1), a rerun of it (2), a sweep (3 to 6), a run with a linked picture (7), and one with all that steers (8);
then what one thinks of them. The vote is given apart, to a question."""

_SHORT = (",", ":")
REPORTS = ("images/00001/report.html", "images/sweep-00001/report.html")
GRIDS = ("images/00001/grid.png", "images/00007/grid.png")


def command(workspace, *words, answer=None):
    """Type a command that has to succeed; what it answered."""
    done = type_in(workspace, *words, answer=answer)
    if done.returncode:
        sys.exit(f"promptlab {' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout


def recorded(workspace):
    """All records, as ``show --json`` says them."""
    with closing(sqlite3.connect(workspace / "mlflow.db")) as connection:
        runs = [str(row[0]) for row in connection.execute("SELECT id FROM promptlab_runs ORDER BY id")]
        sweeps = [f"sweep:{row[0]}" for row in connection.execute("SELECT id FROM promptlab_sweeps ORDER BY id")]
    return {ref: json.loads(command(workspace, "show", ref, "--json")) for ref in (*runs, *sweeps)}


def keep_workspace(workspace, target):
    """Copy of ``workspace`` what is kept of it, packed where that is shorter."""
    for path in sorted(workspace.glob("images/*/*")):
        name = path.relative_to(workspace).as_posix()
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if name in REPORTS:
            place.with_name(f"{place.name}.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
        elif path.suffix == ".png" and (path.name[0] == "v" or path.name.startswith("grid-") or name in GRIDS):
            shutil.copyfile(path, place)
        elif not any(place.parent.iterdir()):
            place.parent.rmdir()
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.db"  # of a file in WAL mode, part lies beside it
        with closing(sqlite3.connect(workspace / "mlflow.db")) as source, closing(sqlite3.connect(whole)) as plain:
            source.backup(plain)
            plain.execute("VACUUM")
        (target / "database.db.gz").write_bytes(gzip.compress(whole.read_bytes(), mtime=0))


def settings():
    """Specs that between them have every setting, by what is said about each."""
    base = PipelineSpec(model="mini", dtype="float32", scheduler=SchedulerSpec(name="PNDMScheduler"))
    plain = RunSpec(
        pipeline=base, call=CallSpec(num_inference_steps=20, guidance_scale=7.5, height=64, width=64),
        variants=(Variant(prompt="a red fox"),), seeds=(0,), batch_size=4,
    )  # fmt: skip
    karras = SchedulerSpec(name="DPMSolverMultistepScheduler", options=options({"use_karras_sigmas": True}))
    many = options({
        "timestep_spacing": "trailing", "beta_start": 0.00085, "beta_end": 1e-05, "steps_offset": 1, "rescale": False,
        "thresholding": None, "algorithm_type": "sde-dpmsolver++",
    })  # fmt: skip
    sha = "sha256:" + "ab" * 32
    commit = "commit:" + "0123456789" * 4
    lora, other = Lora(name="ink.safetensors", weight=0.8, identity=sha), Lora(name="org/style", identity=commit)
    inked = Embedding(name="ink.pt", token="<ink>", identity=sha)
    words = {
        "unicode": Variant(prompt="늙은 전사 추장의 초상 사진 🔥👨‍👩‍👧", negative_prompt="흐린"),
        "decomposed unicode": Variant(prompt="e\u0301 \u2028 \ufeff"),
        "a lone surrogate's escape": Variant(prompt='\\ud83d " \\ / \b \f \n \r \t \0 \x7f'),
        "line breaks": Variant(prompt="two\nlines\r\n", negative_prompt="\tblurry "),
        "no words": Variant(prompt=""),
        "a label, which is no word": Variant(
            prompt="a red fox", label="red", template="a {red} fox", replacement="a=>b", source=1
        ),
    }
    yield "plain", plain
    yield (
        "all left to the pipeline",
        RunSpec(pipeline=PipelineSpec(model="m"), variants=(Variant(prompt="a"),), seeds=(0,)),
    )
    yield "dtype float16", plain.vary(dtype="float16")
    yield "dtype bfloat16", plain.vary(dtype="bfloat16")
    yield "weights variant", plain.vary(variant="fp16")
    yield "revision and config, which the identity tells", plain.vary(revision="main", config="org/config")
    yield "scheduler with an option", plain.vary(scheduler=karras)
    yield "scheduler with options of every kind", plain.vary(scheduler=SchedulerSpec(name="S", options=many))
    yield "scheduler's name in unicode", plain.vary(scheduler=SchedulerSpec(name="스케줄러"))
    yield "another VAE", plain.vary(vae="mini-vae-ft")
    yield "a LoRA", plain.vary(loras=(lora,))
    yield "a LoRA of weight 1", plain.vary(loras=(other,))
    yield "two LoRAs", plain.vary(loras=(lora, other))
    yield "two LoRAs the other way", plain.vary(loras=(other, lora))
    yield "a LoRA without an identity", plain.vary(loras=(Lora(name="a", weight=-0.1),))
    yield "a textual inversion", plain.vary(embeddings=(inked,))
    yield "textual inversions", plain.vary(embeddings=(inked, Embedding(name="org/other")))
    yield "weighting", plain.vary(weighting=True)
    yield "clip skip", plain.vary(clip_skip=1)
    yield "clip skip 0", plain.vary(clip_skip=0)
    yield "guidance rescale", plain.vary(guidance_rescale=0.7)
    yield "guidance rescale 0", plain.vary(guidance_rescale=0.0)
    yield (
        "clip skip and rescale named as arguments",
        plain.vary(arguments=options({"clip_skip": 2, "guidance_rescale": 0.5, "eta": 1.0})),
    )
    yield "guidance until", plain.vary(guidance_until=0.4)
    yield "guidance until 1", plain.vary(guidance_until=1.0)
    yield "variation", plain.vary(variation_seed=7, variation_strength=0.2)
    yield "variation of strength 0", plain.vary(variation_seed=MAX_SEED, variation_strength=0)
    yield "arguments", plain.vary(arguments=options({"eta": 0.5, "clean": True, "text": "é", "none": None, "n": 3}))
    for guidance in (7, 7.0, 7.25, 0, 0.1, 1e-07, 123456789.5, 1e22, 1e300, 0.30000000000000004):
        yield f"guidance {guidance!r}", plain.vary(guidance_scale=guidance)
    yield "another size and other steps", plain.vary(height=768, width=512, num_inference_steps=1)
    yield "no batch size", plain.vary(batch_size=None)
    yield "the largest batch that fits", plain.vary(batch_size=AUTO)
    yield "batch size 1", plain.vary(batch_size=1)
    yield "noise drawn on CUDA", plain.vary(generator_device="cuda", device="cuda:1")
    yield "a machine, which is no part of it", plain.vary(
        machine=MachineSpec(
            attention_slicing=True, vae_slicing=True, vae_tiling=True, offload="model", attention_backend="native",
            compile=True, channels_last=True, exact=True,
        )
    )  # fmt: skip
    yield "seeds", plain.vary(seeds=(0, 1, MAX_SEED))
    for name, variant in words.items():
        yield f"words: {name}", plain.vary(variants=(variant,))
    yield "wordings at seeds", plain.vary(variants=tuple(words.values())[:3], seeds=(5, 3))
    yield "everything at once", plain.vary(
        dtype="bfloat16", variant="fp16", scheduler=karras, vae="v", loras=(lora, other), embeddings=(inked,),
        weighting=True, clip_skip=2, guidance_rescale=0.25, guidance_until=0.75, variation_seed=1,
        variation_strength=1.0, arguments=options({"eta": 1.0}), guidance_scale=6.0, generator_device="mps",
        variants=tuple(words.values())[:2], seeds=(9, 8), batch_size=3,
    )  # fmt: skip


def recipe_keys():
    """Every spec of :func:`settings` with its texts and keys; the weights of a model are a commit's now and then."""
    identities = itertools.cycle(("sha256:" + "0" * 64, "commit:" + "f" * 40))
    found = {}
    for name, spec in settings():
        about = {"model_identity": next(identities), "vae_identity": spec.pipeline.vae and "sha256:" + "7" * 64}
        text, setting = setting_text(spec, **about), setting_key(spec, **about)
        variants = [
            {
                "text": canonical_json({"prompt": one.prompt, "negative_prompt": one.negative_prompt}),
                "key": words_key(one),
                "recipes": {str(seed): recipe_key(setting, words_key(one), seed) for seed in spec.seeds},
            }
            for one in spec.variants
        ]
        written = [(text, setting), *((one["text"], one["key"]) for one in variants)]
        if any(hashlib.sha256(said.encode()).hexdigest() != key for said, key in written):
            sys.exit(f"{name}: a text is not what its key is made of")
        found[name] = {"spec": spec.to_dict(), **about, "setting": {"text": text, "key": setting}, "words": variants}
    return found


def write_items(path, found):
    """JSON with a line for each item, so that it is short and can be looked through."""
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value, separators=_SHORT)}" for key, value in found.items())
    path.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


def main():
    target = HOME / ".".join(promptlab.__version__.split(".")[:2])
    if target.exists():
        sys.exit(f"{target.name} is there already, and golden files are never made again")
    with tempfile.TemporaryDirectory() as folder:
        workspace, new = Path(folder) / "workspace", Path(folder) / "new"
        workspace.mkdir()
        for words in STORY:
            command(workspace, *words)
        command(workspace, "compare", "1", "--pairs", "1", answer="a\n")
        command(workspace, "sync")
        keep_workspace(workspace, new / "workspace")
        (new / "exported").mkdir()
        command(workspace, "export", "1/0", "--to", "../new/exported/fox.jpg")
        command(workspace, "export", "2/1", "--to", "../new/exported/green.webp")
        write_items(new / "records.json", recorded(workspace))
        told = told_to_mlflow(workspace)
        write_items(new / "mlflow.json", {f"{kind}: {name}": one for kind in told for name, one in told[kind].items()})
        write_items(new / "recipe_keys.json", recipe_keys())
        write_items(new / "weights.json", {"bundled": weights_in(Path(promptlab.__file__).parent)})
        shutil.copytree(new, target)


if __name__ == "__main__":
    main()
