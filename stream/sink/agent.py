"""The Faust side of the sink: one agent for each topic, acknowledging what the pipeline has stored."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from stream.faustkit.app import raw_topic
from stream.faustkit.consume import Host
from stream.kafka import reach
from stream.sink import measured
from stream.sink.collect import ADDERS
from stream.sink.cuts import Limits
from stream.sink.pipeline import Pipeline
from stream.sink.plans import Place
from stream.sink.records import Record
from stream.sink.register import Register
from stream.sink.writer import Writer
from stream.telemetry.board import Board

_log = logging.getLogger(__name__)

_RETRY_S: Final = 1.0
# What these warn about at every try, the pipeline says once in a while.
_SAID_BY_THE_PIPELINE: Final = ("urllib3.connectionpool", "clickhouse_connect.driver")


class FaustDelivery:
    """One event of a stream whose acknowledgements are ours to give."""

    def __init__(self, app: Any, stream: Any, event: Any) -> None:
        self._app, self._stream, self._event = app, stream, event

    async def stored(self) -> None:
        """The offset may be committed."""
        await self._stream.ack(self._event)

    def given_up(self) -> None:
        """A rebalance waits for records that were begun; this one comes again."""
        self._app.consumer.unacked.discard(self._event.message)


def attach(app: Any, *, clickhouse: str, limits: Limits | None = None, host: Host | None = None) -> Pipeline:
    """Give the app the agents that write history at this ClickHouse URL, and the task that inserts.

    The topics must exist. The pipeline's ``counts`` say how it goes; the board of ``host`` has them, too.
    """

    def active() -> bool:
        return bool(app.flow_control.is_active() and not app.rebalancing)

    def leaving() -> bool:
        # Records flow again before Faust says that the rebalance is over; these do not come twice.
        return bool(app.rebalancing and not app.flow_control.is_active())

    for noisy in _SAID_BY_THE_PIPELINE:
        logging.getLogger(noisy).setLevel(logging.ERROR)
    board = Board() if host is None else host.board
    writer = measured.Measured(Writer(clickhouse), board)
    register = Register(clickhouse)
    pipeline = Pipeline(writer, register, active=active, leaving=leaving, limits=limits, end_of=_ends(app))
    measured.watch(pipeline, board)
    if host is not None:
        host.waits_for.append(lambda: pipeline.away and f"ClickHouse takes nothing: {pipeline.away}")
    for topic in ADDERS:
        app.agent(raw_topic(app, topic), name=f"sink.{topic}")(_reader(app, pipeline))

    async def run() -> None:
        register.source = await _cluster_id(app)
        await pipeline.run()

    app.task(run)
    return pipeline


async def _cluster_id(app: Any) -> str:
    """The id of the Kafka cluster, for as long as it takes to learn it."""
    brokers = ",".join(f"{url.host}:{url.port}" for url in app.conf.broker)
    while True:
        admin = AIOKafkaAdminClient(**reach(brokers))
        try:
            await admin.start()
            return str((await admin.describe_cluster())["cluster_id"] or "")
        except (OSError, KafkaError) as error:
            _log.warning("kafka %s: its cluster id is not known yet: %s", brokers, error)
            await asyncio.sleep(_RETRY_S)
        finally:
            await admin.close()


def _ends(app: Any) -> Callable[[Place], int | None]:
    """Where the logs end, as of the newest answer of the brokers."""

    def end_of(place: Place) -> int | None:
        # Between assignments Faust's consumer knows no partition, and says so in many ways.
        with contextlib.suppress(Exception):
            return cast("int | None", app.consumer.highwater(TopicPartition(*place)))
        return None

    return end_of


def _reader(app: Any, pipeline: Pipeline) -> Callable[[Any], Awaitable[None]]:
    async def read(stream: Any) -> None:
        unacknowledged = stream.noack()
        async for event in unacknowledged.events():
            delivery = FaustDelivery(app, unacknowledged, event)
            await pipeline.add(record_of(event.message), delivery)

    return read


def record_of(message: Any) -> Record:
    """A Faust message as a record; an absent value is empty bytes."""
    milliseconds = round((message.timestamp or 0) * 1000)
    return Record(
        message.topic, message.partition, message.offset, milliseconds * 1_000_000, message.value or b""
    )
