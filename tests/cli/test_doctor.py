"""``doctor``, ``sync`` and ``db backup`` as they are typed: what they say, where, and with which exit code."""

import json
import os
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from promptlab.lab import Lab
from promptlab.testing import Painter

pytestmark = pytest.mark.mlflow

LOADED = (
    "import sys; from promptlab import cli; "
    "print([cli._exit_code([word]) for word in sys.argv[1:]], 'torch' in sys.modules)"
)


@pytest.fixture
def made(begin_with, workspace, monkeypatch):
    """A run of four pictures; commands are typed in its folder."""
    monkeypatch.chdir(workspace.root)
    begin_with(("run", "a fox", "--seeds", "0-3"))
    return Lab(workspace, engine=Painter()).history.find("1").run


def sql(workspace, statement):
    with closing(sqlite3.connect(workspace.database)) as connection:
        connection.execute(statement)
        connection.commit()


def test_doctor_healthy_workspace_is_one_line_and_exit_code_0(promptlab, made):
    """It says what agrees."""
    said = promptlab("doctor")
    assert (said.code, said.out, said.err) == (0, "healthy: 1 run, 4 pictures, and MLflow agree\n", "")
    assert json.loads(promptlab("doctor", "--json").out) == {"mended": [], "findings": []}


def test_doctor_empty_workspace_is_healthy(promptlab, tmp_path):
    """And no database is made by looking."""
    said = promptlab("doctor", "--workspace", str(tmp_path / "new"))
    assert (said.code, said.out) == (0, "healthy: 0 runs, 0 pictures, and MLflow agree\n")
    assert not (tmp_path / "new").exists()


def test_doctor_truncated_picture_goes_from_finding_to_health(promptlab, workspace, made):
    """The very commands that are said, typed one after the other, end in health."""
    path = workspace.root / made.images[2].path
    os.truncate(path, 200)
    said = promptlab("doctor")
    assert said.code == 1
    finding, remedy, total = said.out.splitlines()
    assert finding.startswith("image 1/2: is a damaged PNG")
    assert remedy == "  type: promptlab doctor --fix; promptlab resume 1"
    assert total == "1 finding: 1 damaged; promptlab doctor --fix does 1 of them"
    fixing, resuming = remedy.removeprefix("  type: ").split("; ")
    fixed = promptlab(*shlex.split(fixing)[1:])
    assert fixed.code == 1
    assert fixed.out.splitlines() == [
        f"mended: {finding}", "image 1/2: still owed", "  type: promptlab resume 1", "1 finding: 1 owed",
    ]  # fmt: skip
    assert promptlab(*shlex.split(resuming)[1:]).code == 0
    assert promptlab("doctor").code == 0
    assert Lab(workspace).history.find("1").run.images[2].pixel_sha256 == made.images[2].pixel_sha256


def test_doctor_deleted_picture_is_resumed_or_put_back(promptlab, workspace, made):
    """Resume sees that a picture of a finished run is gone; --fix finds it among what MLflow shows."""
    path = workspace.root / made.images[0].path
    for words in (["resume", "1"], ["doctor", "--fix"]):
        path.unlink()
        assert "  type: promptlab resume 1\n" in promptlab("doctor").out
        assert promptlab(*words).code == 0
        assert path.is_file()
        promptlab("sync")
        assert promptlab("doctor").code == 0


def test_doctor_edited_prompt_is_named_with_both_texts(promptlab, workspace, made):
    """And no --fix takes either side."""
    sql(workspace, "UPDATE promptlab_variants SET prompt = 'a wolf'")
    for words in (["doctor"], ["doctor", "--fix"]):
        said = promptlab(*words)
        assert said.code == 1
        assert "the prompt is 'a wolf' in the row and 'a fox' in the file" in said.out
        assert f"  type: promptlab import {made.images[0].path}\n" in said.out


def test_doctor_from_another_folder_names_the_workspace(promptlab, workspace, made, monkeypatch, tmp_path):
    """What is said can be typed where it is read, blanks in the folder's name included."""
    monkeypatch.chdir(tmp_path)
    (workspace.root / made.images[0].path).unlink()
    assert "  type: promptlab resume 1 --workspace 'work space'\n" in promptlab("doctor").out
    sql(workspace, "UPDATE promptlab_variants SET prompt = 'a wolf'")
    assert f"  type: cd 'work space'; promptlab import {made.images[1].path}\n" in promptlab("doctor").out


def test_doctor_json_has_all_findings(promptlab, workspace, made):
    """Kinds, subjects and remedies for a program to read, on the same exit codes."""
    workspace.grid(1).unlink()
    said = promptlab("doctor", "--json")
    assert said.code == 1
    (finding,) = json.loads(said.out)["findings"]
    assert (finding["kind"], finding["run_id"], finding["fixable"]) == ("grid", 1, True)
    said = promptlab("doctor", "--fix", "--json")
    assert (said.code, json.loads(said.out)) == (0, {"mended": [finding], "findings": []})


def test_doctor_older_database_is_a_finding_and_fix_upgrades_it(promptlab, workspace, made):
    """Nothing else is looked at before, and nothing is upgraded by looking."""
    sql(workspace, "UPDATE promptlab_alembic_version SET version_num = '0001'")
    said = promptlab("doctor")
    assert (said.code, "mlflow.db: of the older schema 0001" in said.out) == (1, True)
    assert "  type: promptlab db upgrade\n" in said.out
    assert promptlab("db", "current").out.startswith("schema 0001;")


def test_doctor_database_that_is_none_is_said(promptlab, workspace):
    """It is what one asks a doctor about."""
    workspace.database.write_text("a diary, not a database")
    said = promptlab("doctor")
    assert (said.code, said.err) == (1, "")
    assert "mlflow.db: is not a SQLite file\n" in said.out


def test_sync_says_what_it_told(promptlab, workspace, made):
    """What was missed, then nothing; --all tells everything anew."""
    sql(workspace, "UPDATE promptlab_runs SET tracked_at = NULL")
    assert promptlab("sync").out == "MLflow now knows run 1\n"
    assert promptlab("sync").out == "MLflow knows every run already\n"
    promptlab("run", "a cat", "--steps", "5", "--steps", "6")
    assert promptlab("sync", "--all").out == "MLflow now knows run 1, 2, 3 and sweep 1\n"
    sql(workspace, "UPDATE promptlab_sweeps SET tracked_at = NULL")
    assert promptlab("sync").out == "MLflow now knows sweep 1\n"


def test_db_backup_says_where_and_how_large(promptlab, workspace, made, tmp_path):
    """Beside the database, or where one says; never over a file."""
    said = promptlab("db", "backup")
    name = said.out.split(" · ")[0]
    assert name.startswith("mlflow.db.backup-")
    assert said.out == f"{name} · {(workspace.root / name).stat().st_size:,} bytes\n"
    kept = tmp_path / "kept.db"
    assert promptlab("db", "backup", str(kept)).code == 0
    said = promptlab("db", "backup", str(kept))
    assert (said.code, "exists already; allowed: a new file" in said.err) == (2, True)
    said = promptlab("db", "backup", "--workspace", str(tmp_path / "new"))
    assert (said.code, "does not exist" in said.err) == (2, True)


WRONG = {
    "sqlite:///mlflow.db": "is no http or https address",
    "postgresql://me:secret@host/db": "is no http or https address",
    "me:secret@host:5000": "is no http or https address",
    "http://": "is no address",
    "http://me:secret@host:port": "is no address",
    "http://me:sec ret@host": "is no address",
    "http://me:se/secret@host": "is no address",
    "http://me:secret@host/?token=secret": "has something behind ? or #",
    "databricks": "is no http or https address",
}


@pytest.mark.parametrize(
    "command", [["run", "a"], ["rerun", "last"], ["resume"], ["sync"], ["doctor"], ["ui"]], ids=" ".join
)
@pytest.mark.parametrize("address", WRONG)
def test_tracking_uri_that_is_no_server_is_refused_without_its_password(command, address, promptlab):
    """Before anything is made; what is shown of the address has no secret in it."""
    said = promptlab(*command, "--tracking-uri", address)
    assert said.code == 2
    assert f"{WRONG[address]}; allowed: the address of an MLflow server" in said.err
    assert "secret" not in said.err + said.out
    assert promptlab("list").out.startswith("no runs yet")


def test_tracking_uri_of_the_environment_is_used(promptlab, monkeypatch, unused_port):
    """PromptLab's own variable first; MLflow's where it is a server's address, and is passed over where it is none."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///elsewhere.db")
    assert promptlab("run", "a").err == ""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{unused_port}")
    said = promptlab("run", "b")
    assert f"the server at http://127.0.0.1:{unused_port} refuses the connection" in said.err
    monkeypatch.setenv("PROMPTLAB_TRACKING_URI", "ftp://host")
    said = promptlab("run", "c")
    assert (said.code, "PROMPTLAB_TRACKING_URI 'ftp://host' is no http or https" in said.err) == (2, True)


def test_doctor_and_sync_need_no_torch(made, workspace):
    """They make no picture."""
    said = subprocess.run(
        [sys.executable, "-c", LOADED, "doctor", "sync"],
        capture_output=True, text=True, cwd=workspace.root,
        env={name: value for name, value in os.environ.items() if name != "PROMPTLAB_ENGINE"},
    )  # fmt: skip
    assert said.stdout.splitlines()[-1] == "[0, 0] False", said.stderr
