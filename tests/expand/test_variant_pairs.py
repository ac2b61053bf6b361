"""The prompts of two runs are paired: each with the one that it was varied from, or else is most like."""

from hypothesis import given
from hypothesis import strategies as st

from promptlab.expand.variant_pairs import Pair, paired
from promptlab.specs import Variant

WORDS = st.lists(st.sampled_from("abc"), min_size=1, max_size=5)


def test_pairs_go_by_source_then_words_then_label_then_place():
    """What a variant says of its origin counts first; what nothing stands against is a pair of its own."""
    before = [Variant(prompt="a", label="x"), Variant(prompt="b", label="y"), Variant(prompt="c", label="z")]
    after = [Variant(prompt="q", source=2), Variant(prompt="b"), Variant(prompt="r", label="x"), Variant(prompt="s")]
    assert paired(before, after, varied=True) == (
        Pair(before=2, after=0), Pair(before=1, after=1), Pair(before=0, after=2), Pair(before=None, after=3),
    )  # fmt: skip
    assert paired(before, after[:1], varied=True)[1:] == (Pair(before=0, after=None), Pair(before=1, after=None))
    assert paired(before[:1], after, varied=False) == tuple(Pair(before=0, after=place) for place in range(4))


@given(WORDS, WORDS, st.booleans())
def test_pairs_of_any_prompts_leave_none_out(before, after, varied):
    """Whatever the words are, each side is covered."""
    pairs = paired([Variant(prompt=one) for one in before], [Variant(prompt=one) for one in after], varied=varied)
    assert {pair.before for pair in pairs} >= set(range(len(before)))
    assert {pair.after for pair in pairs} >= set(range(len(after)))
