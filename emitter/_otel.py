"""OpenTelemetry's exporters; the only file that touches OpenTelemetry. Imported by ``init``, never before.

The exporters retry by themselves with sleeps that cannot be interrupted. Retrying is the sender's
business here, so the session passed to them (a public argument) lets each export fail at once and
remembers why.
"""

from __future__ import annotations

import math
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

from emitter._endpoints import is_loopback
from emitter._quiet import quiet
from emitter._records import SEVERITY_TEXT, Fate, Log, Outcome, Span

RETRYABLE: Final = frozenset({429, 502, 503, 504})
"""Status codes that OTLP/HTTP lets a client retry: opentelemetry-proto, docs/specification.md."""

_SCOPE: Final = InstrumentationScope("trainwarden.emitter")


class _FinalError(Exception):
    """Ends an export without the stock retries; not a connection error to them, so they stop."""


class _Session(requests.Session):
    """Remembers what became of the last request."""

    def __init__(self, trust_env: bool) -> None:
        super().__init__()
        self.trust_env = trust_env
        self.outcome = Outcome(Fate.SENT)
        self._failed_once = False

    def begin(self) -> None:
        """A new export starts."""
        self.outcome, self._failed_once = Outcome(Fate.REFUSED, "could not be encoded"), False

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        """One POST. The first connection error may be a stale connection: the caller tries once more."""
        try:
            response = super().request(*args, **kwargs)
        except requests.RequestException as error:
            self.outcome = Outcome(Fate.RETRY, _reason(error))
            if self._failed_once:
                raise _FinalError(str(error)) from None
            self._failed_once = True
            raise
        self.outcome = _outcome(response)
        if self.outcome.fate is Fate.RETRY:
            raise _FinalError(self.outcome.why)
        return response


class OtlpExporter:
    """Logs and spans over OTLP/HTTP. Headers, certificates and compression come from ``OTEL_*`` variables."""

    def __init__(self, logs_url: str, spans_url: str, resource: dict[str, Any], timeout_s: float) -> None:
        self.target = _origin(logs_url)
        self._resource = Resource.create(resource)
        self._session = _Session(trust_env=not is_loopback(urlsplit(self.target).hostname or ""))
        self._logs = OTLPLogExporter(endpoint=logs_url, session=self._session, timeout=timeout_s)
        self._spans = OTLPSpanExporter(endpoint=spans_url, session=self._session, timeout=timeout_s)
        quiet("opentelemetry.exporter", "urllib3")

    def logs(self, batch: list[Log]) -> Outcome:
        """Send log records to ``/v1/logs``."""
        self._session.begin()
        result = self._logs.export([self._log(record) for record in batch])
        return self._result(result is LogRecordExportResult.SUCCESS)

    def spans(self, batch: list[Span]) -> Outcome:
        """Send spans to ``/v1/traces``."""
        self._session.begin()
        result = self._spans.export([self._span(span) for span in batch])
        return self._result(result is SpanExportResult.SUCCESS)

    def close(self) -> None:
        """Release the sockets."""
        for exporter in (self._logs, self._spans):
            exporter.shutdown()  # type: ignore[no-untyped-call] # the SDK left it untyped

    def _result(self, sent: bool) -> Outcome:
        if sent:
            return Outcome(Fate.SENT)
        outcome = self._session.outcome
        return outcome if outcome.fate is not Fate.SENT else Outcome(Fate.REFUSED, outcome.why)

    def _log(self, record: Log) -> ReadableLogRecord:
        severity = record.severity
        return ReadableLogRecord(
            log_record=LogRecord(
                timestamp=record.time_ns,
                observed_timestamp=record.time_ns,
                severity_number=SeverityNumber(severity),
                severity_text=SEVERITY_TEXT.get(severity),
                body=record.body,
                attributes=record.attributes,
                event_name=record.name,
            ),
            resource=self._resource,
            instrumentation_scope=_SCOPE,
        )

    def _span(self, span: Span) -> ReadableSpan:
        status = Status(StatusCode.OK) if span.error is None else Status(StatusCode.ERROR, span.error)
        return ReadableSpan(
            name=span.name,
            context=_context(span.trace_id, span.span_id),
            parent=None if span.parent_id is None else _context(span.trace_id, span.parent_id),
            resource=self._resource,
            attributes=span.attributes,
            status=status,
            start_time=span.start_ns,
            end_time=span.end_ns,
            instrumentation_scope=_SCOPE,
        )


def _context(trace_id: int, span_id: int) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _outcome(response: requests.Response) -> Outcome:
    if response.status_code < 300:
        return Outcome(Fate.SENT)
    why = f"HTTP {response.status_code} {response.reason}"
    if response.status_code in RETRYABLE:
        return Outcome(Fate.RETRY, why, _wait_s(response.headers.get("retry-after")))
    return Outcome(Fate.REFUSED, why)


def _wait_s(header: str | None) -> float | None:
    try:
        seconds = float(header) if header else math.nan
    except ValueError:
        return None
    return seconds if 0 <= seconds < math.inf else None


def _reason(error: BaseException) -> str:
    """The innermost cause: requests wraps urllib3 wraps the socket's own error."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return f"{type(error).__name__}: {error}"


def _origin(url: str) -> str:
    """Scheme, host and port: what may be shown in a message."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
