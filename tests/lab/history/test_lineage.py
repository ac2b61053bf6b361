"""The tree of runs, with a real database and a painter."""

from __future__ import annotations

import pytest

from promptlab.errors import InputError, NotFound
from promptlab.expand import Axis, build_sweep
from promptlab.expand.variant_pairs import Pair
from promptlab.lab import PromptEdit
from promptlab.lab.history.lineage import RunEntry, SweepEntry
from tests.lab.history.specs import spec


def swept(*steps):
    return build_sweep(spec("a fox"), [Axis(field="steps", values=steps)])


def test_tree_of_reruns_is_one_tree(story):
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


def test_tree_of_an_image_shows_its_ancestors(story):
    """The image, its parent, and the parent's parent; the run is marked in its whole tree."""
    tree = story.history.tree("3/2")
    assert [(one.run_id, one.position, one.seed) for one in tree.image] == [(3, 2, 1), (2, 1, 1), (1, 1, 1)]
    assert tree.marked == ("run", 3)
    assert set(tree.entries) == {("run", 1), ("run", 2), ("run", 3)}
    picture = story.workspace.root / story.notebook.run(3).images[2].path
    assert story.history.tree(str(picture)) == tree
    assert story.history.tree(str(story.workspace.grid(3))) == story.history.tree("3") == story.history.tree("last")


def test_tree_of_a_run_is_its_own_only(story):
    """Another run of the experiment, of which nothing came, is another tree."""
    story.run(spec("a fox"))
    assert set(story.history.tree("2").entries) == {("run", 1), ("run", 2), ("run", 3)}
    assert set(story.history.tree("4").entries) == {("run", 4)}
    assert story.history.tree().roots == (("promptlab", (("run", 1), ("run", 4))),)


def test_tree_of_a_sweep_has_its_runs_below_it(lab):
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


def test_tree_with_a_limit_keeps_the_newest(story):
    """What it leaves out is counted; a run whose parent was left out begins a tree, and still says what changed."""
    tree = story.history.tree(limit=2)
    assert (tree.roots, tree.left_out) == ((("promptlab", (("run", 2),)),), 1)
    second = tree.entries["run", 2]
    assert isinstance(second, RunEntry)
    assert second.parent is not None
    assert second.parent.id == 1
    assert set(story.history.tree("1", limit=1).entries) == {("run", 1), ("run", 3)}


def test_tree_across_experiments_is_whole_for_a_run_only(story):
    """A rerun under another name begins a tree there; asked for itself, it hangs from where it came from."""
    story.rerun(story.history.find("2"), experiment="masks", changes={"guidance_scale": 3.0})
    assert story.history.tree().roots == (("promptlab", (("run", 1),)), ("masks", (("run", 4),)))
    assert story.history.tree("masks").roots == (("masks", (("run", 4),)),)
    assert story.history.tree("4").roots == (("promptlab", (("run", 1),)),)
    assert story.history.tree("2").entries["run", 2].children == (("run", 3), ("run", 4))


def test_tree_of_reruns_of_reruns_is_flat(lab):
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
def test_tree_of_what_is_missing_names_what_exists(ref, sentence, story):
    """The sentence says what is there instead."""
    with pytest.raises(InputError) as said:
        story.history.tree(ref)
    assert sentence in str(said.value)


def test_tree_of_an_empty_workspace_is_empty(tmp_path):
    """Nothing is written by asking, and a name is told that there is nothing yet."""
    from promptlab.lab import Lab

    lab = Lab(tmp_path / "new")
    assert lab.history.tree().entries == {}
    with pytest.raises(NotFound, match="none yet in this workspace"):
        lab.history.tree("1")
    assert not (tmp_path / "new").exists()
