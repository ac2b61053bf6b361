"""Big files are hashed once, not once a process; a file that changed is never taken for the one that it was."""

import json
import os
import shutil
import subprocess
import sys
import threading
from hashlib import sha256

import pytest

from promptlab.engine.sources.files import file_identity, hash_ahead
from promptlab.engine.sources.hash_memory import BIG, FileStamp, cache_folder, hash_file, remembered_files

LONG_AGO = 1_700_000_000


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A memory of the test's own."""
    monkeypatch.setenv("PROMPTLAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "hashes"


@pytest.fixture
def settled(monkeypatch):
    """Let two seconds and more lie between a change and the hashing, without waiting for them."""
    from promptlab.engine.sources import hash_memory

    monkeypatch.setattr(hash_memory, "_SETTLED", -(10**18))


def big(path, sign=b"a"):
    path.write_bytes(sign * BIG)
    return path


def entry(cache):
    (found,) = cache.glob("*.json")
    return found


def said(path, digest):
    """Have the memory say something else than the file: what comes out then was remembered."""
    about = json.loads(path.read_text())
    path.write_text(json.dumps(about | {"sha256": digest}))


def test_hash_file_is_remembered(tmp_path, cache, settled):
    """By whom it is asked the second time; and read all the same where that is asked for."""
    file = big(tmp_path / "model.safetensors")
    true = sha256(b"a" * BIG).hexdigest()
    assert hash_file(FileStamp.of(file)) == true
    said(entry(cache), "b" * 64)
    assert hash_file(FileStamp.of(file)) == "b" * 64
    assert remembered_files() == ((FileStamp.of(file), "b" * 64),)
    assert hash_file(FileStamp.of(file), anew=True) == true
    assert hash_file(FileStamp.of(file)) == true
    assert [path.suffix for path in cache.iterdir()] == [".json"]


def test_hash_file_of_a_changed_file_is_read(tmp_path, cache, settled):
    """Other content of the same length, other times set back, another file under the name."""
    file = big(tmp_path / "model.safetensors")
    os.utime(file, (LONG_AGO, LONG_AGO))
    before = hash_file(FileStamp.of(file))
    big(file, b"b")
    os.utime(file, (LONG_AGO, LONG_AGO))
    assert hash_file(FileStamp.of(file)) == sha256(b"b" * BIG).hexdigest() != before
    other = big(tmp_path / "other", b"c")
    os.utime(other, (LONG_AGO, LONG_AGO))
    other.replace(file)
    assert remembered_files() == ()
    assert hash_file(FileStamp.of(file)) == sha256(b"c" * BIG).hexdigest()


def test_hash_file_of_what_was_just_written_is_not_remembered(tmp_path, cache):
    """It may change again within the same tick of its file system's clock, whatever its own time says."""
    file = big(tmp_path / "model.safetensors")
    hash_file(FileStamp.of(file))
    os.utime(file, (LONG_AGO, LONG_AGO))
    hash_file(FileStamp.of(file))
    assert not cache.exists()


@pytest.mark.parametrize("damage", ["", "{", "[]", '"x"', '{"sha256": 3}', "null", '{"path": "/nowhere"}'])
def test_hash_file_by_a_damaged_entry_is_read(damage, tmp_path, cache, settled):
    """As if there were none; it is mended."""
    file = big(tmp_path / "model.safetensors")
    true = hash_file(FileStamp.of(file))
    entry(cache).write_text(damage)
    assert remembered_files() == ()
    assert hash_file(FileStamp.of(file)) == true
    assert json.loads(entry(cache).read_text())["sha256"] == true


def test_hash_file_where_nothing_can_be_remembered_is_read(tmp_path, cache, settled):
    """A small file, and one where the cache's place is taken."""
    small = tmp_path / "config.json"
    small.write_bytes(b"{}")
    assert hash_file(FileStamp.of(small)) == sha256(b"{}").hexdigest()
    assert not cache.exists()
    cache.parent.write_text("a file")
    assert hash_file(FileStamp.of(big(tmp_path / "model"))) == sha256(b"a" * BIG).hexdigest()


def test_hash_file_by_several_at_once_is_one_hash(tmp_path, cache, settled):
    """Entries are written whole, and whoever asks while a file is read waits for that."""
    files = [big(tmp_path / f"{number}.safetensors", bytes([number])) for number in range(3)]
    hash_ahead(files)
    asking = [threading.Thread(target=file_identity, args=(file,)) for file in files * 4]
    for each in asking:
        each.start()
    for each in asking:
        each.join()
    assert [file_identity(file) for file in files] == [
        f"sha256:{sha256(bytes([number]) * BIG).hexdigest()}" for number in range(3)
    ]
    assert len(remembered_files()) == 3
    hash_ahead([tmp_path / "nothing"])
    with pytest.raises(FileNotFoundError):
        file_identity(tmp_path / "nothing")


def test_cache_folder_is_the_users(monkeypatch, tmp_path):
    """Where XDG or PROMPTLAB_CACHE say."""
    monkeypatch.delenv("PROMPTLAB_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "promptlab"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert cache_folder() == tmp_path / "me" / ".cache" / "promptlab"


def test_identity_of_a_model_is_remembered_by_the_next_process(mini, tmp_path, cache):
    """The model itself is not read again: its memory says something else, and is believed."""
    model = tmp_path / "model"
    shutil.copytree(mini, model)
    script = (
        "import sys; from promptlab.engine.sources import hash_memory\n"
        "from promptlab.engine.sources.finder import find_model\n"
        "hash_memory._SETTLED = -10**18\n"
        "print(find_model(sys.argv[1]).identity)"
    )

    def asked():
        return subprocess.run(
            [sys.executable, "-c", script, str(model)], capture_output=True, text=True, check=True
        ).stdout

    first = asked()
    assert asked() == first
    said(max(cache.glob("*.json"), key=lambda path: json.loads(path.read_text())["size"]), "b" * 64)
    assert asked() != first


def test_check_weights_finds_what_changed_without_a_trace(tmp_path, cache, settled):
    """``promptlab doctor --deep`` says it once; from then on the true hash is remembered."""
    from promptlab.lab.execution.events import unwatched
    from promptlab.lab.maintenance.doctor.remembered_hashes import check_weights

    file = big(tmp_path / "model.safetensors")
    hash_file(FileStamp.of(file))
    assert list(check_weights(unwatched)) == []
    said(entry(cache), "b" * 64)
    (finding,) = check_weights(unwatched)
    assert (finding.kind, finding.subject) == ("weights", str(file))
    assert list(check_weights(unwatched)) == []
