"""Two runs or images are compared: settings, prompts, and images of the same seed."""

from promptlab.lab.history.compare import draw


def test_diff_of_parent_and_child_compares_the_same_seeds(story):
    """Four wordings against the one they came from, at the seed that both have."""
    found = story.history.diff("2", "3")
    assert [(one.before.ref, one.after.ref) for one in found.pictures] == [("2/1", f"3/{place}") for place in range(4)]
    assert [change.field for change in found.changes] == ["num_inference_steps", "seeds"]
    assert found.environment == ()
    back = story.history.diff("3", "2")
    assert [(one.before.ref, one.after.ref) for one in back.pictures] == [(f"3/{place}", "2/1") for place in range(4)]


def test_diff_with_itself_finds_nothing(story):
    """Every picture is identical, and no field differs."""
    found = story.history.diff("1", "1")
    assert (found.changes, found.environment) == ((), ())
    assert all(one.difference is not None and one.difference.identical for one in found.pictures)


def test_diff_of_an_image_compares_it_with_an_image_or_a_run(story):
    """Two images whatever their seeds; an image and a run at the image's seed."""
    assert [(one.before.ref, one.after.ref) for one in story.history.diff("1/0", "3/2").pictures] == [("1/0", "3/2")]
    assert [(one.before.ref, one.after.ref) for one in story.history.diff("2/1", "3").pictures] == [
        ("2/1", f"3/{place}") for place in range(4)
    ]
    assert [(one.before.ref, one.after.ref) for one in story.history.diff("1", "2/3").pictures] == [("1/3", "2/3")]


def test_diff_without_a_common_seed_has_no_images(story):
    """There is nothing to draw; the fields are told all the same."""
    story.rerun(story.history.find("1"), changes={"seeds": (100, 101)})
    found = story.history.diff("1", "4")
    assert (found.pictures, draw(found, story.workspace)) == ((), None)
    assert found.seeds == ((0, 1, 2, 3), (100, 101))


def test_diff_of_images_that_cannot_be_compared_says_why(story):
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
