"""Judging: an event that is in order meets the series of its rules; what opens and what closes.

Every sample of every rule goes through ``Judge.sample``; every transition goes through ``Publisher``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from emitter.vocabulary import events as words
from emitter.vocabulary.diagnoses import Diagnosis
from stream.diagnose import transitions, verdicts
from stream.diagnose.counts import Counts
from stream.diagnose.crossings import STRICT, Crossings
from stream.diagnose.echoes import echo_of
from stream.diagnose.logmatch import LogMatcher, Matches
from stream.diagnose.plans import DIAGNOSIS, Plan, Plans
from stream.diagnose.publishing import NO_VALUES, Publisher
from stream.diagnose.reading import NO_GROUPS, Groups
from stream.diagnose.routing import Routing
from stream.diagnose.runs import Emitter, Route, Run
from stream.diagnose.series import TEXT_LIMIT, Series, first
from stream.diagnose.stops import Stop
from stream.diagnose.stretches import Rest, stretch
from stream.diagnose.tracks import Track
from stream.diagnose.verdicts import Outcome
from stream.diagnose.watching import Watching
from stream.diagnose.watermark import ENDLESS, NEVER
from stream.events import Event
from stream.rulelang.model import Rule

_NO_MATCH: Final[Outcome] = (verdicts.NO_MATCH, "")


class Judge:
    """The rules over samples in force, made ready."""

    def __init__(
        self, rules: Sequence[Rule], counts: Counts, max_series: int, watching: Watching | None
    ) -> None:
        self.plans = Plans.of(rules)
        self.crossings = Crossings(rules, self.plans)
        self.publisher = Publisher(self.crossings, counts, self._echo, self.end_diagnoses, watching)
        self._routing = Routing(self.plans, counts, max_series, watching is not None)
        self._logs = LogMatcher(rules)
        self._every_line = any(rule.on == words.LOG and rule.log is None for rule in rules)
        self._counts = counts
        self._watching = watching

    def look_ahead(self, events: Sequence[Event]) -> None:
        """These events come next: their log lines are matched together, which is faster."""
        lines = [event.body for event in events if event.name == words.LOG and event.body]
        if len(lines) > 1:
            self._logs.look_ahead(lines)

    def event(self, run: Run, emitter: Emitter, event: Event, out: list[Diagnosis]) -> None:
        """Judge one event that is in order by the rules over samples.

        With several emitters, rules over several ranks are left out: those meet in the lanes of the run.
        """
        whole = route = emitter.routes.get((event.name, *event.values)) or self.route(run, emitter, event)
        apart = route.single is not None and not run.meeting.alone and event.name != DIAGNOSIS
        if apart and route.single is not None:
            route = route.single
        for _, feed in route.feeds:
            feed.take(event, emitter.resource)
        matches: Matches = {}
        if event.name == words.LOG:
            if whole.series:
                matches = self._logs.match(event.body or "")
            self._line(run, emitter, route, event, matches, out)
        else:
            self._pass(run, emitter, route, event, out)
        if apart:
            self._put(run, emitter, whole, event, matches)
        if route.missing and self._watching is not None:
            for plan, name in route.missing:
                self._watching.no_sample(plan, emitter, event, verdicts.MISSING, name)

    def _pass(self, run: Run, emitter: Emitter, route: Route, event: Event, out: list[Diagnosis]) -> None:
        """An event passes the rules of its route. The usual sample, calm before and now, stays in here."""
        if self._watching is not None:
            for plan, series in route.series:
                self._meet(run, emitter, plan, series, event, NO_GROUPS, out)
            return
        track = route.track or Track(route.series, event.values.keys())
        route.track = track
        sheet, holes = track.sheet.read(event, emitter.resource)
        if holes or not track.plain or not track.steady(sheet):
            for plan, series in route.series:
                self._meet(run, emitter, plan, series, event, NO_GROUPS, out)
            return
        self._stops(run, emitter, track.stops, sheet, event, out)

    def _stops(
        self, run: Run, emitter: Emitter, stops: Sequence[Stop], sheet: Sequence[Any], event: Event,
        out: list[Diagnosis],
    ) -> None:  # fmt: skip
        time_ns = event.time
        for stop in stops:
            one, pick, where, when, windows, timed, peers, appends, pushes, computed, _, _ = stop
            slots = pick(sheet)
            if where is not None and not where(slots):
                continue
            for window in timed:
                window.expire(time_ns)
            if one.first is not None or when(slots, windows, peers):
                self._judged(run, emitter, one, event, slots, peers, out)
                continue
            one.foreseen = None
            if pushes:
                values = computed(slots, windows)
                for append, place in appends:
                    append(sheet[place])
                for push, value in zip(pushes, values):  # noqa: B905 - hot, equally long
                    push(time_ns, value)
            else:
                for append, place in appends:
                    append(sheet[place])

    def stretch(
        self, run: Run, emitter: Emitter, events: Sequence[Event], out: list[Diagnosis], rest: Rest
    ) -> bool:
        """Judge events in order that look alike; False, and nothing done, where it has to be one by one."""
        if self._watching is not None:
            return False
        first = events[0]
        whole = route = self.route(run, emitter, first)
        apart = route.single is not None and not run.meeting.alone
        if apart and route.single is not None:
            route = route.single
        route.track = track = route.track or Track(route.series, first.values.keys())
        values = list(zip(*[event.values.values() for event in events], strict=True))
        found = stretch(track, events, values, emitter.resource)
        if found is None:
            return False
        feeds = [feed for _, feed in route.feeds]

        def one(event: Event, stops: Sequence[Stop], row: Sequence[Any]) -> None:
            rest.before(event)
            for feed in feeds:
                feed.take(event, emitter.resource)
            self._stops(run, emitter, stops, row, event, out)
            if apart:
                self._put(run, emitter, whole, event, {})
            rest.after(event)

        named = dict(zip(first.values, values, strict=True)) if feeds else {}

        def many(begin: int, end: int) -> None:
            calm = events[begin:end]
            if apart or not rest.calm(calm):
                for event in calm:
                    one(event, (), ())
            else:
                for feed in feeds:
                    feed.take_all(calm, named, begin, emitter.resource)

        found.judge(one, many)
        return True

    def route(self, run: Run, emitter: Emitter, event: Event) -> Route:
        """Where events of this emitter that look like this one go."""
        found = emitter.routes.get((event.name, *event.values))
        return self._routing.route(run, emitter, event) if found is None else found

    def series_of(
        self, run: Run, emitter: Emitter, plan: Plan, event: Event, groups: Groups
    ) -> Series | None:
        """The series of a rule that an event belongs to; None where the run has too many."""
        return self._routing.series_of(run, emitter, plan, event, groups)

    def _put(self, run: Run, emitter: Emitter, route: Route, event: Event, matches: Matches) -> None:
        """Rules over several ranks look at this event in its turn, if there is something for them in it."""
        across = [plan for plan, _ in route.series if plan.cross_rank]
        found = {plan.rule.id: matches[plan.rule.id] for plan in across if plan.rule.id in matches}
        fed = any(plan.cross_rank for plan, _ in route.feeds)
        if found or fed or any(not plan.quiet for plan in across):
            late = run.meeting.put(emitter.key, emitter.resource.rank, event, found)
            self._counts.late_events += late
            if late:
                self.late(across, emitter, event)

    def late(self, plans: Iterable[Plan], emitter: Emitter, event: Event) -> None:
        """The turn of an event has passed: these rules do not look at it."""
        if self._watching is not None:
            for plan in plans:
                self._watching.no_sample(plan, emitter, event, verdicts.LATE)

    def _line(
        self, run: Run, emitter: Emitter, route: Route, event: Event, matches: Matches, out: list[Diagnosis]
    ) -> None:
        if not matches and not self._every_line and self._watching is None:
            return
        for plan, series in route.series:
            if not plan.quiet:
                self._meet(run, emitter, plan, series, event, NO_GROUPS, out)
            elif plan.rule.id in matches:
                self._meet(run, emitter, plan, series, event, matches[plan.rule.id], out)
            elif self._watching is not None:
                self._watching.no_sample(plan, emitter, event, verdicts.UNMATCHED)

    def _meet(
        self, run: Run, emitter: Emitter, plan: Plan, series: Series | None, event: Event, groups: Groups,
        out: list[Diagnosis],
    ) -> None:  # fmt: skip
        """One event and one rule: judged at once."""
        if series is None:
            series = self._routing.series_of(run, emitter, plan, event, groups)
        if series is not None:
            self.sample(run, emitter, series, event, groups, plan.alone, out)
        elif self._watching is not None:
            self._watching.no_sample(plan, emitter, event, verdicts.REFUSED)

    def sample(
        self,
        run: Run,
        emitter: Emitter,
        series: Series,
        event: Event,
        groups: Groups,
        peers: Sequence[Any],
        out: list[Diagnosis],
    ) -> None:
        """Judge one event by one rule."""
        plan = series.plan
        program = plan.program
        slots = plan.read(event, emitter.resource, groups)
        if slots is None or (program.where is not None and not program.where(slots)):
            if self._watching is not None:
                self._watching.unread(series, emitter, event, slots)
            return
        if plan.timed:
            for window in series.windows:
                window.expire(event.time)
        self._judged(run, emitter, series, event, slots, peers, out)

    def _judged(
        self, run: Run, emitter: Emitter, series: Series, event: Event, slots: Sequence[Any],
        peers: Sequence[Any], out: list[Diagnosis],
    ) -> None:  # fmt: skip
        """A sample of a rule: whether it matches, what opens or ends with it, what is learnt from it."""
        plan, program, windows = series.plan, series.plan.program, series.windows
        if series.open and plan.quiet and event.time > series.last_match + plan.keep_ns:
            self._grow_quiet(run, series, out)
        series.slots = slots
        series.peers = peers
        seen = self._watching.look(series, emitter, event) if self._watching is not None else None
        if series.open and program.clear is not None:
            matches = not program.clear(slots, windows, peers)
        else:
            matches = program.when(slots, windows, peers)
        outcome = _NO_MATCH
        if matches:
            outcome = self._matched(run, emitter, series, event, out)
        elif series.open:
            outcome = self._calm(run, series, event, out)
        elif series.first is not None:
            series.reset()
        if seen is not None and self._watching is not None:
            self._watching.judged(seen, series, outcome)
        if plan.learn_all or not (matches or series.open):
            series.learn(event.time)

    def _matched(
        self, run: Run, emitter: Emitter, series: Series, event: Event, out: list[Diagnosis]
    ) -> Outcome:
        """A sample matches: it fires when that has lasted long enough and no cause does."""
        if not series.matched(event) and not series.open:
            return verdicts.PENDING, ""
        if not series.open:
            series.open = True
            series.emitter = emitter.key
            run.open[series.rule.id, series.key] = series
            if series.plan.quiet:
                run.meeting.await_quiet(event.time + series.plan.keep_ns, self._lane(series))
        if series.diagnosis is not None:
            return verdicts.STILL, ""
        return self.publisher.fire(run, series, event.time, lambda: _diagnosis(emitter, series, event), out)

    def _calm(self, run: Run, series: Series, event: Event, out: list[Diagnosis]) -> Outcome:
        """A sample of an open series does not match: it ends, unless keep_firing holds it."""
        if not series.ends(event):
            return verdicts.STILL, ""
        self._close(run, series, event.time, transitions.CLEARED, out, event, series.evidence())
        return verdicts.RESOLVED, transitions.CLEARED

    def tick(self, run: Run, levels: Sequence[int], out: list[Diagnosis]) -> None:
        """Everything up to these levels of the lanes was read: log series that stayed quiet resolve."""
        meeting = run.meeting
        meeting.quiet_ns = [ENDLESS for _ in levels]
        for series in [series for series in run.open.values() if series.plan.quiet]:
            until, lane = series.last_match + series.plan.keep_ns, self._lane(series)
            if levels[lane] >= until:
                self._grow_quiet(run, series, out)
            else:
                meeting.await_quiet(until, lane)

    def _lane(self, series: Series) -> int:
        """The lane whose level says how far this series was judged."""
        return self.crossings.lane(series.rule.id) if series.plan.cross_rank else STRICT

    def end_emitter(self, run: Run, emitter: Emitter, time_ns: int, out: list[Diagnosis]) -> None:
        """The process ended: what is open for it alone ends."""
        for series in list(run.open.values()):
            if series.emitter == emitter.key and not series.plan.cross_rank:
                self._leave(run, series, time_ns, transitions.ENDED, out)

    def end_shared(
        self, run: Run, key: str | None, time_ns: int, out: list[Diagnosis], lane: int | None = None
    ) -> None:
        """What is open across ranks ends: for one emitter what names its rank, for None everything."""
        for series in list(run.open.values()):
            rule = series.rule
            mine = key is None or (series.emitter == key and "rank" in rule.by)
            here = lane is None or self.crossings.lane(rule.id) == lane
            if series.plan.cross_rank and rule.on != DIAGNOSIS and mine and here:
                self._leave(run, series, time_ns, transitions.ENDED, out)

    def end_diagnoses(self, run: Run, time_ns: int, out: list[Diagnosis]) -> None:
        """Every emitter ended: so does what rules on diagnosis have open."""
        for series in [series for series in run.open.values() if series.rule.on == DIAGNOSIS]:
            self._leave(run, series, time_ns, transitions.ENDED, out)

    def end_attempt(self, run: Run, time_ns: int, reason: str, out: list[Diagnosis]) -> None:
        """Resolve everything open."""
        for series in list(run.open.values()):
            self._leave(run, series, time_ns, reason, out)

    def _leave(self, run: Run, series: Series, time_ns: int, reason: str, out: list[Diagnosis]) -> None:
        """Who it is about has gone; it may have been quiet for long enough before."""
        if series.plan.quiet and time_ns >= series.last_match + series.plan.keep_ns > series.last_match:
            self._grow_quiet(run, series, out)
        else:
            self._end(run, series, time_ns, reason, out)

    def _grow_quiet(self, run: Run, series: Series, out: list[Diagnosis]) -> None:
        meeting = run.meeting
        floor, meeting.floor = meeting.floor, NEVER
        self._end(run, series, series.last_match + series.plan.keep_ns, transitions.QUIET, out)
        meeting.floor = floor

    def _end(self, run: Run, series: Series, time_ns: int, reason: str, out: list[Diagnosis]) -> None:
        """End a series by something else than a sample, unless what was just said has ended it already."""
        if not series.open:
            return
        self._close(run, series, time_ns, reason, out)
        if self._watching is not None:
            self._watching.closed(series, time_ns, reason)

    def _close(
        self,
        run: Run,
        series: Series,
        time_ns: int,
        reason: str,
        out: list[Diagnosis],
        event: Event | None = None,
        values: Mapping[str, Any] = NO_VALUES,
    ) -> None:
        del run.open[series.rule.id, series.key]
        self.publisher.resolve(run, series, time_ns, reason, out, event, values)
        series.reset()

    def _echo(self, run: Run, made: Diagnosis, time_ns: int, out: list[Diagnosis]) -> None:
        """Rules on diagnosis look at a transition of another rule."""
        voice, event = echo_of(run, made, time_ns)
        self.event(run, voice, event, out)


def _diagnosis(emitter: Emitter, series: Series, event: Event) -> Diagnosis:
    evidence = series.evidence()
    if series.plan.quiet:
        evidence["text"] = (event.body or "")[:TEXT_LIMIT]
    begin = series.first or first(event)
    return transitions.firing(series.rule, series.key, begin, event, emitter.resource, evidence)
