"""The OpenTelemetry variables that say what is sent with each request.

Specification: https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from __future__ import annotations

import math
import os
import re
from typing import Final
from urllib.parse import unquote

from emitter._guard import logger

RESOURCE: Final = "OTEL_RESOURCE_ATTRIBUTES"
TIMEOUT_S: Final = 10.0
MOST_SECONDS: Final = 300.0

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def resource() -> dict[str, str]:
    """The attributes of OTEL_RESOURCE_ATTRIBUTES; a pair that is none is warned of and left out."""
    return pairs(RESOURCE)


def headers(signal: str) -> dict[str, str]:
    """The headers of one signal, names in lower case; what is no header is warned of and left out."""
    name = _name(signal, "HEADERS")
    found = {}
    for key, value in pairs(name).items():
        if _HEADER_NAME.fullmatch(key) and value.isprintable() and value.isascii():
            found[key.lower()] = value
        else:
            logger.warning("%s: expected headers of printable ASCII, got %r; leaving it out", name, key)
    return found


def compression(signal: str) -> str:
    """``gzip``, ``deflate`` or an empty string."""
    name = _name(signal, "COMPRESSION")
    value = os.environ.get(name, "").strip().lower()
    if value not in ("", "none", "gzip", "deflate"):
        logger.warning("%s: expected gzip, deflate or none, got %r; sending as it is", name, value)
        return ""
    return "" if value == "none" else value


def gzips(signal: str) -> bool:
    """Whether the requests of this signal are to be compressed with gzip."""
    return compression(signal) == "gzip"


def timeout_s(signal: str) -> float:
    """OTEL_EXPORTER_OTLP_TIMEOUT in seconds.

    The specification has milliseconds, the Python SDK seconds: up to 300 it is seconds, above milliseconds.
    """
    name = _name(signal, "TIMEOUT")
    value = os.environ.get(name, "").strip()
    try:
        number = float(value) if value else TIMEOUT_S
    except ValueError:
        number = 0.0
    if not 0 < number < math.inf:
        logger.warning("%s: expected milliseconds > 0, got %r; using %g s", name, value, TIMEOUT_S)
        return TIMEOUT_S
    return number if number <= MOST_SECONDS else number / 1000


def file(signal: str, what: str) -> str | None:
    """The path of CERTIFICATE, CLIENT_KEY or CLIENT_CERTIFICATE."""
    return os.environ.get(_name(signal, what), "").strip() or None


def _name(signal: str, what: str) -> str:
    """The variable of the signal where it is set, else the one for all signals."""
    own = f"OTEL_EXPORTER_OTLP_{signal.upper()}_{what}"
    return own if os.environ.get(own, "").strip() else f"OTEL_EXPORTER_OTLP_{what}"


def protocol(signal: str) -> str:
    """``http`` or ``grpc``."""
    name = _name(signal, "PROTOCOL")
    value = os.environ.get(name, "").strip()
    if value not in ("", "grpc", "http/protobuf"):
        logger.warning("%s: expected grpc or http/protobuf, got %r; using http/protobuf", name, value)
    return "grpc" if value == "grpc" else "http"


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
