"""What every user of aiokafka here needs: how to reach the brokers, and small things."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from typing import Any, Final

from emitter.kafka import headers, settings

_OURS: Final = frozenset(["bootstrap_servers", "client_id"])


def security() -> dict[str, Any]:
    """TLS and SASL of all our connections, as arguments of aiokafka's clients: TRAINWARDEN_KAFKA_*.

    From here on consumers of this process read records whatever their headers are called. Raises
    KafkaSettingError, which names the variable.
    """
    headers.take_any()
    found = settings.resolve({}).client()
    return {name: value for name, value in found.items() if name not in _OURS}


def reach(brokers: str) -> dict[str, Any]:
    """Arguments of an aiokafka client of these brokers (host:port[,host:port]). Raises KafkaSettingError."""
    return {"bootstrap_servers": brokers, **security()}


@contextlib.contextmanager
def overhear() -> Iterator[list[str]]:
    """What aiokafka says in this block, and only there, of why no broker would have us; it is not logged."""
    said: list[str] = []

    def keep(record: logging.LogRecord) -> bool:
        if record.levelno >= logging.ERROR:
            said.append(record.getMessage())
        return record.levelno < logging.ERROR

    log = logging.getLogger("aiokafka")
    log.addFilter(keep)
    try:
        yield said
    finally:
        log.removeFilter(keep)


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
