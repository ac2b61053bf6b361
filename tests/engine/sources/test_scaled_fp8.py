"""Files that ComfyUI quantised: fp8 with scales is multiplied out, everything else is refused by name."""

import json

import pytest

from promptlab.engine.sources.files import read_header
from promptlab.engine.sources.scaled_fp8 import check_readable, is_scaled, read_scaled
from promptlab.errors import InputError
from promptlab.plan import requests_of
from tests.engine.drawing import draw, resolve
from tests.engine.single_file import write_checkpoint, write_small

pytestmark = pytest.mark.slow


def save(path, tensors):
    from safetensors.torch import save_file

    save_file(tensors, path)
    return path, read_header(path, "model")


def scaled(weight, rows=False):
    """A weight in fp8, and the scale that it was divided by."""
    import torch

    most = weight.abs().amax(dim=1, keepdim=True) if rows else weight.abs().max()
    scale = most.float() / 448
    return (weight / scale).to(torch.float8_e4m3fn), scale


@pytest.mark.parametrize(("end", "rows"), [(".scale_weight", False), (".weight_scale", True)])
def test_scaled_fp8_is_the_product_of_weight_and_scale(tmp_path, end, rows):
    """One scale for a tensor or a row; marks and scales of inputs are left out, plain weights are as they were."""
    import torch

    weight, plain = torch.randn(4, 6), torch.randn(3)
    held, scale = scaled(weight, rows)
    path, header = save(
        tmp_path / "a.safetensors",
        {
            "a.weight": held, f"a{end}": scale, "a.input_scale": torch.ones(()), "a.bias": plain,
            "scaled_fp8": torch.zeros(2), "b.weight": plain.clone(), f"b{end}": torch.full((), 7.0),
        },
    )  # fmt: skip
    check_readable(path, header)
    assert is_scaled(header)
    found = read_scaled(path, torch.float32)
    assert found.keys() == {"a.weight", "a.bias", "b.weight"}
    assert torch.equal(found["a.weight"], held.float() * scale)
    assert torch.equal(found["a.bias"], plain)
    assert torch.equal(found["b.weight"], plain)


def test_other_formats_of_comfyui_are_refused_by_name(tmp_path):
    """Rotated, packed or scaled by blocks: what is not read rightly is not read."""
    import torch

    about = {"format": "int8_tensorwise", "convrot": True}
    mark = torch.tensor(list(json.dumps(about).encode()), dtype=torch.uint8)
    eight = torch.ones(4, 4, dtype=torch.int8)
    turned = {"a.weight": eight, "a.comfy_quant": mark, "a.weight_scale": torch.ones(4, 1)}
    blocks = {"a.weight": torch.ones(4, 4).to(torch.float8_e4m3fn), "a.weight_scale": torch.ones(4, 2)}
    for tensors, said in ((turned, "int8_tensorwise, convrot"), (blocks, "F8_E4M3 with scales")):
        with pytest.raises(
            InputError, match=rf"holds weights as ComfyUI's {said}, which is not read here; allowed: the "
        ):
            check_readable(*save(tmp_path / "a.safetensors", tensors))


def test_format_that_a_file_does_not_say_rightly_is_that_of_its_numbers(tmp_path):
    """A mark whose end lies before its beginning, or whose lists never end, names no format; nor do scales of none."""
    entry = {"dtype": "U8", "shape": [4096], "data_offsets": [0, 4096]}
    path = tmp_path / "a.safetensors"
    path.write_bytes((2).to_bytes(8, "little") + b"{}" + b"[" * 4096)
    eight = {"dtype": "I8", "shape": [2, 2], "data_offsets": [0, 4]}
    for mark in (entry, {**entry, "data_offsets": [4096, 0]}, {**entry, "data_offsets": [-99, 0]}):
        with pytest.raises(InputError, match="as ComfyUI's I8 with scales, which is not read here"):
            check_readable(path, {"a.weight": eight, "a.comfy_quant": mark})
    single = {"dtype": "F8_E4M3", "shape": [], "data_offsets": [0, 1]}
    with pytest.raises(InputError, match="F8_E4M3 with scales"):
        check_readable(path, {"a.weight": single, "a.weight_scale": {"dtype": "F32", "shape": [2]}})


def test_checkpoint_in_scaled_fp8_makes_pictures(engine, make_spec, tmp_path):
    """The denoiser's layers in fp8 and the rest of a checkpoint beside them: read, and not far from what they were."""
    import numpy as np
    import torch
    from safetensors.torch import load_file

    folder = write_small(tmp_path / "small")
    tensors = load_file(write_checkpoint(tmp_path / "whole.safetensors", folder))
    for name, weight in list(tensors.items()):
        if name.startswith("model.diffusion_model.") and name.endswith(".weight") and weight.ndim == 2:
            tensors[name], tensors[f"{name.removesuffix('.weight')}.scale_weight"] = scaled(weight)
    save(tmp_path / "scaled.safetensors", {**tensors, "scaled_fp8": torch.zeros(2)})
    made = []
    for name in ("whole", "scaled"):
        spec = make_spec(
            "a", model=str(tmp_path / f"{name}.safetensors"), config=str(folder), num_inference_steps=1, height=16,
            width=16,
        )  # fmt: skip
        (one,) = draw(engine, requests_of(resolve(engine, spec)))
        made.append(one.pixels.astype(np.float32))
    assert 0 < np.abs(made[0] - made[1]).mean() < 20
