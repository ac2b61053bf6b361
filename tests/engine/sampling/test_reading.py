"""Denoisers that look at their company are found out by their first forward."""

import pytest

from promptlab.engine.sampling.reading import NumbersRead, Readers


@pytest.fixture(scope="module")
def torch():
    import torch

    return torch


def by_experts(latents, mask):
    """Sends rows to experts, as many to each as the latents say."""
    import torch

    chosen = torch.topk(latents, 1).indices.reshape(-1)
    return latents * chosen.bincount().cpu().numpy().sum()


CASES = {
    "shapes only": (lambda latents, mask: latents * mask[:, :1], NumbersRead.NOTHING),
    "cuts to the longest": (lambda latents, mask: latents[:, : max(mask.sum(dim=1).tolist())], NumbersRead.MASKS),
    "asks whether all": (lambda latents, mask: latents if mask.all() else latents * 2, NumbersRead.MASKS),
    "picks by a mask": (lambda latents, mask: latents[mask.bool()], NumbersRead.MASKS),
    "picks by latents": (lambda latents, mask: latents[latents > 0.5], NumbersRead.LATENTS),
    "counts its experts": (by_experts, NumbersRead.LATENTS),
    "asks a time": (lambda latents, mask: latents * latents[0, 0].item(), NumbersRead.LATENTS),
}


@pytest.mark.parametrize("name", CASES)
def test_reading_of_a_forward_is_what_its_code_asks_for(torch, name):
    """And what comes out is what comes out unwatched."""
    forward, wanted = CASES[name]
    args = [torch.rand(2, 3, generator=torch.Generator().manual_seed(1)), torch.tensor([[1, 1, 0], [1, 0, 0]])]
    readers = Readers()
    assert readers.reading(name) is NumbersRead.NOTHING
    assert torch.equal(readers.run(name, forward, args, {}), forward(*args))
    assert readers.reading(name) is wanted


def test_reading_is_watched_once(torch):
    """A watched forward is slower."""
    readers, calls = Readers(), []

    def forward(latents):
        calls.append(torch.overrides._get_current_function_mode() is not None)
        return latents

    for _ in range(3):
        readers.run("same", forward, [torch.ones(1)], {})
    assert calls == [True, False, False]
