"""Where files are shipped to: the emitter's own exporters, so every endpoint and variable means the same."""

from __future__ import annotations

import time
from typing import Final, Protocol

from emitter._endpoints import find, for_metrics
from emitter._records import Fate, Outcome, Payload
from emitter._settings import SettingError, resolve
from stream.gateway.signals import SIGNALS
from stream.gateway.split import messages_of
from stream.otlp import parse
from stream.shipping.errors import ShippingError

TIMEOUT_S: Final = 30.0
_SIGNALS: Final = {signal.path.removeprefix("/v1/"): signal for signal in SIGNALS}


class Target(Protocol):
    """``send`` may block; ``name`` is shown and kept in the cursor: no credentials."""

    name: str

    def send(self, payload: Payload) -> Outcome:
        """Deliver one request."""
        ...

    def close(self) -> None:
        """Release what it holds."""
        ...


def target_of(endpoint: str | None) -> Target:
    """The target of an endpoint, or of the variables and the local stack. Raises ShippingError."""
    try:
        settings = resolve({"endpoint": endpoint})
        places = find(settings)
    except SettingError as error:
        raise ShippingError(
            str(error).replace("init: expected `endpoint`", "--endpoint: expected it")
        ) from None
    if places is None:
        raise ShippingError(
            "no endpoint is known: give --endpoint, set TRAINWARDEN_ENDPOINT, or start a stack with "
            "`trainwarden up`"
        )
    metrics = for_metrics(settings, places)
    scheme = _protocol(places.logs)
    if {_protocol(places.spans), _protocol(metrics)} != {scheme}:
        raise ShippingError(
            "OTEL_EXPORTER_OTLP_..._PROTOCOL: expected the same for all signals to be shipped"
        )
    if scheme == "kafka":
        return _Kafka(places.logs)
    if scheme == "http":
        from emitter.otlp.http_exporter import HttpExporter

        return _Named(HttpExporter(places.logs, places.spans, TIMEOUT_S, metrics))
    if scheme == "grpc":
        from emitter.otlp.grpc import GrpcExporter

        return _Named(GrpcExporter(places.logs, places.spans, TIMEOUT_S, metrics))
    raise ShippingError(f"--endpoint: expected http(s)://, grpc(s):// or kafka://, got {places.logs}")


def _protocol(url: str) -> str:
    return url.partition("://")[0].removesuffix("s")


class _Named:
    """An exporter of the emitter."""

    def __init__(self, exporter: object) -> None:
        self._exporter: Target = exporter  # type: ignore[assignment]
        self.name: str = exporter.target  # type: ignore[attr-defined]

    def send(self, payload: Payload) -> Outcome:
        return self._exporter.send(payload)

    def close(self) -> None:
        self._exporter.close()


class _Kafka:
    """As the emitter's own: to the Collector's topics, keyed by the emitter that wrote the records."""

    def __init__(self, url: str) -> None:
        from emitter.kafka.settings import KafkaSettingError, resolve
        from emitter.kafka.writer import Writer

        try:
            settings = resolve({"brokers": url})
        except KafkaSettingError as error:
            raise ShippingError(str(error)) from None
        self.name = f"kafka://{settings.brokers}"
        self._limit, self._writer = settings.max_message_bytes, Writer(settings, create_topics=False)

    def send(self, payload: Payload) -> Outcome:
        """Cut as the gateway cuts: a metric too large for one message by its points."""
        from aiokafka.errors import KafkaError

        from emitter.kafka.client import reason
        from emitter.kafka.exporter import TOPICS
        from emitter.kafka.split import write_in_parts
        from emitter.kafka.writer import Message

        end, signal = time.monotonic() + TIMEOUT_S, _SIGNALS[payload.signal]
        request = parse.parse(signal.request, payload.body)
        messages = messages_of(signal, request, payload.body, self._limit)

        def write(body: bytes) -> None:
            left = max(0.001, end - time.monotonic())
            self._writer.write(TOPICS[payload.signal], [Message(messages.key, body)], left)

        try:
            refused = sum(write_in_parts(body, self._limit, write).records for body in messages.values)
        except (KafkaError, OSError) as error:
            return Outcome(Fate.RETRY, reason(error))
        return Outcome(Fate.SENT, messages.reason, refused=refused + messages.rejected)

    def close(self) -> None:
        self._writer.close(1.0)
