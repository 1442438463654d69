"""Who may look: nobody without the token, once the viewer listens beyond the loopback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dashboards.rig import ending, start_viewer
from tests.fixtures import free_port, http_request

TOKEN = "correct horse battery staple"


@pytest.fixture(scope="module")
def locked(empty_history: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a viewer that listens on all addresses."""
    log = tmp_path_factory.mktemp("locked") / "viewer.log"
    child, url = start_viewer(log, empty_history, host="0.0.0.0", token=TOKEN)
    with ending(child):
        yield url


@pytest.mark.parametrize("path", ["/api/dashboards", "/api/incidents", "/static/main.js", "/", "/nowhere"])
def test_nothing_is_told_without_the_token(locked: str, path: str) -> None:
    """Data and code answer 401; the page asks for the token, and names nothing of the history."""
    answer = http_request("GET", f"{locked}{path}")
    assert answer.status == 401
    assert b"trainwarden-fleet" not in answer.body
    assert (b"The token of this viewer" in answer.body) == (path in ("/", "/nowhere"))
    for wrong in ("wrong", "", TOKEN[:-1], "\xe9"):
        headers = {"Authorization": f"Bearer {wrong}", "Cookie": f"trainwarden_viewer={TOKEN}"}
        assert http_request("GET", f"{locked}{path}", headers=headers).status == 401


def test_nothing_is_decided_without_the_token(locked: str) -> None:
    """A post is refused before anybody reads what it asks for."""
    headers = {"Content-Type": "application/json", "X-Trainwarden": "decide"}
    assert http_request("POST", f"{locked}/api/decide", b"{}", headers).status == 401


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_need_no_token(locked: str, path: str) -> None:
    """What starts and watches the viewer need not know it."""
    assert http_request("GET", f"{locked}{path}").status == 200


def test_a_bearer_reads(locked: str) -> None:
    """Programs send it as a header."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert http_request("GET", f"{locked}/api/dashboards", headers=headers).status == 200


@pytest.mark.parametrize("way", ["address", "form"])
def test_a_browser_gives_it_once(locked: str, way: str) -> None:
    """By the address or the form; a cookie remembers, without the token in it, and scripts cannot read it."""
    encoded = TOKEN.replace(" ", "+")
    if way == "address":
        answer = http_request("GET", f"{locked}/?theme=x&token={encoded}")
        assert answer.headers["location"] == "/?theme=x"
    else:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = http_request("POST", f"{locked}/login", f"token={encoded}".encode(), form)
        assert answer.headers["location"] == "/"
    assert answer.status == 303
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert TOKEN not in cookie
    known = {"Cookie": cookie.partition(";")[0]}
    assert http_request("GET", f"{locked}/api/dashboards", headers=known).status == 200
    wrong = http_request("GET", f"{locked}/?token=wrong")
    assert (wrong.status, b"That is not it." in wrong.body) == (401, True)


def test_without_one_it_is_made_and_said(empty_history: str, tmp_path: Path) -> None:
    """A viewer for all that was given no token is not open: the log holds the address that opens it."""
    log = tmp_path / "viewer.log"
    child, url = start_viewer(log, empty_history, host="0.0.0.0")
    with ending(child):
        assert http_request("GET", f"{url}/api/dashboards").status == 401
        said = log.read_text()
        assert "set TRAINWARDEN_VIEW_TOKEN to keep the token" in said
        token = said.partition("?token=")[2].split()[0]
        headers = {"Authorization": f"Bearer {token}"}
        assert http_request("GET", f"{url}/api/dashboards", headers=headers).status == 200


def test_a_short_token_is_refused() -> None:
    """One clear error, with the cure."""
    code = (
        f"from stream import web; web.run(clickhouse='http://127.0.0.1:1', port={free_port()}, token='abc')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert "TRAINWARDEN_VIEW_TOKEN: expected at least 16 characters, got 3" in done.stderr
    assert "openssl rand -hex 32" in done.stderr
