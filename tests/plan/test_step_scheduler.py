"""Whose turn it is: everybody's in the end, in as few forwards as there can be."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from promptlab.plan.step_scheduler import StepScheduler, forwards

SLOTS = st.sampled_from([1, 2, 3, 4, 8])
ONE_KIND = st.one_of(
    st.tuples(st.integers(1, 30), st.just(0)),
    st.tuples(st.just(0), st.integers(1, 30)),
)
ANY = st.tuples(st.integers(0, 20), st.integers(0, 20))


@given(slots=SLOTS, work=st.lists(ANY, max_size=30))
def test_step_scheduler_gives_every_image_its_steps(slots, work):
    """So many with guidance, then so many without; never two in one forward, never more than there are slots."""
    guided, plain = Counter(), Counter()
    for turn in StepScheduler(slots, work):
        assert 1 <= len(set(turn.images)) == len(turn.images) <= slots
        if turn.guided:
            assert not plain.keys() & set(turn.images)
        (guided if turn.guided else plain).update(turn.images)
    assert [(guided[image], plain[image]) for image in range(len(work))] == work


@given(slots=SLOTS, work=st.lists(ONE_KIND, max_size=30))
def test_step_scheduler_of_one_kind_takes_the_fewest_forwards(slots, work):
    """For images of one kind: as many as the longest takes, or as the work takes when slots are never empty."""
    least = 0
    for kind in (0, 1):
        counts = [each[kind] for each in work if each[kind]]
        least += max(*counts, -(-sum(counts) // slots)) if counts else 0
    assert sum(1 for _ in StepScheduler(slots, work)) == forwards(slots, work) == least


@given(slots=SLOTS, work=st.lists(ANY, max_size=20))
def test_forwards_count_what_the_step_scheduler_yields(slots, work):
    """Of images that change their kind half-way, too."""
    assert sum(1 for _ in StepScheduler(slots, work)) == forwards(slots, work)


def test_step_scheduler_guidance_dropped_on_the_way_costs_little():
    """64 images of three lengths that drop it after 0.4 of their steps: less than 5 % above the work."""
    work = [(round(0.4 * steps), steps - round(0.4 * steps)) for steps in (10, 20, 30, 30) for _ in range(16)]
    for slots in (4, 8):
        assert forwards(slots, work) <= 1.05 * (-(-sum(map(sum, work)) // slots))


@given(slots=SLOTS, work=st.lists(ONE_KIND, min_size=1, max_size=30), at=st.integers(0, 40))
def test_step_scheduler_stopped_begins_no_image(slots, work, at):
    """Those that have had a turn have all of theirs; the others none."""
    turns = StepScheduler(slots, work)
    seen: Counter[int] = Counter()
    stopped: set[int] | None = None
    for number, turn in enumerate(turns):
        if number == at:
            turns.stop()
            stopped = {*seen, *turn.images}  # the turn that was being handed out is still had
        seen.update(turn.images)
    if stopped is not None:
        assert seen.keys() == stopped
    assert all(seen[image] == sum(work[image]) for image in seen)


@given(slots=SLOTS, work=st.lists(ONE_KIND, min_size=1, max_size=30), bad=st.integers(0, 29))
def test_step_scheduler_image_dropped_leaves_the_others_alone(slots, work, bad):
    """It has no turn after that; all the others have theirs."""
    turns = StepScheduler(slots, work)
    seen: Counter[int] = Counter()
    for turn in turns:
        seen.update(turn.images)
        if bad in turn.images:
            turns.drop(bad)
    assert seen[bad] == (1 if bad < len(work) else 0)
    assert all(seen[image] == sum(work[image]) for image in range(len(work)) if image != bad)
