"""``train.rules``: one record for each pack, by which everybody learns the bundle in force."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from emitter.vocabulary import topics
from stream import events
from stream.kafka import reach
from stream.records import Outgoing
from stream.rulebook.bundle import Bundle, BundleError
from stream.rulelang.runbooks import FOLDER

PATIENCE_S: Final = 10.0
MAX_RECORD_BYTES: Final = topics.MAX_MESSAGE_BYTES - 4096
KIND: Final = "rules"

log = logging.getLogger(__name__)


def records(bundle: Bundle, before: Bundle | None, partitions: int) -> tuple[list[Outgoing], list[Outgoing]]:
    """What puts this bundle into force: the switch on every partition of the events, and its packs.

    The packs are for after the switches: whoever finds them in ``train.rules`` takes the switches for made.
    A pack that was there before and is gone is written with no texts. Raises BundleError for a pack that
    no record can hold.
    """
    switch = events.encode(events.Rules(events.VERSION, bundle.digest, bundle.encode()))
    headers = [(topics.HEADER_KINDS, KIND.encode())]
    switches = [
        Outgoing(topics.TRAIN_EVENTS, switch, partition=number, headers=headers)
        for number in range(partitions)
    ]
    now = _packs(bundle)
    gone: dict[str, dict[str, str]] = (
        {name: {} for name in _packs(before) if name not in now} if before is not None else {}
    )
    packs = [
        Outgoing(topics.TRAIN_RULES, _pack(name, texts, bundle), name.encode(), partition=0)
        for name, texts in {**now, **gone}.items()
    ]
    largest = max(len(record.value) for record in [*switches, *packs])
    if largest > MAX_RECORD_BYTES:
        raise BundleError(
            f"rules {bundle.digest}: expected records of at most {MAX_RECORD_BYTES:,} bytes, "
            f"got {largest:,}; split the pack"
        )
    return switches, packs


def assemble(written: Sequence[tuple[bytes | None, bytes | None]]) -> Bundle | None:
    """The bundle that these keys and values of ``train.rules`` add up to; None where they do not."""
    packs: dict[bytes, dict[str, Any]] = {}
    newest: dict[str, Any] = {}
    for key, value in written:
        try:
            pack = json.loads(value or b"")
            packs[key or b""] = {name: str(text) for name, text in pack["texts"].items()}
            newest = pack
        except (ValueError, KeyError, TypeError, AttributeError):
            log.warning("%s: a record that is no pack is skipped", topics.TRAIN_RULES)
    if not newest:
        return None
    texts = {name: text for pack in packs.values() for name, text in pack.items()}
    found = Bundle(texts, newest.get("params", {}))
    return found if found.digest == newest.get("digest") else None


async def read(kafka: str) -> Bundle | None:
    """The bundle in force, None where none was ever published. Raises KafkaError."""
    place = TopicPartition(topics.TRAIN_RULES, 0)
    # seek_to_beginning() loses against aiokafka's own first look for the end, where that is under way.
    consumer = AIOKafkaConsumer(**reach(kafka), enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([place])
        end = (await consumer.end_offsets([place]))[place]
        written: list[tuple[bytes | None, bytes | None]] = []
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while end and await consumer.position(place) < end:
            if asyncio.get_running_loop().time() > deadline:
                log.warning("%s: not readable to its end, going on with our own rules", topics.TRAIN_RULES)
                return None
            for batch in (await consumer.getmany(place, timeout_ms=200)).values():
                written += [(record.key, record.value) for record in batch]
        return assemble(written)
    finally:
        await consumer.stop()


def _packs(bundle: Bundle) -> dict[str, dict[str, str]]:
    """Texts by pack: the folder they lie in; files without a folder are a pack of their own."""
    found: dict[str, dict[str, str]] = {}
    for name, text in bundle.texts.items():
        folder = PurePosixPath(name).parent
        folder = folder.parent if folder.name == FOLDER else folder
        found.setdefault(str(folder), {})[name] = text
    return found


def _pack(name: str, texts: Mapping[str, str], bundle: Bundle) -> bytes:
    content = {"pack": name, "digest": bundle.digest, "texts": texts, "params": bundle.params}
    return json.dumps(content).encode()
