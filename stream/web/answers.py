"""What the page asks for: a panel's data, the choices of variables, annotations, the span of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from stream.web import frames, loglines, macros, timerange
from stream.web.boards import TIME_SERIES, Annotation, Board, Query, Variable
from stream.web.loglines import Search
from stream.web.store import MAX_ROWS, Column, Store, TooManyRowsError
from stream.web.thinner import FEWEST_POINTS, Thinner

Values = Mapping[str, Sequence[str]]

STEP_KINDS: Final = ("trend", "xychart")
"""Types of panels that draw along a number instead of the time."""
STATE_KINDS: Final = ("state-timeline", "status-history", "heatmap")
"""Types of panels that draw a row for each name beside the time."""
NO_SEARCH: Final = Search()
WHOLE: Final = 4_000_000
"""Characters of one text that a page may ask for."""


@dataclass(frozen=True)
class Asked:
    """What a request chose: both ends of the time range (Unix ms) and values of variables."""

    from_ms: int
    to_ms: int
    variables: Values


async def panel_data(
    store: Store, query: Query, asked: Asked, points: int, thinner: Thinner, search: Search = NO_SEARCH
) -> dict[str, Any]:
    """A panel's frame, with the range and interval it stands for."""
    least = timerange.duration_ms(query.least_interval)
    wanted = max(1, min(points, query.max_points))
    panel = (query.sql, tuple((name, *values) for name, values in sorted(asked.variables.items())))
    while True:
        fitting = thinner.points(panel, wanted)
        interval = timerange.interval_ms(asked.to_ms - asked.from_ms, fitting, least)
        try:
            columns = await store.query(_sql(query, asked, interval, search))
            rows = len(columns[0].values) if columns else 0
        except TooManyRowsError:
            rows = MAX_ROWS
            if query.form != TIME_SERIES or fitting <= FEWEST_POINTS:
                raise
        if query.form != TIME_SERIES or thinner.judge(panel, fitting, rows):
            return {"interval": interval, **_frame(query, columns)}


def _sql(query: Query, asked: Asked, interval: int, search: Search) -> str:
    if query.kind != loglines.KIND:
        return macros.expand(query.sql, _context(asked, interval))
    narrowed = loglines.narrowed(query.sql, search)
    return loglines.short(macros.expand(narrowed, _context(asked, interval)))


def _frame(query: Query, columns: list[Column]) -> Mapping[str, Any]:
    if query.kind in STEP_KINDS:
        return frames.steps(columns, query.x)
    if query.kind in STATE_KINDS:
        return frames.states(columns)
    if query.form == TIME_SERIES:
        return frames.series(columns)
    frame = frames.table(columns)
    return {**frame, "cut": frames.shorten(frame)}


async def whole_text(store: Store, query: Query, asked: Asked, field: str, digest: str) -> str:
    """A text of a panel that was cut, up to WHOLE characters of it. Raises FrameError where it is gone."""
    inner = macros.expand(query.sql, _context(asked, 1000))
    sql = (
        f"SELECT substringUTF8(toString({{field:Identifier}}), 1, {WHOLE}) AS whole FROM ({inner})"
        " WHERE lower(hex(MD5(toString({field:Identifier})))) = {digest:String} LIMIT 1"
    )
    values = (await store.query(sql, {"field": field, "digest": digest}))[0].values
    if not values:
        raise frames.FrameError(f"{field}: the text is no longer in this panel; refresh the page")
    return str(values[0])


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
                "kind": variable.kind,
                "hidden": variable.hidden,
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
    if variable.kind != "query":
        return [{"value": value, "text": text} for value, text in variable.options]
    columns = await store.query(macros.expand(variable.sql, _context(asked, 1000)))
    values = [str(value) for value in columns[0].values]
    texts = [str(value) for value in columns[1].values] if len(columns) > 1 else values
    return [{"value": value, "text": text} for value, text in zip(values, texts, strict=True)]


def _choice(variable: Variable, options: list[dict[str, str]], wanted: Sequence[str]) -> list[str]:
    """What was asked for where it exists, else the preset, else All, else the first."""
    if variable.kind in ("textbox", "constant"):
        return list(wanted[:1] if variable.kind == "textbox" and wanted else variable.preset[:1]) or [""]
    known = {option["value"] for option in options} | ({macros.ALL} if variable.include_all else set())
    for values in (wanted, variable.preset):
        kept = [value for value in values if value in known]
        if kept:
            return kept if variable.multi else kept[:1]
    if variable.include_all:
        return [macros.ALL]
    if variable.multi:
        return []
    return [options[0]["value"]] if options else [""]


async def _events(store: Store, annotation: Annotation, asked: Asked) -> list[dict[str, Any]]:
    columns = await store.query(macros.expand(annotation.sql, _context(asked, 1000)))
    fields = {field["name"]: field["values"] for field in frames.table(columns)["fields"]}
    if "time" not in fields or "text" not in fields:
        raise frames.FrameError(f"annotation {annotation.name}: expected columns time and text")
    names = [name for name in ("time", "text", "tags", "title") if name in fields]
    rows = zip(*(fields[name] for name in names), strict=True)
    return [dict(zip(names, row, strict=True)) for row in rows]
