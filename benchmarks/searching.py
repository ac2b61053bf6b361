"""How long does a search take in a workspace of 100,000 pictures?

    python benchmarks/searching.py                       # 12,500 prompts at 8 seeds
    python benchmarks/searching.py --images 1000 --seeds 4
    python benchmarks/searching.py --database postgresql://USER:PASSWORD@HOST/EMPTY

Runs, variants and images are written as rows, without pictures; a tenth of the pictures is rated. Each query is asked
several times within one process, through the function that ``promptlab search`` calls; fastest, median and slowest are
shown.
"""

import argparse
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert, text

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.machine import machine
from promptlab.store.database import Database
from promptlab.store.notebook import Notebook
from promptlab.store.run_list import summaries
from promptlab.store.tables import Base, EnvironmentRow, ImageRow, RatingRow, RunRow, VariantRow
from promptlab.store.text_search import SearchQuery, search
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
    "portrait (in a seventh of all)": SearchQuery(words=("portrait",)),
    "a (in all)": SearchQuery(words=("a",)),
    "fox watercolour": SearchQuery(words=("fox", "watercolour")),
    "warr (a beginning)": SearchQuery(words=("warr",)),
    "전사 (looked for in the texts)": SearchQuery(words=("전사",)),
    "a --seed 3": SearchQuery(words=("a",), seed=3),
    "a --rating 5": SearchQuery(words=("a",), rating=5),
    "portrait --scheduler euler --since 30d": SearchQuery(
        words=("portrait",), scheduler="euler", since=datetime.now(UTC) - timedelta(days=30)
    ),
    "nothing that is there": SearchQuery(words=("zeppelin",)),
    "--rating 5, no words": SearchQuery(rating=5),
    "--seed 3, no words": SearchQuery(seed=3),
}


def fill(database: Database, images: int, seeds: int) -> None:
    chance = random.Random(0)
    now = datetime.now(UTC)
    setting = {
        "experiment": "benchmark", "status": "FINISHED", "model": "some/model", "model_identity": "x", "device": "cpu",
        "generator_device": "cpu", "scheduler_options": {}, "call_arguments": {}, "seeds": [], "changes": [],
        "environment_id": 1, "note": "made to measure",
    }  # fmt: skip
    rows: dict[type[Base], list[dict[str, Any]]] = {
        EnvironmentRow: [{"id": 1, "hash": "x", "created_at": now, "facts": {}}],
        RunRow: [], VariantRow: [], ImageRow: [], RatingRow: [],
    }  # fmt: skip
    for number in range(images // seeds):
        run_id = number // 4 + 1
        if number % 4 == 0:
            made = now - timedelta(minutes=10 * (images - run_id))
            steps = chance.choice((20, 30))
            run = {"id": run_id, "uid": f"{run_id:032x}", "created_at": made, "scheduler": chance.choice(SCHEDULERS)}
            rows[RunRow].append({**setting, **run, "num_inference_steps": steps})
        prompt = f"a {chance.choice(SUBJECTS)}, {chance.choice(STYLES)}, " + ", ".join(chance.sample(WORDS, 12))
        rows[VariantRow].append({"id": number + 1, "run_id": run_id, "position": number % 4, "label": prompt[:40],
                                 "prompt": prompt, "negative_prompt": "blurry, low quality"})  # fmt: skip
        for seed in range(seeds):
            at = number * seeds + seed
            rows[ImageRow].append({"id": at + 1, "run_id": run_id, "position": (number % 4) * seeds + seed,
                                   "variant_id": number + 1, "seed": seed, "status": "MADE", "recipe_key": f"{at:064x}",
                                   "made_at": made})  # fmt: skip
    rows[RatingRow] = [
        {"image_id": number, "stars": chance.randint(1, 5), "favourite": False, "rated_at": now}
        for number in range(1, images, 10)
    ]
    with database.engine(writes=True).begin() as connection:
        for table, of_table in rows.items():
            connection.execute(insert(table), of_table)
    if database.file is None:  # what PostgreSQL does by itself, a minute later
        with database.engine().execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(text("VACUUM ANALYZE"))


def measure(database: Database, times: int) -> None:
    print("| query | found | fastest ms | median ms | slowest ms |\n| --- | --: | --: | --: | --: |")
    for name, query in QUERIES.items():
        taken = []
        for _ in range(times):
            began = time.perf_counter()
            found = search(database, query)
            taken.append(1000 * (time.perf_counter() - began))
        print(f"| {name} | {len(found)} | {min(taken):.1f} | {statistics.median(taken):.1f} | {max(taken):.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--times", type=int, default=7)
    parser.add_argument("--database", help="an empty database: postgresql://USER:PASSWORD@HOST/NAME")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = Notebook.at(Workspace.at(folder, asked.database)).database
        if database.is_readable() and summaries(database, limit=1):
            sys.exit(f"{database.name} has runs in it; name an empty database")
        fill(database, asked.images, asked.seeds)
        print(machine())
        print(f"{asked.images:,} images of {asked.images // asked.seeds:,} prompts, {_kind(database)}\n")
        measure(database, asked.times)


def _kind(database: Database) -> str:
    if database.file is not None:
        return f"SQLite {sqlite3.sqlite_version}"
    with database.reading("asking for the version") as reading:
        (row,) = reading.rows("SELECT current_setting('server_version') AS version")
    return f"PostgreSQL {row['version']}"


if __name__ == "__main__":
    main()
