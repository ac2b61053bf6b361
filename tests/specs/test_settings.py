"""The table of settings: whole, without two meanings of a name, and true to the specs it describes."""

import dataclasses
import json
from collections import Counter

import pytest

from promptlab.errors import InputError
from promptlab.specs import CallSpec, MachineSpec, PipelineSpec, RunSpec, Variant
from promptlab.specs.call import FORMER_ARGUMENTS
from promptlab.specs.keys import _setting_text as setting_text
from promptlab.specs.settings import SETTINGS, check_ranges, fits, setting_named, settings_of

PARTS = {"pipeline": PipelineSpec, "call": CallSpec, "machine": MachineSpec, "run": RunSpec}
SPEC = RunSpec(pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a fox"),), seeds=(0,))
NO_SETTINGS = {"pipeline", "call", "machine", "arguments"}
"""Fields that hold settings and are none."""
TWICE = {"width", "height"}
"""Fields that a setting of their own and ``size`` set."""


def test_settings_have_every_field_of_a_spec_once():
    """Whoever adds a field adds its row, or nothing that walks the table knows it."""
    fields = {field.name for part in PARTS.values() for field in dataclasses.fields(part)} - NO_SETTINGS
    counts = Counter(name for row in SETTINGS.values() for name in row.sets)
    assert counts.keys() - {"negative_prompt"} == fields
    assert {name for name, count in counts.items() if count > 1} == TWICE


def test_settings_fields_lie_in_their_part():
    """``Setting.part`` says where; a negative prompt lies in the run's variants."""
    for row in SETTINGS.values():
        names = {field.name for field in dataclasses.fields(PARTS[row.part])} | {"negative_prompt"}
        assert set(row.sets) <= names, row.name


def test_settings_names_have_one_meaning():
    """``variant`` is that of the weights, wherever it is typed."""
    names = Counter(name for row in SETTINGS.values() for name in row.names)
    assert [name for name, count in names.items() if count > 1] == []
    assert all(setting_named(name) is row for row in SETTINGS.values() for name in row.names)
    assert setting_named("variants") is setting_named("nothing") is None


def test_settings_of_conditioning_enter_the_recipe_key():
    """What steers an image is never left out of its recipe."""
    assert all(row.recipe in ("arguments", "conditioning") for row in SETTINGS.values() if row.conditioning)
    assert all(row.later for row in SETTINGS.values() if row.recipe in ("arguments", "conditioning"))
    assert FORMER_ARGUMENTS == ("clip_skip", "guidance_rescale", "true_cfg_scale")


def test_settings_of_the_first_version_are_written_out_in_the_recipe_key():
    """They are a closed set: another one would give every image another key."""
    text = json.loads(setting_text(SPEC, model_identity="sha256:0", vae_identity=None))
    own = {row.field for row in SETTINGS.values() if row.recipe == "own"}
    assert text.keys() == own | {"arguments"}


def test_settings_load_order_has_no_two_in_one_place():
    """But those of a group, which are one level together."""
    places = Counter(row.load_order for row in SETTINGS.values() if row.load_order is not None and not row.load_group)
    assert set(places.values()) == {1}


def test_settings_examples_are_in_range():
    """Every hint is made of one."""
    for row in settings_of("pipeline", "call", "run"):
        if row.minimum is not None and row.kind != "batch":
            assert fits(row, (int if row.is_whole else float)(row.example)), row.name


def test_setting_is_set_where_a_spec_asks_for_it():
    """Off, nothing and None are not asked for; 0 is."""
    asked = SPEC.vary(guidance_until=0.0, weighting=False, compile=True)
    assert {row.name for row in SETTINGS.values() if row.kind != "negative" and row.is_set(asked)} == {
        "model", "guidance_until", "compile", "generator_device", "prompts", "seeds",
    }  # fmt: skip


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, 1.5, True, "0.5", 10**400, [0.5]])
def test_check_ranges_of_what_is_no_share_is_refused(value):
    """Naming the field as diffusers does, the range and an example; however large the number."""
    with pytest.raises(
        InputError, match=r"^guidance_until .* is out of range; allowed: 0 to 1; type: guidance_until=0\.4$"
    ):
        CallSpec(guidance_until=value)


def test_check_ranges_looks_at_no_row_it_is_told_to_leave():
    """A part that says it in words of its own does so."""
    check_ranges("call", CallSpec(), but=("height",))
    broken = object.__new__(CallSpec)
    for field in dataclasses.fields(CallSpec):
        object.__setattr__(broken, field.name, 0 if field.name == "height" else None)
    check_ranges("call", broken, but=("height",))
    with pytest.raises(InputError, match=r"^height 0 is out of range; allowed: 1 or more"):
        check_ranges("call", broken)
