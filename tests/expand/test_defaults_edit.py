"""One line of a defaults file changes; all others stay, comments included."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.errors import InputError
from promptlab.expand.defaults_edit import changed_text, toml_value

STEPS = frozenset({"steps", "num_inference_steps"})
FILE = """# mine
model = "mini"   # the small one
steps=30 # quick
"negative" = 'a # b'

[styles.oil]
steps = "no setting"
"""


def changed(text, value, names=STEPS):
    return changed_text(text, names, None if value is None else ("steps", value), shown="c.toml")


def test_defaults_edit_replaces_a_value_in_its_line():
    """The comment behind it stays, and so does a key of the same name in a table."""
    assert changed(FILE, "20") == FILE.replace("steps=30", "steps=20")
    assert changed(FILE.replace("steps=30", "num_inference_steps = 30"), "20").count("num_inference_steps = 20") == 1
    negative = changed_text(FILE, frozenset({"negative"}), ("negative", '"x"'), shown="c.toml")
    assert negative == FILE.replace("'a # b'", '"x"')


def test_defaults_edit_takes_a_line_out_or_adds_one_before_the_tables():
    """What is not there is taken out without a change."""
    without = changed(FILE, None)
    assert without == FILE.replace("steps=30 # quick\n", "")
    assert changed(without, None) == without
    assert changed(without, "20") == without.replace("'a # b'\n", "'a # b'\nsteps = 20\n")
    assert changed("", "20") == "steps = 20\n"
    assert changed('model = "mini"', "20") == 'model = "mini"\nsteps = 20\n'
    assert changed("[styles.oil]\n", "20") == "steps = 20\n\n[styles.oil]\n"


@pytest.mark.parametrize(
    "text", ['steps = """\n3"""', "steps = [\n1,\n2]", "steps.x = 3", 'negative = """\nsteps = 3\n"""']
)
def test_defaults_edit_leaves_what_it_cannot_change_to_an_editor(text):
    """Rather than to write a file that means something else."""
    with pytest.raises(InputError, match=r"c\.toml: steps stands there in a way that only an editor can change"):
        changed(text, "20")


@given(
    st.text(st.characters(exclude_categories=["Cs"])) | st.integers(-(2**62), 2**62) | st.booleans() | st.floats(0, 9)
)
def test_toml_value_is_read_back_as_it_was(value):
    """Any text, any number."""
    assert tomllib.loads(f"x = {toml_value(value)}") == {"x": value}
