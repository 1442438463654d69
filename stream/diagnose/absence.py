"""Silence: which ranks were not heard for too long, by the stream's clock, with a path known to be alive."""

from __future__ import annotations

import heapq
from typing import Any

from stream.diagnose.clock import Clock
from stream.events import Event, Resource
from stream.rulelang.model import Rule


class Listener:
    """One rank under one absence rule. ``heard`` (ns) is the later of the clock and the event's own time."""

    __slots__ = (
        "diagnosis",
        "event",
        "heard",
        "key",
        "open",
        "resource",
        "rule",
        "run",
        "scheduled",
    )

    def __init__(self, rule: Rule, key: tuple[Any, ...], run: Any) -> None:
        self.rule = rule
        self.key = key
        self.run = run
        self.heard = -1
        self.event: Event | None = None
        self.resource: Resource | None = None
        self.diagnosis: Any = None
        self.open = True
        self.scheduled = False

    @property
    def limit_ns(self) -> int:
        """How long silence may last."""
        return int(self.rule.absent.for_s * 1e9) if self.rule.absent else 0

    def hear(self, event: Event, resource: Resource, now: int | None) -> None:
        """A sign of life read at this clock. Its own time counts too: the clock may be behind."""
        self.heard = max(self.heard, event.time, now if now is not None else event.time)
        self.event, self.resource = event, resource

    def silent(self, clock: Clock) -> bool:
        """Whether the limit has passed, and the path was alive after it."""
        due = self.heard + self.limit_ns
        if clock.now is None or clock.now < due or self.resource is None:
            return False
        gateway = self.resource.gateway
        return gateway is None or clock.gateway_heard(gateway) >= due


class Silences:
    """All listeners, ordered by when they could next be silent: a tick looks only at those that are due."""

    def __init__(self) -> None:
        self._due: list[tuple[int, int, Listener]] = []
        self._count = 0

    def watch(self, listener: Listener) -> None:
        """Look at this listener when its limit has passed; does nothing if that is already planned."""
        if listener.scheduled:
            return
        listener.scheduled = True
        self._count += 1
        heapq.heappush(self._due, (listener.heard + listener.limit_ns, self._count, listener))

    def fallen_silent(self, clock: Clock) -> list[Listener]:
        """Listeners that are silent now, in the order of their limits; they are no longer watched."""
        silent: list[Listener] = []
        waiting: list[Listener] = []
        while self._due and clock.now is not None and self._due[0][0] <= clock.now:
            _, _, listener = heapq.heappop(self._due)
            listener.scheduled = False
            if not listener.open or listener.diagnosis is not None:
                continue
            (silent if listener.silent(clock) else waiting).append(listener)
        for listener in waiting:
            self.watch(listener)
        return silent
