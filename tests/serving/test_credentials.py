"""The token is in the environment, or in a file that only the user reads."""

import os

import pytest

from promptlab.errors import InputError
from promptlab.serving.credentials import TOKEN, TOKEN_FILE, read_token, token_file


@pytest.fixture(autouse=True)
def file(monkeypatch, tmp_path):
    """Name a file that is not there."""
    monkeypatch.delenv(TOKEN, raising=False)
    monkeypatch.setenv(TOKEN_FILE, str(tmp_path / "new" / "token"))
    return tmp_path / "new" / "token"


def test_token_of_the_environment_goes_first(file, monkeypatch):
    """No file is made for it."""
    monkeypatch.setenv(TOKEN, "told")
    assert read_token(make=True) == "told"
    assert not file.exists()


def test_token_is_made_once(file):
    """For a server; a client makes none."""
    assert read_token() is None
    token = read_token(make=True)
    assert len(token) >= 40
    assert read_token(make=True) == read_token() == token
    assert file.stat().st_mode & 0o777 == 0o600
    assert token_file() == file


def test_token_file_in_a_folder_that_others_may_enter_is_made(file):
    """Such as one's home: the file is what nobody else reads."""
    file.parent.mkdir(mode=0o755)
    assert read_token(make=True) == read_token()
    assert (file.parent.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o755, 0o600)


@pytest.mark.skipif(not hasattr(os, "chown") or os.getuid() != 0, reason="only root gives files away")
def test_token_file_of_another_user_is_refused(file):
    """Whoever wrote it knows the token."""
    read_token(make=True)
    os.chown(file, 65534, -1)
    with pytest.raises(InputError, match=r"new/token' belongs to another user; type: PROMPTLAB_SERVER_TOKEN_FILE="):
        read_token()


def test_token_file_that_others_read_is_refused(file):
    """The command that mends it is said, and the token is not."""
    read_token(make=True)
    file.chmod(0o644)
    with pytest.raises(InputError, match=r"can be read by others; type: chmod 600 .*/new/token$"):
        read_token()


def test_token_file_that_is_empty_is_refused(file):
    """A server would ask for no token, and serve whoever reaches it; a full disk leaves such a file."""
    file.parent.mkdir()
    file.touch(mode=0o600)
    for make in (True, False):
        with pytest.raises(InputError, match=r"new/token' is empty; type: rm .*/new/token$"):
            read_token(make=make)
