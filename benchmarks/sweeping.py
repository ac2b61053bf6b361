"""A sweep of 64 images, remembered: PromptLab against the loop that people write, each in processes of its own.

    python benchmarks/sweeping.py [STEPS] [ROUNDS]      # 20 steps, one round: three minutes on two idle cores
    python benchmarks/sweeping.py --model FOLDER --device cuda --machine=--graphs          # SD 1.5 on a GPU

4 schedulers x 4 prompts x 4 seeds, by default with the bundled model on the CPU, the same weights, steps, guidance and
batches of four. `benchmarks/loop.py` is the loop, in an environment as it was found: nothing is set for it. Ours is the
command `promptlab run`, and `Lab.run_sweep` in a process that is warm. *Whole* is from the command to its end, imports,
loading and leaving included; *warm* is the second time in one process. All is done when either ends: PNGs, hashes,
rows, grids, reports, MLflow. Writes `benchmarks/results/sweeping.md`, or `sweeping-DEVICE.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.loop import GUIDANCE, PROMPTS, SEEDS
from benchmarks.machine import machine, write_result
from promptlab.models import bundled

ROOT = Path(__file__).parents[1]
SCHEDULERS = ("pndm", "ddim", "euler", "dpmsolver++")
"""Those of the loop, by their short names."""


def told(command: list[str], **variables: str) -> str:
    """What a process printed, in the environment that this one found, and ``variables``."""
    known = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": known, **variables}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def loop(typed: argparse.Namespace) -> tuple[float, float]:
    """Seconds of the loop, twice in one process: the first time is the whole, without the second."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "model").symlink_to(bundled(typed.model) or Path(typed.model).resolve())
        script, steps = str(ROOT / "benchmarks" / "loop.py"), str(typed.steps)
        began = time.perf_counter()
        _, warm = json.loads(told([sys.executable, script, folder, steps, "2", typed.device]))
        return time.perf_counter() - began - warm, float(warm)


def ours(typed: argparse.Namespace) -> tuple[float, float]:
    """Seconds of ours: whole, and warm."""
    with tempfile.TemporaryDirectory() as folder:
        axes = [word for scheduler in SCHEDULERS for word in ("--scheduler", scheduler)]
        command = [
            sys.executable, "-m", "promptlab", "run", *PROMPTS, "--seeds", f"{SEEDS[0]}-{SEEDS[-1]}", *axes,
            "--steps", str(typed.steps), "--guidance", f"{GUIDANCE:g}", "--model", typed.model,
            "--device", typed.device, *typed.machine, "--workspace", folder,
        ]  # fmt: skip
        began = time.perf_counter()
        told(command, PROMPTLAB_KEEP_ALIVE="0")  # no server that was warm before, and none that stays
        whole = time.perf_counter() - began
        assert len(list(Path(folder).glob("images/*/v*-seed*.png"))) == 64
    with tempfile.TemporaryDirectory() as folder:
        took = float(told([sys.executable, __file__, *sys.argv[1:], "--warm", folder]))
    return whole, took


def warm(typed: argparse.Namespace) -> float:
    """Seconds of ours in this process, once weights are loaded and tables are there."""
    from promptlab.engine import create_engine
    from promptlab.expand import Axis, build_sweep
    from promptlab.lab import Lab
    from promptlab.specs import CallSpec, MachineSpec, PipelineSpec, RunSpec, Variant
    from promptlab.specs.schedulers import parse_scheduler

    spec = RunSpec(
        pipeline=PipelineSpec(model=typed.model), machine=MachineSpec(graphs="--graphs" in typed.machine),
        call=CallSpec(num_inference_steps=typed.steps, guidance_scale=GUIDANCE), seeds=SEEDS, device=typed.device,
        variants=tuple(Variant(prompt=prompt) for prompt in PROMPTS),
    )  # fmt: skip
    lab = Lab(typed.warm, engine=create_engine())
    lab.run(spec.vary(seeds=SEEDS, num_inference_steps=2))
    axis = Axis(field="scheduler", values=tuple(map(parse_scheduler, SCHEDULERS)))
    began = time.perf_counter()
    record = lab.run_sweep(build_sweep(spec, [axis]), again=True)
    seconds = time.perf_counter() - began
    runs = [lab.notebook.run(one.run_id) for one in record.runs]
    assert sum(len(run.made) for run in runs) == 64
    assert all(run.tracked_at is not None for run in runs)
    return seconds


def table(typed: argparse.Namespace, taken: dict[str, list[tuple[float, float]]]) -> str:
    """The document."""
    median = {
        name: tuple(statistics.median(each[at] for each in rounds) for at in (0, 1)) for name, rounds in taken.items()
    }
    lines = [
        "# A sweep of 64 images, remembered", "",
        f"Written by `python benchmarks/sweeping.py {' '.join(sys.argv[1:])}`: {machine()}; {typed.device},",
        f"{Path(typed.model).name}, 4 schedulers × 4 prompts × 4 seeds, {typed.steps} steps with guidance;",
        f"load {os.getloadavg()[0]:.1f} at its end.",
        "", "| | whole, seconds | warm, seconds | warm, images/s |", "| --- | ---: | ---: | ---: |",
    ]  # fmt: skip
    words = {
        "loop": "the loop that people write: a call a batch, Pillow, `mlflow.log_image`",
        "ours": "ours, tracking included",
    }
    for name, (whole, again) in median.items():
        lines.append(f"| {words[name]} | {whole:.1f} | {again:.1f} | {64 / again:.2f} |")
    ratios = [[slow[at] / quick[at] for slow, quick in zip(taken["loop"], taken["ours"], strict=True)] for at in (0, 1)]
    whole_ratio, warm_ratio = map(statistics.median, ratios)
    lines += ["", f"Whole {whole_ratio:.2f} times faster, warm {warm_ratio:.2f} times."]
    return "\n".join(lines) + "\n"


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("steps", type=int, nargs="?", default=20)
    parser.add_argument("rounds", type=int, nargs="?", default=1)
    parser.add_argument("--model", default="mini", help="or a folder with a StableDiffusionPipeline")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--machine", action="append", default=[], help="a further option of ours, such as --graphs")
    parser.add_argument("--warm", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    typed = parsed()
    if typed.warm:
        print(warm(typed))
        return
    taken: dict[str, list[tuple[float, float]]] = {"loop": [], "ours": []}
    for _ in range(typed.rounds):
        taken["loop"].append(loop(typed))
        taken["ours"].append(ours(typed))
    device = typed.device.partition(":")[0]
    write_result("sweeping" if device == "cpu" else f"sweeping-{device}", table(typed, taken))


if __name__ == "__main__":
    main()
