"""The background threads: one sends what is next and counts what is lost, one keeps what takes long."""

from __future__ import annotations

import threading
from collections.abc import Callable

from emitter import _quiet
from emitter._clock import Clock
from emitter._guard import guard, logger
from emitter._line import Line
from emitter._outbox import Backlog, Outbox
from emitter._packer import Packer
from emitter._queue import NO_ENDPOINT, REFUSED, UNDELIVERED, Queue
from emitter._records import Exporter, Fate, Outcome
from emitter._settings import Settings
from emitter.otlp.encoder import Encoder
from emitter.vocabulary import events

REPORT_EVERY_S = 10.0
_WAITS = "%d records wait on disk; the next process of this user that sends to %s takes them along"


class Sender:
    """``turn()`` does all the work once; ``start()`` has a thread do it again and again.

    ``told`` is called after something urgent was sent.
    """

    def __init__(
        self,
        queue: Queue,
        exporter: Exporter | None,
        encoder: Encoder,
        clock: Clock,
        settings: Settings,
        pulse: Callable[[], None],
        backlog: Backlog | None = None,
        told: Callable[[], None] = lambda: None,
    ) -> None:
        self._told = told
        self._queue, self._exporter, self._clock, self._settings = queue, exporter, clock, settings
        self._pulse = pulse
        self._backlog = backlog
        self._outbox = Outbox(Packer(queue, encoder, clock, settings.batch_size), backlog)
        self._line = Line(exporter.target if exporter else "", spooled=backlog is not None)
        self._report_at = float("-inf")
        self._closing = False
        self._closed = threading.Event()
        self._sending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin sending in the background."""
        self._thread = threading.Thread(target=self._run, name="trainwarden-sender", daemon=True)
        self._thread.start()
        if self._backlog is not None:
            threading.Thread(target=self._watch, name="trainwarden-keeper", daemon=True).start()

    def close(self, timeout_s: float) -> None:
        """Send what is left, for at most this long; what is still there then is lost."""
        self._closing = True
        self._queue.wake.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
            if self._thread.is_alive():  # in a request: its last turn may never come
                with guard:
                    self._report()
        self._outbox.stow()
        if left := self._queue.left + self._outbox.left:
            self._queue.lose(UNDELIVERED, left)
            reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(self._queue.totals.items()))
            logger.warning("telemetry was lost in this session: %s", reasons)
        self._closed.set()
        self._sending.set()
        if self._backlog is not None:
            if waiting := self._backlog.records:
                logger.warning(_WAITS, waiting, self._line.target)
            self._backlog.close()
        if self._exporter is not None:
            self._exporter.close()

    def abandon(self) -> None:
        """After a fork, in the child: nothing of this is ours."""
        if self._backlog is not None:
            self._backlog.forget()

    def turn(self) -> None:
        """Send all that waits, unless the line is down and its waiting time is not over."""
        self._queue.waiting.settle(self._clock.monotonic_ns())
        while self._once():
            if self._thread is not None:
                self._pulse()  # a queue that never runs dry must not hold heartbeats back

    def _run(self) -> None:
        _quiet.ours()
        try:
            while not self._closing:
                urgent = self._queue.rest(self._settings.flush_s, self._clock.monotonic_ns)
                with guard:
                    self._pulse()
                    self.turn()
                    if urgent:
                        self._told()
            with guard:
                self._last_turn()
        finally:
            _quiet.done()

    def _last_turn(self) -> None:
        self._line.retry_at = float("-inf")
        self._report()
        self._queue.waiting.finish(self._clock.monotonic_ns)
        self.turn()

    def _watch(self) -> None:
        """While a request takes long, put on disk what it holds and what comes behind it."""
        _quiet.ours()
        try:
            if self._backlog is not None:
                with guard:
                    self._backlog.claim()
            while self._sending.wait() and not self._closed.is_set():
                self._sending.clear()
                turn = self._outbox.turn
                while not self._closed.wait(self._settings.flush_s) and self._outbox.busy(turn):
                    with guard:
                        self._queue.waiting.settle(self._clock.monotonic_ns())
                        self._outbox.stow()
        finally:
            _quiet.done()

    def _once(self) -> bool:
        """Send one payload; True when the next one can follow at once."""
        if self._now() < self._line.retry_at:
            self._outbox.stow()
            return False
        payload = self._outbox.take()
        if payload is None:
            return False
        self._sending.set()
        outcome = self._exporter.send(payload) if self._exporter else None
        self._outbox.settle(done := self._settle(outcome, payload.records))
        return done

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
