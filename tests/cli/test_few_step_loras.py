"""A LoRA that distils a model, from the command line to the record."""

import re
import shutil

import pytest

from tests.engine.steered import write_lora

LINE = "lcm-lora-mini.safetensors is an LCM LoRA: {}, where nothing else is asked for"


@pytest.mark.exhaustive
def test_distilled_lora_sets_defaults_and_says_so(promptlab, monkeypatch, tmp_path):
    """A plan and a run say it in a line; the record has what was used; typed values win and are not named."""
    monkeypatch.setenv("PROMPTLAB_ENGINE", "diffusers")
    file = shutil.copy(write_lora(tmp_path / "lora", 1, words=False), tmp_path / "lcm-lora-mini.safetensors")
    words = ("a fox", "--model", "mini", "--lora", str(file), "--seeds", "1", "--size", "64x64")
    all_said = LINE.format("4 steps, guidance 1, scheduler lcm")
    assert all_said in promptlab("plan", *words).out
    said = promptlab("run", *words)
    assert (said.code, f"promptlab: {all_said}" in said.err) == (0, True)
    shown = promptlab("show", "last").out
    assert re.search(r"^  steps +4$", shown, re.MULTILINE)
    assert re.search(r"^  guidance +1$", shown, re.MULTILINE)
    typed = promptlab("run", *words, "--steps", "3", "--guidance", "2")
    assert (typed.code, LINE.format("scheduler lcm") in typed.err) == (0, True)
    assert "LCM LoRA" not in promptlab("rerun", "last", "--seed", "2").err
