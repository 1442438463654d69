"""What the page asks for: a panel's data, the choices of variables, annotations, the span of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stream.web import frames, macros, timerange
from stream.web.boards import TIME_SERIES, Annotation, Board, Query, Variable
from stream.web.store import Store

Values = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Asked:
    """What a request chose: both ends of the time range (Unix ms) and values of variables."""

    from_ms: int
    to_ms: int
    variables: Values


async def panel_data(store: Store, query: Query, asked: Asked, points: int) -> dict[str, Any]:
    """A panel's frame, with the range and interval it stands for."""
    least = timerange.duration_ms(query.least_interval)
    wanted = max(1, min(points, query.max_points))
    interval = timerange.interval_ms(asked.to_ms - asked.from_ms, wanted, least)
    columns = await store.query(macros.expand(query.sql, _context(asked, interval)))
    frame = frames.series(columns) if query.form == TIME_SERIES else frames.table(columns)
    return {"interval": interval, **frame}


async def choices(store: Store, board: Board, asked: Asked) -> list[dict[str, Any]]:
    """The choices of each variable and what is chosen: as asked where that exists, else the first."""
    answers, chosen = list[dict[str, Any]](), dict(asked.variables)
    for variable in board.variables:
        options = await _options(store, variable, replace(asked, variables=chosen))
        chosen[variable.name] = _choice(variable, options, asked.variables.get(variable.name, ()))
        answers.append(
            {
                "name": variable.name,
                "label": variable.label,
                "multi": variable.multi,
                "includeAll": variable.include_all,
                "options": options,
                "current": chosen[variable.name],
            }
        )
    return answers


async def marks(store: Store, board: Board, asked: Asked) -> list[dict[str, Any]]:
    """The marks of each annotation query."""
    return [
        {
            "name": annotation.name,
            "color": annotation.color,
            "panels": annotation.panels,
            "events": await _events(store, annotation, asked),
        }
        for annotation in board.annotations
    ]


async def span(store: Store, run: str) -> dict[str, Any] | None:
    """When the run began, was heard of last (Unix ms), and its state; None where it is not known."""
    sql = f"SELECT started, last_time, state FROM train_runs_latest WHERE run = {macros.quote(run)}"
    fields = frames.table(await store.query(sql))["fields"]
    started, last, state = (field["values"] for field in fields)
    return {"started": started[0], "last": last[0], "state": state[0]} if started else None


def _context(asked: Asked, interval: int) -> macros.Context:
    return macros.Context(asked.from_ms, asked.to_ms, interval, asked.variables)


async def _options(store: Store, variable: Variable, asked: Asked) -> list[dict[str, str]]:
    columns = await store.query(macros.expand(variable.sql, _context(asked, 1000)))
    values = [str(value) for value in columns[0].values]
    texts = [str(value) for value in columns[1].values] if len(columns) > 1 else values
    return [{"value": value, "text": text} for value, text in zip(values, texts, strict=True)]


def _choice(variable: Variable, options: list[dict[str, str]], wanted: Sequence[str]) -> list[str]:
    known = {option["value"] for option in options}
    kept = [value for value in wanted if value in known]
    if kept:
        return kept if variable.multi else kept[:1]
    if variable.include_all:
        return [macros.ALL]
    return [options[0]["value"]] if options else [""]


async def _events(store: Store, annotation: Annotation, asked: Asked) -> list[dict[str, Any]]:
    columns = await store.query(macros.expand(annotation.sql, _context(asked, 1000)))
    fields = {field["name"]: field["values"] for field in frames.table(columns)["fields"]}
    if "time" not in fields or "text" not in fields:
        raise frames.FrameError(f"annotation {annotation.name}: expected columns time and text")
    names = [name for name in ("time", "text", "tags", "title") if name in fields]
    rows = zip(*(fields[name] for name in names), strict=True)
    return [dict(zip(names, row, strict=True)) for row in rows]
