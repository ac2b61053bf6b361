"""Commands as a person types them: what they say, on which stream, with which exit code."""

import ctypes
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from promptlab import __version__
from promptlab.cli import promptlab as group
from promptlab.store.migrate import HEAD

CHIEF = "portrait photo of a old warrior chief"
BETA = " 50mm portrait photography, hard rim lighting photography--beta --ar 2:3  --beta --upbeta"


@pytest.mark.quick
def test_run_and_reruns_of_the_story_are_listed_and_shown(promptlab, workspace):
    """A grid, better words, one seed at four ages; list and show know all of it."""
    first = promptlab("run", CHIEF, "--seeds", "0-7", "--scheduler", "dpmsolver++", "--steps", "20")
    assert (first.code, first.err) == (0, "")
    assert "run 1: 8 images (1 variant × 8 seeds)" in first.out
    grid = workspace.grid(1)
    assert os.path.relpath(grid) in first.out or str(grid) in first.out
    assert 'next: promptlab rerun 1 --seed 1 --replace "old=>{young|middle aged}" --workspace' in first.out
    second = promptlab("rerun", "last", "--append", ", tribal panther make up, blue on red", "--append", BETA)
    assert second.code == 0
    third = promptlab(
        "rerun", "last", "--seed", "1", "--steps", "25", "--replace", "a old=>{the oldest|a old|a|a young}"
    )
    assert "run 3: 4 images (4 variants × 1 seed)" in third.out
    listed = promptlab("list")
    assert [line.split()[0] for line in listed.out.splitlines()] == ["RUN", "3", "2", "1"]
    shown = promptlab("show", "last")
    for words in ("varied from image 2/1", "num_inference_steps: 20 → 25", "seeds: 0-7 → 1", "a old=>the oldest",
                  "DPMSolverMultistepScheduler", "batch size      4", BETA):  # fmt: skip
        assert words in shown.out
    image = promptlab("show", "3/2")
    assert f"portrait photo of a warrior chief, tribal panther make up, blue on red{BETA}" in image.out
    assert "varied from   image 2/1" in image.out


def test_run_dashes_inside_a_prompt_are_text(promptlab, tmp_path):
    """``--beta`` inside words, at the start of an appended text, behind ``--``, and in a file is just text."""
    file = tmp_path / "prompts.txt"
    file.write_text("--ar 2:3 a fox\n\nsecond -- prompt\n", encoding="utf-8")
    assert promptlab("run", f"a{BETA}", "--prompts-file", str(file)).code == 0
    assert promptlab("rerun", "last", "--append", "--upbeta").code == 0
    assert promptlab("run", "--seeds", "3", "--", "--beta first", "-x").code == 0
    prompts = [
        [
            variant["variant"]["prompt"]
            for variant in json.loads(promptlab("show", run, "--json").out)["run"]["variants"]
        ]
        for run in ("1", "2", "3")
    ]
    assert prompts == [
        [f"a{BETA}", "--ar 2:3 a fox", "second -- prompt"],
        [f"a{BETA}--upbeta", "--ar 2:3 a fox--upbeta", "second -- prompt--upbeta"],
        ["--beta first", "-x"],
    ]


def test_run_diffusers_names_are_understood(promptlab):
    """The long names of diffusers stand for the short ones."""
    said = promptlab(
        *("run", CHIEF, "--num-inference-steps", "7", "--guidance-scale", "3.5", "--negative-prompt", "beard"),
        *("--height", "48", "--width", "64", "--torch-dtype", "bfloat16", "--set", "eta=0.5", "--set", "clip_skip=1"),
    )
    assert said.code == 0
    spec = json.loads(promptlab("show", "last", "--json").out)["run"]["spec"]
    assert spec["call"] == {
        "num_inference_steps": 7, "guidance_scale": 3.5, "height": 48, "width": 64,
        "arguments": {"eta": 0.5}, "clip_skip": 1,
    }  # fmt: skip
    assert (spec["pipeline"]["dtype"], spec["variants"][0]["negative_prompt"]) == ("bfloat16", "beard")


def test_rerun_inherits_everything_that_is_not_named(promptlab):
    """A rerun keeps every setting of its parent; 'default' puts a scheduler or VAE back to the model's own."""
    setting = (
        *("--scheduler", "euler:use_karras_sigmas=true", "--vae", "other", "--steps", "9", "--guidance", "2"),
        *("--size", "64x32", "--dtype", "float16", "--batch-size", "3", "--negative", "beard"),
    )
    promptlab("run", CHIEF, "--seeds", "0-4", "--experiment", "warrior", *setting)
    assert promptlab("rerun", "last", "--seed", "2").code == 0
    parent, child = (json.loads(promptlab("show", run, "--json").out)["run"] for run in ("1", "2"))
    assert child["spec"] | {"seeds": 0, "variants": 0} == parent["spec"] | {"seeds": 0, "variants": 0}
    assert child["spec"]["batch_size"] == 3
    assert child["experiment"] == "warrior"
    assert [change["field"] for change in child["changes"]] == ["seeds"]
    promptlab("rerun", "1", "--seeds", "100,101", "--vae", "default", "--scheduler", "default", "--experiment", "other")
    third = json.loads(promptlab("show", "3", "--json").out)["run"]
    assert (third["spec"]["seeds"], third["spec"]["pipeline"]["vae"]) == ([100, 101], None)
    assert third["spec"]["pipeline"]["scheduler"] == {"name": "PNDMScheduler", "options": {}}


def test_run_words_without_quotes_are_said_to_be_several_prompts(promptlab):
    """Typed without quotes, each word is a prompt of its own; several that were meant are not remarked upon."""
    said = promptlab("run", "a", "red", "fox", "--dry-run")
    assert said.err == 'promptlab: 3 prompts of a word each; quotes make them one: promptlab run "a red fox"\n'
    assert promptlab("run", "a red fox", "owl", "--dry-run").err == ""


def test_run_random_seeds_are_recorded(promptlab):
    """``random:4`` draws, and what it drew is in the record as plain numbers."""
    assert promptlab("run", CHIEF, "--seeds", "random:4").code == 0
    run = json.loads(promptlab("show", "last", "--json").out)["run"]
    assert len(set(run["spec"]["seeds"])) == 4
    assert [image["seed"] for image in run["images"]] == run["spec"]["seeds"]


def test_run_dry_run_says_everything_and_writes_nothing(promptlab, workspace):
    """The defaults are filled in, the batches counted, the changes named; no row, no file."""
    said = promptlab("run", "a", "b", "--seeds", "0-4", "--dry-run")
    assert (said.code, "would make 10 images: 2 variants × 5 seeds, in 3 batches of 4" in said.out) == (0, True)
    promptlab("run", CHIEF, "--seeds", "0-1")
    said = promptlab("rerun", "last", "--steps", "9", "--replace", "old=>young", "--dry-run")
    assert "num_inference_steps: 50 → 9" in said.out
    assert "portrait photo of a [-old-] {+young+} warrior chief" in said.out
    assert len(promptlab("list").out.splitlines()) == 2
    assert not (workspace.root / "images" / "00002").exists()


def test_list_of_an_empty_workspace_says_what_to_type(promptlab, tmp_path):
    """An empty workspace is no error, and a folder without one is not made into one."""
    assert 'no runs yet; type: promptlab run "' in promptlab("list").out
    empty = tmp_path / "empty"
    assert promptlab("list", "--workspace", str(empty)).code == 0
    assert not empty.exists()


def test_list_experiment_and_limit_choose_runs(promptlab):
    """Newest first, by experiment, at most so many, as JSON."""
    for experiment in ("one", "two", "one"):
        promptlab("run", "한국어 프롬프트", "--experiment", experiment, "--again")
    assert [run["id"] for run in json.loads(promptlab("list", "--json").out)] == [3, 2, 1]
    assert [
        run["id"] for run in json.loads(promptlab("list", "--experiment", "one", "--limit", "1", "--json").out)
    ] == [3]
    assert "no runs yet in the experiment 'three'" in promptlab("list", "--experiment", "three").out
    assert "한국어 프롬프트" in promptlab("list", "--limit", "0").out


def test_show_json_is_the_whole_record(promptlab):
    """One image with its run, nothing left out."""
    promptlab("run", CHIEF, "--seeds", "5")
    record = json.loads(promptlab("show", "1/0", "--json").out)
    assert set(record) == {"run", "image"}
    assert record["image"] == record["run"]["images"][0]
    assert record["image"]["seed"] == 5
    assert len(record["image"]["pixel_sha256"]) == len(record["image"]["recipe_key"]) == 64


WRONG = {
    "no prompt": (["run"], "PROMPT is missing; allowed: one or more prompts"),
    "prompt twice": (["run", "a", "a"], "twice"),
    "prompts file missing": (["run", "--prompts-file", "no.txt"], "--prompts-file 'no.txt' does not exist"),
    "seeds -1": (["run", "a", "--seeds", "-1"], "--seeds '-1'"),
    "seeds 2**64": (["run", "a", "--seeds", str(2**64)], "--seeds '18446744073709551616'"),
    "seeds 7-3": (["run", "a", "--seeds", "7-3"], "--seeds '7-3'"),
    "seeds x": (["run", "a", "--seeds", "x"], "--seeds 'x'"),
    "steps 0": (["run", "a", "--steps", "0"], "--steps 0 is too few; allowed: 1 or more; type: --steps 20"),
    "steps x": (["run", "a", "--steps", "x"], "--steps 'x' is not a whole number"),
    "guidance x": (["run", "a", "--guidance", "x"], "--guidance 'x' is not a number"),
    "guidance -1": (["run", "a", "--guidance", "-1"], "--guidance -1.0 is out of range"),
    "size": (["run", "a", "--size", "big"], "--size 'big' is no size; allowed: pixels, as 512 or as WIDTHxHEIGHT"),
    "size and width": (["run", "a", "--size", "64", "--width", "64"], "--size is said beside --width"),
    "dtype": (["run", "a", "--dtype", "float61"], "did you mean float16?); allowed: float32, float16, bfloat16"),
    "device": (["run", "a", "--device", "cuda"], "--device 'cuda' is not there"),
    "sample": (["run", "a {b|c}", "--sample", "0"], "--sample '0' is out of range"),
    "template seed": (["run", "a {b|c}", "--template-seed", "x"], "--template-seed 'x' is not a whole number"),
    "value twice": (["run", "a", "--steps", "5", "--steps", "5"], "--steps has the same value twice"),
    "file missing": (["run", "-f", "no.yaml"], "--file 'no.yaml' does not exist"),
    "resume nothing": (["resume", "3"], "run 3 does not exist"),
    "resume what": (["resume", "what"], "RUN 'what' names no run and no sweep"),
    "resume sweep": (["resume", "sweep:3"], "sweep 3 does not exist"),
    "show sweep": (["show", "sweep:3"], "sweep 3 does not exist"),
    "rerun axis": (["rerun", "last", "--steps", "5", "--steps", "6"], "--steps has 2 values; allowed: one in a rerun"),
    "rerun range": (["rerun", "last", "--steps", "5-7"], "--steps has 3 values; allowed: one in a rerun"),
    "set": (["run", "a", "--set", "eta"], "--set 'eta' is no NAME=VALUE; type: --set eta=0.5"),
    "batch size": (["run", "a", "--batch-size", "0"], "--batch-size 0 is too small"),
    "scheduler": (["run", "a", "--scheduler", "eulre"], "eulre"),
    "template": (["run", "a {b|c"], "a {b|c"),
    "no such option": (["run", "a", "--step", "3"], "No such option"),
    "no such command": (["runn", "a"], "No such command 'runn'"),
    "rerun nothing": (["rerun", "last"], "run 'last' does not exist; allowed: none yet"),
    "rerun 9": (["rerun", "9"], "run 9 does not exist"),
    "rerun what": (["rerun", "what"], "RUN 'what' names no run and no image"),
    "rerun file": (["rerun", "no.png"], "image 'no.png' does not exist"),
    "seed and seeds": (["rerun", "last", "--seed", "1", "--seeds", "2"], "--seeds is said beside --seed"),
    "show": (["show", "3/4"], "run 3 does not exist"),
    "limit": (["list", "--limit", "-1"], "--limit -1 is too small"),
    "ui experiment": (["ui", "--experiment", "none"], "--experiment 'none' does not exist"),
    "ui port": (["ui", "--port", "x"], "--port 'x' is not a whole number"),
    "shell": (["completion", "csh"], "SHELL 'csh' is unknown"),
}


@pytest.mark.parametrize("case", WRONG)
def test_commands_wrong_input_is_one_line_and_exit_code_2(case, promptlab, workspace):
    """What, which value, what is allowed, what to type; on standard error; and nothing half-written."""
    words, sentence = WRONG[case]
    said = promptlab(*words)
    assert said.code == 2
    assert sentence in said.err
    assert said.err.startswith("promptlab: ")
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert {path.name for path in workspace.root.rglob("*")} <= {"mlflow.db", "mlflow.db-wal", "mlflow.db-shm"}
    assert promptlab("list").out.startswith("no runs yet")


def test_rerun_wrong_words_are_found_before_any_work(promptlab):
    """A text that is not in the prompt, and a seed that is not in the run."""
    promptlab("run", CHIEF, "--seeds", "0-7")
    said = promptlab("rerun", "last", "--replace", "a young=>an old")
    assert said.code == 2
    assert f"--replace 'a young' is not in the prompt '{CHIEF}'" in said.err
    said = promptlab("rerun", "last", "--seed", "8")
    assert (
        said.err
        == "promptlab: --seed 8 does not exist; allowed: the seeds of run 1: 0-7; type: --seeds 8 to make a new one\n"
    )
    assert len(promptlab("list").out.splitlines()) == 2


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"", "holds no prompt"), (b"\n \n", "holds no prompt"), ("é".encode("latin-1"), "is not UTF-8")],
)
def test_run_prompts_file_without_prompts_is_refused(content, sentence, promptlab, tmp_path):
    """Empty, blank and wrongly encoded files are named."""
    file = tmp_path / "prompts.txt"
    file.write_bytes(content)
    said = promptlab("run", "--prompts-file", str(file))
    assert (said.code, sentence in said.err, str(file) in said.err) == (2, True, True)


def test_run_workspace_that_cannot_serve_is_refused(promptlab, workspace, tmp_path):
    """A file for a folder, a database that is none, and one that a newer PromptLab wrote."""
    file = tmp_path / "file"
    file.write_text("x")
    said = promptlab("run", "a", "--workspace", str(file))
    assert (said.code, "is a file; allowed: a folder" in said.err) == (2, True)
    text = tmp_path / "text"
    text.mkdir()
    (text / "mlflow.db").write_text("a diary, not a database")
    for words in (["run", "a"], ["list"], ["show", "last"], ["rerun", "last"], ["db", "current"], ["db", "upgrade"]):
        said = promptlab(*words, "--workspace", str(text))
        assert (said.code, "is not a SQLite file" in said.err) == (2, True), words
    assert [path.name for path in text.iterdir()] == ["mlflow.db"]
    with closing(sqlite3.connect(workspace.database)) as connection:
        connection.execute("UPDATE promptlab_alembic_version SET version_num = '9999'")
        connection.commit()
    for words in (["run", "a"], ["list"], ["show", "last"]):
        said = promptlab(*words)
        assert (said.code, "was written by a newer PromptLab (schema 9999)" in said.err) == (2, True), words


def obey_permissions():
    """Root may write anywhere; without these two capabilities it is held to a file's mode as everybody is."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None)
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH (linux/capability.h)
            assert libc.prctl(24, capability, 0, 0, 0) == 0  # PR_CAPBSET_DROP


@pytest.mark.skipif(sys.platform != "linux", reason="root can only be held to permissions on Linux")
def test_run_read_only_workspace_is_refused(promptlab, workspace):
    """Whoever may not write there hears so; list and show still work."""
    promptlab("run", "a")
    environment = {**os.environ, "PROMPTLAB_ENGINE": "painter", "PROMPTLAB_WORKSPACE": str(workspace.root)}

    def typed(*words):
        return subprocess.run(
            [sys.executable, "-m", "promptlab", *words], env=environment, preexec_fn=obey_permissions,
            capture_output=True, text=True,
        )  # fmt: skip

    workspace.database.chmod(0o444)
    said = typed("run", "b")
    assert (said.returncode, "mlflow.db' is read-only; allowed: a file you may write to" in said.stderr) == (2, True)
    workspace.root.chmod(0o555)
    try:
        said = typed("run", "b")
        assert said.returncode == 2
        assert "is read-only; allowed: a folder you may write to; type: --workspace FOLDER" in said.stderr
        for words in (["list"], ["show", "1"]):
            said = typed(*words)
            assert (said.returncode, said.stderr) == (0, "")
            assert "FINISHED" in said.stdout
    finally:
        workspace.root.chmod(0o755)


def test_db_current_and_upgrade_say_the_schema(promptlab, tmp_path):
    """A new folder gets its tables once; then there is nothing to do."""
    folder = str(tmp_path / "new")
    assert promptlab("db", "current", "--workspace", folder).out == f"schema none yet; this PromptLab writes {HEAD}\n"
    assert promptlab("db", "upgrade", "--workspace", folder).out == f"schema none → {HEAD}\n"
    assert promptlab("db", "upgrade", "--workspace", folder).out == f"schema {HEAD} already\n"
    assert promptlab("db", "current", "--workspace", folder).out == f"schema {HEAD}; this PromptLab writes {HEAD}\n"


@pytest.mark.mlflow
def test_sync_of_what_is_told_says_so(promptlab):
    """A workspace that MLflow knows all of."""
    promptlab("run", "a")
    assert promptlab("sync").out == "MLflow knows every run already\n"


def test_promptlab_alone_prints_its_help(promptlab):
    """Line for line as --help has it, and a group of commands likewise."""
    alone = promptlab()
    assert (alone.code, alone.out, alone.err) == (0, promptlab("--help").out, "")
    assert "Commands:\n  backup" in promptlab("db").out


def test_version_and_help_are_printed(promptlab):
    """--version is one line; every command has a help that begins with what it does."""
    assert promptlab("--version").out == f"promptlab {__version__}\n"
    for name in ("", *group.commands):
        said = promptlab(*([name] if name else []), "--help")
        assert said.code == 0
        assert said.out.startswith(f"Usage: promptlab {name}".rstrip())
        assert "\b" not in said.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_each_shell(shell, promptlab):
    """Each shell gets its own script, and the script asks this very command."""
    said = promptlab("completion", shell)
    assert (said.code, "_PROMPTLAB_COMPLETE" in said.out) == (0, True)


def test_completion_offers_values(monkeypatch, promptlab, capsys):
    """Commands, options and the values of schedulers are offered."""
    monkeypatch.setenv("_PROMPTLAB_COMPLETE", "bash_complete")
    for words, at, expected in (
        ("promptlab re", 1, "rerun"), ("promptlab run --sched", 2, "--scheduler"),
        ("promptlab run --scheduler dpmsolver+", 3, "dpmsolver++"), ("promptlab run --dtype bf", 3, "bfloat16"),
        ("promptlab run --model mi", 3, "mini"),
    ):  # fmt: skip
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(at))
        assert f"plain,{expected}" in promptlab().out.splitlines()


def test_main_a_bug_is_one_line_unless_debugging(promptlab, monkeypatch):
    """An exception that nobody foresaw is one line and exit code 1; PROMPTLAB_DEBUG=1 lets it through."""
    from promptlab import cli
    from promptlab.lab.history.history import History

    def broken(*_args, **_kwargs):
        raise KeyError("oh\nno")

    monkeypatch.setattr(History, "list", broken)
    said = promptlab("list")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "unexpected KeyError: 'oh\\nno'; PROMPTLAB_DEBUG=1 shows where" in said.err
    monkeypatch.setenv("PROMPTLAB_DEBUG", "1")
    with pytest.raises(KeyError):
        cli.main(["list"])


def test_main_ctrl_c_is_exit_code_130(promptlab, monkeypatch):
    """An interrupted command says so in a line."""
    from promptlab.lab import Lab

    def interrupted(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(Lab, "run", interrupted)
    said = promptlab("run", "a")
    assert (said.code, said.err.strip()) == (130, "promptlab: stopped; what was made stays")


def test_main_closed_pipe_is_no_traceback(workspace):
    """``promptlab show last | head -1`` ends quietly."""
    said = subprocess.run(
        f"'{sys.executable}' -m promptlab run --help | true", shell=True, capture_output=True, text=True, env=os.environ
    )
    assert said.stderr == ""


def test_run_names_that_look_like_paths_stay_inside(promptlab, workspace):
    """An experiment called ../../out makes files in the workspace only."""
    before = set(workspace.root.parent.iterdir())
    assert promptlab("run", "../../../etc/passwd", "--experiment", "../../out", "--name", "../x").code == 0
    assert set(workspace.root.parent.iterdir()) == before
    assert promptlab("show", "last").out.startswith("run 1 · ../x · FINISHED · ../../out\n")


def test_models_of_less_than_a_mebibyte_have_a_size(promptlab):
    """A digit more where megabytes are few: nothing in the package weighs nothing."""
    sizes = {line.split()[0]: line.split()[3:5] for line in promptlab("models").out.splitlines()[1:4]}
    assert sizes["mini-vae-tiny"] == ["0.4", "MiB"]
    assert sizes["mini"][0].isdigit()
