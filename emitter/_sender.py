"""The background thread: takes records from the queue, converts them, sends them, counts what is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable

from emitter import _quiet
from emitter._clock import Clock
from emitter._guard import guard, logger
from emitter._line import Line
from emitter._packer import Packer
from emitter._queue import NO_ENDPOINT, REFUSED, UNDELIVERED, Queue
from emitter._records import LOGS, TRACES, Exporter, Fate, Outcome, Payload
from emitter._settings import Settings
from emitter.otlp.encoder import Encoder
from emitter.vocabulary import events

REPORT_EVERY_S = 10.0


class Sender:
    """``turn()`` does all the work once; ``start()`` has a thread do it again and again."""

    def __init__(
        self,
        queue: Queue,
        exporter: Exporter | None,
        encoder: Encoder,
        clock: Clock,
        settings: Settings,
        pulse: Callable[[], None],
    ) -> None:
        self._queue, self._exporter, self._clock, self._settings = queue, exporter, clock, settings
        self._pulse = pulse
        self._packer = Packer(queue, encoder, clock, settings.batch_size)
        self._line = Line(exporter.target if exporter else "")
        self._held: dict[str, Payload] = {}
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
        held = sum(payload.records for payload in self._held.values())
        queue = self._queue
        left = len(queue.items) + len(queue.waiting) + len(queue.spans) + self._packer.left + held
        if left:
            self._queue.lose(UNDELIVERED, left)
            reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(self._queue.totals.items()))
            logger.warning("telemetry was lost in this session: %s", reasons)
        if self._exporter is not None:
            self._exporter.close()

    def turn(self) -> None:
        """Send all that waits, unless the line is down and its waiting time is not over."""
        self._queue.waiting.settle(self._clock.monotonic_ns())
        for signal in (LOGS, TRACES):
            while self._once(signal):
                if self._thread is not None:
                    self._pulse()  # a queue that never runs dry must not hold heartbeats back

    def _run(self) -> None:
        _quiet.ours()
        try:
            while not self._closing:
                self._queue.rest(self._settings.flush_s, self._clock.monotonic_ns)
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
        self._queue.waiting.finish(self._clock.monotonic_ns)
        self.turn()

    def _once(self, signal: str) -> bool:
        """Send one payload; True when the next one can follow at once."""
        payload = self._held.get(signal) or self._packer.request(signal)
        if payload is None:
            return False
        self._held[signal] = payload
        if self._now() < self._line.retry_at:
            return False
        if not self._settle(self._exporter.send(payload) if self._exporter else None, payload.records):
            return False
        del self._held[signal]
        return True

    def _settle(self, outcome: Outcome | None, records: int) -> bool:
        """Whether the payload is done with; False when it is to be sent again."""
        if outcome is None:
            self._queue.lose(NO_ENDPOINT, records)
        else:
            was_down = self._line.down
            self._line.note(outcome, self._now())
            if outcome.fate is Fate.RETRY:
                return False
            if outcome.refused:
                self._queue.lose(REFUSED, outcome.refused)
            if outcome.fate is Fate.REFUSED:
                self._queue.lose(REFUSED, records)
            elif was_down or self._now() >= self._report_at:
                self._report()
        return True

    def _report(self) -> None:
        """What was lost goes out as an event of its own, once the line works."""
        self._report_at = self._now() + REPORT_EVERY_S
        if self._exporter is None or not (lost := self._queue.take_losses()):
            return
        values = {f"{events.LOST_PREFIX}{reason}": count for reason, count in sorted(lost.items())}
        self._queue.offer(self._clock.monotonic_ns(), events.EMITTER_REPORT, values, rare=True)

    def _now(self) -> float:
        return self._clock.monotonic_ns() * 1e-9
