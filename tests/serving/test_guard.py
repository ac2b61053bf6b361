"""Who may ask a server for anything: whoever has the token, at its own address, and no page of another site."""

import asyncio
import json

import pytest

from promptlab.serving.guard import Guard

TOKEN = {"authorization": "Bearer secret"}


def asked(headers, **settings):
    """Return the status, and the sentence of a refusal."""
    sent = []

    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "headers": [(name.encode(), value.encode()) for name, value in headers.items()]}
    asyncio.run(Guard(app, **settings)(scope, None, send))
    told = json.loads(sent[1]["body"])
    return sent[0]["status"], told.get("error", {}).get("message", "")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:7860", "[::1]:7860", "box:7860", "BOX", "192.168.1.7:7860"])
def test_guard_request_with_token_at_an_own_name_is_let_through(host):
    """By a number, or by a name that is the machine's; a page of the server itself, too."""
    assert asked({"host": host, **TOKEN}, token="secret", hosts=["box"]) == (200, "")
    own = {"host": host, "origin": f"http://{host}", **TOKEN}
    assert asked(own, token="secret", hosts=["box"]) == (200, "")


@pytest.mark.parametrize(
    "given", [None, "Bearer wrong", "secret", "Basic secret", "Bearer ", "Bearer secret2", "Bearer s\xe9cret"]
)
def test_guard_request_without_the_token_is_refused_in_a_line(given):
    """401, and what to set; the token itself is not said."""
    headers = {"host": "localhost"} if given is None else {"host": "localhost", "authorization": given}
    status, sentence = asked(headers, token="secret")
    assert status == 401
    assert sentence == "the token is missing or wrong; set PROMPTLAB_SERVER_TOKEN to that of the server"


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "evil.example:7860"},
        {"host": "localhost.evil.example"},
        {"host": ""},
        {},
        {"host": "[::1"},
        {"host": "localhost", "origin": "https://evil.example"},
        {"host": "localhost:7860", "origin": "http://localhost:3000"},
        {"host": "localhost", "origin": "null"},
    ],
)
def test_guard_page_elsewhere_is_refused(headers):
    """A browser sends such requests for any page it shows: by a name that points here, or with its origin."""
    assert asked({**headers, **TOKEN}, token="secret")[0] == 403
    assert asked(headers)[0] == 403


def test_guard_of_a_socket_of_the_user_asks_for_no_token():
    """Only the user reaches it, and it goes by one name."""
    assert asked({"host": "localhost"}) == (200, "")
    assert asked({"host": "192.168.1.7"})[0] == 403
