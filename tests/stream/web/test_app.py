"""The viewer's HTTP face, against a real history."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.dashboards.rig import RUN, start_viewer
from tests.dashboards.story import select
from tests.fixtures import Answer, free_port, http_request

EVERYTHING = {"var-run": RUN, "var-attempt": "$__all", "var-rank": "$__all", "from": "now-4h", "to": "now"}
"""More than any session of tests takes: the runs ended when its history was made."""
LOSS = {"dashboard": "trainwarden-run", "panel": "11", "ref": "A", **EVERYTHING}


def _get(
    viewer: str, path: str, query: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    return http_request("GET", f"{viewer}{path}?{urlencode(query or {})}", headers=headers)


def _json(viewer: str, path: str, **query: str) -> Any:
    answer = _get(viewer, path, query)
    assert answer.status == 200, answer.body.decode()
    return json.loads(answer.body)


def test_it_is_healthy_and_ready(viewer: str) -> None:
    """Both probes say yes while ClickHouse answers."""
    assert _get(viewer, "/healthz").body == b"ok\n"
    assert _get(viewer, "/readyz").body == b"ready\n"


def test_dashboards_are_listed_and_read(viewer: str) -> None:
    """All seven dashboards by uid, with the names of their variables."""
    found = {board["uid"]: board for board in _json(viewer, "/api/dashboards")}
    names = ("checkpoints", "fleet", "incidents", "pipeline", "ranks", "rl", "run")
    assert sorted(found) == [f"trainwarden-{name}" for name in names]
    assert {"run", "attempt", "rank"} <= set(found["trainwarden-run"]["variables"])
    assert _json(viewer, "/api/dashboards/trainwarden-run")["title"] == "Run"


def test_a_panel_gives_its_frame(viewer: str) -> None:
    """The loss of the run, in buckets that fit the points asked for."""
    frame = _json(viewer, "/api/query", points="300", **LOSS)
    assert frame["interval"] == 60_000
    assert [line["name"] for line in frame["series"]] == ["attempt 0"]
    assert len(frame["times"]) == len(frame["series"][0]["values"]) > 0


def test_an_unchanged_answer_costs_nothing(viewer: str) -> None:
    """With the tag of the last answer, an equal one is 304 without a body."""
    query = {"dashboard": "trainwarden-run", "panel": "2", "ref": "A", **EVERYTHING}
    first = _get(viewer, "/api/query", query)
    again = _get(viewer, "/api/query", query, {"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


def test_large_answers_are_compressed(viewer: str) -> None:
    """The page's JavaScript asks for gzip and gets it."""
    answer = _get(viewer, "/api/dashboards/trainwarden-run", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(answer.body))["uid"] == "trainwarden-run"


def test_variables_have_choices_and_a_choice(viewer: str) -> None:
    """Runs by name, newest first; what was asked for is chosen where it exists, else the first or All."""
    query = {"dashboard": "trainwarden-run", "var-run": "gone"}
    found = {variable["name"]: variable for variable in _json(viewer, "/api/variables", **query)}
    run, attempt, rank = found["run"], found["attempt"], found["rank"]
    assert [option["value"] for option in run["options"]] == ["run-a", "run-c", "run-b", "run-d"]
    assert run["options"][0]["text"].startswith("char-gpt, 2")
    assert run["options"][3]["text"] == "run-d"
    assert (run["current"], attempt["current"], rank["current"]) == (["run-a"], ["$__all"], ["$__all"])
    chosen = _json(
        viewer, "/api/variables", dashboard="trainwarden-run", **{"var-run": "run-b", "var-rank": "0"}
    )
    current = {variable["name"]: variable["current"] for variable in chosen}
    assert (current["run"], current["attempt"], current["rank"]) == (["run-b"], ["$__all"], ["0"])


def test_annotations_and_span(viewer: str) -> None:
    """Marks for the curves, and from when to when the run was heard of."""
    diagnoses, commands = _json(viewer, "/api/annotations", dashboard="trainwarden-run", **EVERYTHING)
    assert [event["title"] for event in diagnoses["events"] + commands["events"]] == ["Diagnosis"] * 2 + [
        "Command"
    ] * 2
    span = _json(viewer, "/api/span", run=RUN)
    assert span["state"] == "finished"
    assert 8_000 < span["last"] - span["started"] < 10_000
    assert _json(viewer, "/api/span", run="gone") is None


@pytest.mark.parametrize(
    ("path", "query", "status", "message"),
    [
        (
            "/api/query",
            {"dashboard": "x"},
            404,
            "dashboard 'x': not one of trainwarden-checkpoints, trainwarden-fleet",
        ),
        ("/api/dashboards/x", {}, 404, "dashboard 'x': not one of"),
        ("/api/query", LOSS | {"panel": "999"}, 404, "dashboard trainwarden-run: no query 'A' in panel 999"),
        ("/api/query", LOSS | {"panel": "9e9"}, 400, "panel: expected a whole number, got '9e9'"),
        ("/api/query", LOSS | {"points": "-1"}, 400, "points: expected a whole number, got '-1'"),
        (
            "/api/query",
            LOSS | {"from": "noon"},
            400,
            "time: expected now, now-15m or Unix milliseconds, got 'noon'",
        ),
        ("/api/query", LOSS | {"to": "now-5h"}, 400, "expected `from` before `to`"),
        ("/api/query", {"dashboard": "trainwarden-run", "panel": "11"}, 400, "variable `run` has no value"),
    ],
)
def test_bad_requests_are_told_so(
    viewer: str, path: str, query: dict[str, str], status: int, message: str
) -> None:
    """One clear error, as JSON."""
    answer = _get(viewer, path, query)
    assert answer.status == status
    assert message in json.loads(answer.body)["error"]


@pytest.mark.parametrize(
    "value", ["' OR 1=1 --", "\\", "x') UNION ALL SELECT version() --", "\0", "\udcff", "$run"]
)
def test_a_value_cannot_change_the_query(viewer: str, history: str, value: str) -> None:
    """A hostile run name is a run that does not exist, and the history stays as it was."""
    rows = select(history, "SELECT count() FROM train_steps")
    query = urlencode({**LOSS, "var-run": value}, errors="surrogateescape")
    answer = http_request("GET", f"{viewer}/api/query?{query}")
    assert answer.status == 200, answer.body
    assert json.loads(answer.body)["series"] == []
    assert select(history, "SELECT count() FROM train_steps") == rows


def test_sql_of_the_browser_is_ignored(viewer: str) -> None:
    """There is no parameter that carries SQL."""
    answer = _json(viewer, "/api/query", **LOSS, sql="SELECT 1", rawSql="SELECT 1", query="SELECT 1")
    assert [line["name"] for line in answer["series"]] == ["attempt 0"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8400", 200), ("localhost", 200), ("[::1]:80", 200), ("trainwarden.localhost:1", 200),
        ("evil.example", 421), ("evil.example:8400", 421), ("127.0.0.1.evil.example", 421), ("10.0.0.1", 421),
    ],
)  # fmt: skip
def test_foreign_hosts_are_refused(viewer: str, host: str, status: int) -> None:
    """A name elsewhere that was made to lead to the loopback reads nothing (DNS rebinding)."""
    answer = _get(viewer, "/api/dashboards", headers={"Host": host})
    assert answer.status == status
    if status == 421:
        assert b"Host: expected localhost or 127.0.0.1, got" in answer.body


def test_other_sites_are_refused(viewer: str) -> None:
    """A page of another site cannot make the browser ask us."""
    answer = _get(viewer, "/api/dashboards", headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer.status, answer.body) == (403, b"another site may not read this history\n")


def test_the_page_may_load_nothing_from_elsewhere(viewer: str) -> None:
    """The policy of every answer allows our own files only, and nothing inline."""
    for path in ("/", "/static/main.js", "/api/dashboards", "/nowhere"):
        policy = _get(viewer, path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy


def test_static_files_name_no_other_host() -> None:
    """Our page has no address of another machine in it."""
    static = Path(__file__).parents[3] / "stream" / "web" / "static"
    ours = [
        path
        for path in static.rglob("*")
        if path.suffix in (".js", ".css", ".html") and "vendor" not in path.parts
    ]
    assert len(ours) > 15
    for path in ours:
        assert "://" not in path.read_text(), path


def test_without_clickhouse_it_says_so(tmp_path: Path) -> None:
    """The viewer starts before ClickHouse does; until then it is not ready, and says what is missing."""
    port = free_port()
    child, url = start_viewer(tmp_path / "viewer.log", f"http://127.0.0.1:{port}")
    try:
        answer = _get(url, "/readyz")
        assert answer.status == 503
        assert f"ClickHouse at http://127.0.0.1:{port} does not answer" in json.loads(answer.body)["error"]
    finally:
        assert child.stop() == 0


def test_a_busy_port_is_one_clear_error(viewer: str) -> None:
    """A second viewer on the same port ends with the cure."""
    port = int(viewer.rpartition(":")[2])
    code = f"from stream import web; web.run(clickhouse='http://127.0.0.1:1', port={port})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert f"ViewerError: viewer: cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "choose another with --port" in done.stderr
