"""Faust's Kafka transport with the habits that suit the broker, and without losing skipped records.

Overrides private names of Faust 0.15 (``AIOKafkaConsumerThread._create_worker_consumer``, which has
1500 ms as a literal, and ``Consumer._new_consumer_thread``) and of aiokafka's fetcher; the thread checks at
start that its setting reached the fetcher. Imports Faust: only for worker processes.
"""

from __future__ import annotations

import time
from typing import Any

from faust.transport.drivers import aiokafka as driver

from stream.faustkit.pace import Pace


class TransportError(RuntimeError):
    """This version of Faust or aiokafka does not take our settings; the message names the one."""


class ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # Faust is untyped here
    """Asks brokers to answer a fetch within ``fetch_wait_ms`` of the transport."""

    def _create_worker_consumer(self, transport: Transport) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = transport.fetch_wait_ms
        return consumer

    async def on_start(self) -> None:
        await super().on_start()
        check_fetch_wait(self._consumer, self.transport.fetch_wait_ms)
        if self.transport.haste:
            hurry(self._consumer, Pace(self.transport.fetch_wait_ms, time.monotonic))
        if not self.transport.says_goodbye:
            never_leave(self._consumer)


class Consumer(driver.Consumer):  # type: ignore[misc]  # as above
    """Acknowledges only records that an agent was given.

    Faust acknowledges a record that it skips because a rebalance began while it was being handed over;
    its offset would be committed and the record lost.
    """

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def ack(self, message: Any) -> bool:
        return bool(message.tracked and super().ack(message))


class Transport(driver.Transport):  # type: ignore[misc]  # as above
    """The transport of one app; set what differs from broker to broker before the app starts."""

    Consumer = Consumer
    fetch_wait_ms: int = 500
    haste: bool = False
    says_goodbye: bool = True


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
        fetcher._fetch_max_wait_ms = pace.wait_ms
        return found

    fetcher._proc_fetch_request = paced


def check_fetch_wait(consumer: Any, expected_ms: int) -> None:
    """Raises TransportError unless this aiokafka consumer's fetcher waits that long."""
    found = getattr(getattr(consumer, "_fetcher", None), "_fetch_max_wait_ms", None)
    if found != expected_ms:
        raise TransportError(
            f"fetch wait: expected {expected_ms} ms at the consumer's fetcher, found {found!r}; this version "
            "of faust-streaming or aiokafka keeps it elsewhere: install the versions of constraints.txt"
        )
