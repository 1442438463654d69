"""The page's files: it knows each type of panel that our dashboards use; vendored code is what it was."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

from stream import resources
from stream.web.boards import load, panels_of

STATIC = Path(__file__).parents[3] / "stream" / "web" / "static"
VENDOR = STATIC / "vendor"
BOARDS = load(resources.path("dashboards"))


def _kinds() -> set[str]:
    source = (STATIC / "draw" / "kinds.js").read_text()
    body = source.partition("export const KINDS = {")[2].partition("};")[0]
    return set(re.findall(r'^\s*"?([\w-]+)"?: \w+,$', body, re.MULTILINE))


def _transformations() -> set[str]:
    source = (STATIC / "draw" / "kinds.js").read_text()
    return set(re.findall(r'"(\w+)"', source.partition("export const TRANSFORMATIONS = ")[2]))


def _units() -> set[str]:
    source = (STATIC / "units.js").read_text()
    body = source.partition("const FORMATS = {")[2].partition("\n};")[0]
    return {"none", "string", *re.findall(r'^  "?([\wµ]+)"?:', body, re.MULTILINE)}


def test_the_list_of_types_is_read() -> None:
    """What this file takes for the list is the list, and lacks what the viewer does not draw."""
    assert {"timeseries", "stat", "table", "logs", "heatmap", "state-timeline", "trend"} <= _kinds()
    assert not {"geomap", "piechart", "row"} & _kinds()


@pytest.mark.parametrize("uid", sorted(BOARDS))
def test_every_panel_can_be_drawn(uid: str) -> None:
    """Types, transformations and units of all panels are known to the page."""
    for panel in panels_of(BOARDS[uid].json):
        where = f"{uid}: {panel.get('title')}"
        assert panel["type"] in _kinds() | {"row"}, where
        assert {one["id"] for one in panel.get("transformations", ())} <= _transformations(), where
        config = panel.get("fieldConfig") or {}
        units = [config.get("defaults", {}).get("unit")]
        units += [
            one["value"]
            for rule in config.get("overrides", ())
            for one in rule["properties"]
            if one["id"] == "unit"
        ]
        named = {unit for unit in units if unit and ":" not in unit}
        assert named <= _units(), where


def test_vendored_files_are_unchanged() -> None:
    """Each file has the hash of its lock; each package its licence beside it and its version in it."""
    lock = json.loads((VENDOR / "package.json").read_text())
    for path, integrity in lock["files"].items():
        kind, _, expected = integrity.partition("-")
        digest = hashlib.new(kind, (VENDOR / path).read_bytes()).digest()
        assert base64.b64encode(digest).decode() == expected, path
    vendored = {path.name for path in VENDOR.iterdir()} - {"package.json"}
    assert vendored == set(lock["files"])
    for name, package in lock["dependencies"].items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", package["version"]), name
        assert package["integrity"].startswith("sha512-"), name
        assert package["license"] == "MIT", name
        assert f"(v{package['version']})" in (VENDOR / f"{name}.js").read_text(), name
        assert "The MIT License" in (VENDOR / f"{name}.LICENSE").read_text()
