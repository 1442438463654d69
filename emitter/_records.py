"""What waits in the queue and what leaves it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple, Protocol

# Severity numbers of the OpenTelemetry log data model.
DEBUG, INFO, WARNING, ERROR, FATAL = 5, 9, 13, 17, 21
LOGS, TRACES, METRICS = "logs", "traces", "metrics"
SEVERITY_TEXT = {DEBUG: "DEBUG", INFO: "INFO", WARNING: "WARN", ERROR: "ERROR", FATAL: "FATAL"}


class Item(NamedTuple):
    """A record as the calling thread left it. ``step()`` appends a plain tuple of the same shape."""

    monotonic_ns: int
    seq: int
    name: str
    step: Any = None
    epoch: Any = None
    values: Mapping[str, Any] | None = None
    body: str | None = None
    severity: int = 0


class Log(NamedTuple):
    """A log record ready for export: attributes are numbers and strings only."""

    seq: int
    time_ns: int
    name: str
    attributes: dict[str, int | float | str]
    body: str | None = None
    severity: int = 0


class Span(NamedTuple):
    """A finished span; ``error`` is the status message of a failed one."""

    name: str
    trace_id: int
    span_id: int
    parent_id: int | None
    start_ns: int
    end_ns: int
    attributes: dict[str, int | float | str | bool]
    error: str | None = None


class Fate(Enum):
    """What became of a batch."""

    SENT = "sent"
    RETRY = "retry"
    REFUSED = "refused"


class Outcome(NamedTuple):
    """``why`` names the failure in a few words; ``wait_s`` is the receiver's Retry-After; ``refused`` counts
    the records of a payload that was SENT but for these."""

    fate: Fate
    why: str = ""
    wait_s: float | None = None
    refused: int = 0


class Payload(NamedTuple):
    """One request as it goes over the wire, whoever carries it."""

    signal: str
    """LOGS or TRACES; METRICS where files of others are sent on."""
    body: bytes
    """An Export...ServiceRequest of the signal in protobuf, not compressed."""
    records: int
    """How many records, spans or data points it holds."""


class Exporter(Protocol):
    """Where payloads go. Calls come from one thread, may block for the export timeout, never raise."""

    target: str
    """Shown in messages: no credentials."""

    def send(self, payload: Payload) -> Outcome:
        """Deliver one request, and say what became of it."""
        ...

    def close(self) -> None:
        """Release sockets; a call under way ends soon after."""
        ...
