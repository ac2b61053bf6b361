"""PNG files: the same pixels and words back, whole or not at all, and one line for every file that is none."""

import hashlib
import io
import os
import shutil
import subprocess
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib import cbook
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from promptlab.errors import InputError, NotFound, StoreError
from promptlab.expand.prompts_file import read_prompts
from promptlab.images.metadata import self_description
from promptlab.images.png import encode_png, pixel_sha256, read_pixels, read_text, write_png, write_png_rows

pictures = arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)))
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
keywords = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=79)
same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@given(pixels=pictures)
def test_png_encoded_has_its_pixels_for_pillow(pixels):
    """Any RGB picture comes back to the byte through another program's reader."""
    with Image.open(io.BytesIO(encode_png(pixels))) as image:
        assert image.mode == "RGB"
        assert np.array_equal(np.asarray(image), pixels)


@same_folder
@given(pixels=pictures, text=st.dictionaries(keywords, words, max_size=4))
@example(pixels=np.zeros((1, 1, 3), np.uint8), text={"0": "Ã© is Latin-1 here, and would be é in UTF-8"})
def test_png_read_back_has_its_pixels_and_texts(tmp_path, pixels, text):
    """Pixels and text chunks survive the disk: newlines, emoji, Korean, colons and quotes included."""
    write_png(tmp_path / "a.png", pixels, text)
    assert np.array_equal(read_pixels(tmp_path / "a.png"), pixels)
    assert read_text(tmp_path / "a.png") == text


@pytest.mark.parametrize("heights", [(1, 1, 1), (40,), (7, 32, 1), (300, 2)])
def test_png_written_in_stripes_is_read_as_a_whole(tmp_path, heights):
    """However many rows come at a time, the file holds them one below the other, with its texts in front."""
    stripes = [np.random.default_rng(at).integers(0, 256, (rows, 5, 3), np.uint8) for at, rows in enumerate(heights)]
    write_png_rows(tmp_path / "a.png", (5, sum(heights)), iter(stripes), {"Title": "한국어"})
    assert np.array_equal(read_pixels(tmp_path / "a.png"), np.concatenate(stripes))
    assert read_text(tmp_path / "a.png") == {"Title": "한국어"}


@pytest.mark.parametrize("size", [(5, 4), (5, 2), (4, 3)])
def test_png_written_in_stripes_of_another_size_leaves_no_file(tmp_path, size):
    """Neither too few rows nor too many, nor of another width."""
    with pytest.raises(ValueError, match="wanted, not"):
        write_png_rows(tmp_path / "a.png", size, iter([np.zeros((3, 5, 3), np.uint8)]), {})
    assert not list(tmp_path.iterdir())


def photo():
    """512 x 512 pixels of the one photograph that lies on every disk that PromptLab is on."""
    with Image.open(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)) as image:
        return np.asarray(image.convert("RGB"))[:512, :512]


def drawn(kind):
    """512 x 512 pixels of what compresses otherwise than a photograph does."""
    noise, ramp = np.random.default_rng(3).integers(0, 256, (512, 512, 3), dtype=np.uint8), np.arange(512) // 2
    return {
        "photo": photo,
        "noise": lambda: noise,
        "grain": lambda: np.clip(photo().astype(int) + noise // 32 - 4, 0, 255).astype(np.uint8),
        "ramp": lambda: np.repeat((ramp[:, None] ^ ramp)[..., None], 3, axis=2).astype(np.uint8),
        "black": lambda: np.zeros((512, 512, 3), np.uint8),
    }[kind]()


@pytest.mark.parametrize("kind", ["photo", "grain", "noise"])
def test_png_is_hardly_larger_than_pillows(kind):
    """What is quick to write does not fill the disk: 1.3 times Pillow's default at most. (A black picture takes 4 KiB
    where Pillow takes 1.)"""
    plain = io.BytesIO()
    Image.fromarray(drawn(kind)).save(plain, "PNG")
    assert len(encode_png(drawn(kind))) <= 1.3 * plain.tell()


@pytest.mark.skipif(shutil.which("pngcheck") is None, reason="pngcheck is not installed")
@pytest.mark.parametrize("kind", ["photo", "ramp", "noise", "black"])
def test_png_passes_the_strictest_reader(tmp_path, kind):
    """pngcheck looks at every chunk, every sum and the whole of the compressed stream."""
    write_png(tmp_path / "a.png", drawn(kind), {"parameters": "caf\xe9", "promptlab": "전사 🔥"})
    write_png(tmp_path / "b.png", drawn(kind)[:1, :1], {})
    checked = subprocess.run(
        ["pngcheck", "-qv", tmp_path / "a.png", tmp_path / "b.png"], capture_output=True, text=True
    )
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout
    assert np.array_equal(read_pixels(tmp_path / "a.png"), drawn(kind))


@pytest.mark.parametrize(("value", "kind"), [("caf\xe9\nnoir", b"tEXt"), ("전사 🔥", b"iTXt")])
def test_png_text_is_utf8_only_where_latin1_cannot_hold_it(value, kind):
    """The oldest readers know tEXt alone, so iTXt is used only where it must be."""
    encoded = encode_png(np.zeros((1, 1, 3), np.uint8), {"parameters": value})
    assert kind + b"parameters\0" in encoded
    assert encoded.index(kind) < encoded.index(b"IDAT")


@pytest.mark.parametrize("text", [{"a": "x\0y"}, {"a": "\ud800"}, {"": "x"}, {"k" * 80: "x"}, {"전": "x"}])
def test_png_text_that_no_chunk_can_hold_is_refused(text):
    """A NUL, half a surrogate pair or a bad keyword never becomes a file that reads differently."""
    with pytest.raises(ValueError, match=r"cannot hold|codec"):
        encode_png(np.zeros((1, 1, 3), np.uint8), text)


@pytest.mark.parametrize("pixels", [np.zeros((2, 2), np.uint8), np.zeros((2, 2, 4), np.uint8), np.zeros((2, 2, 3))])
def test_png_of_other_than_rgb_bytes_is_refused(pixels):
    """Grey, RGBA and floats are mistakes of the caller, found before anything is written."""
    with pytest.raises(ValueError, match="must be uint8"):
        encode_png(pixels)


def test_pixel_sha256_is_of_the_bytes_row_by_row(tmp_path):
    """The hash is that of the plain RGB bytes, for a view that is not contiguous too, before and after the disk."""
    pixels = np.random.default_rng(0).integers(0, 256, (6, 4, 3), dtype=np.uint8)[::-1, ::2]
    write_png(tmp_path / "a.png", pixels, {})
    assert pixel_sha256(pixels) == hashlib.sha256(pixels.tobytes()).hexdigest()
    assert pixel_sha256(read_pixels(tmp_path / "a.png")) == pixel_sha256(pixels)


def test_png_of_other_modes_is_read_as_rgb(tmp_path):
    """A palette or an alpha channel in someone else's picture does not stop us."""
    Image.new("RGBA", (3, 2), (1, 2, 3, 255)).save(tmp_path / "a.png")
    Image.new("L", (3, 2), 9).save(tmp_path / "b.png")
    assert read_pixels(tmp_path / "a.png").tolist() == [[[1, 2, 3]] * 3] * 2
    assert read_pixels(tmp_path / "b.png").tolist() == [[[9, 9, 9]] * 3] * 2


def test_png_written_again_replaces_and_leaves_nothing_beside_it(tmp_path):
    """A second write wins, and no temporary file stays."""
    for value in (1, 2):
        write_png(tmp_path / "a.png", np.full((2, 2, 3), value, np.uint8), {})
    assert read_pixels(tmp_path / "a.png").max() == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_png_write_that_fails_says_so_and_leaves_nothing(tmp_path):
    """Where the final name cannot be taken, or the folder is missing, it is one line and no litter."""
    (tmp_path / "a.png").mkdir()
    for path in (tmp_path / "a.png", tmp_path / "missing" / "a.png"):
        with pytest.raises(StoreError, match="could not be written") as caught:
            write_png(path, np.zeros((1, 1, 3), np.uint8), {})
        assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_png_that_is_not_there_is_named(tmp_path):
    """A missing file is told apart from a bad one."""
    with pytest.raises(NotFound, match=r"nowhere\.png"):
        read_text(tmp_path / "nowhere.png")


@pytest.mark.parametrize("read", [read_text, read_pixels])
def test_png_that_is_none_is_refused(tmp_path, read):
    """Text, nothing at all and a JPEG under a PNG's name are refused in one line."""
    jpeg = io.BytesIO()
    Image.new("RGB", (4, 4)).save(jpeg, "JPEG")
    for content in (b"", b"hello", jpeg.getvalue()):
        (tmp_path / "a.png").write_bytes(content)
        with pytest.raises(InputError, match="is not a PNG"):
            read(tmp_path / "a.png")


@same_folder
@given(data=st.data())
def test_png_cut_short_is_never_taken_for_whole(tmp_path, data):
    """A file cut anywhere before its last pixel is refused by both readers."""
    whole = encode_png(np.random.default_rng(1).integers(0, 256, (8, 8, 3), dtype=np.uint8), {"a": "b"})
    (tmp_path / "a.png").write_bytes(whole[: data.draw(st.integers(0, len(whole) - 32))])
    for read in (read_text, read_pixels):
        with pytest.raises(InputError):
            read(tmp_path / "a.png")


@settings(same_folder, max_examples=300)
@given(at=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_png_damaged_gives_one_line_or_an_image(tmp_path, at, byte):
    """Whatever byte of a file is wrong, no foreign exception gets out."""
    whole = bytearray(encode_png(np.full((4, 4, 3), 7, np.uint8), {"a": "b", "parameters": "전사"}))
    whole[at % len(whole)] = byte
    (tmp_path / "a.png").write_bytes(whole)
    for read in (read_text, read_pixels):
        try:
            read(tmp_path / "a.png")
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017 - both outcomes are right


def test_read_pixels_of_a_huge_image_is_refused_and_its_texts_are_read(tmp_path):
    """A file of some hundred kilobytes may stand for gigabytes of pixels; nothing is decoded."""
    texts = PngInfo()
    texts.add_text("parameters", "a fox")
    Image.new("1", (10_000, 9_000)).save(tmp_path / "huge.png", pnginfo=texts)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        assert read_text(tmp_path / "huge.png") == {"parameters": "a fox"}
        with pytest.raises(InputError, match=r"has 90 megapixels; allowed: 89 or fewer"):
            read_pixels(tmp_path / "huge.png")


def test_read_pixels_of_a_pipe_is_refused(tmp_path):
    """It would be waited for until somebody writes into it."""
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(InputError, match="is a pipe; allowed: a file"):
        read_pixels(tmp_path / "pipe.png")
    with pytest.raises(InputError, match="is a pipe"):
        self_description(tmp_path / "pipe.png")
    with pytest.raises(InputError, match="is a pipe"):
        read_prompts(tmp_path / "pipe.png")
