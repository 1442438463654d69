"""A topic's id, which a broker gives a topic when it is created: Metadata 10 of Kafka's protocol.

aiokafka asks up to version 5, which has names only. Kafka has ids since 2.8, the embedded broker too.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiokafka.errors import KafkaError
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Schema, TaggedFields

METADATA: Final = 3
VERSION: Final = 10
NO_ID: Final = bytes(16)


class _Id(AbstractType[bytes]):  # type: ignore[misc]
    """16 bytes."""

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: Any) -> bytes:
        found: bytes = data.read(len(NO_ID))
        return found


_TEXT: Final = CompactString("utf-8")
_NUMBERS: Final = CompactArray(Int32)
_BROKERS: Final = CompactArray(
    ("node_id", Int32), ("host", _TEXT), ("port", Int32), ("rack", _TEXT), ("tags", TaggedFields)
)
_PARTITIONS: Final = CompactArray(
    ("error", Int16), ("number", Int32), ("leader", Int32), ("leader_epoch", Int32),
    ("replicas", _NUMBERS), ("in_sync", _NUMBERS), ("offline", _NUMBERS), ("tags", TaggedFields),
)  # fmt: skip
_TOPICS: Final = CompactArray(
    ("error", Int16), ("name", _TEXT), ("id", _Id), ("internal", Boolean), ("partitions", _PARTITIONS),
    ("operations", Int32), ("tags", TaggedFields),
)  # fmt: skip


class _Answer(Response):  # type: ignore[misc]
    API_KEY = METADATA
    API_VERSION = VERSION
    SCHEMA = Schema(
        ("throttle_ms", Int32), ("brokers", _BROKERS), ("cluster_id", _TEXT), ("controller", Int32),
        ("topics", _TOPICS), ("operations", Int32), ("tags", TaggedFields),
    )  # fmt: skip


class _Question(RequestStruct):  # type: ignore[misc]
    API_KEY = METADATA
    API_VERSION = VERSION
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(
        ("topics", CompactArray(("id", _Id), ("name", _TEXT), ("tags", TaggedFields))),
        ("create", Boolean), ("cluster_operations", Boolean), ("topic_operations", Boolean),
        ("tags", TaggedFields),
    )  # fmt: skip


class _OneTopic(Request[_Question]):  # type: ignore[misc]
    """Asks by name, and says that a topic which is not there is not to be made."""

    API_KEY = METADATA

    def __init__(self, name: str) -> None:
        self._name = name

    def build(self, request_struct_class: type[_Question]) -> _Question:
        return request_struct_class([(NO_ID, self._name, {})], False, False, False, {})


async def topic_id(client: Any, topic: str) -> bytes | None:
    """16 bytes; None where no broker knows the topic at the moment, or gives out ids at all.

    Raises KafkaError when no broker answers.
    """
    problem: Exception = KafkaError("no broker is known")
    for broker in client.cluster.brokers():
        try:
            answer = await client.send(broker.nodeId, _OneTopic(topic))
        except NotImplementedError:  # aiokafka's word for: this broker does not speak that version
            return None
        except (KafkaError, OSError, asyncio.TimeoutError) as error:
            problem = error
            continue
        return next((row[2] for row in answer.topics if row[0] == 0 and row[2] != NO_ID), None)
    raise problem
