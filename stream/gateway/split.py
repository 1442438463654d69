"""From a request to the Kafka messages it becomes: usually one, more where it is too large for one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from emitter.vocabulary import attributes
from emitter.vocabulary import events as vocabulary
from stream.gateway.signals import Signal
from stream.otlp import anyvalue

MAX_MESSAGE_BYTES: Final = 1_000_000
"""What one record may hold: Kafka's default limit, less room for key, headers and framing."""

# Tag and length of an embedded message, at most; counted once for each level.
_FRAME: Final = 6
_BEACON: Final = vocabulary.BEACON.encode()


@dataclass
class Messages:
    """The values to write, all under one key, and how many records were left out and why."""

    values: list[bytes] = field(default_factory=list)
    key: bytes | None = None
    rejected: int = 0
    reason: str = ""


def messages_of(signal: Signal, request: Any, payload: bytes, limit: int = MAX_MESSAGE_BYTES) -> Messages:
    """The messages of a parsed request. ``payload``, its bytes as they came, goes unchanged if it can."""
    groups = getattr(request, signal.groups)
    result = Messages(key=emitter_of(groups))
    if _BEACON in payload:
        payload = _without_beacons(signal, request, result) or payload
    if len(payload) > limit:
        _Packer(signal, limit, result).pack(request)
    elif groups:
        result.values.append(payload)
    return result


def emitter_of(groups: Any) -> bytes | None:
    """The emitter id that all resources share, else None."""
    found = {_emitter(group.resource) for group in groups}
    emitter = found.pop() if len(found) == 1 else None
    return emitter.encode() if emitter else None


def _emitter(resource: Any) -> str | None:
    for pair in resource.attributes:
        if pair.key == attributes.EMITTER_ID:
            return anyvalue.text(anyvalue.scalar(pair.value))
    return None


def _without_beacons(signal: Signal, request: Any, result: Messages) -> bytes | None:
    # Beacons move the clock that absence is judged by: only gateways and workers may write them.
    for _, scope in _scopes(signal, request):
        records = getattr(scope, signal.records)
        kept = [record for record in records if getattr(record, "event_name", "") != vocabulary.BEACON]
        if len(kept) < len(records):
            result.rejected += len(records) - len(kept)
            result.reason = f"the event name {vocabulary.BEACON} is reserved"
            del records[:]
            records.extend(kept)
    return request.SerializeToString() if result.rejected else None


def _scopes(signal: Signal, request: Any) -> Iterator[tuple[Any, Any]]:
    for group in getattr(request, signal.groups):
        for scope in getattr(group, signal.scopes):
            yield group, scope


class _Packer:
    """Fills requests up to the limit, in the order of the records."""

    def __init__(self, signal: Signal, limit: int, result: Messages) -> None:
        self._signal, self._limit, self._result = signal, limit, result
        self._request = signal.request()
        self._room = limit
        self._group: Any = None
        self._scope: Any = None
        self._source: tuple[Any, Any] = (None, None)

    def pack(self, request: Any) -> None:
        for group, scope in _scopes(self._signal, request):
            self._source = (group, scope)
            self._group = self._scope = None
            header = _header_size(group, scope)
            for record in getattr(scope, self._signal.records):
                for part in _parts(record, self._limit - header - 3 * _FRAME):
                    self._add(part, header)
        self._flush()

    def _add(self, record: Any, header: int) -> None:
        size = record.ByteSize() + _FRAME
        opening = header + 2 * _FRAME
        if size + opening > self._limit:
            self._reject(record, size)
            return
        if size + (0 if self._scope else opening) > self._room:
            self._flush()
        if not self._scope:
            self._open()
            self._room -= opening
        getattr(self._scope, self._signal.records).append(record)
        self._room -= size

    def _open(self) -> None:
        group, scope = self._source
        self._group = getattr(self._request, self._signal.groups).add(schema_url=group.schema_url)
        self._group.resource.CopyFrom(group.resource)
        self._scope = getattr(self._group, self._signal.scopes).add(schema_url=scope.schema_url)
        self._scope.scope.CopyFrom(scope.scope)

    def _flush(self) -> None:
        if getattr(self._request, self._signal.groups):
            self._result.values.append(self._request.SerializeToString())
        self._request, self._room = self._signal.request(), self._limit
        self._group = self._scope = None

    def _reject(self, record: Any, size: int) -> None:
        points = _points(record)
        self._result.rejected += 1 if points is None else len(points)
        self._result.reason = (
            f"a record of {size} bytes with its resource does not fit into a message of {self._limit} bytes"
        )


def _header_size(group: Any, scope: Any) -> int:
    strings = len(group.schema_url.encode()) + len(scope.schema_url.encode())
    return int(group.resource.ByteSize()) + int(scope.scope.ByteSize()) + strings + 4 * _FRAME


def _points(record: Any) -> Any:
    """The data points of a metric, which may have none; None for a log record or a span."""
    if "data" not in record.DESCRIPTOR.oneofs_by_name:
        return None
    kind = record.WhichOneof("data")
    return getattr(record, kind).data_points if kind else ()


def _parts(record: Any, limit: int) -> Iterator[Any]:
    """The record, or a metric too large for one message as several with fewer points each."""
    points = _points(record)
    if record.ByteSize() <= limit or points is None or len(points) < 2:
        yield record
        return
    half = len(points) // 2
    for low, high in ((0, half), (half, len(points))):
        part = type(record)()
        part.CopyFrom(record)
        kept = _points(part)
        del kept[high:]
        del kept[:low]
        yield from _parts(part, limit)
