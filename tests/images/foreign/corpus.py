# ruff: noqa: E501 - the lines of a table are as long as they are
"""A table of texts as people met them, of our own words: one entry each, so that the next report is one entry more.

``case(source, where the text stands, prompt, negative prompt, numbers, losses)``: ``source`` is where the kind was met;
``numbers`` are what the spec must say, by the names in :data:`READ`; ``lost`` are the names of all losses, no more and
no fewer, each with the beginning of its value where that matters (``"Template: a __b__"``).
"""

import gzip
import io
import json
import struct
import zlib
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from tests.images.foreign import samples

READ = {
    "model": lambda spec: spec.pipeline.model,
    "vae": lambda spec: spec.pipeline.vae,
    "steps": lambda spec: spec.call.num_inference_steps,
    "cfg": lambda spec: spec.call.guidance_scale,
    "size": lambda spec: (spec.call.width, spec.call.height),
    "seed": lambda spec: spec.seeds[0],
    "skip": lambda spec: spec.call.clip_skip,
    "loras": lambda spec: {lora.name: lora.weight for lora in spec.pipeline.loras},
    "scheduler": lambda spec: spec.pipeline.scheduler and spec.pipeline.scheduler.name.removesuffix("Scheduler"),
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One text of a program and what it means."""

    source: str
    texts: dict
    program: str
    prompt: str
    negative: str
    numbers: dict
    lost: tuple
    file: bytes = b""


@dataclass
class Corpus:
    """Collects the cases of one module."""

    cases: list = field(default_factory=list)

    def case(self, source, texts, prompt, negative="", *, program="AUTOMATIC1111", file=b"", lost=(), **numbers):
        """Add a case; a plain text is ``parameters``."""
        texts = {"parameters": texts} if isinstance(texts, str) else texts
        self.cases.append(
            Case(source=source, texts=texts, program=program, prompt=prompt, negative=negative, numbers=numbers,
                 lost=lost if isinstance(lost, tuple) else (lost,), file=file)
        )  # fmt: skip


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks, size=(1, 1)):
    """A black PNG with chunks of its own, in front of its pixels."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0))
    made = b"".join(chunk(kind, data) for kind, data in chunks)
    pixels = zlib.compress(bytes((1 + 3 * size[0]) * size[1]))
    return b"\x89PNG\r\n\x1a\n" + head + made + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def exif(tag, value, *, kind=7, inner=True):
    """An EXIF block with one field, in Exif's own folder or the first."""
    if inner:
        folder = struct.pack("<H2sHII", 1, b"\x69\x87", 4, 1, 26) + bytes(4)
        at = 26 + 18
        second = struct.pack("<HHHII", 1, tag, kind, len(value), at) + bytes(4)
        return b"II*\0" + struct.pack("<I", 8) + folder + second + value
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<HHHII", 1, tag, kind, len(value), 26) + bytes(4) + value


def jpeg(block, *, marker=b"\xe1", head=b"Exif\0\0"):
    """As much of a JPEG as is needed to have its segment found."""
    segment = b"\xff" + marker + struct.pack(">H", len(block) + len(head) + 2) + head + block
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 11, 8, 8, 8, 1) + b"\x01\x11\0"
    return b"\xff\xd8" + segment + frame + b"\xff\xda" + struct.pack(">H", 8) + b"\x01\x01\0\0\x3f\0\xff\xd9"


def webp(block):
    """As much of a WebP as is needed to have its EXIF found."""
    canvas = b"VP8X" + struct.pack("<I", 10) + b"\x08" + bytes(9)
    pixel = bytes.fromhex("2f00000000071011fd0fff0300")
    frame = b"VP8L" + struct.pack("<I", len(pixel)) + pixel + b"\0" * (len(pixel) % 2)
    data = b"EXIF" + struct.pack("<I", len(block)) + block + b"\0" * (len(block) % 2)
    body = b"WEBP" + canvas + frame + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


corpus = Corpus()
case = corpus.case

# infotext that is not three tidy parts --------------------------------------------------------------------------

FIELDS = "Steps: 18, Sampler: Euler, CFG scale: 5.5, Seed: 77, Size: 640x384, Model: pine_v2"
HERE = {"steps": 18, "cfg": 5.5, "seed": 77, "size": (640, 384), "model": "pine_v2", "scheduler": "EulerDiscrete"}
OWL, FOG = "an owl on a fence, etching", "fog, wires"

case("the web UI, as it is", f"{OWL}\nNegative prompt: {FOG}\n{FIELDS}", OWL, FOG, lost="RNG", **HERE)
case(
    "sd-dynamic-prompts 177: templates behind the fields",
    f"{OWL}\nNegative prompt: {FOG}\n{FIELDS}\nTemplate: an __bird__ on a fence, etching\nNegative Template: fog, wires",
    OWL, FOG, lost=("RNG", "Template: an __bird__ on a fence, etching", "Negative Template: fog, wires"), **HERE,
)  # fmt: skip
case(
    "sd-dynamic-prompts 233: a template of several lines, with colons and commas",
    f"{OWL}\n{FIELDS}\nTemplate: {{a|b}}, c: d,\ne: f, g: h, i: j\n\nNegative Template: k",
    OWL, lost=("RNG", "Template: {a|b}, c: d, e: f, g: h, i: j", "Negative Template: k"), **HERE,
)  # fmt: skip
case("sentences on one line", f"{OWL}. Negative prompt: {FOG}. {FIELDS}", f"{OWL}.", f"{FOG}.", lost="RNG", **HERE)
case("all on one line", f"{OWL} Negative prompt: {FOG} {FIELDS}", OWL, FOG, lost="RNG", **HERE)
case("one line without a negative prompt", f"{OWL}, {FIELDS}", f"{OWL},", lost="RNG", **HERE)
case("the negative prompt within the line", f"{OWL} Negative prompt: {FOG}\n{FIELDS}", OWL, FOG, lost="RNG", **HERE)
case(
    "the negative prompt among the fields",
    f"{OWL}\nSteps: 18, Sampler: Euler, Negative prompt: fog, wires, CFG scale: 5.5, Seed: 77, Size: 640x384, "
    "Model: pine_v2", OWL, FOG, lost="RNG", **HERE,
)  # fmt: skip
case("the negative prompt behind the fields", f"{OWL}\n{FIELDS}\nNegative prompt: {FOG}", OWL, FOG, lost="RNG", **HERE)
case(
    "fields on two lines",
    f"{OWL}\nNegative prompt: {FOG}\nSteps: 18, Sampler: Euler,\nCFG scale: 5.5, Seed: 77, Size: 640x384, "
    "Model: pine_v2", OWL, FOG, lost="RNG", **HERE,
)  # fmt: skip
case(
    "a remark behind the fields",
    f"{OWL}\n{FIELDS}\nmy best one",
    OWL,
    lost=("RNG", "text behind the fields: my best one"),
    **HERE,
)
case("words about steps", f"a list\nSteps: first this, then that\n{FIELDS}", "a list\nSteps: first this, then that",
     lost="RNG", **HERE)  # fmt: skip
case("carriage returns", f"{OWL}\r\nNegative prompt: {FOG}\r\n{FIELDS}\r\n", OWL, FOG, lost="RNG", **HERE)
case(
    "X/Y/Z plot: a grid of many", f"{OWL}\n{FIELDS}, Script: X/Y/Z plot, X Type: CFG Scale, X Values: \"4, 6\", Fixed Y Values: 1",
    OWL, lost=("RNG", "Script: X/Y/Z plot", "X Type: CFG Scale", "X Values: 4, 6", "Fixed Y Values: 1"), **HERE,
)  # fmt: skip
case("no sampler", f"{OWL}\nSteps: 18, Seed: 77", OWL, steps=18, seed=77, lost=("RNG", "model"))
case(
    "an unknown sampler with its schedule", f"{OWL}\nSteps: 18, Sampler: Restart, Schedule type: Karras, Seed: 0, Eta: 0",
    OWL, steps=18, scheduler=None, lost=("Sampler: Restart", "Schedule type: Karras", "RNG", "Eta: 0", "model"),
)  # fmt: skip

TIDY = f"{OWL}\nNegative prompt: {FOG}\n{FIELDS}, RNG: CPU"
case("quoted as JSON", json.dumps(TIDY), OWL, FOG, **HERE)
case("within an object", json.dumps({"parameters": TIDY}), OWL, FOG, **HERE)
case("line ends that are written out", TIDY.replace("\n", "\\n"), OWL, FOG, **HERE)
case("a byte order mark", f"\ufeff{TIDY}", OWL, FOG, **HERE)
case(
    "a decimal comma",
    f"{OWL}\nSteps: 18, Sampler: Euler, CFG scale: 5,5, Seed: 77, Size: 640x384, Model: pine_v2, RNG: CPU",
    OWL,
    **HERE,
)
case("words among the fields", f"{OWL}\nSteps: 18, Sampler: Euler, my best one, CFG scale: 5.5, Seed: 77, Size: 640x384, Model: pine_v2, RNG: CPU",
     OWL, lost="text among the fields: my best one", **HERE)  # fmt: skip
case("quotation marks everywhere", f'an "old" owl, says: "hi, there"\nNegative prompt: "fog", wires\n{FIELDS}, RNG: CPU', 'an "old" owl, says: "hi, there"',
     '"fog", wires', **HERE)  # fmt: skip
case("a negative prompt of lines that look like fields", f"{OWL}\nNegative prompt: fog,\nsteps: many, size: large\nwires\n{FIELDS}, RNG: CPU", OWL,
     "fog,\nsteps: many, size: large\nwires", **HERE)  # fmt: skip
case(
    "hires fix with prompts of its own", f'{OWL}\n{FIELDS}, RNG: CPU, Denoising strength: 0.4, Hires upscale: 2, Hires prompt: "an owl, \\"big\\"\\nNegative prompt: x", '
    'Hires negative prompt: "a, b"', OWL, **HERE,
    lost=("Denoising strength: 0.4", "Hires upscale: 2", 'Hires prompt: an owl, "big" Negative prompt: x', "Hires negative prompt: a, b"),
)  # fmt: skip
case("Regional Prompter", f'{OWL} BREAK a tree\n{FIELDS}, RNG: CPU, RP Active: True, RP Ratios: "1,1;2,1"', f"{OWL} BREAK a tree", **HERE,
     lost=("weights in the prompt: BREAK", "RP Active: True", "RP Ratios: 1,1;2,1"))  # fmt: skip
case("ControlNet's own pairs", f'{OWL}\n{FIELDS}, RNG: CPU, ControlNet 0: "Module: canny, Model: x [d14c], Weight: 1"', OWL, **HERE,
     lost="ControlNet 0: Module: canny, Model: x [d14c], Weight: 1")  # fmt: skip
case("a site with ComfyUI behind it", f"{OWL}\nNegative prompt: {FOG}\nSteps: 18, KSampler: dpmpp_2m, Schedule: karras, CFG scale: 5.5, Seed: 77, Size: 640x384, Model: pine_v2, RNG: CPU",
     OWL, FOG, **{**HERE, "scheduler": "DPMSolverMultistep"})  # fmt: skip
case("Forge with Stable Diffusion 3", f"{OWL}\nSteps: 18, Sampler: Euler, Schedule type: Simple, CFG scale: 5.5, Shift: 3, Seed: 77, Size: 640x384, Model: sd3.5_large, RNG: CPU, Version: f2.0.1",
     OWL, program="Forge", **{**HERE, "model": "sd3.5_large", "scheduler": "FlowMatchEulerDiscrete"}, lost="Shift: 3")  # fmt: skip

# Civitai --------------------------------------------------------------------------------------------------------

CIVITAI = "Steps: 18, Sampler: Euler, CFG scale: 5.5, Seed: 77, Size: 640x384, RNG: CPU, Civitai resources: "
case(
    "exiv2 3271: JSON that is not quoted",
    f'{OWL}\nNegative prompt: {FOG}\n{CIVITAI}[{{"type":"checkpoint","modelVersionId":11,"modelName":"Pine, two",'
    '"modelVersionName":"V2 (a, b)"},{"type":"lora","weight":0.35,"modelVersionId":12,"modelName":"etching"}], '
    'Civitai metadata: {"remixOfId":9}, Clip skip: 2',
    OWL, FOG, program="Civitai", **{**HERE, "model": "Pine, two", "loras": {"etching": 0.35}, "skip": 1},
    lost=("Civitai resources checkpoint: Pine, two, V2 (a, b), version 11", "Civitai resources lora: etching",
          'Civitai metadata: {"remixOfId":9}'),
)  # fmt: skip
case(
    "older ones: numbers and AIRs",
    f'{OWL}\n{CIVITAI}[{{"type":"checkpoint","modelVersionId":11}},{{"type":"lora","weight":1.5,'
    '"air":"urn:air:sd1:lora:civitai:3@4"},{"type":"embed","modelName":"neg"}]',
    OWL, program="Civitai", loras={"urn:air:sd1:lora:civitai:3@4": 1.5}, seed=77,
    lost=("Civitai resources checkpoint: version 11", "Civitai resources lora: urn:air", "Civitai resources embed: neg",
          "model"),
)  # fmt: skip
case(
    "a list that was cut off", f'{OWL}\n{CIVITAI}[{{"type":"lora","modelName":"x"', OWL, program="Civitai",
    lost=("Civitai resources", 'text among the fields: "modelName":"x"', "model"), seed=77,
)  # fmt: skip

# encodings and places -------------------------------------------------------------------------------------------

OWL_JA, FOG_JA = "柵の上の梟、銅版画", "霧 é"
JA = f"{OWL_JA}\nNegative prompt: {FOG_JA}\n{FIELDS}"


def stored(source, file, *, prompt=OWL_JA, negative=FOG_JA, lost=("RNG",), **more):
    """Add a case that is a whole file."""
    case(source, {}, prompt, negative, file=file, lost=lost, **{**HERE, **more})


stored("UTF-8 in tEXt", png((b"tEXt", b"parameters\0" + JA.encode())))
stored("UTF-8 in zTXt", png((b"zTXt", b"parameters\0\0" + zlib.compress(JA.encode()))))
stored("UTF-8 in iTXt", png((b"iTXt", b"parameters\0\0\0\0\0" + JA.encode())))
stored("Latin-1 in tEXt", png((b"tEXt", f"parameters\0caf\xe9, d\xe9j\xe0\n{FIELDS}".encode("latin-1"))),
       prompt="café, déjà", negative="")  # fmt: skip
stored("eXIf in a PNG", png((b"eXIf", exif(0x9286, b"UNICODE\0" + JA.encode("utf-16-be")))))
stored("eXIf with its head twice", png((b"eXIf", b"Exif\0\0" + exif(0x9286, b"UNICODE\0" + JA.encode("utf-16-le")))))
stored("ImageMagick's raw profile", png(
    (b"tEXt", b"Raw profile type exif\0\nexif\n   99\n" + exif(0x9286, b"ASCII\0\0\0" + JA.encode()).hex().encode())
))  # fmt: skip
stored("UTF-8 behind UNICODE", jpeg(exif(0x9286, b"UNICODE\0" + JA.encode())))
stored("Latin-1 behind UNICODE", jpeg(exif(0x9286, b"UNICODE\0" + f"caf\xe9\n{FIELDS}".encode("latin-1"))),
       prompt="café", negative="")  # fmt: skip
stored("UTF-16 without a mark, low byte first", jpeg(exif(0x9286, b"UNICODE\0" + JA.encode("utf-16-le"))))
stored("UTF-16 with a mark, in a WebP", webp(exif(0x9286, b"UNICODE\0" + JA.encode("utf-16"))))
stored("a file larger than its picture", png((b"iTXt", b"parameters\0\0\0\0\0" + JA.encode()), size=(1280, 384)),
       lost=("RNG", "the file: 1280x384"))  # fmt: skip
stored("no code at all", jpeg(exif(0x9286, JA.encode())))
stored("ImageDescription", jpeg(exif(0x010E, JA.encode() + b"\0", kind=2, inner=False)))
stored("a JPEG's comment", jpeg(JA.encode(), marker=b"\xfe", head=b""))
stored("Windows' comment", jpeg(exif(0x9C9C, JA.encode("utf-16-le") + b"\0\0", kind=1, inner=False)))

# programs that are not the web UI -------------------------------------------------------------------------------

NAI_LOST = ("Source: NovelAI Diffusion V9", "sampler: Euler a", "noise_schedule: Karras", "device", "model")
OUTER = {"Software": "NovelAI", "Source": "NovelAI Diffusion V9", "Description": "an owl"}
case("NovelAI", {**OUTER, "Comment": json.dumps(samples.NAI)}, "1.2::an owl::, {fence}", FOG, program="NovelAI", steps=28, cfg=5,
     seed=77, size=(832, 1216), scheduler="EulerAncestralDiscrete",
     lost=("weights in the prompt: 1.2::", *NAI_LOST))  # fmt: skip
case("NovelAI 4", {**OUTER, "Comment": json.dumps(samples.NAI_4)}, OWL, FOG, program="NovelAI", steps=28,
     lost=("v4_prompt of a character: a mouse", *NAI_LOST))  # fmt: skip
case("NovelAI in a WebP", json.dumps({**OUTER, "Comment": json.dumps(samples.NAI_4)}), OWL, FOG, program="NovelAI", seed=77,
     lost=("v4_prompt of a character: a mouse", *NAI_LOST))  # fmt: skip
case(
    "SwarmUI",
    json.dumps({"sui_image_params": samples.SWARM, "sui_extra_data": {"original_prompt": "an <random:owl|cat>", "date": "x"}}),
    OWL, FOG, program="SwarmUI", loras={"ink/etching": 0.35}, **HERE,
    lost=("clipstopatlayer: -2", "initimagecreativity: 0", "original_prompt: an <random:owl|cat>"),
)  # fmt: skip
case(
    "SwarmUI with FLUX", json.dumps({"sui_image_params": {**samples.SWARM, "fluxguidancescale": 3.5, "sigmashift": 1.1}}), OWL,
    FOG, program="SwarmUI", cfg=3.5, scheduler="FlowMatchEulerDiscrete",
    lost=("cfgscale: 5.5", "clipstopatlayer: -2", "initimagecreativity: 0", "sigmashift: 1.1"),
)  # fmt: skip
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><exif:UserComment><rdf:Alt><rdf:li xml:lang="x-default">{}</rdf:li></rdf:Alt>'
    "</exif:UserComment></x:xmpmeta>"
)
DRAWN = {**HERE, "model": "pine_v2.ckpt", "loras": {"etching": 0.35}, "scheduler": "DPMSolverMultistep"}
DRAW_LOST = ("seed_mode: Scale Alike", "shift: 1")
XMP = XMP.format(json.dumps(samples.DRAW).replace('"', "&quot;"))
case("Draw Things", {}, OWL, FOG, program="Draw Things", file=png((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP.encode())),
     lost=DRAW_LOST, **DRAWN)  # fmt: skip
case("Draw Things in a JPEG", {}, OWL, FOG, program="Draw Things", lost=DRAW_LOST, **DRAWN,
     file=jpeg(XMP.encode(), head=b"http://ns.adobe.com/xap/1.0/\0"))  # fmt: skip
case("NovelAI: a picture painted into", {**OUTER, "Comment": json.dumps({**samples.NAI_4, "request_type": "NativeInfillingRequest"})}, OWL, FOG,
     program="NovelAI", lost=("v4_prompt of a character: a mouse", "request_type: NativeInfillingRequest", *NAI_LOST))  # fmt: skip
SWARMED = {**samples.SWARM, "clipstopatlayer": "", "initimagecreativity": ""}
case(
    "SwarmUI: parts of the picture have words of their own", program="SwarmUI", prompt=OWL, negative=FOG,
    texts=json.dumps({"sui_image_params": {**SWARMED, "prompt": f"{OWL} <segment:face,0.6> a beak"}}),
    lost="prompt: <segment:face,0.6> a beak", **HERE,
)  # fmt: skip
case(
    "SwarmUI: older names, and hashes beside", program="SwarmUI", prompt=OWL, negative=FOG,
    texts=json.dumps({
        "sui_image_params": {**{k: v for k, v in SWARMED.items() if k not in ("sampler", "scheduler")}, "comfyuisampler": "dpmpp_2m", "comfyuischeduler": "karras"},
        "sui_models": [{"name": "pine_v2.safetensors", "param": "model", "hash": "0xab"}],
    }), lost="hash of pine_v2.safetensors: 0xab", **{**HERE, "scheduler": "DPMSolverMultistep"},
)  # fmt: skip
case("SwarmUI: FLUX by its name alone", json.dumps({"sui_image_params": {**SWARMED, "model": "flux1-dev-fp8"}}), OWL, FOG, program="SwarmUI",
     scheduler="FlowMatchEulerDiscrete")  # fmt: skip
V2 = {
    "steps": 18,
    "clipSkip": 2,
    "hiresFix": True,
    "hiresFixWidth": 320,
    "sharpness": 3,
    "loras": [{"file": "etching", "weight": 0.35}],
}
DRAW = {key: value for key, value in samples.DRAW.items() if key not in ("lora", "shift")} | {
    "seed_mode": "Torch CPU Compatible"
}
case("Draw Things: what its second part alone says", json.dumps({**DRAW, "v2": V2}), OWL, FOG, program="Draw Things", **DRAWN, skip=1,
     lost=("v2 hiresFix: True", "v2 sharpness: 3"))  # fmt: skip
case("Draw Things with FLUX", json.dumps({**DRAW, "model": "flux_1_dev_q8p.ckpt", "sampler": "Euler"}), OWL, FOG, program="Draw Things",
     scheduler="FlowMatchEulerDiscrete")  # fmt: skip
FOCUSED = {"prompt": OWL, "negative_prompt": FOG, "steps": 18, "guidance_scale": 5.5, "base_model": "pine_v2", "sampler": "euler", "scheduler": "normal", "seed": "77",
           "resolution": [640, 384], "version": "Fooocus v2.5.5"}  # fmt: skip
case("Fooocus: words that styles added to the negative", json.dumps({**FOCUSED, "full_negative_prompt": [FOG, "anime"]}), OWL, FOG, program="Fooocus",
     lost="full_negative_prompt: fog, wires, anime", **HERE)  # fmt: skip
case(
    "RuinedFooocus", json.dumps({"Prompt": OWL, "Negative": FOG, "steps": 18, "cfg": 5.5, "width": 640, "height": 384, "seed": 77, "sampler_name": "euler",
                                 "scheduler": "normal", "base_model_name": "pine_v2", "loras": [["ab", "0.5 - ink"]], "software": "RuinedFooocus"}),
    OWL, FOG, program="Fooocus", lost="loras: ab, 0.5 - ink", **HERE,
)  # fmt: skip

# hidden in pixels -----------------------------------------------------------------------------------------------


def hidden(text, *, signature, channels=1, size=(160, 120)):
    """A PNG in whose lowest bits a text is hidden, down the columns; in the last channel, or all three."""
    data = gzip.compress(text.encode()) if signature.endswith(b"comp") else text.encode()
    written = signature + struct.pack(">I", len(data) * 8) + data
    bits = np.unpackbits(np.frombuffer(written, np.uint8))
    pixels = np.full((*size, 4 if channels == 1 else 3), 254, np.uint8)  # columns first
    flat = (pixels[..., 3:] if channels == 1 else pixels).reshape(-1)
    flat[: len(bits)] |= bits
    if channels == 1:
        pixels[..., 3] = flat.reshape(size)
    else:
        pixels = flat.reshape(*size, 3)
    return png_of(pixels.swapaxes(0, 1))


def png_of(pixels):
    made = io.BytesIO()
    Image.fromarray(pixels).save(made, "PNG")
    return made.getvalue()


INSIDE = json.dumps({**OUTER, "Comment": json.dumps(samples.NAI_4)})
for name, signature in (("gzipped", b"stealth_pngcomp"), ("as it is", b"stealth_pnginfo")):
    case(f"NovelAI in the alpha channel, {name}", {}, OWL, FOG, program="NovelAI", seed=77, file=hidden(INSIDE, signature=signature),
         lost=("v4_prompt of a character: a mouse", *NAI_LOST))  # fmt: skip
case("the web UI in the colours", {}, OWL, FOG, file=hidden(TIDY, signature=b"stealth_rgbcomp", channels=3), **HERE)
