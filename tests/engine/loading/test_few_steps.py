"""LoRAs that distil a model say so in their names: their few steps are the defaults, and what is typed wins."""

import inspect
import shutil

import pytest

from promptlab.engine.loading.few_steps import few_steps_of, with_few_steps
from promptlab.engine.sources.configuration import Configuration
from promptlab.specs import Lora
from promptlab.specs.schedulers import parse_scheduler
from tests.engine.drawing import resolve
from tests.engine.steered import write_lora

NAMES = [
    ("latent-consistency/lcm-lora-sdv1-5/pytorch_lora_weights.safetensors", "LCM", 4, 1.0, "lcm"),
    ("/loras/LCM_LoRA_SDXL_8steps.safetensors", "LCM", 8, 1.0, "lcm"),
    ("h1t/TCD-SDXL-LoRA", "TCD", 4, 0.0, "tcd"),
    ("dmd2_sdxl_4step_lora_fp16.safetensors", "DMD2", 4, 0.0, "lcm"),
    ("org/xl/sdxl_lightning_8step_lora.safetensors", "Lightning", 8, 0.0, "euler:timestep_spacing=trailing"),
    ("Hyper-SDXL-2steps-lora.safetensors", "Hyper", 2, 0.0, "ddim:timestep_spacing=trailing"),
    ("Hyper-SDXL-1step-lora.safetensors", "Hyper", 1, 0.0, "tcd"),
    ("Hyper-SD15-12steps-CFG-lora.safetensors", "Hyper", 12, None, "ddim:timestep_spacing=trailing"),
    ("sd_xl_turbo_lora_v1.safetensors", "Turbo", 4, 1.0, "euler:timestep_spacing=trailing"),
    ("alimama-creative/FLUX.1-Turbo-Alpha", "Turbo", 8, 1.0, "euler:timestep_spacing=trailing"),
    ("Qwen-Image-Lightning-8steps-V1.1.safetensors", "Lightning", 8, 0.0, "euler:timestep_spacing=trailing"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "kind", "steps", "guidance", "scheduler"), NAMES)
def test_few_steps_are_told_by_the_names_that_makers_give(name, kind, steps, guidance, scheduler):
    """A file, or a repository whose file is called as all are."""
    found = few_steps_of(name, {})
    assert (found.kind, found.steps, found.guidance_scale, found.scheduler) == (kind, steps, guidance, scheduler)


@pytest.mark.parametrize(
    "name",
    [
        "ink.safetensors", "hyperrealism_v2.safetensors", "lightning_and_rain.safetensors", "z_image_turbo.safetensors",
        "style-for-Z-Image-Turbo-4steps.safetensors", "krea2_turbo_portrait.safetensors", "falcmore.safetensors",
        "/lcm/ink.safetensors", "lightning_2000steps.safetensors",
    ],
)  # fmt: skip
def test_few_steps_are_not_read_into_other_names(name):
    """A style called so, one for a model that is called so, a folder of another's."""
    assert few_steps_of(name, {}) is None


def test_few_steps_are_told_by_metadata():
    """What a trainer wrote into the header, where the file was given another name."""
    found = few_steps_of("fast.safetensors", {"modelspec.title": "My LCM LoRA", "ss_output_name": "x"})
    assert (found.kind, found.steps) == ("LCM", 4)
    assert few_steps_of("fast.safetensors", {"ss_tag_frequency": "lcm"}) is None


def test_few_steps_leave_a_recorded_run_as_it_was_made(make_spec):
    """Guidance beside a distilled one is no field of every record: a run from before goes on as it was begun."""
    config = Configuration(pipeline_class="P", parts={"transformer": "T"}, scheduler=None, vae=None, denoiser=None)
    kind = inspect.Parameter.KEYWORD_ONLY
    arguments = {
        name: inspect.Parameter(name, kind, default=usual)
        for name, usual in (("num_inference_steps", 50), ("true_cfg_scale", 4.0))
    }

    def completed(**identity):
        lora = Lora(name="Qwen-Image-Lightning-8steps-V1.0.safetensors", **identity)
        spec = make_spec(num_inference_steps=8, loras=(lora,))
        _, call, line = with_few_steps(spec, [(lora, few_steps_of(lora.name, {}))], config, arguments)
        return call.true_cfg_scale, line is None

    assert completed() == (1.0, False)
    assert completed(identity="sha256:0") == (None, True)


@pytest.mark.slow
def test_few_steps_are_defaults_under_their_lora(engine, make_spec, tmp_path):
    """Said in a line, recorded as any value; typed ones win, weight 0 is none, and what is resolved stays as it is."""
    file = shutil.copy(write_lora(tmp_path / "lora", 1, words=False), tmp_path / "lcm-lora-sdv1-5.safetensors")
    fast = (Lora(name=str(file)),)
    spec = make_spec(num_inference_steps=None, loras=fast)
    found = resolve(engine, spec)
    call, pipeline = found.spec.call, found.spec.pipeline
    assert (call.num_inference_steps, call.guidance_scale, pipeline.scheduler) == (4, 1.0, parse_scheduler("lcm"))
    line = "lcm-lora-sdv1-5.safetensors is an LCM LoRA: 4 steps, guidance 1, scheduler lcm"
    assert found.remarks == (f"{line}, where nothing else is asked for",)
    again = resolve(engine, found.spec)
    assert (again, again.remarks) == (found, ())
    typed = resolve(engine, spec.vary(num_inference_steps=6, guidance_scale=1.5, scheduler=parse_scheduler("euler")))
    assert (typed.spec.call.num_inference_steps, typed.spec.call.guidance_scale, typed.remarks) == (6, 1.5, ())
    for usual in (spec.vary(loras=()), spec.vary(loras=(Lora(name=str(file), weight=0.0),))):
        plain = resolve(engine, usual)
        assert (plain.spec.call.num_inference_steps, plain.remarks) == (50, ())
