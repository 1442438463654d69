"""OTLP over HTTP. Imported by ``init``, never before."""

from __future__ import annotations

import gzip
import math
from typing import Final
from urllib.parse import urlsplit

import requests

from emitter._endpoints import is_loopback
from emitter._quiet import quiet
from emitter._records import LOGS, TRACES, Fate, Outcome, Payload
from emitter.otlp import environment

RETRYABLE: Final = frozenset({429, 502, 503, 504})
"""Status codes that OTLP/HTTP lets a client retry: opentelemetry-proto, docs/specification.md."""


class OtlpExporter:
    """Logs and spans over OTLP/HTTP. Headers and compression come from ``OTEL_*`` variables."""

    def __init__(self, logs_url: str, spans_url: str, timeout_s: float) -> None:
        self.target = _origin(logs_url)
        self._urls = {LOGS: logs_url, TRACES: spans_url}
        self._timeout_s = timeout_s
        self._session = requests.Session()
        self._session.trust_env = not is_loopback(urlsplit(self.target).hostname or "")
        quiet("urllib3")

    def send(self, payload: Payload) -> Outcome:
        """One POST. The first connection error may be a stale connection, so it is tried twice."""
        headers = {"content-type": "application/x-protobuf", **environment.headers(payload.signal)}
        body = payload.body
        if environment.gzips(payload.signal):
            body, headers["content-encoding"] = gzip.compress(body), "gzip"
        outcome = self._post(self._urls[payload.signal], body, headers)
        return (
            outcome or self._post(self._urls[payload.signal], body, headers) or Outcome(Fate.RETRY, self._why)
        )

    def close(self) -> None:
        """Release the sockets."""
        self._session.close()

    def _post(self, url: str, body: bytes, headers: dict[str, str]) -> Outcome | None:
        try:
            return _outcome(self._session.post(url, data=body, headers=headers, timeout=self._timeout_s))
        except requests.Timeout as error:
            return Outcome(Fate.RETRY, _reason(error))
        except requests.RequestException as error:
            self._why = _reason(error)
            return None


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
