"""How long does a search take in a workspace of 100,000 pictures?

    python benchmarks/searching.py                       # 12,500 prompts at 8 seeds
    python benchmarks/searching.py --images 1000 --seeds 4

Runs, variants and images are written as rows, without pictures; a tenth of the pictures is rated. Each query is asked
several times within one process, through the function that ``promptlab search`` calls; the median and the slowest are
shown.
"""

import argparse
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from machine import machine

from promptlab.store.notebook import Notebook
from promptlab.store.searching import Query, search
from promptlab.workspace import Workspace

SUBJECTS = ("fox", "owl", "warrior chief", "castle", "glass", "robot", "old fisherman", "young queen", "여우", "전사")
STYLES = ("watercolour", "oil painting", "portrait photography", "line drawing", "pixel art", "charcoal", "fresco")
WORDS = [
    first + second
    for first in ("amber", "bold", "calm", "dark", "eerie", "faint", "grand", "hazy")
    for second in ("", "light", "stone", "river", "smoke", "thorn", "velvet", "winter", "crown", "ember", "lantern")
]
SCHEDULERS = ("EulerDiscreteScheduler", "DPMSolverMultistepScheduler", "PNDMScheduler", "UniPCMultistepScheduler")
QUERIES = {
    "portrait (in a seventh of all)": Query(words=("portrait",)),
    "a (in all)": Query(words=("a",)),
    "fox watercolour": Query(words=("fox", "watercolour")),
    "warr (a beginning)": Query(words=("warr",)),
    "전사 (looked for in the texts)": Query(words=("전사",)),
    "a --seed 3": Query(words=("a",), seed=3),
    "a --rating 5": Query(words=("a",), rating=5),
    "portrait --scheduler euler --since 30d": Query(
        words=("portrait",), scheduler="euler", since=datetime.now(UTC) - timedelta(days=30)
    ),
    "nothing that is there": Query(words=("zeppelin",)),
    "--rating 5, no words": Query(rating=5),
    "--seed 3, no words": Query(seed=3),
}


def fill(database: Path, images: int, seeds: int) -> None:
    chance = random.Random(0)
    now = datetime.now(UTC).replace(tzinfo=None)
    runs, variants, pictures = [], [], []
    for number in range(images // seeds):
        run_id = number // 4 + 1
        if number % 4 == 0:
            made = (now - timedelta(minutes=10 * (images - run_id))).isoformat(" ", "microseconds")
            steps = chance.choice((20, 30))
            runs.append((run_id, f"{run_id:032x}", "benchmark", made, chance.choice(SCHEDULERS), steps))
        prompt = f"a {chance.choice(SUBJECTS)}, {chance.choice(STYLES)}, " + ", ".join(chance.sample(WORDS, 12))
        variants.append((number + 1, run_id, number % 4, prompt[:40], prompt, "blurry, low quality"))
        for seed in range(seeds):
            at = number * seeds + seed
            pictures.append((at + 1, run_id, (number % 4) * seeds + seed, number + 1, seed, f"{at:064x}", made))
    rated = [(number, chance.randint(1, 5), 0, made) for number in range(1, images, 10)]
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("INSERT INTO promptlab_environments VALUES (1, 'x', ?, '{}')", (made,))
        connection.executemany(
            "INSERT INTO promptlab_runs(id, uid, experiment, created_at, scheduler, num_inference_steps, status, "
            "model, model_identity, scheduler_options, call_arguments, seeds, device, generator_device, "
            "environment_id, changes, note) VALUES (?, ?, ?, ?, ?, ?, 'FINISHED', "
            "'some/model', 'x', '{}', '{}', '[]', 'cpu', 'cpu', 1, '[]', 'made to measure')", runs)  # fmt: skip
        connection.executemany(
            "INSERT INTO promptlab_variants(id, run_id, position, label, prompt, negative_prompt) VALUES (?,?,?,?,?,?)",
            variants)  # fmt: skip
        connection.executemany(
            "INSERT INTO promptlab_images(id, run_id, position, variant_id, seed, status, recipe_key, made_at) "
            "VALUES (?, ?, ?, ?, ?, 'MADE', ?, ?)", pictures)  # fmt: skip
        connection.executemany("INSERT INTO promptlab_ratings VALUES (?, ?, ?, ?)", rated)
        connection.commit()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--times", type=int, default=7)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.at(folder)
        Notebook.upgrade(workspace)
        fill(workspace.database, asked.images, asked.seeds)
        print(machine())
        print(f"{asked.images:,} images of {asked.images // asked.seeds:,} prompts\n")
        print("| query | found | median ms | slowest ms |\n| --- | --: | --: | --: |")
        for name, query in QUERIES.items():
            taken = []
            for _ in range(asked.times):
                began = time.perf_counter()
                found = search(workspace.database, query)
                taken.append(1000 * (time.perf_counter() - began))
            print(f"| {name} | {len(found)} | {statistics.median(taken):.1f} | {max(taken):.1f} |")


if __name__ == "__main__":
    main()
