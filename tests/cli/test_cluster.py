"""Who makes the pictures: what is typed, what a file says, and which server that is."""

import click
import pytest

from promptlab.cli.cluster import cluster_options, take_workers, typed_workers
from promptlab.cli.context import engine_maker
from promptlab.cli.render.workers import workers_text
from promptlab.cli.spelling import spell
from promptlab.cluster.asked_workers import AskedWorkers, RayEngineMaker
from promptlab.cluster.worker_sentences import worker_sentence
from promptlab.engine import DevicesDiffer, WorkerLost, WorkerRefused, WorkersAtWork, WorkerState
from promptlab.errors import InputError, spelled_by
from promptlab.serving.environment_key import environment_key


def asked(*words, file=None, environ=None, monkeypatch=None):
    """What a command understands."""
    found = []

    @click.command()
    @cluster_options
    def command():
        if file is not None:
            take_workers(*file, file="fox.yaml")
        found.append((typed_workers(), engine_maker()))

    command.main(list(words), standalone_mode=False)
    return found[0]


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in ("PROMPTLAB_WORKERS", "PROMPTLAB_CLUSTER", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)


def test_workers_that_nobody_asks_for_are_none(monkeypatch):
    """``RAY_ADDRESS`` alone, which other programs read, asks for nothing."""
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    workers, maker = asked()
    assert workers is None
    assert not isinstance(maker, RayEngineMaker)


@pytest.mark.parametrize(
    ("words", "understood"),
    [
        (("--workers", "3"), AskedWorkers(workers=3)),
        (("--workers", "auto"), AskedWorkers()),
        (("--cluster", "head:6379"), AskedWorkers(cluster="head:6379")),
        (("--cluster", "auto", "--workers", "2"), AskedWorkers(workers=2, cluster="auto")),
    ],
)
def test_workers_typed_are_the_engine(words, understood):
    """A number, all there are, or those of a cluster."""
    workers, maker = asked(*words)
    assert workers == understood
    assert maker.asked == understood


def test_workers_of_the_environment_are_as_typed(monkeypatch):
    """For all commands of a shell; what is typed counts more."""
    monkeypatch.setenv("PROMPTLAB_WORKERS", "2")
    assert asked()[0] == AskedWorkers(workers=2)
    assert asked("--workers", "5")[0] == AskedWorkers(workers=5)


def test_workers_of_a_file_count_where_none_are_typed():
    """Options override the file."""
    assert asked(file=("2", None))[0] == AskedWorkers(workers=2)
    assert asked(file=("auto", "auto"))[0] == AskedWorkers(cluster="auto")
    assert asked("--workers", "3", file=("2", "head:6379"))[0] == AskedWorkers(workers=3)


def test_cluster_that_only_a_file_names_is_refused(monkeypatch):
    """Ray speaks pickle, and a file may be a stranger's: the address is to be typed, or that of RAY_ADDRESS."""
    refusal = r"fox\.yaml: cluster '?head:6379'? .* run programs on this machine; type: --cluster head:6379"
    with spelled_by(spell), pytest.raises(InputError, match=refusal):
        asked(file=("auto", "head:6379"))
    monkeypatch.setenv("RAY_ADDRESS", "other:6379")
    with pytest.raises(InputError, match="was not typed by you"):
        asked(file=(None, "head:6379"))
    assert asked("--cluster", "head:6379", file=(None, "head:6379"))[0] == AskedWorkers(cluster="head:6379")
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert asked(file=("2", "head:6379"))[0] == AskedWorkers(workers=2, cluster="head:6379")


@pytest.mark.parametrize("typed", ["0", "-1", "many", "2.5"])
def test_workers_that_are_no_number_are_refused(typed):
    """In one line, with what to type."""
    with spelled_by(spell), pytest.raises(InputError, match=r"--workers .* is no number of workers.*auto") as refused:
        asked(f"--workers={typed}")
    assert refused.value.hint is not None
    with pytest.raises(InputError, match=r"fox\.yaml: workers"):
        asked(file=(typed, None))


def test_workers_have_a_server_of_their_own():
    """Other threads and devices make other bytes: a plain command does not find it, the same command does."""
    plain, two, auto = {}, AskedWorkers(workers=2).variables, AskedWorkers().variables
    assert len({environment_key(dict(each)) for each in (plain, two, auto)}) == 3
    assert environment_key(dict(AskedWorkers(workers=2).variables)) == environment_key(dict(two))
    assert environment_key({**two, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "mine"}) != environment_key(dict(two))
    assert environment_key({**two, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "promptlab-1"}) == environment_key(
        dict(two)
    )


def test_workers_text_names_few_and_counts_many():
    """What each is doing, or how many do what."""

    def at(*doing, pace=0.0):
        workers = tuple(
            WorkerState(worker=str(number + 1), host="h", doing=what, images=0) for number, what in enumerate(doing)
        )
        return workers_text(WorkersAtWork(workers=workers, images_per_second=pace))

    assert at("loading mini") == "1 worker: 1: loading mini"
    assert at("step 3 of 20", "idle", pace=3.14159) == "2 workers, 3.14 pictures/s: 1: step 3 of 20 · 2: idle"
    assert at(*["step 1 of 9"] * 6, "idle") == "7 workers: 6 step, 1 idle"


def test_worker_sentence_says_what_became_of_its_pictures():
    """Lost, left out, or different."""
    assert "its 3 pictures are made by others" in worker_sentence(WorkerLost(worker="2", reason="killed", images=3))
    assert "it had none under way" in worker_sentence(WorkerLost(worker="2", reason="killed", images=0))
    assert worker_sentence(WorkerRefused(worker="2", reason="x")) == "worker 2 is left out: x"
    assert "A100 and H200" in worker_sentence(DevicesDiffer(devices=("A100", "H200")))
    assert "all on A100" in worker_sentence(DevicesDiffer(devices=("A100", "A100")))


@pytest.mark.usefixtures("local_ray")
def test_run_with_workers_makes_what_run_makes(promptlab, workspace):
    """The command line to the picture: two painters, the same lines as ever; verify goes through them, too."""
    said = promptlab("run", "a fox", "--seeds", "0-5", "--workers", "2")
    assert (said.code, said.err) == (0, "")
    assert "6 images" in said.out
    assert promptlab("verify", "last", "--workers", "2").code == 0
    assert promptlab("run", "a fox", "--seeds", "0-5").out.count("run 1") > 0
