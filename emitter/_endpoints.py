"""Where telemetry goes: argument, TRAINWARDEN_ENDPOINT, OpenTelemetry's variables, a local stack."""

from __future__ import annotations

import ipaddress
import os
from typing import Final, NamedTuple

from emitter._guard import logger
from emitter._settings import Settings
from emitter.otlp import environment
from emitter.vocabulary import stack

BASE: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
LOGS: Final = "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"
TRACES: Final = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"


class Endpoints(NamedTuple):
    """Full URLs of the two signals; their scheme is the protocol: http(s), grpc(s) or kafka."""

    logs: str
    spans: str

    @property
    def protocol(self) -> str:
        """``http``, ``grpc`` or ``kafka``"""
        return self.logs.partition("://")[0].removesuffix("s")


def find(settings: Settings) -> Endpoints | None:
    """The first of the places that is there."""
    if settings.endpoint is not None:
        return _from_base(settings.endpoint)
    return _from_opentelemetry() or _from_stack()


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
    if not base.startswith("http"):
        return Endpoints(base, base)
    return Endpoints(f"{base}/v1/logs", f"{base}/v1/traces")


def _from_opentelemetry() -> Endpoints | None:
    """Signal variables are used as they are, the general one as a base: OTLP exporter specification."""
    base, logs, traces = (_url(name) for name in (BASE, LOGS, TRACES))
    if environment.protocol() == "grpc":
        return _grpc(logs or base, traces or base)
    logs = logs or (f"{base}/v1/logs" if base else None)
    if logs is None:
        return None
    beside = logs.removesuffix("/v1/logs") + "/v1/traces"
    return Endpoints(logs, traces or (f"{base}/v1/traces" if base else beside))


def _grpc(logs: str | None, traces: str | None) -> Endpoints | None:
    """The scheme http or https says whether to use TLS; without traces' own place they go with the logs."""
    if logs is None:
        return None
    return Endpoints(logs.replace("http", "grpc", 1), (traces or logs).replace("http", "grpc", 1))


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
