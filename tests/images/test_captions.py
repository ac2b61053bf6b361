"""Settings in heads, labels, reports and MLflow's parameters: what the table lists is shown everywhere."""

from __future__ import annotations

from dataclasses import replace

import pytest

from promptlab.images.captions import seconds_text, setting_captions, setting_label
from promptlab.images.report.details import UniqueTexts, run_facts
from promptlab.specs import Embedding, Lora
from promptlab.specs.settings import SETTINGS
from promptlab.tracking.params import base_params, conditioning_params
from tests.images.conftest import A_FOX

VALUES = {"switch": True, "natural": 1, "number": 0.5, "seed": 7, "text": "int8"}
PARTS = {"lora": (Lora(name="ink"),), "textual_inversion": (Embedding(name="cat"),)}
CONDITIONING = [row for row in SETTINGS.values() if row.conditioning]


@pytest.mark.parametrize("row", CONDITIONING, ids=lambda row: row.name)
def test_conditioning_setting_of_the_table_is_shown_everywhere(row, make_run):
    """A row is enough: head of the grid, report and MLflow's parameters have it where it is set."""
    plain = make_run(A_FOX, (7,))
    value = PARTS[row.name] if row.kind == "parts" else VALUES[row.kind]
    run = replace(plain, spec=plain.spec.vary(**{row.sets[0]: value}))
    caption = f"{row.name.replace('_', ' ')} "
    assert sum(each.startswith(caption) for each in setting_captions(run)) == 1
    assert not any(each.startswith(caption) for each in setting_captions(plain))
    assert row.sets[0] in dict(run_facts(run, UniqueTexts())["setting"])
    assert row.sets[0] not in dict(run_facts(plain, UniqueTexts())["setting"])
    assert row.name in conditioning_params(run.spec)
    assert row.name not in conditioning_params(plain.spec)
    assert row.name not in base_params(run.spec)


@pytest.mark.parametrize(
    ("field", "value", "label"),
    [
        ("num_inference_steps", "20", "steps 20"),
        ("steps", "20", "steps 20"),
        ("guidance_scale", "7.5", "guidance 7.5"),
        ("negative_prompt", "blurry", "negative_prompt blurry"),
        ("scheduler", "euler:use_karras_sigmas=true", "scheduler euler use_karras_sigmas=true"),
        ("arguments.eta", "0.5", "arguments.eta 0.5"),
    ],
)
def test_setting_label_has_the_name_that_people_type(field, value, label):
    """Settings of the call by their short names, all else by its own."""
    assert setting_label(field, value) == label


@pytest.mark.parametrize(("seconds", "text"), [(0.04, "40 ms"), (0.25, "0.25 s"), (12.3, "12 s")])
def test_seconds_text_is_as_long_as_it_is_precise(seconds, text):
    """No digit is shown that timing cannot tell."""
    assert seconds_text(seconds) == text
