"""Long and nasty texts take work in proportion to their length, wherever words are read, compared, shown or written.

What Python does is counted in calls. What one call into C does cannot be counted: such a call is ended where it takes
a hundred times the processor time that it needs, which a regular expression that looks again and again takes at once.
"""

import json
import signal
from contextlib import contextmanager

import pytest

from promptlab.cli.output import visible
from promptlab.errors import PromptLabError, one_line
from promptlab.expand import parse
from promptlab.expand.labels import labelled
from promptlab.expand.prompt_edits import appended, replaced
from promptlab.expand.word_diff import cut, marked, shortened, word_diff
from promptlab.images.foreign import recognise
from promptlab.images.foreign.texts import xmp_comment
from promptlab.images.infotext import infotext
from promptlab.images.report.page import safe_json
from promptlab.images.text import Style, wrapped
from promptlab.lab.word_hints import syntax_hints
from promptlab.plan import requests_of
from promptlab.specs import PipelineSpec, RunSpec, Variant
from promptlab.store.text_search import words_of
from promptlab.testing import Painter
from promptlab.tracking.markdown import escaped, word_changes
from tests.counting import calls
from tests.images.foreign import samples

pytestmark = pytest.mark.slow

FIELDS = "Steps: 18, Sampler: Euler, Seed: 7"
STYLE = Style(size=13, colour="#000000")


def spec(text):
    return RunSpec(
        pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt=text, negative_prompt=text),), seeds=(0,)
    )


def infotext_of(text):
    (resolved,) = Painter().resolve([spec(text)])
    return infotext(requests_of(resolved)[0])


def graph(text):
    nodes = {
        "3": samples.node("KSampler", steps=5, cfg=5, sampler_name="euler", seed=1, positive=["6", 0], model=["4", 0]),
        "6": samples.node("CLIPTextEncode", text=["7", 0], clip=["4", 1]),
        "7": samples.node("StringReplace", string=text, find=text[:1], replace="ab"),
    }
    return {"prompt": json.dumps(nodes)}


WORKS = {
    "template": lambda text: parse(text).count(),
    "hints": lambda text: list(syntax_hints([spec(text)])),
    "labels": lambda text: labelled([Variant(prompt=text), Variant(prompt=f"{text} b"), Variant(prompt=f"c {text}")]),
    "difference": lambda text: marked(shortened(word_diff(text, f"{text[::-1]} a {text}"))),
    "replacing": lambda text: replaced([Variant(prompt=text)], f"{text[0]}=>b"),
    "appending": lambda text: appended([Variant(prompt="a fox")], text),
    "cutting": lambda text: (cut(text, 40), one_line(text, limit=100), visible(text)),
    "infotext": lambda text: recognise({"parameters": f"{text}\nNegative prompt: {text}\n{FIELDS}, Model: {text}"}),
    "infotext on a line": lambda text: recognise({"parameters": f"{text} {FIELDS}, Size: {text}"}),
    "infotext behind": lambda text: recognise({"parameters": f"a\n{FIELDS}\n{text}"}),
    "no infotext": lambda text: recognise({"parameters": text, "prompt": text, "Comment": text, "Dream": text}),
    "dgenerate": lambda text: recognise({"DgenerateConfig": f"#! dgenerate\n{text}\npine {text}"}),
    "InvokeAI": lambda text: recognise({"invokeai_metadata": json.dumps({"positive_prompt": text, "steps": text})}),
    "Dream": lambda text: recognise({"Dream": f'"{text}" -s 5 {text}'}),
    "NovelAI": lambda text: recognise({"Software": "NovelAI", "Comment": json.dumps({"prompt": text, "uc": text})}),
    "graph": lambda text: recognise(graph(text)),
    "XMP": lambda text: xmp_comment(f"<exif:UserComment>{text}</exif:UserComment>"),
    "infotext written": infotext_of,
    "Markdown": lambda text: (escaped(text, limit=2_000), word_changes(text, f"{text} a", limit=2_000)),
    "HTML": safe_json,
    "search": lambda text: words_of([text]),
    "drawing": lambda text: wrapped(text, STYLE, 300, lines=14),
}

UNITS = ("(", "{", "<lora:", "a|b, ", "__a b")
MORE = (
    "[", ")", "\\n", "\\", "\n", '{"a":', "[[", "<b>&amp;", ":", "Steps: 1, ", "Negative prompt:", "((a:1.5)", '"', " ",
    "-s 5 ", "漢", "e\u0301", "🇰🇷", "_", "1.2::", "a,", "=>", "\t", "a ", "{a|b}", "${a", "a: b, ", "%", "a" * 30 + " ",
    "(a", "[a:", "<", "\x00", "\r\n", "'", "+", "a+", "--x ",
)  # fmt: skip


@contextmanager
def runaways_ended(seconds):
    """End what takes more than so many seconds of the processor: linear work takes hundredths of one."""

    def end(_number, _frame):
        pytest.fail("it does not end")

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@pytest.mark.parametrize("unit", [*UNITS, *(pytest.param(unit, marks=pytest.mark.exhaustive) for unit in MORE)])
def test_long_text_twice_as_long_takes_twice_the_work(unit):
    """Calls are counted at one length and at twice that; and a hundred thousand characters come to an end."""
    short, long, longest = (unit * (length // len(unit)) for length in (4_000, 8_000, 100_000))
    for name, work in WORKS.items():
        with runaways_ended(30):
            few = calls(work, short)
            assert calls(work, long) < 2.5 * few + 500, name
        with runaways_ended(30):
            try:
                work(longest)
            except PromptLabError as error:  # a refusal is an answer, and a short one
                assert len(str(error)) < 3_000, name  # noqa: PT017
