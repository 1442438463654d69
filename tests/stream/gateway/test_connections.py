"""Connections that only cost."""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from stream.gateway.connections import Connections
from tests.fixtures import Child, free_port, http_request, wait_for

pytestmark = pytest.mark.slow

HEAD = b"POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n"
MANY = 600
FEW_FILES = 200
RUN = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[3]), resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
from stream import gateway
gateway.run(kafka=sys.argv[1], port=int(sys.argv[2]))
"""


def test_who_does_not_end_his_headers_is_cut_off() -> None:
    """Nor may he after a first request, nor by dripping; a request under way is left alone."""
    asyncio.run(_cut_off())


async def _cut_off() -> None:
    connections, slow, go_on = Connections(1.0, 2.0, 0.1), asyncio.Event(), asyncio.Event()

    async def handle(request: web.Request) -> web.Response:
        connections.begin(request.protocol)
        try:
            if request.query:
                slow.set()
                await go_on.wait()
            return web.Response(text="here")
        finally:
            connections.end(request.protocol)

    app = web.Application()
    app.router.add_get("/", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port := free_port()).start()
    watching = asyncio.ensure_future(connections.watch(runner.server))
    try:
        busy = asyncio.ensure_future(_talk(port, b"GET /?slow HTTP/1.1\r\nHost: x\r\n\r\n"))
        await slow.wait()
        assert await _talk(port, b"") == b""
        assert await _talk(port, b"GET / HTTP/1.1\r\nX-A: ", drip=b"a") == b""
        answered = await _talk(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nX: ", drip=b"a")
        assert answered.endswith(b"here")
        go_on.set()
        assert (await busy).endswith(b"here")
    finally:
        watching.cancel()
        await runner.cleanup()


async def _talk(port: int, said: bytes, drip: bytes = b"") -> bytes:
    """What comes back until the other side ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)
    heard = asyncio.ensure_future(_all(reader))
    while not heard.done():
        writer.write(drip)
        await asyncio.wait([heard], timeout=0.05)
    writer.close()
    return heard.result()


async def _all(reader: asyncio.StreamReader) -> bytes:
    heard = b""
    try:
        while part := await asyncio.wait_for(reader.read(65536), 60):
            heard += part
    except ConnectionError:
        pass
    return heard


def test_more_connections_than_a_process_usually_may_have(broker: str, tmp_path: Path) -> None:
    """Each of many trainers keeps one; the next one is answered all the same."""
    port = free_port()
    child = Child([sys.executable, "-c", RUN, broker, str(port), str(FEW_FILES)], tmp_path / "log")
    url = f"http://127.0.0.1:{port}"
    try:
        child.wait_until(lambda: "connected to kafka" in child.log(), "readiness", 120)
        with ExitStack() as stack:
            address = (str(urlsplit(url).hostname), port)
            for _ in range(MANY):
                connection = stack.enter_context(socket.create_connection(address, 60))
                connection.sendall(HEAD)
            headers = {"Content-Type": "application/x-protobuf"}
            assert http_request("POST", f"{url}/v1/logs", b"", headers).status == 200
            print(f"{MANY} connections, {FEW_FILES} files at the start")
        wait_for(lambda: http_request("GET", f"{url}/readyz").status == 200, 60, "readiness afterwards")
        assert "Too many open files" not in child.log()
    finally:
        assert child.stop() == 0
