"""OTLP to Kafka for any OpenTelemetry Python SDK: what the Collector's Kafka receiver reads.

    from emitter.otlp_kafka import KafkaSpanExporter
    provider.add_span_processor(BatchSpanProcessor(KafkaSpanExporter("broker:9092")))

docs/otlp-kafka.md has all settings. Needs the extra ``otlp-kafka``; nothing of the emitter runs.
"""

try:
    from emitter.kafka.settings import KafkaSettingError
    from emitter.otlp_kafka._exporters import KafkaLogExporter, KafkaMetricExporter, KafkaSpanExporter
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"{error.name} is not installed; `pip install 'trainwarden[otlp-kafka]'` brings it", name=error.name
    ) from None

__all__ = ["KafkaLogExporter", "KafkaMetricExporter", "KafkaSettingError", "KafkaSpanExporter"]
