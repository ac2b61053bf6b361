"""What encoders made of texts is remembered, and only that, up to so many bytes."""

import pytest

from promptlab.engine.sampling.text_memory import TextMemory, encoding_alone, is_alone


@pytest.fixture(scope="module")
def torch():
    import torch

    return torch


@pytest.fixture
def encoder(torch):
    """An encoder that counts its calls."""

    def encode(tokens, **options):
        encode.calls += 1
        return (tokens.float() * 2,)

    encode.calls = 0
    return encode


def asked(memory, encoder, torch, *tokens, who="clip", **options):
    return memory.encoded(who, encoder, [torch.tensor([tokens])], options, otherwise=encoder)[0]


def test_text_memory_encodes_each_text_once(torch, encoder):
    """Other words, other layers or another encoder are another text."""
    memory = TextMemory()
    for _ in range(2):
        assert asked(memory, encoder, torch, 1, 2).tolist() == [[2, 4]]
        asked(memory, encoder, torch, 1, 3)
        asked(memory, encoder, torch, 1, 2, layers=1)
        asked(memory, encoder, torch, 1, 2, layers=True)
        asked(memory, encoder, torch, 1, 2, who="t5")
    assert encoder.calls == len(memory) == 5
    memory.clear()
    asked(memory, encoder, torch, 1, 2)
    assert encoder.calls == 6


def test_text_memory_forgets_what_was_not_asked_for_lately(torch, encoder):
    """Bytes are bounded; the latest is kept whatever its size."""
    memory = TextMemory(most_bytes=16)  # two texts of two tokens
    for tokens in ((1, 1), (2, 2), (1, 1), (3, 3), (1, 1)):
        asked(memory, encoder, torch, *tokens)
    assert (encoder.calls, len(memory)) == (3, 2)
    asked(memory, encoder, torch, *range(100))
    assert len(memory) == 1
    asked(memory, encoder, torch, *range(100))
    assert encoder.calls == 4


def test_text_memory_of_pictures_remembers_nothing(torch, encoder):
    """Some encoders look at pictures, or go on writing from what they have written."""
    memory = TextMemory()
    for given in ([torch.ones(1, 2)], {"cache": object()}):
        args, options = (given, {}) if isinstance(given, list) else ([torch.tensor([[1]])], given)
        memory.encoded("clip", lambda *_, **__: pytest.fail("remembered"), args, options, otherwise=encoder)
    assert (encoder.calls, len(memory)) == (2, 0)


def test_encoding_alone_ends_with_its_block():
    """What the pipeline encodes itself has copies beside it."""
    with encoding_alone():
        inside = is_alone()
    assert (inside, is_alone()) == (True, False)
