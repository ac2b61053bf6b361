"""Who may see a page, and change something: whoever opened the first address, and no page of another site."""

import os
import time

import pytest

from promptlab.page.gate import ticket
from tests.page.serving import page_of

EVERYTHING = ["/api/state", "/api/runs", "/api/runs/1", "/api/words?text=a", "/api/events", "/images/1/0.png",
              "/thumbs/1/0", "/grids/1.png", "/reports/1.html", "/reports/00001/report.html", "/mlflow", "/mlflow/1",
              "/api/model", "/nothing"]  # fmt: skip


@pytest.mark.parametrize("path", EVERYTHING)
def test_page_without_the_cookie_answers_nothing_of_the_workspace(idle_page, path):
    """401 for each address but the static ones, with no cookie and with a wrong one."""
    assert idle_page.ask("GET", path, cookie=None).status == 401
    assert idle_page.ask("GET", path, cookie=f"promptlab_{idle_page.where.port}=wrong").status == 401


def test_page_first_address_gives_a_cookie_and_goes_away(idle_page):
    """The token is in no address that a browser keeps; the cookie is read by no script and sent by no other site."""
    answer = idle_page.ask("GET", f"/run/3/1?token={idle_page.where.token}&experiment=a%20b", cookie=None)
    assert (answer.status, answer.headers["location"]) == (303, "/run/3/1?experiment=a+b")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert idle_page.where.token not in cookie
    elsewhere = idle_page.ask("GET", f"//evil.example/?token={idle_page.where.token}", cookie=None)
    assert elsewhere.headers["location"] == "/evil.example/"


@pytest.mark.parametrize("other", ['theme={"dark": true}', "said=two words", "path=/", "=", "a"])
def test_page_cookie_is_found_among_those_of_other_programs(idle_page, other):
    """All ports of a machine share their cookies, and some programs' are not as the standard has them."""
    assert idle_page.ask("GET", "/api/state", cookie=f"{other}; {idle_page.cookie}; {other}").status == 200


@pytest.mark.parametrize("token", ["", "wrong", "é"])
def test_page_wrong_token_gives_no_cookie(idle_page, token):
    """And says what to type."""
    from urllib.parse import quote

    answer = idle_page.ask("GET", f"/?token={quote(token)}", cookie=None)
    assert answer.status == 401
    assert "set-cookie" not in answer.headers
    assert b"promptlab ui" in answer.body


def test_page_ticket_opens_it_once(idle_page):
    """It is what a browser's command line says, which other users of the machine can read."""
    once = ticket(idle_page.where.token)
    opened = idle_page.ask("GET", f"/run/3?token={once}", cookie=None)
    assert (opened.status, opened.headers["location"]) == (303, "/run/3")
    assert opened.headers["set-cookie"].startswith(idle_page.cookie)
    assert idle_page.ask("GET", f"/?token={once}", cookie=None).status == 401
    late, early = (ticket(idle_page.where.token, now=time.time() + by) for by in (-120, 120))
    for wrong in (late, early, ticket("another"), f"9{ticket(idle_page.where.token)}", "1-2-3"):
        assert idle_page.ask("GET", f"/?token={wrong}", cookie=None).status == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"}, {"Host": "127.0.0.1"}, {"Host": "127.0.0.1:1"},
        {"Host": "localhost.evil.example:{port}"},
        {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://127.0.0.1:{port}"}, {"Origin": "http://localhost:{port}"},
        {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ],
    ids=str,
)  # fmt: skip
def test_page_request_of_another_site_is_refused(idle_page, headers):
    """By its host (DNS rebinding), its origin, or what the browser says of where it comes from; cookie or not."""
    told = {name: value.format(port=idle_page.where.port) for name, value in headers.items()}
    assert idle_page.ask("GET", "/api/state", headers=told).status == 403
    assert idle_page.post("/api/votes", {"winner": "1/0", "loser": "1/1"}, **told).status == 403


def test_page_of_its_own_is_let_through(idle_page):
    """With its own host and origin, as a browser sends them."""
    own = {"Origin": idle_page.url, "Sec-Fetch-Site": "same-origin", "Host": f"127.0.0.1:{idle_page.where.port}"}
    assert idle_page.ask("GET", "/api/state", headers=own).status == 200
    assert idle_page.post("/api/plan", {"prompt": "a"}, **own).status == 200
    assert idle_page.ask("GET", "/api/state", headers={"Host": f"localhost:{idle_page.where.port}"}).status == 200


def test_page_link_from_another_site_opens_the_document(idle_page):
    """A report on disk, or MLflow's page, may link to a run; nothing of the workspace is in that answer."""
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    answer = idle_page.ask("GET", "/run/3/1", headers=headers, cookie=None)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert idle_page.ask("POST", "/run/3/1", b"", headers, cookie=None).status == 403


@pytest.mark.parametrize("path", ["/api/jobs", "/api/votes", "/api/images/1/0/rating", "/api/import", "/api/plan"])
def test_page_change_without_the_header_is_refused(idle_page, path):
    """A form of another page can send no header; a link or a picture can send no POST."""
    assert idle_page.ask("POST", path, b"{}").status == 403
    assert idle_page.ask("POST", path, b"{}", {"X-PromptLab": "wrong"}).status == 403
    assert idle_page.get(path).status in (404, 405)
    assert idle_page.ask("DELETE", "/api/jobs/1").status == 403


def test_page_answers_carry_a_strict_policy(idle_page):
    """No script, style, picture or frame of elsewhere; nothing is guessed, framed or kept."""
    for path in ("/", "/api/state", "/assets/page.js", "/nothing"):
        headers = idle_page.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self';" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
    assert idle_page.get("/api/state").headers["cache-control"] == "no-store"
    assert idle_page.get("/assets/page.js").headers["content-type"].startswith("text/javascript")


def test_page_file_is_sent_anew_where_its_content_has_changed(idle_page, assets):
    """Also where its time has not: packagers give all files one."""
    before = (assets / "page.js").stat()
    tag = idle_page.get("/assets/page.js").headers["etag"]
    assert idle_page.get("/assets/page.js", **{"If-None-Match": tag}).status == 304
    content = (assets / "page.js").read_text()
    try:
        (assets / "page.js").write_text("export { };")
        os.utime(assets / "page.js", ns=(before.st_atime_ns, before.st_mtime_ns))
        assert idle_page.get("/assets/page.js", **{"If-None-Match": tag}).status == 200
    finally:
        (assets / "page.js").write_text(content)


@pytest.mark.parametrize(
    "path",
    ["/assets/..%2f__init__.py", "/assets/%2e%2e/gate.py", "/assets/gate.py", "/assets/", "/assets/viewer/__init__.py",
     "/assets/viewer/..%2fpng.py", "/images/1/0.png%00", "/grids/1.png/../../mlflow.db", "/run/" + "9" * 5000],
)  # fmt: skip
def test_page_address_of_no_file_of_ours_is_refused(idle_page, path):
    """Only names of static files, whatever is spelled into an address."""
    assert idle_page.get(path).status in (404, 414)


def test_page_of_another_workspace_has_other_keys(idle_page, tmp_path, painter, our_tables):
    """One cookie opens one page: another port has another name for it, and another secret."""
    from tests.workspaces import prepared_workspace

    with page_of(prepared_workspace(tmp_path / "other", our_tables), painter) as other:
        assert other.ask("GET", "/api/state", cookie=idle_page.cookie).status == 401
        assert other.post("/api/plan", {"prompt": "a"}, **{"X-PromptLab": idle_page.csrf}).status == 403
