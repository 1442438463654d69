"""The viewer's HTTP face. The browser names dashboards, panels and values; SQL never comes from it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from stream.web import answers, boards, deciding, frames, guard, loglines, macros, timerange
from stream.web.boards import Board
from stream.web.deciding import Operator
from stream.web.guard import Lock
from stream.web.store import Store, StoreError
from stream.web.thinner import Thinner

STATIC: Final = Path(__file__).parent / "static"
BOARDS: Final[web.AppKey[dict[str, Board]]] = web.AppKey("boards", dict)
STORE: Final = web.AppKey("store", Store)
OPERATOR: Final = web.AppKey("operator", deciding.Seat)
THINNER: Final = web.AppKey("thinner", Thinner)

_BAD_REQUEST: Final = (macros.MacroError, timerange.RangeError, frames.FrameError)
_encoder = msgspec.json.Encoder()


def create(
    clickhouse: str, folder: Path, host: str, operator: Operator | None = None, lock: Lock | None = None
) -> web.Application:
    """The application; ``folder`` holds the dashboards' JSON, ``host`` is the address it will listen on.

    With an ``operator`` the page approves and rejects commands; with a ``lock`` it opens to its token only.
    """
    locks = [lock.middleware] if lock else []
    app = web.Application(middlewares=[guard.middleware(host), *locks, _errors])
    app[THINNER] = Thinner()
    app[BOARDS] = boards.load(folder)
    store = Store(clickhouse)
    app[STORE] = store
    app[OPERATOR] = deciding.Seat(operator)

    async def connected(_: web.Application) -> AsyncIterator[None]:
        async with store:
            yield

    app.cleanup_ctx.append(connected)
    app.on_response_prepare.append(guard.add_headers)
    app.add_routes(
        [
            web.get("/healthz", _healthz),
            web.get("/readyz", _readyz),
            web.get("/api/dashboards", _dashboards),
            web.get("/api/dashboards/{uid}", _dashboard),
            web.get("/api/query", _query),
            web.get("/api/text", _text),
            web.get("/api/variables", _variables),
            web.get("/api/annotations", _annotations),
            web.get("/api/span", _span),
            web.get("/api/incidents", _incidents),
            web.get("/api/waiting", _waiting),
            web.get("/api/story", _story),
            web.post("/api/decide", _decide),
            web.get("/", _index),
            web.static("/static", STATIC),
        ]
    )
    return app


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns our own errors into ``{"error": ...}`` with a fitting status."""
    try:
        return await handler(request)
    except boards.BoardError as error:
        return web.json_response({"error": str(error)}, status=404)
    except _BAD_REQUEST as error:
        return web.json_response({"error": str(error)}, status=400)
    except deciding.DecidingError as error:
        return web.json_response({"error": str(error)}, status=error.status)
    except StoreError as error:
        return web.json_response({"error": str(error)}, status=503 if error.unreachable else 502)


def _answer(request: web.Request, data: Any) -> web.Response:
    """JSON, compressed; nothing but 304 when the page has the same already."""
    body = _encoder.encode(data)
    tag = hashlib.blake2b(body, digest_size=9).hexdigest()
    if request.headers.get("If-None-Match") == f'"{tag}"':
        return web.Response(status=304, headers={"ETag": f'"{tag}"'})
    response = web.Response(body=body, content_type="application/json", headers={"ETag": f'"{tag}"'})
    if len(body) > 500:
        response.enable_compression()
    return response


def _board(request: web.Request) -> Board:
    return boards.pick(request.app[BOARDS], request.query.get("dashboard", ""))


def _asked(request: web.Request) -> answers.Asked:
    query = request.query
    from_ms, to_ms = timerange.between(
        query.get("from", "now-1h"), query.get("to", "now"), time.time_ns() // 1_000_000
    )
    return answers.Asked(from_ms, to_ms, _chosen(query))


def _chosen(query: Mapping[str, str]) -> dict[str, list[str]]:
    """Variables as Grafana writes them into an address: ``var-rank=0&var-rank=1``."""
    chosen: dict[str, list[str]] = {}
    for name, value in query.items():
        if name.startswith("var-"):
            chosen.setdefault(name[4:], []).append(_sent(value))
    return chosen


def _sent(value: str) -> str:
    """A lone surrogate cannot be sent on; no value in the database contains one."""
    return value.encode("utf-8", "replace").decode()


def _integer(request: web.Request, name: str, default: int | None = None) -> int:
    text = request.query.get(name, "" if default is None else str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise timerange.RangeError(f"{name}: expected a whole number, got {text!r}")
    return int(text)


async def _healthz(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def _readyz(request: web.Request) -> web.Response:
    await request.app[STORE].ping()
    return web.Response(text="ready\n")


async def _index(_: web.Request) -> web.FileResponse:
    return web.FileResponse(STATIC / "index.html")


async def _dashboards(request: web.Request) -> web.Response:
    found: dict[str, Board] = request.app[BOARDS]
    return _answer(
        request,
        [
            {
                "uid": board.uid,
                "title": board.title,
                "description": board.description,
                "variables": [variable.name for variable in board.variables],
            }
            for board in found.values()
        ],
    )


async def _dashboard(request: web.Request) -> web.Response:
    return _answer(request, boards.pick(request.app[BOARDS], request.match_info["uid"]).json)


async def _query(request: web.Request) -> web.Response:
    query = _board(request).query(_integer(request, "panel"), request.query.get("ref", "A"))
    points = _integer(request, "points", default=query.max_points)
    search = loglines.Search(_sent(request.query.get("search", "")), request.query.get("level", ""))
    thinner = request.app[THINNER]
    return _answer(
        request,
        await answers.panel_data(request.app[STORE], query, _asked(request), points, thinner, search),
    )


async def _text(request: web.Request) -> web.Response:
    """One text of a panel that was cut, whole."""
    query = _board(request).query(_integer(request, "panel"), request.query.get("ref", "A"))
    field, digest = _sent(request.query.get("field", "")), _sent(request.query.get("digest", ""))
    return _answer(
        request, await answers.whole_text(request.app[STORE], query, _asked(request), field, digest)
    )


async def _variables(request: web.Request) -> web.Response:
    return _answer(request, await answers.choices(request.app[STORE], _board(request), _asked(request)))


async def _annotations(request: web.Request) -> web.Response:
    return _answer(request, await answers.marks(request.app[STORE], _board(request), _asked(request)))


async def _span(request: web.Request) -> web.Response:
    run = "".join(_chosen({"var-run": request.query.get("run", "")})["run"])
    return _answer(request, await answers.span(request.app[STORE], run))


async def _incidents(request: web.Request) -> web.Response:
    operator = request.app[OPERATOR].operator
    return _answer(request, await deciding.page(request.app[STORE], operator, request))


async def _waiting(request: web.Request) -> web.Response:
    return _answer(request, await deciding.count(request.app[STORE]))


async def _story(request: web.Request) -> web.Response:
    return _answer(request, await deciding.tell(request.app[STORE], request.query.get("id", "")))


async def _decide(request: web.Request) -> web.Response:
    operator = request.app[OPERATOR].operator
    return web.json_response(await deciding.decide(request.app[STORE], operator, request))
