"""The generated JSON is a Grafana dashboard: the models of Grafana's own SDK read it and lose nothing."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from typing import Any

import pytest

if int(platform.python_version_tuple()[1]) < 11:
    pytest.skip("the dashboards' SDK needs Python 3.11", allow_module_level=True)

from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import build, query

plugins.register_default_plugins()

BOARDS: dict[str, dict[str, Any]] = {name: json.loads(text) for name, text in build.render().items()}
_OURS = ("customSql", "rawQuery", "preset")
"""What the ClickHouse plugin adds to an annotation: no part of Grafana's schema."""


def _known(board: dict[str, Any]) -> dict[str, Any]:
    marks = board["annotations"].get("list", [])
    stripped = [{key: value for key, value in mark.items() if key not in _OURS} for mark in marks]
    return {**board, "annotations": {**board["annotations"], "list": stripped}}


def _lost(wanted: Any, got: Any, path: str = "") -> Iterator[str]:
    """Where the two differ."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        for key in sorted(set(wanted) | set(got)):
            yield from _lost(wanted.get(key), got.get(key), f"{path}.{key}")
    elif isinstance(wanted, list) and isinstance(got, list) and len(wanted) == len(got):
        for index, (one, other) in enumerate(zip(wanted, got, strict=True)):
            yield from _lost(one, other, f"{path}[{index}]")
    elif wanted != got:
        yield f"{path}: {wanted!r} became {got!r}"


def _again(board: dict[str, Any]) -> dict[str, Any]:
    """The dashboard, read by the SDK's models and written by them."""
    text = json.dumps(Dashboard.from_json(json.loads(json.dumps(board))), cls=JSONEncoder)
    return dict(json.loads(text))


@pytest.mark.parametrize("name", BOARDS)
def test_grafanas_models_read_all_of_it(name: str) -> None:
    """Every field of dashboard, panel, options, field settings, variable and annotation is one they know."""
    board = _known(BOARDS[name])
    assert list(_lost(board, _again(board))) == []


def test_a_field_that_grafana_does_not_know_is_found() -> None:
    """The check can fail: a misspelt option, and a field in the wrong place."""
    board = _known(json.loads(json.dumps(BOARDS["run.json"])))
    curve = next(panel for panel in board["panels"] if panel["type"] == "timeseries")
    curve["options"]["legendd"] = {}
    curve["lineWidth"] = 2
    lost = list(_lost(board, _again(board)))
    assert [text.split(":")[0].split(".")[-1] for text in lost] == ["lineWidth", "legendd"]


@pytest.mark.parametrize("name", BOARDS)
def test_queries_are_as_the_plugin_stores_them(name: str) -> None:
    """Each target has the plugin's fields and a format that fits its panel."""
    forms = {"timeseries": 0, "heatmap": 0, "logs": 2}
    for panel in BOARDS[name]["panels"]:
        for target in panel.get("targets", ()):
            assert target["datasource"] == {"type": query.PLUGIN, "uid": "${datasource}"}
            assert target["editorType"] == "sql"
            assert target["format"] == forms.get(panel["type"], 1), panel["title"]


KINDS = {"row", "timeseries", "trend", "heatmap", "barchart", "bargauge", "stat", "table", "logs"}


@pytest.mark.parametrize("name", BOARDS)
def test_only_kinds_that_the_viewer_draws_too(name: str) -> None:
    """docs/dashboards.md lists them."""
    assert {panel["type"] for panel in BOARDS[name]["panels"]} <= KINDS
    assert BOARDS[name]["schemaVersion"] == 41 or BOARDS[name]["schemaVersion"] >= 39
