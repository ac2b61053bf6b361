"""Numbers as one types them: every form, the end that is never passed, and that any text is read or refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.errors import InputError
from promptlab.expand.ranges import MAX_NUMBERS, parse_numbers, show_number


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("20", (20,)),
        (" 007 ", (7,)),
        ("10, 20,50", (10, 20, 50)),
        ("1-5", (1, 2, 3, 4, 5)),
        ("1..3", (1, 2, 3)),
        ("1-10 (+3)", (1, 4, 7, 10)),
        ("1-9(+3)", (1, 4, 7)),
        ("10-1 (-3)", (10, 7, 4, 1)),
        ("1-10 [5]", (1, 3, 5, 7, 10)),
        ("1-10 [1]", (1,)),
        ("0..12 step 3", (0, 3, 6, 9, 12)),
        ("5, 10-30 (+10)", (5, 10, 20, 30)),
        ("-2--1", (-2, -1)),
    ],
)
def test_parse_numbers_whole_reads_every_form(text, numbers):
    """AUTOMATIC1111's ranges, and the wordier ones."""
    assert parse_numbers(text, whole=True, what="steps") == numbers


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("7.5", (7.5,)),
        ("0.5-1.5 (+0.25)", (0.5, 0.75, 1, 1.25, 1.5)),
        ("0.5..1.5 step 0.25", (0.5, 0.75, 1, 1.25, 1.5)),
        ("0.5-1.4 (+0.25)", (0.5, 0.75, 1, 1.25)),
        ("0.1-0.3 (+0.1)", (0.1, 0.2, 0.3)),
        ("1-10 [4]", (1, 4, 7, 10)),
        ("0-1 [4]", (0, 0.333333, 0.666667, 1)),
        ("1.0000001-1.0000003 [3]", (1.0000001, 1.0000002, 1.0000003)),
        ("1e-3-2e-3 (+5e-4)", (0.001, 0.0015, 0.002)),
        ("2-1 (-.5)", (2, 1.5, 1)),
    ],
)
def test_parse_numbers_fractions_reads_every_form(text, numbers):
    """Steps are decimal, so that none overshoots and each is what its text says."""
    assert parse_numbers(text, whole=False, what="guidance") == numbers


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "'' is not a whole number"),
        ("x", "'x' is not a whole number; allowed: 20 · 1-5"),
        ("1,,2", "'' is not a whole number"),
        ("1.5", "is not a whole number"),
        ("1-2 (+.5)", "is not a whole number"),
        ("5-1", "runs away from its end"),
        ("1-5 (-1)", "runs away from its end"),
        ("1-5 (+0)", "has a step of 0"),
        ("1-5 [6]", "asks for 6 numbers; allowed: 1 to 5"),
        ("1-5 [0]", "asks for 0 numbers"),
        ("0-100000", "makes too many numbers; allowed: 100,000"),
        ("0-60000,0-60000", "makes too many numbers"),
        ("0-1e99", "makes too many numbers"),
        ("1e99", "is out of range"),
        ("9" * 5000, "is not a whole number"),
    ],
)
def test_parse_numbers_of_no_number_is_refused(text, words):
    """What is no number is refused in one line that names the option and the value."""
    with pytest.raises(InputError) as caught:
        parse_numbers(text, whole=True, what="steps")
    assert str(caught.value).startswith("steps '")
    assert words in str(caught.value)


@given(
    st.text(alphabet="0123456789.,-+()[] estp", max_size=30) | st.text(max_size=30),
    st.booleans(),
)
def test_parse_numbers_of_any_text_is_numbers_or_an_input_error(text, whole):
    """Reading is total, and bounded."""
    try:
        numbers = parse_numbers(text, whole=whole, what="steps")
    except InputError as error:
        assert str(error).startswith("steps")  # noqa: PT017  (hypothesis tries both)
    else:
        assert 1 <= len(numbers) <= MAX_NUMBERS
        assert all(type(number) is (int if whole else float) for number in numbers)


@given(st.integers(-50, 50), st.integers(0, 60), st.integers(1, 40), st.sampled_from([1, 10, 1000]))
def test_parse_numbers_stays_within_the_range(start, length, step, unit):
    """Whatever the step, the last value is the last that does not pass the end, as whole-number arithmetic has it."""
    text = f"{start / unit}..{(start + length) / unit} step {step / unit}"
    expected = [(start + at * step) / unit for at in range(length // step + 1)]
    assert parse_numbers(text, whole=False, what="axis") == tuple(expected)


@given(st.integers(-(10**8), 10**8) | st.floats(-1e8, 1e8))
def test_show_number_is_read_back(number):
    """``show_number`` says the number exactly."""
    assert parse_numbers(show_number(number), whole=False, what="axis") == (number,)
