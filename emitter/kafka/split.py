"""Cuts OTLP requests that are too large for a Kafka message: in two, and again, down to single records.

Requests of all signals are alike down to the record: field 1 holds groups (resource 1, scopes 2, schema URL
3), a scope holds scope 1, records 2, schema URL 3: opentelemetry-proto, collector/*/v1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from aiokafka.errors import MessageSizeTooLargeError, RecordListTooLargeError

from emitter.otlp import wire
from emitter.otlp.decode import fields_of

TOO_LARGE: Final = (MessageSizeTooLargeError, RecordListTooLargeError)
_GROUP: Final = b"\x0a"
_MEMBER: Final = b"\x12"


class Refused(NamedTuple):
    """Records that fit in no message, and the size of the largest in bytes."""

    records: int = 0
    largest: int = 0


class _Record(NamedTuple):
    """A record, and the numbers and own fields of the scope and the group that it stands in."""

    group: tuple[int, bytes]
    scope: tuple[int, bytes]
    data: bytes


def write_in_parts(body: bytes, limit: int, write: Callable[[bytes], None]) -> Refused:
    """Write a request, or as many parts of it as the limit and the topic's own limit ask for."""
    if len(body) <= limit:
        try:
            write(body)
            return Refused()
        except TOO_LARGE:
            pass
    parts = halves(body)
    if parts is None:
        return Refused(1, len(body))
    each = [write_in_parts(part, limit, write) for part in parts]
    return Refused(sum(one.records for one in each), max(one.largest for one in each))


def halves(body: bytes) -> tuple[bytes, bytes] | None:
    """Two requests with half of the records each; None for one that holds less than two."""
    records = list(_records(body))
    middle = len(records) // 2
    return (_request(records[:middle]), _request(records[middle:])) if middle else None


def _records(body: bytes) -> Iterator[_Record]:
    for number, group in enumerate(fields_of(body).get(1, [])):
        own, scopes = _parts(group)
        for place, scope in enumerate(scopes):
            of_scope, records = _parts(scope)
            for record in records:
                yield _Record((number, own), (place, of_scope), record)


def _parts(message: bytes) -> tuple[bytes, list[bytes]]:
    """Everything but field 2, encoded again, and the values of field 2."""
    fields = fields_of(message)
    members = fields.pop(2, [])
    own = (wire.block(wire.varint(number << 3 | 2), value) for number in fields for value in fields[number])
    return b"".join(own), members


def _request(records: list[_Record]) -> bytes:
    groups: dict[tuple[int, bytes], dict[tuple[int, bytes], list[bytes]]] = {}
    for record in records:
        groups.setdefault(record.group, {}).setdefault(record.scope, []).append(record.data)
    return b"".join(
        wire.block(_GROUP, own + b"".join(_scope(fields, some) for (_, fields), some in scopes.items()))
        for (_, own), scopes in groups.items()
    )


def _scope(own: bytes, records: list[bytes]) -> bytes:
    return wire.block(_MEMBER, own + b"".join(wire.block(_MEMBER, record) for record in records))
