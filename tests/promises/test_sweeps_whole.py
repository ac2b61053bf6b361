"""Nothing cut short: a sweep has all its runs or none, whatever ends the process that begins it."""

import dataclasses
import gzip
import signal
import subprocess
import sys

import pytest
from sqlalchemy import Engine, event, text

from promptlab.expand.sweep import Axis, build_sweep
from promptlab.lab import DEFAULT_EXPERIMENT, Lab
from promptlab.lab.execution.events import SweepCutShort
from promptlab.lab.execution.preflight import begin_sweep
from promptlab.plan import requests_of
from promptlab.records import RunStatus
from promptlab.specs import PipelineSpec, RunSpec, Variant
from promptlab.store import sweeps
from promptlab.store.notebook import Notebook
from promptlab.testing import Painter
from promptlab.workspace import Workspace
from tests.store.test_upgrade import KEPT

pytestmark = pytest.mark.slow

SWEEP = build_sweep(
    RunSpec(pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a"), Variant(prompt="b")), seeds=(0, 1, 2)),
    [Axis(field="steps", values=(5, 6, 9))],
)
PLACES = [(0,), (1,), (2,)]


class Fault:
    """Calls ``end`` at the nth statement that a process sends to a database."""

    def __init__(self, at, end):
        self.at, self.end, self.seen = at, end, 0

    def __call__(self, connection, cursor, statement, *_):
        self.seen += 1
        if self.seen == self.at:
            self.end()

    def __enter__(self):
        event.listen(Engine, "before_cursor_execute", self)
        return self

    def __exit__(self, *_):
        event.remove(Engine, "before_cursor_execute", self)


def press_ctrl_c():
    raise KeyboardInterrupt


def die():
    signal.raise_signal(signal.SIGKILL)


def begin(lab, **given):
    """Begin the sweep as the lab does, and make no image of it."""
    asked = {"experiment": "e", "name": None, "note": None, "again": False, **given}
    return begin_sweep(lab.engine, lab.notebook, SWEEP, permissions=lab.context.permissions, **asked)


def cut(lab, *runs):
    """Take runs that are only begun away, as they were never written by an earlier PromptLab that was stopped."""
    with lab.database.engine(writes=True).begin() as connection:
        for run_id in runs:
            for table, column in (("images", "run_id"), ("variants", "run_id"), ("runs", "id")):
                connection.execute(text(f"DELETE FROM promptlab_{table} WHERE {column} = {run_id}"))


@pytest.fixture
def new(tmp_path):
    """A lab with our tables alone."""
    lab = Lab(Workspace.at(tmp_path), engine=Painter())
    assert lab.notebook.last_run_id() is None
    return lab


def test_sweep_interrupted_at_any_statement_is_whole_or_not_there(new):
    """Ctrl-C before each statement of beginning one: nothing of it is kept, and then all of it."""
    interrupted = 0
    for at in range(1, 100):
        try:
            with Fault(at, press_ctrl_c):
                begun = begin(new)
        except KeyboardInterrupt:
            interrupted += 1
            assert (new.notebook.run_statuses(), new.notebook.cut_short_sweeps()) == ((), {})
            continue
        break
    assert interrupted > 6
    assert [one.place for one in begun.runs] == PLACES
    assert begin(new) == begun


def test_sweep_of_a_process_that_is_killed_is_not_there(tmp_path):
    """kill -9 when two of its three tables are written."""
    script = (
        "import sys; from tests.promises.test_sweeps_whole import *\n"
        "lab = Lab(Workspace.at(sys.argv[1]), engine=Painter()); lab.notebook\n"
        "def die_at_images(*a): die() if 'INSERT INTO promptlab_images' in a[2] else None\n"
        "event.listen(Engine, 'before_cursor_execute', die_at_images)\n"
        "begin(lab)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    lab = Lab(Workspace.at(tmp_path), engine=Painter())
    assert (lab.notebook.run_statuses(), lab.notebook.cut_short_sweeps()) == ((), {})
    assert [one.place for one in begin(lab).runs] == PLACES


def test_sweep_larger_than_a_transaction_is_completed_when_it_is_asked_for_again(new, monkeypatch):
    """What was written before the interruption is kept, known as cut short, and not written twice."""
    monkeypatch.setattr(sweeps, "MOST_AT_ONCE", 2)
    at = 0
    while not new.notebook.run_statuses():
        at += 1
        with Fault(at, press_ctrl_c), pytest.raises(KeyboardInterrupt):
            begin(new)
    assert new.notebook.cut_short_sweeps() == {1: 2}
    assert ([one.place for one in begin(new).runs], new.notebook.cut_short_sweeps()) == (PLACES, {})


@pytest.mark.mlflow
@pytest.mark.parametrize("left", [2, pytest.param(0, marks=pytest.mark.exhaustive)])
def test_sweep_that_was_cut_short_is_found_and_completed(lab, left):
    """Doctor finds it, resume makes what is there and says what to type, and the same command completes it."""
    begin(lab, experiment=DEFAULT_EXPERIMENT)
    cut(lab, *range(left + 1, 4))
    heard = []
    if left:
        assert [run.id for run in lab.resume("sweep:1", watch=heard.append)] == [1, 2]
    assert lab.resume(watch=heard.append) == ()
    assert [one for one in heard if isinstance(one, SweepCutShort)] == [SweepCutShort(sweep_id=1, runs=left)] * (
        2 if left else 1
    )
    (found,) = lab.maintenance.doctor()
    assert (found.kind, found.subject, found.remedy, found.fixable) == ("crashed", "sweep 1", None, False)
    assert "cut short while it was begun: " in found.problem
    swept = lab.run_sweep(SWEEP)
    assert (swept.id, [one.place for one in swept.runs]) == (1, PLACES)
    assert {run.status for run in lab.notebook.runs([1, 2, 3])} == {RunStatus.FINISHED}
    assert (lab.maintenance.doctor(), lab.resume(watch=heard.append)) == ((), ())
    assert isinstance(heard[-1], SweepCutShort)


@pytest.mark.parametrize(
    "again",
    [
        {"name": "mine", "note": None},
        pytest.param({"again": True}, marks=pytest.mark.exhaustive),
    ],
)
def test_sweep_of_its_own_that_was_cut_short_is_completed_and_not_begun_anew(new, again):
    """One with a name, or made anew, is another sweep each time; but for the one that lacks runs."""
    begin(new, **again)
    cut(new, 3)
    assert (begin(new, **again).id, begin(new, **again).id) == (1, 2)


@pytest.mark.mlflow
def test_sweep_with_edited_rows_is_an_edited_row_to_doctor(lab):
    """Whether it was cut short cannot be told then, and is not said."""
    begin(lab, experiment=DEFAULT_EXPERIMENT)
    with lab.database.engine(writes=True).begin() as connection:
        connection.execute(text("UPDATE promptlab_runs SET num_inference_steps = 7 WHERE id = 1"))
        connection.execute(text("UPDATE promptlab_images SET recipe_key = 'x' WHERE run_id = 1"))
    assert {finding.kind for finding in lab.maintenance.doctor()} == {"row", "owed"}


@pytest.mark.parametrize(
    "command",
    [
        ("resume", "sweep:1"),
        ("export", "sweep:1"),
        *(
            pytest.param(each, marks=pytest.mark.exhaustive)
            for each in (("verify", "sweep:1"), ("compare", "sweep:1"), ("best", "--by", "seed", "sweep:1"))
        ),
    ],
)
def test_sweep_without_runs_is_refused_in_a_line(promptlab, workspace, command):
    """Whatever is to be done with it: it says what it is, and what to type."""
    lab = Lab(workspace, engine=Painter())
    begin(lab)
    cut(lab, 1, 2, 3)
    said = promptlab(*command)
    assert said.code == 2
    assert said.err.count("\n") == 1
    assert "sweep 1 has no runs: it was stopped while it was begun; type: the command that began it" in said.err


def test_sweep_without_runs_is_shown(promptlab, workspace):
    """Looking at it is no error, and says what to type; resume does so once all else is made."""
    lab = Lab(workspace, engine=Painter())
    begin(lab)
    cut(lab, 1, 2, 3)
    line = (
        "sweep 1 was cut short while it was begun, with 0 runs of those it was to have; "
        "the command that began it, typed once more, completes it\n"
    )
    assert promptlab("show", "sweep:1").out == line
    said = promptlab("resume")
    assert (said.code, said.out, said.err) == (
        0,
        "nothing is owed: every run has all its images\n",
        "promptlab: " + line,
    )
    assert promptlab("list").code == promptlab("tree").code == promptlab("show", "sweep:1", "--json").code == 0
    assert lab.context.publisher.publish_sweep(lab.notebook.sweep(1), lambda _: None).runs == ()


def test_sweep_written_at_once_has_the_rows_that_runs_have(new):
    """What its many inserts write is what a run alone writes, column by column."""
    begun = begin(new)
    run = new.notebook.run(begun.runs[0].run_id)
    resolved = new.resolve(SWEEP.specs[0]).at(run.spec.batch_size)
    alone = new.notebook.begin_run(resolved, requests_of(resolved), environment=resolved.environment, experiment="e")
    images = tuple(dataclasses.replace(image, run_id=run.id) for image in alone.images)
    assert (alone.spec, alone.variants, images) == (run.spec, run.variants, run.images)
    with new.database.engine().connect() as connection:
        one, other = (
            connection.execute(text(f"SELECT * FROM promptlab_runs WHERE id = {number}")).mappings().one()
            for number in (run.id, alone.id)
        )
    differ = {name for name in one if one[name] != other[name]}
    assert differ == {"id", "uid", "status", "created_at", "sweep_id", "sweep_place", "sweep_values"}


def test_sweeps_of_older_databases_are_whole(tmp_path):
    """The key of a sweep is computed as it has been since there are sweeps."""
    for revision in ("0002", "0008"):
        file = tmp_path / revision / "mlflow.db"
        file.parent.mkdir()
        file.write_bytes(gzip.decompress((KEPT / f"{revision}.db.gz").read_bytes()))
        assert Notebook.at(Workspace.at(file.parent)).cut_short_sweeps() == {}
