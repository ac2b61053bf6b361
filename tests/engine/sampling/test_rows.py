"""Calls that are alike are merged and split again without loss; those that are not are told apart."""

import pytest

from promptlab.engine.sampling.rows import CannotSplit, merge_named, split
from promptlab.engine.sampling.signature import row_count, signature_of

NAMES = ("sample", "timestep", "encoder_hidden_states")


@pytest.fixture(scope="module")
def torch():
    import torch

    return torch


def call(torch, number, *, rows=2, tokens=3, time=None, **more):
    """A call of one image: its numbers are its own."""
    time = torch.tensor(number) if time is None else time
    words = torch.full((rows, tokens), float(number))
    words[0] *= -1  # what is not wanted comes first
    return (torch.full((rows, 4), float(number)), time), {"encoder_hidden_states": words, **more}


def alike(one, other, **more):
    return signature_of(NAMES, *one, row_count(*one), **more) == signature_of(NAMES, *other, row_count(*other), **more)


def test_merged_calls_lie_as_pipelines_lay_them_out(torch):
    """The first rows of all images, then the second; times likewise, in float32, whatever they were counted in."""
    calls = [call(torch, 1), call(torch, 2, time=torch.tensor(2.5, dtype=torch.float64)), call(torch, 3)]
    assert alike(calls[0], calls[1])
    (sample, time), named = merge_named(NAMES, calls, 2)
    assert sample[:, 0].tolist() == [1, 2, 3, 1, 2, 3]
    assert (time.tolist(), time.dtype) == ([1, 2.5, 3, 1, 2.5, 3], torch.float32)
    assert named["encoder_hidden_states"][:, 0].tolist() == [-1, -2, -3, 1, 2, 3]
    for place in range(3):
        assert split((sample,), place, 3, 2)[0][:, 0].tolist() == [place + 1] * 2


def test_merged_times_of_rows_stay_with_their_rows(torch):
    """One number for each row of an image, or one for all of them."""
    for time, wanted in (([5.0, 6.0], [5, 7, 6, 8]), ([5.0], [5, 7, 5, 7])):
        first, second = (call(torch, 1, time=torch.tensor(time) + 2 * at) for at in range(2))
        (_, merged), _ = merge_named(NAMES, [first, second], 2)
        assert merged.tolist() == wanted


def test_calls_with_lists_of_tensors_are_merged_row_by_row(torch):
    """Z-Image's transformer is given one tensor a row, each of its own length."""
    calls = [(([torch.zeros(2) + at, torch.ones(3) * at],), {}) for at in (1, 2)]
    assert alike(*calls)
    ((merged,), _) = merge_named(NAMES, calls, 2)
    assert [each.tolist() for each in merged] == [[1, 1], [2, 2], [1, 1, 1], [2, 2, 2]]
    assert [each.tolist() for each in split(merged, 1, 2, 2)] == [[2, 2], [2, 2, 2]]


def test_calls_that_differ_in_what_all_rows_read_are_not_alike(torch):
    """Shapes, dtypes, Python values and shared tables; latents, words and times may differ."""
    one = call(torch, 1, table=torch.arange(5), mode="a", scale=1.0)
    assert alike(one, call(torch, 2, table=torch.arange(5), mode="a", scale=1.0))
    others = [
        {"table": torch.arange(5) + 1}, {"mode": "b"}, {"scale": 2.0}, {"scale": 1}, {"tokens": 4}, {"rows": 1},
        {"table": torch.arange(6)},
    ]  # fmt: skip
    for other in others:
        assert not alike(one, call(torch, 1, **{"table": torch.arange(5), "mode": "a", "scale": 1.0, **other})), other


def test_calls_with_other_masks_are_not_alike_where_masks_count(torch):
    """Of a denoiser that cuts to the longest."""
    one, other = (call(torch, 1, mask=torch.tensor([[1, 1, at], [1, 1, 1]])) for at in (0, 1))
    assert alike(one, other)
    assert not alike(one, other, masks=True)
    assert alike(one, one, masks=True)


def test_output_without_a_row_for_each_is_refused(torch):
    """Whose would it be?"""
    with pytest.raises(CannotSplit):
        split(torch.zeros(3, 4), 0, 2, 2)
    with pytest.raises(CannotSplit):
        split((torch.zeros(4), torch.tensor(1.0)), 0, 2, 2)
