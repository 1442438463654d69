"""The floor: aiokafka reads OTLP requests, protobuf decodes them, every attribute goes into a dict.

``python -m bench.peers.decode_loop HOST:PORT TOPIC EVENTS``
"""

from __future__ import annotations

import asyncio
import sys

from aiokafka import AIOKafkaConsumer
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from bench.peers.usage import Usage


def to_dicts(payload: bytes) -> list[dict[str, object]]:
    """The records of a request as plain dicts."""
    request = ExportLogsServiceRequest.FromString(payload)
    return [
        {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in log.attributes}
        for group in request.resource_logs
        for scope in group.scope_logs
        for log in scope.log_records
    ]


async def main(kafka: str, topic: str, events: int) -> None:
    """Read the topic from its beginning until so many events have come."""
    usage = Usage(events)
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=kafka, auto_offset_reset="earliest", fetch_max_wait_ms=50
    )
    await consumer.start()
    try:
        async for record in consumer:
            if usage.add(len(to_dicts(record.value))):
                break
    finally:
        await consumer.stop()
    usage.tell()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
