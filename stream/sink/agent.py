"""The Faust side of the sink: one agent for each topic, acknowledging what the pipeline has stored."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from stream.faustkit.app import raw_topic
from stream.sink.collect import ADDERS
from stream.sink.cuts import Limits
from stream.sink.pipeline import Pipeline
from stream.sink.records import Record
from stream.sink.writer import Writer

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


def attach(app: Any, *, clickhouse: str, limits: Limits | None = None) -> Pipeline:
    """Give the app the agents that write history at this ClickHouse URL, and the task that inserts.

    The topics must exist. The pipeline's ``counts`` say how it goes.
    """

    def active() -> bool:
        return bool(app.flow_control.is_active() and not app.rebalancing)

    for noisy in _SAID_BY_THE_PIPELINE:
        logging.getLogger(noisy).setLevel(logging.ERROR)
    pipeline = Pipeline(Writer(clickhouse), active=active, limits=limits)
    for topic in ADDERS:
        app.agent(raw_topic(app, topic), name=f"sink.{topic}")(_reader(app, pipeline))
    app.task(pipeline.run)
    return pipeline


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
