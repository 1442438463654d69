"""What a worker wants to know of the broker before it joins: its kind, and that all topics are right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from emitter.vocabulary import topics as vocabulary
from stream import broker
from stream.kafka import reach

_ALTER_CONFIGS: Final = 33
_APPLY: Final = "run `trainwarden topics apply` and start the worker again"


class PreflightError(RuntimeError):
    """The worker cannot start on this broker; the message says what is wrong and the cure."""


@dataclass(frozen=True)
class BrokerTraits:
    """Habits that suit a broker. The defaults are for Apache Kafka, whose fetches wake on new data.

    ``haste``: fetches wait less than ``fetch_wait_ms`` after records came; ``searches``: answers come late,
    or without what is there, where a partition holds much (see stream/faustkit/pace.py).
    ``compacts``: of a compacted topic it keeps little more than the newest record of each key.
    """

    session_timeout_s: float = 30.0
    fetch_wait_ms: int = 500
    haste: bool = False
    searches: bool = False
    says_goodbye: bool = True
    compacts: bool = True


# Tansu keeps every record in memory, its first JoinGroup waits half the session timeout, its fetches sleep
# through new data, and a leader that leaves during a rebalance stays its leader for ever.
TANSU: Final = BrokerTraits(
    session_timeout_s=6.0, fetch_wait_ms=20, haste=True, searches=True, says_goodbye=False, compacts=False
)


@dataclass(frozen=True)
class Site:
    """The broker as found: its waits, and the number of partitions of the co-partitioned topics."""

    traits: BrokerTraits
    partitions: int


async def inspect(kafka: str, timeout_s: float = 30.0) -> Site:
    """Wait for the broker and check every topic. Raises PreflightError with all that is wrong."""
    try:
        await broker.wait_ready(kafka, timeout_s)
        return await _inspect(kafka)
    except broker.BrokerError as error:
        raise PreflightError(str(error)) from None
    except (OSError, KafkaError) as error:
        raise PreflightError(
            f"kafka {kafka}: its topics cannot be listed: {type(error).__name__}: {error}"
        ) from error


async def _inspect(kafka: str) -> Site:
    admin = AIOKafkaAdminClient(**reach(kafka))
    try:
        await admin.start()
        # Asking for all topics: asking by name may create them.
        found = {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}
        return Site(_traits(admin), check_topics(found))
    finally:
        await admin.close()


def _traits(admin: Any) -> BrokerTraits:
    """Apache Kafka can alter settings, Tansu cannot."""
    connections = admin._client._conns.values()
    known = [connection._versions for connection in connections if getattr(connection, "_versions", None)]
    return TANSU if known and all(_ALTER_CONFIGS not in versions for versions in known) else BrokerTraits()


def check_topics(found: dict[str, int]) -> int:
    """The number of partitions that all co-partitioned topics share. Raises PreflightError."""
    missing = [topic.name for topic in vocabulary.TOPICS if topic.name not in found]
    if missing:
        raise PreflightError(f"topics missing on the broker: {', '.join(missing)}; {_APPLY}")
    single = [t for t in vocabulary.TOPICS if t.partitions is not None and found[t.name] != t.partitions]
    shared = {topic.name: found[topic.name] for topic in vocabulary.TOPICS if topic.partitions is None}
    if single or len(set(shared.values())) != 1:
        wrong = [f"{t.name} has {found[t.name]} partitions, expected {t.partitions}" for t in single]
        if len(set(shared.values())) != 1:
            counts = ", ".join(f"{name} {count}" for name, count in sorted(shared.items()))
            wrong.append(f"co-partitioned topics must have the same number of partitions, found: {counts}")
        raise PreflightError(f"{'; '.join(wrong)}; delete the wrong topics and {_APPLY}")
    return next(iter(shared.values()))
