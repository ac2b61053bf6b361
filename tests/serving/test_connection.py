"""Whom a client speaks to, and what it says of those it does not."""

import os
import socket
import threading

import pytest

from promptlab.errors import InputError, ServerError
from promptlab.serving import connection
from promptlab.serving.connection import Endpoint, ServerGone, check_owner, request
from promptlab.serving.job_stream import carry_out
from promptlab.serving.messages import JobRequest


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


@pytest.mark.parametrize("status", ["404 Not Found", "200 OK", "503 Service Unavailable"])
def test_port_where_something_else_answers_is_named(unused_port, tmp_path, status):
    """It speaks HTTP, and is no server of ours: a page of another program, or of a proxy whose server is away."""
    with socket.create_server(("127.0.0.1", unused_port)) as listener:

        def answer():
            for _ in range(2):
                with listener.accept()[0] as one:
                    one.recv(1000)
                    one.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 3\r\n\r\nno\n".encode())
                    one.shutdown(socket.SHUT_WR)
                    while one.recv(1000):
                        pass

        other = threading.Thread(target=answer)
        other.start()
        there = Endpoint(host="127.0.0.1", port=unused_port)
        with pytest.raises(ServerError, match=rf"is no server of PromptLab: HTTP {status[:3]}$"):
            request(there, "GET", "/status")
        with pytest.raises(ServerError, match=rf"is no server of PromptLab: HTTP {status[:3]}$"):
            carry_out(lambda _replacing: there, JobRequest(verb="resume", workspace=tmp_path), {}, print)
        other.join()
