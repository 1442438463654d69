"""Every metric of our own, with its unit and meaning; docs/health.md is made from this list.

Names and units follow OpenTelemetry's conventions; those of ``process.*`` are its own:
https://opentelemetry.io/docs/specs/semconv/system/process-metrics/
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Kind(Enum):
    """The instrument. ``level``: a sum that goes up and down (it may be added up over processes)."""

    counter = "counter"
    level = "level"
    gauge = "gauge"
    histogram = "histogram"


LOOP, HISTORY, GATEWAY, CLICKHOUSE = "loop", "history", "gateway", "clickhouse"
_WORKERS: Final = (LOOP, HISTORY)
_ALL: Final = (LOOP, HISTORY, GATEWAY, CLICKHOUSE)


@dataclass(frozen=True)
class Metric:
    """``attributes``: the names of what its series differ by; ``parts``: who has it."""

    name: str
    kind: Kind
    unit: str
    meaning: str
    attributes: tuple[str, ...]
    parts: tuple[str, ...]


METRICS: Final[list[Metric]] = []


def _metric(
    name: str, kind: Kind, unit: str, meaning: str, attributes: tuple[str, ...], parts: tuple[str, ...]
) -> Metric:
    METRICS.append(Metric(name, kind, unit, meaning, attributes, parts))
    return METRICS[-1]


CONSUMER_LAG: Final = _metric(
    "trainwarden.consumer.lag", Kind.gauge, "{record}",
    "Records of a partition that the group has not committed as read",
    ("topic", "partition"), _WORKERS,
)  # fmt: skip
CONSUMER_BEHIND: Final = _metric(
    "trainwarden.consumer.behind", Kind.gauge, "s",
    "How long ago the newest record that was dealt with was written; 0 where none waits",
    ("topic", "partition"), _WORKERS,
)  # fmt: skip
STAGE_RECORDS: Final = _metric(
    "trainwarden.stage.records", Kind.counter, "{record}",
    "Kafka records that a stage was given", ("stage", "topic"), (LOOP,),
)  # fmt: skip
STAGE_EVENTS: Final = _metric(
    "trainwarden.stage.events", Kind.counter, "{event}",
    "Events in the records that a stage made or read: a record carries many", ("stage",), (LOOP,),
)  # fmt: skip
WITHOUT_RUN: Final = _metric(
    "trainwarden.ingest.events.without_run", Kind.counter, "{event}",
    "Events whose sender names no run: no rule sees them, unless a run is known to be on their node", (),
    (LOOP,),
)  # fmt: skip
STAGE_TIME: Final = _metric(
    "trainwarden.stage.duration", Kind.histogram, "s",
    "What a stage took to think about one record, without reading and writing", ("stage", "topic"), (LOOP,),
)  # fmt: skip
RULES_TIME: Final = _metric(
    "trainwarden.rules.duration", Kind.histogram, "s",
    "Reading and judging, by all rules, one batch of events or tick of the clock", ("message",), (LOOP,),
)  # fmt: skip
RULES_BEHIND: Final = _metric(
    "trainwarden.rules.behind", Kind.gauge, "s",
    "The clock of the rules (event time) against the wall clock", ("partition",), (LOOP,),
)  # fmt: skip
RUNS: Final = _metric(
    "trainwarden.rules.runs", Kind.level, "{run}", "Runs that the rules remember", (), (LOOP,)
)
LEFT_OUT: Final = _metric(
    "trainwarden.rules.events.left_out", Kind.counter, "{event}",
    "Events that were not judged, or not in their turn: duplicates, late, lost, old_attempts, after_end, "
    "without_run, series_refused, emitters_refused, late_events, late_turns, spilled, fenced",
    ("reason",), (LOOP,),
)  # fmt: skip
REPEATED: Final = _metric(
    "trainwarden.rules.batches.repeated", Kind.counter, "{batch}",
    "Batches that had been read before: after a crash, ingest makes them again", (), (LOOP,),
)  # fmt: skip
EXPIRED: Final = _metric(
    "trainwarden.rules.runs.expired", Kind.counter, "{run}", "Runs forgotten because they fell silent", (),
    (LOOP,),
)  # fmt: skip
DEAD: Final = _metric(
    "trainwarden.deadletters", Kind.counter, "{record}",
    "Records set aside to train.deadletters. reason: malformed, too_large, or the name of a bug's exception",
    ("stage", "reason"), (LOOP,),
)  # fmt: skip
DECISIONS: Final = _metric(
    "trainwarden.remediate.decisions", Kind.counter, "{decision}",
    "Decisions of the arbiter", ("decision",), (LOOP,),
)  # fmt: skip
COMMANDS: Final = _metric(
    "trainwarden.remediate.commands", Kind.counter, "{command}", "Commands sent to trainers", ("action",),
    (LOOP,),
)  # fmt: skip
ACKS: Final = _metric(
    "trainwarden.remediate.acks", Kind.counter, "{acknowledgement}", "Acknowledgements read", ("state",),
    (LOOP,),
)  # fmt: skip
NOTICES: Final = _metric(
    "trainwarden.notify.notices", Kind.counter, "{notice}",
    "Notices to web hooks: sent, failed, repeated (told before), held_back (too many)", ("hook", "outcome"),
    (LOOP,),
)  # fmt: skip
OUTBOX: Final = _metric(
    "trainwarden.outbox.depth", Kind.level, "{record}",
    "Records read whose results are not on the broker yet", ("stage", "topic"), (LOOP,),
)  # fmt: skip
PUBLISHED: Final = _metric(
    "trainwarden.publish.records", Kind.counter, "{record}", "Records written to Kafka", ("topic",), (LOOP,)
)
PUBLISH_TIME: Final = _metric(
    "trainwarden.publish.duration", Kind.histogram, "s",
    "From handing records of one partition over to the broker's acknowledgement", ("topic",), (LOOP,),
)  # fmt: skip
PUBLISH_FAILED: Final = _metric(
    "trainwarden.publish.failures", Kind.counter, "{attempt}",
    "Times that a broker did not take records; they are sent again", ("topic",), (LOOP,),
)  # fmt: skip
HISTORY_RECORDS: Final = _metric(
    "trainwarden.history.records", Kind.counter, "{record}", "Kafka records stored", (), (HISTORY,)
)
HISTORY_ROWS: Final = _metric(
    "trainwarden.history.rows", Kind.counter, "{row}", "Rows that ClickHouse took", (), (HISTORY,)
)
HISTORY_BATCHES: Final = _metric(
    "trainwarden.history.batches", Kind.counter, "{batch}", "Batches stored", (), (HISTORY,)
)
INSERT_TIME: Final = _metric(
    "trainwarden.history.insert.duration", Kind.histogram, "s",
    "One insert into ClickHouse. outcome: stored or unavailable", ("table", "outcome"), (HISTORY,),
)  # fmt: skip
HISTORY_RETRIES: Final = _metric(
    "trainwarden.history.retries", Kind.counter, "{attempt}",
    "Times that ClickHouse had to be asked again, because it was not there or did not take what came", (),
    (HISTORY,),
)  # fmt: skip
HISTORY_WAITING: Final = _metric(
    "trainwarden.history.waiting", Kind.level, "By", "Records in memory that are not stored yet", (),
    (HISTORY,),
)  # fmt: skip
HISTORY_REFUSED: Final = _metric(
    "trainwarden.history.refused", Kind.counter, "{row}",
    "Records that could not be read and rows that ClickHouse would not take; each is named in the log", (),
    (HISTORY,),
)  # fmt: skip
HISTORY_DUPLICATES: Final = _metric(
    "trainwarden.history.duplicates", Kind.counter, "{row}", "Resends of emitters, not stored again", (),
    (HISTORY,),
)  # fmt: skip
HISTORY_REPLAYED: Final = _metric(
    "trainwarden.history.replayed", Kind.counter, "{record}",
    "Kafka records read again, after a crash or a rebalance, that were stored before", (), (HISTORY,),
)  # fmt: skip
GATEWAY_REQUESTS: Final = _metric(
    "trainwarden.gateway.requests", Kind.counter, "{request}",
    "Requests answered. signal: logs, traces, metrics, commands, acks, other; protocol: http or grpc; "
    "status: HTTP's number, gRPC's name, or left (gone without an answer)",
    ("signal", "protocol", "status"), (GATEWAY,),
)  # fmt: skip
GATEWAY_TIME: Final = _metric(
    "trainwarden.gateway.request.duration", Kind.histogram, "s",
    "From a request's headers to its answer, which waits for Kafka", ("signal", "protocol"), (GATEWAY,),
)  # fmt: skip
GATEWAY_BYTES: Final = _metric(
    "trainwarden.gateway.request.size", Kind.counter, "By",
    "Bodies of requests that Kafka has, as they came: compressed or not", ("signal",), (GATEWAY,),
)  # fmt: skip
GATEWAY_REFUSED: Final = _metric(
    "trainwarden.gateway.refused", Kind.counter, "{request}",
    "Requests not taken. reason: malformed, unauthorized, too_large, too_slow, unsupported, "
    "busy (too much under way), unavailable (no broker)",
    ("reason",), (GATEWAY,),
)  # fmt: skip
GATEWAY_REJECTED: Final = _metric(
    "trainwarden.gateway.rejected", Kind.counter, "{record}",
    "Records left out of requests that were taken otherwise (OTLP's partial success)", (), (GATEWAY,),
)  # fmt: skip
GATEWAY_QUEUE: Final = _metric(
    "trainwarden.gateway.queue", Kind.level, "By", "Bytes of the requests under way", (), (GATEWAY,)
)
GATEWAY_UNDER_WAY: Final = _metric(
    "trainwarden.gateway.under_way", Kind.level, "{request}", "Requests under way", (), (GATEWAY,)
)
CLICKHOUSE_REQUESTS: Final = _metric(
    "trainwarden.clickhouse.requests", Kind.counter, "{request}",
    "Queries and inserts answered. kind: queries, inserts, or unread (refused before that was known); "
    "outcome: ok, ClickHouse's error code, or left (the client went away)",
    ("kind", "outcome"), (CLICKHOUSE,),
)  # fmt: skip
CLICKHOUSE_TIME: Final = _metric(
    "trainwarden.clickhouse.request.duration", Kind.histogram, "s",
    "From a statement that was read to the end of its answer", ("kind",), (CLICKHOUSE,),
)  # fmt: skip
CLICKHOUSE_UNDER_WAY: Final = _metric(
    "trainwarden.clickhouse.under_way", Kind.level, "{request}", "Queries and inserts that run now",
    ("kind",), (CLICKHOUSE,),
)  # fmt: skip
CLICKHOUSE_MEMORY: Final = _metric(
    "trainwarden.clickhouse.memory", Kind.level, "By", "Memory that the engine accounts for", (),
    (CLICKHOUSE,),
)  # fmt: skip
READY: Final = _metric("trainwarden.ready", Kind.gauge, "1", "What /readyz says: 1 ready, 0 not", (), _ALL)
HEALTHY: Final = _metric(
    "trainwarden.healthy", Kind.gauge, "1", "What /healthz says: 1 healthy, 0 stuck", (), _ALL
)
CPU: Final = _metric("process.cpu.time", Kind.counter, "s", "CPU seconds of the process", ("cpu.mode",), _ALL)
MEMORY: Final = _metric("process.memory.usage", Kind.level, "By", "Resident memory of the process", (), _ALL)
THREADS: Final = _metric("process.thread.count", Kind.level, "{thread}", "Threads of the process", (), _ALL)
FILES: Final = _metric(
    "process.unix.file_descriptor.count", Kind.level, "{file_descriptor}", "Open files and sockets", (), _ALL
)
UPTIME: Final = _metric("process.uptime", Kind.gauge, "s", "Since the process began", (), _ALL)
