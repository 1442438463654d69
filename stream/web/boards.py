"""The dashboards the viewer draws: Grafana's JSON, read once, looked up by uid and panel id."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

PLUGIN: Final = "grafana-clickhouse-datasource"
TIME_SERIES: Final = 0
MOST_POINTS: Final = 2000
"""Of a line, where the panel names no number: what the page shows of it, and as much again beside that."""
_VARIABLES: Final = ("query", "custom", "interval", "textbox", "constant")
_HIDDEN: Final = 2


class BoardError(LookupError):
    """There is no such dashboard, panel or query; the message says what there is."""


@dataclass(frozen=True)
class Query:
    """One query of a panel. ``least_interval`` such as "10ms"; ``max_points`` caps a line's points.

    ``kind``: the panel's type. ``x``: the column along the axis, where the panel names one.
    """

    sql: str
    form: int
    least_interval: str = "1ms"
    max_points: int = MOST_POINTS
    kind: str = ""
    x: str | None = None


@dataclass(frozen=True)
class Variable:
    """One variable: filled by a query, by fixed ``options`` (value and text), or typed into a box.

    ``preset``: what is chosen before anybody chose.
    """

    name: str
    label: str
    kind: str
    sql: str = ""
    options: tuple[tuple[str, str], ...] = ()
    preset: tuple[str, ...] = ()
    multi: bool = False
    include_all: bool = False
    hidden: bool = False


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
            queries={key: query for panel in panels_of(data) for key, query in _queries(panel)},
            variables=tuple(_variables(data)),
            annotations=tuple(_annotations(data)),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BoardError(f"{path}: expected a Grafana dashboard, got {error!r}") from None


def panels_of(data: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """All panels of a dashboard's JSON, those inside of rows too."""
    for panel in data["panels"]:
        yield panel
        yield from panel.get("panels") or ()


def _queries(panel: Mapping[str, Any]) -> list[tuple[tuple[int, str], Query]]:
    return [
        (
            (panel["id"], target["refId"]),
            Query(
                sql=target["rawSql"],
                form=target["format"],
                least_interval=panel.get("interval") or "1ms",
                max_points=int(panel.get("maxDataPoints") or MOST_POINTS),
                kind=panel["type"],
                x=_x_of(panel.get("options") or {}),
            ),
        )
        for target in panel.get("targets", ())
    ]


def _x_of(options: Mapping[str, Any]) -> str | None:
    """The name of the column along the axis: a trend's field, or that of a chart's first series."""
    named = options.get("xField")
    for series in options.get("series") or ():
        named = named or ((series.get("x") or {}).get("matcher") or {}).get("options")
    return named if isinstance(named, str) else None


def _variables(data: Mapping[str, Any]) -> Iterator[Variable]:
    for entry in data.get("templating", {}).get("list", ()):
        kind = entry["type"]
        if kind not in _VARIABLES:
            continue
        query: Any = entry.get("query") or ""
        yield Variable(
            name=entry["name"],
            label=entry.get("label") or entry["name"],
            kind=kind,
            sql=query["rawSql"] if kind == "query" else "",
            options=_fixed(query) if kind in ("custom", "interval") else (),
            preset=_preset(entry, query),
            multi=bool(entry.get("multi")),
            include_all=bool(entry.get("includeAll")),
            hidden=entry.get("hide") == _HIDDEN or kind == "constant",
        )


def _fixed(query: str) -> tuple[tuple[str, str], ...]:
    """``a, Label : b`` as values and texts."""
    pairs = (part.strip().rpartition(" : ") for part in query.split(",") if part.strip())
    return tuple((value.strip(), (text or value).strip()) for text, _, value in pairs)


def _preset(entry: Mapping[str, Any], query: Any) -> tuple[str, ...]:
    value = (entry.get("current") or {}).get("value")
    if value is None:
        return (query,) if isinstance(query, str) and entry["type"] in ("textbox", "constant") else ()
    return tuple(str(one) for one in (value if isinstance(value, list) else [value]))


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
