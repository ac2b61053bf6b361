"""Ten thousand pictures of strangers: whatever is in them, a result comes out, or one line that says what is wrong."""

import json
import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promptlab.errors import InputError
from promptlab.images.exif import comment_text, fields_of
from promptlab.images.foreign import ForeignMetadata, read_foreign, recognise
from promptlab.images.foreign.texts import texts_of
from promptlab.images.png import encode_png
from promptlab.specs import MAX_SEED, RunSpec
from tests.fuzzing import examples
from tests.images.foreign import samples

pytestmark = [pytest.mark.slow, pytest.mark.fuzz]

EACH = examples(1_850)
FEW = examples(250)
fuzz = settings(
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)

odd_text = st.sampled_from(
    ["", "\0", "\ud800", "9" * 400, "-1", "1e999", "nan", "0x10", "true", "\n", "\r", '"', "'", "\\", ",", ":", ";",
     "(", "[", "{", "<lora:", "(a:1.2)", "Negative prompt:", "Steps: 1", "--", "--prompts", "-s 5", "=",
     "\N{NO-BREAK SPACE}", "𝒳", "٣", "²", " " * 50, "a b: " * 40, "((((" * 40, '"' * 41, "\\" * 41]
)  # fmt: skip
number = st.sampled_from([0, -1, 1, 2**31, 2**32, 2**64, 10**300, -(10**30), 0.5, 1e308, float("nan"), float("inf")])
value = st.none() | st.booleans() | number | odd_text | st.text(max_size=12)
anything = st.recursive(
    value, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd_text, inner, max_size=3), max_leaves=6
)


@st.composite
def mutated(draw, *sound):
    """A sound text with a few cuts, repeats and insertions."""
    text = draw(st.sampled_from(sound))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 40)))
        text = text[:start] + draw(st.sampled_from(["", text[start:end] * 2]) | odd_text) + text[end:]
    return text


@st.composite
def changed(draw, *sound):
    """A sound object with other values in some places, as JSON."""
    plain = json.loads(json.dumps(draw(st.sampled_from(sound))))
    for _ in range(draw(st.integers(1, 4))):
        inner = plain
        while True:
            keys = list(inner) if isinstance(inner, dict) else range(len(inner))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if not isinstance(inner[key], dict | list) or draw(st.booleans()):
                inner[key] = draw(anything)
                break
            inner = inner[key]
    return json.dumps(plain)


node = st.builds(
    samples.node,
    st.sampled_from(sorted({each["class_type"] for each in {**samples.COMFY, **samples.COMFY_FLUX}.values()} | {"X"})),
)
link = st.tuples(st.sampled_from("0123456789"), st.integers(0, 2)).map(list)
inputs = st.dictionaries(
    st.sampled_from(
        ["seed", "noise_seed", "steps", "cfg", "sampler_name", "scheduler", "denoise", "model", "positive", "negative",
         "latent_image", "samples", "vae", "clip", "text", "ckpt_name", "lora_name", "width", "height", "images",
         "conditioning", "guider", "noise", "sigmas", "sampler", "value", "vae_name", "batch_size"]
    ),
    link | link | value,
    max_size=10,
)  # fmt: skip
graphs = st.dictionaries(
    st.sampled_from("0123456789"),
    st.tuples(node, inputs).map(lambda pair: {**pair[0], "inputs": pair[1]}) | anything,
    min_size=1,
    max_size=8,
).map(json.dumps)


def checked(texts):
    """What comes out is nothing, or something that can be stored, shown and made."""
    found = recognise(texts)
    if found is None:
        return
    assert isinstance(found, ForeignMetadata)
    assert RunSpec.from_dict(json.loads(json.dumps(found.spec.to_dict(), allow_nan=False))) == found.spec
    assert found.spec.image_count == 1
    assert 0 <= found.spec.seeds[0] <= MAX_SEED
    for loss in found.lost:
        line = str(loss)
        assert "\n" not in line
        assert len(line) < 500
        line.encode()
    found.spec.variants[0].prompt.encode()
    assert "\0" not in found.spec.pipeline.model


@given(mutated(samples.A1111, samples.A1111_NEW, samples.FORGE_FLUX, samples.SD_NEXT) | st.text() | anything.map(str))
@settings(fuzz, max_examples=EACH)
def test_automatic1111_any_text_ends_in_a_safe_spec(text):
    """Any text under ``parameters``."""
    checked({"parameters": text})


@given(
    st.sampled_from(["invokeai_metadata", "sd-metadata"]),
    changed(samples.INVOKE, samples.INVOKE_2) | anything.map(json.dumps),
    mutated(samples.DREAM) | st.text(),
)
@settings(fuzz, max_examples=EACH)
def test_invokeai_any_text_ends_in_a_safe_spec(keyword, text, dream):
    """Any JSON, any command line, in any of its three chunks."""
    checked({keyword: text, "Dream": dream})
    checked({"Dream": dream})


@given(
    changed(samples.FOOOCUS) | mutated(samples.FOOOCUS_A1111, json.dumps(samples.FOOOCUS)) | anything.map(json.dumps),
    st.sampled_from(["fooocus", "a1111", ""]),
)
@settings(fuzz, max_examples=EACH)
def test_fooocus_any_text_ends_in_a_safe_spec(text, scheme):
    """Both schemes, whatever the chunk beside it claims."""
    checked({"parameters": text, "fooocus_scheme": scheme})


@given(
    changed(samples.NAI, samples.NAI_4, samples.SWARM, samples.DRAW) | anything.map(json.dumps),
    st.sampled_from(["Comment", "parameters", "xmp_comment"]),
)
@settings(fuzz, max_examples=EACH)
def test_novelai_swarmui_draw_things_any_text_ends_in_a_safe_spec(text, keyword):
    """Any JSON, in any of the places, and within the objects that hold theirs."""
    checked({keyword: text, "Software": "NovelAI"})
    checked({"parameters": f'{{"sui_image_params": {text}}}'})
    checked({"parameters": json.dumps({"Comment": text, "Software": "NovelAI"})})


@given(graphs | changed(samples.COMFY, samples.COMFY_FLUX) | mutated(json.dumps(samples.COMFY)))
@settings(fuzz, max_examples=EACH)
def test_comfyui_any_graph_ends_in_a_safe_spec(text):
    """Any graph: circles, links to nowhere, inputs of the wrong kind."""
    checked({"prompt": text})


@given(mutated(samples.DGENERATE) | st.text() | st.lists(odd_text).map(" ".join))
@settings(fuzz, max_examples=EACH)
def test_dgenerate_any_text_ends_in_a_safe_spec(text):
    """Any script, its quotes open and its options without values."""
    checked({"DgenerateConfig": text})


@given(
    st.sampled_from(
        ["parameters", "prompt", "Dream", "invokeai_metadata", "sd-metadata", "DgenerateConfig", "promptlab"]
    ),
    mutated(*(text for sample in samples.ALL.values() for text in sample.values())),
    st.lists(st.tuples(st.integers(33, 400), st.integers(0, 255)), max_size=3),
    st.integers(60, 4000),
)
@settings(fuzz, max_examples=FEW)
def test_read_foreign_any_file_ends_in_a_safe_spec(tmp_path, keyword, text, flips, length):
    """PNG files with a stranger's text, with bytes changed, cut short."""
    text = text.replace("\0", " ").encode("utf-8", "replace").decode()
    file = bytearray(encode_png(np.zeros((8, 8, 3), np.uint8), {keyword: text}))
    for at, byte in flips:
        file[at % len(file)] = byte
    path = tmp_path / "a.png"
    path.write_bytes(file[:length] if length % 3 == 0 else file)
    try:
        read_foreign(path)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017 - both outcomes are right


def jpeg(exif):
    """As much of a JPEG as is needed to have its EXIF found."""
    app = b"\xff\xe1" + struct.pack(">H", len(exif) + 8) + b"Exif\0\0" + exif
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 11, 8, 8, 8, 1) + b"\x01\x11\0"
    return b"\xff\xd8" + app + frame + b"\xff\xda" + struct.pack(">H", 8) + b"\x01\x01\0\0\x3f\0\xff\xd9"


@given(
    st.sampled_from([b"II*\0", b"MM\0*", b""]),
    st.binary(max_size=200)
    | st.lists(
        st.tuples(
            st.sampled_from([0x8769, 0x9286, 0x927C, 0x0110, 0x010F, 0]),
            st.integers(0, 20),
            st.integers(0, 2**32 - 1) | st.integers(0, 64),
            st.integers(0, 2**32 - 1) | st.integers(0, 64),
        ),
        max_size=5,
    ).map(lambda entries: struct.pack("<IH", 8, len(entries)) + b"".join(struct.pack("<HHII", *e) for e in entries)),
)
@settings(fuzz, max_examples=FEW)
def test_exif_any_bytes_are_read_or_skipped(tmp_path, order, block):
    """Any bytes for EXIF: folders that hold themselves, values that lie nowhere."""
    for value in fields_of(order + block).values():
        comment_text(value)
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(order + block))
    try:
        checked(texts_of(path))
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017 - both outcomes are right


@given(st.sampled_from(list(samples.ALL)), st.sampled_from(list(samples.ALL)), odd_text)
@settings(fuzz, max_examples=FEW)
def test_recognise_texts_of_several_programs_ends_in_a_safe_spec(one, other, odd):
    """A picture that went through two programs has the texts of both, or their remains."""
    checked({**samples.ALL[one], **samples.ALL[other]})
    checked({keyword: text[: len(text) // 2] + odd for keyword, text in {**samples.ALL[one]}.items()})


def chain(length):
    """A graph in which everything goes through ``length`` nodes, the last of which leads back to the first."""
    graph = {f"n{at}": samples.node("Reroute", model=[f"n{(at + 1) % length}", 0]) for at in range(length)}
    return {**graph, **samples.COMFY, "10": samples.node("LoraLoader", model=["n0", 0])}


MEGA = examples(1_000_000)
MANY = examples(100_000)
HOSTILE = {
    "one word": "x" * MEGA,
    "one key": "a " * (MEGA // 2) + ":",
    "keys": "ab:" * (MEGA // 3),
    "quoted keys": 'ab: "' * (MEGA // 5),
    "quotes": '"' * MEGA,
    "escapes": 'ab: "' + "\\" * MEGA,
    "fields": "Steps: 1, Sampler: Euler, Seed: 1, " + "ab: c, " * (MEGA // 7),
    "lines": "Negative prompt:\n" * (MEGA // 17) + "Steps: 1, Sampler: Euler, Seed: 1",
    "brackets": "(" * MEGA + "\nSteps: 1, Sampler: Euler, Seed: 1",
    "weights": "(a:1" * (MEGA // 4) + "\nSteps: 1, Sampler: Euler, Seed: 1",
    "networks": "<lora:" * (MEGA // 6) + "\nSteps: 1, Sampler: Euler, Seed: 1",
    "loras": "<lora:a:1>" * (MEGA // 10) + "\nSteps: 1, Sampler: Euler, Seed: 1",
    "blanks": "a" + " " * MEGA + "\nSteps: 1, Sampler: Euler, Seed: 1",
    "plus": "a+" * (MEGA // 2) + " -s 5",
    "switches": "a -s 5" + " -a b" * (MEGA // 5),
    "dashes": "-" * MEGA,
    "nested": "[" * MEGA,
    "deep": '{"a":' * 10_000 + "1" + "}" * 10_000,
    "digits": '{"seed": ' + "9" * MEGA + "}",
    "a long seed": json.dumps({**samples.INVOKE, "seed": "9" * MEGA, "positive_prompt": "+" * MEGA}),
    "many loras": json.dumps({**samples.INVOKE, "loras": [{"model": {"name": str(at)}} for at in range(MANY // 5)]}),
    "a number": json.dumps({**samples.FOOOCUS, "resolution": "1" * MEGA, "seed": 10**4000, "steps": 1e308}),
    "a long chain": json.dumps(chain(MANY)),
    "a circle": json.dumps(chain(1)),
    "many links": json.dumps({**samples.COMFY, "9": samples.node("Save", **{f"i{n}": ["3", 0] for n in range(MANY)})}),
    "many samplers": json.dumps({str(at): samples.COMFY["3"] for at in range(MANY // 5)}),
    "continued lines": "a \\\n--prompts '" + "b \\\n" * (MEGA // 4),
    "lists": "Steps: 1, Sampler: Euler, " + "ab: [0, " * (MEGA // 8),
    "open lists": "Steps: 1, Sampler: Euler, " + 'ab: ["ab: [", ' * (MEGA // 15),
    "one line": "Steps: 1, " * (MEGA // 10),
    "lines of fields": "Steps: 1, Seed\n" * (MEGA // 15),
    "lines behind": "Steps: 1, Sampler: Euler, Seed: 1\n" + "a: b\n" * (MEGA // 5),
    "more behind": "Steps: 1, Sampler: Euler, Seed: 1\nab: b\n" + "b\n" * (MEGA // 2),
    "negatives": "Steps: 1, Sampler: Euler, " + "Negative prompt: a, " * (MEGA // 20),
    "values": "a --seeds " + "1 " * (MEGA // 2),
    "parts": "a --scheduler Euler;" + "a=1;" * (MEGA // 4),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_recognise_text_large_on_purpose_takes_no_longer_than_its_length(name):
    """Text that makes careless parsers work forever, under every keyword: work grows with length and no faster."""
    for keyword in ("parameters", "prompt", "Dream", "invokeai_metadata", "sd-metadata", "DgenerateConfig"):
        checked({keyword: HOSTILE[name]})


def test_read_foreign_text_that_unpacks_to_much_more_is_refused(tmp_path):
    """A few thousand bytes of zTXt that would become a gigabyte are not unpacked."""
    packed = zlib.compress(bytes(50_000_000))
    data = b"parameters\0\0" + packed
    chunk = struct.pack(">I", len(data)) + b"zTXt" + data + struct.pack(">I", zlib.crc32(b"zTXt" + data))
    plain = encode_png(np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "a.png").write_bytes(plain[:33] + chunk + plain[33:])
    with pytest.raises(InputError, match="damaged"):
        read_foreign(tmp_path / "a.png")
