"""Kafka records of one batch to rows: each topic by its own file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from emitter.vocabulary import topics
from stream.sink.decisions import add_ack, add_command, add_control, add_diagnosis, add_intent
from stream.sink.logs import add_logs
from stream.sink.points import add_metrics
from stream.sink.recent import Recent
from stream.sink.records import Record
from stream.sink.rows import Rows
from stream.sink.spans import add_spans

Adder = Callable[[Record, Rows, Recent], None]

ADDERS: Final[Mapping[str, Adder]] = MappingProxyType(
    {
        topics.OTLP_LOGS: add_logs,
        topics.OTLP_SPANS: add_spans,
        topics.OTLP_METRICS: add_metrics,
        topics.TRAIN_DIAGNOSES: add_diagnosis,
        topics.REMEDIATION_COMMANDS: add_command,
        topics.REMEDIATION_ACKS: add_ack,
        topics.REMEDIATION_INTENTS: add_intent,
        topics.REMEDIATION_CONTROL: add_control,
    }
)
"""The topics the sink reads, and what turns a record of each into rows."""


def collect(records: Iterable[Record], recent: Recent, again: bool = False) -> Rows:
    """Rows of all records. A record that cannot be stored is refused; the rest goes on.

    ``again``: the same were collected before, so what is refused is known.
    """
    rows = Rows(again)
    for record in records:
        try:
            ADDERS[record.topic](record, rows, recent)
        except ValueError as error:
            rows.refuse(record, error)
        except Exception as error:  # noqa: BLE001 - a bug of ours in one record must not stop the others
            rows.refuse(record, f"our own error, please report it: {error!r}")
    return rows
