"""Answers in ClickHouse's own form: headers, compression, errors before and in the middle of a result."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from stream.clickhouse import compression
from stream.clickhouse.call import Call
from stream.clickhouse.engine import Engine
from stream.clickhouse.errors import ClickHouseError
from stream.clickhouse.execution import Answer

_TYPES: Final = {
    "json": "application/json; charset=UTF-8",
    "jsoncompact": "application/json; charset=UTF-8",
    "jsonstrings": "application/json; charset=UTF-8",
    "jsoneachrow": "application/x-ndjson; charset=UTF-8",
    "ndjson": "application/x-ndjson; charset=UTF-8",
    "csv": "text/csv; charset=UTF-8; header=absent",
    "csvwithnames": "text/csv; charset=UTF-8; header=present",
    "csvwithnamesandtypes": "text/csv; charset=UTF-8; header=present",
    "xml": "application/xml; charset=UTF-8",
    "html": "text/html; charset=UTF-8",
    "vertical": "text/plain; charset=UTF-8",
    "values": "text/plain; charset=UTF-8",
    "markdown": "text/markdown; charset=UTF-8",
}


def content_type(output_format: str) -> str:
    """The Content-Type ClickHouse gives a result in this format."""
    name = output_format.lower()
    if name.startswith(("tabseparated", "tsv")):
        return "text/tab-separated-values; charset=UTF-8"
    if name.startswith("pretty"):
        return "text/plain; charset=UTF-8"
    return _TYPES.get(name, "application/octet-stream")


def headers(engine: Engine, query_id: str, answer: Answer | None = None) -> dict[str, str]:
    """What every answer to a query carries."""
    shown = {
        "X-ClickHouse-Server-Display-Name": engine.host,
        "X-ClickHouse-Query-Id": query_id,
        "X-ClickHouse-Timezone": engine.timezone,
    }
    if answer is not None:
        shown["X-ClickHouse-Summary"] = json.dumps(answer.counts.summary(), separators=(",", ":"))
        shown["Content-Type"] = content_type(answer.output_format or "TabSeparated")
        if answer.output_format is not None:
            shown["X-ClickHouse-Format"] = answer.output_format
    return shown


def failure(error: ClickHouseError, engine: Engine, query_id: str) -> web.Response:
    """An error before any part of a result was sent."""
    return web.Response(
        status=error.status,
        text=error.body(engine.version),
        headers=headers(engine, query_id)
        | {"X-ClickHouse-Exception-Code": str(error.code), "Content-Type": "text/plain; charset=UTF-8"},
    )


def whole(engine: Engine, call: Call, answer: Answer, accept: str) -> web.Response:
    """A result that is all there."""
    shown = headers(engine, call.query_id, answer)
    body = answer.first
    if body and (coding := _coding(call, accept)):
        packer = compression.compressor(coding)
        body = packer.compress(body) + packer.flush()
        shown["Content-Encoding"] = coding
    return web.Response(body=body, headers=shown)


async def send(
    request: web.Request, engine: Engine, call: Call, answer: Answer, pieces: AsyncIterator[bytes]
) -> web.StreamResponse:
    """A long result, sent as it comes; an error in its middle is written behind what was sent."""
    tag = secrets.token_hex(8)
    response = web.StreamResponse(
        headers=headers(engine, call.query_id, answer) | {"X-ClickHouse-Exception-Tag": tag}
    )
    coding = _coding(call, request.headers.get("Accept-Encoding", ""))
    packer = compression.compressor(coding) if coding else None
    if coding:
        response.headers["Content-Encoding"] = coding
    await response.prepare(request)
    try:
        await _write(response, packer, answer.first)
        async for piece in pieces:
            await _write(response, packer, piece)
    except ClickHouseError as error:
        await _write(response, packer, _in_the_middle(error, engine.version, tag))
    if packer is not None:
        await response.write(packer.flush())
    await response.write_eof()
    return response


async def _write(response: web.StreamResponse, packer: compression.Compressor | None, piece: bytes) -> None:
    out = packer.compress(piece) if packer else piece
    if out:
        await response.write(out)


def _in_the_middle(error: ClickHouseError, version: str, tag: str) -> bytes:
    """ClickHouse's marker: the tag, the message, its length and the tag again."""
    message = error.body(version).encode()
    return b"\r\n__exception__\r\n%s\r\n%s%d %s\r\n__exception__\r\n" % (
        tag.encode(),
        message,
        len(message),
        tag.encode(),
    )


def _coding(call: Call, accept: str) -> str | None:
    return compression.chosen(accept) if call.compressed else None
