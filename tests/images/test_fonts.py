"""Letters: every character of a label has a glyph or an honest name, and no word is lost between the lines."""

import io
import sys
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import newTable
from fontTools.ttLib.tables.sbixGlyph import Glyph
from fontTools.ttLib.tables.sbixStrike import Strike
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from promptlab.images import font_files, font_packages, fonts
from promptlab.images.fonts import Face, face_for, has_glyph, legible, loaded, main_face, scripts_without_font
from promptlab.images.text import Style, wrapped
from promptlab.lab.word_hints import font_hints
from promptlab.specs import Variant
from tests.tracking.painting import spec

pytestmark = pytest.mark.slow

STYLE = Style(size=13, colour="#000000")
KOREAN = "늙은 전사 추장의 초상 사진"
TUTORIAL = (
    "portrait photo of a old warrior chief, tribal panther make up, blue on red, side profile, looking away, "
    "serious eyes 50mm portrait photography, hard rim lighting photography--beta --ar 2:3  --beta --upbeta"
)
anything = st.text(st.characters(), max_size=80)


@pytest.fixture
def no_system_fonts(monkeypatch):
    """A machine with no font but those that ship with us."""
    yield from other_fonts(monkeypatch, ())


@pytest.fixture
def a_korean_font(monkeypatch, tmp_path):
    """A machine on which a font with the syllables of ``KOREAN`` is installed under a well-known name."""
    folder = tmp_path / "fonts"
    folder.mkdir()
    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    for corner in ((100, 800), (900, 800), (900, 0)):
        pen.lineTo(corner)
    pen.closePath()
    syllables = sorted(set(KOREAN) - {" "})
    names = [".notdef", *(f"u{ord(each):04X}" for each in syllables)]
    font = FontBuilder(1000)
    font.setupGlyphOrder(names)
    font.setupCharacterMap({ord(each): f"u{ord(each):04X}" for each in syllables})
    font.setupGlyf(dict.fromkeys(names, pen.glyph()))
    font.setupHorizontalMetrics(dict.fromkeys(names, (1000, 100)))
    font.setupHorizontalHeader(ascent=900, descent=-100)
    font.setupNameTable({"familyName": "NanumGothic", "styleName": "Regular"})
    font.setupOS2()
    font.setupPost()
    font.save(folder / "NanumGothic.ttf")
    (folder / "NanumGothicBroken.ttf").write_bytes(b"no font")
    (folder / "unrelated.ttf").write_bytes(b"no font")
    yield from other_fonts(monkeypatch, (folder,))


def other_fonts(monkeypatch, folders: tuple[Path, ...]):
    forget = (
        font_files._font_files, font_files.system_faces, font_files.emoji_faces, fonts.face_for,
        wrapped.__globals__["_lines"],
    )  # fmt: skip
    monkeypatch.setattr(font_files, "_font_folders", lambda: folders)
    for each in forget:
        each.cache_clear()
    yield
    for each in forget:
        each.cache_clear()


def test_main_font_ships_with_a_dependency():
    """DejaVu Sans, regular and bold, is found without importing matplotlib and needs no font on the system."""
    for bold in (False, True):
        assert "matplotlib" in main_face(bold=bold).path.parts
    assert main_face() != main_face(bold=True)


def test_main_font_has_every_latin_letter():
    """Every printable character of Latin-1, Latin Extended-A, Greek and Cyrillic has a glyph in both weights."""
    letters = [
        chr(code) for code in (*range(0x20, 0x7F), *range(0xA1, 0x180), *range(0x391, 0x3C9), *range(0x400, 0x460))
    ]
    for bold in (False, True):
        missing = [letter for letter in letters if letter.isprintable() and not has_glyph(main_face(bold=bold), letter)]
        assert [letter for letter in missing if letter != "\u03a2"] == []  # never assigned


@given(text=anything)
@settings(deadline=None)
def test_legible_any_text_has_a_glyph_for_every_character(text):
    """Whatever was typed, what is drawn is drawn with a font that has it; nothing else is left but line breaks."""
    for bold in (False, True):
        drawn = {each: face_for(each, bold=bold) for each in legible(text) if each != "\n"}
        assert [each for each, face in drawn.items() if face is None or not has_glyph(face, each)] == []


@given(
    text=st.text(
        st.characters(min_codepoint=0x20, max_codepoint=0x17F, exclude_categories=["Cc", "Zs", "Cf"]) | st.just(" ")
    )
)
def test_legible_latin_text_stays_as_it_was_typed(text):
    """Nothing is named or replaced where there is nothing missing."""
    assert legible(text) == text


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        (KOREAN, "[11 Korean characters]"),
        ("전사, 옆모습, portrait", "[5 Korean characters], portrait"),
        ("老いた戦士、横顔", "[8 Japanese characters]"),
        ("戦", "[1 CJK character]"),
        ("a dog on 🔥🔥!", "a dog on [fire]!"),
        ("नमस्ते", "[6 Devanagari characters]"),
        ("tab\tand\u3000wide\x00", "tab and wide "),
        ("half \ud83d", "half [U+D83D]"),
        ("two\r\nlines", "two\nlines"),
    ],
)
def test_legible_character_without_a_font_is_named(no_system_fonts, typed, shown):
    """Scripts are counted, symbols named, so that a reader knows that something stands there and what."""
    assert legible(typed).replace("\N{NO-BREAK SPACE}", " ") == shown


def test_scripts_without_font_are_listed(no_system_fonts):
    """A grid can say below itself which fonts it lacks; a symbol with a name is not one of them, emoji are."""
    assert scripts_without_font(f"{KOREAN} portrait 老いた ⛿") == ("CJK", "Japanese", "Korean")
    assert scripts_without_font("portrait 🔥") == ("emoji",)


def test_font_of_the_system_fills_in(a_korean_font):
    """With a Korean font installed, Korean is drawn with it and Latin with ours, on one line; bad files are skipped."""
    text = f"portrait {KOREAN} 50mm"
    assert legible(text) == text
    assert scripts_without_font(text) == ()
    assert face_for("전").path.name == "NanumGothic.ttf"
    assert face_for("p") == main_face()
    assert STYLE.width(text) == pytest.approx(
        STYLE.width("portrait ") + STYLE.width(KOREAN) + STYLE.width(" 50mm"), abs=20
    )
    canvas = ImageDraw.Draw(Image.new("RGB", (400, 40), "white"))
    for bold in (False, True):
        Style(size=13, colour="#000000", bold=bold).draw(canvas, 0, 0, text)


@pytest.fixture
def an_emoji_font(monkeypatch, tmp_path):
    """A machine with a font that has U+1F525 as a red bitmap of 64 pixels, and no other size."""
    folder = tmp_path / "fonts"
    folder.mkdir()
    png = io.BytesIO()
    Image.new("RGBA", (64, 64), "#ff0000").save(png, "PNG")
    font = FontBuilder(1000)
    font.setupGlyphOrder([".notdef", "fire"])
    font.setupCharacterMap({0x1F525: "fire"})
    font.setupGlyf({name: TTGlyphPen(None).glyph() for name in (".notdef", "fire")})
    font.setupHorizontalMetrics(dict.fromkeys((".notdef", "fire"), (1000, 0)))
    font.setupHorizontalHeader(ascent=1000, descent=0)
    font.setupNameTable({"familyName": "Noto Color Emoji", "styleName": "Regular"})
    font.setupOS2()
    font.setupPost()
    table = font.font["sbix"] = newTable("sbix")
    table.version, table.flags = 1, 1
    table.strikes = {64: Strike(ppem=64, resolution=72)}
    table.strikes[64].glyphs = {
        ".notdef": Glyph(glyphName=".notdef"),
        "fire": Glyph(glyphName="fire", graphicType="png ", imageData=png.getvalue(), originOffsetX=0, originOffsetY=0),
    }
    font.save(folder / "NotoColorEmoji.ttf")
    (folder / "seguiemj.ttf").write_bytes(b"no font")
    yield from other_fonts(monkeypatch, (folder,))


def test_emoji_are_drawn_in_their_colours_at_the_size_of_the_letters(an_emoji_font):
    """A font of bitmaps of one size is scaled down, on one line with the letters; nothing is named or asked for."""
    text = "a dog on 🔥 50mm"
    assert (legible(text), scripts_without_font(text), font_packages.fonts_line(text)) == (text, (), None)
    sheet = Image.new("RGB", (300, 40), "white")
    STYLE.draw(ImageDraw.Draw(sheet), 0, 10, text)
    red = [(x, y) for x in range(300) for y in range(40) if sheet.getpixel((x, y)) == (255, 0, 0)]
    assert 100 <= len(red) <= STYLE.size**2
    assert STYLE.width("🔥") == pytest.approx(STYLE.size, abs=1)
    assert min(x for x, _ in red) >= STYLE.width("a dog on") - 1


@pytest.mark.parametrize(
    ("program", "text", "command"),
    [
        ("apt", KOREAN, "apt install fonts-noto-cjk"),
        ("apt", "a dog on 🔥 老いた", "apt install fonts-noto-cjk fonts-noto-color-emoji"),
        ("dnf", "नमस्ते", "dnf install google-noto-fonts-all"),
        ("", KOREAN, None),
    ],
)
def test_fonts_line_names_the_package_to_install(no_system_fonts, monkeypatch, tmp_path, program, text, command):
    """In the words of the system's own installer; where there is none, which font it would be."""
    if program:
        (tmp_path / program).write_text("#!/bin/sh\n")
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert font_packages.install_command(scripts_without_font(text)) == command
    said = font_packages.fonts_line(text)
    assert said.startswith("no font here has ")
    assert said.endswith(f"; type: {command}" if command else ", such as Noto Sans CJK or Noto Color Emoji")
    assert font_packages.fonts_line("portrait of a chief") is None


def test_font_hints_are_of_all_words_that_a_grid_shows(no_system_fonts):
    """Negative prompts too, once for all; of Latin, Greek and Cyrillic letters nothing is asked."""
    both = [Variant(prompt="a fox", negative_prompt=KOREAN), Variant(prompt=f"{KOREAN}, 50mm", negative_prompt="")]
    (said,) = font_hints([spec(both, (1,))])
    assert said.startswith("no font here has Korean letters, so grids name them in brackets")
    assert list(font_hints([spec([Variant(prompt="é ж λ")], (1,))])) == []


def test_font_folders_are_those_of_fontconfig_too(monkeypatch, tmp_path):
    """Wherever its files say that fonts lie; a folder that is not there is passed over."""
    for name in ("mine", "theirs", "home/fonts"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "fonts.conf").write_text(
        f'<fontconfig><dir>{tmp_path}/mine</dir><dir prefix="xdg">fonts</dir><dir>/</dir></fontconfig>'
    )
    (tmp_path / "conf.d" / "50-more.conf").write_text(f"<dir>{tmp_path}/theirs</dir><dir>{tmp_path}/none</dir>")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("FONTCONFIG_FILE", str(tmp_path / "fonts.conf"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    found = font_files._font_folders()
    assert {tmp_path / name for name in ("mine", "theirs", "home/fonts")} <= set(found)
    assert tmp_path / "none" not in found
    assert Path("/") not in found


def test_main_font_without_matplotlib_is_pillows(monkeypatch):
    """Pillow's own font takes over, with its own coverage: what it lacks is named, never boxed."""
    monkeypatch.setattr(fonts, "find_spec", lambda _: None)
    forget = (fonts.main_face, fonts.face_for, fonts._coverage, fonts.loaded)
    for each in forget:
        each.cache_clear()
    try:
        assert main_face() == Face(None)
        assert legible("portrait of a chief") == "portrait of a chief"
        assert all(face_for(each) for each in legible(f"{KOREAN} Ж 🔥 ✂") if each != "\n")
        assert loaded(main_face(), 13).getlength("abc") > 0
    finally:
        for each in forget:
            each.cache_clear()


def test_wrapped_lines_hold_every_word_and_none_is_too_wide():
    """The tutorial's longest prompt in a narrow column: all words, in order, within the width."""
    block = wrapped(TUTORIAL, STYLE, 260)
    assert " ".join(block.lines).split() == TUTORIAL.split()
    assert len(block.lines) > 5
    assert block.width <= 260
    assert block.height == len(block.lines) * STYLE.line_height


@given(text=anything, width=st.integers(40, 400))
@settings(deadline=None)
def test_wrapped_any_text_loses_nothing(text, width):
    """Any text in any width: the same characters in the same order, blanks at line ends apart."""
    block = wrapped(text, STYLE, width)
    assert "".join("".join(block.lines).split(" ")) == legible(text).replace("\n", "").replace(" ", "")
    assert all(STYLE.width(line) <= width for line in block.lines if len(line) > 1)


def test_wrapped_word_wider_than_the_column_is_broken():
    """A word without an end goes on in the next line, whole."""
    block = wrapped("x" * 100, STYLE, 100)
    assert "".join(block.lines) == "x" * 100
    assert block.width <= 100


def test_wrapped_line_breaks_and_empty_lines_stay():
    """A prompt of several lines is shown as several lines."""
    assert wrapped("one\n\n  two  ", STYLE, 300).lines == ("one", "", "  two")
    assert wrapped("", STYLE, 300).lines == ("",)


def test_wrapped_japanese_line_does_not_begin_with_a_comma(monkeypatch):
    """Closing signs stay with the character before them, opening ones with the one after (JIS X 4051)."""
    tokens = wrapped.__globals__["_TOKENS"]
    assert tokens.findall("老い、た「戦士」 50mm。") == ["老", "い、", "た", "「戦", "士」", " ", "50mm。"]


class Counted(Style):
    """A style that counts the characters that it measures."""

    measured = 0

    def width(self, text):
        Counted.measured += len(text)
        return super().width(text)


@pytest.mark.parametrize("sign", ["(", "{", "x", "a ", "猫", "e\u0301", "\u0301", "😀"])
@pytest.mark.parametrize("lines", [None, 4])
def test_wrapped_long_text_is_measured_a_few_times_and_not_where_it_is_not_shown(sign, lines):
    """Twice the text takes twice the work, one endless word too; what is cut off takes none."""
    work = []
    for count in (1_000, 2_000):
        Counted.measured = 0
        block = wrapped((sign * count)[:count], Counted(size=13, colour="#000000"), 300, lines=lines)
        work.append(Counted.measured)
    assert work[1] <= 2.2 * work[0] + 100
    assert lines is None or len(block.lines) <= lines
    assert lines is None or sign != "x" or block.lines[-1].endswith("…")
