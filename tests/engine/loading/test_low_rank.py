"""LoHa, LoKr and DoRA, under the names that their trainers give them: the sums that they stand for, and no trace after.

The expected weights are computed here, from the papers' formulas, and put into a copy of the model.
"""

import copy
import warnings

import pytest

from promptlab.engine.loading.lora import LoraAdapters
from promptlab.engine.loading.low_rank import LayerShape, Unreadable, kind_of, layers_of, shape_of, tensors_by_module
from promptlab.errors import InputError
from promptlab.specs import Lora
from tests.engine.drawing import resolve
from tests.engine.steered import write_lora
from tests.engine.tiny import save_tiny
from tests.families import transforming

pytestmark = pytest.mark.slow

LINEAR = "up_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
FEED = "down_blocks.1.attentions.0.transformer_blocks.0.ff.net.0.proj"
CONVOLUTION = "up_blocks.0.resnets.0.conv1"
WORDS = "encoder.layers.0.self_attn.q_proj"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def pipeline(folder):
    from diffusers import StableDiffusionPipeline

    return StableDiffusionPipeline.from_pretrained(folder)


def kohya(part, layer):
    start = {"unet": "lora_unet_", "text_encoder": "lora_te_text_model_"}[part]
    return start + layer.replace(".", "_")


def loha(weight, seed):
    """Tensors, and what they add: (w1a w1b) ∘ (w2a w2b), times alpha over rank."""
    import torch

    torch.manual_seed(seed)
    out, inner = weight.shape[0], weight[0].numel()
    pairs = {f"hada_w{n}_{half}": torch.randn((out, 2) if half == "a" else (2, inner)) for n in "12" for half in "ab"}
    added = (pairs["hada_w1_a"] @ pairs["hada_w1_b"]) * (pairs["hada_w2_a"] @ pairs["hada_w2_b"])
    return {**pairs, "alpha": torch.tensor(1.0)}, weight + 0.5 * added.reshape(weight.shape)


def tucker(weight, seed):
    """A LoHa of a convolution with its core: t[i,j,k,l] a[i,p] b[j,r], twice, multiplied."""
    import torch

    torch.manual_seed(seed)
    (out, inner), kernel = weight.shape[:2], weight.shape[2:]
    tensors = {}
    for n in "12":
        tensors |= {f"hada_t{n}": torch.randn(2, 2, *kernel), f"hada_w{n}_a": torch.randn(2, out)}
        tensors[f"hada_w{n}_b"] = torch.randn(2, inner)
    halves = [
        torch.einsum("ijkl,ip,jr->prkl", *(tensors[f"hada_{each}"] for each in (f"t{n}", f"w{n}_a", f"w{n}_b")))
        for n in "12"
    ]
    return tensors, weight + halves[0] * halves[1]


def lokr(weight, seed, *, whole=False):
    """w1 ⊗ (w2a w2b), times alpha over rank; of two whole factors, alpha says nothing."""
    import torch

    torch.manual_seed(seed)
    out, inner = weight.shape[:2]
    kernel = tuple(weight.shape[2:])
    tensors, right = {"lokr_w1": torch.randn(2, 2), "alpha": torch.tensor(3.0)}, torch.randn(out // 2, inner // 2)
    if whole:
        tensors["lokr_w2"] = right = torch.randn(out // 2, inner // 2, *kernel)
        scale = 1.0
    else:
        tensors |= {"lokr_w2_a": torch.randn(out // 2, 2), "lokr_w2_b": torch.randn(2, inner // 2)}
        right, scale = tensors["lokr_w2_a"] @ tensors["lokr_w2_b"], 1.5
    left = tensors["lokr_w1"].reshape(2, 2, *(1 for _ in kernel))
    return tensors, weight + scale * torch.kron(left, right)


def dora(weight, seed):
    """Each row of the sum is given the length that the file says."""
    import torch

    torch.manual_seed(seed)
    kernel = tuple(weight.shape[2:])
    down, up = torch.randn(2, weight.shape[1], *kernel), torch.randn(weight.shape[0], 2, *(1 for _ in kernel))
    length = torch.rand(weight.shape[0], *(1 for _ in weight.shape[1:])) + 0.5
    added = weight + 0.5 * (up.flatten(1) @ down.flatten(1)).reshape(weight.shape)
    norm = added.flatten(1).norm(dim=1).reshape(length.shape)
    tensors = {"lora_down.weight": down, "lora_up.weight": up, "dora_scale": length, "alpha": torch.tensor(1.0)}
    return tensors, length * added / norm


MAKERS = {
    "loha": {LINEAR: loha, CONVOLUTION: loha, WORDS: loha},
    "tucker": {CONVOLUTION: tucker},
    "lokr": {LINEAR: lokr, FEED: lambda weight, seed: lokr(weight, seed, whole=True), WORDS: lokr},
    "lokr of convolutions": {CONVOLUTION: lambda weight, seed: lokr(weight, seed, whole=True)},
    "dora": {LINEAR: dora, CONVOLUTION: dora, WORDS: dora},
}


def predicted(pipeline):
    import torch

    torch.manual_seed(5)
    with torch.no_grad():
        words = pipeline.text_encoder(torch.tensor([[298, *range(40, 50), *[299] * 66]]))[0]
        return pipeline.unet(torch.randn(1, 4, 16, 16), 3, words).sample


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=() if each in ("loha", "lokr", "dora") else pytest.mark.exhaustive)
             for each in MAKERS]
)  # fmt: skip
def test_low_rank_file_makes_the_sum_that_its_paper_says(pipeline, tmp_path, name):
    """Under kohya's names, on denoiser and words; beside a plain LoRA; and gone to the bit afterwards."""
    import torch
    from safetensors.torch import save_file

    plain, merged = predicted(pipeline), copy.deepcopy(pipeline)
    tensors = {}
    for seed, (layer, make) in enumerate(MAKERS[name].items()):
        part = "text_encoder" if layer == WORDS else "unet"
        weight = getattr(merged, part).get_submodule(layer).weight
        own, changed = make(weight.detach(), seed)
        tensors |= {f"{kohya(part, layer)}.{key}": value for key, value in own.items()}
        weight.data = changed
    save_file(tensors, tmp_path / "it.safetensors")
    lora = Lora(name="it", identity="sha256:1")
    adapters = LoraAdapters()
    adapters.apply(pipeline, (lora,), {"it": tmp_path / "it.safetensors"})
    expected = predicted(merged)
    assert not torch.allclose(plain, expected, atol=1e-3)
    torch.testing.assert_close(predicted(pipeline), expected, rtol=1e-4, atol=1e-4)
    if name != "dora":  # whose rows keep their length: 0 of it is not the model itself
        adapters.apply(pipeline, (Lora(name="it", weight=0.0, identity="sha256:1"),), {})
        assert torch.equal(predicted(pipeline), plain)
    adapters.apply(pipeline, (), {})
    assert torch.equal(predicted(pipeline), plain)


def test_low_rank_file_goes_together_with_a_plain_lora(pipeline, tmp_path):
    """In either order, each weighed by itself; both are gone afterwards."""
    import torch
    from safetensors.torch import save_file

    plain = predicted(pipeline)
    weight = pipeline.unet.get_submodule(LINEAR).weight.detach()
    own, _ = lokr(weight, 1)
    save_file({f"{kohya('unet', LINEAR)}.{key}": value for key, value in own.items()}, tmp_path / "lokr.safetensors")
    down, up = torch.randn(2, weight.shape[1]), torch.randn(weight.shape[0], 2)
    halves = {f"unet.{LINEAR}.lora_A.weight": down, f"unet.{LINEAR}.lora_B.weight": up}
    save_file(halves, tmp_path / "lora.safetensors")
    files = {name: tmp_path / f"{name}.safetensors" for name in ("lokr", "lora")}
    adapters, made = LoraAdapters(), []
    for names in (("lokr", "lora"), ("lora", "lokr")):
        loras = tuple(Lora(name=each, weight=0.5, identity=f"sha256:{each}") for each in names)
        adapters.apply(pipeline, loras, files)
        made.append(predicted(pipeline))
    torch.testing.assert_close(made[0], made[1], rtol=1e-4, atol=1e-4)
    merged = pipeline.unet.get_submodule(LINEAR)
    adapters.apply(pipeline, (), {})
    assert torch.equal(predicted(pipeline), plain)
    changed = weight + 0.5 * (lokr(weight, 1)[1] - weight) + 0.5 * up @ down
    assert merged is not pipeline.unet.get_submodule(LINEAR)
    pipeline.unet.get_submodule(LINEAR).weight.data = changed
    torch.testing.assert_close(predicted(pipeline), made[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("module", "layer"),
    [
        ("lora_unet_input_blocks_4_1_proj_out", "down_blocks.1.attentions.0.proj_out"),
        ("lora_unet_input_blocks_4_0_in_layers_2", "down_blocks.1.resnets.0.conv1"),
        ("lora_unet_input_blocks_3_0_op", "down_blocks.0.downsamplers.0.conv"),
        ("lora_unet_middle_block_1_proj_in", "mid_block.attentions.0.proj_in"),
        ("lora_unet_output_blocks_2_2_conv", "up_blocks.0.upsamplers.0.conv"),
        ("lora_unet_output_blocks_3_0_skip_connection", "up_blocks.1.resnets.0.conv_shortcut"),
        ("lora_unet_time_embed_2", "time_embedding.linear_2"),
        ("lycoris_down_blocks_1_attentions_0_proj_in", "down_blocks.1.attentions.0.proj_in"),
        ("diffusion_model.layers.0.attention.to_q", "layers.0.attention.to_q"),
    ],
)  # fmt: skip
def test_low_rank_layers_are_found_under_other_programs_names(module, layer):
    """Stability's UNet as kohya's scripts train it, LyCORIS on diffusers' model, ai-toolkit's."""
    shape = {module: LayerShape(outputs=4, numbers=16)}
    found = layers_of(shape, {"unet": [layer, "other.layer"]}, {"layers_per_block": 2}, dict)
    assert found == {module: ("unet", layer)}


def test_low_rank_layers_of_flux_are_found_by_diffusers_conversion():
    """Names that only diffusers' conversion knows; a layer that is several here is refused."""
    from diffusers import FluxPipeline

    layers = {
        "transformer": [
            "transformer_blocks.0.attn.to_out.0", *(f"transformer_blocks.0.attn.to_{each}" for each in "qkv")
        ]
    }  # fmt: skip
    one = "lora_unet_double_blocks_0_img_attn_proj"
    shape = LayerShape(outputs=32, numbers=32 * 32)
    assert layers_of({one: shape}, layers, {}, FluxPipeline.lora_state_dict) == {
        one: ("transformer", "transformer_blocks.0.attn.to_out.0")
    }
    fused = {"lora_unet_double_blocks_0_img_attn_qkv": LayerShape(outputs=96, numbers=96 * 32)}
    with pytest.raises(Unreadable, match="as one layer, which is several in this model"):
        layers_of(fused, layers, {}, FluxPipeline.lora_state_dict)


@pytest.mark.parametrize("start", ["lycoris_", pytest.param("lora_transformer_", marks=pytest.mark.exhaustive)])
def test_plain_lora_of_odd_names_is_put_on_by_the_models_own(tmp_path, start):
    """LyCORIS' and OneTrainer's names on a family of which diffusers converts none: Sana."""
    import torch
    from safetensors.torch import save_file

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about configurations that are tiny on purpose
        pipeline = transforming.sana()
    layer = "transformer_blocks.0.attn1.to_q"
    module = pipeline.transformer.get_submodule(layer)
    down, up = torch.randn(2, module.weight.shape[1]), torch.randn(module.weight.shape[0], 2)
    name = start + layer.replace(".", "_")
    halves = {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up, f"{name}.alpha": torch.tensor(1.0)}
    save_file(halves, tmp_path / "it.safetensors")
    given = torch.randn(3, module.weight.shape[1])
    plain, adapters = module(given), LoraAdapters()
    adapters.apply(pipeline, (Lora(name="it", identity="sha256:1"),), {"it": tmp_path / "it.safetensors"})
    with torch.no_grad():
        torch.testing.assert_close(
            pipeline.transformer.get_submodule(layer)(given), plain + 0.5 * given @ down.T @ up.T
        )
    adapters.apply(pipeline, (), {})
    assert pipeline.transformer.get_submodule(layer) is module


def test_plain_lora_of_odd_names_is_accepted_where_it_fits(engine, make_spec, folder, tmp_path):
    """LyCORIS' names on Stable Diffusion; what fits neither way is refused as before."""
    import torch
    from safetensors.torch import save_file

    def resolved(layer, width=8):
        name = f"lycoris_{layer.replace('.', '_')}"
        halves = {f"{name}.lora_down.weight": torch.zeros(2, width), f"{name}.lora_up.weight": torch.zeros(8, 2)}
        save_file(halves, tmp_path / "it.safetensors")
        return resolve(engine, make_spec(model=str(folder), loras=(Lora(name=str(tmp_path / "it.safetensors")),)))

    assert resolved(LINEAR).spec.pipeline.loras[0].identity
    for layer, width in ((LINEAR, 16), ("nowhere", 8)):
        with pytest.raises(InputError, match=r"has no layer of a unet|cannot be read as one for it"):
            resolved(layer, width)


def test_low_rank_kinds_are_refused_on_packed_weights():
    """They add to weights, which bytes of four bits cannot be added to; a plain LoRA adds to what these make."""
    from promptlab.engine.loading.lora import check_unpacked
    from promptlab.engine.loading.quantization import packed_method

    check_unpacked("a", ["x.lora_down.weight"], "nf4")
    check_unpacked("a", ["x.lokr_w1"], None)
    with pytest.raises(
        InputError, match=r"is a LoKr, which is added to weights, .* packed \(nf4\); .* quantization=none"
    ):
        check_unpacked("a", ["x.lokr_w1"], "nf4")
    stored = {"text_encoder": "bitsandbytes"}
    found = [packed_method(asked, stored) for asked in (None, "int8", "nf4", "gguf:a.gguf")]
    assert found == [None, None, "nf4", "gguf"]
    assert packed_method(None, {"transformer": "bitsandbytes"}) == "bitsandbytes"


def test_low_rank_kind_is_told_by_names():
    """And what is no part of its kind, or lacks a part, is named."""
    assert kind_of(["a.lora_down.weight", "a.alpha"]) is None
    assert [kind_of([name]) for name in ("a.hada_w1_a", "a.lokr_w2_b", "a.dora_scale")] == ["LoHa", "LoKr", "DoRA"]
    with pytest.raises(Unreadable, match=r"has b\.w_norm, which is no part of a LoKr"):
        tensors_by_module("LoKr", {"a.lokr_w1": 1, "a.lokr_w2": 1, "b.w_norm": 1})
    with pytest.raises(Unreadable, match="has no lokr_w2_b for a, though it is a LoKr"):
        tensors_by_module("LoKr", {"a.lokr_w1": 1, "a.lokr_w2_a": 1})
    with pytest.raises(Unreadable, match="has no dora_scale for b, though it is a DoRA"):
        tensors_by_module("DoRA", {f"{at}.lora_{half}.weight": 1 for at in "ab" for half in ("up", "down")} | {
            "a.dora_scale": 1
        })  # fmt: skip
    inputs = {"lora_up.weight": (4, 2), "lora_down.weight": (2, 8), "dora_scale": (1, 8)}
    with pytest.raises(Unreadable, match="a norm for each input"):
        shape_of("DoRA", inputs)


@pytest.mark.parametrize(
    ("kind", "tensors", "problem"),
    [
        ("LoRA", {"lora_up.weight": (), "lora_down.weight": (2, 8)}, "too few sides for a LoRA"),
        ("LoHa", {"hada_w1_a": (8,), "hada_w1_b": (2,)}, "too few sides for a LoHa"),
        ("LoKr", {"lokr_w1": (), "lokr_w2": (2, 2)}, "too few sides for a LoKr"),
        ("DoRA", {"lora_up.weight": (1, 2), "lora_down.weight": (2, 8), "dora_scale": ()}, "too few sides for a DoRA"),
        ("LoRA", {"lora_up.weight": (0, 2), "lora_down.weight": (2, 8)}, "makes 0 × 0 numbers of one layer"),
        ("LoKr", {"lokr_w1": (1, 2**20), "lokr_w2": (1, 2**20)}, "makes 1,099,511,627,776 × 1 numbers of one layer"),
    ],
)
def test_low_rank_tensors_of_no_layer_are_refused(kind, tensors, problem):
    """A small file's tensors may multiply to more than memory holds, or have no sides at all."""
    with pytest.raises(Unreadable, match=problem):
        shape_of(kind, tensors)


def test_low_rank_file_that_does_not_fit_is_refused(engine, make_spec, folder, tmp_path):
    """By the header, in one line: another size, another layer, a kind that peft has under no such name."""
    import torch
    from safetensors.torch import load_file, save_file

    def refused(sentence, tensors):
        save_file(tensors, tmp_path / "it.safetensors")
        spec = make_spec(model=str(folder), loras=(Lora(name=str(tmp_path / "it.safetensors")),))
        with pytest.raises(InputError, match=sentence) as caught:
            resolve(engine, spec)
        assert "\n" not in str(caught.value)

    own, _ = loha(torch.zeros(6, 4), 0)
    refused(r"makes 4 × 6 numbers for up_bl.*, which has \d+ × \d+; allowed: a LoRA that was trained for this St", {
        f"{kohya('unet', LINEAR)}.{key}": value for key, value in own.items()
    })  # fmt: skip
    refused("has the layer lora_unet_nowhere, which this model has not", {
        f"lora_unet_nowhere.{key}": value for key, value in own.items()
    })  # fmt: skip
    state = load_file(write_lora(tmp_path / "plain", 1, words=False))
    layer = next(iter(state)).partition(".lora_")[0]
    refused(
        r"is an OFT \(oft_blocks\), which diffusers does not apply", {**state, f"{layer}.oft_blocks": torch.ones(1)}
    )
