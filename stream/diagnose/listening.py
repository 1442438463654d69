"""Rules of absence: who listens for what, and what silence makes of it."""

from __future__ import annotations

from collections.abc import Sequence

from emitter.vocabulary.diagnoses import Diagnosis
from stream.diagnose import transitions
from stream.diagnose.absence import Listener, Silences
from stream.diagnose.clock import Clock
from stream.diagnose.publishing import Publisher
from stream.diagnose.runs import Emitter, Run, series_key
from stream.diagnose.series import first
from stream.diagnose.watching import Watching
from stream.events import Event, Resource
from stream.rulelang.model import Rule


class Listening:
    """The rules of absence in force, and all listeners of all runs."""

    def __init__(
        self, rules: Sequence[Rule], clock: Clock, publisher: Publisher, watching: Watching | None
    ) -> None:
        self.of: dict[str, list[Rule]] = {}
        for rule in rules:
            if rule.absent is not None:
                self.of.setdefault(rule.absent.of, []).append(rule)
        self._silences = Silences()
        self._clock = clock
        self._publisher = publisher
        self._watching = watching

    def hear(self, run: Run, emitter: Emitter, event: Event, out: list[Diagnosis]) -> None:
        """An event that somebody listens for."""
        if emitter.listeners is None:
            emitter.listeners = [self._listener(run, emitter, rule) for rule in self.of[event.name]]
        for listener in emitter.listeners:
            listener.open = True
            self._close(run, listener, event.time, transitions.RETURNED, event, out)
            listener.hear(event, emitter.resource, self._clock.now)
            self._silences.watch(listener)

    def tick(self, out: list[Diagnosis]) -> None:
        """The clock moved: ranks that stayed silent fire."""
        for listener in self._silences.fallen_silent(self._clock):
            if listener.event is not None and listener.resource is not None:
                self._fall_silent(listener, listener.event, listener.resource, out)

    def end_emitter(self, run: Run, emitter: Emitter, time_ns: int, out: list[Diagnosis]) -> None:
        """The process ended: its silence means nothing."""
        for listener in emitter.listeners or ():
            listener.open = False
            self._close(run, listener, time_ns, transitions.ENDED, None, out)

    def end_attempt(self, run: Run, time_ns: int, reason: str, out: list[Diagnosis]) -> None:
        """Listen to nobody of this attempt any more."""
        for listener in run.listeners.values():
            listener.open = False
            self._close(run, listener, time_ns, reason, None, out)

    def _listener(self, run: Run, emitter: Emitter, rule: Rule) -> Listener:
        key = series_key(rule.by, emitter.resource)
        known = run.listeners.get((rule.id, key))
        if known is None:
            known = run.listeners[rule.id, key] = Listener(rule, key, run)
        return known

    def _fall_silent(
        self, listener: Listener, event: Event, resource: Resource, out: list[Diagnosis]
    ) -> None:
        def make() -> Diagnosis:
            evidence = {**event.values, "silent": listener.limit_ns / 1e9}
            return transitions.firing(listener.rule, listener.key, first(event), at, resource, evidence)

        at = Event(event.name, listener.heard + listener.limit_ns, step=event.step, epoch=event.epoch)
        outcome = self._publisher.fire(listener.run, listener, at.time, make, out)
        if self._watching is not None:
            self._watching.listened(listener, at.time, outcome)
        if listener.diagnosis is None:
            self._silences.watch(listener)

    def _close(
        self, run: Run, listener: Listener, time_ns: int, reason: str, event: Event | None,
        out: list[Diagnosis],
    ) -> None:  # fmt: skip
        if listener.diagnosis is None:
            return
        self._publisher.resolve(run, listener, time_ns, reason, out, event)
        if self._watching is not None:
            self._watching.listened(listener, time_ns, ("resolved", reason))
