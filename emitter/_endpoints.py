"""Where telemetry goes: argument, TRAINWARDEN_ENDPOINT, OpenTelemetry's variables, a local stack."""

from __future__ import annotations

import ipaddress
import os
from typing import Final, NamedTuple

from emitter._guard import logger
from emitter._records import LOGS, METRICS, TRACES
from emitter._settings import Settings
from emitter.otlp import environment
from emitter.vocabulary import stack

BASE: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"


class Endpoints(NamedTuple):
    """Full URLs of the two signals; their scheme is the protocol: http(s), grpc(s) or kafka."""

    logs: str
    spans: str


def find(settings: Settings) -> Endpoints | None:
    """The first of the places that is there."""
    if settings.endpoint is not None:
        return _from_base(settings.endpoint)
    return _from_opentelemetry() or _from_stack()


def for_metrics(settings: Settings, places: Endpoints) -> str:
    """Where metrics go that others wrote: a place of their own in the variables, or beside the logs."""
    own = None if settings.endpoint is not None else _place(METRICS)
    return own or places.logs.removesuffix("/v1/logs") + _path(places.logs, METRICS)


def is_loopback(host: str) -> bool:
    """Whether this host name or address is the machine itself."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def first_host(brokers: str) -> str:
    """The host of the first of ``kafka://host:port[,host:port]``."""
    return brokers.removeprefix("kafka://").partition(",")[0].rpartition(":")[0].strip("[]")


def _from_base(base: str) -> Endpoints:
    base = base.rstrip("/")
    return Endpoints(base + _path(base, LOGS), base + _path(base, TRACES))


def _from_opentelemetry() -> Endpoints | None:
    """Where the variables send logs; spans without a place of their own go beside them."""
    logs = _place(LOGS)
    if logs is None:
        return None
    return Endpoints(logs, _place(TRACES) or logs.removesuffix("/v1/logs") + _path(logs, TRACES))


def _place(signal: str) -> str | None:
    """A signal's own variable is used as it is, the general one as a base: OTLP exporter specification."""
    own, base = _url(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"), _url(BASE)
    found = own or base
    if found is None:
        return None
    if environment.protocol(signal) == "grpc":
        return found.replace("http", "grpc", 1)
    return own or f"{base}{_path(found, signal)}"


def _path(url: str, signal: str) -> str:
    return f"/v1/{signal}" if url.startswith("http") else ""


def _url(name: str) -> str | None:
    value = os.environ.get(name, "").strip()
    if value and not value.startswith(("http://", "https://")):
        logger.warning("%s: expected http://host:port or https://host:port, got %r; ignoring it", name, value)
        return None
    return value.rstrip("/") or None


def _from_stack() -> Endpoints | None:
    running = stack.read_stack()
    place = running and running["endpoints"].get("otlp_http")
    return _from_base(str(place)) if place else None
