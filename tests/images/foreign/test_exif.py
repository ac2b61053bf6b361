"""JPEG and WebP that describe themselves, read by us, by Pillow and by a reader of the web UI's format."""

import json
import struct

import numpy as np
import pytest
from PIL import Image
from sd_parsers import ParserManager
from sd_parsers.extractors import _jpeg_usercomment

from promptlab.errors import InputError, StoreError
from promptlab.images.exif import comment_text, fields_of, write_photo
from promptlab.images.foreign import read_foreign
from promptlab.images.foreign.texts import texts_of
from promptlab.images.metadata import self_description
from promptlab.specs import Variant
from tests.images.foreign import samples
from tests.images.foreign.words import NASTY, as_read, two_texts

PIXELS = np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)
FORMATS = ["jpeg", "webp"]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("prompt", NASTY)
def test_photo_written_describes_itself(tmp_path, resolve, kind, prompt):
    """The same two texts come out as from a PNG, whatever the words."""
    text = two_texts(resolve, Variant(prompt=prompt, negative_prompt="blurry"))
    path = tmp_path / f"a.{kind}"
    assert write_photo(path, PIXELS, text, format=kind) == ()
    assert texts_of(path) == text
    assert self_description(path).spec.variants[0].prompt == prompt
    with Image.open(path) as image:
        assert (image.format.lower(), image.size) == (kind, (64, 48))
        image.load()


@pytest.fixture
def sd_parsers(monkeypatch):
    """The reader without its memory: it knows pictures by ``id``, which a new one may have from an old one."""
    monkeypatch.setattr(_jpeg_usercomment, "_image_id", None)
    return ParserManager()


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("prompt", ["portrait photo of a old warrior chief", "늙은 전사 🔥", "two\nlines"])
def test_photo_written_is_read_by_sd_parsers(tmp_path, resolve, sd_parsers, kind, prompt):
    """UserComment is written as the web UI writes it."""
    path = tmp_path / f"a.{kind}"
    write_photo(path, PIXELS, two_texts(resolve, Variant(prompt=prompt, negative_prompt="blurry")), format=kind)
    (sampler,) = sd_parsers.parse(path).samplers
    assert [as_read(each.value) for each in sampler.prompts] == [as_read(prompt)]
    assert [each.value for each in sampler.negative_prompts] == ["blurry"]
    assert (sampler.name, sampler.parameters["seed"], sampler.parameters["steps"]) == ("DPM++ 2M", "7", "20")
    assert read_foreign(path).program == "PromptLab"


def test_photo_lossless_webp_has_the_very_pixels(tmp_path):
    """Black ones and bright ones alike."""
    write_photo(tmp_path / "a.webp", PIXELS, {}, format="webp", lossless=True)
    with Image.open(tmp_path / "a.webp") as image:
        assert np.array_equal(np.asarray(image.convert("RGB")), PIXELS)


def test_photo_quality_decides_the_size(tmp_path):
    """It is handed on to the encoder."""
    for quality in (30, 95):
        write_photo(tmp_path / f"{quality}.jpg", PIXELS, {}, format="jpeg", quality=quality)
    assert (tmp_path / "30.jpg").stat().st_size < (tmp_path / "95.jpg").stat().st_size


def test_photo_with_a_thousand_words_keeps_both_texts(tmp_path, resolve):
    """The longest prompts that anyone types fit a JPEG, in any script."""
    words = Variant(prompt="전사추장 " * 1000, negative_prompt="blurry " * 1000)
    assert write_photo(tmp_path / "a.jpg", PIXELS, two_texts(resolve, words), format="jpeg") == ()
    assert self_description(tmp_path / "a.jpg").spec.variants == (words,)


@pytest.mark.parametrize(
    ("ours", "theirs", "left_out"),
    [
        (60_000, 1_000, ()),
        (60_000, 5_000, ("parameters",)),
        (70_000, 1_000, ("promptlab",)),
        (70_000, 70_000, ("promptlab", "parameters")),
    ],
)
def test_photo_text_too_long_for_a_jpeg_is_left_out_whole(tmp_path, ours, theirs, left_out):
    """Ours goes first; nothing is ever cut."""
    text = {"parameters": "y" * theirs, "promptlab": "x" * ours}
    assert write_photo(tmp_path / "a.jpg", PIXELS, text, format="jpeg") == left_out
    assert texts_of(tmp_path / "a.jpg") == {key: value for key, value in text.items() if key not in left_out}
    assert write_photo(tmp_path / "a.webp", PIXELS, text, format="webp") == ()
    assert texts_of(tmp_path / "a.webp") == text


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"quality": 0}, InputError),
        ({"quality": 101}, InputError),
        ({"format": "jpeg", "lossless": True}, InputError),
        ({"text": {"prompt": "x"}}, ValueError),
        ({"pixels": np.zeros((4, 4), np.uint8)}, ValueError),
        ({"pixels": np.zeros((1, 20_000, 3), np.uint8), "format": "webp"}, InputError),
        ({"folder": "missing"}, StoreError),
    ],
)
def test_photo_that_cannot_be_written_is_refused(tmp_path, given, error):
    """Refused before anything is on disk."""
    path = tmp_path / given.pop("folder", ".") / "a"
    with pytest.raises(error):
        write_photo(path, given.pop("pixels", PIXELS), given.pop("text", {}), **{"format": "jpeg", **given})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"UNICODE\0" + "a fox 전사".encode("utf-16-be"), "a fox 전사"),
        (b"UNICODE\0" + "a fox 전사".encode("utf-16-le"), "a fox 전사"),
        (b"UNICODE\0" + "a fox".encode("utf-16"), "a fox"),
        (b"UNICODE\0" + b"\0a\0", "a"),
        (b"ASCII\0\0\0a fox", "a fox"),
        (b"ASCII\0\0\0" + "전사".encode(), "전사"),
        (b"JIS\0\0\0\0\0" + "狐".encode("iso2022_jp"), "狐"),
        (b"\0" * 8 + b"a fox", "a fox"),
        (b'{"prompt": "a fox"}', '{"prompt": "a fox"}'),
        (b"caf\xe9 \xff", "café ÿ"),
        (b"", ""),
    ],
)
def test_user_comment_in_any_code_is_decoded(value, text):
    """Every code of the standard, both byte orders, and those who ignore it."""
    assert comment_text(value) == text


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_in_both_byte_orders_is_read(order):
    """A camera's block in either order gives the same fields; short values lie in the entry itself."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    long = b"prompt:{} and more\0"
    folder = struct.pack(f"{order}H", 3)
    folder += struct.pack(f"{order}HHI4s", 0x010E, 2, 3, b"ab\0\0")
    folder += struct.pack(f"{order}HHII", 0x0110, 2, len(long), 8 + 2 + 36 + 4)
    folder += struct.pack(f"{order}HHII", 0x0111, 2, 5, 2**31)
    block = head + folder + bytes(4) + long
    assert fields_of(b"Exif\0\0" + block) == {0x010E: b"ab\0", 0x0110: long}


def test_jpeg_of_fooocus_is_read(tmp_path):
    """It writes its JSON without a code into the first folder, and the scheme beside it."""
    exif = Image.Exif()
    exif[0x9286], exif[0x0131], exif[0x927C] = json.dumps(samples.FOOOCUS), "Fooocus v2.5.5", "fooocus"
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", exif=exif)
    assert read_foreign(tmp_path / "a.jpg").program == "Fooocus"


def test_webp_of_comfyui_is_read(tmp_path):
    """Model holds the graph, Make the drawing of it."""
    exif = Image.Exif()
    exif[0x0110], exif[0x010F] = f"prompt:{json.dumps(samples.COMFY)}", "workflow:{}"
    Image.fromarray(PIXELS).save(tmp_path / "a.webp", exif=exif)
    assert read_foreign(tmp_path / "a.webp").spec.variants[0].prompt == "a fox"


@pytest.mark.parametrize(("text", "program"), [(samples.A1111, "AUTOMATIC1111"), (samples.DGENERATE, "dgenerate")])
def test_jpeg_with_a_comment_of_piexif_is_read(tmp_path, text, program):
    """The web UI and dgenerate share the place; the first line tells them apart."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + text.encode("utf-16-be")
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", exif=exif)
    assert read_foreign(tmp_path / "a.jpg").program == program


def test_jpeg_of_a_camera_is_of_no_program(tmp_path):
    """Make, model and maker note of others mean nothing here."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon", "Canon EOS: R5"
    exif.get_ifd(0x8769)[0x927C] = b"Nikon\0\x02\x10"
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", exif=exif)
    assert texts_of(tmp_path / "a.jpg") == {}
    assert read_foreign(tmp_path / "a.jpg") is None
    assert self_description(tmp_path / "a.jpg") is None
