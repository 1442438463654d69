"""The OpenTelemetry variables that say what is sent with each request.

Specification: https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from __future__ import annotations

import os
from typing import Final
from urllib.parse import unquote

from emitter._guard import logger

RESOURCE: Final = "OTEL_RESOURCE_ATTRIBUTES"


def resource() -> dict[str, str]:
    """The attributes of OTEL_RESOURCE_ATTRIBUTES; a pair that is none is warned of and left out."""
    return pairs(RESOURCE)


def headers(signal: str) -> dict[str, str]:
    """The headers of one signal, names in lower case."""
    name = f"OTEL_EXPORTER_OTLP_{signal.upper()}_HEADERS"
    return {
        key.lower(): value
        for key, value in pairs(name if name in os.environ else "OTEL_EXPORTER_OTLP_HEADERS").items()
    }


def gzips(signal: str) -> bool:
    """Whether the requests of this signal are to be compressed."""
    name = f"OTEL_EXPORTER_OTLP_{signal.upper()}_COMPRESSION"
    return os.environ.get(name, os.environ.get("OTEL_EXPORTER_OTLP_COMPRESSION", "")).strip() == "gzip"


def protocol() -> str:
    """``http`` or ``grpc``: OTEL_EXPORTER_OTLP_PROTOCOL; that of logs speaks for both signals."""
    for name in ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        value = os.environ.get(name, "").strip()
        if value in ("grpc", "http/protobuf"):
            return value.partition("/")[0]
        if value:
            logger.warning("%s: expected grpc or http/protobuf, got %r; using http/protobuf", name, value)
            return "http"
    return "http"


def pairs(variable: str) -> dict[str, str]:
    """``key=value,key=value`` with values in percent encoding, as W3C Baggage has it."""
    found = {}
    for pair in os.environ.get(variable, "").split(","):
        key, equals, value = pair.partition("=")
        if equals and key.strip():
            found[key.strip()] = unquote(value.strip())
        elif pair.strip():
            logger.warning("%s: expected key=value,key=value, got %r; leaving it out", variable, pair)
    return found
