"""CLIP as a measure: the same numbers as transformers' own, from a local folder, in one line where it cannot be."""

from __future__ import annotations

import json

import numpy as np
import pytest

from promptlab.engine.clip import Clip, clip_folder
from promptlab.engine.machine.torch_setup import prepare
from promptlab.errors import EngineError, InputError, NotFound
from tests.engine.folders import write_hub_cache, write_json

pytestmark = pytest.mark.slow

prepare()  # before a test imports transformers by a back door


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory, mini):
    """A CLIP model of random weights and 32 pixels, with the bundled model's tokenizer."""
    import torch
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

    folder = tmp_path_factory.mktemp("clip") / "tiny clip"
    tokenizer = CLIPTokenizer.from_pretrained(str(mini / "tokenizer"), local_files_only=True)
    layers = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config={**layers, "vocab_size": len(tokenizer), "max_position_embeddings": 77,
                     "eos_token_id": tokenizer.eos_token_id, "bos_token_id": tokenizer.bos_token_id},
        vision_config={**layers, "image_size": 32, "patch_size": 8}, projection_dim=8,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        CLIPModel(config).save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return folder


@pytest.fixture(scope="session")
def clip(tiny_clip):
    return Clip(str(tiny_clip), device="cpu")


def pictures(count, side=32):
    return list(np.random.default_rng(1).integers(0, 256, (count, side, side, 3), np.uint8))


def test_clip_features_equal_those_of_transformers(clip, tiny_clip):
    """The model's own ``image_embeds`` and ``text_embeds``, to the last digits of float32."""
    import torch
    from transformers import CLIPModel, CLIPTokenizer

    model = CLIPModel.from_pretrained(str(tiny_clip)).eval()
    tokens = CLIPTokenizer.from_pretrained(str(tiny_clip))(["a fox", "a castle at night"], padding=True,
                                                           return_tensors="pt")  # fmt: skip
    shown = pictures(2)
    mean, deviation = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    values = (np.stack(shown).astype(np.float32) / 255 - np.float32(mean)) / np.float32(deviation)
    with torch.inference_mode():
        theirs = model(pixel_values=torch.from_numpy(values.transpose(0, 3, 1, 2).copy()), **tokens)
    np.testing.assert_allclose(clip.image_features(shown), theirs.image_embeds.numpy(), atol=1e-5)
    words = clip.text_features(["a fox", "a castle at night"])
    np.testing.assert_allclose(words, theirs.text_embeds.numpy(), atol=1e-5)


def test_clip_features_of_any_size_and_length_are_unit_vectors(clip):
    """Wide, tall, small and many pictures; prompts that are empty, long, or of other scripts: directions all."""
    odd = [np.zeros(shape, np.uint8) for shape in ((10, 200, 3), (33, 31, 3), (1, 1, 3), (64, 32, 3))]
    for found in (clip.image_features(odd + pictures(40, 20)), clip.text_features(["", "a fox " * 200, "여우"])):
        assert np.isfinite(found).all()
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    alone = np.concatenate([clip.image_features([one]) for one in odd])
    np.testing.assert_allclose(clip.image_features(odd), alone, atol=1e-5)


def test_clip_model_is_found_in_the_hub_cache(tiny_clip, tmp_path):
    """As models are; without network."""
    write_hub_cache(tmp_path / "hub", "some/clip", tiny_clip)
    assert (clip_folder("some/clip") / "config.json").is_file()


def test_clip_model_that_is_none_is_refused(tiny_clip, tmp_path, mini):
    """No folder, no configuration, pickles only, another kind of model, damaged weights."""
    with pytest.raises(NotFound, match="clip_model 'nowhere' does not exist"):
        clip_folder("nowhere")
    with pytest.raises(InputError, match=r"clip_model .* has no config\.json"):
        clip_folder(str(mini))
    other = tmp_path / "other"
    write_json(other / "config.json", {"model_type": "bert"})
    (other / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(InputError, match="has no safetensors"):
        clip_folder(str(other))
    (other / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match="is no CLIP model but bert"):
        clip_folder(str(other))
    (other / "config.json").write_text(json.dumps(json.loads((tiny_clip / "config.json").read_text())))
    with pytest.raises(EngineError, match=r"the CLIP model .* would not load: ") as failed:
        Clip(str(other), device="cpu")
    assert "\n" not in str(failed.value)
