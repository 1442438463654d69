"""The agents of ingest: OTLP topics in, ``train.events`` out, and a beacon a second."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any, Final

from emitter.vocabulary import topics
from stream import steady
from stream.faustkit.app import raw_topic
from stream.faustkit.consume import Duty, Host
from stream.ingest.messages import Counts, ingest
from stream.ingest.placements import Placements
from stream.otlp.beacon import beacon_request
from stream.records import Incoming, Outgoing
from stream.telemetry.catalogue import STAGE_EVENTS, WITHOUT_RUN

STAGE: Final = "ingest"
BEACON_S: Final = 1.0


def attach(app: Any, host: Host) -> None:
    """Add the agents of this stage to a Faust app."""
    placements = Placements(host.outlet.kafka)
    counts = Counts()
    for name in topics.OTLP_TOPICS:
        _attach_agent(app, host, name, placements, counts)
    host.board.read(STAGE_EVENTS, lambda: {(STAGE,): counts.events})
    host.board.number(WITHOUT_RUN, lambda: counts.without_run)
    app.task(_Beacons(app, host).run)
    app.task(placements.follow)


def _attach_agent(app: Any, host: Host, topic: str, placements: Placements, counts: Counts) -> None:
    partitions = host.outlet.partitions

    def handle(record: Incoming) -> list[Outgoing]:
        return ingest(record, partitions, placements.hosts, counts)

    async def agent(stream: Any) -> None:
        await placements.loaded()
        await host.consume(stream, Duty(STAGE, handle))

    app.agent(raw_topic(app, topic), name=f"{STAGE}.{topic}")(agent)


class _Beacons:
    """Says once a second, on every ``otlp_logs`` partition this worker reads, that it reads."""

    def __init__(self, app: Any, host: Host) -> None:
        self._app, self._host = app, host
        self._name = f"{socket.gethostname()}:{os.getpid()}"

    async def run(self) -> None:
        while not self._app.should_stop:
            beacon = beacon_request(steady.unix_ns(), None, self._name)
            mine = [tp.partition for tp in self._app.consumer.assignment() if tp.topic == topics.OTLP_LOGS]
            await self._host.outlet.send([Outgoing(topics.OTLP_LOGS, beacon, partition=p) for p in mine])
            await asyncio.sleep(BEACON_S)
