"""Judging: an event that is in order meets the series of its rules; what opens and what closes."""

from __future__ import annotations

from typing import Any, Final

from emitter.vocabulary import events as words
from emitter.vocabulary.diagnoses import Diagnosis
from stream.diagnose import transitions
from stream.diagnose.absence import Listener, Silences
from stream.diagnose.clock import Clock
from stream.diagnose.counts import Counts
from stream.diagnose.logmatch import LogMatcher
from stream.diagnose.reading import Groups, reader
from stream.diagnose.runs import Emitter, Run, series_key
from stream.diagnose.series import TEXT_LIMIT, First, Plan, Series
from stream.events import Event
from stream.rulelang.model import Rule, RuleSet

_NO_GROUPS: Final[Groups] = {}


class Judge:
    """The rules in force, made ready, and the log series that wait for quiet."""

    def __init__(
        self,
        rules: RuleSet,
        clock: Clock,
        silences: Silences,
        counts: Counts,
        max_series: int,
        experimental: bool,
    ) -> None:
        active = [rule for rule in rules.rules if experimental or rule.maturity == "stable"]
        self._plans: dict[str, list[Plan]] = {}
        for rule in active:
            if rule.program is not None:
                plan = Plan(rule, rule.program, reader(rule.program.slots))
                self._plans.setdefault(rule.on, []).append(plan)
        self._absent: dict[str, list[Rule]] = {}
        for rule in active:
            if rule.absent is not None:
                self._absent.setdefault(rule.absent.of, []).append(rule)
        self._logs = LogMatcher(active)
        self._clock = clock
        self._silences = silences
        self._counts = counts
        self._max_series = max_series
        self._loud: dict[int, tuple[Run, Series]] = {}

    def event(self, run: Run, emitter: Emitter, event: Event, out: list[Diagnosis]) -> None:
        """Judge one event of a live emitter."""
        name = event.name
        if not emitter.live:
            self._counts.after_end += 1
            return
        if name == words.LOG:
            self._log(run, emitter, event, out)
        else:
            series = emitter.routes.get(name)
            if series is None:
                series = self._route(run, emitter, name)
            for one in series:
                self._sample(run, emitter, one, event, _NO_GROUPS, out)
        if name in self._absent:
            self._hear(run, emitter, event, out)
        if name == words.LIFECYCLE and event.values.get(words.LIFECYCLE_STATE) in words.ENDED_STATES:
            self._end_emitter(run, emitter, event, out)

    def tick(self, now: int, out: list[Diagnosis]) -> None:
        """The clock moved: log series that stayed quiet resolve, ranks that stayed silent fire."""
        for token, (run, series) in list(self._loud.items()):
            until = series.last_match + series.plan.keep_ns
            if now >= until:
                del self._loud[token]
                self._close(run, series, until, transitions.QUIET, None, {}, out)
        for listener in self._silences.fallen_silent(self._clock):
            self._fall_silent(listener, out)

    def end_attempt(self, run: Run, time_ns: int, reason: str, out: list[Diagnosis]) -> None:
        """Resolve everything open, forget the attempt's series, refuse its emitters from now on."""
        for emitter in run.emitters.values():
            emitter.live = False
        for series in run.series.values():
            self._close(run, series, time_ns, reason, None, {}, out)
        for listener in run.listeners.values():
            listener.open = False
            self._close_listener(run, listener, time_ns, reason, None, out)

    def _route(self, run: Run, emitter: Emitter, name: str) -> list[Series]:
        found = []
        for plan in self._plans.get(name, ()):
            key = series_key(plan.rule.by, emitter.resource)
            series = run.series.get((plan.rule.id, key))
            if series is None:
                if len(run.series) >= self._max_series:
                    self._counts.series_refused += 1
                    continue
                series = run.series[plan.rule.id, key] = Series(plan, key)
            found.append(series)
        emitter.routes[name] = found
        return found

    def _log(self, run: Run, emitter: Emitter, event: Event, out: list[Diagnosis]) -> None:
        series = emitter.routes.get(words.LOG)
        if series is None:
            series = self._route(run, emitter, words.LOG)
        if not series:
            return
        matches = self._logs.match(event.body or "")
        for one in series:
            rule = one.plan.rule
            if rule.log is None:
                self._sample(run, emitter, one, event, _NO_GROUPS, out)
            elif rule.id in matches:
                self._line(run, emitter, one, event, matches[rule.id], out)

    def _line(
        self, run: Run, emitter: Emitter, series: Series, event: Event, groups: Groups, out: list[Diagnosis]
    ) -> None:
        """A line that matches a log rule: the diagnosis lasts until lines stay away for keep_firing."""
        until = series.last_match + series.plan.keep_ns
        if series.firing and event.time > until:
            self._close(run, series, until, transitions.QUIET, None, {}, out)
        if series.judge(event, emitter.resource, groups):
            self._matched(run, emitter, series, event, out)

    def _sample(
        self, run: Run, emitter: Emitter, series: Series, event: Event, groups: Groups, out: list[Diagnosis]
    ) -> None:
        verdict = series.judge(event, emitter.resource, groups)
        if verdict is None:
            return
        if verdict:
            self._matched(run, emitter, series, event, out)
        elif series.calm(event):
            self._close(run, series, event.time, transitions.CLEARED, event, series.evidence(), out)
            series.ended(event)

    def _matched(
        self, run: Run, emitter: Emitter, series: Series, event: Event, out: list[Diagnosis]
    ) -> None:
        persisted = series.matched(event)
        rule = series.plan.rule
        if series.firing or not persisted or series.first is None or run.inhibited(rule.inhibited_by):
            return
        evidence = series.evidence()
        if rule.log is not None:
            evidence["text"] = (event.body or "")[:TEXT_LIMIT]
            self._loud[id(series)] = (run, series)
        series.diagnosis = transitions.firing(
            rule, series.key, series.first, event, emitter.resource, evidence
        )
        run.opened(rule.id)
        out.append(series.diagnosis)

    def _close(
        self, run: Run, series: Series, time_ns: int, reason: str, event: Event | None,
        values: dict[str, Any], out: list[Diagnosis],
    ) -> None:  # fmt: skip
        if not series.firing:
            return
        out.append(transitions.resolved(series.diagnosis, time_ns, reason, event, values))
        run.closed(series.plan.rule.id)
        self._loud.pop(id(series), None)
        series.reset()

    def _end_emitter(self, run: Run, emitter: Emitter, event: Event, out: list[Diagnosis]) -> None:
        """The process ended: what is open for it ends, and its silence means nothing."""
        emitter.live = False
        run.holding.pop(emitter.key, None)
        for routes in emitter.routes.values():
            for series in routes:
                self._close(run, series, event.time, transitions.ENDED, None, {}, out)
        for listener in emitter.listeners or ():
            listener.open = False
            self._close_listener(run, listener, event.time, transitions.ENDED, None, out)

    def _hear(self, run: Run, emitter: Emitter, event: Event, out: list[Diagnosis]) -> None:
        if emitter.listeners is None:
            emitter.listeners = [self._listener(run, emitter, rule) for rule in self._absent[event.name]]
        for listener in emitter.listeners:
            listener.open = True
            self._close_listener(run, listener, event.time, transitions.RETURNED, event, out)
            listener.hear(event, emitter.resource, self._clock.now)
            self._silences.watch(listener)

    def _listener(self, run: Run, emitter: Emitter, rule: Rule) -> Listener:
        key = series_key(rule.by, emitter.resource)
        known = run.listeners.get((rule.id, key))
        if known is None:
            known = run.listeners[rule.id, key] = Listener(rule, key, run)
        return known

    def _fall_silent(self, listener: Listener, out: list[Diagnosis]) -> None:
        run, rule, event, resource = listener.run, listener.rule, listener.event, listener.resource
        if event is None or resource is None or run.inhibited(rule.inhibited_by):
            self._silences.watch(listener)
            return
        evidence = {**event.values, "silent": listener.limit_ns / 1e9}
        at = Event(event.name, listener.heard + listener.limit_ns, step=event.step, epoch=event.epoch)
        listener.diagnosis = transitions.firing(rule, listener.key, First(event), at, resource, evidence)
        run.opened(rule.id)
        out.append(listener.diagnosis)

    def _close_listener(
        self,
        run: Run,
        listener: Listener,
        time_ns: int,
        reason: str,
        event: Event | None,
        out: list[Diagnosis],
    ) -> None:
        if listener.diagnosis is None:
            return
        out.append(transitions.resolved(listener.diagnosis, time_ns, reason, event, {}))
        run.closed(listener.rule.id)
        listener.diagnosis = None
