"""Arguments of the exporters: where messages go and what key they get; the rest is KafkaSettings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from typing_extensions import TypedDict

from emitter.kafka.settings import PREFIX, KafkaSettingError, KafkaSettings, resolve
from emitter.vocabulary import topics

TOPICS: Final = {
    "logs": ("LOGS_TOPIC", topics.OTLP_LOGS),
    "traces": ("SPANS_TOPIC", topics.OTLP_SPANS),
    "metrics": ("METRICS_TOPIC", topics.OTLP_METRICS),
}
"""Variable and default of each signal; the defaults are the Collector's."""


class Options(TypedDict, total=False):
    """Keyword arguments of every exporter; docs/otlp-kafka.md says what each means."""

    topic: str
    key: str
    key_attribute: str
    tls: bool
    tls_ca: str
    tls_certificate: str
    tls_key: str
    sasl_mechanism: str
    sasl_username: str
    sasl_password: str
    client_id: str
    compression: str
    max_message_bytes: int
    timeout: float


@dataclass(frozen=True)
class Plan:
    """The options of one exporter, resolved."""

    kafka: KafkaSettings
    topic: str
    key: bytes | None
    key_attribute: str | None


_KAFKA: Final = frozenset(row.name for row in fields(KafkaSettings))


def plan(signal: str, brokers: str | None, options: Mapping[str, Any]) -> Plan:
    """Arguments first, then TRAINWARDEN_KAFKA_*. Raises KafkaSettingError, TypeError for a misspelt name."""
    unknown = options.keys() - _KAFKA - {"topic", "key", "key_attribute"}
    if unknown:
        raise TypeError(f"unknown argument `{min(unknown)}`; known are {', '.join(Options.__annotations__)}")
    variable, topic = TOPICS[signal]
    key, attribute = _word(options, "key"), _word(options, "key_attribute")
    if key and attribute:
        raise KafkaSettingError("expected key or key_attribute, got both")
    return Plan(
        kafka=resolve({"brokers": brokers, **{name: options.get(name) for name in _KAFKA - {"brokers"}}}),
        topic=options.get("topic") or os.environ.get(PREFIX + variable) or topic,
        key=key.encode() if key else None,
        key_attribute=attribute,
    )


def _word(options: Mapping[str, Any], name: str) -> str | None:
    found: str | None = options.get(name) or os.environ.get(PREFIX + name.upper()) or None
    return found
