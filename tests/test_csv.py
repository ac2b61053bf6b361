"""CSV that a spreadsheet opens holds texts and numbers, and nothing that it computes."""

import csv
import io

import pytest

from promptlab._csv import csv_text


@pytest.mark.parametrize(
    "text",
    [
        "=cmd|' /C calc'!A0",
        "+1+1",
        "-2+3",
        "- a fox",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "＝1+1",
        '=HYPERLINK("x")',
        "-",
    ],
)
def test_csv_formula_is_a_text_behind_an_apostrophe(text):
    """What a spreadsheet would compute is shown by it as it was written."""
    assert list(csv.reader(io.StringIO(csv_text([["a", text]]), newline=""))) == [["a", f"'{text}"]]


@pytest.mark.parametrize("text", ["a\r=1", "a\r\nb", "a\nb", 'a"b,c'])
def test_csv_line_end_in_a_cell_ends_no_row(text):
    """Whatever line end it is: a text stays in its cell, and what follows in its row."""
    assert list(csv.reader(io.StringIO(csv_text([[text, 1], ["b", 2]]), newline=""))) == [[text, "1"], ["b", "2"]]


@pytest.mark.parametrize(
    ("value", "written"),
    [(-1, "-1"), (-0.5, "-0.5"), (float("-inf"), "-inf"), ("-1", "-1"), ("+2.5e-3", "+2.5e-3"), ("-.5", "-.5"),
     (None, ""), ("a fox = b", "a fox = b"), ("'=1", "'=1"), (" =1", " =1"), ("", ""), (True, "True")],
)  # fmt: skip
def test_csv_number_and_harmless_text_stay(value, written):
    """Numbers are computed with, also where they were kept as text; words stay as they are."""
    assert csv_text([["a", value]]) == f"a,{written}\n"


def test_csv_raw_text_is_what_it_was():
    """A program reads back what was written, formulas too; line ends still end no row."""
    texts = ["=1", "-", "@a", "\t=1", "\r=1", "a\r\nb", 'a"b,c', "'=1"]
    assert list(csv.reader(io.StringIO(csv_text([texts], raw=True), newline=""))) == [texts]
