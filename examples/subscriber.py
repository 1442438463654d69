"""Prints what Trainwarden decides and trainers answer: `python examples/subscriber.py localhost:9092`."""

import asyncio
import json
import sys

from aiokafka import AIOKafkaConsumer

TOPICS = ("train.diagnoses", "remediation.intents", "remediation.commands", "remediation.acks")


async def main(brokers: str) -> None:
    async with AIOKafkaConsumer(*TOPICS, bootstrap_servers=brokers, auto_offset_reset="earliest") as consumer:
        seen = set()
        async for record in consumer:
            event = json.loads(record.value)
            if event["id"] not in seen:  # a decision that is replayed has the same id
                seen.add(event["id"])
                print(event["time"], event["type"], event["subject"], json.dumps(event["data"]), flush=True)


asyncio.run(main(*sys.argv[1:]))
