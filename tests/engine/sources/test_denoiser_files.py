"""A transformer alone in one file, as model pages offer them, makes the pictures of the model it was taken from."""

import shutil
import warnings

import numpy as np
import pytest

from promptlab.engine.sources.checkpoint_kind import known_origin
from promptlab.errors import InputError
from promptlab.plan import requests_of
from tests.engine.drawing import draw, resolve
from tests.engine.folders import write_hub_cache, write_json
from tests.families import language, transforming

pytestmark = pytest.mark.slow

PREFIX = "model.diffusion_model."
Z_IMAGE_NAMES = {
    "all_final_layer.2-1.": "final_layer.", "all_x_embedder.2-1.": "x_embedder.", ".norm_q.": ".q_norm.",
    ".norm_k.": ".k_norm.", ".to_out.0.": ".out.",
}  # fmt: skip


def z_image_names(tensors):
    """As ComfyUI has them: queries, keys and values in one, the embedders by shorter names."""
    import torch

    named = {}
    for key, value in tensors.items():
        name = key
        for old, new in Z_IMAGE_NAMES.items():
            name = name.replace(old, new)
        named[name] = value
    for key in [key for key in named if ".to_q." in key]:
        fused = [named.pop(key.replace(".to_q.", f".to_{one}.")) for one in "qkv"]
        named[key.replace(".to_q.", ".qkv.")] = torch.cat(fused)
    return named


CASES = {
    "Tongyi-MAI/Z-Image-Turbo": (language.z_image, PREFIX, z_image_names),
    "Qwen/Qwen-Image": (language.qwen_image, PREFIX, dict),
    "krea/Krea-2-Raw": (language.krea_2, "", dict),
    "Efficient-Large-Model/Sana_1600M_1024px_diffusers": (transforming.sana, "", dict),
    "black-forest-labs/FLUX.1-dev": (transforming.flux, "", dict),
    "stabilityai/stable-diffusion-3-medium-diffusers": (transforming.stable_diffusion_3, "", dict),
}
REPRESENTS = ("Tongyi-MAI/Z-Image-Turbo", "Qwen/Qwen-Image")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The folder of a family's tiny model, made once."""
    import torch

    home, made = tmp_path_factory.mktemp("models"), {}

    def save(origin):
        if origin not in made:
            folder = home / origin.replace("/", "-")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about configurations that are tiny on purpose
                torch.manual_seed(0)
                CASES[origin][0]().save_pretrained(folder)
            made[origin] = folder
        return made[origin]

    return save


def write_file(path, folder, prefix="", renamed=dict):
    """The transformer of ``folder`` in one file, under other names: its path."""
    from safetensors.torch import load_file, save_file

    tensors = renamed(load_file(folder / "transformer" / "diffusion_pytorch_model.safetensors"))
    save_file({f"{prefix}{key}": value.contiguous() for key, value in tensors.items()}, path)
    return path


@pytest.mark.parametrize(
    "origin", [pytest.param(each, marks=() if each in REPRESENTS else pytest.mark.exhaustive) for each in CASES]
)
def test_denoiser_file_makes_the_images_of_its_model(engine, make_spec, saved, tmp_path, origin):
    """Alone it takes encoders and VAE from the Hub's cache, told by its tensors; from a folder or a Hub id that is
    named; or from the folder that it lies in. They are part of the recipe."""
    folder = saved(origin)
    path = write_file(tmp_path / "one.safetensors", folder, *CASES[origin][1:])
    write_hub_cache(tmp_path / "hub", origin, folder)
    spec = make_spec(model=str(path), height=64, width=64)
    found = resolve(engine, spec)
    assert resolve(engine, found.spec) == found
    assert resolve(engine, spec.vary(config=str(folder))).model_identity == found.model_identity
    own = str(folder / "transformer" / "diffusion_pytorch_model.safetensors")
    assert resolve(engine, spec.vary(model=own)).spec.pipeline.config is None
    made = [picture.pixels for picture in draw(engine, requests_of(found))]
    engine.close()
    whole = draw(engine, requests_of(resolve(engine, spec.vary(model=str(folder)))))
    np.testing.assert_array_equal(made, [picture.pixels for picture in whole])


def test_denoiser_file_without_its_encoders_names_what_to_download(engine, make_spec, saved, tmp_path):
    """Nothing is downloaded unasked, and nothing loaded first; a model of another size is told from the file's."""
    from safetensors.torch import load_file, save_file

    origin = "Tongyi-MAI/Z-Image-Turbo"
    folder = saved(origin)
    path = write_file(tmp_path / "one.safetensors", folder, *CASES[origin][1:])
    cached = write_hub_cache(tmp_path / "hub", origin, folder)
    tensors = load_file(path)
    wide = {**tensors, f"{PREFIX}cap_embedder.1.weight": tensors[f"{PREFIX}cap_embedder.1.weight"].repeat(2, 2)}
    save_file(wide, tmp_path / "wide.safetensors")
    with pytest.raises(InputError, match=r"looks like Tongyi-MAI/Z-Image-Turbo, whose configuration is not that of w"):
        resolve(engine, make_spec(model=str(tmp_path / "wide.safetensors")))
    shutil.rmtree(cached / "vae")
    shutil.copytree(folder / "vae", cached / "vae", ignore=shutil.ignore_patterns("*.safetensors"))
    with pytest.raises(
        InputError, match=r"has no vae, a AutoencoderKL, .*; type: hf download .*Turbo --include 'vae/\*"
    ):
        resolve(engine, make_spec(model=str(path)))


def test_denoiser_file_takes_the_parts_that_lie_beside_it(engine, make_spec, saved, tmp_path):
    """As ComfyUI keeps them, under its names; they are said and part of the recipe, and of two none is guessed."""
    from safetensors.torch import load_file, save_file

    origin = "Tongyi-MAI/Z-Image-Turbo"
    folder, home = saved(origin), tmp_path / "models"
    for name in ("diffusion_models", "text_encoders", "vae"):
        (home / name).mkdir(parents=True)
    path = write_file(home / "diffusion_models" / "z.safetensors", folder, *CASES[origin][1:])
    encoder = load_file(folder / "text_encoder" / "model.safetensors")
    save_file({f"model.{key}": value for key, value in encoder.items()}, home / "text_encoders" / "qwen.safetensors")
    save_file({"model.norm.weight": encoder["norm.weight"]}, home / "text_encoders" / "other.safetensors")
    shutil.copy(folder / "vae" / "diffusion_pytorch_model.safetensors", home / "vae" / "ae.safetensors")
    bare = tmp_path / "bare"
    shutil.copytree(folder, bare, ignore=shutil.ignore_patterns("*.safetensors"))
    write_hub_cache(tmp_path / "hub", origin, bare)
    found = resolve(engine, make_spec(model=str(path)))
    said = {part: f"is taken for the {part} of z.safetensors, because it fits" for part in ("text_encoder", "vae")}
    assert sorted(found.remarks) == [
        f"{home / 'text_encoders' / 'qwen.safetensors'} {said['text_encoder']}",
        f"{home / 'vae' / 'ae.safetensors'} {said['vae']}",
    ]
    assert resolve(engine, found.spec).remarks == ()
    made = [picture.pixels for picture in draw(engine, requests_of(found))]
    engine.close()
    whole = draw(engine, requests_of(resolve(engine, make_spec(model=str(folder)))))
    np.testing.assert_array_equal(made, [picture.pixels for picture in whole])
    save_file(
        {f"model.{key}": value + 1 for key, value in encoder.items()}, home / "text_encoders" / "qwen.safetensors"
    )
    assert resolve(engine, make_spec(model=str(path))).model_identity != found.model_identity
    shutil.copy(home / "text_encoders" / "qwen.safetensors", home / "text_encoders" / "zwei.safetensors")
    several = (
        r"several files beside it that can be its text_encoder: text_encoders/qwen\.safetensors, text_encoders/zwei\."
    )
    with pytest.raises(InputError, match=several):
        resolve(engine, make_spec(model=str(path)))


def test_denoiser_file_of_an_unknown_kind_asks_for_its_model(engine, make_spec, tmp_path):
    """diffusers takes what it does not know for Stable Diffusion 1.5."""
    import torch
    from safetensors.torch import save_file

    save_file({"layers.0.something.weight": torch.zeros(1)}, tmp_path / "odd.safetensors")
    with pytest.raises(InputError, match=r"is of no kind that diffusers knows.*; type: config=FOLDER"):
        resolve(engine, make_spec(model=str(tmp_path / "odd.safetensors")))


@pytest.mark.parametrize(
    ("shapes", "origin"),
    [
        ({"single_stream_modulation.lin.weight": [1], "img_in.weight": [4096, 128]}, "FLUX.2-klein-9B"),
        ({"single_transformer_blocks.0.proj_mlp.weight": [1]}, "FLUX.1-schnell"),
        (
            {
                "model.diffusion_model.label_emb.0.0.weight": [1280, 2816],
                "model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight": [640, 2048],
            },
            "stable-diffusion-xl-base-1.0",
        ),
        ({"single_stream_modulation.lin.weight": [1], "img_in.weight": [6144, 128]}, None),
    ],
)
def test_origin_of_a_denoiser_alone_is_told_by_its_tensors(shapes, origin):
    """Of those that diffusers would take for another model; what is left to it is none of ours."""
    found = known_origin({name: {"shape": shape} for name, shape in shapes.items()})
    assert found is None if origin is None else str(found).endswith(origin)


def test_lora_given_as_a_model_says_how_it_is_given(engine, make_spec, tmp_path):
    """The commonest file in the wrong place."""
    import torch
    from safetensors.torch import save_file

    save_file({"diffusion_model.layers.0.attention.to_q.lora_A.weight": torch.zeros(1)}, tmp_path / "ink.safetensors")
    with pytest.raises(InputError, match=r"is a LoRA, which goes on top of a model; .* loras=.*ink\.safetensors"):
        resolve(engine, make_spec(model=str(tmp_path / "ink.safetensors")))


def test_modular_model_is_refused_with_what_to_use(engine, make_spec, tmp_path):
    """As a folder, in the Hub's cache and as a single file: by its class, with the reason and another model."""
    import torch
    from safetensors.torch import save_file

    write_json(tmp_path / "flux3" / "modular_model_index.json", {"_class_name": "Flux3ModularPipeline"})
    write_json(tmp_path / "anima" / "modular_model_index.json", {"_class_name": "AnimaModularPipeline"})
    write_json(tmp_path / "zit" / "modular_model_index.json", {"_class_name": "ZImageModularPipeline"})
    write_hub_cache(tmp_path / "hub", "org/anima", tmp_path / "anima")
    save_file({f"{PREFIX}early_stream_modulations.image.lin.weight": torch.zeros(1)}, tmp_path / "f3.safetensors")
    save_file({"net.llm_adapter.blocks.0.weight": torch.zeros(1)}, tmp_path / "anima.safetensors")
    why = "whose call has no arguments to check and no steps to follow"
    for name, sentence in (
        (str(tmp_path / "flux3"), rf"\(Flux3ModularPipeline\), {why}; .*; type: model=black-forest-labs/FLUX\.2-klein"),
        ("org/anima", rf"\(AnimaModularPipeline\), {why}; .* as modular blocks only; type: model=stabilityai/"),
        (str(tmp_path / "zit"), r"allowed: the same family as a ZImagePipeline, with a model_index\.json"),
        (str(tmp_path / "f3.safetensors"), r"is a modular pipeline \(Flux3ModularPipeline\)"),
        (str(tmp_path / "anima.safetensors"), r"is a modular pipeline \(AnimaModularPipeline\)"),
    ):
        with pytest.raises(InputError, match=sentence) as caught:
            resolve(engine, make_spec(model=name))
        assert "\n" not in str(caught.value)
