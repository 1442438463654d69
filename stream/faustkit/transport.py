"""Faust's Kafka transport with the habits that suit the broker, and without losing skipped records.

Overrides private names of Faust 0.15 (``AIOKafkaConsumerThread._create_worker_consumer``, which has
1500 ms as a literal, and ``Consumer._new_consumer_thread``) and of aiokafka's fetcher; the thread checks at
start that its setting reached the fetcher. Imports Faust: only for worker processes.
"""

from __future__ import annotations

import time
from collections.abc import Coroutine, Generator, Iterator
from types import coroutine
from typing import Any, Final

from aiokafka import TopicPartition
from faust.transport.drivers import aiokafka as driver

from stream.faustkit.absent import say_lost
from stream.faustkit.pace import Pace


class TransportError(RuntimeError):
    """This version of Faust or aiokafka does not take our settings; the message names the one."""


_TAKEN: Final = object()
"""A record went to its agents without anybody waiting."""


class ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # Faust is untyped here
    """Asks brokers to answer a fetch within ``fetch_wait_ms`` of the transport."""

    def _create_worker_consumer(self, transport: Transport) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = transport.fetch_wait_ms
        return consumer

    async def on_start(self) -> None:
        await super().on_start()
        check_fetch_wait(self._consumer, self.transport.fetch_wait_ms)
        if self.transport.searches:
            pace = Pace(self.transport.fetch_wait_ms, time.monotonic, self.transport.haste)
            hurry(self._consumer, pace)
        if not self.transport.says_goodbye:
            never_leave(self._consumer)

    async def seek_to_committed(self) -> Any:
        committed = await super().seek_to_committed()
        await self.call_thread(say_lost, self._consumer, committed)
        return committed


class Consumer(driver.Consumer):  # type: ignore[misc]  # as above
    """Acknowledges only records that an agent was given.

    Faust acknowledges a record that it skips because a rebalance began while it was being handed over;
    its offset would be committed and the record lost.
    """

    callback: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.written: dict[Any, float] = {}
        """When the newest record that was dealt with was written (Unix seconds), by partition."""
        super().__init__(*args, **kwargs)
        self._give = self.callback
        self.callback = self._begin

    def _begin(self, message: Any) -> Any:
        """Hand a record to its agents, here and now unless somebody has to wait."""
        giving = self._give(message)
        try:
            waits_for = giving.send(None)
        except StopIteration:
            return _TAKEN
        return _rest(giving, waits_for)

    async def wait_first(self, *waiting: Any, **options: Any) -> Any:
        """Faust makes four tasks to hand a record over, also where nobody waits."""
        if waiting[0] is not _TAKEN:
            return await super().wait_first(*waiting, **options)
        for unused in waiting[1:]:
            unused.close()
        return None

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def ack(self, message: Any) -> bool:
        if not message.tracked:
            return False
        self.written[message.tp] = message.timestamp
        return bool(super().ack(message))


class Transport(driver.Transport):  # type: ignore[misc]  # as above
    """The transport of one app; set what differs from broker to broker before the app starts."""

    Consumer = Consumer
    fetch_wait_ms: int = 500
    haste: bool = False
    searches: bool = False
    says_goodbye: bool = True


async def _rest(giving: Coroutine[Any, Any, None], waits_for: Any) -> None:
    await _go_on(giving, waits_for)


@coroutine
def _go_on(giving: Coroutine[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    """The rest of a coroutine that was begun by hand and waits for something."""
    try:
        while True:
            try:
                yield waits_for
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is meant for the coroutine
                waits_for = giving.throw(error)
            else:
                waits_for = giving.send(None)
    except StopIteration:
        return


def never_leave(consumer: Any) -> None:
    """Let the session time out instead of leaving the group. Raises TransportError.

    Tansu keeps a leader that left during a rebalance as leader for ever, and no later member is given
    partitions; one whose session times out it forgets.
    """
    coordinator: Any = getattr(consumer, "_coordinator", None)
    if not hasattr(coordinator, "_maybe_leave_group"):
        raise TransportError(
            "leaving the group: expected _maybe_leave_group at the consumer's coordinator, found none; this "
            "version of faust-streaming or aiokafka keeps it elsewhere: install those of constraints.txt"
        )

    async def stay() -> None:
        coordinator.reset_generation()

    coordinator._maybe_leave_group = stay


def hurry(consumer: Any, pace: Pace) -> None:
    """Let this aiokafka consumer's fetches wait as the pace says. Raises TransportError."""
    fetcher: Any = getattr(consumer, "_fetcher", None)
    fetch: Any = getattr(fetcher, "_proc_fetch_request", None)
    if fetch is None:
        raise TransportError(
            "fetch wait: expected _proc_fetch_request at the consumer's fetcher, found none; this version of "
            "aiokafka keeps it elsewhere: install the one of constraints.txt"
        )

    async def paced(*request: Any) -> bool:
        found = bool(await fetch(*request))
        if found:
            pace.came()
        pace.left_out(_left_out(fetcher, *request))
        fetcher._fetch_max_wait_ms = pace.wait_ms
        return found

    fetcher._proc_fetch_request = paced


def _left_out(fetcher: Any, assignment: Any, node: Any, request: Any) -> Iterator[tuple[Any, int]]:
    """Partitions, with position, of which the broker said that there is more and gave nothing."""
    for topic, places in request.topics:
        for number, position, _ in places:
            partition = TopicPartition(topic, number)
            state = assignment.state_value(partition)
            if state and (state.highwater or 0) > position and partition not in fetcher._records:
                yield partition, position


def check_fetch_wait(consumer: Any, expected_ms: int) -> None:
    """Raises TransportError unless this aiokafka consumer's fetcher waits that long."""
    found = getattr(getattr(consumer, "_fetcher", None), "_fetch_max_wait_ms", None)
    if found != expected_ms:
        raise TransportError(
            f"fetch wait: expected {expected_ms} ms at the consumer's fetcher, found {found!r}; this version "
            "of faust-streaming or aiokafka keeps it elsewhere: install the versions of constraints.txt"
        )
