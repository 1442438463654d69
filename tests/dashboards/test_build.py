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

from dashboards import build, fleet, run
from stream import resources
from stream.web.macros import variables_in

BOARDS: dict[str, dict[str, Any]] = {name: json.loads(text) for name, text in build.render().items()}
PANELS = [(name, panel) for name, board in BOARDS.items() for panel in board["panels"]]
PANEL_IDS = [f"{name}:{panel['title']}" for name, panel in PANELS]


def _queries() -> list[str]:
    panels = [target["rawSql"] for _, panel in PANELS for target in panel["targets"]]
    annotations = [
        mark["target"]["rawSql"] for board in BOARDS.values() for mark in board["annotations"].get("list", ())
    ]
    return panels + annotations


def test_checked_in_json_is_fresh() -> None:
    """What is checked in is what the builders make; `make dashboards` writes it."""
    assert build.check() == []


def test_check_names_what_is_wrong(tmp_path: Path) -> None:
    """Missing, stale and left-over files are each named with the cure."""
    paths = build.build(tmp_path)
    assert [path.name for path in paths] == ["fleet.json", "run.json"]
    assert build.check(tmp_path) == []
    paths[0].unlink()
    paths[1].write_text("{}")
    (tmp_path / "old.json").write_text("{}")
    assert build.check(tmp_path) == [
        "fleet.json: missing; run `make dashboards`",
        "old.json: no builder makes it; delete it",
        "run.json: not what its builder makes; run `make dashboards`",
    ]


def test_uids_are_fixed() -> None:
    """Addresses of dashboards do not change."""
    assert {board["uid"] for board in BOARDS.values()} == {"trainwarden-fleet", "trainwarden-run"}
    assert resources.path("dashboards") == build.GENERATED


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=PANEL_IDS)
def test_each_panel_explains_itself(name: str, panel: dict[str, Any]) -> None:
    """A panel has a title, a description, and a unit where it shows numbers."""
    assert panel["title"]
    assert panel["description"].endswith(".")
    if panel["type"] != "logs":
        assert panel["fieldConfig"]["defaults"]["unit"]


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


@pytest.mark.parametrize("sql", _queries(), ids=lambda sql: re.sub(r"\s+", " ", sql)[:40])
def test_queries_read_within_bounds(sql: str) -> None:
    """No query reads all columns or all time, or sets what a read-only user may not."""
    assert "*" not in re.sub(r"count\(\*\)|\) \* uniq", "", sql)
    assert "SETTINGS" not in sql
    assert "train_runs" in sql or "$__timeFilter" in sql
    assert "LIMIT" in sql or "GROUP BY" in sql or "count" in sql or "uniqExact" in sql or "run = " in sql


def test_run_queries_are_of_the_chosen_run() -> None:
    """Every query of the *Run* dashboard asks for the chosen run, and only for variables that exist."""
    known = {variable["name"] for variable in BOARDS["run.json"]["templating"]["list"]}
    for panel in BOARDS["run.json"]["panels"]:
        for target in panel["targets"]:
            used = variables_in(target["rawSql"])
            assert "run" in used, panel["title"]
            assert used <= known, panel["title"]


def test_dashboards_link_to_each_other() -> None:
    """One click leads from a run in *Fleet* to *Run*, and back."""
    table = next(
        panel
        for panel in BOARDS["fleet.json"]["panels"]
        if panel["title"] == "Runs" and panel["type"] == "table"
    )
    links = [
        p["value"] for o in table["fieldConfig"]["overrides"] for p in o["properties"] if p["id"] == "links"
    ]
    assert links[0][0]["url"] == "/d/trainwarden-run?var-run=${__data.fields.run:percentencode}"
    assert BOARDS["run.json"]["links"][0]["url"] == "/d/trainwarden-fleet"
    assert BOARDS["fleet.json"]["links"][0]["url"] == "/d/trainwarden-run"


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
    assert fleet.build().build().uid != run.build().build().uid


def test_without_the_sdk_the_message_is_clear(tmp_path: Path) -> None:
    """Where the SDK is missing (Python 3.10), importing says what is needed and what works without."""
    blocked = "import sys; sys.modules['grafana_foundation_sdk'] = None; import dashboards"
    done = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert (
        "expected the package grafana-foundation-sdk==0.0.21, found none; it needs Python 3.11" in done.stderr
    )
    assert "pip install 'trainwarden[dashboards]'" in done.stderr
