"""Kafka topics: names, keys, retention. One row each; `trainwarden topics apply` creates them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS


@dataclass(frozen=True)
class Topic:
    """One topic. ``partitions`` is None where the number is the deployment's choice (all alike)."""

    name: str
    key: str
    value: str
    retention_ms: int | None = None
    compacted: bool = False
    partitions: int | None = None
    segment_bytes: int | None = None
    """How much of a compacted topic is never compacted; the broker's own setting where it is None."""


OTLP_LOGS: Final = "otlp_logs"
OTLP_SPANS: Final = "otlp_spans"
OTLP_METRICS: Final = "otlp_metrics"
TRAIN_EVENTS: Final = "train.events"
TRAIN_RULES: Final = "train.rules"
TRAIN_PLACEMENTS: Final = "train.placements"
TRAIN_SNAPSHOTS: Final = "train.snapshots"
TRAIN_DIAGNOSES: Final = "train.diagnoses"
TRAIN_DEADLETTERS: Final = "train.deadletters"
REMEDIATION_INTENTS: Final = "remediation.intents"
REMEDIATION_COMMANDS: Final = "remediation.commands"
REMEDIATION_ACKS: Final = "remediation.acks"
REMEDIATION_CONTROL: Final = "remediation.control"

_OTLP = "OTLP export request, protobuf"

TOPICS: Final = (
    Topic(OTLP_LOGS, "emitter id, or whatever the Collector sets", _OTLP, _DAY_MS),
    Topic(OTLP_SPANS, "emitter id, or whatever the Collector sets", _OTLP, _DAY_MS),
    Topic(OTLP_METRICS, "emitter id, or whatever the Collector sets", _OTLP, _DAY_MS),
    Topic(TRAIN_EVENTS, "run id", "decoded events of one run and clock ticks, msgpack", 2 * _DAY_MS),
    Topic(TRAIN_RULES, "pack", "rule set in force", compacted=True, partitions=1),
    Topic(TRAIN_PLACEMENTS, "host", "runs and ranks on a host", compacted=True, partitions=1),
    Topic(
        TRAIN_SNAPSHOTS,
        "slot and number",
        "what diagnose knows of a partition of train.events, private",
        compacted=True,
        segment_bytes=64 * 1024 * 1024,
    ),
    Topic(TRAIN_DIAGNOSES, "run id", "diagnosis transition, CloudEvent", 30 * _DAY_MS),
    Topic(REMEDIATION_INTENTS, "-", "what policy wants to do, CloudEvent", 7 * _DAY_MS, partitions=1),
    Topic(REMEDIATION_COMMANDS, "run id", "command, CloudEvent", 7 * _DAY_MS),
    Topic(REMEDIATION_ACKS, "run id", "acknowledgement, CloudEvent", 30 * _DAY_MS),
    Topic(REMEDIATION_CONTROL, "-", "approvals, rejections, resets, silences", 30 * _DAY_MS, partitions=1),
    Topic(TRAIN_DEADLETTERS, "original key", "original bytes", 7 * _DAY_MS, partitions=1),
)

MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024
"""Room above the 1 MB of an otlp_* record: for its dead letter, and for what ingest makes of it."""

OTLP_TOPICS: Final = (OTLP_LOGS, OTLP_SPANS, OTLP_METRICS)

# Headers of train.deadletters.
DEADLETTER_HEADERS: Final = ("topic", "partition", "offset", "stage", "error")

# Headers of train.events, so that a reader can skip a batch without decoding it.
HEADER_KINDS: Final = "kinds"
"""Comma-separated, sorted: ``tick``, ``events``, and ``lifecycle`` / ``checkpoint`` when such are inside."""

# Header the gateway sets on otlp_* records: its own id, so that a silent path can be told from a silent rank.
HEADER_GATEWAY: Final = "gateway"

# Places for signatures on remediation.commands and remediation.control.
HEADER_KEY_ID: Final = "trainwarden-key-id"
HEADER_SIGNATURE: Final = "trainwarden-signature"
