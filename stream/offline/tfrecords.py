"""TensorBoard's event files: TFRecord frames, each one protobuf message ``Event``.

The few fields that scalars need are described here, so that no TensorFlow and no TensorBoard is needed.
Sources: https://www.tensorflow.org/tutorials/load_data/tfrecord (frames),
https://github.com/tensorflow/tensorboard (``compat/proto/{event,summary,tensor}.proto``).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from stream.offline.errors import ReadError
from stream.offline.opening import Opened, readable

_FRAME: Final = struct.Struct("<QI")
_MAX_RECORD: Final = 256 << 20
_PACKAGE: Final = "trainwarden.tensorboard"
_DOUBLE, _FLOAT, _INT64, _INT32, _STRING, _BYTES, _MESSAGE = 1, 2, 3, 5, 9, 12, 11
_FIELDS: Final[dict[str, tuple[tuple[str, int, int, str], ...]]] = {
    "Event": (("wall_time", 1, _DOUBLE, ""), ("step", 2, _INT64, ""), ("summary", 5, _MESSAGE, "Summary")),
    "Summary": (("value", 1, _MESSAGE, "*Value"),),
    "Value": (
        ("tag", 1, _STRING, ""),
        ("simple_value", 2, _FLOAT, "?"),
        ("tensor", 8, _MESSAGE, "Tensor"),
    ),
    "Tensor": (
        ("dtype", 1, _INT32, ""),
        ("tensor_content", 4, _BYTES, ""),
        ("float_val", 5, _FLOAT, "*"),
        ("double_val", 6, _DOUBLE, "*"),
    ),
}


def is_frame(head: bytes) -> bool:
    """Whether these bytes begin a TFRecord file: a length with its own checksum."""
    if len(head) < _FRAME.size:
        return False
    length, check = _FRAME.unpack_from(head)
    return bool(length <= _MAX_RECORD and check == _masked_crc(head[:8]))


def read_events(source: Opened) -> Iterator[Any]:
    """The ``Event`` messages. Raises ReadError at the first frame that is not whole."""
    # Costs more than all other formats together, so only who reads event files pays for it.
    from google.protobuf.message import DecodeError

    event_type = _event_type()
    count = 0
    while True:
        place = f"after {count} records"
        with readable(source.name, place):
            start = source.stream.read(_FRAME.size)
            if not start:
                return
            if not is_frame(start):
                what = "is broken" if len(start) == _FRAME.size else "ends in the middle"
                raise ReadError(source.name, place, f"the event file {what}; the rest is lost")
            length = _FRAME.unpack(start)[0]
            data = source.stream.read(length + 4)
        if len(data) < length + 4:
            raise ReadError(source.name, place, "the event file ends in the middle; the rest is lost")
        try:
            yield event_type.FromString(data[:length])
        except DecodeError:
            raise ReadError(
                source.name, place, "a record is no TensorBoard event; the rest is lost"
            ) from None
        count += 1


@cache
def _event_type() -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name=f"{_PACKAGE}.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for field, number, kind, extra in fields:
            _add_field(message, field, number, kind, extra)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)  # type: ignore[no-untyped-call,unused-ignore]
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Event"))


def _add_field(message: Any, name: str, number: int, kind: int, extra: str) -> None:
    field = message.field.add(name=name, number=number, type=kind, label=3 if extra.startswith("*") else 1)
    if kind == _MESSAGE:
        field.type_name = f".{_PACKAGE}.{extra.removeprefix('*')}"
    if extra == "?":
        # A scalar of 0.0 is there, a histogram's is not: presence must be kept.
        message.oneof_decl.add(name=f"_{name}")
        field.proto3_optional = True
        field.oneof_index = 0


def _masked_crc(data: bytes) -> int:
    crc = _crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _crc32c(data: bytes) -> int:
    """CRC-32C of a few bytes (RFC 3720, appendix B.4), bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 & -(crc & 1))
    return crc ^ 0xFFFFFFFF
