"""The plain way with Faust: one JSON event a message, one write to a Table for each.

``python -m bench.peers.faust_table HOST:PORT TOPIC EVENTS DIRECTORY``. The session timeout is one that suits
the embedded broker; the fetch wait is Faust's own, as a newcomer would have it.
"""

from __future__ import annotations

import os
import sys
from typing import Final

from bench.peers.usage import Usage
from stream.faustkit.app import plain_argv

PARTITIONS: Final = 4
"""As many as the embedded broker gives a topic that it makes by itself."""


def main(kafka: str, topic: str, events: int, folder: str) -> None:
    """Count events by run and watch the largest loss, until all have come."""
    with plain_argv():
        import faust

    usage = Usage(events)
    app = faust.App(
        "bench-faust-table", broker=f"kafka://{kafka}", datadir=folder, store="memory://", web_enabled=False,
        broker_session_timeout=6.0, broker_heartbeat_interval=2.0, consumer_auto_offset_reset="earliest",
        topic_partitions=PARTITIONS, topic_replication_factor=1,
    )  # fmt: skip
    source = app.topic(topic, value_serializer="json")
    worst = app.Table("worst", default=float, partitions=PARTITIONS)

    async def watch(stream: object) -> None:
        async for event in stream:  # type: ignore[attr-defined]  # Faust is untyped
            worst[event["run"]] = max(worst[event["run"]], event["loss"])
            if usage.add(1):
                usage.tell()
                # Faust takes seconds to stop, and nothing is left to be done.
                os._exit(0)

    app.agent(source)(watch)
    worker = faust.Worker(app, loglevel="ERROR", redirect_stdouts=False)
    worker.execute_from_commandline()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
