"""Asks what a dashboard asks, with macros expanded as the plugin does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from stream import resources
from stream.web import boards, frames, timerange
from stream.web.boards import TIME_SERIES, Board
from stream.web.macros import Context, expand
from stream.web.store import Column, Store

POINTS = 500

BOARDS: dict[str, Board] = boards.load(resources.path("dashboards"))


class Asked(NamedTuple):
    """A time range in Unix milliseconds, and what is chosen."""

    from_ms: int
    to_ms: int
    variables: Mapping[str, Sequence[str]]


class Case(NamedTuple):
    """One query of a panel."""

    uid: str
    panel: int
    ref: str
    title: str
    kind: str

    def __str__(self) -> str:
        return f"{self.uid.removeprefix('trainwarden-')}:{self.panel}:{self.title}"

    @property
    def form(self) -> int:
        """Time series, table or logs, as the plugin numbers them."""
        return BOARDS[self.uid].query(self.panel, self.ref).form

    def sql(self, asked: Asked, points: int = POINTS) -> str:
        """The query with its macros and variables expanded."""
        query = BOARDS[self.uid].query(self.panel, self.ref)
        least = timerange.duration_ms(query.least_interval)
        width = timerange.interval_ms(asked.to_ms - asked.from_ms, min(points, query.max_points), least)
        variables = {"steps": [""], "goodput": [""], **asked.variables}
        return expand(query.sql, Context(asked.from_ms, asked.to_ms, width, variables))


CASES = [
    Case(uid, panel, ref, title["title"], title["type"])
    for uid, board in BOARDS.items()
    for panel, ref in board.queries
    for title in board.json["panels"]
    if title["id"] == panel
]


def case(uid: str, title: str, *, kind: str = "") -> Case:
    """The panel with this title; of two, the one of this kind."""
    (found,) = (
        one for one in CASES if (one.uid, one.title) == (f"trainwarden-{uid}", title) and kind in one.kind
    )
    return found


def columns(clickhouse: str, sql: str) -> list[Column]:
    """What ClickHouse answers to the viewer."""

    async def ask() -> list[Column]:
        async with Store(clickhouse) as store:
            return await store.query(sql)

    return asyncio.run(ask())


def settled(clickhouse: str, asked: Asked) -> Asked:
    """The same, with what the hidden variables of all dashboards find."""
    found = dict(asked.variables)
    for variable in (one for board in BOARDS.values() for one in board.variables if one.hidden):
        sql = expand(variable.sql, Context(asked.from_ms, asked.to_ms, 1000, found))
        found[variable.name] = [str(columns(clickhouse, sql)[0].values[0])]
    return asked._replace(variables=found)


def frame(clickhouse: str, one: Case, asked: Asked) -> dict[str, Any]:
    """What a panel gets: lines over times, or columns."""
    answer = columns(clickhouse, one.sql(asked))
    return dict(frames.series(answer)) if one.form == TIME_SERIES else dict(frames.table(answer))


def values(found: dict[str, Any]) -> list[Any]:
    """All values of a panel that are not empty."""
    if "times" in found:
        return [value for line in found["series"] for value in line["values"] if value is not None]
    return [value for field in found["fields"] for value in field["values"] if value not in (None, "")]


def table(clickhouse: str, one: Case, asked: Asked) -> dict[str, list[Any]]:
    """A table's columns by name."""
    return {field["name"]: field["values"] for field in frame(clickhouse, one, asked)["fields"]}
