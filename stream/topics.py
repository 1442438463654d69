"""Topics: what must exist on a broker, and making it so.

Topics are created right the first time: Tansu can neither add partitions nor change settings later.
Topics whose number of partitions is the deployment's choice are co-partitioned and must all agree.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from emitter.vocabulary import topics as vocabulary
from stream.kafka import reach

DEFAULT_PARTITIONS: Final = 2
_POLL_S: Final = 0.05


class TopicsError(RuntimeError):
    """Topics cannot be brought into the planned form; the message names each one and the cure."""


@dataclass(frozen=True)
class TopicPlan:
    """One topic as it should be. ``shared`` topics must all have the same number of partitions."""

    name: str
    partitions: int
    retention_ms: int | None
    compacted: bool
    shared: bool
    segment_bytes: int | None = None

    def settings(self) -> dict[str, str]:
        """The topic's Kafka settings."""
        settings = {"cleanup.policy": "compact" if self.compacted else "delete"}
        settings["max.message.bytes"] = str(vocabulary.MAX_MESSAGE_BYTES)
        if self.retention_ms is not None:
            settings["retention.ms"] = str(self.retention_ms)
        if self.segment_bytes is not None:
            settings["segment.bytes"] = str(self.segment_bytes)
        return settings


@dataclass(frozen=True)
class Mismatch:
    """A topic that exists with another number of partitions than planned."""

    name: str
    expected: int
    found: int
    shared: bool

    def __str__(self) -> str:
        cure = (
            f"apply with --partitions {self.found} if all the others can have that too, or "
            if self.shared
            else ""
        )
        return (
            f"topic {self.name}: expected {self.expected} partitions, found {self.found}; {cure}"
            "stop the workers, delete the topic and apply again (its data is lost)"
        )


@dataclass(frozen=True)
class Applied:
    """What ``apply`` found and did. With a mismatch nothing was created."""

    partitions: int
    created: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    mismatched: list[Mismatch] = field(default_factory=list)

    def check(self) -> None:
        """Raise TopicsError, a line for each mismatch, if there is any."""
        if self.mismatched:
            raise TopicsError("\n".join(str(mismatch) for mismatch in self.mismatched))


def plan(partitions: int = DEFAULT_PARTITIONS) -> list[TopicPlan]:
    """All topics of the vocabulary; ``partitions`` for those where the number is the deployment's choice."""
    if partitions < 1:
        raise TopicsError(f"partitions: expected 1 or more, got {partitions}")
    return [
        TopicPlan(
            t.name,
            t.partitions or partitions,
            t.retention_ms,
            t.compacted,
            t.partitions is None,
            t.segment_bytes,
        )
        for t in vocabulary.TOPICS
    ]


async def apply(
    bootstrap: str, partitions: int | None = None, replication: int = 1, timeout: float = 30.0
) -> Applied:
    """Create the topics that are missing and wait until clients can see them all.

    Without ``partitions``, shared topics that exist decide it, else DEFAULT_PARTITIONS. Raises TopicsError
    when the broker cannot be reached or refuses; a wrong number of partitions is in ``Applied.mismatched``.
    """
    return await _told(bootstrap, _apply(bootstrap, partitions, replication), timeout)


async def compare(bootstrap: str, timeout: float = 30.0) -> Applied:
    """What ``apply`` would do, without doing it. Raises TopicsError as that does."""
    return await _told(bootstrap, _compared(bootstrap), timeout)


async def _told(bootstrap: str, work: Coroutine[Any, Any, Applied], timeout: float) -> Applied:
    try:
        return await asyncio.wait_for(work, timeout)
    except asyncio.TimeoutError:
        raise TopicsError(
            f"kafka {bootstrap}: expected all topics to exist within {timeout:g} s, they do not; "
            "check that all brokers run"
        ) from None
    except (OSError, KafkaError) as error:
        raise TopicsError(
            f"kafka {bootstrap}: topics cannot be read or created: {type(error).__name__}: {error}; "
            "check that a broker runs there"
        ) from error


async def _compared(bootstrap: str) -> Applied:
    admin = AIOKafkaAdminClient(**reach(bootstrap))
    try:
        await admin.start()
        found = await _existing(admin)
        return _compare(plan(_agreed(found) or DEFAULT_PARTITIONS), found)
    finally:
        await admin.close()


async def _apply(bootstrap: str, partitions: int | None, replication: int) -> Applied:
    admin = AIOKafkaAdminClient(**reach(bootstrap))
    try:
        await admin.start()
        found = await _existing(admin)
        result = _compare(plan(partitions or _agreed(found) or DEFAULT_PARTITIONS), found)
        if result.created and not result.mismatched:
            await _create(admin, plan(result.partitions), result.created, replication)
        return result
    finally:
        await admin.close()


async def _existing(admin: AIOKafkaAdminClient) -> dict[str, int]:
    """Number of partitions that have a leader, by topic. Asks for all: asking by name may create."""
    return {
        topic["topic"]: sum(1 for partition in topic["partitions"] if partition["leader"] >= 0)
        for topic in await admin.describe_topics()
        if topic["error_code"] == 0
    }


def _agreed(found: dict[str, int]) -> int | None:
    counts = {found[topic.name] for topic in plan() if topic.shared and topic.name in found}
    return counts.pop() if len(counts) == 1 else None


def _compare(planned: list[TopicPlan], found: dict[str, int]) -> Applied:
    result = Applied(partitions=next(topic.partitions for topic in planned if topic.shared))
    for topic in planned:
        if topic.name not in found:
            result.created.append(topic.name)
        elif found[topic.name] == topic.partitions:
            result.kept.append(topic.name)
        else:
            result.mismatched.append(Mismatch(topic.name, topic.partitions, found[topic.name], topic.shared))
    if result.mismatched:
        result.created.clear()
    return result


async def _create(
    admin: AIOKafkaAdminClient, planned: list[TopicPlan], missing: list[str], replication: int
) -> None:
    wanted = {topic.name: topic for topic in planned if topic.name in missing}
    response = await admin.create_topics(
        [
            NewTopic(topic.name, topic.partitions, replication, topic_configs=topic.settings())
            for topic in wanted.values()
        ]
    )
    for name, code, message in response.topic_errors:
        if code not in (0, TopicAlreadyExistsError.errno):
            raise TopicsError(f"topic {name}: the broker refused: {for_code(code).__name__}: {message or ''}")
    while True:
        found = await _existing(admin)
        if all(found.get(name) == topic.partitions for name, topic in wanted.items()):
            return
        await asyncio.sleep(_POLL_S)
