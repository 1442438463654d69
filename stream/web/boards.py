"""The dashboards the viewer draws: Grafana's JSON, read once, looked up by uid and panel id."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

PLUGIN: Final = "grafana-clickhouse-datasource"
TIME_SERIES: Final = 0


class BoardError(LookupError):
    """There is no such dashboard, panel or query; the message says what there is."""


@dataclass(frozen=True)
class Query:
    """One query of a panel. ``least_interval`` such as "10ms"; ``max_points`` caps a line's points."""

    sql: str
    form: int
    least_interval: str = "1ms"
    max_points: int = 1000


@dataclass(frozen=True)
class Variable:
    """One variable that is filled by a query."""

    name: str
    label: str
    sql: str
    multi: bool
    include_all: bool


@dataclass(frozen=True)
class Annotation:
    """Marks drawn on the panels with these ids (on all where the list is empty)."""

    name: str
    color: str
    panels: list[int]
    sql: str


@dataclass(frozen=True)
class Board:
    """One dashboard: its JSON, and what the server needs of it."""

    uid: str
    title: str
    description: str
    json: Mapping[str, Any]
    queries: Mapping[tuple[int, str], Query]
    variables: tuple[Variable, ...]
    annotations: tuple[Annotation, ...]

    def query(self, panel: int, ref: str) -> Query:
        """The query of a panel. Raises BoardError."""
        try:
            return self.queries[panel, ref]
        except KeyError:
            raise BoardError(f"dashboard {self.uid}: no query {ref!r} in panel {panel}") from None


def load(folder: Path) -> dict[str, Board]:
    """All dashboards of a folder by uid. Raises BoardError where a file is not a dashboard."""
    boards = (_board(path) for path in sorted(folder.glob("*.json")))
    return {board.uid: board for board in boards}


def pick(boards: dict[str, Board], uid: str) -> Board:
    """The dashboard with this uid. Raises BoardError."""
    try:
        return boards[uid]
    except KeyError:
        raise BoardError(f"dashboard {uid!r}: not one of {', '.join(sorted(boards))}") from None


def _board(path: Path) -> Board:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Board(
            uid=data["uid"],
            title=data["title"],
            description=data.get("description", ""),
            json=data,
            queries={key: query for panel in data["panels"] for key, query in _queries(panel)},
            variables=tuple(_variables(data)),
            annotations=tuple(_annotations(data)),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BoardError(f"{path}: expected a Grafana dashboard, got {error!r}") from None


def _queries(panel: Mapping[str, Any]) -> list[tuple[tuple[int, str], Query]]:
    return [
        (
            (panel["id"], target["refId"]),
            Query(
                sql=target["rawSql"],
                form=target["format"],
                least_interval=panel.get("interval") or "1ms",
                max_points=int(panel.get("maxDataPoints") or 1000),
            ),
        )
        for target in panel.get("targets", ())
    ]


def _variables(data: Mapping[str, Any]) -> list[Variable]:
    return [
        Variable(
            name=entry["name"],
            label=entry.get("label") or entry["name"],
            sql=entry["query"]["rawSql"],
            multi=bool(entry.get("multi")),
            include_all=bool(entry.get("includeAll")),
        )
        for entry in data.get("templating", {}).get("list", ())
        if entry["type"] == "query"
    ]


def _annotations(data: Mapping[str, Any]) -> list[Annotation]:
    return [
        Annotation(
            name=entry["name"],
            color=entry.get("iconColor") or "blue",
            panels=list((entry.get("filter") or {}).get("ids", ())),
            sql=entry["target"]["rawSql"],
        )
        for entry in data.get("annotations", {}).get("list", ())
        if entry.get("enable") and (entry.get("datasource") or {}).get("type") == PLUGIN
    ]
