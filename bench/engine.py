"""Events per second through the engine with all shipped packs, against decoding the same OTLP to dicts.

The peer is the floor of the obvious way: protobuf parsed and every attribute put into a dict, with no rule
at all. Both run in this process, on the same 100-record batches of train.step.
"""

from __future__ import annotations

from bench.peers.decode_loop import to_dicts
from bench.row import Row
from bench.steps import STEPS, batches, decoded, incoming, rate, records, requests
from stream import resources
from stream.diagnose.engine import Engine
from stream.ingest.messages import ingest
from stream.rulelang import load_packs


def measure() -> list[Row]:
    """Engine with decoding, and ingest, each against the peer."""
    payloads = requests(records())
    given, written = incoming(payloads), batches(payloads)
    rules = load_packs([resources.path("rules")])

    def diagnose() -> None:
        engine = Engine(rules)
        for batch in decoded(written):
            engine.process(batch)

    def translate() -> None:
        for record in given:
            ingest(record, partitions=1)

    def peer() -> None:
        for payload in payloads:
            to_dicts(payload)

    floor = rate(peer, STEPS)
    name = "protobuf to dicts"
    packs = f"events to diagnoses, all packs ({len(rules.rules)} rules)"
    return [
        Row(packs, rate(diagnose, STEPS), floor, "1/s", name, ">= 0.6x"),
        Row("OTLP to train.events (ingest)", rate(translate, STEPS), floor, "1/s", name),
    ]
