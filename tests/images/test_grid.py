"""The labelled grid: the pictures' own pixels, every word, and a place for what is missing."""

import io

import numpy as np
import pytest
from PIL import Image

from promptlab.errors import NotFound
from promptlab.images.canvas import _stripes
from promptlab.images.fonts import legible
from promptlab.images.grid import draw_grid, grid_layout, save_grid, thumbnail
from promptlab.images.label_text import Label
from promptlab.images.layout import lay_out
from promptlab.images.png import read_pixels
from promptlab.images.shared_words import shared_words
from promptlab.records import RunStatus
from promptlab.specs import Variant

A = "portrait photo of a old warrior chief"
B = A + ", tribal panther make up, blue on red, side profile, looking away, serious eyes"
C = B + " 50mm portrait photography, hard rim lighting photography--beta --ar 2:3  --beta --upbeta"
THREE = (Variant(prompt=A), Variant(prompt=B, label="+ make up"), Variant(prompt=C, negative_prompt="blurry, dull"))
AMBER = (0xB7, 0x6E, 0x00)


def crop(sheet, box):
    return np.asarray(sheet.crop((box.x, box.y, box.x + box.width, box.y + box.height)))


def words(layout, variant):
    row = next(row for row in layout.bands[0].rows if row.variant == variant)
    return [" ".join(block.lines) for block in row.label]


def same_words(text, typed):
    return text.split() == legible(typed).split()


@pytest.mark.parametrize(("variants", "seeds"), [(1, 1), (3, 8), (3, 1), (1, 40)])
def test_grid_cell_is_the_image_to_the_pixel(make_run, workspace, variants, seeds):
    """Cropping a cell out of the saved grid gives the pixels of that PNG: nothing is scaled, nothing drawn over."""
    run = make_run(THREE[:variants], range(seeds))
    with Image.open(save_grid(run, workspace)) as sheet:
        layout = grid_layout(run)
        assert layout.shrink == 1
        for image in run.images:
            box = layout.cell(image.variant, run.spec.seeds.index(image.seed))
            assert np.array_equal(crop(sheet, box), read_pixels(workspace.root / image.path))


def test_grid_saved_stripe_by_stripe_is_the_grid_drawn_at_once(make_run, workspace, monkeypatch):
    """Every pixel of it: words, marks and empty places at the edges of stripes too."""
    monkeypatch.setattr("promptlab.images.canvas._STRIPE", 80)
    flags = {5: "black", 8: "black", 40: "black"}
    run = make_run(THREE, range(20), side=48, owed={3, 44}, failed={21}, flags=flags)
    stripes = list(_stripes(grid_layout(run)))
    assert len(stripes) > 4
    assert np.array_equal(read_pixels(save_grid(run, workspace)), np.asarray(draw_grid(run, workspace)))


def test_grid_saved_lies_in_its_place_and_is_replaced(make_run, workspace):
    """Drawing again writes the same file again, and no other."""
    run = make_run(THREE, (0, 1))
    first = save_grid(run, workspace)
    assert first == workspace.grid(3)
    before = first.read_bytes()
    assert save_grid(run, workspace).read_bytes() == before
    assert {path.suffix for path in workspace.run_folder(3).iterdir()} == {".png"}


def test_grid_labels_hold_every_word(make_run):
    """Title, prompt and negative prompt stand beside their row in full, never cut."""
    layout = grid_layout(make_run(THREE, (0, 1)))
    assert len(words(layout, 0)) == 1
    assert same_words(words(layout, 0)[0], A)
    assert words(layout, 1)[0] == "+ make up"
    assert same_words(words(layout, 1)[1], B)
    assert same_words(words(layout, 2)[0], C)
    assert words(layout, 2)[1] == "negative: blurry, dull"


AGES = tuple(Variant(prompt=B.replace("a old", age), label=age) for age in ("the oldest", "a old", "a", "a young"))


def test_grid_of_one_seed_shows_wordings_in_a_row(make_run, workspace):
    """The common words stand once in the head, and below each picture the words that are its own."""
    run = make_run(AGES, (1,))
    layout = grid_layout(run)
    (row,) = layout.bands[0].rows
    assert [place for place, _ in row.cells] == [0, 1, 2, 3]
    assert [block.lines for block in layout.headers] == [("the oldest",), ("a old",), ("a",), ("a young",)]
    assert layout.bands[0].header_top > row.cells[0][1].y + row.cells[0][1].height
    said = " ".join(line for block in layout.head for line in block.lines)
    assert "seed 1" in said
    assert "portrait photo of … warrior chief, tribal panther make up" in said
    sheet = draw_grid(run, workspace)
    for image in run.images:
        assert np.array_equal(crop(sheet, layout.cell(image.variant, 0)), read_pixels(workspace.root / image.path))


def test_grid_of_fewer_seeds_than_wordings_runs_wordings_across(make_run, workspace):
    """Seeds stand below one another then, each named at its row, and a mark stays with its picture."""
    run = make_run(AGES, (5, 7), flags={3: "black"})
    sheet, layout = draw_grid(run, workspace), grid_layout(run)
    assert [row.label[0].lines for row in layout.bands[0].rows] == [("seed 5",), ("seed 7",)]
    box = layout.cell(1, 1)
    assert np.array_equal(crop(sheet, box), read_pixels(workspace.root / run.images[3].path))
    assert sheet.getpixel((box.x - 3, box.y + 10)) == AMBER


@pytest.mark.parametrize(
    ("prompts", "expected"),
    [
        (("a red fox", "a blue fox"), ("a … fox", ("red", "blue"))),
        (("a fox", "a fox, oil painting"), ("a fox …", ("(nothing)", "oil painting"))),
        (("a fox, sharp", "sharp"), ("… sharp", ("a fox", "(nothing)"))),
        (("fox", "owl"), ("", ("fox", "owl"))),
        (("a fox", "a fox"), None),
        (("a fox", "a fox" + " in snow" * 10), None),
        (("a fox",), None),
    ],
)
def test_shared_words_part_prompts_into_common_and_own(prompts, expected):
    """Compared from both ends; None where the words would not fit above a picture, or say nothing."""
    found = shared_words([Variant(prompt=prompt) for prompt in prompts])
    assert (None if found is None else (found.prompt, found.captions)) == expected


def test_grid_label_of_a_very_long_prompt_is_clamped(make_run):
    """It ends in an ellipsis: the row stays as high as a picture or fourteen lines, and the report has every word."""
    (row,) = grid_layout(make_run((Variant(prompt="many words " * 400),), range(2))).bands[0].rows
    assert len(row.label[0].lines) == 14
    assert row.label[0].lines[-1].endswith("…")


def test_layout_letters_grow_with_the_sheet():
    """Eight pictures of 512 pixels are looked at as a whole: on a screen of 1,440 their words have 13 pixels."""
    layout = lay_out(title="t", facts=[], labels=[Label(title="", prompt=A)], headers=[f"seed {n}" for n in range(8)],
                     cell=(512, 512))  # fmt: skip
    assert layout.text.size * 1440 / layout.width >= 10


def test_grid_label_equal_to_the_prompt_is_left_out(make_run):
    """The prompt alone, where its short label is the prompt; an empty prompt is said to be one."""
    layout = grid_layout(make_run((Variant(prompt=A, label=A), Variant(prompt="")), (0, 1)))
    assert [len(row.label) for row in layout.bands[0].rows] == [1, 1]
    assert words(layout, 1) == ["(empty prompt)"]


def test_grid_negative_prompt_of_all_rows_is_said_once(make_run):
    """It stands in the head, in full, instead of beside every row."""
    layout = grid_layout(make_run([Variant(prompt=p, negative_prompt="blurry, " * 30) for p in (A, B)], (0, 1)))
    head = " ".join(line for block in layout.head for line in block.lines)
    assert head.count("blurry,") == 30
    assert all(len(row.label) == 1 for row in layout.bands[0].rows)


def test_grid_head_says_what_decided_the_images(make_run):
    """Run, name, experiment, model, scheduler, steps, guidance, size, dtype and time an image."""
    run = make_run(THREE, (0, 1), name="ladder")
    title, *facts = grid_layout(run).head
    assert title.lines == ("Run 3 · ladder · foxes",)
    said = " ".join(line for block in facts for line in block.lines)
    for fact in ("mini", "DPMSolverMultistep use_karras_sigmas=true", "20 steps", "guidance 7.5", "32 × 32", "float32",
                 "0.25 s an image"):  # fmt: skip
        assert fact in said
    assert "finished" not in said


def test_layout_rows_and_cells_do_not_overlap(make_run):
    """Small pictures beside long prompts: the row grows to hold its label, and all of it is inside the sheet."""
    layout = grid_layout(make_run(THREE, range(3), side=32))
    rows = layout.bands[0].rows
    for row, below in zip(rows, [*rows[1:], None], strict=True):
        bottom = max(row.top + sum(block.height for block in row.label), row.top + 32)
        assert bottom <= (below.top if below else layout.height)
        for (_, left), (_, right) in zip(row.cells, row.cells[1:], strict=False):
            assert left.x + left.width < right.x
        assert max(block.width for block in row.label) + layout.margin < row.cells[0][1].x
        assert row.cells[-1][1].x + 32 <= layout.width


@pytest.mark.parametrize(("side", "least"), [(32, 13), (128, 13), (512, 18), (1024, 26)])
def test_layout_letters_grow_with_the_images_and_stay_readable(side, least):
    """Never below 13 pixels, and larger beside larger pictures, which are looked at from further away."""
    layout = lay_out(title="t", facts=["f"], labels=[Label(title="", prompt=C, negative="n")], headers=["seed 1"],
                     cell=(side, side))  # fmt: skip
    assert layout.text.size >= least
    assert layout.small.size >= 12


def test_grid_missing_image_has_an_empty_place(make_run, workspace):
    """Owed, failed, deleted and damaged pictures leave an empty cell with a word in it, and the rest is as ever."""
    run = make_run(THREE[:2], range(3), owed=(1,), failed=(4,), status=RunStatus.KILLED)
    (workspace.root / run.images[2].path).unlink()
    (workspace.root / run.images[3].path).write_bytes(b"not a picture")
    sheet, layout = draw_grid(run, workspace), grid_layout(run)
    for position in (1, 2, 3, 4):
        cell = crop(sheet, layout.cell(position // 3, position % 3))
        assert cell.min() < 200  # a word
        assert np.median(cell) > 230  # on light ground
    assert np.array_equal(crop(sheet, layout.cell(0, 0)), read_pixels(workspace.root / run.images[0].path))
    assert "killed: 4 of 6 pictures made" in " ".join(line for block in layout.head for line in block.lines)


def test_grid_flagged_image_is_marked_beside_its_pixels(make_run, workspace):
    """The mark is a frame and a word around the picture; the picture itself stays as it is."""
    run = make_run(THREE[:2], range(3), flags={1: "black"})
    sheet, layout = draw_grid(run, workspace), grid_layout(run)
    box = layout.cell(0, 1)
    assert np.array_equal(crop(sheet, box), read_pixels(workspace.root / run.images[1].path))
    assert sheet.getpixel((box.x - 3, box.y + 10)) == AMBER
    assert sheet.getpixel((layout.cell(0, 0).x - 3, box.y + 10)) != AMBER


def test_layout_many_seeds_are_broken_into_bands():
    """A hundred seeds of 512 pixels: bands under one another, each seed once, within what viewers can open."""
    layout = lay_out(title="t", facts=[], labels=[Label(title="", prompt=A, negative="")],
                     headers=[f"seed {seed}" for seed in range(100)], cell=(512, 512))  # fmt: skip
    assert layout.shrink == 1
    assert len(layout.bands) > 1
    assert sorted(place for band in layout.bands for row in band.rows for place, _ in row.cells) == list(range(100))
    assert max(layout.width, layout.height) <= 16_000
    assert layout.width * layout.height <= 80_000_000


def test_layout_too_large_is_drawn_smaller_and_says_so():
    """Two thousand pictures of 512 pixels are half a thousand megapixels: a smaller copy of each, none lost."""
    layout = lay_out(title="t", facts=["f"], labels=[Label(title="", prompt=A, negative="")] * 20,
                     headers=[f"seed {seed}" for seed in range(100)], cell=(512, 512))  # fmt: skip
    assert layout.shrink > 1
    assert sum(len(row.cells) for band in layout.bands for row in band.rows) == 2000
    assert max(layout.width, layout.height) <= 16_000
    assert layout.width * layout.height <= 80_000_000
    assert f"shown at 1/{layout.shrink} of their size" in " ".join(
        line for block in layout.head for line in block.lines
    )


def test_layout_long_seeds_have_room_above_small_images():
    """Ten digits over 32 pixels: the columns move apart rather than the headers into one another."""
    layout = lay_out(title="t", facts=[], labels=[Label(title="", prompt=A, negative="")],
                     headers=["seed 4294967295", "seed 4294967294"], cell=(32, 32))  # fmt: skip
    (_, left), (_, right) = layout.bands[0].rows[0].cells
    assert right.x - left.x > layout.small.width("seed 4294967295")


def test_thumbnail_is_small_enough_and_never_enlarged(make_run, workspace):
    """At most as wide as asked, in proportion, from a picture or a file; a small one stays as it is."""
    path = save_grid(make_run(THREE, range(8), side=128), workspace)
    with Image.open(path) as sheet, Image.open(io.BytesIO(thumbnail(sheet))) as small:
        assert small.format == "PNG"
        assert small.width == 640
        assert small.height == round(sheet.height * 640 / sheet.width)
    with Image.open(io.BytesIO(thumbnail(workspace.run_folder(3) / workspace.image_name(0, 0)))) as same:
        assert np.array_equal(np.asarray(same), read_pixels(workspace.run_folder(3) / workspace.image_name(0, 0)))
    with pytest.raises(NotFound):
        thumbnail(workspace.root / "nowhere.png")


def test_grid_of_a_run_without_images_has_empty_places(make_run, workspace):
    """A run that failed before its first picture, with its folder gone, is drawn all the same."""
    run = make_run(THREE, (0, 1), owed=range(6), status=RunStatus.FAILED)
    workspace.run_folder(3).rmdir()
    with Image.open(save_grid(run, workspace)) as sheet:
        assert sheet.size == (grid_layout(run).width, grid_layout(run).height)
