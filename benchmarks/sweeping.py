"""A sweep of 64 images, remembered: PromptLab against the loop that people write, each in processes of its own.

    python benchmarks/sweeping.py [STEPS] [ROUNDS]      # 20 steps, one round: three to four minutes on two idle cores

4 schedulers x 4 prompts x 4 seeds with the bundled model on the CPU, the same weights, steps, guidance and batches of
four. `benchmarks/loop.py` is the loop, in an environment as it was found: nothing is set for it. Ours is the command
`promptlab run`, and `Lab.run_sweep` in a process that is warm. *Whole* is from the command to its end, imports, loading
and leaving included; *warm* is the second time in one process. All is done when either ends: PNGs, hashes, rows, grids,
reports, MLflow. Writes `benchmarks/results/sweeping.md`.
"""

from __future__ import annotations

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


def loop(steps: int) -> tuple[float, float]:
    """Seconds of the loop: whole, and warm."""
    with tempfile.TemporaryDirectory() as folder:
        model = bundled("mini")
        assert model is not None
        (Path(folder) / "model").symlink_to(model)
        began = time.perf_counter()
        told([sys.executable, str(ROOT / "benchmarks" / "loop.py"), folder, str(steps)])
        whole = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "model").symlink_to(model)
        _, warm = json.loads(told([sys.executable, str(ROOT / "benchmarks" / "loop.py"), folder, str(steps), "2"]))
    return whole, float(warm)


def ours(steps: int) -> tuple[float, float]:
    """Seconds of ours: whole, and warm."""
    with tempfile.TemporaryDirectory() as folder:
        axes = [word for scheduler in SCHEDULERS for word in ("--scheduler", scheduler)]
        command = [
            sys.executable, "-m", "promptlab", "run", *PROMPTS, "--seeds", f"{SEEDS[0]}-{SEEDS[-1]}", *axes,
            "--steps", str(steps), "--guidance", f"{GUIDANCE:g}", "--device", "cpu", "--workspace", folder,
        ]  # fmt: skip
        began = time.perf_counter()
        told(command, PROMPTLAB_KEEP_ALIVE="0")  # no server that was warm before, and none that stays
        whole = time.perf_counter() - began
        assert len(list(Path(folder).glob("images/*/v*-seed*.png"))) == 64
    with tempfile.TemporaryDirectory() as folder:
        warm = float(told([sys.executable, __file__, "--warm", folder, str(steps)]))
    return whole, warm


def warm(folder: str, steps: int) -> float:
    """Seconds of ours in this process, once weights are loaded and tables are there."""
    from promptlab.engine import create_engine
    from promptlab.expand import Axis, build_sweep
    from promptlab.lab import Lab
    from promptlab.specs import CallSpec, PipelineSpec, RunSpec, Variant
    from promptlab.specs.schedulers import parse_scheduler

    spec = RunSpec(
        pipeline=PipelineSpec(model="mini"), call=CallSpec(num_inference_steps=steps, guidance_scale=GUIDANCE),
        variants=tuple(Variant(prompt=prompt) for prompt in PROMPTS), seeds=SEEDS, device="cpu",
    )  # fmt: skip
    lab = Lab(folder, engine=create_engine())
    lab.run(spec.vary(seeds=SEEDS, num_inference_steps=2))
    axis = Axis(field="scheduler", values=tuple(map(parse_scheduler, SCHEDULERS)))
    began = time.perf_counter()
    record = lab.run_sweep(build_sweep(spec, [axis]), again=True)
    seconds = time.perf_counter() - began
    runs = [lab.notebook.run(one.run_id) for one in record.runs]
    assert sum(len(run.made) for run in runs) == 64
    assert all(run.tracked_at is not None for run in runs)
    return seconds


def table(steps: int, taken: dict[str, list[tuple[float, float]]]) -> str:
    """The document."""
    median = {
        name: tuple(statistics.median(each[at] for each in rounds) for at in (0, 1)) for name, rounds in taken.items()
    }
    lines = [
        "# A sweep of 64 images, remembered", "",
        f"Written by `python benchmarks/sweeping.py {steps} {len(taken['ours'])}`: {machine()}; the bundled model,",
        f"4 schedulers × 4 prompts × 4 seeds, {steps} steps with guidance; load {os.getloadavg()[0]:.1f} at its end.",
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


def main() -> None:
    if sys.argv[1:2] == ["--warm"]:
        print(warm(sys.argv[2], int(sys.argv[3])))
        return
    steps, rounds = (int(sys.argv[at]) if len(sys.argv) > at else default for at, default in ((1, 20), (2, 1)))
    taken: dict[str, list[tuple[float, float]]] = {"loop": [], "ours": []}
    for _ in range(rounds):
        taken["loop"].append(loop(steps))
        taken["ours"].append(ours(steps))
    write_result("sweeping", table(steps, taken))


if __name__ == "__main__":
    main()
