"""Where metrics go, by the variables that every OpenTelemetry SDK knows."""

from __future__ import annotations

import pytest

from stream.telemetry.environment import Choice, read

URL = "http://collector:4318"
OWN = "http://collector:4318/own"


@pytest.mark.parametrize(
    ("environ", "sends", "where"),
    [
        ({}, False, "http://localhost:4318"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": URL}, True, URL),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": OWN, "OTEL_EXPORTER_OTLP_ENDPOINT": URL}, True, OWN),
        ({"OTEL_METRICS_EXPORTER": "otlp"}, True, "http://localhost:4318"),
        ({"OTEL_METRICS_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": URL}, False, URL),
        ({"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_OTLP_ENDPOINT": URL}, False, URL),
        ({"OTEL_METRICS_EXPORTER": "console,otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": URL}, True, URL),
        ({"OTEL_SDK_DISABLED": "false", "OTEL_EXPORTER_OTLP_ENDPOINT": URL}, True, URL),
    ],
    ids=["nothing", "endpoint", "of metrics", "exporter", "none", "another", "one of two", "not disabled"],
)  # fmt: skip
def test_where_metrics_go(environ: dict[str, str], sends: bool, where: str) -> None:
    """Only where somebody said so."""
    assert read(environ) == Choice(sends=sends, where=where)


def test_off_and_over_grpc() -> None:
    """OTEL_SDK_DISABLED wins over everything; the protocol of metrics wins over the general one."""
    assert read({"OTEL_SDK_DISABLED": " TRUE", "OTEL_EXPORTER_OTLP_ENDPOINT": URL}).off
    both = {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc"}
    assert read(both).protocol == "grpc"
