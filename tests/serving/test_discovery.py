"""Servers that are found, started, and left behind by a crash."""

import json
import os
import signal
import socket
import threading

import pytest

from promptlab._locks import file_locked
from promptlab.errors import ServerError
from promptlab.serving.connection import request
from promptlab.serving.discovery import ServerPlace, find, find_or_start, private_folder


def pid_of(address):
    return request(address, "GET", "/status")["status"]["pid"]


def test_place_without_a_server_has_none(place):
    """Nothing is made by looking."""
    assert find(place) is None
    assert not place.folder.exists()


def test_place_lies_in_the_runtime_folder_or_in_the_users_state(monkeypatch, tmp_path):
    """Its name has the hash of the environment in it."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    assert ServerPlace.here().folder == tmp_path / "run" / "promptlab"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    here = ServerPlace.here()
    assert here.folder == tmp_path / "state" / "promptlab"
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert ServerPlace.here().name != here.name


def test_place_with_a_long_path_has_no_socket(tmp_path):
    """Systems cut such names off; it listens on 127.0.0.1 then."""
    assert ServerPlace(folder=tmp_path, name="s" * 100).has_socket is False
    assert ServerPlace(folder=tmp_path.parents[-1], name="s").has_socket is True


def test_folder_that_others_may_enter_is_refused(tmp_path):
    """Whoever could put a socket there could hear what is asked."""
    (tmp_path / "run").mkdir(mode=0o755)
    with pytest.raises(ServerError, match="is open to others"):
        private_folder(tmp_path / "run")
    assert private_folder(tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_folder_that_cannot_be_made_is_named(tmp_path):
    """The disk is full, or read-only, or something is in the way."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ServerError, match="file/run cannot be used: Not a directory"):
        find_or_start(ServerPlace(folder=tmp_path / "file" / "run", name="s"))


def test_server_is_started_once_and_again_after_it_was_killed(runtime):
    """Two clients that start one at once get one; what a killed one left is cleaned up by the next."""
    found = []
    clients = [threading.Thread(target=lambda: found.append(pid_of(find_or_start(runtime)))) for _ in range(2)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert found[0] == found[1]
    assert find(runtime) is not None
    os.kill(found[0], signal.SIGKILL)
    with file_locked(runtime.living, timeout=60, error=ServerError):
        pass  # the system has ended it
    assert runtime.socket.exists()
    assert pid_of(find_or_start(runtime)) != found[0]
    assert runtime.socket.stat().st_mode & 0o777 == 0o600


def test_server_that_is_ending_is_replaced_once(runtime):
    """Two clients that it sent away get one new server; neither takes the other's for the one that is ending."""
    ending = find_or_start(runtime)
    request(ending, "POST", "/stop")
    found = []
    clients = [
        threading.Thread(target=lambda: found.append(pid_of(find_or_start(runtime, replacing=ending))))
        for _ in range(2)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert found == [pid_of(find(runtime))] * 2


def test_server_that_does_not_start_says_why(runtime, monkeypatch):
    """The last line of its log, and where the log is."""
    monkeypatch.setenv("PROMPTLAB_ENGINE", "brush")
    with pytest.raises(ServerError, match=r"the server did not start: promptlab: PROMPTLAB_ENGINE 'brush' is unknown"):
        find_or_start(runtime)


def test_server_without_sockets_listens_for_whoever_has_the_token(runtime, monkeypatch):
    """Its port and token are in a file that only the user reads."""
    long = ServerPlace(folder=runtime.folder, name="s" * 100)
    address = find_or_start(long, keep_alive="5")
    assert (address.host, long.address.stat().st_mode & 0o777) == ("127.0.0.1", 0o600)
    with pytest.raises(ServerError, match="the token is missing or wrong"):
        request(type(address)(host=address.host, port=address.port, token="guessed"), "GET", "/status")
    request(address, "POST", "/stop")
    assert "token" not in long.log.read_text()


def test_port_of_a_dead_server_is_told_nothing(tmp_path):
    """Its file stayed when it was killed, and another program, of anybody, listens there by now."""
    dead = ServerPlace(folder=tmp_path / "run", name="s" * 100)
    private_folder(dead.folder)
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        dead.address.write_text(json.dumps({"port": stranger.getsockname()[1], "token": "secret"}))
        assert find(dead) is None
        stranger.setblocking(False)
        with pytest.raises(BlockingIOError):
            stranger.accept()
