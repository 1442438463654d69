"""The builders: fresh JSON, fixed ids, units, descriptions, links; no query that reads without bounds."""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

if int(platform.python_version_tuple()[1]) < 11:
    pytest.skip("the dashboards' SDK needs Python 3.11", allow_module_level=True)

from dashboards import build, common
from stream import resources
from stream.web.macros import variables_in

BOARDS: dict[str, dict[str, Any]] = {name: json.loads(text) for name, text in build.render().items()}
PANELS = [
    (name, panel) for name, board in BOARDS.items() for panel in board["panels"] if panel["type"] != "row"
]


def _queries(name: str) -> list[str]:
    """The SQL of a dashboard's panels, annotations and variables."""
    board = BOARDS[name]
    marks = board["annotations"].get("list", ())
    variables = [variable for variable in board["templating"]["list"] if variable["type"] == "query"]
    return [
        *(target["rawSql"] for _, panel in _panels(name) for target in panel["targets"]),
        *(mark["target"]["rawSql"] for mark in marks),
        *(variable["query"]["rawSql"] for variable in variables),
    ]


def _panels(name: str) -> list[tuple[str, dict[str, Any]]]:
    return [(board, panel) for board, panel in PANELS if board == name]


def test_checked_in_json_is_fresh() -> None:
    """What is checked in is what the builders make; `make dashboards` writes it."""
    assert build.check() == []


def test_check_names_what_is_wrong(tmp_path: Path) -> None:
    """Missing, stale and left-over files are each named with the cure."""
    paths = build.build(tmp_path)
    assert [path.name for path in paths] == list(build.BUILDERS)
    assert build.check(tmp_path) == []
    (tmp_path / "fleet.json").unlink()
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "old.json").write_text("{}")
    assert build.check(tmp_path) == [
        "fleet.json: missing; run `make dashboards`",
        "old.json: no builder makes it; delete it",
        "run.json: not what its builder makes; run `make dashboards`",
    ]


def test_uids_are_fixed() -> None:
    """Addresses of dashboards do not change."""
    uids = {name.removesuffix(".json"): board["uid"] for name, board in BOARDS.items()}
    assert uids == {name: f"trainwarden-{name}" for name in uids}
    assert list(uids) == ["fleet", "run", "ranks", "checkpoints", "incidents", "rl", "pipeline"]
    assert resources.path("dashboards") == build.GENERATED


@pytest.mark.parametrize("name", BOARDS)
def test_each_panel_explains_itself(name: str) -> None:
    """A panel has a title, a description of a whole sentence, and a unit where it shows numbers."""
    for _, panel in _panels(name):
        assert panel["title"]
        assert len(panel["description"]) > 15, panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["type"] == "logs" or panel["fieldConfig"]["defaults"]["unit"], panel["title"]


@pytest.mark.parametrize("name", BOARDS)
def test_panels_do_not_overlap(name: str) -> None:
    """Every cell of the grid belongs to one panel at most, and ids are used once."""
    cells = [
        (x, y)
        for panel in BOARDS[name]["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23
    ids = [panel["id"] for panel in BOARDS[name]["panels"]]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", BOARDS)
def test_queries_read_within_bounds(name: str) -> None:
    """No query reads all columns or all time, or sets what a read-only user may not."""
    for sql in _queries(name):
        assert not re.search(r"SELECT\s+\*|SETTINGS|\bFORMAT\b", sql), sql
        bounds = ("train_runs", "$__timeFilter", "$__toTime", "system.tables", "${run:singlequote}")
        assert any(bound in sql for bound in bounds), sql
        assert re.search(r"LIMIT|GROUP BY|count|uniqExact|sum\(|[mM]ax|run = ", sql), sql


@pytest.mark.parametrize("name", BOARDS)
def test_queries_ask_for_variables_that_exist(name: str) -> None:
    """Every variable in a query is one of the dashboard, and each is used; panels of one run name it."""
    known = {variable["name"] for variable in BOARDS[name]["templating"]["list"]}
    used = {sql: variables_in(sql) for sql in _queries(name)}
    assert set().union(*used.values()) == known - {"datasource"}
    if f"trainwarden-{name.removesuffix('.json')}" in common.OF_ONE_RUN - {common.INCIDENTS_UID}:
        panels = [panel for _, panel in _panels(name) if "run" not in used[panel["targets"][0]["rawSql"]]]
        assert [panel["title"] for panel in panels] == []


def test_dashboards_link_to_each_other() -> None:
    """Each leads to all others; those of a run keep what is chosen; rows with a run lead to *Run*."""
    for name, board in BOARDS.items():
        urls = {link["url"]: link for link in board["links"]}
        assert set(urls) == {f"/d/{uid}" for uid in common.TITLES if uid != board["uid"]}, name
        for uid in common.OF_ONE_RUN - {board["uid"]}:
            keeps = board["uid"] in common.OF_ONE_RUN
            assert (urls[f"/d/{uid}"]["keepTime"], urls[f"/d/{uid}"]["includeVars"]) == (keeps, keeps)


def test_rows_of_a_run_lead_to_it() -> None:
    """Where a table has a column ``run``, its cells are links to *Run*."""
    with_run = [
        panel
        for _, panel in PANELS
        if panel["type"] == "table"
        and re.search(r"\bAS run\b|, run\b|\brun,", _outermost(panel["targets"][0]["rawSql"]))
    ]
    assert len(with_run) >= 9
    for panel in with_run:
        links = {
            override["matcher"]["options"]: prop["value"][0]["url"]
            for override in panel["fieldConfig"]["overrides"]
            for prop in override["properties"]
            if prop["id"] == "links"
        }
        assert links["run"] == "/d/trainwarden-run?var-run=${__data.fields.run:percentencode}", panel["title"]


def _outermost(sql: str) -> str:
    """What the last SELECT outside of parentheses asks for."""
    depth, flat = 0, ""
    for character in sql:
        depth += (character == "(") - (character == ")")
        flat += character if depth == 0 else ""
    return flat.rpartition("SELECT")[2].partition("FROM")[0]


def test_annotations_are_stored_as_the_plugin_stores_them() -> None:
    """SQL in the target and in customSql, table format, on the loss curve among others."""
    annotations = BOARDS["run.json"]["annotations"]["list"]
    assert [mark["name"] for mark in annotations] == ["Diagnoses", "Commands"]
    curves = [panel for panel in BOARDS["run.json"]["panels"] if panel["type"] == "timeseries"]
    loss = next(panel["id"] for panel in curves if panel["title"] == "Loss")
    for mark in annotations:
        assert mark["customSql"] == mark["target"]["rawSql"]
        assert mark["target"]["format"] == 1
        assert mark["preset"] == "custom"
        assert loss in mark["filter"]["ids"]


def test_builders_give_the_same_twice() -> None:
    """Building changes nothing that a second building would see."""
    assert build.render() == build.render()
    for text in build.render().values():
        assert json.dumps(json.loads(text), indent=2, sort_keys=True, ensure_ascii=False) + "\n" == text


def test_without_the_sdk_the_message_is_clear(tmp_path: Path) -> None:
    """Where the SDK is missing (Python 3.10), importing says what is needed and what works without."""
    blocked = "import sys; sys.modules['grafana_foundation_sdk'] = None; import dashboards"
    done = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert (
        "expected the package grafana-foundation-sdk==0.0.21, found none; it needs Python 3.11" in done.stderr
    )
    assert "pip install 'trainwarden[dashboards]'" in done.stderr
