"""Words on and off, in every order, drawn, and one after the other: from what one writes to the rows of a grid."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.errors import InputError
from promptlab.expand.prompt_matrix import in_every_order, switched
from promptlab.expand.prompt_steps import Entry, PromptSteps
from promptlab.expand.sampling import drawn, sample_prompts
from promptlab.expand.templates import parse
from promptlab.expand.wildcards import Wildcards
from promptlab.specs import Variant

AGES = {"age": ("old", "young", "ancient")}


def variants(*prompts):
    return tuple(Variant(prompt=prompt) for prompt in prompts)


def prompts(made):
    return [variant.prompt for variant in made]


def test_switched_fragments_are_on_and_off():
    """Two fragments give four prompts, the first fragment changing slowest, none of them first."""
    assert prompts(switched(variants("a fox"), ["in snow", "at dawn"])) == [
        "a fox", "a fox, at dawn", "a fox, in snow", "a fox, in snow, at dawn",
    ]  # fmt: skip


def test_switched_fragment_is_a_template():
    """Each of its prompts is one way to be on."""
    assert prompts(switched(variants("a"), ["{b|c}", "d|e"])) == [
        "a", "a, d|e", "a, b", "a, b, d|e", "a, c", "a, c, d|e",
    ]  # fmt: skip


def test_switched_fragment_behind_nothing_has_no_comma():
    """A fragment behind an empty prompt is the prompt."""
    assert prompts(switched(variants(""), ["b"])) == ["", "b"]


def test_in_every_order_keeps_the_places():
    """What is between them stays."""
    assert prompts(in_every_order(variants("a fox, red hat, in snow"), ["red hat", "a fox"])) == [
        "red hat, a fox, in snow", "a fox, red hat, in snow",
    ]  # fmt: skip
    assert prompts(in_every_order(variants("a,b , c"), None)) == [
        "a,b , c", "a,c , b", "b,a , c", "b,c , a", "c,a , b", "c,b , a",
    ]  # fmt: skip


def test_in_every_order_prefers_parts_between_commas():
    """``fox`` is the part that is only that, not the end of ``red fox``."""
    assert prompts(in_every_order(variants("red fox, fox"), ["fox", "red fox"])) == ["fox, red fox", "red fox, fox"]


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (["x"], "order 'x' is not in the prompt 'a b, c'"),
        (["a b", "b"], "order 'a b' overlaps another part"),
        (["c", "c"], "overlaps another part"),
        (list("abcdefghi"), "is not in the prompt"),
    ],
)
def test_in_every_order_of_missing_parts_is_refused(parts, words):
    """Parts have to be there, side by side."""
    with pytest.raises(InputError) as caught:
        in_every_order(variants("a b, c"), parts)
    assert words in str(caught.value)


def test_in_every_order_of_nine_parts_is_refused():
    """It is said before any is made."""
    with pytest.raises(InputError, match="puts 9 parts in every order, too many; allowed: up to 8 parts"):
        in_every_order(variants("a,b,c,d,e,f,g,h,i"), None)
    with pytest.raises(InputError, match="131,072 variants"):
        switched(variants("a"), [f"f{at}" for at in range(18)])


def test_prompt_steps_go_in_one_order():
    """Template, replacement, fragments, order: whatever order they were written in."""
    made = PromptSteps(replace=("fox=>{cat|dog}",), fragments=("red",), order=()).variants([Entry(text="a {big|} fox")])
    assert prompts(made) == [
        "a big cat", "a big cat, red", "a big dog", "a big dog, red", "a cat", "a cat, red", "a dog", "a dog, red",
    ]  # fmt: skip
    assert len({variant.label for variant in made}) == 8


def test_prompt_steps_keep_own_labels_and_negatives():
    """What is labelled keeps its label as long as its words stay; the others get labels that none of these has."""
    entries = [Entry(text="fox", label="cat"), Entry(text="cat", negative="x"), Entry(text="dog")]
    made = PromptSteps().variants(entries, negative="blurry")
    assert [(each.label, each.negative_prompt) for each in made] == [
        ("cat", "blurry"), ("cat (2)", "x"), ("dog", "blurry"),
    ]  # fmt: skip
    made = PromptSteps(fragments=("red",)).variants([Entry(text="a fox", label="fox")])
    assert [each.label for each in made] == ["fox", "red"]


def test_prompt_steps_label_of_two_prompts_is_refused():
    """A template that makes two cannot have one label."""
    with pytest.raises(InputError, match="label 'x' labels 2 prompts alike"):
        PromptSteps().variants([Entry(text="{a|b}", label="x")])


def test_prompt_steps_take_recorded_words_to_the_letter():
    """Braces and all; what was recorded beside them stays."""
    recorded = Variant(prompt="{a|b}", template="t", replacement="x=>y", source=3)
    (made,) = PromptSteps().variants([Entry(text="{a|b}", label="", recorded=recorded)])
    assert made == recorded


def test_sample_prompts_of_one_template_is_its_own_sample():
    """``--sample`` on one prompt is ``Template.sample``, weights and all."""
    template = parse("a {9::red|blue} {cat|dog|fox}")
    made = PromptSteps(sample=3, template_seed=5).variants([Entry(text=template.text)])
    assert tuple(prompts(made)) == template.sample(3, 5)


def test_sample_prompts_shares_among_prompts():
    """Each prompt gets its share; one that has fewer leaves it to the others."""
    templates = [parse("x"), parse("a {1|2|3|4}"), parse("b {1|2|3|4}")]
    assert [len(each) for each in sample_prompts(templates, 7, 0)] == [1, 3, 3]
    assert [len(each) for each in sample_prompts(templates, 3, 0)] == [1, 1, 1]
    assert [len(each) for each in sample_prompts(templates, 100, 0)] == [1, 4, 4]
    assert sum(len(each) for each in sample_prompts(templates, 2, 0)) == 2


def test_sample_prompts_of_far_too_many_makes_not_all():
    """Ten out of 10²⁴."""
    made = PromptSteps(sample=10, lists=AGES).variants([Entry(text="__age__ " + "{a|b|c|d|e|f|g|h|i|j}" * 24)])
    assert len(set(prompts(made))) == 10


def test_prompt_steps_sample_draws_from_what_multiplies_later():
    """The sample is as large as it was asked for, whatever the fragments make of it."""
    made = PromptSteps(sample=5, fragments=("x", "y")).variants([Entry(text="{a|b|c}")])
    assert len(made) == 5
    with pytest.raises(InputError, match="sample 13 is too many; allowed: 1 to 12"):
        PromptSteps(sample=13, fragments=("x", "y")).variants([Entry(text="{a|b|c}")])


@given(st.lists(st.integers(), max_size=30), st.data())
def test_drawn_keeps_the_order(items, data):
    """Any number of them can be drawn, each once, in the order they had."""
    items = list(enumerate(items))
    if items:
        n = data.draw(st.integers(1, len(items)))
        made = drawn(items, n, data.draw(st.integers(0, 2**32)))
        assert len(made) == n
        assert list(made) == sorted(set(made))
    with pytest.raises(InputError, match="sample"):
        drawn(items, len(items) + 1, 0)


def test_drawn_are_those_of_every_version():
    """What a seed draws never changes: runs are named after it."""
    stored = json.loads(Path(__file__).with_name("draws.json").read_text(encoding="utf-8"))
    for each in stored:
        entries = [Entry(text=text) for text in each["prompts"]]
        phrasing = PromptSteps(sample=each["sample"], template_seed=each["seed"], fragments=tuple(each["fragments"]))
        assert prompts(phrasing.variants(entries)) == each["drawn"]


def test_wildcards_beside_the_file_are_found(tmp_path):
    """They go by their paths; what is written goes before them; comments are for the eye."""
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "age.txt").write_text("# ages\nold\n\n #\n #f00 \nyoung", encoding="utf-8")
    (tmp_path / "b.txt").write_text("x", encoding="utf-8")
    shelf = Wildcards({"b": ("y",)}, tmp_path)
    assert dict(shelf) == {"b": ("y",), "people/age": ("old", "#f00", "young")}
    assert len(shelf) == 2
    assert "../b" not in shelf
    assert prompts(PromptSteps(lists=shelf).variants([Entry(text="__people/age__ ${b}")])) == [
        "old y",
        "#f00 y",
        "young y",
    ]
