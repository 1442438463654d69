"""The exporter of a session: by the scheme of the place that each signal goes to."""

from __future__ import annotations

from emitter._endpoints import Endpoints, find
from emitter._guard import guard, logger
from emitter._records import LOGS, TRACES, Exporter, Outcome, Payload
from emitter._settings import Settings
from emitter.otlp import environment


class PerSignal:
    """An Exporter of two: one for logs, one for spans."""

    def __init__(self, logs: Exporter, spans: Exporter) -> None:
        self.target = logs.target
        self._by_signal = {LOGS: logs, TRACES: spans}

    def send(self, payload: Payload) -> Outcome:
        """Deliver by the signal's own exporter."""
        return self._by_signal[payload.signal].send(payload)

    def close(self) -> None:
        """Close both."""
        for exporter in self._by_signal.values():
            exporter.close()


def build(settings: Settings, key: str, name: str = "") -> Exporter | None:
    """What reaches the endpoint that is found; None with a warning without one.

    ``key``: of Kafka records, and one of a kind; ``name``: what people see in the names of files.
    """
    places = find(settings)
    if places is None:
        logger.warning(
            "no endpoint: telemetry goes nowhere. Start `trainwarden up`, or set TRAINWARDEN_ENDPOINT or "
            "init(endpoint=...); training goes on"
        )
        return None
    with guard:
        if _protocol(places.logs) == "file":
            return _file(places.logs, f"{name}-{key}")
        logs = _one(places, _protocol(places.logs), settings, key)
        if logs is None or _protocol(places.spans) == _protocol(places.logs):
            return logs
        spans = _one(places, _protocol(places.spans), settings, key)
        return None if spans is None else PerSignal(logs, spans)
    return None


def _protocol(url: str) -> str:
    return url.partition("://")[0].removesuffix("s")


def _one(places: Endpoints, protocol: str, settings: Settings, key: str) -> Exporter | None:
    """An exporter of this protocol; None with a warning where its extra is missing or a setting is bad."""
    timeout_s = settings.export_timeout_s
    try:
        if protocol == "kafka":
            return _kafka(places.logs, key, timeout_s or environment.timeout_s(LOGS))
        if protocol == "grpc":
            return _grpc(places, timeout_s or environment.timeout_s(LOGS))
    except ImportError as error:
        logger.warning(
            "telemetry goes nowhere: %s is not installed. Install it with `pip install 'trainwarden[%s]'`; "
            "training goes on", error.name or error, protocol,
        )  # fmt: skip
        return None
    from emitter.otlp.http_exporter import HttpExporter

    return HttpExporter(places.logs, places.spans, timeout_s)


def _file(url: str, name: str) -> Exporter:
    from emitter.files.exporter import FileExporter
    from emitter.files.place import parse

    return FileExporter(parse(url), name)


def _kafka(brokers: str, key: str, timeout_s: float) -> Exporter | None:
    from emitter.kafka.exporter import KafkaExporter
    from emitter.kafka.settings import KafkaSettingError, resolve

    try:
        return KafkaExporter(resolve({"brokers": brokers}), key, timeout_s)
    except KafkaSettingError as error:
        logger.warning("%s; telemetry goes nowhere, training goes on", error)
        return None


def _grpc(places: Endpoints, timeout_s: float) -> Exporter | None:
    from emitter.otlp.grpc import GrpcExporter, GrpcSettingError

    try:
        return GrpcExporter(places.logs, places.spans, timeout_s)
    except GrpcSettingError as error:
        logger.warning("%s; telemetry goes nowhere, training goes on", error)
        return None
