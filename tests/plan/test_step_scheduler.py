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


def turns(scheduler, asks, watch=lambda images: None):
    """The forwards of images that each ask for what ``asks`` says, in order: lanes, the last of all "decode"."""
    left = {image: list(each) for image, each in enumerate(asks)}

    def ask(image):
        if left[image]:
            scheduler.ask(image, left[image][0], last=left[image][0] == "decode")
        else:
            scheduler.end(image)

    while True:
        while (image := scheduler.begin()) is not None:
            ask(image)
        images = scheduler.turn()
        if not images:
            return
        lanes = {left[image].pop(0) for image in images}
        assert len(lanes) == 1
        yield images, lanes.pop()
        watch(images)
        for image in images:
            ask(image)


def lanes_of(work):
    return [["guided"] * guided + ["plain"] * plain for guided, plain in work]


@given(slots=SLOTS, work=st.lists(ANY, max_size=30))
def test_step_scheduler_gives_every_image_its_steps(slots, work):
    """So many with guidance, then so many without; never two in one forward, never more than there are slots."""
    guided, plain = Counter(), Counter()
    for images, lane in turns(StepScheduler(slots, work), lanes_of(work)):
        assert 1 <= len(set(images)) == len(images) <= slots
        (guided if lane == "guided" else plain).update(images)
    assert [(guided[image], plain[image]) for image in range(len(work))] == work


@given(slots=SLOTS, work=st.lists(ONE_KIND, max_size=30))
def test_step_scheduler_of_one_kind_takes_the_fewest_forwards(slots, work):
    """For images of one kind: as many as the longest takes, or as the work takes when slots are never empty."""
    least = 0
    for kind in (0, 1):
        counts = [each[kind] for each in work if each[kind]]
        least += max(*counts, -(-sum(counts) // slots)) if counts else 0
    assert sum(1 for _ in turns(StepScheduler(slots, work), lanes_of(work))) == forwards(slots, work) == least


@given(slots=SLOTS, work=st.lists(ANY, max_size=20))
def test_forwards_count_what_the_step_scheduler_yields(slots, work):
    """Of images that change their kind half-way, too."""
    assert sum(1 for _ in turns(StepScheduler(slots, work), lanes_of(work))) == forwards(slots, work)


def test_step_scheduler_guidance_dropped_on_the_way_costs_little():
    """64 images of three lengths that drop it after 0.4 of their steps: less than 5 % above the work."""
    work = [(round(0.4 * steps), steps - round(0.4 * steps)) for steps in (10, 20, 30, 30) for _ in range(16)]
    for slots in (4, 8):
        assert forwards(slots, work) <= 1.05 * (-(-sum(map(sum, work)) // slots))


@given(slots=SLOTS, asks=st.lists(st.lists(st.sampled_from("abc"), max_size=12), max_size=20), guess=st.integers(1, 9))
def test_step_scheduler_of_wrong_guesses_serves_everybody(slots, asks, guess):
    """An image asks for more than was thought, for less, or for something that nobody else does: it gets it."""
    seen = {image: [] for image in range(len(asks))}
    for images, lane in turns(StepScheduler(slots, [(0, guess)] * len(asks)), asks):
        for image in images:
            seen[image].append(lane)
    assert list(seen.values()) == asks


@given(slots=SLOTS, count=st.integers(1, 20))
def test_step_scheduler_decoding_waits_for_company(slots, count):
    """As many forwards as there are full ones, and one for the rest; no step is kept waiting by it."""
    work = [(0, 1 + image % 3) for image in range(count)]
    asks = [["plain"] * plain + ["decode"] for _, plain in work]
    told = [lane for _, lane in turns(StepScheduler(slots, work), asks)]
    assert told.count("decode") == -(-count // slots)
    assert told.count("plain") == forwards(slots, work)


@given(slots=SLOTS, work=st.lists(ONE_KIND, min_size=1, max_size=30), at=st.integers(0, 40))
def test_step_scheduler_stopped_begins_no_image(slots, work, at):
    """Those that are under way have all their turns; the others none."""
    scheduler = StepScheduler(slots, work)
    seen: Counter[int] = Counter()
    for number, (images, _) in enumerate(turns(scheduler, lanes_of(work), seen.update)):
        if number == at:
            scheduler.stop()
            assert scheduler.begin() is None
        assert images
    assert all(seen[image] in (0, sum(work[image])) for image in range(len(work)))


@given(slots=SLOTS, work=st.lists(ONE_KIND, min_size=1, max_size=30))
def test_step_scheduler_together_begins_none_beside_others(slots, work):
    """Where a part has to be fetched before it is used, a wave of images goes through all parts, then the next."""
    scheduler, begun, ended = StepScheduler(slots, work, together=True), set(), Counter()
    asks = [[*each, "decode"] for each in lanes_of(work)]
    for images, lane in turns(scheduler, asks):
        ended.update(images if lane == "decode" else ())
        begun.update(images)
        assert len(begun) - len(ended) <= slots
    assert len(ended) == len(work)
