"""The background thread: takes records from the queue, converts them, sends them, counts what is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from emitter import _quiet
from emitter._clock import Clock
from emitter._guard import guard, logger
from emitter._line import Line
from emitter._queue import BAD_VALUE, NO_ENDPOINT, REFUSED, UNDELIVERED, Queue
from emitter._records import Exporter, Fate, Item, Log, Outcome, Span
from emitter._settings import Settings
from emitter._values import Attribute, clip, flatten, scalar
from emitter.vocabulary import attributes, events

BODY_LIMIT = 32768
BATCH_TEXT_LIMIT = 262144
"""Characters of bodies in one batch, so that a request stays far below a Kafka message's limit."""

REPORT_EVERY_S = 10.0


class Sender:
    """``turn()`` does all the work once; ``start()`` has a thread do it again and again."""

    def __init__(
        self,
        queue: Queue,
        exporter: Exporter | None,
        clock: Clock,
        settings: Settings,
        pulse: Callable[[], None],
    ) -> None:
        self._queue, self._exporter, self._clock, self._settings = queue, exporter, clock, settings
        self._pulse = pulse
        self._line = Line(exporter.target if exporter else "")
        self._held: list[Log] = []
        self._held_spans: list[Span] = []
        self._report_at = float("-inf")
        self._closing = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin sending in the background."""
        self._thread = threading.Thread(target=self._run, name="trainwarden-sender", daemon=True)
        self._thread.start()

    def close(self, timeout_s: float) -> None:
        """Send what is left, for at most this long; what is still there then is lost."""
        self._closing = True
        self._queue.wake.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
        left = len(self._queue.items) + len(self._queue.spans) + len(self._held) + len(self._held_spans)
        if left:
            self._queue.lose(UNDELIVERED, left)
            reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(self._queue.totals.items()))
            logger.warning("telemetry was lost in this session: %s", reasons)
        if self._exporter is not None:
            self._exporter.close()

    def turn(self) -> None:
        """Send all that waits, unless the line is down and its waiting time is not over."""
        while self._logs_once():
            pass
        while self._spans_once():
            pass

    def _run(self) -> None:
        _quiet.ours()
        try:
            while not self._closing:
                self._queue.wake.wait(self._settings.flush_s)
                self._queue.wake.clear()
                with guard:
                    self._pulse()
                    self.turn()
            with guard:
                self._last_turn()
        finally:
            _quiet.done()

    def _last_turn(self) -> None:
        self._line.retry_at = float("-inf")
        self._report()
        self.turn()

    def _logs_once(self) -> bool:
        """Send one batch; True when the next one can follow at once."""
        if not self._held:
            self._held = self._next_batch()
        if not self._held or self._waiting():
            return False
        outcome = self._exporter.logs(self._held) if self._exporter else None
        return self._settle(outcome, self._held)

    def _spans_once(self) -> bool:
        spans = self._queue.spans
        while spans and len(self._held_spans) < self._settings.batch_size:
            self._held_spans.append(spans.popleft())
        if not self._held_spans or self._waiting():
            return False
        outcome = self._exporter.spans(self._held_spans) if self._exporter else None
        return self._settle(outcome, self._held_spans)

    def _waiting(self) -> bool:
        return self._now() < self._line.retry_at

    def _settle(self, outcome: Outcome | None, batch: list[Any]) -> bool:
        """Empty the batch unless it is to be sent again."""
        if outcome is None:
            self._queue.lose(NO_ENDPOINT, len(batch))
        else:
            was_down = self._line.down
            self._line.note(outcome, self._now())
            if outcome.fate is Fate.RETRY:
                return False
            if outcome.fate is Fate.REFUSED:
                self._queue.lose(REFUSED, len(batch))
            elif was_down or self._now() >= self._report_at:
                self._report()
        batch.clear()
        return True

    def _report(self) -> None:
        """What was lost goes out as an event of its own, once the line works."""
        self._report_at = self._now() + REPORT_EVERY_S
        if self._exporter is None or not (lost := self._queue.take_losses()):
            return
        values = {f"{events.LOST_PREFIX}{reason}": count for reason, count in sorted(lost.items())}
        self._queue.offer(self._clock.monotonic_ns(), events.EMITTER_REPORT, values, rare=True)

    def _next_batch(self) -> list[Log]:
        items, size = self._queue.items, 0
        batch: list[Log] = []
        while items and len(batch) < self._settings.batch_size and size < BATCH_TEXT_LIMIT:
            log = self._convert(Item(*items.popleft()))
            batch.append(log)
            size += len(log.body or "")
        return batch

    def _convert(self, item: Item) -> Log:
        values, bad = flatten(item.values or {})
        bad += _place(values, attributes.STEP, item.step, int) + _place(
            values, attributes.EPOCH, item.epoch, float
        )
        values[attributes.SEQ] = item.seq
        if bad:
            self._queue.lose(BAD_VALUE, bad)
        body = None if item.body is None else clip(item.body, BODY_LIMIT)
        return Log(item.seq, self._clock.unix_ns(item.monotonic_ns), item.name, values, body, item.severity)

    def _now(self) -> float:
        return self._clock.monotonic_ns() * 1e-9


def _place(values: dict[str, Attribute], name: str, value: Any, kind: type[int] | type[float]) -> int:
    """Put step or epoch in as a number; 1 where that cannot be."""
    if value is None:
        return 0
    try:
        values[name] = kind(scalar(value))
    except Exception:  # noqa: BLE001 - a value's own code may raise anything
        return 1
    return 0
