"""Templates: the grammar, the order of what comes out, the tidying, the errors, and that none of it ever hangs."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from promptlab.errors import InputError
from promptlab.expand.grammar import MAX_DEPTH, escape
from promptlab.expand.prompt_edits import from_prompts
from promptlab.expand.templates import COUNTED, MAX_PROMPTS, parse

STORED = json.loads(Path(__file__).with_name("expansions.json").read_text(encoding="utf-8"))

TUTORIAL = (
    "portrait photo of a old warrior chief, tribal panther make up 50mm portrait photography, hard rim lighting "
    "photography--beta --ar 2:3  --beta --upbeta"
)


@pytest.mark.parametrize("stored", STORED, ids=lambda stored: stored["template"])
def test_template_expansions_are_those_of_every_version(stored):
    """What a template expands to, its order, and what a seed draws, never change: runs are named after them."""
    template = parse(stored["template"])
    lists = stored.get("lists", {})
    assert template.expand(lists) == tuple(stored["prompts"])
    assert template.count(lists) == len(stored["prompts"])
    for seed, drawn in stored.get("samples", {}).items():
        assert template.sample(len(drawn), int(seed), lists) == tuple(drawn)


@pytest.mark.parametrize(
    "text",
    [
        TUTORIAL,
        "",
        "  two  blanks ,, and | a bar, ",
        "costs $5, 50% \\ \\_ \\$ (old:1.2) [cat|dog] a_b",
        "snake__case",
        "__ __",
        "무사의 초상화, 노인",
        "老いた戦士の肖像写真、赤い光",
        "👩‍🚀 in space 🇰🇷",
        "line\none",
    ],
)
def test_template_without_braces_is_its_text(text):
    """A prompt that is no template is the prompt, to the last blank."""
    template = parse(text)
    assert template.is_literal
    assert template.expand() == (text,)
    assert template.count() == 1
    assert template.sample(1, 0) == (text,)


@pytest.mark.parametrize(
    ("text", "prompts"),
    [
        (r"\{a\|b\}", ["{a|b}"]),
        (r"{a\|b|c}", ["a|b", "c"]),
        (r"{a\}|b}", ["a}", "b"]),
        (r"{\$5|\$\$}", ["$5", "$$"]),
        (r"\_\_age\_\_ {a|b}", ["__age__ a", "__age__ b"]),
        (r"\$\{age\} {a|b}", ["${age} a", "${age} b"]),
        (r"\\{a|b}", ["\\a", "\\b"]),
        (r"\(x\) {a|b}", ["\\(x\\) a", "\\(x\\) b"]),
        ("{a|b}\\", ["a\\", "b\\"]),
        (r"{2$$\|$$a|b}", ["a|b"]),
        ("{2::a|b::c}", ["a", "b::c"]),
        ("{16:9|a::b}", ["16:9", "a::b"]),
    ],
)
def test_template_escapes_stand_for_themselves(text, prompts):
    """A backslash takes the meaning away from the special characters, and is itself anywhere else."""
    assert parse(text).expand() == tuple(prompts)


@pytest.mark.parametrize(
    ("text", "prompts"),
    [
        (
            "of {the oldest|a old||a young} chief",
            ["of the oldest chief", "of a old chief", "of chief", "of a young chief"],
        ),
        ("a, {b|}, c", ["a, b, c", "a, c"]),
        ("a,{b|},c", ["a,b,c", "a,c"]),
        ("a{, b|}, c", ["a, b, c", "a, c"]),
        ("{b|}, c", ["b, c", "c"]),
        ("a, {b|}", ["a, b", "a"]),
        ("{ |b} c", ["c", "b c"]),
        ("a {b|}. c", ["a b. c", "a. c"]),
        ("(a, {b|}:1.2)", ["(a, b:1.2)", "(a:1.2)"]),
        ("({b|}, a)", ["(b, a)", "(a)"]),
        ("a {b|} --beta --ar 2:3  --beta", ["a b --beta --ar 2:3  --beta", "a --beta --ar 2:3  --beta"]),
        ("x  y ,, z {b|} c", ["x  y ,, z b c", "x  y ,, z c"]),
        (
            "a {b|}, {c|}, {d|} e",
            ["a b, c, d e", "a b, c, e", "a b, d e", "a b, e", "a, c, d e", "a, c, e", "a, d e", "a, e"],
        ),
        ("re{un|}do", ["reundo", "redo"]),
        ("{very |}old", ["very old", "old"]),
        ("a、{b|}、c", ["a、b、c", "a、c"]),
        ("{|a}", ["", "a"]),
        ("a,\n{b|},\nc", ["a,\nb,\nc", "a,\nc"]),
        ("{2$$ and $$a||b}", ["a", "a and b", "b"]),
    ],
)
def test_template_tidies_around_an_empty_alternative(text, prompts):
    """Only blanks and commas beside the empty place go; those that somebody wrote elsewhere stay."""
    assert parse(text).expand() == tuple(prompts)


NAMED = {"my list": ("one", "2::two"), "age": ("old", "young")}


@pytest.mark.parametrize(
    ("text", "prompts"),
    [
        ("a __my list__ of __age__", ["a one of old", "a one of young", "a two of old", "a two of young"]),
        ("{__my list__|b}", ["one", "two", "b"]),
        ("the a__b and c__d words", ["the a__b and c__d words"]),
        ("snake__case and other__ {a|b}", ["snake__case and other__ a", "snake__case and other__ b"]),
        ("{x__y z__|b}", ["x__y z__", "b"]),
    ],
)
def test_template_name_with_blanks_is_a_list_where_there_is_one(text, prompts):
    """A file may have blanks in its name; words between other underlines, like no list's name, stay words."""
    template = parse(text)
    assert template.expand(NAMED) == tuple(prompts)
    assert template.count(NAMED) == len(prompts)
    assert set(template.sample(len(prompts), 3, NAMED)) == set(prompts)


def test_template_name_with_blanks_that_is_nearly_a_list_is_asked_about():
    """A slip of the finger is no prompt."""
    with pytest.raises(InputError, match="my list"):
        parse("a __my lsit__").expand(NAMED)


def test_variant_of_words_between_underlines_has_no_template():
    """It is the prompt that was typed, and is remembered so."""
    (variant,) = from_prompts(["a snake__case and other__ b"], lists=NAMED)
    assert (variant.prompt, variant.template) == ("a snake__case and other__ b", None)


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("a {red", 3, "never closed"),
        ("{a|{b|c}", 1, "never closed"),
        ("a}b", 2, "was not opened"),
        ("x {} y", 3, "one alternative only"),
        ("{a}", 1, "one alternative only"),
        ('{"scene": "sea"}', 1, "one alternative only"),
        ("a ${b c} d", 3, "does not name a list"),
        ("a ${", 3, "does not name a list"),
        ("{3$$a|b}", 1, "asks for 3 of 2"),
        ("{1-3$$a|b}", 1, "asks for 1 to 3 of 2"),
        ("{2-1$$a|b}", 1, "asks for 2 to 1 of 2"),
        ("{9999999$$a|b}", 2, "too many"),
        ("{0::a|b}", 2, "weight"),
        ("{a|9999999999::b}", 4, "weight"),
        ("{a$$b|c}", 3, "no count"),
        ("{|" * (MAX_DEPTH + 1) + "}" * (MAX_DEPTH + 1), 2 * MAX_DEPTH + 1, "too deeply"),
        ("a \udcff", 3, "not UTF-8"),
    ],
)
def test_template_errors_point_at_the_character(text, column, words):
    """An error names the option, the column from 1, and what to type."""
    with pytest.raises(InputError) as caught:
        parse(text, what="append")
    message = str(caught.value)
    assert message.startswith("append")
    assert f"column {column} " in message
    assert words in message


def test_template_error_in_a_long_prompt_shows_the_place():
    """The excerpt is of the text around the character, however long the prompt is."""
    with pytest.raises(InputError, match=r"…x+ \{oops x+…' at column 5001"):
        parse("x" * 4999 + " {oops " + "x" * 5000)


@pytest.mark.parametrize("text", ["a __age__ man", "a ${age} man"])
def test_template_lists_are_expanded(text):
    """Both spellings take every entry of a list; entries are templates and may have weights."""
    lists = {"age": ["old", "3::{very |}young", ""]}
    assert parse(text).expand(lists) == ("a old man", "a very young man", "a young man", "a man")


@pytest.mark.parametrize(
    ("text", "lists", "words"),
    [
        ("a __agee__", {"age": ["old"]}, r"prompts, column 3: list 'agee' is unknown \(did you mean age\?\)"),
        ("a ${x}", {}, "list 'x' is unknown"),
        ("__*__", {"age": ["old"]}, "list '\\*' is unknown"),
        ("__a__", {"a": []}, "empty"),
        ("__a__", {"a": ["x", "y __b__"], "b": ["__a__"]}, "list 'b', entry 1 .* circle: a → b → a"),
        ("__a__", {"a": ["__a__"]}, "circle: a → a"),
        ("__a__", {"a": ["x", "{y"]}, "list 'a', entry 2 .*column 1 .*never closed"),
        ("__l0__", {f"l{n}": [f"__l{n + 1}__"] for n in range(300)}, "too deeply"),
        (
            "".join(f"__l{n}__" for n in range(300, -1, -1)),
            {f"l{n}": [f"__l{n + 1}__"] for n in range(300)} | {"l300": ["x"]},
            "too deeply",
        ),
    ],
)
def test_template_lists_that_cannot_be_are_refused(text, lists, words):
    """Unknown and empty lists, circles and broken entries are errors that name the list, before anything is made."""
    template = parse(text)
    for verb in (template.count, template.expand, lambda lists: template.sample(1, 0, lists)):
        with pytest.raises(InputError, match=words):
            verb(lists)


def test_template_making_too_much_is_refused_first():
    """Templates that explode in number or in length are counted, not made."""
    many = parse("{a|b}" * 2000)
    assert many.count() == COUNTED
    with pytest.raises(InputError, match="1,000,000,000,000,000 or more prompts"):
        many.expand()
    assert len(set(many.sample(50, 1))) == 50
    doubling = {f"l{n}": [f"__l{n + 1}____l{n + 1}__"] for n in range(40)} | {"l40": ["x"]}
    assert parse("__l0__").count(doubling) == 1
    with pytest.raises(InputError, match="too many"):
        parse("__l0__").expand(doubling)
    with pytest.raises(InputError, match="too many"):
        parse("__l0__").sample(1, 0, doubling)
    picks = parse("{1-5000$$" + "|".join("a" * 5000) + "}")
    assert picks.count() == COUNTED


@pytest.mark.parametrize(
    "unit", ["{", "}", "{a|", "__a", "_", "$", "${", "\\", "{2$$", "{|}", "{a|b} ", "0.5::", "{2$$x", "$$"]
)
def test_template_of_a_long_text_is_read(unit):
    """Reading takes time in proportion to the length: a hundred thousand characters are no trouble."""
    try:
        parse(unit * (100_000 // len(unit))).count()
    except InputError as error:
        assert len(str(error)) < 700  # noqa: PT017


def test_template_of_a_hundred_thousand_prompts_is_expanded():
    """The most that is made at once comes in order, all different, in about a second."""
    template = parse(" ".join(["{a|b|c|d|e|f|g|h|i|j}"] * 5))
    prompts = template.expand()
    assert len(prompts) == len(set(prompts)) == MAX_PROMPTS
    assert list(prompts) == sorted(prompts)


def test_template_samples_differ_and_repeat():
    """A sample is of different prompts, the same for a seed, another for another."""
    template = parse("{a|b|c|d|e|f} {1-3$$a|b|c|d}")
    assert template.sample(20, 7) == template.sample(20, 7) != template.sample(20, 8)
    assert len(set(template.sample(84, 0))) == template.count() == 84
    assert set(template.sample(84, 0)) == set(template.expand())


def test_template_samples_follow_weights():
    """An alternative of weight 9 is drawn first about nine times in ten; one of next to none is found all the same."""
    firsts = [parse("{9::a|b}").sample(1, seed)[0] for seed in range(500)]
    assert 420 < firsts.count("a") < 480
    assert set(parse("{1000000::a|b}").sample(2, 0)) == {"a", "b"}


@pytest.mark.parametrize(
    ("text", "n", "seed", "words"),
    [
        ("{a|b}", 0, 0, "sample 0 is too few"),
        ("{a|b}", 3, 0, "sample 3 is too many; allowed: 1 to 2"),
        ("{a|a}", 2, 0, "sample 2 is too many; allowed: the 1 that differ"),
        ("{a|b}", 1, -1, "template_seed -1"),
    ],
)
def test_template_samples_that_cannot_be_are_refused(text, n, seed, words):
    """More than there are, fewer than one, and a seed below 0 are refused."""
    with pytest.raises(InputError, match=re.escape(words)):
        parse(text).sample(n, seed)


SOUP = st.text(alphabet=st.sampled_from("ab {}|$_\\:,-012\n가"), max_size=40)


@given(SOUP | st.text(max_size=40))
@example("{|}{|}")
@example("{-$$|}")
@example("{0$$a|b}")
def test_template_of_any_text_is_one_or_an_input_error(text):
    """Parsing is total, counting is right, and expanding gives the same twice."""
    lists = {"a": ["x", "{y|}"], "b": [""]}
    try:
        template = parse(text)
        count = template.count(lists)
    except InputError as error:
        assert str(error).startswith(("prompts", "list"))  # noqa: PT017
        return
    if count <= 5000:
        prompts = template.expand(lists)
        assert len(prompts) == count
        assert prompts == parse(text).expand(lists)
        assert template.sample(1, 3, lists)[0] in prompts
    if not re.search("[{}]|__", text):
        assert template.is_literal


@given(st.text(alphabet=st.sampled_from("ab {}|$_\\, 가") | st.characters(exclude_categories=["Cs"]), max_size=40))
def test_template_of_escaped_text_is_that_text(text):
    """Beside a template, an escaped text comes out as it went in."""
    assert parse(escape(text) + "{x|y}").expand() == (text + "x", text + "y")


TREES = st.recursive(
    st.text(alphabet="ab ,", max_size=4),
    lambda inner: (
        st.builds(
            lambda options, after: "{" + "|".join(options) + "}" + after,
            st.lists(inner, min_size=2, max_size=4),
            st.text(alphabet="ab ,", max_size=4),
        )
        | st.builds(
            lambda options: "{1-2$$+$$" + "|".join(options) + "}",
            st.lists(inner, min_size=2, max_size=4),
        )
        | st.builds(str.__add__, inner, inner)
    ),
    max_leaves=8,
)


@given(TREES)
def test_template_counts_what_it_expands(text):
    """Any well-formed template: as many prompts as were counted."""
    template = parse(text)
    count = template.count()
    if count <= 5000:
        prompts = template.expand()
        assert len(prompts) == count


@given(
    st.lists(st.sampled_from(["{w|}", "{|w}", "{w|{x|}}", "v"]), min_size=1, max_size=5),
    st.sampled_from([" ", ", ", ","]),
)
def test_template_leaves_no_separator_doubled_or_at_the_ends(parts, separator):
    """Separated on/off fragments: whichever are off, what is left is separated as it was."""
    for prompt in parse(separator.join(parts)).expand():
        words = re.findall("[vwx]", prompt)
        assert prompt == separator.join(words)


@pytest.mark.parametrize("text", ["{" + " " * 200_000, "{" + "1" * 200_000, "{2$$" + "a" * 200_000, "(" * 200_000])
def test_template_of_any_length_is_read_in_one_pass(text):
    """Read with backtracking, each of these takes minutes or more."""
    if text[0] == "(":
        assert parse(text, what="prompts").is_literal
    else:
        with pytest.raises(InputError, match="never closed"):
            parse(text, what="prompts")
