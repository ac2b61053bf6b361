"""A page is open for as long as somebody asks for it, in whichever server there is."""

import json
import socket
import threading
from contextlib import contextmanager

import pytest

from promptlab import __version__
from promptlab.errors import InputError, ServerError
from promptlab.serving.connection import Endpoint, request
from promptlab.serving.messages import PageAddress, PageOrder
from promptlab.serving.page_host import OpenedPage
from promptlab.serving.page_lease import PageLease
from promptlab.wire import encode
from tests.serving.running import running_server

pytestmark = pytest.mark.slow


class Pages:
    """Opens pages that nobody looks at, and remembers which."""

    def __init__(self):
        self.orders, self.told = [], []
        self.opened, self.closed = threading.Semaphore(0), threading.Semaphore(0)

    @contextmanager
    def open(self, order, _server):
        if order.port == 1:
            raise InputError("port", 1, problem="is taken")
        self.orders.append(order)
        self.opened.release()
        address = PageAddress(port=order.port or 7870, token=order.token or "secret")
        try:
            yield OpenedPage(address=address, show_mlflow=self.told.append)
        finally:
            self.closed.release()


@pytest.fixture
def pages():
    return Pages()


def lease_of(place, workspace, port=None, asked=None):
    def find(replacing):
        if asked is not None:
            asked.append(replacing)
        return Endpoint(socket=place.socket)

    return PageLease(find, PageOrder(workspace=workspace, port=port))


def test_page_is_one_for_all_who_ask_and_gone_with_the_last(pages, painter, place, tmp_path):
    """Two commands that open the page of a workspace see one page; another workspace has its own."""
    with running_server(painter, place=place, open_page=pages.open) as find:
        first, second = lease_of(place, tmp_path), lease_of(place, tmp_path)
        assert first.open() == second.open() == PageAddress(port=7870, token="secret")
        with pytest.raises(InputError, match="port 7999 is another than 7870"):
            lease_of(place, tmp_path, 7999).open()
        other = lease_of(place, tmp_path / "other", 7999)
        assert other.open().port == 7999
        listed = request(find(), "GET", "/pages")["pages"]
        assert [(page["workspace"], page["page"]["port"]) for page in listed] == [
            (str(tmp_path), 7870), (str(tmp_path / "other"), 7999),
        ]  # fmt: skip
        assert len(pages.orders) == 2
        first.show_mlflow("http://127.0.0.1:5000")
        assert pages.told == ["http://127.0.0.1:5000"]
        assert request(find(), "GET", "/status")["status"].get("seconds_left") is None  # it stays for them
        first.close()
        second.close()
        pages.closed.acquire()
        assert len(request(find(), "GET", "/pages")["pages"]) == 1
        other.close()
        pages.closed.acquire()


def test_page_whose_client_is_gone_before_it_is_open_is_closed(pages, painter, place, tmp_path):
    """Ctrl-C while a page is being opened: it is not left open for nobody, and its server does not stay for it."""
    may, slow = threading.Event(), Pages()

    @contextmanager
    def open_slowly(order, server):
        pages.opened.release()
        may.wait()
        with slow.open(order, server) as page:
            yield page

    with running_server(painter, place=place, open_page=open_slowly) as find:
        body = json.dumps({"promptlab": __version__, "order": encode(PageOrder(workspace=tmp_path))})
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(place.socket))
            client.sendall(
                f"POST /page HTTP/1.0\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            pages.opened.acquire()
        request(find(), "GET", "/status")  # by now it is noticed that the client is gone
        may.set()
        slow.closed.acquire()
        assert request(find(), "GET", "/pages")["pages"] == []


def test_page_is_opened_again_in_the_next_server_with_the_same_keys(pages, painter, place, tmp_path):
    """At the same port with the same token, so that a browser reconnects; and MLflow's pages are where they were."""
    asked = []
    lease = lease_of(place, tmp_path, asked=asked)
    with running_server(painter, place=place, open_page=pages.open):
        address = lease.open()
        assert asked == [False]
        lease.show_mlflow("http://127.0.0.1:5000")
        pages.opened.acquire()
    pages.closed.acquire()
    with running_server(painter, place=place, open_page=pages.open):
        pages.opened.acquire()
        lease.close()
    assert asked[2:] == [True] * len(asked[2:])  # whoever finds servers is told to start the next
    again = pages.orders[-1]
    assert (again.port, again.token, again.mlflow_url) == (address.port, address.token, "http://127.0.0.1:5000")


def test_page_that_cannot_be_opened_says_why(pages, painter, place, tmp_path):
    """The port is taken; there is no page in this server; no server."""
    with running_server(painter, place=place, open_page=pages.open), pytest.raises(InputError, match="is taken"):
        lease_of(place, tmp_path, 1).open()
    with running_server(painter, place=place), pytest.raises(ServerError, match="has no pages"):
        lease_of(place, tmp_path).open()
    with pytest.raises(ServerError, match="does not answer"):
        lease_of(place, tmp_path).open()
