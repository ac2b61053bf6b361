"""Evaluation's arithmetic, the loop's schedule and its resumption: numbers whose answers are known."""

import itertools
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from training.asks import four_ages, nonsense, whole
from training.attributes import AGES, BY_NAME
from training.classifier import accuracies
from training.dataset import load_pictures
from training.labels import COLUMNS, SIZES, cross_entropies
from training.loop import Plan, averaged, train
from training.losses import read_losses
from training.measures import ages_in_order, entropy, frechet, same_picture_kept
from training.muon import Muon, orthogonal
from training.networks import autoencoder, told_apart, wider
from training.ranks import Ranks
from training.report import table
from training.rows import Rows

pytestmark = pytest.mark.slow


def test_frechet_distance_of_known_gaussians_is_exact() -> None:
    """Zero for a set and itself; the squared gap for shifted copies; (σ-1)² a dimension for scaled ones."""
    a = np.random.default_rng(0).normal(size=(500, 6))
    assert frechet(a, a) == pytest.approx(0, abs=1e-6)
    assert frechet(a, a + 2) == pytest.approx(6 * 4)
    centred = a - a.mean(0)
    assert frechet(centred, 3 * centred) == pytest.approx(4 * np.trace(np.cov(centred, rowvar=False)))


def test_ages_in_order_must_rise_all_the_way() -> None:
    """Young, adult, old, oldest is in order; two swapped are not."""
    rising = np.eye(len(AGES))[[1, 2, 3, 4]]
    swapped = np.eye(len(AGES))[[1, 3, 2, 4]]
    assert ages_in_order(np.concatenate([rising, swapped])).tolist() == [True, False]


def test_kept_attributes_are_counted_by_seed() -> None:
    """One changed background among four spoils that seed and no other."""
    found = np.zeros((8, len(COLUMNS)), int)
    found[6, COLUMNS.index("background")] = 3
    kept = same_picture_kept(found, ("background", "role"))
    assert kept["background"].tolist() == [True, False]
    assert kept["role"].tolist() == [True, True]


def test_entropy_is_counted_in_bits() -> None:
    """One value is 0 bits, four equally often are 2."""
    assert entropy(np.array([5, 5, 5])) == 0
    assert entropy(np.array([0, 1, 2, 3])) == 2


def test_accuracy_without_a_label_counts_neither_way() -> None:
    """An unnamed colour counts neither way."""
    labels = np.zeros((4, len(COLUMNS)), int)
    found = labels.copy()
    labels[:2, COLUMNS.index("colour")] = -1
    found[2, COLUMNS.index("colour")] = 1
    assert accuracies(found, labels)["colour"] == 0.5


def test_cross_entropy_is_scored_head_by_head() -> None:
    """Certain scores cost next to nothing; a column without labels costs nothing, whatever was guessed."""
    labels = torch.zeros(3, len(SIZES), dtype=torch.long)
    labels[:, 1] = -1
    scores = torch.cat([30.0 * nn.functional.one_hot(torch.zeros(3, dtype=torch.long), size) for size in SIZES], -1)
    losses = cross_entropies(scores, labels)
    assert len(losses) == len(SIZES)
    assert losses[1] == 0
    assert max(losses) < 1e-3
    labels[:1, 1] = 1  # one row of three says what was not guessed: its loss is not spread over the others
    assert cross_entropies(scores, labels)[1] == pytest.approx(30, abs=0.1)


def test_asks_of_whole_descriptions_deal_values_evenly() -> None:
    """Every role is asked for as often as any other, and no figure stands before its own colour."""
    asks, wanted = whole(180)
    assert len({ask.seed for ask in asks}) == 180
    assert {sum(a.role == role for a in wanted) for role in BY_NAME["role"]} == {10}
    assert all(a.colour != a.background for a in wanted)
    assert [ask.seed for ask in four_ages(2)] == [0] * 4 + [1] * 4
    assert all(
        longer.prompt.startswith(ask.prompt) and longer.seed == ask.seed
        for ask, longer in zip(asks, nonsense(asks), strict=True)
    )


def test_muon_updates_come_out_orthogonal() -> None:
    """Singular values come out near one, tall or wide."""
    for shape in ((8, 20), (20, 8)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape, generator=torch.Generator().manual_seed(0))))
        assert 0.6 < values.min() <= values.max() < 1.3


def test_muon_matrices_of_one_shape_are_made_orthogonal_together() -> None:
    """Each comes out as it would alone, and steps as it would under an optimiser of its own."""
    generator = torch.Generator().manual_seed(0)
    stack = torch.randn(3, 8, 20, generator=generator)
    assert torch.equal(orthogonal(stack), torch.stack([orthogonal(one) for one in stack]))
    shapes = ((8, 20), (4, 2, 3, 3), (8, 20), (20, 8))
    starts, grads = ([torch.randn(s, generator=generator) for s in shapes] for _ in range(2))

    def stepped(which: list[int]) -> list[Tensor]:
        ps = [nn.Parameter(starts[i].clone()) for i in which]
        optimiser = Muon(ps, 0.1, weight_decay=0.01, share=(0, 1), summed=lambda _: None)
        for _ in range(2):
            for p, i in zip(ps, which, strict=True):
                p.grad = grads[i].clone()
            optimiser.step()
        return ps

    together = stepped([0, 1, 2, 3])
    for i, p in enumerate(together):
        torch.testing.assert_close(p, stepped([i])[0])
        assert not torch.equal(p, starts[i])


def test_rows_by_any_index_are_those_of_the_array(tmp_path: Path) -> None:
    """By any order of numbers, from a file that is only mapped."""
    array = np.arange(24, dtype=np.float16).reshape(6, 4)
    np.save(tmp_path / "rows.npy", array)
    rows = Rows(np.load(tmp_path / "rows.npy", mmap_mode="r"), torch.device("cpu"))
    assert len(rows) == 6
    assert rows[torch.tensor([5, 0, 5])].tolist() == array[[5, 0, 5]].tolist()


def test_pictures_partly_drawn_end_where_drawing_has_come_to(tmp_path: Path) -> None:
    """What lies behind a block that is not drawn yet is left for the next start."""
    np.save(tmp_path / "pictures.npy", np.zeros((1000, 2, 2, 3), np.uint8))
    for marker, there in (("", 0), ("0\n500\n", 250), ("0\n500\n250\n", 750), ("0\n500\n250\n750\n", 1000)):
        (tmp_path / "drawn").write_text(marker)
        assert len(load_pictures(tmp_path)) == there


def test_learning_rate_follows_the_budget() -> None:
    """Warm, held, then down to a fiftieth."""
    plan = Plan(name="x", minutes=1, rate=1.0, hold=0.5, warm=10)
    assert plan.rate_at(0, 0) == pytest.approx(0.1)
    assert plan.rate_at(0.4, 500) == 1.0
    assert plan.rate_at(1.0, 500) == pytest.approx(0.02)


def test_training_stopped_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second call with a larger budget continues steps, time and log; one with none left does nothing.

    A step takes a millisecond, whatever the machine is busy with.
    """
    clock = itertools.count()
    told = SimpleNamespace(monotonic=lambda: next(clock) / 1000, time_ns=time.time_ns)
    monkeypatch.setattr("training.loop.time", told)

    def run(seconds: float) -> nn.Linear:
        model = nn.Linear(2, 1)

        def loss_of(share: float) -> tuple[Tensor, dict[str, Tensor]]:
            x = torch.randn(8, 2)
            loss = ((model(x) - x.sum(-1, keepdim=True)) ** 2).mean()
            return loss, {"loss": loss}

        train(
            Plan(name="line", minutes=seconds / 60, rate=0.02, warm=1),
            tmp_path,
            Ranks(),
            {"line": model},
            loss_of,
        )
        return model

    run(0.4)
    first = read_losses(tmp_path, "line")
    run(0.8)
    second = read_losses(tmp_path, "line")
    assert second[: len(first)] == first
    assert second[-1]["step"] > first[-1]["step"]
    step = averaged(tmp_path, "line", {"line": (shown := nn.Linear(2, 1))})
    run(0.8)
    assert averaged(tmp_path, "line", {"line": shown}) == step
    with pytest.raises(SystemExit, match="other networks"):
        train(
            Plan(name="line", minutes=1, rate=0.02),
            tmp_path,
            Ranks(),
            {"other": nn.Linear(2, 1)},
            lambda _: pytest.fail("trained"),
        )
    assert second[-1]["loss"] < second[0]["loss"]


def test_report_table_says_goal_and_reached_beside_what_was() -> None:
    """Every line of a model has its neighbour of the model before."""
    shares = dict.fromkeys(COLUMNS, 0.5)
    pair = [0.9, 0.1]
    m: dict[str, object] = {
        "pictures": 504, "size": 19_000_000, "seconds": {"alone": 0.5, "batch of 8": 0.2}, "obeyed": shares,
        "reader": shares, "ages_seeds": 50, "ages_order": 1.0, "ages_kept": {"role": 1.0}, "ages_all": 0.98,
        "frechet": 3.0, "frechet_floor": 1.0,
        "psnr": {"own": [30.0, 27.0]}, "negative": {"beard": pair}, "spread": {"x": 2.0}, "nonsense": {"role": pair},
    }  # fmt: skip
    lines = table(m, m).splitlines()
    assert {line.count(" | ") for line in lines} == {3}
    assert "| size, float16, all parts | ≤ 20 MB | 19.0 MB | 19.0 MB |" in lines


def test_autoencoder_widened_begins_as_the_one_it_comes_from() -> None:
    """Every channel is there several times and counts by its share: the same latents and pictures but for rounding."""
    torch.manual_seed(0)
    vae = autoencoder((8, 8, 16, 24, 24)).double()
    for p in vae.parameters():
        if p.ndim == 1:
            p.data.normal_(0.5, 0.3)  # as after training: norms and biases that are not 1 and 0
    wide = wider(vae, (16, 24, 48, 24, 48)).double()
    picture = torch.randn(1, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        latents = vae.encode(picture).latent_dist.mean
        torch.testing.assert_close(wide.encode(picture).latent_dist.mean, latents, rtol=0, atol=1e-5)
        torch.testing.assert_close(wide.decode(latents).sample, vae.decode(latents).sample, rtol=0, atol=1e-5)
        assert sum(p.numel() for p in wide.parameters()) > 2 * sum(p.numel() for p in vae.parameters())
        copies = wide.decoder.conv_in.weight
        assert torch.equal(copies[0], copies[1])  # and would stay so: told apart, they can learn different things
        told_apart(wide.decoder)
        assert not torch.equal(copies[0], copies[1])
        torch.testing.assert_close(wide.decode(latents).sample, vae.decode(latents).sample, rtol=0, atol=0.3)
