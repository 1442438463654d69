"""HTTP connections: as many as the system allows, and none for those who keep one and say nothing."""

from __future__ import annotations

import asyncio
import resource
import time
from typing import Any, Final

HEAD_S: Final = 30.0
"""By then the first request of a connection has begun, with all its headers."""
KEEP_S: Final = 90.0
"""By then the next one has. aiohttp itself closes what is silent for 75 s, but not what drips."""
LOOK_S: Final = 5.0
MOST_FILES: Final = 65_536


class Connections:
    """Who is waited for, and since when."""

    def __init__(self, head_s: float = HEAD_S, keep_s: float = KEEP_S, look_s: float = LOOK_S) -> None:
        self._head_s, self._keep_s, self._look_s = head_s, keep_s, look_s
        self._busy: set[Any] = set()
        self._until: dict[Any, float] = {}

    def begin(self, connection: Any) -> None:
        """A request of this connection is under way; its body has a limit of its own."""
        self._busy.add(connection)

    def end(self, connection: Any) -> None:
        """It is answered."""
        self._busy.discard(connection)
        self._until[connection] = time.monotonic() + self._keep_s

    async def watch(self, server: Any) -> None:
        """Until it is cancelled: end the connections of an aiohttp server that take too long."""
        while True:
            await asyncio.sleep(self._look_s)
            self._look(server.connections, time.monotonic())

    def _look(self, connections: list[Any], now: float) -> None:
        begun = dict.fromkeys(connections, now + self._head_s)
        self._until = {connection: self._until.get(connection, until) for connection, until in begun.items()}
        for connection, until in self._until.items():
            if until < now and connection not in self._busy and connection.transport is not None:
                connection.transport.abort()


def allow_many() -> None:
    """Let this process have as many open files as it may: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
