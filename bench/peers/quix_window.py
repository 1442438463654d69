# /// script
# requires-python = ">=3.10"
# dependencies = ["quixstreams==3.28.1"]
# ///
"""quix-streams with one tumbling window of ten seconds over JSON events, in an environment of its own.

``uv run --script bench/peers/quix_window.py HOST:PORT TOPIC EVENTS DIRECTORY``
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from quixstreams import Application  # type: ignore[import-not-found]
from usage import Usage  # type: ignore[import-not-found]


def main(kafka: str, topic: str, events: int, folder: str) -> None:
    """The mean loss of each run in windows of ten seconds, until all events have come."""
    usage = Usage(events)
    app = Application(
        broker_address=kafka,
        consumer_group="bench-quix",
        auto_offset_reset="earliest",
        state_dir=folder,
        consumer_extra_config={"fetch.wait.max.ms": 50},
        producer_extra_config={"enable.idempotence": False},
        loglevel="ERROR",
    )

    def count(value: object) -> object:
        if usage.add(1):
            usage.tell()
            os._exit(0)
        return value

    source = app.topic(topic, value_deserializer="json")
    # The embedded broker names no retention, which quix-streams copies to its changelog topic.
    source.broker_config.extra_config.setdefault("retention.ms", "-1")
    frame = app.dataframe(source).update(count)
    frame.apply(lambda event: event["loss"]).tumbling_window(10_000).mean().final()
    app.run()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
