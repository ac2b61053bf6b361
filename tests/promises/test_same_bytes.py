"""The same bytes in any company: every compatible scheduler, SDE ones included, in float32 and bfloat16, on a CPU.

Alone, in a full batch, in a shuffled one, in another process, after a resume, rerun from a parent: the recipe and the
environment decide, and nothing else. At any number of threads; another number is another environment.
"""

import itertools
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from promptlab.engine.schedulers.registry import fitting_schedulers
from promptlab.images.png import pixel_sha256, read_pixels
from promptlab.lab import Lab, PromptEdit
from promptlab.lab.execution.events import ImagesGenerated
from promptlab.plan import requests_of
from promptlab.plan.resolved import images_per_forward
from promptlab.records import RunStatus
from promptlab.specs.schedulers import parse_scheduler
from tests.engine.company import DTYPES, SCHEDULERS, hashes, spec_of
from tests.engine.drawing import draw, resolve, threads

pytestmark = pytest.mark.slow

TOLD_BY_LAB = [
    ("dpmsolver-sde", "bfloat16"),
    *(pytest.param(*case, marks=pytest.mark.exhaustive)
      for case in (("dpmsolver++", "float32"), ("dpmsolver-sde", "float32"), ("euler-a", "bfloat16"),
                   ("pndm", "float32"))),
]  # fmt: skip
BY_TURNS = dict(zip(SCHEDULERS, itertools.cycle(DTYPES), strict=False))
"""Each scheduler in one of the dtypes."""
KEPT = {
    ("euler", "bfloat16"), ("dpmsolver++", "float32"), ("pndm", "bfloat16"), ("euler-a", "float32"),
    ("dpmsolver-sde", "bfloat16"),
}  # fmt: skip
"""Of each kind one: first order, multistep, one that asks more often, ancestral, and SDE."""
CASES = [
    pytest.param(scheduler, dtype, marks=[] if (scheduler, dtype) in KEPT else pytest.mark.exhaustive)
    for scheduler in SCHEDULERS
    for dtype in DTYPES
]
"""All of them; in the suite those that stand for their kinds."""


@pytest.fixture(scope="module")
def together(engine):
    """Case → its tasks, and the hash of each picture in full batches; made once."""
    made = {}

    def of(scheduler, dtype):
        if (scheduler, dtype) not in made:
            tasks = requests_of(resolve(engine, spec_of(scheduler, dtype)))
            made[scheduler, dtype] = tasks, hashes(engine, tasks)
        return made[scheduler, dtype]

    return of


def test_schedulers_asked_are_all_compatible_ones(mini):
    """None that ``promptlab schedulers`` offers for the bundled model is left out here."""
    own = json.loads((mini / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8"))
    asked = {parse_scheduler(name).name for name in SCHEDULERS}
    assert asked == set(fitting_schedulers(own["_class_name"], own))


@pytest.mark.parametrize(("scheduler", "dtype"), CASES)
def test_bytes_in_any_company_and_place_are_the_same(engine, together, scheduler, dtype):
    """Other neighbours, another place, none at all: the same bytes; other seeds and words: others."""
    tasks, whole = together(scheduler, dtype)
    assert len(set(whole.values())) == len(tasks) == 4
    assert hashes(engine, [tasks[at] for at in (2, 0)]).items() <= whole.items()  # one seed twice, another place
    assert hashes(engine, [tasks[3]]).items() <= whole.items()


@pytest.mark.parametrize("dtype", ["float32", pytest.param("bfloat16", marks=pytest.mark.exhaustive)])
def test_bytes_at_the_models_own_size_are_the_same(engine, dtype):
    """At 128 × 128 pixels, where other kernels may be chosen than at 64, and with a batch size of 4."""
    tasks = requests_of(resolve(engine, spec_of("dpmsolver-sde", dtype, size=128, steps=1, batch_size=4)))
    whole = hashes(engine, tasks)
    assert hashes(engine, [tasks[3], tasks[0]]).items() <= whole.items()
    assert hashes(engine, [tasks[1]]).items() <= whole.items()


@pytest.mark.exhaustive
def test_bytes_of_another_process_are_the_same(together):
    """Schedulers in dtypes by turns, one after the other in a fresh interpreter with as many threads.

    In the suite test_bytes_of_a_server_are_those_of_a_process_alone stands for it.
    """
    cases = {f"{each}:{BY_TURNS[each]}": (each, BY_TURNS[each]) for each in SCHEDULERS}
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.company", *cases],
        capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    there = json.loads(done.stdout)
    here = {case: together(*words)[1] for case, words in cases.items()}
    assert {len(made) for made in there.values()} == {1}
    assert [case for case in cases if not there[case].items() <= here[case].items()] == []


@pytest.mark.parametrize(
    ("dtype", "places"),
    [("float32", ((4, 2), (3, 2))),
     *(pytest.param(dtype, ((4, 2), (3, 2), (3, 3), (4, 3)), marks=pytest.mark.exhaustive)
       for dtype in ("float32", "bfloat16", "float16"))],
)  # fmt: skip
def test_bytes_with_more_threads_are_the_same(engine, dtype, places):
    """The promise holds at any one number of threads: sharing a forward where they divide the batch, alone elsewhere.

    Three images in one forward would not keep it: with two threads, float32 and float16 differ from slot to slot.
    """
    for batch_size, count in places:
        tasks = requests_of(resolve(engine, spec_of("dpmsolver-sde", dtype, steps=2, batch_size=batch_size)))
        with threads(count):
            whole = hashes(engine, tasks)
            assert hashes(engine, [tasks[at] for at in (2, 0)]).items() <= whole.items()
            assert hashes(engine, [tasks[1]]).items() <= whole.items()


def test_images_per_forward_shares_where_threads_get_equal_shares():
    """Whole images, a power of two for each thread; on an accelerator as many as asked for."""
    shared = {}
    for count in (1, 2, 3, 4):
        with threads(count):
            shared[count] = [size for size in range(1, 9) if images_per_forward("cpu", size, threads=count) == size]
            assert {images_per_forward("cpu", size, threads=count) for size in range(1, 9)} == {1, *shared[count]}
            assert images_per_forward("cuda:0", 5, threads=count) == 5
    assert shared == {1: [1, 2, 3, 4, 5, 6, 7, 8], 2: [1, 2, 4, 8], 3: [1, 3, 6], 4: [1, 4, 8]}


def test_environment_tells_the_number_of_threads(engine, make_spec):
    """Two numbers of threads are two environments, so pictures of one are never taken for those of the other.

    Measured between 1 and 2 threads, at 64 and 128 pixels, with all fifteen schedulers: bfloat16 gives the same bytes
    with every one of them (on a processor with bfloat16 instructions). float32 does with none at 128 pixels, and with
    two of them at 64: some pixels differ by 1 level of 255. float16, computed in float32 and rounded, differs with
    every one, by up to 14 levels.
    """
    seen = []
    for count in (1, 2):
        with threads(count):
            seen.append(resolve(engine, make_spec()).environment)
    one, two = seen
    assert (one.facts["threads"], two.facts["threads"]) == (1, 2)
    assert one.hash != two.hash
    assert {name for name in one.facts if one.facts[name] != two.facts[name]} == {"threads"}


@pytest.mark.parametrize("scheduler", ["pndm", pytest.param("dpmsolver-sde", marks=pytest.mark.exhaustive)])
def test_bytes_with_another_number_of_threads_are_close(engine, make_spec, scheduler):
    """What differs between thread counts in float32 is rounding, not noise: a level or two of 255."""
    tasks = requests_of(resolve(engine, make_spec(num_inference_steps=3, scheduler=parse_scheduler(scheduler))))
    pixels = []
    for count in (1, 2):
        with threads(count):
            pixels.append(next(iter(draw(engine, tasks))).pixels.astype(int))
    assert np.abs(pixels[0] - pixels[1]).max() <= 2


@pytest.fixture
def real_lab(workspace, engine):
    """A workspace in which the bundled model draws."""
    return Lab(workspace, engine=engine)


def saved(lab, run):
    """Recipe key → hash of the pixels in the file, which the row says, too."""
    found = {image.recipe_key: pixel_sha256(read_pixels(lab.workspace.root / image.path)) for image in run.images}
    assert found == {image.recipe_key: image.pixel_sha256 for image in run.images}
    return found


@pytest.mark.parametrize(("scheduler", "dtype"), TOLD_BY_LAB)
def test_bytes_of_a_resumed_run_are_the_same(real_lab, together, scheduler, dtype):
    """Interrupted after its first batch, and with one file lost, it is completed to what was never interrupted."""

    def interrupt(event):
        if isinstance(event, ImagesGenerated):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        real_lab.run(spec_of(scheduler, dtype), watch=interrupt)
    begun = real_lab.history.find("last").run
    assert begun.status is RunStatus.KILLED
    assert 0 < len(begun.made) < 4
    (real_lab.workspace.root / begun.made[0].path).unlink()
    (resumed,) = real_lab.resume()
    assert resumed.complete
    assert saved(real_lab, resumed) == together(scheduler, dtype)[1]


@pytest.mark.parametrize(("scheduler", "dtype"), TOLD_BY_LAB)
def test_bytes_of_a_rerun_are_its_parents(real_lab, together, scheduler, dtype):
    """One seed kept and all made anew: what the words leave alone is to the byte what the parent's grid shows."""
    parent = real_lab.run(spec_of(scheduler, dtype))
    whole = saved(real_lab, parent)
    assert whole == together(scheduler, dtype)[1]
    child = real_lab.rerun(
        real_lab.history.find("last"), seeds=(7,), edit=PromptEdit(append=("{|, in red light}",)), again=True
    )
    again = saved(real_lab, child)
    shared = whole.keys() & again.keys()
    assert (len(again), len(shared)) == (4, 2)
    assert {key: again[key] for key in shared} == {key: whole[key] for key in shared}
