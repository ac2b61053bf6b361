"""What is compared with what: groups of pictures that differ in one thing, at the same seeds and all else equal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from promptlab.errors import InputError, UnknownValue
from promptlab.lab.preferences.picture_groups import asked_dimensions, axis_name, group_by_axis, group_by_wording
from promptlab.records import ImageStatus
from promptlab.specs import Variant
from promptlab.workspace import Workspace
from tests.images.sweeping import paint_sweep

WORDS = (Variant(prompt="an old fox", label="old"), Variant(prompt="a young fox", label="young"))
SCHEDULERS = [{"scheduler": "euler"}, {"scheduler": "heun"}]
STEPS = [{"num_inference_steps": "5"}, {"num_inference_steps": "6"}]


@pytest.fixture
def painted(tmp_path):
    """Paint a sweep; return its record, and those of its runs by number."""

    def paint(axes, **options):
        sweep, runs = paint_sweep(Workspace(tmp_path), axes, side=8, **options)
        return sweep, {run.id: run for run in runs}

    return paint


def paths(runs, number, wording, seeds):
    return tuple(image.path for seed in seeds for image in runs[number].images
                 if (image.variant, image.seed) == (wording, seed))  # fmt: skip


def test_group_by_axis_compares_at_the_same_wording_and_other_settings(painted):
    """A group for each value; a combination that one value lacks is no circumstance."""
    sweep, runs = painted([SCHEDULERS, STEPS], variants=WORDS, seeds=(4, 2, 9), skip={(1, 1)})
    assert asked_dimensions(sweep, ()) == (0, 1)
    grouped = group_by_axis(sweep, runs, 0)
    assert (grouped.kind, grouped.number, grouped.seeds, grouped.circumstances) == ("sweep", 3, (4, 2, 9), 2)
    assert [group.name for group in grouped.groups] == ["euler", "heun"]
    for group, number in zip(grouped.groups, (1, 3), strict=True):
        assert group.prompts == ("an old fox", "a young fox")
        assert group.paths == tuple(paths(runs, number, wording, (4, 2, 9)) for wording in (0, 1))


def test_group_by_wording_has_one_circumstance(painted):
    """The same noun for words: their labels, at all seeds of the run."""
    _, runs = painted([STEPS], variants=WORDS, seeds=(1, 2))
    grouped = group_by_wording(runs[2])
    assert (grouped.kind, grouped.number, grouped.seeds, grouped.circumstances) == ("run", 2, (1, 2), 1)
    assert [(group.name, group.paths) for group in grouped.groups] == [
        ("old", (paths(runs, 2, 0, (1, 2)),)), ("young", (paths(runs, 2, 1, (1, 2)),)),
    ]  # fmt: skip


def test_settings_that_vary_together_are_one_axis_by_either_name(painted):
    """Of a zip group, and of the two sides of a size; another seed is no other circumstance."""
    together = [{**steps, "guidance_scale": guidance} for steps, guidance in zip(STEPS, "78", strict=True)]
    sweep, runs = painted([together, [{"seeds": "1"}, {"seeds": "2"}]], seeds=(1, 2))
    assert axis_name(sweep.dimensions[0]) == "steps and guidance"
    for name in ("guidance", "guidance_scale", "steps"):
        assert asked_dimensions(sweep, [name]) == asked_dimensions(sweep, ()) == (0,)
    grouped = group_by_axis(sweep, runs, 0)
    assert (grouped.circumstances, [group.name for group in grouped.groups]) == (1, ["5, 7", "6, 8"])
    assert axis_name(("width", "height")) == "size"


def test_sweep_of_too_little_is_refused(painted):
    """Nothing varies, an unknown setting, no circumstance or too few seeds in common: one line, with what to do."""
    sweep, _ = painted([STEPS[:1]])
    with pytest.raises(InputError, match=r"sweep 3 has no setting of two values; .* type: promptlab run"):
        asked_dimensions(sweep, ())
    sweep, runs = painted([SCHEDULERS, STEPS], skip={(0, 1), (1, 0)}, seeds=(1, 2))
    with pytest.raises(UnknownValue, match=r"allowed: scheduler, steps; type: promptlab effect sweep:3"):
        asked_dimensions(sweep, ["vae"])
    with pytest.raises(InputError, match=r"has no wording and other settings that all values of steps were made with"):
        group_by_axis(sweep, runs, 1)
    sweep, runs = painted([STEPS], seeds=(1, 2))
    owed = tuple(replace(image, status=ImageStatus.OWED, path=None) for image in runs[2].images[1:])
    runs[2] = replace(runs[2], images=(runs[2].images[0], *owed))
    with pytest.raises(InputError, match=r"has one seed at which every value of steps .* type: promptlab resume 2"):
        group_by_axis(sweep, runs, 0)
    sweep, runs = painted([STEPS])
    with pytest.raises(InputError, match=r"has one seed at which .* the command that made it, with --seeds 0-7"):
        group_by_axis(sweep, runs, 0)
