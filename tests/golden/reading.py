"""How golden files are read, by Python and its libraries alone: nothing here may change because PromptLab does.

Each folder beside this file is a generation, named after the PromptLab that made it, and is never changed again.
:mod:`tests.golden.make` says what lies in one.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import zlib
from contextlib import closing
from pathlib import Path

from PIL import Image

HOME = Path(__file__).parent
GENERATIONS = sorted(path.name for path in HOME.iterdir() if path.is_dir() and path.name[0].isdigit())

MLFLOW_TABLES = (
    "tags", "params", "metrics", "latest_metrics", "runs", "experiment_tags", "experiments",
    "registered_model_aliases", "registered_model_tags", "model_version_tags", "model_versions", "registered_models",
)  # fmt: skip
"""Those of MLflow's tables that are told of a workspace, each before those that it points at."""


def kept(generation, name):
    """The contents of a JSON file of a generation."""
    return json.loads((HOME / generation / name).read_text(encoding="utf-8"))


def pictures(generation):
    """The pictures of a generation, by their names in its workspace; grids and overviews are none."""
    folder = HOME / generation / "workspace"
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.glob("images/*/v*.png"))}


def lay_out_workspace(generation, folder):
    """Copy the workspace of a generation to ``folder``, ready for commands."""
    shutil.copytree(HOME / generation / "workspace", folder)
    for packed in sorted(folder.rglob("*.gz")):
        plain = folder / "mlflow.db" if packed.name == "database.db.gz" else packed.with_suffix("")
        plain.write_bytes(gzip.decompress(packed.read_bytes()))
        packed.unlink()
    return folder


def fill_gaps(workspace):
    """Give every run a grid and a report: of most none are kept, and MLflow is told whether they are there."""
    for folder in sorted(workspace.glob("images/0*")):
        for name in ("grid.png", "report.html"):
            if not (folder / name).exists():
                shutil.copyfile(workspace / "images/00001" / name, folder / name)


def type_in(workspace, *words, answer=None):
    """Type a command as somebody who stands in ``workspace``: no path of this machine is told, threads are two."""
    about = {name: value for name, value in os.environ.items() if not name.startswith(("PROMPTLAB_", "MLFLOW_"))}
    about |= {"PYTHONPATH": str(HOME.parent.parent), "OMP_NUM_THREADS": "2", "TERM": "dumb"}
    about["PROMPTLAB_KEEP_ALIVE"] = "0"  # no server is left behind
    return subprocess.run(
        [sys.executable, "-m", "promptlab", *words], cwd=workspace, env=about, input=answer, text=True,
        capture_output=True, check=False,
    )  # fmt: skip


def weights_in(package):
    """The hashes of the bundled weights, wherever in the package they lie."""
    return sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in package.rglob("*.safetensors"))


def texts_in(path):
    """The text chunks of a PNG, by keyword."""
    with Image.open(path) as picture:
        picture.load()
        return {name: str(text) for name, text in picture.text.items()}


def embedded_in(report):
    """What a report's page holds as JSON, by the id of its script element."""
    found = re.findall(r'<script type="application/json" id="(\w+)">([^<]*)</script>', report)
    return {name: json.loads(text) for name, text in found}


def shape_of(value):
    """The keys that are in a value, whatever they hold: dotted paths, a list's items under ``[]``."""
    if isinstance(value, dict):
        return {f"{key}{'.' if path else ''}{path}" for key, inner in value.items() for path in shape_of(inner) | {""}}
    if isinstance(value, list):
        return {f"[]{'.' if path else ''}{path}" for inner in value for path in shape_of(inner) | {""}}
    return set()


def forget_mlflow(database):
    """Take everything that MLflow was told out of a workspace's database; our own rows stay."""
    with closing(sqlite3.connect(database)) as connection:
        for table in MLFLOW_TABLES:
            connection.execute(f"DELETE FROM {table}" + (" WHERE name != 'Default'" if table == "experiments" else ""))
        connection.commit()


def told_to_mlflow(workspace):
    """What MLflow was told of a workspace: experiments, runs, prompts and files, without what is random about them.

    Ids of MLflow's are replaced by what they stand for; when a row was written is left out.
    """
    with closing(sqlite3.connect(workspace / "mlflow.db")) as connection:
        connection.row_factory = sqlite3.Row

        def rows(table):
            return [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]

        def pairs(table, owner, value):
            return {row["key"]: row["value"] for row in rows(table) if row[owner] == value}

        tags = {run["run_uuid"]: pairs("tags", "run_uuid", run["run_uuid"]) for run in rows("runs")}
        names = {run_id: _name_of(told) for run_id, told in tags.items()}
        experiments = {str(row["experiment_id"]): row["name"] for row in rows("experiments")}

        def plainly(text):
            for run_id, name in names.items():
                text = text.replace(run_id, f"<{name}>")
            return re.sub(r"(experiments/)(\d+)", lambda found: found[1] + f"<{experiments[found[2]]}>", text)

        def read(found):
            return {key: _unpacked(plainly(str(value))) for key, value in sorted(found.items())}

        return {
            "experiments": {
                row["name"]: {
                    "artifact_location": row["artifact_location"],
                    "lifecycle_stage": row["lifecycle_stage"],
                    "tags": {
                        key: _viewed(value, plainly)
                        for key, value in pairs("experiment_tags", "experiment_id", row["experiment_id"]).items()
                    },
                }
                for row in rows("experiments")
                if row["name"] != "Default"
            },
            "runs": {
                names[row["run_uuid"]]: {
                    **{name: row[name] for name in ("name", "status", "lifecycle_stage", "start_time", "end_time")},
                    "experiment": experiments[str(row["experiment_id"])],
                    "artifact_uri": plainly(row["artifact_uri"]),
                    "params": read(pairs("params", "run_uuid", row["run_uuid"])),
                    "tags": read(tags[row["run_uuid"]]),
                    "metrics": dict(sorted(pairs("latest_metrics", "run_uuid", row["run_uuid"]).items())),
                    "artifacts": _files_of(workspace, row["artifact_uri"]),
                }
                for row in sorted(rows("runs"), key=lambda row: names[row["run_uuid"]])
            },
            "prompts": {
                f"{row['name']} {row['version']}": {
                    "description": row["description"],
                    "tags": {
                        one["key"]: plainly(one["value"])
                        for one in rows("model_version_tags")
                        if (one["name"], one["version"]) == (row["name"], row["version"])
                    },
                }
                for row in rows("model_versions")
            },
        }


def _name_of(tags):
    if "promptlab.variant" in tags:
        return f"run {tags['promptlab.run']}, variant {tags['promptlab.variant']}"
    return f"sweep {tags['promptlab.sweep']}"


def _unpacked(text):
    """JSON as what it holds, so that the order of its keys means nothing."""
    return json.loads(text) if text[:2] in ('{"', "[{") else text


def _viewed(text, plainly):
    """A view of MLflow's, unpacked, without the times at which it was written."""
    try:
        view = json.loads(text)
    except ValueError:
        return plainly(text)
    if not isinstance(view, dict) or not str(view.get("state", "")).startswith("deflate;"):
        return _unpacked(plainly(text))
    packed = base64.b64decode(view["state"].partition(";")[2])
    state = zlib.decompress(packed, 47 if packed[:2] == b"\x1f\x8b" else 15 if packed[0] == 0x78 else -15)
    told = {name: value for name, value in view.items() if name not in ("createdAt", "updatedAt")}
    return {**told, "state": json.loads(plainly(state.decode()))}


def _files_of(workspace, artifact_uri):
    folder = workspace / "mlartifacts" / artifact_uri.partition(":/")[2].lstrip("/")
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
