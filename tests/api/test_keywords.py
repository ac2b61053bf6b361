"""Keywords are the options of the command line, taken from the one table of settings."""

import inspect

import numpy as np
import pytest

from promptlab import Lab
from promptlab.api.keywords import asked_experiment, asked_rerun, one_run
from promptlab.errors import InputError, NotFound
from promptlab.expand.defaults import defaults_line, read_defaults
from promptlab.expand.seeds import noting_shortened
from promptlab.lab import PromptEdit
from promptlab.specs import Lora, SchedulerSpec
from promptlab.specs.settings import SETTINGS


def spec_of(prompts="a king", **given):
    return one_run(asked_experiment(prompts, given, call="run")).cells[0].spec


@pytest.mark.parametrize(
    "seeds", [range(3), [0, 1, 2], (0, 1, 2), "0-2", ["0-1", 2], np.arange(3), (seed for seed in range(3))]
)
def test_keyword_seeds_is_text_or_any_numbers(seeds):
    """Ranges, lists, arrays and what one types are the same seeds."""
    assert spec_of(seeds=seeds).seeds == (0, 1, 2)


def test_keyword_seeds_of_64_bits_are_taken_as_import_takes_them():
    """As numbers and as text; the shortened ones are noted, to be said."""
    with noting_shortened() as noted:
        assert spec_of(seeds=[1048378387411371]).seeds == spec_of(seeds="1048378387411371").seeds == (2640261547,)
    assert noted == {1048378387411371: 2640261547}
    with pytest.raises(InputError, match="seeds 18446744073709551616 is out of range"):
        spec_of(seeds=[2**64])


def test_keyword_of_every_setting_is_taken_by_each_of_its_names():
    """No list of settings is kept here: the option, diffusers' name and every other name mean the same row."""
    for row in SETTINGS.values():
        if row.kind in ("prompts", "negative", "seeds"):
            continue
        names = {row.name, *row.names, *row.option_names}
        specs = {name: spec_of(**{name: row.example}, **_beside(row.name)) for name in names}
        assert len(set(specs.values())) == 1, row.name
        assert specs[row.name] != spec_of(**_beside(row.name)) or row.name in ("model", "generator_device")


def _beside(name):
    return {"height": "256"} if name == "width" else {"variation_strength": 0.1} if name == "variation_seed" else {}


def test_keyword_values_are_those_of_specs_too():
    """What a spec holds may be given as it is."""
    spec = spec_of(
        ["a king", "a queen"], scheduler=SchedulerSpec(name="DDIMScheduler"), lora=Lora(name="ink", weight=0.8),
        size=(64, 128), weighting=True, negative="blurry", set={"eta": 0.5}, cfg=np.float64(3),
    )  # fmt: skip
    assert spec.pipeline.scheduler == SchedulerSpec(name="DDIMScheduler")
    assert spec.pipeline.loras == (Lora(name="ink", weight=0.8),)
    assert (spec.call.width, spec.call.height, spec.call.weighting, spec.call.guidance_scale) == (64, 128, True, 3)
    assert spec.call.arguments == (("eta", 0.5),)
    assert [each.negative_prompt for each in spec.variants] == ["blurry"] * 2


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"stepz": 3}, r"keyword of run\(\) 'stepz' does not exist \(did you mean steps\?\)"),
        ({"num_inferance_steps": 3}, r"did you mean num_inference_steps\?"),
        ({"steps": 3, "num_inference_steps": 4}, "num_inference_steps is said twice, beside steps; allowed: once"),
        ({"steps": [3, 4]}, r"num_inference_steps has 2 values; allowed: one here; several are for Lab.sweep\(\)"),
        ({"steps": 0}, "num_inference_steps 0 is too few"),
        ({"file": "a.yaml", "like": "b.png"}, "like 'b.png' is said beside file"),
    ],
)
def test_keyword_that_cannot_be_is_refused_in_a_line(given, words):
    """A typo with the nearest name; a value with what is allowed."""
    with pytest.raises(InputError, match=words) as refused:
        spec_of(**given)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("prompts", "given", "words"),
    [
        (["a king", spec_of()], {}, "prompts is no text but RunSpec"),
        (3, {}, "prompts is no text but int"),
        ("a", {"replace": 3}, "replace is no text"),
        ("a", {"fragments": [None]}, "fragments is no text but NoneType"),
    ],
)
def test_keyword_of_words_that_is_no_text_is_refused(prompts, given, words):
    """By its name, and never taken for the words that Python would write for it."""
    with pytest.raises(InputError, match=words):
        spec_of(prompts, **given)


def test_rerun_keywords_are_seeds_edit_and_changes():
    """``seed`` keeps, ``seeds`` are others; words are edited, settings changed."""
    kept = asked_rerun({"seed": 1, "append": ", red", "replace": ["a=>b", "c=>d"], "negative": "", "steps": 9})
    assert (kept.seeds, dict(kept.changes)) == ((1,), {"num_inference_steps": 9})
    assert kept.edit == PromptEdit(append=(", red",), replace=("a=>b", "c=>d"), negative_prompt="")
    others = asked_rerun({"seeds": "4-5", "prompt": "a queen", "model": None})
    assert (others.seeds, dict(others.changes)) == ((), {"seeds": (4, 5)})
    assert others.edit == PromptEdit(prompts=("a queen",))
    for given, words in (
        ({"seed": 1, "seeds": 2}, "seeds is said beside seed"),
        ({"steps": [1, 2]}, "num_inference_steps has 2 values; allowed: one in a rerun"),
        ({"negative": ["a", "b"]}, "negative_prompt has 2 values"),
    ):
        with pytest.raises(InputError, match=words):
            asked_rerun(given)
    with pytest.raises(NotFound, match=r"keyword of rerun\(\) 'apend' does not exist \(did you mean append\?\)"):
        asked_rerun({"apend": "x"})


@pytest.mark.parametrize("method", ["run", "sweep", "plan", "rerun"])
def test_signature_names_every_setting(method):
    """``help()`` and completion show them, though the code names none."""
    shown = inspect.signature(getattr(Lab, method)).parameters
    assert SETTINGS.keys() - shown.keys() == set()
    assert ("append" in shown, "replace" in shown) == (method == "rerun", True)


def test_keywords_lie_over_the_defaults_of_a_workspace(tmp_path, monkeypatch):
    """The same files as the command line's, and its styles."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "promptlab.toml").write_text('steps = 7\nguidance = 2\n[styles.oil]\nprompt = "oil"', encoding="utf-8")
    given = {"guidance": 3, "style": "oil"}
    asked = asked_experiment("a king", given, call="run", defaults=read_defaults(tmp_path))
    spec = one_run(asked).cells[0].spec
    assert (spec.call.num_inference_steps, spec.call.guidance_scale) == (7, 3.0)
    assert (spec.variants[0].prompt, defaults_line(asked)) == ("a king, oil", "defaults from promptlab.toml: steps 7")


def test_lab_takes_the_defaults_of_its_workspace(lab, workspace):
    """Read where Python runs, so that a server's own folder does not matter."""
    (workspace.root / "promptlab.toml").write_text('steps = 7\nexperiment = "war"', encoding="utf-8")
    python = Lab.over(lab)
    run = python.run("a king")
    assert (run.spec.call.num_inference_steps, run.record.experiment) == (7, "war")
    assert python.run(run.spec.vary(num_inference_steps=5)).spec.call.num_inference_steps == 5
    (workspace.root / "promptlab.toml").write_text("steps = 9", encoding="utf-8")
    assert run.rerun(append=", at night").spec.call.num_inference_steps == 7
