# ruff: noqa: E501 - the lines of a table are as long as they are
"""The corpus' graphs of ComfyUI: nodes of many makers, as their code has them, one entry each.

``graph(...)`` is the usual graph (sampler 3, model 4, latent 5, words 6 and 7, decoder 8) with nodes changed or added;
``to("20", 1)`` is a link to the second output of node 20.
"""

import json

from tests.images.foreign import samples
from tests.images.foreign.corpus import Corpus, png

corpus = Corpus()
node = samples.node


def to(key, slot=0):
    return [str(key), slot]


SAMPLER = {
    "seed": 77, "steps": 18, "cfg": 5.5, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0, "model": to(4),
    "positive": to(6), "negative": to(7), "latent_image": to(5),
}  # fmt: skip
HERE = {
    "steps": 18,
    "cfg": 5.5,
    "seed": 77,
    "size": (640, 384),
    "model": "pine.safetensors",
    "scheduler": "EulerDiscrete",
}
OWL, FOG = "an owl on a fence", "fog"


def graph(nodes=None, **changed):
    """The usual graph with inputs of its nodes changed (``n3={...}``, ``None`` takes one away) and nodes added."""
    plain = {
        "3": node("KSampler", **SAMPLER),
        "4": node("CheckpointLoaderSimple", ckpt_name="pine.safetensors"),
        "5": node("EmptyLatentImage", width=640, height=384, batch_size=1),
        "6": node("CLIPTextEncode", text=OWL, clip=to(4, 1)),
        "7": node("CLIPTextEncode", text=FOG, clip=to(4, 1)),
        "8": node("VAEDecode", samples=to(3), vae=to(4, 2)),
        "9": node("SaveImage", filename_prefix="c", images=to(8)),
    }
    for key, inputs in changed.items():
        for name, value in inputs.items():
            if value is None:
                plain[key[1:]]["inputs"].pop(name, None)
            else:
                plain[key[1:]]["inputs"][name] = value
    return {**plain, **(nodes or {})}


def case(source, plain, prompt=OWL, negative=FOG, *, lost=(), beside=None, **numbers):
    """Add a graph; ``beside`` is an infotext in the same picture."""
    texts = {"prompt": json.dumps(plain), **({"parameters": beside} if beside else {})}
    corpus.case(source, texts, prompt, negative, program="ComfyUI", lost=lost, **{**HERE, **numbers})


def made(source, *nodes, prompt=OWL, **more):
    """Add a graph whose words node 20 makes, of those that follow it as 21, 22, …"""
    case(source, graph({str(20 + at): each for at, each in enumerate(nodes)}, n6={"text": to(20)}), prompt, **more)


case("the usual graph", graph())

# words made by nodes --------------------------------------------------------------------------------------------

made("core: StringConcatenate", node("StringConcatenate", string_a="an owl", string_b="on a fence", delimiter=" "))
made("core: StringConcatenate of links", node("StringConcatenate", string_a=to(21), string_b=to(22), delimiter=" "),
     node("PrimitiveString", value="an owl"), node("StringTrim", string="  on a fence ", mode="Both"))  # fmt: skip
made("core: StringReplace", node("StringReplace", string="an eel on a fence", find="eel", replace="owl"))
made("core: RegexReplace is not run", node("RegexReplace", string=OWL, regex_pattern="o.*", replace="x", count=0, case_insensitive=True),
     lost="prompt: RegexReplace")  # fmt: skip
made("core: CaseConverter", node("CaseConverter", string="AN OWL ON A FENCE", mode="lowercase"))
made("core: StringSubstring", node("StringSubstring", string="see an owl on a fence", start=4, end=99))
made("core: PrimitiveStringMultiline", node("PrimitiveStringMultiline", value=OWL))
made("WAS: Text Concatenate", node("Text Concatenate", delimiter=" ", clean_whitespace="true", text_a=to(21), text_b="", text_c="on a fence"),
     node("Text Multiline", text=" an owl "))  # fmt: skip
made("WAS: Text Find and Replace", node("Text Find and Replace", text=to(21), find="eel", replace="owl"),
     node("Text Multiline", text="an eel on a fence"))  # fmt: skip
made("WAS: the third text of Text String", node("StringConcatenate", string_a=to(21, 2), string_b="", delimiter=""),
     node("Text String", text="a", text_b="b", text_c=OWL, text_d="d"))  # fmt: skip
made("comfyroll: CR Text Concatenate", node("CR Text Concatenate", text1="an owl", text2="on a fence", separator=" "))
made(
    "comfyroll: CR Text Replace",
    node(
        "CR Text Replace",
        text="an eel on a gate",
        find1="eel",
        replace1="owl",
        find2="gate",
        replace2="fence",
        find3="",
        replace3="",
    ),
)
made("comfyroll: CR Text Input Switch", node("CR Text Input Switch", Input=2, text1=to(21), text2=to(22)),
     node("CR Text", text="no"), node("CR Text", text=OWL))  # fmt: skip
made("KJNodes: JoinStringMulti", node("JoinStringMulti", inputcount=3, string_1="an", delimiter=" ", return_list=False, string_2=to(21), string_3="on a fence"),
     node("StringConstant", string="owl"))  # fmt: skip
made(
    "pysssss: StringFunction",
    node("StringFunction|pysssss", action="append", tidy_tags="no", text_a="an owl ", text_b="on a fence", text_c=""),
)
made(
    "pysssss: replacing",
    node(
        "StringFunction|pysssss",
        action="replace",
        tidy_tags="yes",
        text_a="an  eel on a fence",
        text_b="eel",
        text_c="owl",
    ),
)
made("Easy Use: textSwitch", node("easy textSwitch", input=1, text1=OWL, text2="no"))
made(
    "Impact: the populated text",
    node(
        "ImpactWildcardProcessor", wildcard_text="an {owl|eel} on a fence", populated_text=OWL, mode="populate", seed=1
    ),
)
made("a template without its words", node("DPRandomGenerator", text="an {owl|eel} on a fence", seed=5, autorefresh="No"),
     prompt="an {owl|eel} on a fence", lost="prompt: DPRandomGenerator")  # fmt: skip
made("a join that is not known", node("FancyJoiner", a="an owl", b="on a fence"), lost="prompt: FancyJoiner")
made("a node that is not known", node("PromptBeautifier", text=OWL, style="baroque"), lost="prompt: PromptBeautifier")
made("a node without words", node("LoadLineFromFile", index=3), prompt="", lost="prompt: CLIPTextEncode")
made(
    "a model's question without an answer",
    node("OllamaGenerate", prompt="describe an owl", model="x"),
    prompt="",
    lost="prompt: OllamaGenerate",
)
made("a model's stored answer", node("ShowText|pysssss", text=to(21), text_0=OWL), node("OllamaGenerate", prompt="describe an owl"),
     lost=("prompt: OllamaGenerate", "prompt: ShowText|pysssss"))  # fmt: skip
made(
    "shown words that are known",
    node("ShowText|pysssss", text=to(21), text_0="those of the run before"),
    node("CR Text", text=OWL),
)
made("the infotext beside a graph that does not say", node("OllamaGenerate", prompt="describe an owl"),
     beside=f"{OWL}\nNegative prompt: {FOG}\nSteps: 18, Sampler: Euler, Seed: 77")  # fmt: skip
made(
    "a circle",
    node("StringConcatenate", string_a="an owl", string_b=to(20), delimiter=" "),
    prompt="an owl",
    lost="prompt: StringConcatenate",
)

# loaders and encoders that hold the words -----------------------------------------------------------------------

EFFICIENT = node(
    "Efficient Loader", ckpt_name="pine.safetensors", vae_name="Baked VAE", clip_skip=-1, lora_name="ink.safetensors",
    lora_model_strength=0.35, lora_clip_strength=0.35, positive=OWL, negative=FOG, token_normalization="none",
    weight_interpretation="comfy", empty_latent_width=640, empty_latent_height=384, batch_size=1,
)  # fmt: skip
BY_EFFICIENT = {"model": to(4), "positive": to(4, 1), "negative": to(4, 2), "latent_image": to(4, 3)}
INK = {"loras": {"ink.safetensors": 0.35}}
case("Efficiency: the loader holds all", graph({"4": EFFICIENT}, n3=BY_EFFICIENT), **INK)
case(
    "Efficiency: linked words, sizes, weight and skip",
    graph(
        {"4": node("Efficient Loader", **{**EFFICIENT["inputs"], "positive": to(20), "empty_latent_width": to(21), "lora_model_strength": to(22), "clip_skip": -2}),
         "20": node("CR Text", text=OWL), "21": node("INTConstant", value=640), "22": node("FloatConstant", value=0.35)},
        n3=BY_EFFICIENT,
    ), lost="Efficient Loader clip_skip: -2", **INK,
)  # fmt: skip
case(
    "Easy Use: loader, presampling and sampler on one pipe",
    {
        "1": node("easy fullLoader", ckpt_name="pine.safetensors", config_name="Default", vae_name="Baked VAE", clip_skip=-1,
                  lora_name="None", lora_model_strength=1.0, lora_clip_strength=1.0, resolution="640 x 384", empty_latent_width=512,
                  empty_latent_height=512, positive=OWL, positive_token_normalization="none", positive_weight_interpretation="comfy",
                  negative=FOG, batch_size=1),
        "2": node("easy preSampling", steps=18, cfg=5.5, sampler_name="euler", scheduler="normal", denoise=1.0, seed=77, pipe=to(1)),
        "9": node("easy kSampler", image_output="Save", pipe=to(2)),
        "10": node("SaveImage", images=to(9, 1)),
    }, lost=("easy fullLoader config_name", "node: easy kSampler"), loras={},
)  # fmt: skip
case(
    "smZ with empty other texts",
    graph(
        {
            "6": node(
                "smZ CLIPTextEncode",
                text=OWL,
                parser="A1111",
                text_g="",
                text_l="",
                ascore=6.0,
                width=1024,
                height=1024,
                with_SDXL=False,
                clip=to(4, 1),
            )
        }
    ),
)
case("an encoder with a populated text", graph({"6": node("ImpactWildcardEncode", wildcard_text="an {owl|eel}", populated_text=OWL, mode="populate", clip=to(4, 1), model=to(4), seed=3)}),
     lost="prompt: an {owl|eel}")  # fmt: skip
case(
    "rgthree: Power Prompt",
    graph({"6": node("Power Prompt (rgthree)", prompt=OWL, opt_model=to(4), opt_clip=to(4, 1))}),
)
case("core: SDXL's two texts and sizes", graph({"6": node("CLIPTextEncodeSDXL", text_g=OWL, text_l="etching", clip=to(4, 1), width=4096, height=4096, crop_w=0, crop_h=0, target_width=1024, target_height=1024)}),
     lost=("prompt: etching", "CLIPTextEncodeSDXL: width 4096"))  # fmt: skip
case(
    "core: an encoder of a newer family",
    graph({"6": node("CLIPTextEncodeLumina2", system_prompt="superior", user_prompt=OWL, clip=to(4, 1))}),
    scheduler="FlowMatchEulerDiscrete",
)

# pipes, contexts, switches --------------------------------------------------------------------------------------

PIPED = {"model": to(11), "positive": to(11, 3), "negative": to(11, 4)}
BASIC = node("ToBasicPipe", model=to(4), clip=to(4, 1), vae=to(4, 2), positive=to(6), negative=to(7))
case("Impact: basic pipe", graph({"10": BASIC, "11": node("FromBasicPipe", basic_pipe=to(10))}, n3=PIPED))
case("Impact: basic pipe, its second version",
     graph({"10": BASIC, "11": node("FromBasicPipe_v2", basic_pipe=to(10))}, n3={"model": to(11, 1), "positive": to(11, 4), "negative": to(11, 5)}))  # fmt: skip
case("Impact: a pipe that was edited",
     graph({"9a": node("ToBasicPipe", model=to(4), clip=to(4, 1), vae=to(4, 2), positive=to(7), negative=to(7)),
            "10": node("EditBasicPipe", basic_pipe=to("9a"), positive=to(6)), "11": node("FromBasicPipe", basic_pipe=to(10))}, n3=PIPED))  # fmt: skip
CONTEXT = node(
    "Context (rgthree)", model=to(4), clip=to(4, 1), vae=to(4, 2), positive=to(6), negative=to(7), latent=to(5), seed=77
)
BY_CONTEXT = {
    "model": to(11, 1),
    "positive": to(11, 4),
    "negative": to(11, 5),
    "latent_image": to(11, 6),
    "seed": to(11, 8),
}
case("rgthree: context", graph({"11": CONTEXT}, n3=BY_CONTEXT))
case(
    "rgthree: a context over another",
    graph(
        {
            "10": CONTEXT,
            "11": node("Context (rgthree)", base_ctx=to(10), seed=to(12)),
            "12": node("Seed (rgthree)", seed=5),
        },
        n3=BY_CONTEXT,
    ),
    seed=5,
)
case(
    "rgthree: context switch",
    graph({"10": CONTEXT, "11": node("Context Switch (rgthree)", ctx_02=to(10))}, n3=BY_CONTEXT),
)
case("rgthree: big context with numbers",
     graph({"11": node("Context Big (rgthree)", **CONTEXT["inputs"], steps=18, cfg=5.5)}, n3={**BY_CONTEXT, "steps": to(11, 9), "cfg": to(11, 11)}))  # fmt: skip
case("tinyterraNodes: the negative is the third output",
     graph({"11": node("ttN pipeLoader", ckpt_name="pine.safetensors", positive=OWL, negative=FOG, empty_latent_width=640, empty_latent_height=384, vae_name="Baked VAE")},
           n3={"model": to(11, 1), "positive": to(11, 2), "negative": to(11, 3), "latent_image": to(11, 4)}, n8={"vae": to(11, 5)}))  # fmt: skip
case("crossed on purpose", graph({"30": node("ControlNetApplyAdvanced", positive=to(7), negative=to(6), control_net=to(31), image=to(32), strength=0.8),
                                  "31": node("ControlNetLoader", control_net_name="canny"), "32": node("LoadImage", image="a.png")},
                                 n3={"positive": to(30, 1), "negative": to(30, 0)}), lost="node: ControlNetApplyAdvanced")  # fmt: skip
case("outputs that are not known", graph({"11": node("MysteryPacker", first=to(4), positive=to(6), negative=to(7))}, n3={"positive": to(11, 5), "negative": to(11, 6)}),
     lost=("node: MysteryPacker", "node: MysteryPacker"))  # fmt: skip
case(
    "core: switch of conditionings",
    graph(
        {
            "10": node("ComfySwitchNode", switch=to(11), on_false=to(7), on_true=to(6)),
            "11": node("PrimitiveBoolean", value=True),
        },
        n3={"positive": to(10)},
    ),
)
case("Impact: switch of models", graph({"10": node("ImpactSwitch", select=2, sel_mode=False, input1=to(12), input2=to(4)), "12": node("CheckpointLoaderSimple", ckpt_name="no")}, n3={"model": to(10)}),
     lost="node: CheckpointLoaderSimple")  # fmt: skip
case(
    "reroutes",
    graph(
        {"10": node("Reroute", **{"": to(6)}), "11": node("Reroute (rgthree)", **{"": to(10)})}, n3={"positive": to(11)}
    ),
)

# LoRAs ----------------------------------------------------------------------------------------------------------


def loras(source, *nodes, lost=(), **found):
    """Add a graph whose model comes through node 10, of those that follow it as 11, 12, …"""
    case(
        source,
        graph({str(10 + at): each for at, each in enumerate(nodes)}, n3={"model": to(10)}),
        lost=lost,
        loras=found.pop("of", {}),
    )


ON = {"model": to(4), "clip": to(4, 1)}
loras("None is none", node("LoraLoader", lora_name="None", strength_model=1.0, strength_clip=1.0, **ON))
loras(
    "a linked weight",
    node("LoraLoader", lora_name="ink", strength_model=to(11), strength_clip=to(11), **ON),
    node("PrimitiveFloat", value=0.35),
    of={"ink": 0.35},
)
loras("a weight of nobody knows", node("LoraLoader", lora_name="ink", strength_model=to(11), strength_clip=1.0, **ON), node("MathExpression|pysssss", expression="a*2", a=to(12)), node("PrimitiveFloat", value=0.35),
      lost=("LoRA: ink: MathExpression|pysssss", "node: MathExpression|pysssss"))  # fmt: skip
loras(
    "another weight for the text encoder",
    node("LoraLoader", lora_name="ink", strength_model=0.35, strength_clip=0.9, **ON),
    of={"ink": 0.35},
    lost="LoRA: ink: 0.9",
)
loras(
    "for the model alone",
    node("LoraLoaderModelOnly", lora_name="ink", strength_model=0.35, model=to(4)),
    of={"ink": 0.35},
    lost="node: LoraLoaderModelOnly",
)
loras("comfyroll: a stack", node("CR Apply LoRA Stack", lora_stack=to(11), **ON),
      node("CR LoRA Stack", switch_1="On", lora_name_1="ink", model_weight_1=0.35, clip_weight_1=0.35, switch_2="Off", lora_name_2="no", model_weight_2=1.0, clip_weight_2=1.0, switch_3="On", lora_name_3="None", model_weight_3=1.0, clip_weight_3=1.0, lora_stack=to(12)),
      node("CR LoRA Stack", switch_1="On", lora_name_1="wash", model_weight_1=0.5, clip_weight_1=0.5), of={"ink": 0.35, "wash": 0.5})  # fmt: skip
loras("Efficiency: the stacker, counted", node("CR Apply LoRA Stack", lora_stack=to(11), **ON),
      node("LoRA Stacker", input_mode="simple", lora_count=1, lora_name_1="ink", lora_wt_1=0.35, model_str_1=1.0, clip_str_1=1.0, lora_name_2="no", lora_wt_2=1.0), of={"ink": 0.35})  # fmt: skip
loras(
    "rgthree: loader stack",
    node("Lora Loader Stack (rgthree)", lora_01="ink", strength_01=0.35, lora_02="None", strength_02=1.0, **ON),
    of={"ink": 0.35},
)
loras(
    "rgthree: power loader",
    node(
        "Power Lora Loader (rgthree)",
        lora_1={"on": True, "lora": "ink", "strength": 0.35},
        lora_2={"on": False, "lora": "no", "strength": 1},
        **ON,
    ),
    of={"ink": 0.35},
)
loras(
    "LoRA Manager: a list",
    node(
        "Lora Loader (LoraManager)",
        text="<lora:ink:0.35>",
        loras={
            "__value__": [
                {"name": "ink", "strength": "0.35", "active": True},
                {"name": "no", "strength": 1, "active": False},
            ]
        },
        **ON,
    ),
    of={"ink": 0.35},
)
loras("LoRA Manager: a stacker", node("Lora Loader (LoraManager)", text="", loras=[], lora_stack=to(11), **ON),
      node("Lora Stacker (LoraManager)", text="<lora:ink:0.35>", loras=[{"name": "ink", "strength": 0.35, "active": True}]), of={"ink": 0.35})  # fmt: skip
loras("pysssss: tags in a text", node("LoraTagLoader", text="<lora:ink:0.35>", **ON), of={"ink": 0.35})
loras(
    "pysssss: a name with a picture",
    node(
        "LoraLoader|pysssss", lora_name={"content": "ink", "image": None}, strength_model=0.35, strength_clip=0.35, **ON
    ),
    of={"ink": 0.35},
)
loras("Easy Use: a stack", node("easy loraStackApply", lora_stack=to(11), **ON),
      node("easy loraStack", toggle=True, mode="simple", num_loras=1, lora_1_name="ink", lora_1_strength=0.35, lora_1_model_strength=1.0, lora_1_clip_strength=1.0, lora_2_name="no", lora_2_strength=1.0), of={"ink": 0.35})  # fmt: skip
loras("a manager that nobody knows", node("Lora Vault", vault="set three", **ON), lost="node: Lora Vault")

# numbers, sizes, samplers ---------------------------------------------------------------------------------------

case(
    "linked numbers",
    graph(
        {"20": node("easy int", value=18), "21": node("Float", Number="5.5"), "22": node("CR Seed", seed=77)},
        n3={"steps": to(20), "cfg": to(21), "seed": to(22)},
    ),
)
case("numbers that are computed", graph({"20": node("SimpleMath+", value="a+b", a=to(21), b=to(21)), "21": node("PrimitiveInt", value=9)}, n3={"steps": to(20)}),
     steps=None, lost=("steps: a+b", "node: SimpleMath+"))  # fmt: skip
case(
    "numbers of nobody knows",
    graph({"20": node("StepWizard", wish="many")}, n3={"steps": to(20)}),
    steps=None,
    lost="steps: StepWizard",
)
case("rgthree: KSampler Config", graph({"20": node("KSampler Config (rgthree)", steps_total=18, refiner_step=9, cfg=5.5, sampler_name="euler", scheduler="normal")},
                                       n3={"steps": to(20), "cfg": to(20, 2), "sampler_name": to(20, 3), "scheduler": to(20, 4)}), lost="node: KSampler Config (rgthree)")  # fmt: skip
case(
    "a size by its name",
    graph(
        {
            "5": node(
                "SDXL Empty Latent Image (rgthree)", dimensions=" 640 x 384  (landscape)", clip_scale=2.0, batch_size=1
            )
        }
    ),
)
case(
    "a size that is swapped",
    graph(
        {
            "5": node(
                "CR SDXL Aspect Ratio",
                width=512,
                height=512,
                aspect_ratio="5:3 landscape 384x640",
                swap_dimensions="On",
                upscale_factor=1.0,
                batch_size=1,
            )
        },
        n3={"latent_image": to(5, 4)},
    ),
)
case(
    "a size of nobody knows",
    graph({"5": node("LatentWizard", mood="wide")}),
    size=(None, None),
    lost="size: LatentWizard",
)
case(
    "a latent made larger",
    graph(
        {"20": node("LatentUpscaleBy", samples=to(5), upscale_method="bislerp", scale_by=1.5)},
        n3={"latent_image": to(20)},
    ),
    size=(960, 576),
    lost="node: LatentUpscaleBy",
)
case("a zero is a number", graph(n3={"cfg": 0.0, "seed": 0}), cfg=0.0, seed=0)
case(
    "an unknown sampler with its schedule",
    graph(n3={"sampler_name": "res_2s", "scheduler": "beta57"}),
    scheduler=None,
    lost=("sampler_name: res_2s", "scheduler: beta57"),
)
REFINER = {
    "12": node("CheckpointLoaderSimple", ckpt_name="refiner"),
    "13": node("KSamplerAdvanced", add_noise="disable", noise_seed=0, steps=18, cfg=5.5, sampler_name="euler", scheduler="normal",
               start_at_step=14, end_at_step=10000, model=to(12), positive=to(6), negative=to(7), latent_image=to(3)),
    "3": node("KSamplerAdvanced", add_noise="enable", noise_seed=77, start_at_step=0, end_at_step=14, **{key: value for key, value in SAMPLER.items() if key not in ("seed", "denoise")}),
}  # fmt: skip
case(
    "base and refiner",
    graph(REFINER, n8={"samples": to(13)}),
    lost=("start_at_step, end_at_step: 0, 14", "KSamplerAdvanced: node 13", "node: CheckpointLoaderSimple"),
)
case("nothing saves by that name", graph({"9": node("VHS_VideoCombine", images=to(8), frame_rate=8)}))

# newer families -------------------------------------------------------------------------------------------------

PARTS = {
    "3": node("SamplerCustomAdvanced", noise=to(25), guider=to(22), sampler=to(16), sigmas=to(17), latent_image=to(5)),
    "4": node("UNETLoader", unet_name="flux1-dev.safetensors", weight_dtype="default"),
    "5": node("EmptySD3LatentImage", width=640, height=384, batch_size=1),
    "6": node("CLIPTextEncode", text=OWL, clip=to(11)), "10": node("VAELoader", vae_name="ae"), "11": node("DualCLIPLoader", clip_name1="t5", clip_name2="clip_l", type="flux"),
    "16": node("KSamplerSelect", sampler_name="euler"), "17": node("BasicScheduler", scheduler="simple", steps=18, denoise=1.0, model=to(4)),
    "22": node("BasicGuider", model=to(4), conditioning=to(6)), "25": node("RandomNoise", noise_seed=77),
}  # fmt: skip
FLUX = {"scheduler": "FlowMatchEulerDiscrete", "model": "flux1-dev.safetensors", "vae": "ae", "negative": ""}
ENCODERS = "text encoder: t5, clip_l"


def flux(source, nodes, *, lost=(), **numbers):
    numbers = {**FLUX, **numbers}
    case(source, graph({**PARTS, **nodes}, n8={"vae": to(10)}), lost=(ENCODERS, *lost), **numbers)


flux(
    "FLUX: guidance in the encoder",
    {"6": node("CLIPTextEncodeFlux", clip_l="owl", t5xxl=OWL, guidance=4.0, clip=to(11))},
    cfg=4.0,
    lost=("prompt: owl",),
)
flux(
    "FLUX: guidance behind the encoder",
    {
        "22": node("BasicGuider", model=to(4), conditioning=to(26)),
        "26": node("FluxGuidance", guidance=to(27), conditioning=to(6)),
        "27": node("PrimitiveFloat", value=2.5),
    },
    cfg=2.5,
)
flux("FLUX: two guidances", {"6": node("CLIPTextEncodeFlux", clip_l=OWL, t5xxl=OWL, guidance=4.0, clip=to(11)), "22": node("BasicGuider", model=to(4), conditioning=to(26)), "26": node("FluxGuidance", guidance=2.5, conditioning=to(6))},
     cfg=2.5, lost=("guidance: 4.0",))  # fmt: skip
flux(
    "FLUX: the shift is said",
    {
        "22": node("BasicGuider", model=to(30), conditioning=to(6)),
        "30": node("ModelSamplingFlux", max_shift=1.15, base_shift=0.5, width=640, height=384, model=to(4)),
    },
    cfg=None,
    lost=("node: ModelSamplingFlux",),
)
flux("FLUX: a schedule that it does not have", {"17": node("BasicScheduler", scheduler="beta", steps=18, denoise=1.0, model=to(4)), "4": node("UNETLoader", unet_name="flux1-dev.safetensors", weight_dtype="fp8_e5m2")},
     cfg=None, lost=("scheduler: Beta", "UNETLoader weight_dtype: fp8_e5m2"))  # fmt: skip
case("Z-Image: by the encoder's type", graph({"4": node("UNETLoader", unet_name="turbo.safetensors", weight_dtype="default"), "11": node("CLIPLoader", clip_name="qwen_3_4b", type="lumina2", device="default"),
                                              "6": node("CLIPTextEncode", text=OWL, clip=to(11)), "20": node("ModelSamplingAuraFlow", shift=3.0, model=to(4))}, n3={"model": to(20)}, n7={"clip": to(11)}),
     model="turbo.safetensors", scheduler="FlowMatchEulerDiscrete", lost=("text encoder: qwen_3_4b", "node: ModelSamplingAuraFlow"))  # fmt: skip

# more of the same kinds -----------------------------------------------------------------------------------------

TAG = "an owl <lora:ink:0.5>"
case(
    "core: a tag that its encoder takes for words",
    graph(n6={"text": TAG}),
    prompt=TAG,
    lost="<lora>: ink:0.5",
    loras={},
)
case("Impact: a tag that its encoder loads", graph({"6": node("ImpactWildcardEncode", wildcard_text=TAG, populated_text=TAG, mode="populate", clip=to(4, 1), model=to(4))}),
     prompt="an owl", loras={"ink": 0.5})  # fmt: skip
case("Prompt Control: words that change on the way", graph({"6": node("PCTextEncode", text="an [owl:eel:0.5]", clip=to(4, 1))}), prompt="an [owl:eel:0.5]",
     lost="weights in the prompt: [owl:eel:0.5]")  # fmt: skip
case(
    "KJNodes: a size that is inverted",
    graph({"5": node("EmptyLatentImagePresets", dimensions="384 x 640 (3:5)", invert=True, batch_size=1)}),
)
case("essentials: a size that is overridden",
     graph({"5": node("SDXLEmptyLatentSizePicker+", resolution="704x1408 (0.5)", batch_size=1, width_override=640, height_override=384)}))  # fmt: skip
case("comfyroll: a size that is scaled before", graph({"5": node("CR Aspect Ratio", width=1, height=1, aspect_ratio="5:3 landscape 1280x768", swap_dimensions="Off", prescale_factor=0.5,
                                                              upscale_factor=1.0, batch_size=1)}, n3={"latent_image": to(5, 5)}))  # fmt: skip
case(
    "a size whose sides are crossed",
    graph(
        {"20": node("CR Image Size", width=384, height=640, upscale_factor=1)},
        n5={"width": to(20, 1), "height": to(20)},
    ),
)
case("a size for FLUX, of another model", graph({"20": node("FluxResolutionNode", megapixel="1.0", aspect_ratio="9:16", custom_ratio=False, divisible_by="64")}, n5={"width": to(20), "height": to(20, 1)}),
     size=(None, None), lost=("width: FluxResolutionNode", "height: FluxResolutionNode", "node: FluxResolutionNode"))  # fmt: skip
case("two pictures of one graph", graph({"12": node("SaveImage", images=to(13)), "13": node("VAEDecode", samples=to(14), vae=to(4, 2)),
                                         "14": node("KSampler", **{**SAMPLER, "positive": to(15), "seed": 5}), "15": node("CLIPTextEncode", text="an eel", clip=to(4, 1))}),
     prompt="an eel", seed=5, lost="SaveImage: node 9: of KSampler 3")  # fmt: skip
case("a sampler with numbers of its own", graph({"3": node("ClownsharKSampler_Beta", **SAMPLER, eta=0.5, bongmath=True, steps_to_run=-1)}),
     lost=("ClownsharKSampler_Beta eta: 0.5", "ClownsharKSampler_Beta bongmath: True"))  # fmt: skip
SPLIT = {"3": node("SamplerCustom", add_noise=True, noise_seed=77, cfg=5.5, model=to(4), positive=to(6), negative=to(7), sampler=to(16), sigmas=to(18), latent_image=to(5)),
         "16": node("KSamplerSelect", sampler_name="euler"), "17": node("BasicScheduler", scheduler="normal", steps=18, denoise=1.0, model=to(4)),
         "18": node("SplitSigmas", sigmas=to(17), step=10)}  # fmt: skip
case("core: a schedule that is split", graph(SPLIT), lost="sigmas: SplitSigmas")
loras("Efficiency: the two weights of its advanced mode", node("CR Apply LoRA Stack", lora_stack=to(11), **ON),
      node("LoRA Stacker", input_mode="advanced", lora_count=1, lora_name_1="ink", lora_wt_1=1.0, model_str_1=0.35, clip_str_1=0.35), of={"ink": 0.35})  # fmt: skip
loras("Inspire: weights of blocks", node("LoraLoaderBlockWeight //Inspire", lora_name="ink", strength_model=0.35, strength_clip=0.35, inverse=False, A=4.0, B=1.0, block_vector="1,0,0", **ON),
      lost=("LoraLoaderBlockWeight //Inspire A: 4.0", "LoraLoaderBlockWeight //Inspire B: 1.0", "LoraLoaderBlockWeight //Inspire block_vector: 1,0,0"), of={"ink": 0.35})  # fmt: skip
case("Impact: a detailer's pipe, crossed", graph({"10": node("ToDetailerPipe", model=to(4), clip=to(4, 1), vae=to(4, 2), positive=to(7), negative=to(6)), "11": node("FromDetailerPipe", detailer_pipe=to(10))},
                                                 n3={"model": to(11), "positive": to(11, 4), "negative": to(11, 3)}))  # fmt: skip
case(
    "a subgraph's keys",
    {
        **{f"57:{key}": json.loads(json.dumps(each).replace('["', '["57:')) for key, each in graph().items()},
        "58": node("PreviewAny", source="x"),
    },
)
made("a text that is a list of values", node("StringConcatenate", string_a=["an", "owl"], string_b="on a fence", delimiter=" "), prompt="on a fence",
     lost="prompt: StringConcatenate")  # fmt: skip
corpus.case(
    "an extension's Prompt",
    {},
    OWL,
    FOG,
    program="ComfyUI",
    file=png((b"tEXt", b"Prompt\0" + json.dumps(graph()).encode())),
    **HERE,
)
