"""The agents of ingest: OTLP topics in, ``train.events`` out, and a beacon a second."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from typing import Any, Final

from emitter.vocabulary import topics
from stream.faustkit.app import raw_topic
from stream.faustkit.consume import Host
from stream.ingest.messages import ingest
from stream.ingest.placements import Placements
from stream.otlp.beacon import beacon_request
from stream.records import Incoming, Outgoing

STAGE: Final = "ingest"
BEACON_S: Final = 1.0


def attach(app: Any, host: Host) -> None:
    """Add the agents of this stage to a Faust app."""
    placements = Placements(host.outlet.kafka)
    for name in topics.OTLP_TOPICS:
        _attach_agent(app, host, name, placements)
    app.task(_Beacons(app, host).run)
    app.task(placements.follow)


def _attach_agent(app: Any, host: Host, topic: str, placements: Placements) -> None:
    partitions = host.outlet.partitions

    def handle(record: Incoming) -> list[Outgoing]:
        return ingest(record, partitions, placements.hosts)

    async def agent(stream: Any) -> None:
        await placements.loaded()
        await host.consume(stream, STAGE, handle)

    app.agent(raw_topic(app, topic), name=f"{STAGE}.{topic}")(agent)


class _Beacons:
    """Says once a second, on every ``otlp_logs`` partition this worker reads, that it reads."""

    def __init__(self, app: Any, host: Host) -> None:
        self._app, self._host = app, host
        self._name = f"{socket.gethostname()}:{os.getpid()}"

    async def run(self) -> None:
        while not self._app.should_stop:
            beacon = beacon_request(time.time_ns(), None, self._name)
            mine = [tp.partition for tp in self._app.consumer.assignment() if tp.topic == topics.OTLP_LOGS]
            await self._host.outlet.send([Outgoing(topics.OTLP_LOGS, beacon, partition=p) for p in mine])
            await asyncio.sleep(BEACON_S)
