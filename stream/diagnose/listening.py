"""Rules of absence: who listens for what, and what silence makes of it."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

from emitter.vocabulary import events as words
from emitter.vocabulary.diagnoses import Diagnosis
from stream.diagnose import transitions, verdicts
from stream.diagnose.absence import Listener
from stream.diagnose.clock import Clock
from stream.diagnose.keys import KeyReader
from stream.diagnose.publishing import Publisher
from stream.diagnose.runs import Emitter, Run
from stream.diagnose.saved import load_key
from stream.diagnose.series import First
from stream.diagnose.watching import Watching
from stream.events import Event
from stream.rulelang.model import Absent, Rule


class Listening:
    """The rules of absence in force, and all listeners of all runs.

    The listeners that the clock decides are kept in the order of their deadlines, so that a tick looks only
    at those that are due.
    """

    def __init__(
        self, rules: Sequence[Rule], clock: Clock, publisher: Publisher, watching: Watching | None
    ) -> None:
        self.rules = {rule.id: (rule, rule.absent) for rule in rules if rule.absent is not None}
        self.names = frozenset(name for _, absent in self.rules.values() for name in _names(absent))
        self.serial = 0
        self._due: list[tuple[int, int, str, Listener, Run]] = []
        self._clock = clock
        self._publisher = publisher
        self._watching = watching

    def hear(self, run: Run, emitter: Emitter, event: Event, out: list[Diagnosis]) -> None:
        """An event that somebody listens for."""
        name = event.name
        listeners = emitter.listeners.get(name)
        if listeners is None:
            listeners = emitter.listeners[name] = self._listeners(run, emitter, name)
        for listener in listeners:
            absent = listener.absent
            if name == absent.of:
                self._came(run, emitter, listener, event, out)
            elif name == absent.after:
                listener.start(event)
            else:
                self._beat(run, listener, event, out)

    def hear_calm(self, run: Run, emitter: Emitter, events: Sequence[Event]) -> bool:
        """Several events in a row; False, and nothing done, where they may bring anything about."""
        name = events[0].name
        listeners = emitter.listeners.get(name)
        if listeners is None or not all(one.takes_calmly(name) for one in listeners):
            return False
        for listener in listeners:
            listener.emitter, listener.resource = emitter.key, emitter.resource
            listener.take_all(events)
        return True

    def tick(self, out: list[Diagnosis]) -> None:
        """The clock moved: ranks that stayed silent fire, in the order of their deadlines."""
        now = self._clock.now
        silent: list[tuple[Listener, Run]] = []
        again: list[tuple[Listener, Run]] = []
        while self._due and now is not None and self._due[0][0] <= now:
            _, _, _, listener, run = heapq.heappop(self._due)
            listener.due = None
            if listener.live and listener.diagnosis is None:
                (silent if listener.silent(self._clock) else again).append((listener, run))
        for listener, run in silent:
            self._fire(run, listener, listener.deadline, out)
        for listener, run in again + silent:
            self._plan(listener, run)

    def resume(self, run: Run, rule: Rule, absent: Absent, saved: Sequence[Any]) -> None:
        """Put a listener of a snapshot back to work."""
        key = load_key(saved[1])
        listener = run.listeners[rule.id, key] = Listener(rule, absent, key, saved[2])
        listener.load(saved)
        _join(run, listener)
        # Runs may be put back one by one, at different messages: a run's own listeners stay in order.
        self.serial = max(self.serial, listener.serial)
        if listener.due is not None:
            heapq.heappush(self._due, (listener.due, listener.serial, run.id, listener, run))

    def end_emitter(self, run: Run, emitter: Emitter, time_ns: int, out: list[Diagnosis]) -> None:
        """The process ended: its silence means nothing."""
        for listener in run.listeners.values():
            if listener.emitter == emitter.key:
                self._resolve(run, listener, time_ns, transitions.ENDED, None, out)
                listener.away.back(time_ns)
                listener.forget()

    def end_attempt(self, run: Run, time_ns: int, reason: str, out: list[Diagnosis]) -> None:
        """Listen to nobody of this attempt any more."""
        for listener in run.listeners.values():
            self._resolve(run, listener, time_ns, reason, None, out)
            listener.forget()

    def _came(
        self, run: Run, emitter: Emitter, listener: Listener, event: Event, out: list[Diagnosis]
    ) -> None:
        listener.emitter, listener.resource = emitter.key, emitter.resource
        listener.take(event, self._clock.now)
        if listener.diagnosis is not None or listener.held is not None:
            end = event.time if event.end is None else event.end
            self._resolve(run, listener, end, transitions.RETURNED, event, out)
        if listener.by_clock:
            self._plan(listener, run)

    def _beat(self, run: Run, listener: Listener, event: Event, out: list[Diagnosis]) -> None:
        """The rank lives: what it should have done by now is absent, or its clock starts anew."""
        running = listener.since
        listener.hear(event)
        if listener.since is not running and listener.diagnosis is not None:
            self._resolve(run, listener, event.time, transitions.CLEARED, event, out)
        elif listener.diagnosis is None and (deadline := listener.proven()) is not None:
            self._fire(run, listener, deadline, out)
        elif self._watching is not None:
            self._watching.listened(listener, event.time, (verdicts.NO_MATCH, ""))

    def _listeners(self, run: Run, emitter: Emitter, name: str) -> list[Listener]:
        """Who listens for events of this name of an emitter."""
        pairs = [pair for pair in self.rules.values() if name in _names(pair[1])]
        return [self._listener(run, emitter, *pair) for pair in pairs]

    def _listener(self, run: Run, emitter: Emitter, rule: Rule, absent: Absent) -> Listener:
        key = KeyReader(rule).of_resource(emitter.resource)
        known = run.listeners.get((rule.id, key))
        if known is None:
            self.serial += 1
            known = run.listeners[rule.id, key] = Listener(rule, absent, key, self.serial)
            known.resource = emitter.resource
            _join(run, known)
        known.emitter, known.resource = emitter.key, emitter.resource
        return known

    def _plan(self, listener: Listener, run: Run) -> None:
        """Look at this listener when its limit has passed; does nothing if that is already planned."""
        deadline = listener.deadline
        if listener.due is None and listener.diagnosis is None and deadline is not None:
            listener.due = deadline
            heapq.heappush(self._due, (deadline, listener.serial, run.id, listener, run))

    def _fire(self, run: Run, listener: Listener, at: int | None, out: list[Diagnosis]) -> None:
        begin, resource = listener.since, listener.resource
        if begin is None or at is None or resource is None:
            return
        event = Event(listener.absent.of, at, step=begin.step, epoch=begin.epoch)

        def make() -> Diagnosis:
            named = listener.beat.time if listener.by_clock and listener.beat is not None else begin.time
            first = First(begin.seq, begin.step, named)
            return transitions.firing(
                listener.rule, listener.key, first, event, resource, listener.evidence()
            )

        outcome = self._publisher.fire(run, listener, at, make, out)
        if self._watching is not None:
            self._watching.listened(listener, at, outcome)

    def _resolve(
        self, run: Run, listener: Listener, time_ns: int, reason: str, event: Event | None,
        out: list[Diagnosis],
    ) -> None:  # fmt: skip
        said = listener.diagnosis is not None
        self._publisher.resolve(run, listener, time_ns, reason, out, event)
        if said and self._watching is not None:
            self._watching.listened(listener, time_ns, (verdicts.RESOLVED, reason))


def _join(run: Run, listener: Listener) -> None:
    """One more of those that do the same work."""
    role = None if listener.resource is None else listener.resource.role
    listener.crew = run.crews.setdefault((listener.rule.id, role), [])
    listener.crew.append(listener)


def _names(absent: Absent) -> tuple[str, ...]:
    """The events a rule of absence listens for."""
    after = () if absent.after is None else (absent.after,)
    return (absent.of, words.HEARTBEAT, *after)
