"""Delivery of encoded requests for one exporter: within its timeout, with retries, with one line of log."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Sequence
from typing import Final

from aiokafka.errors import KafkaError

from emitter.kafka.client import reason
from emitter.kafka.split import TOO_LARGE, Refused, write_in_parts
from emitter.kafka.writer import Message, Writer
from emitter.otlp_kafka._options import Plan

logger: Final = logging.getLogger("emitter.otlp_kafka")

FIRST_WAIT_S: Final = 0.1
LONGEST_WAIT_S: Final = 5.0


class Delivery:
    """``deliver`` may be called from any thread, one at a time; a forked child gets its own connections."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._writer = Writer(plan.kafka, create_topics=True)
        self._where = f"kafka://{plan.kafka.brokers}, topic {plan.topic}"
        self._down = self._said_late = self._said_large = False
        self._closed = threading.Event()
        self._fresh()

    def deliver(self, messages: Sequence[Message]) -> bool:
        """Whether everything was written; what was not is lost, and said once until it works again."""
        self._own()
        with self._busy:
            if self._closed.is_set():
                return self._late()
            refused, why = self._until(time.monotonic() + self._plan.kafka.timeout, messages)
            self._say(refused, why)
            return not why and not refused.records

    def close(self, timeout_s: float) -> None:
        """Let a delivery under way end within this time, then close the connections."""
        self._own()
        self._closed.set()
        end = time.monotonic() + timeout_s
        ended = self._busy.acquire(timeout=timeout_s)
        try:
            self._writer.close(max(0.5, end - time.monotonic()))
        finally:
            if ended:
                self._busy.release()

    def flush(self, timeout_s: float) -> bool:
        """Whether no delivery is under way any more within this time; nothing is kept between deliveries."""
        self._own()
        ended = self._busy.acquire(timeout=timeout_s)
        if ended:
            self._busy.release()
        return ended

    def _fresh(self) -> None:
        self._pid, self._busy = os.getpid(), threading.Lock()
        closed, self._closed = self._closed.is_set(), threading.Event()
        if closed:
            self._closed.set()

    def _own(self) -> None:
        """After a fork the lock may be held by a thread that the child does not have."""
        if self._pid != os.getpid():
            self._fresh()

    def _until(self, end: float, messages: Sequence[Message]) -> tuple[Refused, str]:
        """Try until the end; what was refused for good, and why the rest was not written."""
        wait_s = FIRST_WAIT_S
        while True:
            try:
                return self._once(end, messages), ""
            except (KafkaError, OSError) as error:
                why = reason(error)
            if time.monotonic() + wait_s >= end or self._closed.wait(wait_s):
                return Refused(), why
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    def _once(self, end: float, messages: Sequence[Message]) -> Refused:
        limit = self._plan.kafka.max_message_bytes
        if all(len(message.value) <= limit for message in messages):
            try:
                self._write(end, messages)
                return Refused()
            except TOO_LARGE:
                pass
        each = [self._in_parts(end, limit, message) for message in messages]
        return Refused(sum(one.records for one in each), max(one.largest for one in each))

    def _in_parts(self, end: float, limit: int, message: Message) -> Refused:
        def write(part: bytes) -> None:
            self._write(end, [message._replace(value=part)])

        return write_in_parts(message.value, limit, write)

    def _write(self, end: float, messages: Sequence[Message]) -> None:
        self._writer.write(self._plan.topic, messages, max(0.001, end - time.monotonic()))

    def _say(self, refused: Refused, why: str) -> None:
        if why and not self._down:
            logger.warning(
                "cannot write to %s (%s); telemetry is lost until it works again", self._where, why
            )
        elif not why and self._down:
            logger.warning("%s works again", self._where)
        self._down = bool(why)
        if refused.records and not self._said_large:
            self._said_large = True
            logger.warning(
                "a record of %d bytes is too large for %s (max_message_bytes, or the topic's own limit); "
                "it is lost, as are all like it", refused.largest, self._where,
            )  # fmt: skip

    def _late(self) -> bool:
        if not self._said_late:
            self._said_late = True
            logger.warning("the exporter to %s was shut down before; what comes now is lost", self._where)
        return False
