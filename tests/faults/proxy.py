"""A TCP proxy on the loopback that breaks connections in the ways networks do.

For Kafka the broker has to advertise the proxy's address. ``only`` limits a fault to the connections of some
processes, so that one proxy can cut any two parts of many.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Collection, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

import psutil

HOST: Final = "127.0.0.1"
_CHUNK: Final = 65_536
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends RST instead of FIN."""


@dataclass(frozen=True)
class Fault:
    """What happens to bytes.

    ``refuse``: connections end at once, with RST. ``blackhole``: they stay, and nothing passes.
    ``delay_s``: each piece comes later. ``bytes_per_s``: no faster. ``reset_after``: a connection is reset in
    the middle of what is sent, after so many bytes.
    """

    refuse: bool = False
    blackhole: bool = False
    delay_s: float = 0.0
    bytes_per_s: float = 0.0
    reset_after: int = 0


CUT: Final = Fault(refuse=True)
BLACKHOLE: Final = Fault(blackhole=True)


class _Link:
    """One connection through the proxy."""

    def __init__(self, client: tuple[Any, Any]) -> None:
        self.reader, self.writer = client
        self.pid: int | None = None
        self.far: Any = None
        self.passed = 0

    def reset(self) -> None:
        for writer in (self.writer, self.far):
            if writer is not None:
                with contextlib.suppress(OSError):
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                writer.transport.abort()


class Proxy:
    """Listens on ``port`` and passes everything to ``target``, but for what the fault of the moment does."""

    def __init__(self, port: int, target: int) -> None:
        self.port, self.target = port, target
        self.address = f"{HOST}:{port}"
        self.resets = 0
        self._fault, self._only = Fault(), frozenset[int]()
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._changed = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def set(self, fault: Fault, only: Collection[int] = ()) -> None:
        """From now on, for the connections of these processes or for all; ``Fault()`` heals."""
        self._call(self._set(fault, frozenset(only)))

    @contextlib.contextmanager
    def broken(self, fault: Fault, only: Collection[int] = ()) -> Iterator[None]:
        """This fault inside the block."""
        self.set(fault, only)
        try:
            yield
        finally:
            self.set(Fault())

    def _call(self, work: Any) -> Any:
        future: Future[Any] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(30)

    async def _set(self, fault: Fault, only: frozenset[int]) -> None:
        self._fault, self._only = fault, only
        for link in list(self._links):
            link.passed = 0
            if fault.refuse and self._hits(link):
                link.reset()
        self._changed.set()
        self._changed = asyncio.Event()

    def _hits(self, link: _Link) -> bool:
        return not self._only or link.pid in self._only

    def _fault_of(self, link: _Link) -> Fault:
        return self._fault if self._hits(link) else Fault()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accepted, HOST, self.port)

    async def _close(self) -> None:
        self._server.close()
        for link in list(self._links):
            link.reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._loop.shutdown_default_executor()
        # Transports close in a later turn of the loop.
        await asyncio.sleep(0.05)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        link = _Link((reader, writer))
        self._links.add(link)
        try:
            client_port = writer.get_extra_info("peername")[1]
            link.pid = await asyncio.to_thread(_owner, client_port, self.port)
            if self._fault_of(link).refuse:
                return
            far_reader, link.far = await asyncio.open_connection(HOST, self.target)
            await asyncio.gather(self._pump(link, reader, link.far), self._pump(link, far_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            link.reset()
            self._links.discard(link)
            self._tasks.discard(task)

    async def _pump(self, link: _Link, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(_CHUNK):
            while (fault := self._fault_of(link)).blackhole:
                await self._changed.wait()
            if fault.refuse:
                raise ConnectionResetError
            if fault.reset_after and link.passed + len(data) >= fault.reset_after:
                sink.write(data[: max(1, len(data) // 2)])
                await sink.drain()
                self.resets += 1
                link.reset()
                raise ConnectionResetError
            link.passed += len(data)
            if pause := fault.delay_s + (len(data) / fault.bytes_per_s if fault.bytes_per_s else 0.0):
                await asyncio.sleep(pause)
            sink.write(data)
            await sink.drain()
        sink.close()


def _owner(client_port: int, our_port: int) -> int | None:
    """The process at the other end of a loopback connection."""
    for connection in psutil.net_connections("tcp4"):
        local, remote = connection.laddr, connection.raddr
        if local and remote and (local.port, remote.port) == (client_port, our_port):
            return connection.pid
    return None
