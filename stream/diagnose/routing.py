"""Routing: which series an event goes to, by its name and the names of its values."""

from __future__ import annotations

from stream.diagnose.counts import Counts
from stream.diagnose.plans import Plan, Plans
from stream.diagnose.reading import Groups
from stream.diagnose.runs import MAX_ROUTES, Emitter, Route, Run, new_series
from stream.diagnose.series import Series
from stream.events import Event


def signature(event: Event) -> tuple[str, ...]:
    """What a route goes by: an event's name and the names of its values."""
    return (event.name, *event.values)


class Routing:
    """Makes routes and series. ``watched``: routes also say which rules lack a value."""

    def __init__(self, plans: Plans, counts: Counts, max_series: int, watched: bool) -> None:
        self._plans = plans
        self._counts = counts
        self._max_series = max_series
        self._watched = watched

    def route(self, run: Run, emitter: Emitter, event: Event) -> Route:
        """The route of all events of this emitter that look like this one; a new one is remembered."""
        route = Route()
        here = event.values.keys()
        for plan, feeder in self._plans.fed_by.get(event.name, ()):
            if feeder.needs <= here:
                route.feeds.append((plan, run.feed(plan, feeder, emitter.resource)))
        for plan in self._plans.on.get(event.name, ()):
            if plan.needs <= here:
                self._add(route, run, emitter, plan)
            elif self._watched:
                route.missing.append((plan, min(plan.needs - here)))
        route.single = _single(route)
        if len(emitter.routes) >= MAX_ROUTES:
            emitter.routes.clear()
        emitter.routes[signature(event)] = route
        return route

    def _add(self, route: Route, run: Run, emitter: Emitter, plan: Plan) -> None:
        if plan.keys.dynamic:
            route.series.append((plan, None))
            return
        series = self._series(run, plan, plan.keys.of_resource(emitter.resource))
        # A watcher hears at each event that there is no series for it.
        if series is not None or self._watched:
            route.series.append((plan, series))

    def series_of(
        self, run: Run, emitter: Emitter, plan: Plan, event: Event, groups: Groups
    ) -> Series | None:
        """The series that the event itself names; None where the run has too many."""
        return self._series(run, plan, plan.keys.of_event(event, emitter.resource, groups))

    def _series(self, run: Run, plan: Plan, key: tuple[object, ...]) -> Series | None:
        known = run.series.get((plan.rule.id, key))
        if known is None:
            if len(run.series) >= self._max_series:
                self._counts.series_refused += 1
                return None
            known = new_series(run, plan, key)
            run.series[plan.rule.id, key] = known
        return known


def _single(route: Route) -> Route | None:
    """The same without rules over several ranks."""
    if not any(plan.cross_rank for plan, _ in (*route.feeds, *route.series)):
        return None
    single = Route()
    single.feeds = [(plan, feed) for plan, feed in route.feeds if not plan.cross_rank]
    single.series = [(plan, series) for plan, series in route.series if not plan.cross_rank]
    single.missing = route.missing
    return single
