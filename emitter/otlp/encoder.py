"""Records and spans to OTLP requests. One encoder a session: the bytes of resource and scope are shared.

Field numbers: opentelemetry-proto, logs/v1/logs.proto, trace/v1/trace.proto and common/v1/common.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final

from emitter._records import SEVERITY_TEXT, Log, Payload, Span
from emitter.otlp import wire

SCOPE: Final = "trainwarden.emitter"

_TIMES: Final = struct.Struct("<cQcQ")
_SPAN_TIMES: Final = struct.Struct("<2scQcQ")
_KIND_INTERNAL: Final = b"0\x01"
_SAMPLED_OF_HERE: Final = b"\x85\x01" + struct.pack("<I", 0x101)
"""Span.flags: sampled, and the parent is known not to be remote."""
_STATUS_OK, _STATUS_ERROR = b"\x18\x01", b"\x18\x02"


class Encoder:
    """Knows the resource; its methods are pure."""

    def __init__(self, resource: Mapping[str, Any]) -> None:
        self._resource = wire.block(b"\n", wire.attributes(b"\n", resource))
        self._scope = wire.block(b"\n", wire.string(b"\n", SCOPE))

    def payload(self, signal: str, parts: Sequence[bytes | bytearray], records: int) -> Payload:
        """One request of what ``log``, ``span`` or ``Columns`` gave. Its bytes are copied once."""
        scoped = len(self._scope) + sum(map(len, parts))
        inner = wire.varint(scoped)
        outer = wire.varint(len(self._resource) + 1 + len(inner) + scoped)
        body = b"".join((b"\n", outer, self._resource, b"\x12", inner, self._scope, *parts))
        return Payload(signal, body, records)


def log(record: Log) -> bytes:
    """A LogRecord as a field of ScopeLogs."""
    parts = [_TIMES.pack(b"\t", record.time_ns, b"Y", record.time_ns)]
    if record.severity:
        parts.append(b"\x10" + wire.varint(record.severity))
        if label := SEVERITY_TEXT.get(record.severity):
            parts.append(wire.string(b"\x1a", label))
    if record.body is not None:
        parts.append(wire.block(b"*", wire.text(record.body)))
    parts.append(wire.attributes(b"2", record.attributes))
    parts.append(wire.string(b"b", record.name))
    return wire.block(b"\x12", b"".join(parts))


def span(made: Span) -> bytes:
    """A Span as a field of ScopeSpans."""
    parts = [
        wire.block(b"\n", made.trace_id.to_bytes(16, "big")),
        wire.block(b"\x12", made.span_id.to_bytes(8, "big")),
    ]
    if made.parent_id is not None:
        parts.append(wire.block(b'"', made.parent_id.to_bytes(8, "big")))
    parts.append(wire.string(b"*", made.name))
    parts.append(_SPAN_TIMES.pack(_KIND_INTERNAL, b"9", made.start_ns, b"A", made.end_ns))
    parts.append(wire.attributes(b"J", made.attributes))
    message = b"" if made.error is None else wire.string(b"\x12", made.error)
    parts.append(wire.block(b"z", message + (_STATUS_OK if made.error is None else _STATUS_ERROR)))
    parts.append(_SAMPLED_OF_HERE)
    return wire.block(b"\x12", b"".join(parts))
