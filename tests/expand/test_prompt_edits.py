"""Wordings: what the verbs of rerun put in and take out, what they note, and what they refuse."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.errors import InputError, NotFound
from promptlab.expand.prompt_edits import appended, from_prompts, inherited, prepended, replaced, replacements
from promptlab.expand.prompts_file import read_prompts
from promptlab.expand.templates import parse
from promptlab.specs import Variant

BASE = "portrait photo of a old warrior chief"
TRIBAL = ", tribal panther make up, blue on red, side profile, looking away, serious eyes"
PHOTO = " 50mm portrait photography, hard rim lighting photography--beta --ar 2:3  --beta --upbeta"


def prompts(variants):
    return [variant.prompt for variant in variants]


def test_replaced_as_in_the_tutorial_gives_four_prompts():
    """Two appends and a replacement with four right sides give the tutorial's four prompts, to the letter."""
    variants = inherited(from_prompts([BASE]))
    variants = appended(appended(variants, TRIBAL), PHOTO)
    assert prompts(variants) == [BASE + TRIBAL + PHOTO]
    variants = replaced(variants, "a old=>{the oldest|a old|a|a young}")
    rest = " warrior chief" + TRIBAL + PHOTO
    assert prompts(variants) == [
        "portrait photo of the oldest" + rest,
        "portrait photo of a old" + rest,
        "portrait photo of a" + rest,
        "portrait photo of a young" + rest,
    ]
    assert {variant.source for variant in variants} == {0}
    assert [variant.replacement for variant in variants] == [
        "a old=>the oldest", "a old=>a old", "a old=>a", "a old=>a young",
    ]  # fmt: skip
    for variant in variants:
        assert variant.prompt in parse(variant.template).expand()


def test_from_prompts_makes_variants():
    """A literal prompt is itself without a template; a template gives its prompts, each knowing it."""
    assert from_prompts(["a  cat ", "{x|y}"], negative_prompt="blur") == (
        Variant(prompt="a  cat ", negative_prompt="blur"),
        Variant(prompt="x", negative_prompt="blur", template="{x|y}"),
        Variant(prompt="y", negative_prompt="blur", template="{x|y}"),
    )


def test_inherited_keeps_the_place_in_the_parents_run():
    """A rerun of one variant points at its place in the parent's run, through every verb that follows."""
    parents = from_prompts(["a cat", "a dog", "a fox"])
    assert [variant.source for variant in inherited(parents)] == [0, 1, 2]
    one = replaced(prepended(appended(inherited(parents, only=1), " at night"), "photo of "), "dog=>{wolf|bear}")
    assert prompts(one) == ["photo of a wolf at night", "photo of a bear at night"]
    assert [variant.source for variant in one] == [1, 1]


def test_inherited_forgets_old_replacements():
    """What was replaced in the grandparent's words is not noted twice."""
    parents = replaced(from_prompts(["a cat"]), "cat=>dog")
    children = replaced(inherited(parents), "dog=>fox")
    assert children[0].replacement == "dog=>fox"


def test_replaced_several_times_multiplies():
    """Replacements are applied in order, each on what the ones before gave; the first changes slowest."""
    variants = replaced(from_prompts(["a cat in red"]), "cat=>{dog|fox}")
    variants = replaced(variants, "red=>{blue|}")
    assert prompts(variants) == ["a dog in blue", "a dog in", "a fox in blue", "a fox in"]
    assert replacements(variants[1]) == (("cat", "dog"), ("red", ""))


@pytest.mark.parametrize(
    ("prompt", "text", "result"),
    [
        (BASE, "a old=>", "portrait photo of warrior chief"),
        (BASE, "a old => a young", "portrait photo of a young warrior chief"),
        (BASE, " a old=> the", "portrait photo of the warrior chief"),
        (BASE, "a=>the", "portrait photo of the old warrior chief"),
        ("cats and cats", "cat=>dog", "dogs and dogs"),
        ("cat, a cat, (cat:1.2)", "cat=>dog", "dog, a dog, (dog:1.2)"),
        ("man and woman", "man=>boy", "boy and woman"),
        ("a, red, b", "red=>", "a, b"),
        ("red, b  c", "red=>", "b  c"),
        ("a => b", "a \\=> b=>c", "c"),
        ("a", "a=>b=>c", "b=>c"),
        ("{a} | b", "{a}=>c", "c | b"),
        ("{a} | b", "b=>\\{b\\}", "{a} | {b}"),
        ("고양이가 논다", "고양이=>강아지", "강아지가 논다"),
        ("猫、子猫", "猫=>犬", "犬、子犬"),
        ("👩‍🚀 in space", "👩‍🚀=>🤖", "🤖 in space"),
        ("a.b a+b", "a.b=>c", "c a+b"),
    ],
)
def test_replaced_puts_new_words_in(prompt, text, result):
    """Old words are plain text, replaced everywhere; as words of their own, where there are any such."""
    assert prompts(replaced([Variant(prompt=prompt)], text)) == [result]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "an old=>x",
            "replace 'an old' is not in the prompt 'portrait photo of a old warrior chief' (did you mean 'a old'?)",
        ),
        ("A Old=>x", "(did you mean 'a old'?); type: replace=\"a old=>x\""),
        ("zebra=>x", "'zebra' is not in the prompt"),
        ("a old", "has no => between"),
        ("a old=x", 'type: replace="old words=>new words"'),
        ("=>x", "has no old words"),
        ("", "has no =>"),
        ("a old=>{x", "opens a brace"),
        ("a old=>{x|x}", "gives the prompt 'portrait photo of x warrior chief' twice, as variants 1 and 2"),
    ],
)
def test_replaced_without_arrow_or_words_is_refused(text, words):
    """Each is refused before any work, in one line that says what to type."""
    with pytest.raises(InputError, match=re.escape(words)):
        replaced(from_prompts([BASE]), text)


def test_replaced_with_old_words_missing_is_refused():
    """One prompt without them is enough to refuse; the sentence counts and shows one."""
    variants = from_prompts(["a cat", "a dog", "a fox"])
    with pytest.raises(InputError, match=r"'cat' is not in 2 of 3 prompts, such as 'a dog'"):
        replaced(variants, "cat=>cow")


def test_appended_templates_multiply():
    """On and off: an empty alternative leaves the prompt exactly as it was, otherwise the seam is tidied."""
    variants = from_prompts(["a cat "])
    assert prompts(appended(variants, "{, smiling|}")) == ["a cat , smiling", "a cat "]
    assert prompts(appended(variants, ", {smiling|}")) == ["a cat , smiling", "a cat"]
    assert prompts(prepended(variants, "{photo of |}")) == ["photo of a cat ", "a cat "]
    assert prompts(prepended(variants, "x, ")) == ["x, a cat "]
    assert appended(variants, "") == variants


def test_lists_reach_every_edit():
    """Named lists can be used wherever a template can."""
    lists = {"age": ["old", "young"]}
    variants = from_prompts(["__age__ cat"], lists=lists)
    assert prompts(appended(variants[:1], ", ${age}", lists=lists)) == ["old cat, old", "old cat, young"]
    assert prompts(replaced(variants[:1], "old=>very __age__", lists=lists)) == ["very old cat", "very young cat"]


def test_edits_making_a_prompt_twice_are_refused():
    """Two rows of equal pictures help nobody; another negative prompt makes another row."""
    with pytest.raises(InputError, match="prompts_file gives the prompt 'a cat' twice, as variants 1 and 3"):
        from_prompts(["a cat", "a dog", "a cat"], what="prompts_file")
    with pytest.raises(InputError, match="append gives the prompt 'a cat,' twice"):
        appended(from_prompts(["a cat", "a cat,"]), "{,|}")


def test_edits_making_too_many_variants_are_refused():
    """The limit holds for all prompts together, and before they are made."""
    many = "{a|b|c|d|e|f|g|h|i|j}" * 4
    with pytest.raises(InputError, match="makes 110,000 variants"):
        from_prompts([f"{n} {many}" for n in range(20)])
    with pytest.raises(InputError, match="append makes 1,000,000 variants"):
        appended(from_prompts([f"{n}" for n in range(100)]), many)


@given(
    st.text(alphabet="ab ,가{|}\\_", min_size=1, max_size=20).filter(
        lambda old: "=>" not in old and not old.endswith(("\\", " "))
    ),
    st.text(alphabet="xy ,가{|}\\_", max_size=20),
    st.text(alphabet="xy z", min_size=1, max_size=5).filter(str.strip),
)
def test_replaced_takes_old_words_as_plain_text(old, around, new):
    """Old words with any special characters in them are found and replaced as they are written."""
    prompt = f"{around} ({old}) {around}"
    (variant,) = replaced([Variant(prompt=prompt)], f"{old}=>{new}")
    assert f"({new})" in variant.prompt
    assert len(replacements(variant)) == 1


def test_read_prompts_reads_a_line_each(tmp_path):
    """One a line, blank lines, a byte order mark and all line ends aside; ``#`` and ``--`` are just text."""
    path = tmp_path / "prompts.txt"
    path.write_bytes(
        b"\xef\xbb\xbf# not a comment\r\n\r\n  two  blanks --ar 2:3  --beta \n\t\nold\rmac \xea\xb0\x80\xe2\x80\xa8x"
    )
    assert read_prompts(path) == ("# not a comment", "two  blanks --ar 2:3  --beta", "old", "mac 가\u2028x")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "holds no prompt"),
        (b"\xef\xbb\xbf\n \n", "holds no prompt"),
        (b"one\ntwo caf\xe9\n", "is not UTF-8: byte 0xe9 in line 2, at offset 11"),
        (b"\xef\xbb\xbfone\n\xff", "byte 0xff in line 2, at offset 7"),
        ("a cat".encode("utf-16"), "is UTF-16, not UTF-8"),
    ],
)
def test_read_prompts_of_an_unreadable_file_is_refused(tmp_path, raw, words):
    """The error names the option, the file, the place, and what to type."""
    path = tmp_path / "prompts.txt"
    path.write_bytes(raw)
    with pytest.raises(InputError, match=re.escape(words)) as caught:
        read_prompts(path)
    message = str(caught.value)
    assert message.startswith("prompts_file")
    assert "prompts.txt" in message
    assert "type: " in message


def test_read_prompts_of_a_missing_file_is_not_found(tmp_path):
    """A missing file and a folder are told apart."""
    with pytest.raises(NotFound, match=r"prompts_file .* does not exist"):
        read_prompts(tmp_path / "none.txt")
    with pytest.raises(InputError, match="is a folder"):
        read_prompts(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        read_prompts("a\0b")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be read"):
        read_prompts(tmp_path / "file" / "inside")
