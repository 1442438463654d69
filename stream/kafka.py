"""Small things that every direct user of aiokafka here needs."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any


async def knock(bootstrap: str) -> None:
    """Return once one of the brokers (host:port[,host:port]) takes a connection. Raises OSError.

    aiokafka logs an error for every refused connection; who expects a broker to be away knocks first.
    """
    failure: OSError | None = None
    for address in bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        except ValueError:
            failure = OSError(f"expected host:port, got {address.strip()!r}")
        except OSError as error:
            failure = error
        else:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            return
    raise failure or OSError("no broker given")


def stay(consumer: Any) -> None:
    """Never leave the group of a broker that cannot cope with it (see stream/faustkit/transport.py)."""
    from stream.faustkit.app import plain_argv

    with plain_argv():
        from stream.faustkit.transport import never_leave
    never_leave(consumer)
