"""OTLP/gRPC: requests that are already encoded, over one channel. Needs the extra ``grpc``.

Specification: https://opentelemetry.io/docs/specs/otlp/#otlpgrpc
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import grpc

from emitter._endpoints import is_loopback
from emitter._guard import guard
from emitter._records import LOGS, METRICS, TRACES, Fate, Outcome, Payload
from emitter.otlp import environment
from emitter.otlp.answer import partial_success
from emitter.otlp.decode import fields_of

_SERVICE: Final = "/opentelemetry.proto.collector"
METHODS: Final = {
    LOGS: f"{_SERVICE}.logs.v1.LogsService/Export",
    TRACES: f"{_SERVICE}.trace.v1.TraceService/Export",
    METRICS: f"{_SERVICE}.metrics.v1.MetricsService/Export",
}
PORT: Final = 4317
FILES: Final = ("CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE")
DETAILS: Final = "grpc-status-details-bin"
RETRY_INFO: Final = b"/google.rpc.RetryInfo"
_MAX_ANSWER: Final = 1024 * 1024

_RETRYABLE: Final = frozenset({
    grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.ABORTED,
    grpc.StatusCode.OUT_OF_RANGE, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DATA_LOSS,
})  # fmt: skip
"""RESOURCE_EXHAUSTED too, but only where the answer carries RetryInfo."""

_OPTIONS: Final = (
    # A collector that was away for an hour is tried again as soon as one that was away for a moment.
    ("grpc.initial_reconnect_backoff_ms", 250),
    ("grpc.max_reconnect_backoff_ms", 5000),
    ("grpc.max_receive_message_length", _MAX_ANSWER),
)
_open: Final[list[Any]] = []
"""Channels that were not closed. A forked child keeps its parent's for ever: closing one would wait for
threads that the child does not have."""


class GrpcSettingError(ValueError):
    """A variable of OTEL_EXPORTER_OTLP_* is not what it must be."""


class GrpcExporter:
    """An Exporter. Headers, TLS and compression come from ``OTEL_EXPORTER_OTLP_*`` variables."""

    def __init__(
        self, logs_url: str, spans_url: str, timeout_s: float, metrics_url: str | None = None
    ) -> None:
        self.target = _origin(logs_url)
        self._timeout_s = timeout_s
        self._channels: dict[tuple[object, ...], Any] = {}
        places = {LOGS: logs_url, TRACES: spans_url, METRICS: metrics_url}
        self._calls = {signal: self._call(signal, url) for signal, url in places.items() if url is not None}
        self._metadata = {signal: tuple(environment.headers(signal).items()) for signal in self._calls}

    def send(self, payload: Payload) -> Outcome:
        """One unary call, within the timeout."""
        signal = payload.signal
        gzip = grpc.Compression.Gzip if environment.gzips(signal) else grpc.Compression.NoCompression
        with guard:
            try:
                answer = self._calls[signal](
                    payload.body, timeout=self._timeout_s, metadata=self._metadata[signal], compression=gzip
                )
            except grpc.RpcError as error:
                return _failed(error)
            return _accepted(answer)
        return Outcome(Fate.REFUSED, "internal error")

    def close(self) -> None:
        """Close the channels; a call under way is cancelled."""
        for channel in self._channels.values():
            if channel in _open:
                _open.remove(channel)
                channel.close()

    def _call(self, signal: str, url: str) -> Any:
        """The method as a function from bytes to bytes; signals with the same place share a channel."""
        files = tuple(environment.file(signal, name) for name in FILES)
        channel = self._channels.get((url, files))
        if channel is None:
            channel = self._channels[url, files] = _channel(signal, url, files)
            _open.append(channel)
        return channel.unary_unary(METHODS[signal])


def _channel(signal: str, url: str, files: tuple[str | None, ...]) -> Any:
    parts = urlsplit(url)
    target = f"{parts.hostname}:{parts.port or PORT}"
    if ":" in (parts.hostname or ""):
        target = f"[{parts.hostname}]:{parts.port or PORT}"
    options = [*_OPTIONS, ("grpc.enable_http_proxy", 0 if is_loopback(parts.hostname or "") else 1)]
    if parts.scheme == "grpc":
        return grpc.insecure_channel(target, options)
    contents = [_content(signal, file) for file in files]
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(*contents), options)


def _content(signal: str, file: str | None) -> bytes | None:
    try:
        return Path(file).read_bytes() if file else None
    except OSError as error:
        raise GrpcSettingError(
            f"OTEL_EXPORTER_OTLP_CERTIFICATE, _CLIENT_KEY and _CLIENT_CERTIFICATE for {signal}: "
            f"expected files that can be read, got {file!r} ({error.strerror})"
        ) from None


def _origin(url: str) -> str:
    """Scheme, host and port: what may be shown in a message."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _failed(error: Any) -> Outcome:
    code = error.code()
    why = f"gRPC {code.name}: {error.details()}"
    wait_s = _wait_s(error)
    if code in _RETRYABLE or (code is grpc.StatusCode.RESOURCE_EXHAUSTED and wait_s is not None):
        return Outcome(Fate.RETRY, why, wait_s)
    return Outcome(Fate.REFUSED, why)


def _wait_s(error: Any) -> float | None:
    """The waiting time of RetryInfo, None where there is none."""
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS:
            return _retry_delay(value)
    return None


def _retry_delay(details: bytes) -> float | None:
    """google.rpc.Status holds Any messages (field 3), RetryInfo a Duration: seconds and nanoseconds."""
    try:
        for detail in fields_of(details).get(3, []):
            fields = fields_of(detail)
            if fields[1][0].endswith(RETRY_INFO):
                delay = fields_of(fields_of(fields[2][0])[1][0])
                return float(delay.get(1, [0])[0] + delay.get(2, [0])[0] * 1e-9)
    except (ValueError, TypeError, AttributeError, LookupError):  # no such message
        return None
    return None


def _accepted(answer: bytes) -> Outcome:
    """SENT, less what a partial success says was rejected."""
    refused, why = partial_success(answer)
    return Outcome(Fate.SENT, why, refused=refused)
