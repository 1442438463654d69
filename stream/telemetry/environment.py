"""Where our own metrics go, by OpenTelemetry's standard variables.

Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/. One difference:
without an endpoint nothing is sent, because nobody listens on most machines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
METRICS_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
EXPORTER: Final = "OTEL_METRICS_EXPORTER"
PROTOCOL: Final = "OTEL_EXPORTER_OTLP_PROTOCOL"
METRICS_PROTOCOL: Final = "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL"
DISABLED: Final = "OTEL_SDK_DISABLED"
INTERVAL: Final = "OTEL_METRIC_EXPORT_INTERVAL"

HTTP, GRPC = "http/protobuf", "grpc"


@dataclass(frozen=True)
class Choice:
    """``off``: nothing is shown to others. ``sends``: there is somewhere to send. ``where``: for messages."""

    off: bool = False
    sends: bool = False
    protocol: str = HTTP
    where: str = ""


def read(environ: Mapping[str, str]) -> Choice:
    """What the variables say."""
    if environ.get(DISABLED, "").strip().lower() == "true":
        return Choice(off=True)
    exporter = environ.get(EXPORTER, "").strip().lower()
    where = environ.get(METRICS_ENDPOINT) or environ.get(ENDPOINT) or ""
    names = {name.strip() for name in exporter.split(",")}
    sends = (bool(where) and not exporter) or "otlp" in names
    protocol = environ.get(METRICS_PROTOCOL) or environ.get(PROTOCOL) or HTTP
    return Choice(sends=sends, protocol=protocol.strip().lower(), where=where or "http://localhost:4318")
