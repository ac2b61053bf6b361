"""Scores: the figures of the papers' formulas, from tiny models of the same classes; pickles are refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from promptlab.engine.scorers import find_scorer, load_scorer
from promptlab.errors import EngineError, InputError
from promptlab.records.scorers import Scorer, parse_scorer
from tests.engine.folders import write_json
from tests.engine.test_clip import pictures, tiny_clip  # noqa: F401 - a fixture

pytestmark = pytest.mark.slow

PROMPTS = ["a fox", "a castle at night", "a fox"]


def save_aesthetic(folder, architecture):
    """A predictor of random weights, saved by transformers under the name of LAION's class; returns the model."""
    import torch
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    def linear(*sides):
        return torch.nn.Linear(*sides)

    layers = {
        "AestheticsPredictorV1": None,
        "AestheticsPredictorV2Linear": [linear(8, 6), torch.nn.Dropout(0.2), linear(6, 4), linear(4, 1)],
        "AestheticsPredictorV2ReLU": [
            linear(8, 6), torch.nn.ReLU(), torch.nn.Dropout(0.2), linear(6, 4), torch.nn.ReLU(), linear(4, 1)
        ],
    }[architecture]  # fmt: skip

    def init(self, config):
        super(kind, self).__init__(config)
        if layers is None:
            self.predictor = torch.nn.Linear(config.projection_dim, 1)
        else:
            self.layers = torch.nn.Sequential(*layers)

    kind = type(architecture, (CLIPVisionModelWithProjection,), {"__init__": init})
    config = CLIPVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8,
        projection_dim=8,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = kind(config).eval()
        model.save_pretrained(str(folder))
    return model


@pytest.mark.parametrize(
    ("name", "scale", "floor"),
    [
        ("pickscore", None, -np.inf),
        pytest.param("clip", 100.0, 0.0, marks=pytest.mark.exhaustive),
        pytest.param("hpsv2", 1.0, -np.inf, marks=pytest.mark.exhaustive),
    ],
)
def test_scorer_by_prompt_scores_as_its_formula_says(tiny_clip, name, scale, floor):  # noqa: F811 - a fixture
    """The cosine of each picture and its own prompt, by transformers' own model, on the scorer's scale."""
    import torch
    from transformers import CLIPModel, CLIPTokenizer

    shown = pictures(3)
    model = CLIPModel.from_pretrained(str(tiny_clip)).eval()
    tokens = CLIPTokenizer.from_pretrained(str(tiny_clip))(PROMPTS, padding=True, return_tensors="pt")
    mean, deviation = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    values = (np.stack(shown).astype(np.float32) / 255 - np.float32(mean)) / np.float32(deviation)
    with torch.inference_mode():
        theirs = model(pixel_values=torch.from_numpy(values.transpose(0, 3, 1, 2).copy()), **tokens)
    cosines = (theirs.image_embeds * theirs.text_embeds).sum(-1).numpy()
    wanted = np.maximum((float(model.logit_scale.detach().exp()) if scale is None else scale) * cosines, floor)
    found = load_scorer(Scorer(name=name, model=str(tiny_clip)), device="cpu").score(shown, PROMPTS)
    np.testing.assert_allclose(found, wanted, atol=1e-3)


@pytest.mark.parametrize(
    "architecture",
    [
        "AestheticsPredictorV2Linear",
        pytest.param("AestheticsPredictorV1", marks=pytest.mark.exhaustive),
        pytest.param("AestheticsPredictorV2ReLU", marks=pytest.mark.exhaustive),
    ],
)
def test_scorer_aesthetic_scores_as_its_layers_say(tmp_path, architecture):
    """CLIP's direction of the picture through the saved layers, whatever the prompt; nothing of the file is run."""
    import torch

    model, shown = save_aesthetic(tmp_path, architecture), pictures(3)
    mean, deviation = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    values = (np.stack(shown).astype(np.float32) / 255 - np.float32(mean)) / np.float32(deviation)
    with torch.inference_mode():
        seen = model(pixel_values=torch.from_numpy(values.transpose(0, 3, 1, 2).copy())).image_embeds
        seen = torch.nn.functional.normalize(seen, dim=-1)
        head = model.predictor if architecture.endswith("V1") else model.layers
        wanted = head(seen).ravel().numpy()
    scorer = load_scorer(Scorer(name="aesthetic", model=str(tmp_path)), device="cpu")
    np.testing.assert_allclose(scorer.score(shown, PROMPTS), wanted, atol=1e-4)
    np.testing.assert_allclose(scorer.score(shown[:1], ["other words"]), wanted[:1], atol=1e-4)


def test_scorer_that_cannot_be_loaded_is_refused(tiny_clip, tmp_path):  # noqa: F811 - a fixture
    """Pickles alone, another class, damaged weights: one line that names the option's field."""
    with pytest.raises(InputError, match=r"score .* is no CLIP model but clip"):
        find_scorer(Scorer(name="aesthetic", model=str(tiny_clip)))
    write_json(tmp_path / "config.json", {"model_type": "clip"})
    (tmp_path / "HPS_v2.1_compressed.pt").write_bytes(b"")
    with pytest.raises(InputError, match=r"score .* has no safetensors, only pickles, which could run anything"):
        find_scorer(parse_scorer(f"hpsv2={tmp_path}"))
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(EngineError, match="would not load: ") as failed:
        load_scorer(parse_scorer(f"pickscore={tmp_path}"), device="cpu")
    assert "\n" not in str(failed.value)
    vision = {"model_type": "clip_vision_model", "architectures": ["CLIPVisionModelWithProjection"]}
    (tmp_path / "config.json").write_text(json.dumps(vision))
    with pytest.raises(InputError, match="is no aesthetic predictor but CLIPVisionModelWithProjection"):
        find_scorer(parse_scorer(f"aesthetic={tmp_path}"))
