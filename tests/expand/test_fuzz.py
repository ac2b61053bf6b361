"""Thousands of inputs nobody would type: each becomes a result or one line that says what is wrong, within bounds.

Bounds are told without a clock: what comes out is counted, and what goes in stays small, so that anything that runs
away takes memory or minutes, which the test run's own limit ends.
"""

import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promptlab.errors import InputError, PromptLabError
from promptlab.expand import Template, from_prompts, parse, parse_seeds, read_experiment
from promptlab.expand.experiment_file.reader import parse_experiment
from promptlab.expand.prompt_edits import appended, replaced
from promptlab.expand.prompt_matrix import in_every_order, switched
from promptlab.expand.ranges import MAX_NUMBERS, parse_numbers
from promptlab.expand.templates import MAX_CHARACTERS, MAX_PROMPTS
from tests.fuzzing import examples

pytestmark = [pytest.mark.slow, pytest.mark.fuzz]

SMALL = 200  # prompts; more are counted, not made

often = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))

MARKS = [
    "{", "}", "|", "||", "$$", "::", "__", "${", "\\", "{100$$", "{1-9$$", "{-$$", "{2$$ and $$", "{99999999$$", "{0$$",
    "__a__", "${b}", "__loop__", "${none}", "__*__", "0::", "1e9::", "9" * 400 + "::", ".5::", "nan::", "{" * 60,
    "}" * 60, "{a|" * 12, "{a|b|c|d}" * 9, "=>", "\\=>", ",", "\0", "\t", "\r\n", "\ufeff", "\u2028", "\u202e",
    "e\u0301", "🇰🇷", "\ud800",
]  # fmt: skip
hostile = st.lists(st.one_of(st.sampled_from(MARKS), st.text(max_size=6)), max_size=14).map("".join)

LISTS = {
    "a": ("x", "2::y", "{p|q}"),
    "b": ("__a__", "z {1|2}"),
    "loop": ("again __loop__",),
    "broken": ("{",),
    "empty": (),
    "wide": tuple(f"{{{n}|a|b|c}}" for n in range(200)),
}


def one_line(error):
    assert "\n" not in str(error)
    assert len(str(error)) <= 1500


def answered(function, *words, **more):
    """What ``function`` gives, or ``None`` and a sentence of PromptLab's own."""
    try:
        return function(*words, **more)
    except PromptLabError as error:
        one_line(error)
        return None


def check_template(template):
    """Counted before it is made; what is made is as much as was counted, and no longer than was said."""
    count = answered(template.count, LISTS)
    if count is None:
        return
    if count > MAX_PROMPTS:
        with pytest.raises(InputError, match="too many to make all of them"):
            template.expand(LISTS)
    elif count <= SMALL:
        prompts = answered(template.expand, LISTS)
        if prompts is not None:
            assert len(prompts) == count
            assert sum(map(len, prompts)) <= MAX_CHARACTERS
    drawn = answered(template.sample, min(count, 3), 7, LISTS)
    assert drawn is None or len(set(drawn)) == len(drawn)


@given(hostile)
@settings(often, max_examples=examples(3500))
def test_template_fuzzed_is_prompts_or_an_input_error(text):
    """The parser and the expander answer every text, and never make more than they counted."""
    template = answered(parse, text)
    if isinstance(template, Template):
        check_template(template)


NUMBERS = [
    "1-999999999999", "0-4294967295", "1-1e300", "1-9 (+0.000000001)", "1-9 (+1e-300)", "1-9 [999999]", "1-9 [0]",
    "9-1", "9-1 (-1)", "1e999", "-0", "nan", "inf", "0x10", "1_0", "٣", "1..", "1.5..2 step", "random:99999999999",
    "random:4", "0-7", ",", ",,", "- -", "--", "(+1)", "1-2-3", "[", "1" * 5000, "0." + "0" * 50 + "1",
    "0.1-0.3 (+0.1)",
]  # fmt: skip
ranges = st.lists(st.one_of(st.sampled_from(NUMBERS), st.text("0123456789-.,eE+()[] ", max_size=12)), max_size=5)


@given(ranges.map(",".join), st.booleans())
@settings(often, max_examples=examples(2000))
def test_numbers_and_seeds_fuzzed_are_read_or_an_input_error(text, whole):
    """Ranges are counted before they are made; what comes out is finite, and in range."""
    numbers = answered(parse_numbers, text, whole=whole, what="num_inference_steps")
    if numbers is not None:
        assert len(numbers) <= MAX_NUMBERS
        assert all(abs(number) < 1e9 for number in numbers)
    seeds = answered(parse_seeds, text)
    if seeds is not None:
        assert len(set(seeds)) == len(seeds) <= 1_000_000
        assert all(0 <= seed < 2**32 for seed in seeds)


@given(hostile, hostile, st.lists(hostile, max_size=4), st.one_of(st.none(), st.lists(hostile, max_size=9)))
@settings(often, max_examples=examples(1500))
def test_prompt_edits_fuzzed_are_variants_or_an_input_error(text, other, fragments, parts):
    """Append, replace, fragments and orders, each with any text: rows that differ, no more than a run can have."""
    variants = answered(from_prompts, ["a red, old, tall fox", text], lists=LISTS)
    if variants is None or len(variants) > SMALL:
        variants = from_prompts(["a red, old, tall fox"])
    for made in (
        answered(appended, variants, other, lists=LISTS) if counted(other) else None,
        answered(replaced, variants[:1], f"red=>{other}", lists=LISTS) if counted(other) else None,
        answered(replaced, variants, other, lists=LISTS) if counted(other) else None,
        answered(switched, variants, fragments, lists=LISTS) if all(map(counted, fragments)) else None,
        answered(in_every_order, variants[:1], parts),
    ):
        if made is not None:
            assert 1 <= len(made) <= MAX_PROMPTS
            assert len({each.prompt for each in made}) == len(made)


def counted(text):
    """Whether a template is small, or wrong, or too much for one: all but those that merely take their time."""
    template = answered(parse, text)
    count = template and answered(template.count, LISTS)
    return count is None or count <= 20 or count > MAX_PROMPTS


FILE = """\
experiment: warrior
prompts:
  - portrait of {a old|a young} chief
  - {prompt: "a __beast__", negative: blurry, label: beast}
lists: {beast: [fox, 2::wolf]}
negative: dull
seeds: 0-3
steps: 20
arguments: {eta: 0.5, clip_skip: 1}
replace: ["chief=>{king|queen}"]
fragments: [sharp, at night]
axes:
  scheduler: [euler, "dpmsolver++:use_karras_sigmas=true"]
  guidance: 1-9 (+4)
zip:
  - {width: [64, 128], height: [128, 64]}
exclude:
  - {scheduler: euler, guidance: 9}
sample: 5
template_seed: 3
"""
LADDER = """\
prompts: a fox
ladder:
  - {dtype: float32, steps: 50}
  - {dtype: float16}
  - {scheduler: euler, steps: 20}
"""

PIECES = [
    "- ", "  ", "\t", ": ", "\n", "? ", "| ", "> ", "&a ", "*a", "<<: *a", "!!python/object:os.system ", "! ", "--- ",
    "...", "!!binary |", "%YAML 1.1\n", "[" * 60, "{" * 60, "]", "}", "'", '"', '"\\U99999999"', "\\ud800", "#", "\0",
    "\ufeff", "\u2028", "\x85", "\x1b", "9" * 5000, "1e999", ".nan", ".inf", "-0", "0o7", "1:30", "2024-01-01", "null",
    "~", "true", "prompts", "axes", "seeds", "zip", "exclude", "ladder", "lists", "sample", "order", "fragments",
    "arguments.eta", "1-999999999999", "0-4294967295", "random:5", "{100$$a|b}", "{a|b}" * 20, "__x__", "=>", "euler",
    "default", "NULL",
]  # fmt: skip
bombs = [
    "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"{n}: &{n} [{', '.join([f'*{p}'] * 10)}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True)),
    "a: &a {b: *a}\n",
    "prompts: &p [*p]\n",
    "x: &x {y: 1}\nz: {<<: *x}\n",
    "a: !!python/object/apply:os.system [echo]\n",
    "a: !!python/name:os.system\n",
    "- " * 3000,
    "[" * 100_000,
    "{a: " * 5000,
    "? " * 5000,
    "a: " + "9" * 100_000,
    "seeds: " + "0-4294967295," * 50,
    "axes: {steps: 1-99999, guidance: 1-99999, seeds: [0-9, 1-10]}\nprompts: a\n",
    "prompts: a\naxes:\n" + "".join(f"  arguments.a{n}: [1, 2]\n" for n in range(60)),
    "prompts: ['" + "{a|b|c|d|e|f|g|h|i|j}" * 30 + "']\nsample: 2000\n",
    "prompts: a, b, c, d, e, f, g, h\norder: true\nfragments: [" + ", ".join("123456789") + "]\n",
    "prompts: a\nfragments: [" + ", ".join(f"f{n}" for n in range(40)) + "]\n",
    "prompts: a" + "\nreplace: ['a=>aa'" + ", 'a=>aa'" * 40 + "]\n",
    "prompts: ['" + "a " * 20000 + "']\nreplace: ['a=>" + "b " * 20000 + "']\n",
    "prompts: a\nfragments: ['" + "', '".join(f"{n} " + "long " * 10000 for n in range(14)) + "']\n",
    "prompts: ['" + ", ".join(f"{n} " + "long " * 2000 for n in range(8)) + "']\norder: true\n",
    "lists: {" + ", ".join(f"l{n}: ['{{__l{n + 1}__|__l{n + 1}__}}', x]" for n in range(40)) + "}\nprompts: __l0__\n",
]


@st.composite
def mutated(draw):
    """A good file with a few lines lost, doubled, swapped or sprinkled with what YAML is made of."""
    lines = draw(st.sampled_from([FILE, LADDER])).splitlines(keepends=True)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        kind = draw(st.sampled_from(["sprinkle", "sprinkle", "replace", "lose", "double", "indent"]))
        piece = draw(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)))
        if kind == "lose" and len(lines) > 1:
            del lines[at]
        elif kind == "double":
            lines.insert(at, lines[at])
        elif kind == "indent":
            lines[at] = draw(st.sampled_from(["  ", "\t", " ", "- "])) + lines[at]
        elif kind == "replace":
            lines[at] = re.sub(r"[\w.{}|-]+\n", lambda _, piece=piece: f"{piece}\n", lines[at])
        else:
            place = draw(st.integers(0, len(lines[at])))
            lines[at] = lines[at][:place] + piece + lines[at][place:]
    return "".join(lines)


anything = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)), max_size=20).map("".join)


def check_file(text):
    experiment = answered(parse_experiment, text, file="f.yaml", folder=Path(__file__).parent)
    if experiment is None:
        return
    sweep = answered(experiment.sweep, default_model="mini")
    if sweep is not None:
        assert 1 <= len(sweep.cells) <= 100_000
        assert all(0 <= seed < 2**32 for cell in sweep.cells[:50] for seed in cell.spec.seeds[:50])


@given(mutated())
@settings(often, max_examples=examples(1800))
def test_experiment_file_with_slips_is_runs_or_an_input_error(text):
    """Mutations of good files are sweeps within bounds, or say in one line what is wrong."""
    check_file(text)


@given(anything)
@settings(often, max_examples=examples(1200))
def test_experiment_file_fuzzed_is_one_or_an_input_error(text):
    """So is anything else that is made of what YAML is made of."""
    check_file(text)


@pytest.mark.parametrize("text", bombs, ids=lambda text: text[:24])
def test_experiment_file_that_would_explode_is_refused_or_counted(text):
    """Aliases of aliases, depths, tags, numbers and lists that few lines blow up: no more is made than is allowed."""
    check_file(text)


@given(st.binary(max_size=60))
@settings(often, max_examples=examples(30))
def test_experiment_file_of_any_bytes_is_one_or_an_input_error(tmp_path_factory, raw):
    """What is not even UTF-8 is said in one line, too."""
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(raw)
    with suppress(PromptLabError):
        read_experiment(path)
