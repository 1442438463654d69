"""What a worker was to read and cannot: records that retention took, topics that are not what they were."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from aiokafka.errors import KafkaError

from emitter.vocabulary import topics as vocabulary
from stream.faustkit.preflight import PreflightError

log = logging.getLogger(__name__)

_SINGLE: Final = {topic.name: topic.partitions for topic in vocabulary.TOPICS if topic.partitions}


async def say_lost(consumer: Any, committed: Mapping[Any, int | None]) -> None:
    """Log what lies between the last commit and the first record that is left, by partition."""
    at = {place: offset for place, offset in committed.items() if offset is not None and offset > 0}
    if not at:
        return
    try:
        firsts, ends = await consumer.beginning_offsets(list(at)), await consumer.end_offsets(list(at))
    except KafkaError as error:
        log.warning("whether records were lost cannot be told: %s: %s", type(error).__name__, error)
        return
    for place, offset in sorted(at.items()):
        where = f"{place.topic}[{place.partition}]"
        if offset < firsts[place]:
            log.error(
                "%s: %d records were deleted before they were read (offsets %d to %d): the topic keeps them "
                "for less time than this worker was away; going on at offset %d",
                where, firsts[place] - offset, offset, firsts[place] - 1, firsts[place],
            )  # fmt: skip
        elif not ends[place] and offset:
            log.error(
                "%s: is empty, and this worker had read up to offset %d: the topic was made anew; what it "
                "held and was not read is lost", where, offset,
            )  # fmt: skip


def watch_counts(app: Any, expected: int, fail: Callable[[BaseException], None]) -> None:
    """Stop the worker when a topic has got more partitions than when it started."""

    async def assigned(sender: Any, partitions: Any, **_: Any) -> None:
        grown = grown_topics([(tp.topic, tp.partition) for tp in partitions], expected)
        if grown:
            fail(grown)

    app.on_partitions_assigned.connect(assigned, weak=False)


def grown_topics(places: list[tuple[str, int]], partitions: int) -> PreflightError | None:
    """The error that names topics with partitions beyond the expected number, None where there are none."""
    wrong = {
        topic: max(number for name, number in places if name == topic) + 1
        for topic, number in places
        if number >= _SINGLE.get(topic, partitions)
    }
    if not wrong:
        return None
    named = ", ".join(
        f"{topic} has {count}, expected {_SINGLE.get(topic, partitions)}"
        for topic, count in sorted(wrong.items())
    )
    return PreflightError(
        f"partitions were added while this worker ran: {named}; runs would be on two of them at once. "
        "Stop the workers, delete the topics and run `trainwarden topics apply` (their data is lost)"
    )
