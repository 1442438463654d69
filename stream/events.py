"""What travels on ``train.events``: decoded events of one run in batches, clock ticks, changes of rules.

The encoding is private to the stream and versioned: msgpack of the structs below, array-like, so fields
are only ever appended, each with a default. A batch is made from exactly one record of an ``otlp_*``
topic and one run inside it, so an ingest that crashed and replays makes the same batches again; readers
drop a batch whose source offset they have already seen for (source topic, source partition).

Time comes from ticks, never from a clock of the reader: every ``otlp_logs`` partition gets a beacon a
second, and ingest turns each beacon it reads into one tick on every partition of ``train.events``. The
clock of a ``train.events`` partition is the minimum over the ``sources`` of their newest tick, so it
stands still while any part of the path is behind, and a replay sees the same time.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

VERSION: Final = 1

Value: TypeAlias = float | int | bool | str | None
"""A value of an event: numbers as logged (NaN and infinities included), or a string."""


class EventsError(ValueError):
    """The bytes are not a message of ``train.events``; the message says why."""


class Source(msgspec.Struct, frozen=True, array_like=True):
    """Where the data came from: the record's coordinates on an ``otlp_*`` topic (first == last today)."""

    topic: str
    partition: int
    first: int
    last: int


class Resource(msgspec.Struct, frozen=True, array_like=True):
    """Who sent: the resource attributes of DESIGN 4, typed. ``attributes`` holds all of them as strings."""

    run: str
    run_name: str | None = None
    attempt: int = 0
    rank: int | None = None
    local_rank: int | None = None
    world_size: int | None = None
    node_rank: int | None = None
    node: str | None = None
    role: str | None = None
    emitter: str | None = None
    service: str | None = None
    pid: int | None = None
    gateway: str | None = None
    attributes: dict[str, str] = {}


class Event(msgspec.Struct, frozen=True, array_like=True):
    """One event. ``time``/``end`` are Unix nanoseconds; ``resource`` indexes the batch's resources.

    ``name``: an event name, a span's name (then ``end``, ``status`` and values ``duration`` (s) are set),
    ``metric`` (then ``metric`` is its name and ``values["value"]`` the point), or ``train.log``.
    ``values``: numbers and strings under canonical names, without seq, step and epoch.
    """

    name: str
    time: int
    resource: int = 0
    seq: int | None = None
    step: int | None = None
    epoch: float | None = None
    severity: int = 0
    body: str | None = None
    values: dict[str, Value] = {}
    end: int | None = None
    status: str | None = None
    metric: str | None = None


class Batch(msgspec.Struct, frozen=True, array_like=True, tag="events"):
    """Events of one run from one source record, in the order of that record."""

    version: int
    run: str
    source: Source
    resources: list[Resource]
    events: list[Event]


class Tick(msgspec.Struct, frozen=True, array_like=True, tag="tick"):
    """The clock: ``otlp_logs`` partition ``partition`` of ``sources`` has been read up to ``time`` (ns).

    ``gateways`` maps a gateway's id to the time (ns) of its beacon, where the beacon was a gateway's.
    """

    version: int
    partition: int
    offset: int
    sources: int
    time: int
    gateways: dict[str, int] = {}


class Rules(msgspec.Struct, frozen=True, array_like=True, tag="rules"):
    """From here on these rules are in force: ``bundle`` as stream.rulebook.bundle encodes it.

    It holds the texts themselves, so that a replay has what was in force at each offset.
    """

    version: int
    digest: str
    bundle: bytes


Message: TypeAlias = Batch | Tick | Rules

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def encode(message: Message) -> bytes:
    """The bytes of one ``train.events`` record."""
    return _encoder.encode(message)


def decode(payload: bytes) -> Message:
    """The message in these bytes. Raises EventsError, also for a version newer than ours."""
    try:
        message = _decoder.decode(payload)
    except msgspec.MsgspecError as error:
        raise EventsError(f"train.events: {error}") from None
    if message.version > VERSION:
        raise EventsError(f"train.events: expected version {VERSION} or older, got {message.version}")
    return message
