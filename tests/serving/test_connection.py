"""Whom a client speaks to, and what it says of those it does not."""

import os
import socket
import threading

import pytest

from promptlab.errors import InputError, ServerError
from promptlab.serving import connection
from promptlab.serving.connection import Endpoint, ServerGone, check_owner, request


@pytest.mark.parametrize(
    ("url", "shown"),
    [("http://box:7860", "http://box:7860"), ("https://box/", "https://box"), ("http://[::1]:1", "http://[::1]:1")],
)
def test_address_is_read_as_it_is_typed(url, shown):
    """And the token is in no text of it."""
    address = Endpoint.read(url, token="secret")
    assert str(address) == shown
    assert "secret" not in f"{address} {address!r}"


@pytest.mark.parametrize(
    "url", ["box:7860", "ftp://box", "http://", "http://box/jobs", "http://a:secret@box", "http://box:x"]
)
def test_address_of_no_server_is_refused(url):
    """In a sentence that repeats no password."""
    with pytest.raises(InputError, match="is no address of a server; allowed: http://HOST:PORT") as refused:
        Endpoint.read(url, token=None)
    assert "secret" not in str(refused.value)


def test_owner_of_anything_else_is_refused(tmp_path):
    """A file or folder of another user, and a folder that others may enter."""
    (tmp_path / "mine").mkdir(mode=0o700)
    check_owner(tmp_path / "mine")
    with pytest.raises(ServerError, match=rf"belongs to another user \(number {os.getuid()}\)"):
        check_owner(tmp_path / "mine", user=os.getuid() + 1)
    (tmp_path / "mine").chmod(0o755)
    with pytest.raises(ServerError, match=r"is open to others; type: chmod 700 "):
        check_owner(tmp_path / "mine")


def test_socket_where_another_user_listens_is_told_nothing(place, monkeypatch):
    """The system says who listens; a stranger hears no byte, whoever owns the file."""
    place.folder.mkdir(mode=0o700)
    heard = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place.socket))
        listener.listen()

        def listen():
            with listener.accept()[0] as one:
                heard.append(one.recv(100))

        stranger = threading.Thread(target=listen)
        stranger.start()
        with monkeypatch.context() as patched:
            patched.setattr(connection, "_peer", lambda _socket: os.getuid() + 1)
            with pytest.raises(ServerError, match="belongs to another user"):
                request(Endpoint(socket=place.socket), "GET", "/status")
        stranger.join()
    assert heard == [b""]


def test_socket_that_a_dead_server_left_is_gone(place):
    """Nobody listens at it any more."""
    place.folder.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place.socket))
    with pytest.raises(ServerGone, match="refused"):
        request(Endpoint(socket=place.socket), "GET", "/status")


def test_port_where_something_else_answers_is_named(unused_port):
    """It speaks HTTP, and is no server of ours."""
    with socket.create_server(("127.0.0.1", unused_port)) as listener:

        def answer():
            with listener.accept()[0] as one:
                one.recv(1000)
                one.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno")

        other = threading.Thread(target=answer)
        other.start()
        with pytest.raises(ServerError, match=r"is no server of PromptLab: HTTP 404"):
            request(Endpoint(host="127.0.0.1", port=unused_port), "GET", "/status")
        other.join()
