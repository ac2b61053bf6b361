"""Pictures of other programs: what they were made from, in our words, and what our words cannot say."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sd_parsers import ParserManager

from promptlab.errors import InputError, NotFound
from promptlab.images.foreign import read_foreign, recognise
from promptlab.images.foreign.automatic1111 import parse
from promptlab.images.infotext import infotext
from promptlab.images.png import write_png
from promptlab.plan import requests_of
from promptlab.specs import Lora, RunSpec, SchedulerSpec, Variant, options
from promptlab.specs.settings import SETTINGS
from tests.images.foreign import samples
from tests.images.foreign.words import as_read, nasty

PIXELS = np.zeros((16, 16, 3), np.uint8)


def scheduler(name, **given):
    return SchedulerSpec(name=f"{name}Scheduler", options=options(given))


def lost(found):
    return {loss.name: loss.value for loss in found.lost}


def only(found):
    """The parts of a spec that a reader fills in."""
    (variant,) = found.spec.variants
    call = found.spec.call
    return (
        variant.prompt, variant.negative_prompt, found.spec.pipeline.model, found.spec.pipeline.vae,
        call.num_inference_steps, call.guidance_scale, (call.width, call.height), found.spec.seeds,
    )  # fmt: skip


@pytest.mark.parametrize("name", samples.ALL)
def test_read_foreign_real_file_of_every_program_is_known(tmp_path, name):
    """From the file on disk to a spec that survives being stored."""
    write_png(tmp_path / "a.png", PIXELS, samples.ALL[name])
    found = read_foreign(tmp_path / "a.png")
    known_as = {"A1111": "AUTOMATIC1111", "A1111 1.10": "AUTOMATIC1111", "Draw Things": "Draw Things"}.get(
        name, name.split()[0]
    )
    assert found.program == known_as
    assert RunSpec.from_dict(found.spec.to_dict()) == found.spec
    assert found.spec.generator_device == "cpu"
    assert all("\n" not in str(loss) and len(str(loss)) < 300 for loss in found.lost)
    assert found == recognise(samples.ALL[name])


def test_automatic1111_fields_have_our_names():
    """The web UI's fields have our names, its old sampler names hold the schedule, the rest is said to be lost."""
    found = recognise({"parameters": samples.A1111})
    assert only(found) == (
        "masterpiece, (portrait:1.2) of a fox , oil\nsecond line", "blurry, lowres", "deliberate_v2", "mse.pt",
        20, 7, (512, 768), (965400086,),
    )  # fmt: skip
    assert found.spec.pipeline.scheduler == scheduler("DPMSolverMultistep", use_karras_sigmas=True)
    assert found.spec.call.clip_skip == 1
    assert found.spec.pipeline.loras == (Lora(name="add_detail", weight=0.5),)
    assert lost(found) == {
        "weights in the prompt": "(portrait:1.2)",
        "RNG": "GPU",
        "Model hash": "45dee52b",
        "Denoising strength": "0.4",
        "ENSD": "31337",
        "Hires upscale": "2",
        "Lora hashes": "add_detail: 7c6bad76eb54",
    }
    assert "another picture here" in next(str(loss) for loss in found.lost if loss.name == "RNG")


def test_automatic1111_noise_from_the_cpu_is_no_gap():
    """``RNG: CPU`` is what PromptLab does; the noise that an SDE adds later on is another matter."""
    found = recognise({"parameters": samples.A1111_NEW})
    assert "RNG" not in lost(found)
    assert lost(found) == {"Sampler": "DPM++ 2M SDE"}
    assert found.spec.pipeline.scheduler == scheduler(
        "DPMSolverMultistep", algorithm_type="sde-dpmsolver++", use_exponential_sigmas=True
    )


def test_automatic1111_automatic_schedule_is_what_the_web_ui_chooses():
    """``Automatic`` names a schedule that depends on the sampler; left out, it is the older uniform one."""
    line = "a\nSteps: 20, Sampler: DPM++ 2M{}, CFG scale: 7, Seed: 1"
    chosen = recognise({"parameters": line.format(", Schedule type: Automatic")})
    plain = recognise({"parameters": line.format("")})
    assert chosen.spec.pipeline.scheduler == scheduler("DPMSolverMultistep", use_karras_sigmas=True)
    assert plain.spec.pipeline.scheduler == scheduler("DPMSolverMultistep")


def test_automatic1111_flux_of_forge_has_the_distilled_scale():
    """The distilled scale is diffusers' guidance, and Euler is the one of flow matching."""
    found = recognise({"parameters": samples.FORGE_FLUX})
    assert (found.program, found.spec.call.guidance_scale) == ("Forge", 3.5)
    assert found.spec.pipeline.scheduler == scheduler("FlowMatchEulerDiscrete")


@pytest.mark.parametrize("line", ["Sampler: DPM fast", "Sampler: Restart, Schedule type: Karras"])
def test_automatic1111_unknown_sampler_leaves_the_models_own(line):
    """Better no scheduler than one that is not it."""
    found = recognise({"parameters": f"a\nSteps: 20, {line}, CFG scale: 7, Seed: 1"})
    assert found.spec.pipeline.scheduler is None
    assert "Sampler" in lost(found)


def test_automatic1111_wrong_field_is_a_gap_with_its_reason():
    """A value that no spec can hold does not end the reading."""
    found = recognise(
        {"parameters": "a\nSteps: many, Sampler: Euler, CFG scale: -1, Seed: -5, Size: 0x99999999, Clip skip: 400"}
    )
    assert {"Steps", "CFG scale", "Seed", "Size", "Clip skip"} <= lost(found).keys()
    assert only(found) == ("a", "", "", None, None, None, (None, None), (0,))


@given(prompt=nasty, negative=nasty, seed=st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_automatic1111_reads_back_what_promptlab_writes(resolve, prompt, negative, seed):
    """For any words at all: prompts up to white space, the whole setting, and nothing lost."""
    resolved = resolve((Variant(prompt=prompt, negative_prompt=negative),), (seed,))
    (request,) = requests_of(resolved)
    found = recognise({"parameters": infotext(request)})
    (variant,) = found.spec.variants
    assert found.program == "PromptLab"
    assert as_read(variant.prompt) == as_read(prompt)
    assert as_read(variant.negative_prompt) == as_read(negative)
    assert found.spec.call == resolved.spec.call
    assert found.spec.pipeline.scheduler == resolved.spec.pipeline.scheduler
    assert (found.spec.seeds, found.spec.pipeline.model, found.lost) == ((seed,), "mini", ())


@pytest.mark.parametrize("row", [row for row in SETTINGS.values() if row.infotext], ids=lambda row: row.name)
def test_automatic1111_reads_back_settings_that_the_table_names(resolve, row):
    """Whatever stands in infotext as it is comes back as it was."""
    resolved = resolve(**{row.sets[0]: 4.0})
    text = infotext(requests_of(resolved)[0])
    assert f"{row.infotext}: 4," in text
    assert recognise({"parameters": text}).spec.call == resolved.spec.call


@pytest.mark.parametrize("scale", [1.0, 7.5])
@pytest.mark.parametrize("name", ["DDIM", "PNDM", "DPMSolverSinglestep", "UniPCMultistep"])
def test_automatic1111_reads_back_promptlabs_schedulers(resolve, name, scale):
    """Also those whose names in the web UI need a second field."""
    resolved = resolve(scheduler=scheduler(name), guidance_scale=scale, clip_skip=1)
    found = recognise({"parameters": infotext(requests_of(resolved)[0])})
    assert found.spec.pipeline.scheduler == scheduler(name)
    assert found.spec.call == resolved.spec.call


@pytest.mark.parametrize("text", [samples.A1111, samples.A1111_NEW, samples.SD_NEXT, samples.FORGE_FLUX])
def test_automatic1111_agrees_with_sd_parsers(tmp_path, text):
    """The same words and the same values of the fields both know."""
    write_png(tmp_path / "a.png", PIXELS, {"parameters": text})
    (theirs,) = ParserManager().parse(tmp_path / "a.png").samplers
    ours = parse(text)
    assert [as_read(each.value) for each in theirs.prompts] == [as_read(ours.prompt)]
    assert [as_read(each.value) for each in theirs.negative_prompts] == [
        as_read(each) for each in (ours.negative_prompt,) if each
    ]
    assert theirs.name == ours.fields["Sampler"]
    assert theirs.model.name == ours.fields["Model"] if theirs.model else "Model" not in ours.fields
    for name, key in (("steps", "Steps"), ("seed", "Seed"), ("cfg_scale", "CFG scale")):
        assert theirs.parameters[name] == ours.fields[key]


def test_invokeai_fields_have_our_names():
    """Its schedulers are diffusers' own, its weights compel's; LoRAs are taken, ControlNets are lost."""
    found = recognise(samples.ALL["InvokeAI"])
    assert only(found) == (
        "a red++ fox", "blurry", "dreamshaper-8", "sd-vae-ft-mse", 30, 7.5, (512, 768), (356120443,),
    )  # fmt: skip
    assert found.spec.pipeline.scheduler == scheduler(
        "DPMSolverMultistep", algorithm_type="sde-dpmsolver++", use_karras_sigmas=True
    )
    assert (found.spec.call.clip_skip, found.spec.call.guidance_rescale) == (1, 0.25)
    assert (found.spec.call.weighting, found.spec.pipeline.loras) == (True, (Lora(name="add_detail", weight=0.75),))
    assert lost(found) == {
        "scheduler": "DPM++ 2M SDE",
        "controlnets": "control_model name canny, control_weight 1",
    }


@pytest.mark.parametrize(
    ("name", "of", "given"),
    [
        ("euler_a", "EulerAncestralDiscrete", {}),
        ("dpmpp_3m_k", "DPMSolverMultistep", {"solver_order": 3, "use_karras_sigmas": True}),
        ("kdpm_2_a_k", "KDPM2AncestralDiscrete", {"use_karras_sigmas": True}),
        ("unipc", "UniPCMultistep", {}),
        ("pndm", "PNDM", {}),
    ],
)
def test_invokeai_scheduler_names_are_diffusers_classes(name, of, given):
    """``_k`` means Karras."""
    found = recognise({"invokeai_metadata": json.dumps({**samples.INVOKE, "scheduler": name})})
    assert found.spec.pipeline.scheduler == scheduler(of, **given)


@pytest.mark.parametrize(("name", "of"), [("InvokeAI 2", "LMSDiscrete"), ("InvokeAI 1", "EulerAncestralDiscrete")])
def test_invokeai_older_chunks_are_read(name, of):
    """What is not wanted was in brackets, the noise came from the GPU."""
    found = recognise(samples.ALL[name])
    model = "stable-diffusion-1.5" if name == "InvokeAI 2" else ""
    assert only(found) == ("a fox", "blurry", model, None, 50, 7.5, (640, 512), (2980747362,))
    assert found.spec.pipeline.scheduler == scheduler(of)
    assert "device" in lost(found)


@pytest.mark.parametrize("name", ["Fooocus", "Fooocus a1111"])
def test_fooocus_fields_have_our_names(name):
    """The words that were typed are taken, those that styles added are shown; both of its schemes say the same."""
    found = recognise(samples.ALL[name])
    typed = "a fox" if name == "Fooocus" else "a fox, red"
    vae = found.spec.pipeline.vae
    assert only(found) == (typed, "", "juggernautXL_v8", vae, 30, 4, (1152, 896), (5174637291826354017 % 2**32,))
    assert found.spec.pipeline.scheduler == scheduler(
        "DPMSolverMultistep", algorithm_type="sde-dpmsolver++", use_karras_sigmas=True
    )
    assert any("cinematic still" in loss.value and "styles" in loss.why for loss in found.lost)
    assert any("32 bits" in loss.why for loss in found.lost)
    assert not any("GPU" in loss.why for loss in found.lost)


def test_dgenerate_options_have_our_names():
    """The command line is split into words as its shell does, over line ends and escapes, and nothing of it is run."""
    found = recognise(samples.ALL["dgenerate"])
    assert only(found) == (
        "a fox that isn't there, painted in oil on canvas by someone who knew #foxes", "blurry, lowres",
        "stable-diffusion-v1-5/stable-diffusion-v1-5", "stabilityai/sd-vae-ft-mse", 30, 5, (512, 768), (1234,),
    )  # fmt: skip
    assert found.spec.pipeline.scheduler == scheduler("DPMSolverMultistep", use_karras_sigmas=True, solver_order=3)
    assert (found.spec.pipeline.dtype, found.spec.call.clip_skip) == ("float16", 1)
    assert lost(found) == {"--device": "cuda:0"}
    assert found.spec.pipeline.loras == (Lora(name="some/lora", weight=0.5),)


def test_dgenerate_config_is_never_run(tmp_path):
    """Directives, variables and templates of dgenerate's language are words like others."""
    trap = tmp_path / "trap"
    text = f'#! dgenerate 5.0.0\n\\exec touch {trap}\n{{{{ 1/0 }}}} \\\n--prompts "$HOME `touch {trap}` %PATH%; *"'
    found = recognise({"DgenerateConfig": text})
    assert found.spec.variants[0].prompt == f"$HOME `touch {trap}` %PATH%"
    assert not trap.exists()


def test_comfyui_graph_becomes_a_spec():
    """From what was saved back to the sampler, the model behind its LoRAs, both texts, the size, and the VAE."""
    found = recognise(samples.ALL["ComfyUI"])
    assert only(found) == (
        "a fox", "blurry", "sd15.safetensors", "mse.safetensors", 20, 8, (512, 768), (5,),
    )  # fmt: skip
    assert found.spec.pipeline.scheduler == scheduler("DPMSolverMultistep", use_karras_sigmas=True)
    assert lost(found) == {"seed": str(2**63 + 5), "LoRA": "detail.safetensors: 1.0 for the text encoder"}
    assert found.spec.pipeline.loras == (Lora(name="detail.safetensors", weight=0.8),)


def test_comfyui_sampler_in_parts_is_put_together():
    """Guider, noise, sigmas and sampler are nodes of their own; a number may be one too."""
    found = recognise(samples.ALL["ComfyUI Flux"])
    assert only(found) == ("a fox", "", "flux1-dev.safetensors", "ae.safetensors", 20, 3.5, (896, 1024), (219,))
    assert found.spec.pipeline.scheduler == scheduler("FlowMatchEulerDiscrete")
    assert lost(found) == {"node": "ModelSamplingFlux", "text encoder": "t5xxl.safetensors, clip_l.safetensors"}
    assert "(changes the model: max_shift 1.15, base_shift 0.5" in str(found.lost[0])


def test_comfyui_of_several_samplers_the_one_that_was_saved_counts():
    """A second pass over a larger latent is the one whose picture it is; the first one is said to be lost."""
    graph = {
        **samples.COMFY,
        "20": samples.node("LatentUpscale", samples=["3", 0], width=1024, height=1536, crop="disabled"),
        "21": samples.node("KSampler", **{**samples.COMFY["3"]["inputs"], "seed": 9, "denoise": 0.5,
                                          "latent_image": ["20", 0]}),
        "8": samples.node("VAEDecode", samples=["21", 0], vae=["4", 2]),
    }  # fmt: skip
    found = recognise({"prompt": json.dumps(graph)})
    assert (found.spec.seeds, found.spec.call.width, found.spec.pipeline.vae) == ((9,), 1024, None)
    assert {"denoise": "0.5", "KSampler": "node 3", "node": "LatentUpscale"}.items() <= lost(found).items()


def test_comfyui_prompts_behind_a_controlnet_stay_apart():
    """A node with two conditionings hands each on by its output."""
    graph = {
        **samples.COMFY,
        "3": samples.node("KSampler", **{**samples.COMFY["3"]["inputs"], "positive": ["30", 0], "negative": ["30", 1]}),
        "30": samples.node("ControlNetApplyAdvanced", positive=["6", 0], negative=["7", 0], control_net=["31", 0],
                           image=["32", 0], strength=1.0),
        "31": samples.node("ControlNetLoader", control_net_name="canny"),
        "32": samples.node("LoadImage", image="a.png"),
    }  # fmt: skip
    found = recognise({"prompt": json.dumps(graph)})
    assert only(found)[:2] == ("a fox", "blurry")
    assert "ControlNetApplyAdvanced" in lost(found).values()


@pytest.mark.parametrize(
    "texts",
    [
        {},
        {"parameters": "a holiday in the mountains"},
        {"parameters": "Title: a, Author: b, Year: 1999"},
        {"parameters": '{"title": "x"}'},
        {"prompt": "{}"},
        {"prompt": '{"1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}}}'},
        {"Dream": "of electric sheep"},
        {"Comment": "x", "promptlab": "{}"},
    ],
)
def test_recognise_other_texts_are_of_no_program(texts):
    """Whoever wrote it, it was none of those that are known."""
    assert recognise(texts) is None


def test_read_foreign_file_that_is_no_image_is_refused(tmp_path):
    """Missing, of another kind, damaged, a folder: one line each."""
    (tmp_path / "a.txt").write_text("hello")
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut off")
    (tmp_path / "a.webp").write_bytes(b"RIFF\x10\0\0\0WEBPVP8 cut")
    with pytest.raises(NotFound):
        read_foreign(tmp_path / "missing.png")
    for name in ("a.txt", "a.jpg", "a.webp", "."):
        with pytest.raises(InputError) as caught:
            read_foreign(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_read_foreign_text_without_end_is_refused(tmp_path):
    """Nobody meant nine million characters."""
    write_png(tmp_path / "a.png", PIXELS, {"parameters": "x" * 9_000_000})
    with pytest.raises(InputError, match="9,000,000 characters"):
        read_foreign(tmp_path / "a.png")


def test_comfyui_sampler_of_an_unusual_kind_is_named_as_a_gap():
    """Nodes of other makers have other inputs: values by link, LoRAs in a list, two texts in one node."""
    graph = {
        "1": samples.node("CheckpointLoaderSimple", ckpt_name=["2", 0]),
        "2": samples.node("PrimitiveString", value="xl.safetensors"),
        "3": samples.node("Power Lora Loader (rgthree)", model=["1", 0], clip=["1", 1],
                          lora_1={"on": True, "lora": "a.safetensors"}, lora_2={"on": False, "lora": "b"}),
        "4": samples.node("CLIPTextEncodeSDXL", text_g="a fox", text_l="in oil", clip=["3", 1], width=1024),
        "5": samples.node("ConditioningZeroOut", conditioning=["4", 0]),
        "6": samples.node("VAEEncode", pixels=["7", 0], vae=["1", 2]),
        "7": samples.node("LoadImage", image="a.png"),
        "8": samples.node("KSamplerAdvanced", add_noise="disable", noise_seed=["9", 0], steps=20, cfg=7.0,
                          sampler_name="uni_pc", scheduler="kl_optimal", start_at_step=5, end_at_step=10_000,
                          model=["10", 0], positive=["11", 0], negative=["5", 0], latent_image=["6", 0]),
        "9": samples.node("Seed (rgthree)", seed=77),
        "10": samples.node("FreeU_V2", model=["3", 0], b1=1.3),
        "11": samples.node("ConditioningCombine", conditioning_1=["4", 0], conditioning_2=["12", 0]),
        "12": samples.node("CLIPTextEncode", text=["13", 0], clip=["3", 1]),
        "13": samples.node("StringJoin", a=["2", 0], b=["2", 0]),
        "14": samples.node("VAEDecode", samples=["8", 0], vae=["1", 2]),
        "15": samples.node("PreviewImage", images=["14", 0]),
    }  # fmt: skip
    found = recognise({"prompt": json.dumps(graph)})
    assert only(found) == ("a fox", "", "xl.safetensors", None, 20, 7, (None, None), (77,))
    assert found.spec.pipeline.scheduler == scheduler("UniPCMultistep", solver_type="bh1")
    assert found.spec.pipeline.loras == (Lora(name="a.safetensors"),)
    told = {str(loss).partition(" (")[0] for loss in found.lost}
    assert {
        "prompt: in oil", "prompt: StringJoin", "scheduler: kl_optimal", "node: FreeU_V2",
        "node: ConditioningCombine", "start_at_step, end_at_step: 5, 10000", "add_noise: disable", "node: VAEEncode",
    } <= told  # fmt: skip


def test_automatic1111_variation_seeds_and_loras_are_taken():
    """A variation seed with its strength, each ``<lora:…>`` once; other networks, and what is no number, are lost."""
    fields = "Steps: 20, Sampler: Euler, Seed: 5, RNG: CPU, Variation seed: 9, Variation seed strength: 0.25"
    text = f"a fox <lora:ink:0.8> <lora:wash:0.5:0.3> <lora:ink:1><hypernet:old:1> <lora:odd:much>\n{fields}"
    found = recognise({"parameters": text})
    call, pipeline = found.spec.call, found.spec.pipeline
    assert found.spec.variants[0].prompt == "a fox"
    assert (call.variation_seed, call.variation_strength) == (9, 0.25)
    assert pipeline.loras == (Lora(name="ink", weight=0.8), Lora(name="wash", weight=0.5))
    told = [f"{loss.name} {loss.value}" for loss in found.lost]
    assert [each for each in told if each.startswith("<")] == [
        "<lora> wash:0.5:0.3", "<lora> ink 1", "<hypernet> old:1", "<lora> odd much",
    ]  # fmt: skip
    odd = recognise({"parameters": "a fox\nSteps: 20, Sampler: Euler, Seed: 5, Variation seed: 9"})
    assert odd.spec.call.variation_seed is None
    assert "Variation seed" in lost(odd)


def test_comfyui_custom_sigmas_and_samplers_are_gaps():
    """Schedules that are nodes of their own are taken where they have a name here."""
    graph = {
        **samples.COMFY_FLUX,
        "16": samples.node("SamplerLCMUpscale", scale_ratio=1.0),
        "17": samples.node("LaplaceScheduler", steps=12),
    }
    found = recognise({"prompt": json.dumps(graph)})
    assert found.spec.pipeline.scheduler is None
    assert (found.spec.call.num_inference_steps, lost(found)) == (
        12,
        {"sampler": "SamplerLCMUpscale", "sigmas": "LaplaceScheduler", "node": "ModelSamplingFlux",
         "text encoder": "t5xxl.safetensors, clip_l.safetensors"},
    )  # fmt: skip


def test_comfyui_both_texts_in_one_comment_are_read():
    """Some nodes put the graph and its drawing into one object."""
    found = recognise({"parameters": json.dumps({"prompt": samples.COMFY, "workflow": {}})})
    assert (found.program, found.spec.variants[0].prompt) == ("ComfyUI", "a fox")


def test_invokeai_everything_unusual_is_a_gap():
    """Pictures from pictures, Flux, noise from the GPU, styles and models by their older names."""
    found = recognise(
        {
            "invokeai_metadata": json.dumps(
                {
                    "generation_mode": "flux_img2img", "positive_prompt": "a fox", "positive_style_prompt": "oil",
                    "scheduler": "euler", "guidance": 3.5, "cfg_scale": 1, "rand_device": "cuda", "seed": 1,
                    "model": {"model_name": "flux"}, "strength": 0.5, "loras": {"odd": 1}, "hrf_enabled": True,
                    "steps": 4, "width": 64, "height": 64,
                }
            )
        }
    )  # fmt: skip
    assert only(found) == ("a fox", "", "flux", None, 4, 3.5, (64, 64), (1,))
    assert found.spec.pipeline.scheduler == scheduler("FlowMatchEulerDiscrete")
    assert {"generation_mode", "positive_style_prompt", "rand_device", "strength", "loras", "hrf_enabled"} <= lost(
        found
    ).keys()


def test_dgenerate_several_of_everything_leaves_gaps():
    """A script that makes many pictures: the first of each is taken, the others made other pictures."""
    text = (
        "dgenerate 'my model' --prompts 'a; b' \"c \\\"d\\\"\" --seeds 1 2 --dtype half --output-size 512 --device cpu "
        "--scheduler 'Euler;prediction-type=\"epsilon\";x=[1]' --clip-skips 99 --guidance-rescales 0.5 --vae "
        "'AutoencoderKL;model=a/b;revision=r' --variant fp16 --revision main --dtype\n\nsecond --prompts e"
    )
    found = recognise({"DgenerateConfig": text})
    pipeline = found.spec.pipeline
    assert only(found)[:4] == ("a", "b", "my model", "a/b")
    assert (pipeline.revision, pipeline.variant, pipeline.dtype) == ("main", "fp16", "float16")
    assert pipeline.scheduler == scheduler("Euler", prediction_type="epsilon")
    assert (found.spec.call.width, found.spec.call.height, found.spec.seeds) == (512, 512, (1,))
    assert lost(found) == {
        "--prompts": 'c "d"', "--seeds": "2", "--scheduler x": "[1]", "--clip-skips": "99", "--vae revision": "r",
    }  # fmt: skip


@pytest.mark.parametrize(
    "texts",
    [
        {"DgenerateConfig": "dgenerate m --prompts a --guidance-rescales 5"},
        {"invokeai_metadata": '{"positive_prompt": "a", "cfg_rescale_multiplier": -1}'},
    ],
)
def test_recognise_number_outside_the_range_of_its_setting_is_a_gap(texts):
    """The table of settings says which numbers a setting has; a picture's own number is not refused as an option is."""
    found = recognise(texts)
    assert found.spec.call.guidance_rescale is None
    assert "is out of range" in [loss.why for loss in found.lost]
