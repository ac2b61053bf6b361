"""The Host headers that MLflow's server answers: this machine's own names, to the letter."""

import json
import socket
import urllib.error
import urllib.request

import pytest

from promptlab.tracking.hosts import allowed_hosts, allowed_origins

STRANGERS = [
    "192.168.1.7.evil.example",
    "10.evil.example",
    "172.16.evil.example:5000",
    "127.0.0.1:5000.evil.example",
    "localhost.evil.example",
    "fd00:evil",
    "127.0.0.1:80",
    "[::1]:5000:evil",
    "",
]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "0.0.0.0", "::", "192.168.1.7", "chief.lan"])
def test_hosts_of_strangers_are_not_allowed(host):
    """No entry has a glob, and none is a beginning of anything."""
    allowed = allowed_hosts(host, 5000)
    assert not any("*" in one or "?" in one for one in allowed)
    assert not set(STRANGERS) & set(allowed)


@pytest.mark.parametrize(
    ("host", "called"),
    [
        ("127.0.0.1", "localhost"),
        ("127.0.0.1", "[::1]"),
        ("localhost", "127.0.0.1"),
        ("::1", "[::1]"),
        ("192.168.1.7", "192.168.1.7"),
        ("fd00::7", "[fd00::7]"),
        ("chief.lan", "chief.lan"),
        ("0.0.0.0", "localhost"),
        ("0.0.0.0", "127.0.0.1"),
        ("0.0.0.0", socket.gethostname().lower()),
        ("::", "[::1]"),
    ],
)
def test_host_that_is_ours_is_allowed_with_its_port_and_without(host, called):
    """Browsers send the port; some proxies do not."""
    allowed = allowed_hosts(host, 5000)
    assert {called, f"{called}:5000"} <= set(allowed)
    assert f"http://{called}:5000" in allowed_origins(host, 5000)


def test_host_of_a_proxy_is_allowed_where_it_is_named(monkeypatch):
    """By whoever serves, or by MLflow's own variable, which may have globs: those are its user's."""
    monkeypatch.setenv("MLFLOW_SERVER_ALLOWED_HOSTS", "*.example.org, lab")
    allowed = allowed_hosts("127.0.0.1", 5000, ["notebook.example"])
    assert {"notebook.example", "notebook.example:5000", "*.example.org", "lab"} <= set(allowed)


def check_hosts(url):
    """Of a server at all addresses: reading and writing by its own names, nothing by another.

    ``test_server.py`` asks it of a server that it has.
    """

    def ask(host, origin=None):
        request = urllib.request.Request(
            f"{url}/api/2.0/mlflow/experiments/search", data=json.dumps({"max_results": 1}).encode(),
            headers={"Content-Type": "application/json", "Host": host} | ({"Origin": origin} if origin else {}),
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    port = url.rpartition(":")[2]
    named = f"{socket.gethostname().lower()}:{port}"
    assert [ask(host) for host in STRANGERS if host] == [403] * (len(STRANGERS) - 1)
    assert ask(f"127.0.0.1:{port}") == 200
    assert ask(named, origin=f"http://{named}") == 200
    assert ask(named, origin="http://evil.example") == 403
