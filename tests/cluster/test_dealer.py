"""Who makes what: everything once, nobody idle while another has two batches left, few loads."""

import heapq
import itertools
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.cluster.dealer import LOSSES, Dealer
from promptlab.cluster.work_items import WorkItem, work_items
from promptlab.plan import requests_of
from promptlab.specs import PipelineSpec, RunSpec, Variant
from promptlab.testing import Painter

KINDS = st.lists(
    st.tuples(st.integers(1, 40), st.sampled_from([1, 2, 4]), st.sampled_from("MNO"), st.integers(1, 9)), max_size=6
)
"""Images, rows, pipeline and cost of each batch key."""


def items_of(kinds):
    return [
        WorkItem(id=f"{key}/{number}", batch_key=str(key), pipeline_key=pipeline, rows=rows, cost=cost)
        for key, (images, rows, pipeline, cost) in enumerate(kinds)
        for number in range(images)
    ]


class Floor:
    """Workers that take the time that images cost, and longer to load; the clock is only counted."""

    def __init__(self, items, workers, *, load=0.0, watch=lambda dealer: None):
        self.items = {item.id: item for item in items}
        self.dealer = Dealer(items)
        self.made, self.loads, self.time, self.shares = Counter(), 0, 0.0, []
        self._load, self._watch = load, watch
        self._loaded, self._left, self._events, self._asked = {}, {}, [], set()
        self._lives, self._numbers = Counter(), itertools.count()
        for worker in workers:
            self.dealer.join(worker)

    def run(self):
        self._deal_all()
        while self._events:
            self.time, _, (worker, life), batch = heapq.heappop(self._events)
            if life == self._lives[worker]:
                self._batch_done(worker, batch)
                self._watch(self.dealer)
        return self

    def lose(self, worker):
        self._left.pop(worker, None)
        self._lives[worker] += 1
        self._asked.discard(worker)
        given_up = self.dealer.lose(worker)
        self.dealer.join(worker)
        self._deal_all()
        return given_up

    def _deal_all(self):
        for worker in list(self.dealer._workers):
            if worker in self._left:
                continue
            ids = list(self.dealer.deal(worker))
            if ids:
                self.shares.append((worker, ids))
                self._left[worker] = ids
                self._begin_batch(worker)
            elif (victim := self.dealer.victim(worker)) is not None:
                self._asked.add(victim)

    def _begin_batch(self, worker):
        ids = self._left[worker]
        first = self.items[ids[0]]
        batch = ids[: first.rows]
        load = 0.0
        if self._loaded.get(worker) != first.pipeline_key:
            self._loaded[worker], load = first.pipeline_key, self._load
            self.loads += 1
        for one in batch:
            self.dealer.begin(worker, one)
        took = load + max(self.items[one].cost for one in batch)
        event = self.time + took, next(self._numbers), (worker, self._lives[worker]), batch
        heapq.heappush(self._events, event)

    def _batch_done(self, worker, batch):
        for one in batch:
            assert self.dealer.settle(worker, one)
            self.made[one] += 1
        ids = self._left[worker] = self._left[worker][len(batch) :]
        if ids and worker not in self._asked:
            self._begin_batch(worker)
        else:
            self._asked.discard(worker)
            del self._left[worker]
            self.dealer.end(worker)
        self._deal_all()


@given(kinds=KINDS, workers=st.integers(1, 5))
def test_dealer_deals_every_image_once(kinds, workers):
    """Whatever there is to make, and by however many."""
    items = items_of(kinds)
    floor = Floor(items, map(str, range(workers))).run()
    assert floor.made == Counter(item.id for item in items)
    assert floor.dealer.unsettled == floor.dealer.under_way == 0


@given(kinds=KINDS, workers=st.integers(1, 5))
def test_dealer_deals_only_what_may_share_forwards(kinds, workers):
    """A share is of one batch key, and of whole batches but for the last."""
    floor = Floor(items_of(kinds), map(str, range(workers))).run()
    for _, ids in floor.shares:
        assert len({floor.items[one].batch_key for one in ids}) == 1


@given(images=st.integers(1, 200), rows=st.sampled_from([1, 4]), workers=st.integers(1, 6))
def test_dealer_ends_with_all_workers_together(images, rows, workers):
    """No worker stands idle while another has two batches left: the last ends at most a batch later than it could."""
    floor = Floor(items_of([(images, rows, "M", 1)]), map(str, range(workers))).run()
    batches = -(-images // rows)
    assert floor.time <= -(-batches // workers) + 1


def test_dealer_of_unequal_costs_begins_with_the_longest():
    """A long image that is begun last would end alone."""
    items = [WorkItem(id=str(cost), batch_key="a", pipeline_key="M", rows=1, cost=cost) for cost in (1, 2, 3, 4, 5, 30)]
    floor = Floor(items, "xy").run()
    assert floor.time == 30


def test_dealer_of_two_pipelines_loads_each_where_it_is_made():
    """Two workers and two pipelines: each loads one, though both have several shapes."""
    kinds = [(16, 4, pipeline, 1) for pipeline in "MNMN"]
    floor = Floor(items_of(kinds), "xy", load=50.0).run()
    assert floor.loads == 2


def test_dealer_deals_all_workers_the_only_pipeline():
    """Where there is one pipeline, all load it."""
    floor = Floor(items_of([(64, 4, "M", 1)]), "xyz").run()
    assert {worker for worker, _ in floor.shares} == {"x", "y", "z"}


@given(kinds=KINDS, seed=st.integers(0, 99))
def test_dealer_deals_again_what_a_lost_worker_had(kinds, seed):
    """Nothing lost, nothing twice, whoever is lost whenever; what was begun is dealt alone afterwards."""
    chance = random.Random(seed)
    items, lost = items_of(kinds), []

    def watch(_dealer):
        if len(lost) < LOSSES - 1 and chance.random() < 0.2:
            lost.append(floor.lose(chance.choice("xyz")))

    floor = Floor(items, "xyz", watch=watch)
    floor.run()
    assert lost == [()] * len(lost)
    assert floor.made == Counter(item.id for item in items)


def test_dealer_gives_up_an_image_by_which_workers_die():
    """After three; those that shared its first batch are made."""
    dealer, made = Dealer(items_of([(4, 4, "M", 1)])), set()
    dealer.join("x")
    given_up = ()
    while not given_up:
        ids = dealer.deal("x")
        if "0/2" in ids:
            [dealer.begin("x", one) for one in ids]
            given_up = dealer.lose("x")
            dealer.join("x")
            continue
        for one in ids:
            dealer.settle("x", one)
            made.add(one)
        dealer.end("x")
    while ids := dealer.deal("x"):
        made.update(one for one in ids if dealer.settle("x", one))
        dealer.end("x")
    assert given_up == ("0/2",)
    assert made == {"0/0", "0/1", "0/3"}
    assert dealer.unsettled == 0


def test_dealer_deals_what_one_worker_refused_to_the_others():
    """A smaller memory, or weights that are not there: another may have them; when none has, they are given up."""
    dealer = Dealer(items_of([(4, 4, "M", 1)]))
    dealer.join("x")
    dealer.join("y")
    ids = dealer.deal("x")
    dealer.refuse("x", ids)
    dealer.end("x")
    assert dealer.give_up() == ()
    assert dealer.deal("x") == ()
    assert set(dealer.deal("y")) == set(ids)
    dealer.refuse("y", ids)
    dealer.end("y")
    assert set(dealer.give_up()) == set(ids)
    assert dealer.unsettled == 0


def test_dealer_deals_what_failed_on_one_worker_to_another_in_whole_batches():
    """First of all, and to the first never again; it makes nothing new until that is settled."""
    dealer = Dealer(items_of([(12, 4, "M", 1)]))
    dealer.join("x")
    dealer.join("y")
    failed = dealer.deal("x")
    assert all(dealer.try_elsewhere("x", one) for one in failed)
    assert not dealer.try_elsewhere("x", failed[0])
    dealer.end("x")
    assert dealer.deal("x") == ()
    assert set(dealer.deal("y")) == set(failed)
    dealer.trust("x")
    assert len(dealer.deal("x")) == 4
    assert dealer.unsettled == 12


def test_dealer_gives_up_what_failed_where_nobody_else_is_left():
    """There is no other worker to try it."""
    dealer = Dealer(items_of([(4, 4, "M", 1)]))
    dealer.join("x")
    dealer.join("y")
    failed = dealer.deal("x")
    assert all(dealer.try_elsewhere("x", one) for one in failed)
    assert dealer.give_up() == ()
    assert dealer.leave("y") == ()
    assert set(dealer.give_up()) == set(failed)
    assert dealer.unsettled == 0


def test_dealer_deals_anew_what_a_worker_had_that_is_taken_out():
    """What it had begun counts as lost with it, for that may be what it broke by."""
    dealer = Dealer(items_of([(4, 2, "M", 1)]))
    for worker in "xyz":
        dealer.join(worker)
    first, second = dealer.deal("x"), dealer.deal("y")
    dealer.begin("x", first[0])
    assert dealer.leave("x") == dealer.leave("y") == ()
    assert dealer.deal("z") == first[:1]
    dealer.settle("z", first[0])
    dealer.end("z")
    assert dealer.unsettled == 3
    assert not dealer.knows("x")
    assert second


def test_dealer_without_a_worker_gives_nothing_up():
    """Those that were lost may come back."""
    dealer = Dealer(items_of([(4, 4, "M", 1)]))
    dealer.join("x")
    dealer.deal("x")
    dealer.lose("x")
    assert dealer.give_up() == ()
    assert dealer.unsettled == 4


def test_dealer_stopped_deals_nothing_more():
    """What is under way is finished, and taken back by nobody."""
    dealer = Dealer(items_of([(64, 4, "M", 1)]))
    dealer.join("x")
    dealer.join("y")
    ids = dealer.deal("x")
    dealer.stop()
    assert ids
    assert dealer.deal("y") == ()
    assert dealer.victim("y") is None


def test_dealer_that_is_told_twice_of_an_image_counts_it_once():
    """A worker that was thought lost may still have sent one."""
    dealer = Dealer(items_of([(4, 4, "M", 1)]))
    dealer.join("x")
    (first, *_) = dealer.deal("x")
    assert dealer.settle("x", first)
    assert not dealer.settle("x", first)
    assert dealer.unsettled == 3


def test_dealer_that_deals_to_a_busy_worker_is_refused():
    """Its share would be forgotten."""
    dealer = Dealer(items_of([(4, 4, "M", 1)]))
    dealer.join("x")
    dealer.deal("x")
    with pytest.raises(ValueError, match="share"):
        dealer.deal("x")


def test_work_items_tell_pipelines_apart_and_cost():
    """Runs of one model are of one pipeline, whatever their size; twice the steps or the pixels cost twice as much."""
    spec = RunSpec(pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a"),), seeds=(1,))
    specs = [
        spec.vary(num_inference_steps=10),
        spec.vary(num_inference_steps=20),
        spec.vary(num_inference_steps=10, height=64, width=32),
        spec.vary(num_inference_steps=10, guidance_scale=1.0),
        spec.vary(num_inference_steps=10, dtype="bfloat16"),
        spec.vary(num_inference_steps=10, quantization="int8"),
    ]
    items = [work_items(requests_of(one))[0] for one in Painter().resolve(specs)]
    assert [item.cost / items[0].cost for item in items] == [1, 2, 2, 0.5, 1, 1]
    assert len({item.pipeline_key for item in items[:4]}) == 1
    assert len({item.pipeline_key for item in (items[0], *items[4:])}) == 3
    assert items[0].batch_key == items[1].batch_key != items[2].batch_key
