"""The tree of runs, and what tells two of them apart: with a real database and a painter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.errors import InputError, NotFound
from promptlab.expand import build_sweep
from promptlab.expand.sweep import Axis
from promptlab.expand.variant_pairs import Pair, paired
from promptlab.lab import PromptEdit
from promptlab.lab.history.compare import draw
from promptlab.lab.history.lineage import RunEntry, SweepEntry
from promptlab.specs import PipelineSpec, RunSpec, Variant

WORDS = st.lists(st.sampled_from("abc"), min_size=1, max_size=5)
CHIEF = "portrait photo of a old warrior chief"


def spec(*prompts, seeds=(0, 1, 2, 3), **changes):
    variants = tuple(Variant(prompt=prompt, label=prompt) for prompt in prompts or (CHIEF,))
    return RunSpec(pipeline=PipelineSpec(model="mini"), variants=variants, seeds=seeds).vary(**changes)


def swept(*steps):
    return build_sweep(spec("a fox"), [Axis(field="steps", values=steps)])


@pytest.fixture
def story(lab):
    """A run, better words, one seed at four ages."""
    lab.run(spec(num_inference_steps=20))
    lab.rerun(lab.history.find("last"), edit=PromptEdit(append=(", serious eyes",)))
    lab.rerun(
        lab.history.find("last"), seeds=(1,), edit=PromptEdit(replace=("a old=>{the oldest|a old|a|a young}",)),
        changes={"num_inference_steps": 25},
    )  # fmt: skip
    return lab


def test_the_story_is_one_tree(story):
    """Each run hangs from the one it was varied from, with what changed and which words stand against which."""
    tree = story.history.tree()
    assert tree.roots == (("promptlab", (("run", 1),)),)
    first, second, third = (tree.entries["run", number] for number in (1, 2, 3))
    assert isinstance(first, RunEntry)
    assert isinstance(third, RunEntry)
    assert (first.children, second.children, third.children) == ((("run", 2),), (("run", 3),), ())
    assert (first.run.images, first.run.made, first.run.parent_image) == (4, 4, None)
    assert third.run.parent_image == (2, 1)
    assert [str(change) for change in third.settings] == ["num_inference_steps: 20 → 25", "seeds: 0, 1, 2, 3 → 1"]
    assert third.pairs == tuple(Pair(before=0, after=place) for place in range(4))
    assert third.run.variants == story.notebook.run(3).spec.variants


def test_an_image_shows_what_it_came_of(story):
    """The image, its parent, and the parent's parent; the run is marked in its whole tree."""
    tree = story.history.tree("3/2")
    assert [(one.run_id, one.position, one.seed) for one in tree.image] == [(3, 2, 1), (2, 1, 1), (1, 1, 1)]
    assert tree.marked == ("run", 3)
    assert set(tree.entries) == {("run", 1), ("run", 2), ("run", 3)}
    picture = story.workspace.root / story.notebook.run(3).images[2].path
    assert story.history.tree(str(picture)) == tree
    assert story.history.tree(str(story.workspace.grid(3))) == story.history.tree("3") == story.history.tree("last")


def test_a_run_names_its_own_tree_only(story):
    """Another run of the experiment, of which nothing came, is another tree."""
    story.run(spec("a fox"))
    assert set(story.history.tree("2").entries) == {("run", 1), ("run", 2), ("run", 3)}
    assert set(story.history.tree("4").entries) == {("run", 4)}
    assert story.history.tree().roots == (("promptlab", (("run", 1), ("run", 4))),)


def test_the_runs_of_a_sweep_stand_under_it(lab):
    """Those of which nothing came are counted; a rerun of one brings that one to light, and --all every one."""
    lab.run_sweep(swept(5, 6, 7))
    lab.rerun(lab.history.find("2"), edit=PromptEdit(append=(" in snow",)))
    tree = lab.history.tree()
    entry = tree.entries["sweep", 1]
    assert isinstance(entry, SweepEntry)
    assert (entry.runs, entry.children, entry.sweep.dimensions) == ((1, 2, 3), (("run", 2),), (("steps",),))
    assert tree.entries["run", 2].children == (("run", 4),)
    assert ("run", 1) not in tree.entries
    assert lab.history.tree(every=True).entries["sweep", 1].children == (("run", 1), ("run", 2), ("run", 3))
    assert lab.history.tree("4").entries == lab.history.tree("sweep:1").entries == tree.entries
    assert ("run", 3) in lab.history.tree("3").entries


def test_a_limit_keeps_the_newest(story):
    """What it leaves out is counted; a run whose parent was left out begins a tree, and still says what changed."""
    tree = story.history.tree(limit=2)
    assert (tree.roots, tree.left_out) == ((("promptlab", (("run", 2),)),), 1)
    second = tree.entries["run", 2]
    assert isinstance(second, RunEntry)
    assert second.parent is not None
    assert second.parent.id == 1
    assert set(story.history.tree("1", limit=1).entries) == {("run", 1), ("run", 3)}


def test_experiments_are_apart_and_a_run_brings_its_tree_together(story):
    """A rerun under another name begins a tree there; asked for itself, it hangs from where it came from."""
    story.rerun(story.history.find("2"), experiment="masks", changes={"guidance_scale": 3.0})
    assert story.history.tree().roots == (("promptlab", (("run", 1),)), ("masks", (("run", 4),)))
    assert story.history.tree("masks").roots == (("masks", (("run", 4),)),)
    assert story.history.tree("4").roots == (("promptlab", (("run", 1),)),)
    assert story.history.tree("2").entries["run", 2].children == (("run", 3), ("run", 4))


def test_reruns_of_reruns_are_flat(lab):
    """A long line of reruns is as many entries, none inside another."""
    lab.run(spec("word"))
    for number in range(1, 8):
        lab.rerun(lab.history.find(str(number)), edit=PromptEdit(append=(f" {number}",)))
    tree = lab.history.tree()
    assert len(tree.entries) == 8
    assert all(len(entry.children) == 1 for key, entry in tree.entries.items() if key != ("run", 8))


@pytest.mark.parametrize(
    ("ref", "sentence"),
    [
        ("9", "run 9 does not exist; allowed: 1 to 3"),
        ("3/4", "image '3/4' does not exist; allowed: 3/0 to 3/3"),
        ("sweep:1", "sweep 1 does not exist; allowed: none yet"),
        ("promptlib", "did you mean promptlab?"),
        ("nothing.png", "image 'nothing.png' does not exist"),
    ],
)
def test_what_is_not_there_is_named(ref, sentence, story):
    """The sentence says what is there instead."""
    with pytest.raises(InputError) as said:
        story.history.tree(ref)
    assert sentence in str(said.value)


def test_an_empty_workspace_has_no_tree(tmp_path):
    """Nothing is written by asking, and a name is told that there is nothing yet."""
    from promptlab.lab import Lab

    lab = Lab(tmp_path / "new")
    assert lab.history.tree().entries == {}
    with pytest.raises(NotFound, match="none yet in this workspace"):
        lab.history.tree("1")
    assert not (tmp_path / "new").exists()


def test_a_diff_of_parent_and_child_compares_the_same_seeds(story):
    """Four wordings against the one they came from, at the seed that both have."""
    found = story.history.diff("2", "3")
    assert [(one.before.ref, one.after.ref) for one in found.pictures] == [("2/1", f"3/{place}") for place in range(4)]
    assert [change.field for change in found.changes] == ["num_inference_steps", "seeds"]
    assert found.environment == ()
    back = story.history.diff("3", "2")
    assert [(one.before.ref, one.after.ref) for one in back.pictures] == [(f"3/{place}", "2/1") for place in range(4)]


def test_a_diff_with_itself_finds_nothing(story):
    """Every picture is identical, and no field differs."""
    found = story.history.diff("1", "1")
    assert (found.changes, found.environment) == ((), ())
    assert all(one.difference is not None and one.difference.identical for one in found.pictures)


def test_an_image_is_compared_with_an_image_or_with_a_run(story):
    """Two images whatever their seeds; an image and a run at the image's seed."""
    assert [(one.before.ref, one.after.ref) for one in story.history.diff("1/0", "3/2").pictures] == [("1/0", "3/2")]
    assert [(one.before.ref, one.after.ref) for one in story.history.diff("2/1", "3").pictures] == [
        ("2/1", f"3/{place}") for place in range(4)
    ]
    assert [(one.before.ref, one.after.ref) for one in story.history.diff("1", "2/3").pictures] == [("1/3", "2/3")]


def test_runs_without_a_common_seed_have_no_pictures_side_by_side(story):
    """There is nothing to draw; the fields are told all the same."""
    story.rerun(story.history.find("1"), changes={"seeds": (100, 101)})
    found = story.history.diff("1", "4")
    assert (found.pictures, draw(found, story.workspace)) == ((), None)
    assert found.seeds == ((0, 1, 2, 3), (100, 101))


def test_pictures_that_cannot_be_compared_say_why(story):
    """Two sizes, a lost file, a damaged one: a sentence each, and the others are compared."""
    story.rerun(story.history.find("1"), changes={"height": 64, "width": 48})
    assert story.history.diff("1", "4").pictures[0].problem == "sizes differ: 32x32 and 48x64"
    folder = story.workspace.run_folder(2)
    (folder / "v00-seed0.png").unlink()
    (folder / "v00-seed1.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    problems = [one.problem for one in story.history.diff("1", "2").pictures]
    assert "does not exist" in problems[0]
    assert "PNG" in problems[1]
    assert problems[2:] == [None, None]
    assert draw(story.history.diff("1", "2"), story.workspace) is not None


def test_wordings_are_paired_by_source_then_words_then_label_then_place():
    """What a variant says of its origin counts first; what nothing stands against is a pair of its own."""
    before = [Variant(prompt="a", label="x"), Variant(prompt="b", label="y"), Variant(prompt="c", label="z")]
    after = [Variant(prompt="q", source=2), Variant(prompt="b"), Variant(prompt="r", label="x"), Variant(prompt="s")]
    assert paired(before, after, varied=True) == (
        Pair(before=2, after=0), Pair(before=1, after=1), Pair(before=0, after=2), Pair(before=None, after=3),
    )  # fmt: skip
    assert paired(before, after[:1], varied=True)[1:] == (Pair(before=0, after=None), Pair(before=1, after=None))
    assert paired(before[:1], after, varied=False) == tuple(Pair(before=0, after=place) for place in range(4))


@given(WORDS, WORDS, st.booleans())
def test_no_wording_is_left_out_of_the_pairs(before, after, varied):
    """Whatever the words are, each side is covered."""
    pairs = paired([Variant(prompt=one) for one in before], [Variant(prompt=one) for one in after], varied=varied)
    assert {pair.before for pair in pairs} >= set(range(len(before)))
    assert {pair.after for pair in pairs} >= set(range(len(after)))
