"""ClickHouse's HTTP interface over the engine of this process."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from aiohttp import web

from stream.clickhouse import answers, body, external, guard
from stream.clickhouse import call as calls
from stream.clickhouse.body import Body
from stream.clickhouse.call import Call
from stream.clickhouse.engine import Engine
from stream.clickhouse.errors import ClickHouseError, disk_errors
from stream.clickhouse.execution import Execution, read_statement
from stream.clickhouse.external import External
from stream.clickhouse.limits import Limits
from stream.clickhouse.meter import Meter, Request
from stream.clickhouse.running import Runner
from stream.telemetry.board import Board
from stream.telemetry.server import Report, healthz, readyz

READY_S: Final = 2.0
_READS = ("GET", "HEAD")


class Server:
    """The handlers; one instance serves one engine on one event loop."""

    def __init__(
        self,
        engine: Engine,
        runner: Runner,
        limits: Limits,
        spool: Path,
        *,
        password: str | None,
        loopback: bool,
        board: Board | None = None,
    ) -> None:
        self._meter = Meter(board or Board(), runner)
        self._engine = engine
        self._runner = runner
        self._limits = limits
        self._spool = spool
        self._password = password
        self._loopback = loopback

    def app(self) -> web.Application:
        """The routes."""
        app = web.Application()
        app.router.add_get("/ping", self._ok)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/replicas_status", self._ok)
        app.router.add_route("*", "/", self._root)
        app.router.add_route("*", "/{unknown:.*}", self._unknown)
        return app

    async def _ok(self, request: web.Request) -> web.Response:
        return web.Response(text="Ok.\n", content_type="text/html", charset="UTF-8")

    async def report(self) -> Report:
        """What /readyz says: whether the engine answers."""
        try:
            await asyncio.wait_for(self._runner.submit(self._engine.ping), READY_S)
        except asyncio.TimeoutError:
            return {"ready": False, "reason": f"the engine did not answer within {READY_S:g} s"}
        except ClickHouseError as error:
            return {"ready": False, "reason": f"the engine does not answer: {error}"}
        return {"ready": True, "reason": None}

    async def _healthz(self, request: web.Request) -> web.Response:
        return healthz(None)

    async def _readyz(self, request: web.Request) -> web.Response:
        return readyz(await self.report())

    async def _unknown(self, request: web.Request) -> web.Response:
        text = f"There is no handle {request.path}. Use / with a query, /ping or /replicas_status.\n"
        return web.Response(status=404, text=text)

    async def _root(self, request: web.Request) -> web.StreamResponse:
        if request.method not in (*_READS, "POST"):
            return web.Response(status=405, headers={"Allow": "GET, HEAD, POST"})
        named = request.query.get("query_id") or request.headers.get("X-ClickHouse-Query-Id")
        query_id = named or str(uuid.uuid4())
        try:
            with self._meter.request() as one, disk_errors():
                return await self._answer(request, query_id, one)
        except ClickHouseError as error:
            return answers.failure(error, self._engine, query_id)

    async def _answer(self, request: web.Request, query_id: str, one: Request) -> web.StreamResponse:
        guard.refuse_web_pages(request.headers, loopback=self._loopback)
        if request.method in _READS and not request.query.get("query") and not request.can_read_body:
            return await self._ok(request)
        guard.check_password(request.query, request.headers, self._password)
        if request.content_type == "multipart/form-data":
            return await self._answer_form(request, query_id, one)
        read_only = request.method in _READS
        call = calls.read(request.query.items(), request.headers, read_only=read_only, query_id=query_id)
        return await self._serve(request, call, await self._take_in(request), [], one)

    async def _answer_form(self, request: web.Request, query_id: str, one: Request) -> web.StreamResponse:
        form = await external.read_form(request, self._spool, self._limits)
        try:
            fields = [*form.fields, *request.query.items()]
            aside = external.describing(form.files)
            call = calls.read(fields, request.headers, read_only=False, query_id=query_id, aside=aside)
            tables = external.externals(form.files, dict(fields))
            return await self._serve(request, call, body.empty(), tables, one)
        finally:
            form.close()

    async def _take_in(self, request: web.Request) -> Body:
        if not request.can_read_body:
            return body.empty()
        encoding = request.headers.get("Content-Encoding", "")
        pieces = request.content.iter_chunked(1 << 18)
        return await body.receive(pieces, encoding, self._spool, self._limits)

    async def _serve(
        self, request: web.Request, call: Call, taken: Body, tables: Sequence[External], one: Request
    ) -> web.StreamResponse:
        parsed, inline = await self._runner.submit(read_statement, call, taken, self._limits)
        kind = one.kind = "queries" if parsed.data_format is None else "inserts"
        running = self._runner.begin(kind, call)
        try:
            execution = Execution(self._engine, self._limits, call, running.session, tables)
            answer = await running.start(execution.run, parsed, inline, taken)
            if answer.rest is None:
                accept = request.headers.get("Accept-Encoding", "")
                return await self._runner.submit(answers.whole, self._engine, call, answer, accept)
            return await answers.send(request, self._engine, call, answer, running.pieces())
        finally:
            running.end()
