"""Comparing ranks: the events of a lane, judged by the rules over several ranks, with their peers' values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from emitter.vocabulary.diagnoses import Diagnosis
from stream.diagnose.counts import Counts
from stream.diagnose.crossings import BY_STEP, Crossings
from stream.diagnose.judging import Judge
from stream.diagnose.lane import Lane, Member
from stream.diagnose.latest import Latest
from stream.diagnose.peers import Crowd
from stream.diagnose.plans import Plan
from stream.diagnose.reading import NO_GROUPS, Groups
from stream.diagnose.runs import Emitter, Run
from stream.diagnose.series import Series
from stream.events import Event, Resource
from stream.rulelang.model import PeerSpec


class Sample:
    """One event that is a sample of one rule. ``values``: what its peers compare themselves with."""

    __slots__ = ("emitter", "event", "place", "series", "values", "who")

    def __init__(self, member: Member, event: Event, emitter: Emitter, series: Series) -> None:
        self.place = member.place
        self.event = event
        self.emitter = emitter
        self.series = series
        self.who = identity(emitter)
        self.values: list[float] | None = None


class Comparing:
    """Judges what comes out of the lanes."""

    def __init__(self, crossings: Crossings, judge: Judge, counts: Counts) -> None:
        self._crossings = crossings
        self._judge = judge
        self._counts = counts

    def event(self, run: Run, number: int, lane: Lane, member: Member, out: list[Diagnosis]) -> None:
        """An event's turn has come: it is judged, or put to the others of its step."""
        event = member.event
        emitter = run.emitters.get(member.source)
        if event is None or emitter is None:
            return
        route = self._judge.route(run, emitter, event)
        for plan, feed in route.feeds:
            if plan.cross_rank and self._crossings.lane(plan.rule.id) == number:
                feed.take(event, emitter.resource)
        plans = self._crossings.on[number].get(event.name)
        if not plans:
            return
        if event.name in BY_STEP and event.step is not None:
            if not lane.alignment(event.name).take(member.source, event.step, member.place, member):
                self._counts.late_events += 1
                self._judge.late(plans, emitter, event)
            return
        for plan in plans:
            self._by_time(run, lane, plan, member, event, emitter, out)

    def step(self, run: Run, number: int, lane: Lane, members: list[Member], out: list[Diagnosis]) -> None:
        """All events of one step, judged rule by rule in the order of rank and emitter."""
        members.sort(key=lambda member: (member.rank, member.source, member.serial))
        event = members[0].event
        for plan in self._crossings.on[number].get(event.name, ()) if event is not None else ():
            samples = [
                sample
                for member in members
                if (sample := self._sample(run, lane, plan, member, NO_GROUPS)) is not None
            ]
            others = _crowds(plan, samples) if plan.program.peers else None
            for sample in samples:
                peers = plan.alone if others is None else others.of(sample)
                self._judged(run, sample, NO_GROUPS, peers, out)

    def end(self, lane: Lane, emitter: Emitter) -> None:
        """An emitter ended: nobody waits for it, and its values are nobody's peers any more."""
        for steps in lane.steps.values():
            steps.leave(emitter.key)
        for latest in lane.latest.values():
            latest.drop(identity(emitter))

    def _by_time(
        self, run: Run, lane: Lane, plan: Plan, member: Member, event: Event, emitter: Emitter,
        out: list[Diagnosis],
    ) -> None:  # fmt: skip
        groups: Groups = NO_GROUPS
        if plan.quiet:
            found = (member.matches or {}).get(plan.rule.id)
            if found is None:
                return
            groups = found
        sample = self._sample(run, lane, plan, member, groups)
        if sample is None:
            return
        peers: Sequence[Any] = plan.alone
        if sample.values is not None:
            peers = [
                self._latest(lane, plan, index, _group(spec, emitter.resource)).put(
                    sample.who, member.place, sample.values[index]
                )
                for index, spec in enumerate(plan.program.peers)
            ]
        self._judged(run, sample, groups, peers, out)

    def _judged(
        self, run: Run, sample: Sample, groups: Groups, peers: Sequence[Any], out: list[Diagnosis]
    ) -> None:
        run.meeting.floor = sample.place
        self._judge.sample(run, sample.emitter, sample.series, sample.event, groups, peers, out)

    def _latest(self, lane: Lane, plan: Plan, index: int, group: str | None) -> Latest:
        place = (plan.rule.id, index, group)
        found = lane.latest.get(place)
        if found is None:
            found = lane.latest[place] = Latest()
        return found

    def _series(
        self, run: Run, lane: Lane, plan: Plan, emitter: Emitter, event: Event, groups: Groups
    ) -> Series | None:
        if plan.keys.dynamic:
            return self._judge.series_of(run, emitter, plan, event, groups)
        place = (plan.rule.id, emitter.key)
        known = lane.series.get(place)
        if known is None:
            known = self._judge.series_of(run, emitter, plan, event, groups)
            if known is not None:
                lane.series[place] = known
        return known

    def _sample(self, run: Run, lane: Lane, plan: Plan, member: Member, groups: Groups) -> Sample | None:
        """The sample with what its peers will see of it; None where the event is no sample."""
        event, emitter = member.event, run.emitters.get(member.source)
        if event is None or emitter is None:
            return None
        slots = plan.read(event, emitter.resource, groups)
        if slots is None:
            return None
        series = self._series(run, lane, plan, emitter, event, groups)
        if series is None:
            return None
        sample = Sample(member, event, emitter, series)
        program = plan.program
        if program.peers and (program.where is None or program.where(slots)):
            if plan.timed:
                for window in series.windows:
                    window.expire(event.time)
            sample.values = [spec.source(slots, series.windows) for spec in program.peers]
        return sample


class _Others:
    """For one rule and step: a crowd for each value asked for and each group of ranks."""

    def __init__(self, specs: Sequence[PeerSpec], own: dict[str, Sample]) -> None:
        self._specs = specs
        self._own = own
        found: dict[tuple[int, str | None], list[float]] = {}
        for sample in own.values():
            for index, spec in enumerate(specs):
                place = (index, _group(spec, sample.emitter.resource))
                found.setdefault(place, []).append((sample.values or [])[index])
        self._crowds = {place: Crowd(values) for place, values in found.items()}

    def of(self, sample: Sample) -> Sequence[Any]:
        """The peers of one rank."""
        own = self._own.get(sample.who)
        if own is None or own.values is None:
            return sample.series.plan.alone
        return [
            self._crowds[index, _group(spec, own.emitter.resource)].others(own.values[index])
            for index, spec in enumerate(self._specs)
        ]


def _crowds(plan: Plan, samples: list[Sample]) -> _Others:
    """Of several samples of one rank at one step, the last one counts."""
    return _Others(plan.program.peers, {one.who: one for one in samples if one.values is not None})


def identity(emitter: Emitter) -> str:
    """What a rank is known by among its peers."""
    resource = emitter.resource
    return emitter.key if resource.rank is None else f"{resource.role}/{resource.rank}"


def _group(spec: PeerSpec, resource: Resource) -> str | None:
    if spec.of == "node":
        return resource.node
    return resource.role if spec.of == "role" else None
