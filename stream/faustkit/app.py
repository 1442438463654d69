"""The Faust app with our settings."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from stream.faustkit.preflight import BrokerTraits
from stream.kafka import security

COMMIT_INTERVAL_S: Final = 1.0
"""After a crash at most this much is read again."""
MAX_FETCH_BYTES: Final = 4 * 1024 * 1024
STREAM_BUFFER: Final = 256
"""Kafka records of a topic held in memory; each carries many events."""


@contextmanager
def plain_argv() -> Iterator[None]:
    """Hide the command line: importing Faust parses ``--datadir``, ``-L`` and others from it."""
    argv = sys.argv
    sys.argv = argv[:1]
    try:
        yield
    finally:
        sys.argv = argv


def create_app(id: str, kafka: str, *, data_dir: Path, traits: BrokerTraits | None = None) -> Any:
    """A ``faust.App`` (consumer group ``id``) on brokers ``host:port[,host:port]``, without agents.

    ``traits`` are the broker's (``preflight.inspect``), by default those of Apache Kafka.
    """
    with plain_argv():
        import faust

        from stream.faustkit.sensor import Quiet
        from stream.faustkit.transport import Transport

    traits = traits or BrokerTraits()
    tables = data_dir / "faust" / id
    tables.mkdir(parents=True, exist_ok=True)
    app = faust.App(
        id,
        broker=[f"kafka://{server.strip()}" for server in kafka.split(",")],
        datadir=tables,
        store="memory://",
        web_enabled=False,
        autodiscover=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        worker_redirect_stdouts=False,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=MAX_FETCH_BYTES,
        stream_buffer_maxsize=STREAM_BUFFER,
        stream_wait_empty=True,
        broker_commit_interval=COMMIT_INTERVAL_S,
        broker_session_timeout=traits.session_timeout_s,
        broker_heartbeat_interval=traits.session_timeout_s / 3,
        broker_request_timeout=max(12.0, traits.session_timeout_s * 2),
        broker_rebalance_timeout=max(12.0, traits.session_timeout_s * 2),
        producer_acks=-1,
        Monitor=Quiet,
        broker_credentials=_credentials(security()),
    )
    app.transport = Transport(app.conf.broker_consumer, app)
    app.transport.fetch_wait_ms = traits.fetch_wait_ms
    app.transport.haste = traits.haste
    app.transport.searches = traits.searches
    app.transport.says_goodbye = traits.says_goodbye
    return app


def _credentials(found: Mapping[str, Any]) -> Any:
    """The arguments of aiokafka's clients in Faust's words."""
    import faust

    context = found.get("ssl_context")
    if "sasl_mechanism" in found:
        return faust.SASLCredentials(
            mechanism=found["sasl_mechanism"],
            username=found["sasl_plain_username"],
            password=found["sasl_plain_password"],
            ssl_context=context,
        )
    return context and faust.SSLCredentials(context)


def raw_topic(app: Any, name: str) -> Any:
    """A topic of raw bytes that exists already."""
    from stream.faustkit.raw import Raw

    return app.topic(name, schema=Raw())


def on_assigned(app: Any, topic: str, keep: Callable[[list[int]], None]) -> None:
    """Call ``keep`` after each rebalance with the partitions of this topic that the worker now holds.

    Faust's own revocation signal names all partitions every time, also those that stay.
    """

    async def assigned(sender: Any, partitions: Any, **_: Any) -> None:
        keep([tp.partition for tp in partitions if tp.topic == topic])

    app.on_partitions_assigned.connect(assigned)
