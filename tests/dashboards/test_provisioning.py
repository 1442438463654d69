"""What Grafana is provisioned with: data source, dashboards, alert rules. Grafana itself is not run."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import yaml

from stream.web.frames import kind_of
from tests.dashboards import asking
from tests.dashboards.asking import BOARDS
from tests.dashboards.rig import RUN

DEPLOY = Path(__file__).parents[2] / "deploy"
PROVISIONING = DEPLOY / "grafana" / "provisioning"

# https://github.com/grafana/clickhouse-datasource/blob/v4.20.0/src/types/config.ts
_SETTINGS = {
    "host", "port", "protocol", "secure", "path", "username", "defaultDatabase", "defaultTable",
    "dialTimeout", "queryTimeout", "logs", "traces", "validateSql", "tlsSkipVerify",
    "connMaxLifetime", "maxIdleConns", "maxOpenConns", "enableRowLimit",
}  # fmt: skip


def _read(path: str) -> dict[str, Any]:
    return dict(yaml.safe_load((PROVISIONING / path).read_text(encoding="utf-8")))


COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
GROUP: dict[str, Any] = _read("alerting/trainwarden.yaml")["groups"][0]
RULES: list[dict[str, Any]] = GROUP["rules"]


def _source() -> dict[str, Any]:
    (source,) = _read("datasources/clickhouse.yaml")["datasources"]
    return dict(source)


def test_the_data_source_is_the_one_that_dashboards_choose() -> None:
    """Its uid is the default of their variable; its settings are the plugin's, over HTTP."""
    source = _source()
    for board in BOARDS.values():
        (variable,) = (v for v in board.json["templating"]["list"] if v["type"] == "datasource")
        assert (variable["current"]["value"], variable["query"]) == (source["uid"], source["type"])
    assert set(source["jsonData"]) <= _SETTINGS
    assert (source["jsonData"]["protocol"], source["jsonData"]["port"]) == ("http", 8123)
    assert source["jsonData"]["host"] in COMPOSE["services"]


def test_the_data_source_reads_only_and_may_set_what_the_plugin_sets() -> None:
    """Its user is read-only, may change max_execution_time alone, and has its password from compose."""
    source = _source()
    users = ET.parse(DEPLOY / "clickhouse-users" / "readers.xml").getroot()
    name = source["jsonData"]["username"]
    password = users.find(f"users/{name}/password")
    assert password is not None
    variable = password.get("from_env")
    assert users.findtext(f"profiles/{name}/readonly") == "1"
    changeable = users.findall(f"profiles/{name}/constraints/*")
    assert [setting.tag for setting in changeable] == ["max_execution_time"]
    assert source["secureJsonData"]["password"] == f"${variable}"
    for service in ("grafana", "clickhouse"):
        assert variable in COMPOSE["services"][service]["environment"]


def test_compose_gives_grafana_these_files() -> None:
    """Provisioning and the seven dashboards are mounted where the files say they are."""
    mounts = dict(volume.split(":")[:2] for volume in COMPOSE["services"]["grafana"]["volumes"])
    (provider,) = _read("dashboards/trainwarden.yaml")["providers"]
    assert mounts["./grafana/provisioning"] == "/etc/grafana/provisioning"
    assert mounts["../dashboards/generated"] == provider["options"]["path"]
    files = sorted((DEPLOY / "../dashboards/generated").glob("*.json"))
    assert len(files) == len(BOARDS) == 7
    home = COMPOSE["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/fleet.json"
    assert GROUP["folder"] == provider["folder"]


def test_rules_have_names_of_their_own() -> None:
    """Uids and titles are unique and fit; nothing looks like a variable of the environment."""
    assert len({rule["uid"] for rule in RULES}) == len({rule["title"] for rule in RULES}) == len(RULES) == 4
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", rule["uid"]) for rule in RULES)
    text = (PROVISIONING / "alerting" / "trainwarden.yaml").read_text(encoding="utf-8")
    assert "$" not in text
    assert all(rule["noDataState"] == "OK" and rule["execErrState"] == "Error" for rule in RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["uid"])
def test_a_rule_asks_reduces_and_compares(rule: dict[str, Any]) -> None:
    """A is SQL of the provisioned source, B its last value, C a threshold on it; links lead to a panel."""
    query, reduce, threshold = rule["data"]
    assert [part["refId"] for part in rule["data"]] == [part["model"]["refId"] for part in rule["data"]]
    assert (query["datasourceUid"], query["model"]["format"]) == (_source()["uid"], 1)
    assert (reduce["model"]["type"], reduce["model"]["expression"]) == ("reduce", query["refId"])
    assert (threshold["model"]["type"], threshold["model"]["expression"]) == ("threshold", reduce["refId"])
    assert rule["condition"] == threshold["refId"]
    assert {reduce["datasourceUid"], threshold["datasourceUid"]} == {"__expr__"}
    (condition,) = threshold["model"]["conditions"]
    assert condition["evaluator"]["type"] == "gt"
    board = BOARDS[rule["annotations"]["__dashboardUid__"]]
    assert int(rule["annotations"]["__panelId__"]) in {panel["id"] for panel in board.json["panels"]}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["uid"])
def test_a_rules_rows_are_what_alerting_reads(full_history: str, rule: dict[str, Any]) -> None:
    """Texts as labels and exactly one number, never NULL; a row for each series."""
    columns = asking.columns(full_history, rule["data"][0]["model"]["rawSql"])
    kinds = {column.name: kind_of(column.type) for column in columns}
    assert sorted(kinds.values()).count("number") == 1
    assert set(kinds.values()) == {"number", "string"}
    (number,) = (column for column in columns if kinds[column.name] == "number")
    assert number.type == "Float64"
    labels = [column.values for column in columns if kinds[column.name] == "string"]
    assert len(set(zip(*labels, strict=True))) == len(number.values)
    named = re.findall(r"\.Labels\.(\w+)", " ".join(rule["annotations"].values()))
    assert set(named) <= set(kinds)


def _fires(history: str, uid: str) -> list[tuple[Any, ...]]:
    """Labels of the series that are above the threshold."""
    (rule,) = (rule for rule in RULES if rule["uid"] == uid)
    columns = asking.columns(history, rule["data"][0]["model"]["rawSql"])
    limit = rule["data"][2]["model"]["conditions"][0]["evaluator"]["params"][0]
    rows = zip(*(column.values for column in columns), strict=True)
    return [row for row in rows if row[-1] > limit]


def test_rules_fire_for_what_is_there(full_history: str, history: str, empty_history: str) -> None:
    """An open critical incident, one that waits, a silent run; nothing where nothing is wrong."""
    assert [row[0] for row in _fires(full_history, "trainwarden-critical-incident")] == [RUN]
    assert [row[2] for row in _fires(full_history, "trainwarden-waiting")] == ["gpu-lost"]
    assert [row[1] for row in _fires(history, "trainwarden-silent")] == ["long-silence"]
    assert len(_fires(full_history, "trainwarden-behind")) == 0
    for rule in RULES:
        assert _fires(empty_history, rule["uid"]) == []
