"""A stock OpenTelemetry SDK with our exporters, and what a stock Kafka client reads of it."""

from __future__ import annotations

from aiokafka import ConsumerRecord
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

from emitter.otlp_kafka import KafkaLogExporter
from tests.fixtures import read_topic


def read(broker: str, topic: str, service: str, enough: int = 1) -> list[ConsumerRecord]:
    """Messages of this service as a stock aiokafka consumer sees them."""
    needle = service.encode()
    return read_topic(
        broker, topic, lambda found: len(found) >= enough, lambda record: needle in record.value
    )


def logger_provider(exporter: KafkaLogExporter, resource: Resource) -> LoggerProvider:
    """The SDK's provider with its batch processor."""
    provider = LoggerProvider(resource, shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    return provider
