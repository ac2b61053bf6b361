"""Seeds: every form that is read, every one that is refused, and the way back."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.errors import InputError
from promptlab.expand.seeds import MAX_SEEDS, noting_shortened, parse_seeds, shortened_line, show_seeds
from promptlab.specs import MAX_SEED


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("0-7", (0, 1, 2, 3, 4, 5, 6, 7)),
        ("1,5,9", (1, 5, 9)),
        ("9, 5 ,1", (9, 5, 1)),
        ("0-3,42", (0, 1, 2, 3, 42)),
        (" 7 ", (7,)),
        ("007", (7,)),
        ("5-5", (5,)),
        ("4294967295", (MAX_SEED,)),
        ("4294967296", (0,)),
        ("1048378387411371,7", (2640261547, 7)),
        ("18446744073709551615", (MAX_SEED,)),
        ("1 - 5", (1, 2, 3, 4, 5)),
        ("1-10 (+3)", (1, 4, 7, 10)),
        ("1-9(+3)", (1, 4, 7)),
        ("1-10 (3)", (1, 4, 7, 10)),
        ("1-10 [5]", (1, 3, 5, 7, 10)),
        ("1-10 [1]", (1,)),
        ("0-2 [3],8", (0, 1, 2, 8)),
    ],
)
def test_parse_seeds_reads_every_form(text, seeds):
    """Each form means the seeds it says, in the order it says them."""
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("-1", "random:1"),
        ("-7", "allowed: 0 to 4294967295"),
        (
            "18446744073709551616",
            "'18446744073709551616' is out of range; allowed: 0 to 4294967295; of a single one to",
        ),
        ("1048378387411371,2640261547", "2640261547 is named twice"),
        ("0-4294967296", "is out of range"),
        ("9" * 5000, "is out of range"),
        ("7-3", "seeds=3-7"),
        ("x", "'x' is not a seed"),
        ("1.5", "'1.5' is not a seed"),
        ("3–9", "seeds=3-9"),
        ("٣", "is not a seed"),
        ("+3", "is not a seed"),
        ("", "names no seed"),
        ("  ", "names no seed"),
        ("1,,2", "seeds=1,2"),
        (",", "a comma with nothing beside it"),
        ("1,1", "1 is named twice"),
        ("0-3,2", "2 is named twice"),
        ("0-4294967295", "4,294,967,296 seeds"),
        ("0-99999,100000", "100,001 seeds"),
        ("0-60000,100000-160000", "120,002 seeds"),
        ("random:200000", "200,000 seeds"),
        ("random:0", "draws no seed"),
        ("random", "seeds=random:4"),
        ("random:x", "seeds=random:4"),
        ("1-10 (-3)", 'seeds="1-10 (+3)"'),
        ("1-10 (+0)", 'seeds="1-10 (+1)"'),
        ("1-10 [11]", "asks for 11 of 10"),
        ("1-10 [0]", "asks for 0 of 10"),
    ],
)
def test_parse_seeds_of_no_seed_is_refused(text, words):
    """What cannot be seeds is refused in one line that names the option, the value and what to type."""
    with pytest.raises(InputError) as caught:
        parse_seeds(text)
    message = str(caught.value)
    assert message.startswith("seeds")
    assert words in message
    assert "\n" not in message


def test_parse_seeds_random_draws_distinct_seeds():
    """Drawn seeds avoid each other and every seed that is named, and stand where they were asked for."""
    drawn = iter([5, 5, 9, 3])
    assert parse_seeds("5,random:3,6", draw=lambda _: next(drawn)) == (5, 7, 8, 9, 6)


def test_parse_seeds_random_reaches_both_ends():
    """The draw is told the number of seeds there are, and a stuck draw still ends, wrapping round."""
    asked = []

    def draw(below):
        asked.append(below)
        return MAX_SEED

    assert parse_seeds("random:3", draw=draw) == (MAX_SEED, 0, 1)
    assert asked == [2**32] * 3


def test_parse_seeds_random_asks_the_system():
    """Without a draw function the system's is used; equal draws are as good as impossible."""
    assert len(set(itertools.chain(*(parse_seeds("random:8") for _ in range(4))))) == 32


def test_parse_seeds_of_too_large_a_range_is_refused():
    """A stepped or counted range of four thousand million is fine where it names few."""
    assert len(parse_seeds("0-4294967295 (+100000)")) == 42950
    assert parse_seeds("0-4294967295 [2]") == (0, MAX_SEED)
    assert len(parse_seeds(f"1-{MAX_SEEDS}")) == MAX_SEEDS


@pytest.mark.parametrize(
    ("seeds", "text"),
    [((0, 1, 2, 42), "0-2,42"), ((0, 1), "0,1"), ((3, 2, 1), "3,2,1"), ((7,), "7"), ((*range(8), 42), "0-7,42")],
)
def test_show_seeds_writes_ranges(seeds, text):
    """The short text uses ranges where they are shorter and keeps the order."""
    assert show_seeds(seeds) == text


@given(st.lists(st.integers(0, 30) | st.integers(0, MAX_SEED), unique=True, min_size=1).map(tuple))
def test_show_seeds_is_read_back(seeds):
    """``parse_seeds`` undoes ``show_seeds``, whatever the order."""
    assert parse_seeds(show_seeds(seeds)) == seeds


@given(st.text(alphabet="0123456789,-()[]+ :randomx–", max_size=30) | st.text(max_size=30))
def test_parse_seeds_of_any_text_is_seeds_or_an_input_error(text):
    """Parsing is total: distinct seeds in range, or an error in a sentence."""
    try:
        seeds = parse_seeds(text)
    except InputError as error:
        assert str(error).startswith("seeds")  # noqa: PT017  (hypothesis tries both)
    else:
        assert seeds
        assert len(set(seeds)) == len(seeds)
        assert all(0 <= seed <= MAX_SEED for seed in seeds)


def test_seeds_of_more_than_32_bits_are_noted_for_who_asks():
    """What was typed and what is used are told apart, and one sentence says both."""
    with noting_shortened() as noted:
        parse_seeds("1048378387411371,7")
    assert noted == {1048378387411371: 2640261547}
    assert shortened_line(*noted.popitem()) == (
        "seed 1048378387411371 has more than 32 bits; its lower 32, 2640261547, are used"
    )
