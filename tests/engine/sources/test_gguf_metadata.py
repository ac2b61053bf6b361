"""Lengths that a stranger's GGUF states are checked before anything believes them."""

import struct

import pytest

from promptlab.engine.sources.gguf_metadata import check_metadata

TEXT, LIST, UINT32 = 8, 9, 4


def text(said):
    return struct.pack("<Q", len(said)) + said


def write(path, *fields, tensors=0, count=None):
    """A GGUF of these fields, each a name, a type and what follows it."""
    body = b"".join(text(name) + struct.pack("<I", kind) + rest for name, kind, rest in fields)
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, tensors, len(fields) if count is None else count) + body)
    return path


def test_gguf_metadata_of_an_honest_file_is_taken(tmp_path):
    """Numbers, texts, and lists of both; big-endian files have their numbers turned around."""
    check_metadata(
        write(
            tmp_path / "a.gguf",
            (b"general.architecture", TEXT, text(b"flux")),
            (b"general.version", UINT32, struct.pack("<I", 2)),
            (b"words", LIST, struct.pack("<IQ", TEXT, 2) + text(b"a") + text(b"bc")),
            (b"sides", LIST, struct.pack("<IQ", UINT32, 3) + bytes(12)),
            tensors=1000,
        )
    )
    turned = tmp_path / "b.gguf"
    turned.write_bytes(b"GGUF" + struct.pack(">IQQ", 3, 0, 0))
    check_metadata(turned)


@pytest.mark.parametrize(
    ("field", "problem"),
    [
        ((b"a", LIST, struct.pack("<IQ", 0, 2**60)), "more than 1,000,000 values"),
        ((b"a", LIST, struct.pack("<IQ", 0, 1000)), "beyond its end"),
        ((b"a", LIST, struct.pack("<IQ", TEXT, 1000)), "beyond its end"),
        ((b"a", LIST, struct.pack("<IQ", LIST, 1) + struct.pack("<IQ", LIST, 1)), "lists of lists"),
        ((b"a", TEXT, struct.pack("<Q", 2**63)), "beyond its end"),
    ],
)
def test_gguf_metadata_with_absurd_lengths_is_refused_at_once(tmp_path, field, problem):
    """The package's reader would make an object of each value, also behind the end of the file."""
    with pytest.raises(ValueError, match=problem):
        check_metadata(write(tmp_path / "a.gguf", field))


@pytest.mark.parametrize("counts", [{"count": 2**60}, {"tensors": 2**60}])
def test_gguf_metadata_with_absurd_counts_is_refused_at_once(tmp_path, counts):
    """Fields and tensors are counted likewise."""
    with pytest.raises(ValueError, match="more than"):
        check_metadata(write(tmp_path / "a.gguf", **counts))


def test_gguf_metadata_of_another_file_is_refused(tmp_path):
    """Also of one that is shorter than the beginning of any."""
    for content in (b"", b"GG", b"PK\3\4" + bytes(40)):
        (tmp_path / "a.gguf").write_bytes(content)
        with pytest.raises(ValueError, match=r"beyond its end|does not begin"):
            check_metadata(tmp_path / "a.gguf")
