"""YAML as words that know their places: what is read, what is refused and where, and that nothing runs away."""

import itertools
import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from promptlab.errors import InputError
from promptlab.expand.located_yaml import (
    MAX_BYTES,
    MAX_NODES,
    LocatedList,
    LocatedMapping,
    LocatedStr,
    read_yaml,
)


def read(text):
    return read_yaml(text, file="f.yaml")


def test_located_str_knows_its_place():
    """Line and column are counted from 1; lists and mappings know theirs, too."""
    tree = read("a: x\nb:\n  - é y\n  - {c: 'z'}\n")
    assert tree == {"a": "x", "b": ["é y", {"c": "z"}]}
    assert tree[next(iter(tree))].where == "f.yaml, line 1, column 4"
    second = list(tree.values())[1]
    assert (second.word.line, second.word.column) == (3, 3)
    assert second[0].where == "f.yaml, line 3, column 5"
    (inner,) = second[1].items()
    assert [each.where for each in inner] == ["f.yaml, line 4, column 6", "f.yaml, line 4, column 9"]
    assert (inner[1].plain, second[0].plain) == (False, True)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True), ("False", False), ("20", 20), ("-1", -1), ("007", 7), ("7.5", 7.5), (".5", 0.5), ("1e3", 1e3),
        ("no", "no"), ("1:30", "1:30"), ("2024-01-01", "2024-01-01"), ("0x10", "0x10"), (".inf", ".inf"),
        ("'20'", "20"), ("1_000", "1_000"), ("a b", "a b"), ("|\n  20", "20"),
    ],
)  # fmt: skip
def test_located_str_value_is_that_of_yaml_core(text, value):
    """As YAML 1.2 has it; and it stays the text that it was."""
    word = next(iter(read(f"a: {text}").values()))
    assert word.value == value
    assert type(word.value) is type(value)
    assert word == text.strip("'|\n ")


@pytest.mark.parametrize("text", ["", "~", "null", "Null", "NULL"])
def test_read_yaml_of_nothing_is_none(text):
    """Said plainly it is nothing, in quotes it is a text."""
    assert read(f"a: {text}") == {"a": None}
    assert read(f"a: '{text}'") == {"a": text}


def test_read_yaml_alias_is_what_it_names():
    """Anchors work within the file."""
    assert read("a: &x [1, 2]\nb: *x\nc: &y z\n*y : *y") == {"a": ["1", "2"], "b": ["1", "2"], "c": "z", "z": "z"}


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: 1\nb: 2\na: 3", "line 3, column 1 'a'", "is a key that stands in line 1 already"),
        ("a:\n  - !!python/object:os.system x", "line 2, column 5", "has the tag tag:yaml.org,2002:python/object"),
        ("a: !mine x", "line 1, column 4", "has the tag !mine; allowed: no tags"),
        ("a: !!int 3", "line 1, column 4", "has the tag"),
        ("? [a]\n: b", "line 1, column 3", "is a key that is no text"),
        ("a: &x [1]\n? *x\n: b", "line 2, column 3", "is a key that is no text"),
        ("a: &x [*x]", "line 1, column 8", "stands inside what it names"),
        ("a: *x", "line 1, column 4", "is an alias of nothing"),
        ("a: 1\n---\nb: 2", "line 2, column 1", "begins a second document"),
        ("a: b: c", "line 1, column 5 'a: b: c'", "is not YAML: mapping values are not allowed"),
        ("a: [1", "line 2, column 1", "is not YAML"),
        ("a: \x07", "line 1, column 4", "holds the character '\\x07', which no YAML may"),
        ("a: {" * 30, "line 1, column 80", "nests too deeply; allowed: up to 20 levels"),
        ("a: '\\ud800", "line 1", "is not YAML"),
    ],
)  # fmt: skip
def test_read_yaml_of_what_is_none_is_refused(text, place, words):
    """Each error names its line and column."""
    with pytest.raises(InputError) as caught:
        read(text)
    message = str(caught.value)
    assert message.startswith(f"f.yaml, {place}")
    assert words in message
    assert "\n" not in message


def test_read_yaml_of_exploding_aliases_is_refused():
    """Nine levels of nine are four hundred million values: refused at once, not written out."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 9)}]" for at in range(1, 10)]
    with pytest.raises(InputError, match="makes the file too much; allowed: 250,000 values, aliases written out"):
        read("\n".join(lines))


def test_read_yaml_of_too_much_is_refused():
    """Of text and of values."""
    with pytest.raises(InputError, match=r"f\.yaml is too large; allowed: up to 4 MiB"):
        read("a" * (MAX_BYTES + 1))
    with pytest.raises(InputError, match="makes the file too much"):
        read("[" + "a," * MAX_NODES + "]")


def test_read_yaml_with_both_parsers_is_the_same(monkeypatch):
    """Where the one in C is missing, the other gives the same places."""
    text = "a: x\nb:\n  - y\n  - {c: 'z'}\nd: |\n  e\n"
    first = read(text)
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    second = read(text)
    assert first == second
    places = [
        [word.where for word in itertools.chain(tree, tree.values()) if isinstance(word, LocatedStr)]
        for tree in (first, second)
    ]
    assert places[0] == places[1]
    with pytest.raises(InputError, match=r"f\.yaml, line 1, column 5 'a: b: c' is not YAML"):
        read("a: b: c")


def plainly(tree):
    if isinstance(tree, LocatedStr):
        return tree.value
    if isinstance(tree, LocatedList):
        return [plainly(item) for item in tree]
    if isinstance(tree, LocatedMapping):
        return {str(key): plainly(value) for key, value in tree.items()}
    return tree


yaml_like = st.text(alphabet="ab: -\n[]{}&*!|>'\"#%@,?~1.0\t\\é", max_size=60)


@given(yaml_like | st.text(max_size=40))
def test_read_yaml_of_any_text_is_a_tree_or_an_input_error(text):
    """Reading is total."""
    try:
        read(text)
    except InputError as error:
        assert str(error).startswith("f.yaml")  # noqa: PT017  (hypothesis tries both)


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Cn", "Cs", "Zl", "Zp"]), max_size=12)
json_like = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.floats(-1e9, 1e9) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(json_like)
def test_read_yaml_of_json_is_what_it_says(value):
    """JSON is YAML, and means the same here."""
    assert plainly(read(json.dumps(value, ensure_ascii=False))) == value
